"""Models of bytes: trained, saved, and used for archives whose texts are read alone or by groups."""

import pickle
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

import narrows
from narrows.archive import embed, inspect, open_archive, recover, verify
from narrows.archive.text_yardsticks import WITHOUT_MODEL, pays_after, yardsticks_of_text
from narrows.archive.yardsticks import Yardstick
from narrows.cli import main
from narrows.codec import kernels, read_frozen
from narrows.codec.text.frozen import FrozenBytes
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    DataError,
    InvalidParameterError,
    ModelFileError,
    NotFreezableError,
    WrongModelError,
)

pytestmark = pytest.mark.skipif(kernels.compiled is None, reason="needs the compiled kernels")

LINES = [f"Jun {k // 30 + 1} 10:{k % 60:02}:17 node-{k % 7} app[{k * 37 % 900}]: session opened" for k in range(300)]
PARTS = st.lists(st.sampled_from([b"emma", b"x" * 300, b"\n", b"\r\n", b"\0", b"\xff", "é".encode()]), min_size=1)
BY_GROUPS = pytest.mark.parametrize("group", [1, 16, None])


@pytest.fixture(scope="module")
def model():
    return narrows.ByteModel().fit(LINES[:200])


@pytest.fixture
def saved(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.narrows"


def call(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@given(parts=PARTS, group=st.sampled_from([1, 16, 64]))
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_lines_come_back(model, tmp_path, parts, group):
    (tmp_path / "x.log").write_bytes(b"".join(parts))
    how = {"chunk_records": group, "embed_model": True, "force": True}
    narrows.compress(tmp_path / "x.log", tmp_path / "x.narrows", model=model, **how)
    narrows.restore(tmp_path / "x.narrows", out=tmp_path / "y.log", force=True)
    assert (tmp_path / "y.log").read_bytes() == b"".join(parts)


@BY_GROUPS
def test_texts_are_read_one_by_one(model, saved, path, group, monkeypatch):
    monkeypatch.setattr("narrows.archive.texts._CHUNK_BYTES", 6000)
    summary = narrows.compress(LINES, path, model=saved, chunk_records=group)
    assert summary.chunks_kept == {"texts alone" if group == 1 else "texts in groups": inspect(path).n_chunks}
    assert inspect(path).n_chunks > 1
    with open_archive(path) as archive:  # the model is found beside it
        assert [archive[k] for k in (17, 299, 0)] == [LINES[k] for k in (17, 299, 0)]
        assert archive.read([250, 3, 4, 251]) == [LINES[k] for k in (250, 3, 4, 251)]
        assert archive[60:190] == LINES[60:190]
        assert list(archive) == LINES
    assert verify(path, model=model).is_intact
    assert inspect(path).needs_model


def test_a_text_is_decoded_without_what_follows_in_its_group(model, path, monkeypatch):
    narrows.compress(LINES, path, model=model)
    numbers, decode = [], FrozenBytes.decode
    monkeypatch.setattr(FrozenBytes, "decode", lambda self, *given: numbers.append(given[1]) or decode(self, *given))
    with open_archive(path, model=model) as archive:
        assert archive[64 + 5] == LINES[69]
        assert archive[128:192] == LINES[128:192]
    assert numbers == [6, 64]


@BY_GROUPS
def test_similar_texts_take_few_bytes(model, path, group):
    narrows.compress(LINES[200:], path, model=model, chunk_records=group)
    plain = sum(map(len, LINES[200:]))
    assert inspect(path).records_bytes < plain / (6 if group == 1 else 15)


def test_texts_are_appended_in_the_groups_of_the_archive(model, saved, path):
    narrows.compress(LINES[:100], path, model=model, chunk_records=1)
    summary = narrows.compress(LINES[100:150], path, model=saved, append=True)
    assert (summary.records, summary.total_records, summary.chunks_kept) == (50, 150, {"texts alone": 1})
    assert narrows.restore(path, model=model) == LINES[:150]
    with pytest.raises(InvalidParameterError, match="longer than a record"):
        narrows.compress(["y" * 500], path, model=model, append=True)
    with pytest.raises(InvalidParameterError, match="only for new archives"):
        narrows.compress(LINES, path, model=model, append=True, chunk_records=16)
    narrows.compress(LINES[:50], path, force=True)
    with pytest.raises(ArchiveError, match="not written with a model of bytes"):
        narrows.compress(LINES, path, model=model, append=True)
    narrows.compress(LINES, path, model=model, force=True)
    other = narrows.ByteModel().fit(LINES)
    with pytest.raises(WrongModelError, match=f"{model.digest_[:12]}.*{other.digest_[:12]}"):
        narrows.compress(LINES, path, model=other, append=True)


def test_the_model_is_embedded_at_once_or_later(model, path, tmp_path):
    narrows.compress(LINES, path, model=model, embed_model=True)
    assert inspect(path).has_model
    narrows.compress(LINES, tmp_path / "y.narrows", model=model)
    with pytest.raises(ArchiveError, match="does not contain its model"):
        narrows.restore(tmp_path / "y.narrows")
    embed(tmp_path / "y.narrows", model)
    assert narrows.restore(tmp_path / "y.narrows") == narrows.restore(path) == LINES


def test_another_model_is_refused(model, path):
    narrows.compress(LINES, path, model=model)
    other = narrows.ByteModel().fit(LINES)
    with pytest.raises(WrongModelError, match=f"{model.digest_[:12]}.*{other.digest_[:12]}"):  # as info shows them
        narrows.restore(path, model=other)


@pytest.mark.parametrize("group", [1, None])
def test_the_texts_of_intact_chunks_are_recovered(model, path, tmp_path, group, monkeypatch):
    monkeypatch.setattr("narrows.archive.texts._CHUNK_BYTES", 6000)
    narrows.compress(LINES, path, model=model, chunk_records=group, embed_model=True)
    with open_archive(path) as opened:
        offset, n = int(opened._index.offsets[1]), opened.metadata.chunk_records
    data = bytearray(path.read_bytes())
    data[offset + 120] ^= 1
    path.write_bytes(data)
    assert verify(path).n_lost == n
    with open_archive(path) as opened, pytest.raises(CorruptArchiveError):
        opened[n]
    recover(path, tmp_path / "left.narrows")
    assert narrows.restore(tmp_path / "left.narrows") == LINES[:n] + LINES[2 * n :]


def test_what_is_decoded_wrongly_is_found(model, path, monkeypatch):
    narrows.compress(LINES, path, model=model)
    decode = FrozenBytes.decode
    monkeypatch.setattr(FrozenBytes, "decode", lambda *given: [text[::-1] for text in decode(*given)])
    with pytest.raises(CorruptArchiveError, match="checksum"):
        narrows.restore(path, model=model)


def test_the_archive_does_not_depend_on_threads(model, tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.archive.texts._CHUNK_BYTES", 6000)
    for threads in (1, 3):
        narrows.compress(LINES, tmp_path / f"{threads}", model=model, threads=threads)
        assert narrows.restore(tmp_path / f"{threads}", model=model, threads=threads) == LINES
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()


def test_threads_code_with_equal_states():
    frozen, texts, found = FrozenBytes.of([b"emma", b"olivia"] * 9), [b"emma", b"ava", b"mia"] * 20, {}

    def work(number):
        found[number] = [frozen.encode(texts, group) for group in (1, 16, 1, 16)]

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(one == found[0] for one in found.values())
    assert pickle.loads(pickle.dumps(frozen)).encode(texts, 16) == found[0][1]


# ---------------------------------------------------------------------------------------------------------- learning


def test_a_saved_model_is_loaded(model, saved):
    loaded = narrows.load(saved)
    assert (loaded.digest_, loaded.sample_, loaded.tried_) == (model.digest_, model.sample_, model.tried_)
    assert repr(loaded) == "ByteModel()"
    saved.write_bytes(saved.read_bytes()[:-30] + bytes(30))
    with pytest.raises(ModelFileError, match="another hash"):
        narrows.load(saved)


def test_the_sample_is_as_large_as_it_pays(monkeypatch):
    assert narrows.ByteModel().fit(LINES).sample_.n_records == 300
    random = np.random.default_rng(0).integers(97, 123, (700, 30), dtype=np.uint8)
    noise = [row.tobytes() for row in random]  # of which nothing can be learned but the letters
    monkeypatch.setattr("narrows.estimators.byte_model._EXPECTED", 1)
    model = narrows.ByteModel().fit(noise)
    assert model.sample_.n_bytes < 6000
    assert len(model.tried_) > 1
    small = narrows.ByteModel(sample_bytes=1000).fit(LINES).sample_
    assert 500 < small.n_bytes + small.n_records <= 1000
    assert narrows.ByteModel(sample_bytes=100).fit(["y" * 5000]).sample_.n_bytes == 99


def test_what_cannot_be_learned_is_refused():
    with pytest.raises(NotFittedError):
        _ = narrows.ByteModel().codec_
    with pytest.raises(DataError, match="learns from text"):
        narrows.ByteModel().fit(np.zeros((3, 4)))
    with pytest.raises(DataError, match="are empty"):
        narrows.ByteModel().fit(["", ""])
    with pytest.raises(InvalidParameterError, match="sample_bytes"):
        narrows.ByteModel(sample_bytes=0).fit(LINES)


@pytest.mark.parametrize("asked", [{"psnr": 30}, {"quality": 1}, {"max_error": 1}, {"overlap": 2}, {"effort": 3}])
def test_what_has_no_meaning_is_refused(model, path, asked):
    with pytest.raises(InvalidParameterError, match="no meaning with a model of bytes"):
        narrows.compress(LINES, path, model=model, **asked)
    with pytest.raises(DataError, match="for text"):
        narrows.compress(np.zeros((3, 4)), path, model=model)


# ------------------------------------------------------------------------------------------------- is it worth it?


def test_the_number_from_which_a_model_pays():
    others = [Yardstick("xz", 500, None, again=300), Yardstick(WITHOUT_MODEL, 400, None, again=250)]
    n = pays_after(1000, 50, 2.0, 100, others)

    def saved(n):
        return min(one.n_bytes + (n - 100) * one.again / 100 for one in others) - (1000 + 50 + 2.0 * n)

    assert saved(n - 1) < 0 <= saved(n)
    assert pays_after(1000, 50, 2.6, 100, others) is None


def test_what_others_take_is_measured():
    text = "".join(f"{line}\n" for line in LINES).encode()
    found = {one.name: one for one in yardsticks_of_text(text, len(text))}
    assert found.keys() == {"xz", "zstd", WITHOUT_MODEL}
    assert all(0 < one.again < one.n_bytes for one in found.values())


# -------------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("train.log").write_text("".join(f"{line}\n" for line in LINES[:200]))
    Path("new.log").write_text("".join(f"{line}\n" for line in LINES[200:]))
    call("train", "train.log", "--recipe", "bytes", "-o", "m.safetensors", "-q")


def test_the_verbs_take_it(folder):
    said = call("compress", "new.log", "-m", "m.safetensors", "-o", "new.narrows").stdout
    assert "in groups" in said
    assert f"ratio to {WITHOUT_MODEL}" in said
    call("restore", "new.narrows", "-o", "again.log")
    assert Path("again.log").read_bytes() == Path("new.log").read_bytes()
    call("restore", "new.narrows", "--only", "3:5", "-o", "two.log")
    assert Path("two.log").read_text().splitlines() == LINES[203:205]
    assert "with the model of bytes, in groups" in call("info", "new.narrows").stdout
    assert "200 texts" in call("info", "m.safetensors").stdout
    assert "found in" in call("info", "new.narrows").stdout
    assert "Name a .txt file" in call("restore", "new.narrows", "-o", "again", code=1).stderr
    assert "is intact" in call("verify", "new.narrows").stdout
    call("embed", "new.narrows")
    Path("m.safetensors").unlink()
    call("restore", "new.narrows", "-o", "again.log", "--force")
    assert Path("again.log").read_bytes() == Path("new.log").read_bytes()


def test_the_summary_says_when_the_model_pays(folder):
    said = call("compress", "new.log", "-m", "m.safetensors", "-o", "new.narrows").stdout
    assert "makes a smaller file" in said
    Path("noise.txt").write_text("".join(f"{k * 7919 % 10007:05}\n" for k in range(300)))
    call("train", "noise.txt", "--recipe", "bytes", "-o", "noise.safetensors", "-q")
    Path("many.log").write_text("".join(f"{line}\n" for line in np.random.default_rng(0).permutation(LINES)))
    said = call("compress", "many.log", "-m", "noise.safetensors", "-o", "n.narrows").stdout
    assert "never pays for itself" in said
    assert "`narrows compress many.log -o n.narrows` makes a smaller file without a model" in said
    varied = "".join(f"{k} {line}\n" for k, line in enumerate(LINES))
    Path("varied.log").write_text(varied)
    call("train", "varied.log", "--recipe", "bytes", "-o", "varied.safetensors", "-q")
    said = call("compress", "varied.log", "-m", "varied.safetensors", "-o", "v.narrows").stdout
    assert "archive and model together are smaller than by any of these from about" in said


def test_verbs_that_need_a_code_refuse_it(folder):
    said = call("evaluate", "new.log", "-m", "m.safetensors", code=1).stderr
    assert "needs the model of an autoencoder. m.safetensors is a model of bytes" in said
    said = call("compress", "new.log", "-m", "m.safetensors", "-o", "n.narrows", "--psnr", "3", code=2).stderr
    assert "no meaning" in said
    assert (
        "--epochs has no effect"
        in call("train", "new.log", "--recipe", "bytes", "-o", "n.safetensors", "--epochs", 3, code=2).stderr
    )
    assert (
        "one setting, sample_bytes"
        in call("train", "new.log", "--recipe", "bytes", "-o", "n.safetensors", "--set", "network=dense", code=2).stderr
    )
    with pytest.raises(NotFreezableError, match="no code"):
        read_frozen("m.safetensors")


def test_a_column_of_a_table_comes_back_as_one(folder):
    Path("people.csv").write_text('id,name\n1,emma\n2,"olivia, ""liv"""\n3,\n4,zoë\n')
    call("compress", "people.csv", "--column", "name", "-m", "m.safetensors", "-o", "p.narrows", "-q")
    call("restore", "p.narrows", "-o", "again.csv", "-q")
    assert Path("again.csv").read_text() == 'name\nemma\n"olivia, ""liv"""\n""\nzoë\n'
    assert narrows.data.open("again.csv", column="name").text.texts[1] == b'olivia, "liv"'
    unnamed = call("compress", "people.csv", "-m", "m.safetensors", "-o", "x", code=1).stderr
    assert "a column of texts (--column)" in unnamed


def test_files_of_any_name_and_standard_input_are_lines(folder):
    Path("new.log").rename("syslog")
    call("compress", "syslog", "-m", "m.safetensors", "-o", "s.narrows", "-q")
    data = Path("syslog").read_bytes()
    for command in ("compress - -m m.safetensors -o p.narrows -q", "train - --recipe bytes -o p.safetensors -q"):
        assert CliRunner().invoke(main, command.split(), input=data).exit_code == 0
    assert narrows.restore("p.narrows") == narrows.restore("s.narrows") == data.decode().splitlines()
    Path("x.bin").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(30))
    assert "is unknown" in call("compress", "x.bin", "-m", "m.safetensors", "-o", "x.narrows", code=1).stderr


def test_what_the_summary_tells_of_small_archives_without_a_model_is_nearly_what_they_take(tmp_path):
    lines = [f"https://example.org/{k * 7919 % 9973}?page={k % 5}" for k in range(300)]
    summary = narrows.compress(lines, tmp_path / "m", model=narrows.ByteModel().fit(lines[:100]))
    narrows.compress(lines, tmp_path / "n")
    told = next(one.n_bytes for one in summary.yardsticks if one.name == WITHOUT_MODEL)
    assert abs(told - (tmp_path / "n").stat().st_size) < 40
