"""Archives of texts without a model: each byte is predicted from those before it in its chunk."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import narrows
from narrows.archive import inspect, open_archive, recover, verify
from narrows.codec import kernels
from narrows.codec.residual.chunk import decode_chunk
from narrows.errors import CorruptArchiveError, InvalidParameterError

pytestmark = pytest.mark.skipif(kernels.compiled is None, reason="needs the compiled kernels")

LINES = [f"Jun {k // 30 + 1} 10:{k % 60:02}:17 node-{k % 7} app[{k * 37 % 900}]: session opened" for k in range(300)]
PARTS = st.lists(st.sampled_from([b"emma", b"x" * 300, b"\n", b"\r\n", b"\0", b"\xff", "é".encode()]), min_size=1)


@given(parts=PARTS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_lines_come_back(tmp_path, parts):
    (tmp_path / "x.log").write_bytes(b"".join(parts))
    narrows.compress(tmp_path / "x.log", tmp_path / "x.narrows", force=True)
    narrows.restore(tmp_path / "x.narrows", out=tmp_path / "y.log", force=True)
    assert (tmp_path / "y.log").read_bytes() == b"".join(parts)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.archive.texts._CHUNK_BYTES", 4500)
    summary = narrows.compress(LINES, tmp_path / "x.narrows")
    return tmp_path / "x.narrows", summary


def test_lines_are_read_one_by_one_from_chunks(archive):
    path, summary = archive
    found = inspect(path)
    assert (found.n_records, found.n_chunks, found.needs_model, found.has_model) == (300, 4, False, False)
    assert summary.chunks_kept == {"bytes": 4}
    with open_archive(path) as opened:
        assert opened[101] == LINES[101]
        assert opened.read([250, 3]) == [LINES[250], LINES[3]]
        assert list(opened) == LINES
    assert verify(path).is_intact
    assert narrows.restore(path, records=(99, 201)) == LINES[99:201]


def test_they_take_less_than_by_zstd(tmp_path):
    summary = narrows.compress(LINES, tmp_path / "x.narrows")
    assert inspect(tmp_path / "x.narrows").records_bytes < summary.zstd_bytes
    assert summary.raw_bytes == sum(map(len, LINES)) + len(LINES)


def test_the_lines_of_intact_chunks_are_recovered(archive, tmp_path):
    path, _ = archive
    with open_archive(path) as opened:
        offset, n = int(opened._index.offsets[1]), opened.metadata.chunk_records
    data = bytearray(path.read_bytes())
    data[offset + 70] ^= 1
    path.write_bytes(data)
    assert verify(path).n_lost == n
    recover(path, tmp_path / "left.narrows")
    assert narrows.restore(tmp_path / "left.narrows") == LINES[:n] + LINES[2 * n :]


def test_what_is_decoded_wrongly_is_found(archive, monkeypatch):
    path, _ = archive
    monkeypatch.setattr("narrows.archive.chunks.decode_chunk", lambda *given, **more: decode_chunk(*given, **more) + 1)
    with pytest.raises(CorruptArchiveError, match="checksum"):
        narrows.restore(path)


@pytest.mark.parametrize("given", [{"max_error": 1}, {"fill_value": 0, "max_error": 0}, {"as_records": True}])
def test_parameters_without_a_meaning_are_refused(tmp_path, given):
    with pytest.raises(InvalidParameterError, match="has no meaning for the text"):
        narrows.compress(LINES, tmp_path / "x.narrows", **given)


def test_long_texts_are_one_record_if_that_takes_little_memory(tmp_path):
    narrows.compress([*LINES, "y" * 700], tmp_path / "x.narrows")
    assert inspect(tmp_path / "x.narrows").metadata["record_shape"] == [700]
    narrows.compress(["y" * 70_000, *LINES], tmp_path / "x.narrows", force=True)
    assert inspect(tmp_path / "x.narrows").metadata["record_shape"][0] < 300
    assert narrows.restore(tmp_path / "x.narrows") == ["y" * 70_000, *LINES]


def test_what_zstd_takes_is_measured_on_bytes_of_text_not_on_some_short_lines(tmp_path):
    text = bytes(np.random.default_rng(0).integers(97, 123, 1 << 15, dtype=np.uint8))
    for lines in ([b"short", text, b"last"], [text]):
        summary = narrows.compress(lines, tmp_path / "long.narrows", force=True)
        assert summary.zstd_bytes == pytest.approx(len(text) * 0.6, rel=0.1)  # of 26 letters: 0.5876
