"""What an archive says of itself: where its bytes are, its images, and the quality to expect."""

import copy
import json

import numpy as np
import pytest

import narrows
from narrows.archive import expected_psnr_db, inspect, is_archive, recover, verify
from narrows.archive.layouts import Tiling
from narrows.archive.quality import coarser_qualities
from narrows.errors import CorruptArchiveError, DataNotFoundError

pytestmark = pytest.mark.usefixtures("codec_only")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.narrows"


@pytest.fixture
def photos(digits):
    return digits[1][: 7 * 6].reshape(7, 2, 3, 8, 8).swapaxes(2, 3).reshape(7, 16, 24)


def test_bytes_that_do_not_depend_on_the_records_are_those_of_neither_records_nor_model(ladder_model, digits, path):
    narrows.compress(digits[1], path, model=ladder_model, embed_model=True)
    found = inspect(path)
    assert found.fixed_bytes == found.header_bytes + found.index_bytes + found.other_bytes
    assert (found.tiling, found.n_tiles, found.bytes_per_tile) == (None, None, None)
    assert found.to_json()["n_tiles"] is None


def test_images_in_tiles_are_counted(ladder_model, photos, path):
    narrows.compress(photos, path, model=ladder_model, overlap=0)
    found = inspect(path)
    assert found.tiling == Tiling((16, 24), (8, 8), 0)
    assert (found.n_tiles, found.n_records) == (42, 7)
    assert found.bytes_per_record == pytest.approx(6 * found.bytes_per_tile) == found.n_bytes / 7
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["n_records"] == 7


def test_the_psnr_to_expect_is_that_of_the_model_inside(ladder_model, digits, path):
    codec = ladder_model.codec_
    for quality in codec.qualities[:2]:
        most = {"bytes_per_record": quality.bytes_per_record}
        made = narrows.compress(digits[1], path, model=ladder_model, embed_model=True, force=True, **most)
        assert expected_psnr_db(path) == made.expected_psnr_db
    narrows.compress(digits[1], path, model=ladder_model, force=True)
    assert expected_psnr_db(path) is None
    narrows.compress(digits[1], path, model=ladder_model, embed_model=True, max_error=3, force=True)
    assert expected_psnr_db(path) is None


def test_of_a_damaged_model_nothing_is_to_be_expected(ladder_model, digits, path):
    narrows.compress(digits[1], path, model=ladder_model, embed_model=True)
    data = bytearray(path.read_bytes())
    data[inspect(path).header_bytes + 100] ^= 1
    path.write_bytes(data)
    assert expected_psnr_db(path) is None
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(CorruptArchiveError, match=r"a\.narrows"):
        expected_psnr_db(path)
    with pytest.raises(DataNotFoundError):
        expected_psnr_db(path.with_name("b.narrows"))


def test_an_archive_is_known_by_its_first_bytes(ladder_model, digits, path, tmp_path):
    narrows.compress(digits[1], path, model=ladder_model)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\r\n", b"\n", 1))  # damaged, but still an archive
    np.save(tmp_path / "x.npy", digits[1])
    (tmp_path / "empty").touch()
    names = ("a.narrows", "x.npy", "empty", "missing", ".")
    assert [is_archive(tmp_path / name) for name in names] == [True, False, False, False, False]


def test_coarser_qualities_lie_below_the_default(ladder_model):
    codec = ladder_model.codec_
    middle, coarsest = coarser_qualities(codec)
    assert coarsest is codec.qualities[0]
    assert middle in codec.qualities[1 : codec.default]
    half = codec.qualities[codec.default].bytes_per_record / 2
    others = [abs(one.bytes_per_record - half) for one in codec.qualities[: codec.default]]
    assert abs(middle.bytes_per_record - half) == min(others)


@pytest.mark.parametrize(("default", "n"), [(0, 0), (1, 1)])
def test_below_the_coarsest_quality_there_is_none(ladder_model, default, n):
    codec = copy.copy(ladder_model.codec_)
    codec.default = default
    assert coarser_qualities(codec) == list(codec.qualities[:n])


def test_reports_are_json(ladder_model, digits, path, tmp_path):
    narrows.compress(digits[1], path, model=ladder_model)
    narrows.compress(digits[1][:50], path, model=ladder_model, append=True)
    data = bytearray(path.read_bytes())
    data[inspect(path).header_bytes + 60] ^= 1
    path.write_bytes(data)
    report = verify(path)
    said = json.loads(json.dumps(report.to_json(), allow_nan=False))
    (problem,) = report.problems
    assert said["problems"] == [{"offset": problem.offset, "what": problem.what, "records": [0, 360]}]
    assert (said["lost"], said["n_intact"]) == ([[0, 360]], 50)
    saved = recover(path, tmp_path / "saved.narrows").to_json()
    assert (saved["n_records"], saved["report"]) == (50, report.to_json())
    json.dumps(saved, allow_nan=False)
