"""verify says what is wrong and where; recover saves the rest."""

from contextlib import suppress

import numpy as np
import pytest

from narrows.archive import inspect, open_archive, recover, restore, verify
from narrows.archive.layouts import Whole
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    DataNotFoundError,
    OutputExistsError,
    WrongModelError,
)


def damage(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def middle(path, fuzz, block):
    start, stop = fuzz.blocks_of(path.read_bytes())[block]
    return (start + stop) // 2


def saved(path, out, codec):
    recovery = recover(path, out, model=codec)
    with open_archive(out, model=codec) as archive:
        assert verify(out, model=codec).is_intact
        return recovery, archive.read()


def test_nothing_is_wrong(make, codec, records):
    report = verify(make(records), model=codec)
    assert report.is_intact
    assert (report.n_records, report.n_intact, report.n_chunks, report.lost) == (1000, 1000, 4, ())
    assert report.is_restored
    assert not verify(make(records, name="b")).is_restored


def test_every_flipped_byte_is_found(make, codec, records):
    path = make(records[:4], embed_model=True)
    whole = path.read_bytes()
    for at in range(len(whole)):
        damage(path, at)
        with suppress(ArchiveError):
            assert not verify(path, model=codec).is_intact, at
        path.write_bytes(whole)


def test_a_damaged_chunk(make, codec, records, fuzz, tmp_path):
    path = make(records)
    damage(path, middle(path, fuzz, 1))
    report = verify(path)
    assert not report.is_intact
    assert (report.n_records, report.n_intact, report.lost) == (1000, 700, ((300, 600),))
    assert [problem.records for problem in report.problems] == [(300, 600)]
    recovery, found = saved(path, tmp_path / "out", codec)
    assert (recovery.n_records, recovery.n_chunks, recovery.report.lost) == (700, 3, ((300, 600),))
    np.testing.assert_array_equal(found, np.concatenate([records[:300], records[600:]]))


def test_a_damaged_block_header(make, codec, records, fuzz, tmp_path):
    path = make(records)
    damage(path, fuzz.blocks_of(path.read_bytes())[2][0] + 20)
    report = verify(path)
    assert report.lost == ((600, 900),)
    assert [problem.records for problem in report.problems] == [(600, 900)]
    np.testing.assert_array_equal(
        saved(path, tmp_path / "out", codec)[1], np.concatenate([records[:600], records[900:]])
    )


def test_a_cut_file(make, codec, records, fuzz, tmp_path):
    path = make(records)
    path.write_bytes(path.read_bytes()[: middle(path, fuzz, 2)])
    report = verify(path)
    assert (report.n_records, report.n_intact, report.lost) == (None, 600, ((600, 900),))
    np.testing.assert_array_equal(saved(path, tmp_path / "out", codec)[1], records[:600])


def test_bytes_that_went_missing(make, codec, records, fuzz, tmp_path):
    path = make(records)
    at = middle(path, fuzz, 0)
    path.write_bytes(path.read_bytes()[:at] + path.read_bytes()[at + 7 :])
    np.testing.assert_array_equal(saved(path, tmp_path / "out", codec)[1], records[300:])


@pytest.mark.parametrize("at", [0, 5, 8, 18, 30, 200])
def test_a_damaged_header(make, codec, records, tmp_path, at):
    path = make(records)
    damage(path, at)
    with pytest.raises(ArchiveError):
        open_archive(path, model=codec)
    report = verify(path, model=codec)
    assert not report.is_intact
    assert report.n_intact == 1000
    np.testing.assert_array_equal(saved(path, tmp_path / "out", codec)[1], records)


def test_a_lost_model(make, codec, records, fuzz, tmp_path, embedded):
    path = make(records, embed_model=True)
    assert recover(path, tmp_path / "whole").has_model
    damage(path, middle(path, fuzz, 0))
    report = verify(path)
    assert not report.is_restored
    assert (report.n_intact, report.lost) == (1000, ())
    recovery, found = saved(path, tmp_path / "out", codec)
    assert not recovery.has_model
    assert not inspect(tmp_path / "out").has_model
    np.testing.assert_array_equal(found, records)


def test_a_chunk_of_another_archive_is_refused(make, codec, records, fuzz, tmp_path):
    path, other = make(records), make(fuzz.make_records(1000, seed=9), name="other")
    (start, stop), (a, b) = (fuzz.blocks_of(p.read_bytes())[1] for p in (path, other))
    path.write_bytes(path.read_bytes()[:start] + other.read_bytes()[a:b] + path.read_bytes()[stop:])
    report = verify(path, model=codec)
    assert report.lost == ((300, 600),)
    assert "another archive" in str(report.problems)
    np.testing.assert_array_equal(
        saved(path, tmp_path / "out", codec)[1], np.concatenate([records[:300], records[600:]])
    )


def test_records_that_do_not_restore_to_what_was_compressed(tmp_path, codec, records, fuzz):
    path = fuzz.make_archive(tmp_path / "a", codec, records)
    wrong = fuzz.TinyCodec()
    wrong.decode = lambda symbols, quality: codec.decode(symbols, quality) | 1
    assert verify(path).is_intact
    report = verify(path, model=wrong)
    assert report.n_intact == 0
    assert "not restored correctly" in report.problems[0].what
    with open_archive(path, model=wrong) as archive, pytest.raises(CorruptArchiveError, match="not restored correctly"):
        archive[0]


def test_names_are_saved(make, codec, records, fuzz, tmp_path):
    names = [f"{i}.png" for i in range(1000)]
    path = make(records, names=names)
    damage(path, middle(path, fuzz, 0))
    recover(path, tmp_path / "out")
    with open_archive(tmp_path / "out", model=codec) as archive:
        assert archive.names() == names[300:]


def test_parts_of_items_are_not_mixed(make, codec, records, fuzz, tmp_path, monkeypatch):
    class Fours(Whole):
        n_records = 4

    monkeypatch.setattr("narrows.archive.verification.layout_of", lambda _: Fours((16,)))
    path = make(records, chunk_records=250)
    damage(path, middle(path, fuzz, 0))
    report = recover(path, tmp_path / "out").report
    assert report.lost == ((0, 500),)  # the second chunk begins within an item
    assert verify(tmp_path / "out").n_records == 500


def test_nothing_to_recover(make, codec, records, fuzz, tmp_path):
    path = make(records[:100])
    damage(path, middle(path, fuzz, 0))
    with pytest.raises(CorruptArchiveError, match="no records can be recovered"):
        recover(path, tmp_path / "out")
    (tmp_path / "text").write_text("words")
    with pytest.raises(ArchiveError, match="starts with"):
        recover(tmp_path / "text", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_recover_overwrites_nothing_unasked(make, records, tmp_path):
    path = make(records)
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputExistsError):
        recover(path, tmp_path / "out")
    recover(path, tmp_path / "out", force=True)
    assert (tmp_path / "out").read_bytes() == path.read_bytes()


def test_what_cannot_be_verified(make, codec, records, fuzz, tmp_path):
    path = make(records)
    with pytest.raises(WrongModelError):
        verify(path, model=fuzz.TinyCodec(b"another"))
    with pytest.raises(DataNotFoundError):
        verify(tmp_path / "none")


def test_a_model_is_always_given_by_name(make, codec, records, tmp_path):
    path = make(records[:10])
    for attempt in (lambda *given, **named: open_archive(*given, **named).close(), restore, verify):
        with pytest.raises(TypeError, match="positional argument"):
            attempt(path, codec)
        attempt(path, model=codec)
    with pytest.raises(TypeError, match="positional argument"):
        recover(path, tmp_path / "out", codec)
