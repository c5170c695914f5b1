import gzip
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

import narrows.data
from narrows.data.download import download
from narrows.errors import DownloadError, UnknownNameError

CONTENT = b"two wide waters and the narrows between them" * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server():
    """An HTTP server on this machine; `server.files` maps a path to (status, declared length, body)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            status, length, body = self.server.files.get(self.path, (404, 0, b""))
            self.send_response(status)
            if length is not None:
                self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.url = {}, f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


# ------------------------------------------------------------------------------------------------------------ digits


def test_digits_has_parts_and_the_training_part_is_the_default():
    train, test, whole = (narrows.data.open(f"digits:{part}") for part in ("train", "test", "all"))
    assert [len(source) for source in (train, test, whole)] == [1437, 360, 1797]
    np.testing.assert_array_equal(narrows.data.open("digits").values, train.values)
    np.testing.assert_array_equal(whole.values, [*train.values, *test.values])
    np.testing.assert_array_equal(whole.labels, [*train.labels, *test.labels])


def test_digits_fills_the_range_of_a_byte():
    from sklearn.datasets import load_digits

    source = narrows.data.open("digits:all")
    assert (source.dtype, source.values.min(), source.values.max()) == (np.uint8, 0, 255)
    np.testing.assert_array_equal(np.rint(source.values / 255 * 16), load_digits().images)


@pytest.mark.parametrize("split", ["valid", "", "tset", "Train"])
def test_unknown_splits_are_rejected(split):
    with pytest.raises(UnknownNameError, match=r"split of 'digits': .*all, test, train"):
        narrows.data.open(f"digits:{split}")


# ------------------------------------------------------------------------------------------------------------- mnist


@pytest.mark.parametrize(
    ("name", "folder", "ninth"), [("mnist", "mnist", None), ("fashion-mnist", "fashion", "Ankle boot")]
)
def test_mnist_is_read_where_it_lies(mnist, name, folder, ninth):
    if not (mnist / folder).is_dir():
        pytest.skip(f"{name} is not at hand")
    source = narrows.data.open(f"{name}:test")
    assert (source.name, source.values.shape, source.dtype) == (f"{name}:test", (10_000, 28, 28), np.uint8)
    assert np.bincount(source.labels).size == 10
    assert ninth is None or source.label_names[9] == ninth


def test_mnist_is_downloaded_once_checked_and_kept(mnist, server, monkeypatch):
    files = [f"t10k-{part}-ubyte.gz" for part in ("images-idx3", "labels-idx1")]
    for file in files:
        body = (mnist / "mnist" / file).read_bytes()
        server.files[f"/base/mnist/{file}"] = (200, len(body), body)
    monkeypatch.delenv("NARROWS_DATA")
    monkeypatch.setenv("NARROWS_MIRROR", f"{server.url}/base/")
    told = []
    source = narrows.data.open("mnist:test", progress=lambda *reported: told.append(reported))
    assert len(source) == 10_000
    assert [(activity, unit) for activity, n_done, n_total, unit in told if n_done == n_total] == [
        (f"downloading {file}", "bytes") for file in files
    ]
    server.files.clear()
    assert len(narrows.data.open("mnist:test")) == 10_000


def test_unzipped_files_are_taken_too(tmp_path, monkeypatch, idx_bytes, grey):
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "train-images-idx3-ubyte").write_bytes(idx_bytes(grey))
    (tmp_path / "mnist" / "train-labels-idx1-ubyte").write_bytes(idx_bytes(np.arange(5, dtype=np.uint8)))
    monkeypatch.setenv("NARROWS_DATA", str(tmp_path))
    source = narrows.data.open("mnist", limit=2)
    assert (source.values.tolist(), source.labels.tolist()) == (grey[:2].tolist(), [0, 1])


def test_without_a_network_the_error_says_what_to_put_where():
    with pytest.raises(DownloadError) as error:
        narrows.data.open("mnist")
    cache = narrows.data.named.cache_folder()
    for said in ("train-images", "train-labels", "t10k-images", "t10k-labels", "$NARROWS_DATA/mnist/", str(cache)):
        assert said in str(error.value)
    assert not [path for path in cache.rglob("*") if path.is_file()]


# ---------------------------------------------------------------------------------------------------------- download


def fetch(server, path, target, progress=None):
    download([server.url + path], target, SHA256, len(CONTENT), progress)


def test_the_next_mirror_is_tried_and_progress_told(server, tmp_path):
    body, wrong = gzip.compress(CONTENT), gzip.compress(CONTENT[:-1] + b"!")
    server.files = {"/wrong": (200, len(wrong), wrong), "/right": (200, None, body)}
    told = []
    urls = ["http://127.0.0.1:1/", "file:///etc/hosts", *(server.url + path for path in ("/none", "/wrong", "/right"))]
    download(urls, tmp_path / "x.gz", SHA256, len(CONTENT), lambda *reported: told.append(reported))
    assert (tmp_path / "x.gz").read_bytes() == body
    assert told[-1] == ("downloading x.gz", len(body), None, "bytes")


BODY = gzip.compress(CONTENT)
FAILURES = {
    "404": ((404, 0, b""), "404"),
    "500": ((500, 0, b""), "500"),
    "another file": ((200, None, gzip.compress(CONTENT[::-1])), "SHA-256"),
    "a longer file": ((200, None, gzip.compress(CONTENT * 2)), "SHA-256"),
    "no gzip": ((200, None, b"<html>Log in to use this network</html>"), "[Nn]ot a gzipped file"),
    "cut off": ((200, len(BODY), BODY[:100]), "download stopped|IncompleteRead"),
    "cut off unnoticed": ((200, None, BODY[:-20]), "end-of-stream"),
    "endless": ((200, None, bytes(len(CONTENT) + (1 << 18))), "larger"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_nothing_is_kept_of_what_is_not_right(server, tmp_path, failure):
    server.files["/x"], message = FAILURES[failure]
    with pytest.raises(DownloadError, match=message) as error:
        fetch(server, "/x", tmp_path / "x.gz")
    assert f"{server.url}/x" in str(error.value)
    assert not list(tmp_path.iterdir())


def test_nothing_is_kept_when_the_user_interrupts(server, tmp_path):
    server.files["/x"] = (200, len(BODY), BODY)

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(server, "/x", tmp_path / "x.gz", interrupt)
    assert not list(tmp_path.iterdir())
