"""Archives are written, read and verified by several threads: the same bytes, order and errors as by one."""

import numpy as np
import pytest

import narrows
from narrows.archive import Writer, chunk_encoding, open_archive, verify
from narrows.codec.frozen import FrozenCodec
from narrows.codec.rans import Decoder
from narrows.errors import CorruptArchiveError, InvalidParameterError

pytestmark = pytest.mark.usefixtures("codec_only")

NUMBERS = (1, 2, 3)


@pytest.mark.parametrize("how", [{}, {"max_error": 9}, {"lossless": True}], ids=str)
def test_the_same_bytes_for_any_number_of_threads(digits, codec_model, tmp_path, monkeypatch, how):
    monkeypatch.setattr("narrows.archive.batches._ENCODED_RECORDS", 32)
    written, restored = set(), []
    for threads in NUMBERS:
        path = tmp_path / f"{threads}.narrows"
        summary = narrows.compress(digits[1][:170], path, model=codec_model, chunk_records=50, threads=threads, **how)
        written.add(path.read_bytes())
        restored.append((summary.psnr_db, summary.unlike, summary.max_error))
        for reading in NUMBERS:
            restored[-1] += (narrows.restore(path, model=codec_model, threads=reading).tobytes(),)
            assert verify(path, model=codec_model, threads=reading).is_intact
    assert len(written) == 1
    assert len(set(restored)) == 1


@pytest.mark.parametrize("threads", NUMBERS)
@pytest.mark.parametrize("chosen", [None, slice(100, 900, 7), slice(None, None, -1), [999, 3, 3, 500, 501, 0]], ids=str)
def test_records_come_in_order(make, codec, records, threads, chosen):
    path = make(records, chunk_records=70)
    with open_archive(path, model=codec, threads=threads) as archive:
        expected = records if chosen is None else records[chosen]
        np.testing.assert_array_equal(np.concatenate(list(archive.pieces(chosen))), expected)
        np.testing.assert_array_equal(archive.read(chosen), expected)
        np.testing.assert_array_equal(archive[5], records[5])


def test_one_chunk_is_restored_in_parts(make, codec, fuzz):
    many = fuzz.make_records(5000, seed=2)
    with open_archive(make(many, chunk_records=5000), model=codec, threads=2) as archive:
        pieces = list(archive.pieces(slice(100, None)))
    assert [len(piece) for piece in pieces] == [412, *8 * [512], 392]
    np.testing.assert_array_equal(np.concatenate(pieces), many[100:])


@pytest.mark.parametrize("threads", NUMBERS)
def test_chunks_before_a_damaged_one_are_restored(make, codec, records, threads):
    path = make(records, chunk_records=100)
    content = bytearray(path.read_bytes())
    with open_archive(path, model=codec) as archive:
        content[int(archive._index.offsets[4]) + 40] ^= 1
    path.write_bytes(content)
    found = []
    with (
        open_archive(path, model=codec, threads=threads) as archive,
        pytest.raises(CorruptArchiveError, match="400 to 499"),
    ):
        found.extend(archive.pieces())
    np.testing.assert_array_equal(np.concatenate(found), records[:400])
    assert [problem.records for problem in verify(path, model=codec, threads=threads).problems] == [(400, 500)]


@pytest.mark.parametrize("threads", NUMBERS)
def test_an_error_while_encoding_leaves_no_file(digits, codec_model, tmp_path, monkeypatch, threads):
    encode = chunk_encoding.encode_records

    def encode_records(chunk, first, *settings, **others):
        if first == 100:
            raise OSError("the third chunk")
        return encode(chunk, first, *settings, **others)

    monkeypatch.setattr("narrows.archive.writer.encode_records", encode_records)
    with pytest.raises(OSError, match="the third chunk"):
        narrows.compress(digits[1], tmp_path / "a.narrows", model=codec_model, chunk_records=50, threads=threads)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("threads", NUMBERS)
