"""Labels in archives, and codes that are kept beside residuals."""

import contextlib
import gzip
import importlib.util
from pathlib import Path

import numpy as np
import pytest

import narrows
from narrows import errors
from narrows.archive import embed, open_archive, recover, verify
from narrows.archive.labels import pack_labels, parse_labels
from narrows.archive.layout import (
    BLOCK_BYTES,
    BLOCK_MAGIC,
    CRC_BYTES,
    TRAILER_BYTES,
    BlockType,
    Coding,
    pack_crc,
)
from narrows.data import Source
from narrows.uses import SearchIndex

TESTS = Path(__file__).parents[1]
GOLDEN = TESTS / "golden" / "v1"


def _reader():
    """Return the independent reader of archives."""
    spec = importlib.util.spec_from_file_location("archive_decoder", TESTS / "reference" / "archive_decoder.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def labelled(digits):
    return Source(digits[1][:50], np.arange(50) % 7, name="labelled")


@pytest.fixture
def archive(labelled, ladder_model, tmp_path):
    """An archive of three chunks with labels."""
    path = tmp_path / "a.narrows"
    narrows.compress(labelled, path, model=ladder_model, labels="auto", chunk_records=20)
    return path


def labels_of(path, model=None):
    with open_archive(path, model=model) as opened:
        return opened.labels()


@pytest.mark.parametrize(
    "labels", [[1, 2, 1], ["a", "", "ü"], [None, -5, "x"], [2**62] * 3, [*range(300), 7], [None]], ids=str
)
def test_labels_come_back(labels):
    assert parse_labels(pack_labels(labels), len(labels)) == labels


@pytest.mark.parametrize("at", range(0, 30, 3))
def test_damaged_labels_are_an_error_by_name_or_labels(at):
    payload = bytearray(pack_labels(["cat", "dog", 7, None] * 5))
    payload[at] ^= 0x15
    found = None
    with contextlib.suppress(errors.CorruptArchiveError):
        found = parse_labels(bytes(payload), 20)
    assert found is None or len(found) == 20


@pytest.mark.parametrize("forged", [b"", b"\xff\xff\xff\xff", b"\x04\0\0\0null", b"\x05\0\0\0[1.5]", b"\x04\0\0\0[{}]"])
def test_forged_labels_are_refused(forged):
    with pytest.raises(errors.CorruptArchiveError):
        parse_labels(forged, 3)


def test_an_archive_keeps_the_labels_of_its_data(archive, labelled, ladder_model):
    assert labels_of(archive, ladder_model) == labelled.labels.tolist()
    with open_archive(archive, model=ladder_model) as opened:
        assert opened.labels([49, 0]) == [0, 0]
        np.testing.assert_array_equal(opened[3], opened.read([3])[0])
    assert verify(archive, model=ladder_model).is_intact


def test_appended_records_need_labels(archive, labelled, ladder_model, digits):
    narrows.compress(labelled.take([1, 2]), archive, model=ladder_model, append=True)
    assert labels_of(archive, ladder_model)[-2:] == [1, 2]
    narrows.compress(digits[1][:2], archive, model=ladder_model, append=True, labels=["x", "y"])
    assert labels_of(archive, ladder_model)[-2:] == ["x", "y"]
    with pytest.raises(errors.InvalidParameterError, match=r"has no labels\. Give them"):
        narrows.compress(digits[1][:2], archive, model=ladder_model, append=True)


def test_an_archive_without_labels_gets_none(digits, ladder_model, tmp_path):
    narrows.compress(digits[1][:9], tmp_path / "a.narrows", model=ladder_model)
    assert labels_of(tmp_path / "a.narrows", ladder_model) is None
    with pytest.raises(errors.InvalidParameterError, match="has no labels, so records cannot be appended with labels"):
        narrows.compress(digits[1][:1], tmp_path / "a.narrows", model=ladder_model, append=True, labels=[1])


def test_an_archive_that_gets_its_model_keeps_labels(archive, labelled, ladder_model):
    embed(archive, ladder_model)
    assert labels_of(archive) == labelled.labels.tolist()


def test_recovered_records_keep_their_labels(archive, labelled, ladder_model, tmp_path):
    data = bytearray(archive.read_bytes())
    with open_archive(archive, model=ladder_model) as opened:
        second = int(opened._index.offsets[1])
    data[second + 60] ^= 1
    archive.write_bytes(data)
    recover(archive, tmp_path / "b.narrows", model=ladder_model)
    kept = labelled.labels.tolist()
    assert labels_of(tmp_path / "b.narrows", ladder_model) == kept[:20] + kept[40:]


def test_damaged_labels_are_reported_and_records_stay(archive, labelled, ladder_model, tmp_path):
    data = bytearray(archive.read_bytes())
    with open_archive(archive, model=ladder_model) as opened:
        entries = opened._index.entries
        at = int(entries[entries["type"] == BlockType.LABELS]["offset"][1])
    data[at + 45] ^= 1
    archive.write_bytes(data)
    report = verify(archive, model=ladder_model)
    assert [problem.what for problem in report.problems] == [
        "the labels of the records 20 to 39 are damaged: their checksum is wrong; the records themselves are not"
    ]
    assert report.n_intact == 50
    with open_archive(archive, model=ladder_model) as opened:
        assert opened.read().shape == (50, 8, 8)
        with pytest.raises(errors.CorruptArchiveError, match="labels"):
            opened.labels()
    recover(archive, tmp_path / "b.narrows", model=ladder_model)
    kept = labelled.labels.tolist()
    assert labels_of(tmp_path / "b.narrows", ladder_model) == kept[:20] + [None] * 20 + kept[40:]


def test_an_index_that_gives_labels_to_other_records_is_a_defect(archive, ladder_model):
    data = archive.read_bytes()
    with open_archive(archive, model=ladder_model) as opened:
        entry = next(one for one in opened._index.entries if one["type"] == BlockType.LABELS and one["first"])
    forged = entry.copy()
    forged["n_records"] = 10
    start = data.rindex(entry.tobytes())
    index = data.rindex(BLOCK_MAGIC, 0, start)
    data = bytearray(data.replace(entry.tobytes(), forged.tobytes()))
    stop = len(data) - TRAILER_BYTES
    data[stop - CRC_BYTES : stop] = pack_crc(bytes(data[index + BLOCK_BYTES : stop - CRC_BYTES]))
    archive.write_bytes(data)
    with pytest.raises(errors.CorruptArchiveError, match="labels are not at their offset"):
        labels_of(archive, ladder_model)
    (problem,) = verify(archive, model=ladder_model).problems
    assert problem.what == "its index does not match its blocks; the index can be rebuilt from the blocks"


def test_a_rebuilt_index_has_the_labels(archive, labelled, ladder_model):
    archive.write_bytes(archive.read_bytes()[:-10])
    with pytest.warns(errors.DataWarning, match="end of"):
        assert labels_of(archive, ladder_model) == labelled.labels.tolist()


def test_another_reader_finds_the_same_labels_and_records():
    path, reader = GOLDEN / "ladder-labels.narrows", _reader()
    with open_archive(path) as opened:
        assert reader.labels(path) == opened.labels() == [*map(str, range(-1, 13)), *"zwölf Möwen, 1 2", *[2**62] * 10]
        np.testing.assert_array_equal(reader.read(path), opened.read())
        codings = [reader.block_of(found, one).coding for found in [reader.open_archive(path)] for one in found.chunks]
    assert Coding.RESIDUAL_BESIDE_CODE in codings


def test_codes_are_kept_for_search_beside_residuals_that_need_none(digits, ladder_model, tmp_path, rng):
    noise = rng.integers(0, 256, (40, 8, 8)).astype(np.uint8)
    sizes = {}
    for keep_codes in (False, True):
        path = tmp_path / f"{keep_codes}.narrows"
        narrows.compress(noise, path, model=ladder_model, lossless=True, keep_codes=keep_codes, embed_model=True)
        np.testing.assert_array_equal(narrows.restore(path), noise)
        assert verify(path).is_intact
        sizes[keep_codes] = path.stat().st_size
    assert sizes[True] > sizes[False]
    found = SearchIndex.load(tmp_path / "True.narrows", ladder_model)
    assert found.query(noise, 1)[1][:, 0].tolist() == list(range(40))
    with pytest.raises(errors.ArchiveError, match="keep-codes"):
        SearchIndex.load(tmp_path / "False.narrows", ladder_model)
    narrows.compress(noise[:3], path, model=ladder_model, append=True)
    assert len(SearchIndex.load(path, ladder_model)) == 43
    with pytest.raises(errors.InvalidParameterError, match="without codes"):
        narrows.compress(noise[:3], tmp_path / "False.narrows", model=ladder_model, append=True, keep_codes=True)


def test_labels_in_an_archive_filter_a_search(archive, labelled, ladder_model):
    found = SearchIndex.load(archive, ladder_model).query(labelled, 3, label=4)
    assert (labelled.labels[found[1]] == 4).all()


@pytest.mark.parametrize("kind", ["npy", "idx", "lines", "words"])
def test_labels_are_read_from_files(kind, digits, ladder_model, tmp_path):
    expected = ["a", "b c", "ü"] if kind == "words" else [3, 1, 2]
    file = tmp_path / kind
    if kind == "npy":
        np.save(tmp_path / "npy.npy", np.array(expected))
        file = tmp_path / "npy.npy"
    elif kind == "idx":
        file.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 3, *expected])))
    else:
        file.write_text("\n".join(map(str, expected)) + "\n", "utf-8")
    narrows.compress(digits[1][:3], tmp_path / "a.narrows", model=ladder_model, labels=file)
    assert labels_of(tmp_path / "a.narrows", ladder_model) == expected


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        ([1, 2], errors.ShapeMismatchError),
        ("auto", errors.InvalidParameterError),
        ("none.npy", errors.DataNotFoundError),
        ([1, None, 2], errors.DataError),
    ],
    ids=str,
)
def test_wrong_labels_are_refused_and_nothing_is_written(labels, error, digits, ladder_model, tmp_path):
    with pytest.raises(error):
        narrows.compress(digits[1][:3], tmp_path / "a.narrows", model=ladder_model, labels=labels)
    assert not list(tmp_path.iterdir())
