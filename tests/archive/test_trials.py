"""What archives of some records would be like, tried without keeping one."""

import numpy as np
import pytest

import narrows
from narrows.archive import trials
from narrows.errors import DataError, InvalidParameterError


def test_each_quality_is_tried_and_is_what_compress_then_writes(ladder_model, digits, path):
    tried = narrows.try_qualities(digits[1], model=ladder_model, max_error=9)
    n = len(ladder_model.codec_.qualities)
    assert [one.quality for one in tried.trials] == [*range(n), None, None]
    assert [one.error_bound for one in tried.trials] == [*[None] * n, 9, 0]
    assert [one.is_default for one in tried.trials].index(True) == ladder_model.codec_.default
    assert (tried.records, tried.sampled, tried.left_out) == (360, 360, ())
    options = [*({"quality": k} for k in (0, n - 1)), {"max_error": 9}, {"lossless": True}]
    for one, how in zip([tried.trials[k] for k in (0, n - 1, n, n + 1)], options, strict=True):
        made = narrows.compress(digits[1], path, model=ladder_model, force=True, **how)
        assert (one.n_bytes, one.bytes_per_record) == (made.n_bytes, made.bytes_per_record)
        assert (one.psnr_db, one.max_error) == (made.psnr_db, made.max_error)
        assert (one.model_bytes, one.seconds > 0) == (made.model_bytes, True)


@pytest.mark.parametrize(
    "asked", [{}, pytest.param({"psnr": 24}, marks=pytest.mark.slow), {"psnr": 24, "max_error": 30}]
)
def test_what_is_chosen_within_a_bound_is_what_compress_then_writes(asked, ladder_model, digits, path):
    made = narrows.compress(digits[1], path, model=ladder_model, **asked)
    (chosen,) = (one for one in narrows.try_qualities(digits[1], model=ladder_model, **asked).trials if one.is_chosen)
    assert chosen.error_bound == made.error_bound
    assert (chosen.n_bytes, chosen.psnr_db, chosen.max_error) == (made.n_bytes, made.psnr_db, made.max_error)


def test_many_records_are_sampled_evenly_and_extrapolated(ladder_model, digits, path, monkeypatch):
    monkeypatch.setattr(trials, "_MOST_RECORDS", 180)
    seen = []
    compress = trials.compress
    monkeypatch.setattr(trials, "compress", lambda x, *a, **k: (seen.append(x.values), compress(x, *a, **k))[1])
    tried = narrows.try_qualities(digits[1], model=ladder_model)
    assert (tried.records, tried.sampled) == (360, 180)
    assert np.array_equal(seen[0][[0, -1]], digits[1][[0, -1]])
    made = narrows.compress(digits[1], path, model=ladder_model, quality=3)
    assert tried.trials[3].n_bytes == pytest.approx(made.n_bytes, rel=0.1)


def test_what_the_records_cannot_have_is_left_out_with_the_reason(small_model, path):
    X = np.random.default_rng(0).normal(size=(20, 6))
    X[3, 2] = np.nan
    with pytest.raises(DataError, match="NaN"):
        narrows.try_qualities(X, model=small_model)
    tried = narrows.try_qualities(X, model=small_model, max_error=0.1)
    assert [one.error_bound for one in tried.trials] == [0.1, 0]
    assert len(tried.left_out) == 1
    assert "NaN" in tried.left_out[0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.narrows"


@pytest.fixture(scope="module")
def small_model():
    X = np.random.default_rng(0).normal(size=(60, 6))
    return narrows.recipe("auto", n_latent=2, training__epochs=1, random_state=0).fit(X)


@pytest.mark.parametrize("bad", [-1, 99, 1.5, True, "fine"])
def test_a_quality_is_the_number_of_one(bad, ladder_model, digits, path):
    with pytest.raises(InvalidParameterError, match=r"'quality' of this model must be a whole number from 0, .* Got"):
        narrows.compress(digits[1], path, model=ladder_model, quality=bad)
    assert not path.exists()


def test_one_thing_chooses_the_quality(ladder_model, digits, path):
    with pytest.raises(InvalidParameterError, match="'psnr' or 'quality', not both"):
        narrows.compress(digits[1], path, model=ladder_model, psnr=14, quality=2)
    with pytest.raises(InvalidParameterError, match="Give 'quality', or 'max_error' or 'lossless', not both"):
        narrows.compress(digits[1], path, model=ladder_model, lossless=True, quality=2)


def test_an_image_in_tiles_is_one_record(ladder_model, digits, path):
    eight = digits[1][:8]
    images = np.block([[eight[0:2], eight[2:4]], [eight[4:6], eight[6:8]]])
    qualities = ladder_model.codec_.qualities
    made = narrows.compress(images, path, model=ladder_model, quality=3)
    found = narrows.archive.inspect(path)
    assert (found.metadata["quality"], found.n_records, found.n_tiles) == (3, 2, 8)
    assert made.ways[0].bytes_per_record == pytest.approx(4 * qualities[3].bytes_per_record, rel=0.3)
    least = 4 * min(one.bytes_per_record for one in qualities)
    with pytest.raises(InvalidParameterError, match=f"must be at least {least:.1f} for images of 4 tiles"):
        narrows.compress(images, path, model=ladder_model, bytes_per_record=1e-6, force=True)