def test_an_interruption_leaves_no_file(digits, codec_model, tmp_path, monkeypatch, threads):
    monkeypatch.setattr("narrows.archive.batches._ENCODED_RECORDS", 32)

    def interrupt(activity, n_done, n_total, unit):
        assert (activity, n_total, unit) == ("compressing", 360, "records")
        if n_done >= 64:
            raise KeyboardInterrupt

    path = tmp_path / "a.narrows"
    with pytest.raises(KeyboardInterrupt):
        narrows.compress(digits[1], path, model=codec_model, chunk_records=20, threads=threads, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_progress_goes_up_to_all_records(digits, codec_model, tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.archive.batches._ENCODED_RECORDS", 100)
    seen = []
    told = lambda *progress: seen.append(progress[1])  # noqa: E731
    narrows.compress(digits[1], tmp_path / "a.narrows", model=codec_model, threads=3, progress=told)
    assert seen == [100, 200, 300, 360]


@pytest.mark.parametrize("threads", NUMBERS)
def test_a_writer_does_not_go_on_after_a_chunk_that_failed(tmp_path, codec, records, monkeypatch, threads):
    monkeypatch.setattr("narrows.archive.writer.encode_records", lambda *_, **__: 1 / 0)
    writer = Writer(tmp_path / "a.narrows", codec, 0, chunk_records=100, threads=threads)
    with pytest.raises(ZeroDivisionError):
        writer.add(records.astype(np.int32), records)
    with pytest.raises(ZeroDivisionError):
        writer.close()
    assert list(tmp_path.iterdir()) == []


def test_golden_vectors_are_replayed_once_for_each_command(digits, codec_model, tmp_path, monkeypatch):
    path = tmp_path / "a.narrows"
    narrows.compress(digits[1], path, model=codec_model, embed_model=True, chunk_records=20)
    replayed = []
    replay = FrozenCodec._replay
    monkeypatch.setattr(FrozenCodec, "_replay", lambda *given: replayed.append(given) or replay(*given))
    for command in (narrows.restore, verify):
        replayed.clear()
        command(path, threads=3)
        assert len(replayed) == 1


def test_golden_vectors_of_a_model_file_are_replayed_once_in_a_process(codec_model, monkeypatch):
    replayed = []
    replay = FrozenCodec._replay
    monkeypatch.setattr(FrozenCodec, "_replay", lambda *given: replayed.append(given) or replay(*given))
    monkeypatch.setattr("narrows.codec.reproduced._REPRODUCED", {})
    blob = codec_model.codec_.blob
    for n_replayed in (1, 0):
        replayed.clear()
        FrozenCodec.from_bytes(blob)
        assert len(replayed) == n_replayed
    monkeypatch.setattr("narrows.codec.reproduced.kernels_used", lambda: "others")
    FrozenCodec.from_bytes(blob)
    assert len(replayed) == 1, "again for other kernels"


def test_words_that_are_missing_are_told_from_a_thread(make, codec, records, monkeypatch):
    path = make(records, chunk_records=100)

    def finish(decoder):
        raise CorruptArchiveError("A coded message is truncated.")

    monkeypatch.setattr(Decoder, "finish", finish)
    with open_archive(path, model=codec, threads=2) as archive, pytest.raises(CorruptArchiveError):
        list(archive)


@pytest.mark.parametrize("threads", [0, 1.5])
def test_other_numbers_of_threads_are_refused(make, codec, codec_model, records, digits, tmp_path, threads):
    path = make(records)
    for call in (
        lambda: narrows.compress(digits[1], tmp_path / "b.narrows", model=codec_model, threads=threads),
        lambda: narrows.restore(path, model=codec, threads=threads),
        lambda: verify(path, model=codec, threads=threads),
        lambda: open_archive(path, model=codec, threads=threads),
    ):
        with pytest.raises(InvalidParameterError, match="threads"):
            call()
