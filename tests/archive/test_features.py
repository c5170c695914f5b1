"""Must-understand features: a writer sets a bit where metadata change what bytes mean; a reader without it refuses."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import narrows
from narrows.archive import features, inspect, layout, verify
from narrows.archive.features import Feature
from narrows.archive.layouts import Layout
from narrows.errors import ArchiveError, CorruptArchiveError

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"


def bits_of(path):
    return struct.unpack_from("<I", Path(path).read_bytes(), 12)[0]


def with_bits(path, bits):
    """Give an archive other bits, with a checksum that is right, in its header and in the copy of it."""
    data = path.read_bytes()
    header = data[: 24 + struct.unpack_from("<I", data, 16)[0]]
    changed = header[:12] + struct.pack("<I", bits) + header[16:-4]
    path.write_bytes(changed + struct.pack("<I", zlib.crc32(changed)) + data[len(header) :])


@pytest.fixture
def images(digits):
    """Return 3 images of 20×27 made of digits."""
    rows = digits[1][: 3 * 12].reshape(3, 3, 4, 8, 8).swapaxes(2, 3).reshape(3, 24, 32)
    return np.ascontiguousarray(rows[:, :20, :27])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.narrows"


KINDS = {
    "records": ({}, 0),
    "records of the coarsest quality": ({"quality": 0}, 0),
    "records with their model": ({"embed_model": True}, 0),
    "tiles": ({}, Feature.TILES),
    "tiles that overlap": ({"overlap": 2}, Feature.TILES),
    "records within a bound": ({"max_error": 3}, Feature.BOUND),
    "records within a share of their range": ({"max_error": "1%"}, Feature.BOUND),
    "records, lossless": ({"lossless": True}, Feature.BOUND),
    "tiles, lossless, with their model": ({"lossless": True, "embed_model": True}, Feature.TILES | Feature.BOUND),
}


@pytest.mark.parametrize("kind", KINDS)
def test_those_archives_have_a_bit_that_need_it(ladder_model, digits, images, path, kind):
    how, expected = KINDS[kind]
    records = images if "tiles" in kind else digits[1][:30]
    narrows.compress(records, path, model=ladder_model, **how)
    assert bits_of(path) == expected | Feature.PARTS
    narrows.compress(records, path, model=ladder_model, append=True)
    assert bits_of(path) == expected | Feature.PARTS
    restored = narrows.restore(path, model=ladder_model)
    np.testing.assert_array_equal(*np.split(restored, 2))
    assert verify(path, model=ladder_model).is_intact


def test_names_of_files_need_none(ladder_model, digits, path, tmp_path):
    for i in range(3):
        Image.fromarray(digits[1][i]).save(tmp_path / f"{i}.png")
    narrows.compress(tmp_path, path, model=ladder_model)
    assert bits_of(path) == Feature.PARTS


@pytest.mark.parametrize("fixture", ["codec_model", "map_model", "table_model"])
def test_no_kind_of_code_needs_one(request, digits, large_digits, table, path, fixture):
    records = {"codec_model": digits[1], "map_model": large_digits[1], "table_model": table}[fixture][:20]
    narrows.compress(records, path, model=request.getfixturevalue(fixture), embed_model=True)
    assert bits_of(path) == Feature.PARTS


def test_every_feature_has_its_entry_and_its_name():
    for feature in Feature:
        entry = features._NEEDED_BY[feature]
        assert features.features_of({entry: {}}) == feature
        assert features.features_of({entry: None}) == 0
        assert features._NAMES[feature]
        assert feature & features.READ


@pytest.mark.parametrize("entry", Layout.registry)
def test_every_layout_has_a_feature(entry):
    """Otherwise an older reader would restore its records as if they were the items."""
    assert features.features_of({entry: {}})


def test_golden_archives_were_written_without_bits_and_are_read():
    archives = [path for path in sorted(GOLDEN.glob("*.narrows")) if "parts" not in inspect(path).metadata]
    assert all(bits_of(archive) == 0 for archive in archives)
    assert any(inspect(archive).metadata["tiling"] for archive in archives)
    assert any("max_error" in inspect(archive).metadata for archive in archives)


# A reader that does not know a bit


@pytest.mark.parametrize(
    ("how", "known", "name"),
    [
        ({}, Feature.BOUND | Feature.PARTS, "tiles"),
        ({"lossless": True}, Feature.TILES | Feature.PARTS, "a bound on errors"),
        ({"lossless": True}, Feature.PARTS, "tiles and a bound on errors"),
        ({"embed_model": True}, Feature.TILES, "a model in parts"),
    ],
)
def test_a_reader_that_does_not_know_a_feature_names_it(ladder_model, images, path, monkeypatch, how, known, name):
    narrows.compress(images, path, model=ladder_model, **how)
    monkeypatch.setattr(features, "READ", known)
    for read in (narrows.restore, narrows.open_archive, verify, lambda path, model: inspect(path)):
        with pytest.raises(
            ArchiveError,
            match=f"it uses {name}, which this version of narrows does not support. "
            rf"It was written by narrows {narrows.__version__}\. Upgrade narrows.$",
        ) as raised:
            read(path, model=ladder_model)
        assert type(raised.value) is ArchiveError
        assert str(path) in str(raised.value)


def test_a_bit_of_the_future_is_refused_by_its_number_and_by_who_wrote_it():
    metadata = {"narrows": "9.7", "streams": {}}
    header = bytearray(layout.pack_header(metadata)[:-4])
    header[12:16] = struct.pack("<I", 1 << 30 | 1 << 31)
    header += layout.pack_crc(bytes(header))
    with pytest.raises(ArchiveError, match=r"uses feature 30 and feature 31, .*not support.*narrows 9\.7. Upgrade"):
        layout.parse_header(bytes(header))


@pytest.mark.parametrize("version", [None, 7, "x" * 10_000])
def test_a_version_that_is_none_makes_no_difference(version):
    with pytest.raises(ArchiveError, match="feature 30") as raised:
        features.check_features(1 << 30, {"narrows": version})
    assert len(str(raised.value)) < 200


def test_all_of_an_archive_of_the_future_is_refused(ladder_model, digits, path, tmp_path):
    narrows.compress(digits[1][:9], path, model=ladder_model)
    with_bits(path, 1 << 30)
    for read in (narrows.restore, narrows.open_archive):
        with pytest.raises(ArchiveError, match="feature 30"):
            read(path, model=ladder_model)
    with pytest.raises(ArchiveError, match="feature 30"):
        narrows.compress(digits[1][:9], path, model=ladder_model, append=True)


@pytest.mark.parametrize(("bit", "name"), [(Feature.TILES, "tiles"), (Feature.BOUND, "a bound on errors")])
def test_a_bit_without_what_it_stands_for_is_damage(ladder_model, digits, path, bit, name):
    narrows.compress(digits[1][:9], path, model=ladder_model)
    with_bits(path, bit)
    with pytest.raises(CorruptArchiveError, match=f"header declares {name}"):
        narrows.restore(path, model=ladder_model)
