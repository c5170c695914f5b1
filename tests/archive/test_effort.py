"""More effort makes archives smaller at the same quality; decoder and format stay as they are."""

import itertools

import numpy as np
import pytest

import narrows
from narrows.archive.dial import best_within, smallest_reaching
from narrows.archive.encoder import ModelEncoder
from narrows.archive.layout_choice import layout_for
from narrows.archive.record_sample import RecordSample
from narrows.codec.freezing.refinement import Refinement
from narrows.errors import InvalidParameterError
from narrows.model.precision import in_float64


@pytest.fixture(scope="module")
def digits():
    return narrows.data.open("digits:test").values[:60]


@pytest.fixture(scope="module")
def model():
    made = narrows.recipe("codec", likelihood__psnr=20, training__epochs=6, n_latent=8, random_state=0)
    return made.set_params(network="dense", network__widths=(64,)).fit("digits:train")


@pytest.fixture(scope="module")
def by_steps():
    """Return a model whose codes get a step for each latent dimension, of real numbers with missing values."""
    table = np.random.default_rng(0).normal(size=(300, 3)) @ np.random.default_rng(1).normal(size=(3, 12))
    table[::7, 2] = -999
    made = narrows.recipe("auto", n_latent=4, fill_value=-999, training__epochs=3, random_state=0)
    return made.fit(table.astype(np.float32)), table[:50].astype(np.float32)


def refinement(model, quality):
    return Refinement(in_float64(model.chain_), model.codec_, quality)


def squared_error(model, records, symbols, quality):
    return np.square(model.codec_.decode(symbols, quality).astype(float) - records).sum()


def test_no_effort_is_the_default_and_changes_no_byte(model, digits, tmp_path):
    one = narrows.compress(digits, tmp_path / "a.narrows", model=model)
    other = narrows.compress(digits, tmp_path / "b.narrows", model=model, effort=0)
    assert (tmp_path / "a.narrows").read_bytes() == (tmp_path / "b.narrows").read_bytes()
    assert one.effort == other.effort == 0


def test_rate_and_distortion_of_no_record_rise_and_each_effort_is_as_good_as_the_lower_ones(model, digits):
    quality = model.codec_.default
    made, symbols = refinement(model, quality), model.quantise(digits, quality)
    costs = [made.costs(digits, made.refined(digits, symbols, effort)) for effort in range(10)]
    assert all((higher <= lower).all() for lower, higher in itertools.pairwise(costs))
    assert costs[9].mean() < 0.97 * costs[0].mean()


def test_the_cost_is_that_of_the_entropy_model_and_of_the_integer_decoder(model, digits):
    quality = model.codec_.default
    made, symbols = refinement(model, quality), model.quantise(digits, quality)
    refined = made.refined(digits, symbols, 9)
    bits = [model.codec_.qualities[quality].entropy.bits(one).sum() for one in (symbols, refined)]
    errors = [squared_error(model, digits, one, quality) / model.codec_.peak**2 for one in (symbols, refined)]
    costs = [made.costs(digits, one).sum() for one in (symbols, refined)]
    assert costs[0] - costs[1] == pytest.approx(bits[0] - bits[1] + made.rate * (errors[0] - errors[1]))


def test_an_archive_with_effort_takes_fewer_bytes_at_a_psnr_and_is_restored_the_same_way(model, digits, tmp_path):
    quality = model.codec_.default
    plain = [narrows.compress(digits, tmp_path / f"{k}", model=model, quality=k) for k in (quality, quality + 1)]
    refined = narrows.compress(digits, tmp_path / "r", model=model, quality=quality, effort=9)
    slope = (plain[1].n_bytes - plain[0].n_bytes) / (plain[1].psnr_db - plain[0].psnr_db)
    same_psnr = plain[0].n_bytes + slope * (refined.psnr_db - plain[0].psnr_db)
    assert refined.psnr_db >= plain[0].psnr_db
    assert refined.n_bytes < 0.97 * same_psnr
    restored = narrows.restore(tmp_path / "r", model=model).astype(float)
    assert 10 * np.log10(model.codec_.peak**2 / np.square(restored - digits).mean()) == pytest.approx(refined.psnr_db)


@pytest.mark.parametrize("sizes", [(1, 59), (17, 17, 17, 9)])
def test_symbols_do_not_depend_on_how_records_are_split_into_batches(model, digits, sizes):
    quality = model.codec_.default
    made, symbols = refinement(model, quality), model.quantise(digits, quality)
    together = made.refined(digits, symbols, 9)
    ends = np.cumsum(sizes)
    parts = [made.refined(digits[e - n : e], symbols[e - n : e], 9) for n, e in zip(sizes, ends, strict=True)]
    assert np.array_equal(np.concatenate(parts), together)


def test_the_archive_does_not_depend_on_the_number_of_threads(model, digits, tmp_path):
    for threads in (1, 2):
        narrows.compress(digits, tmp_path / f"{threads}", model=model, effort=3, threads=threads)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_missing_values_do_not_count(by_steps):
    model, records = by_steps
    made, quality = refinement(model, 3), 3
    symbols = model.quantise(records, quality)
    filled = np.where(records == -999, np.float32(0), records)
    others = made.costs(filled, symbols)
    refined = made.refined(records, symbols, 9)
    assert (made.costs(records, symbols) <= others).all()
    assert made.costs(records, refined).sum() < made.costs(records, symbols).sum()


def codes(model, digits, effort):
    """Return some digits, and what codes refined with an effort take for them."""
    encoder, source = ModelEncoder(model, effort=effort), narrows.data.open(digits)
    return RecordSample(encoder, source, layout_for(source, model.codec_, None, None), (0.0, 255.0))


def test_with_a_psnr_a_coarser_quality_is_taken_if_it_reaches_the_psnr_now(model, digits, tmp_path):
    wanted = narrows.compress(digits, tmp_path / "a", model=model, quality=len(model.codec_.qualities) - 1).psnr_db
    plain, refined = (codes(model, digits, effort) for effort in (0, 9))
    (plain,), (refined,) = (smallest_reaching(one, wanted, 0, has_bounds=False) for one in (plain, refined))
    assert refined.quality < plain.quality
    assert refined.bytes_per_record < 0.95 * plain.bytes_per_record
    assert refined.psnr_db > wanted - 0.3


def test_with_a_size_a_finer_quality_may_be_taken(model, digits):
    each = model.codec_.qualities[1].bytes_per_record
    (plain,), (refined,) = (best_within(codes(model, digits, effort), each, 1, has_bounds=False) for effort in (0, 9))
    assert refined.psnr_db > plain.psnr_db
    assert refined.quality >= plain.quality


def test_trials_know_the_effort(model, digits):
    plain, refined = (narrows.try_qualities(digits[:15], model=model, effort=effort) for effort in (0, 9))
    for one, other in zip(plain.trials, refined.trials, strict=True):
        if one.quality is not None:
            assert other.psnr_db > one.psnr_db or other.n_bytes < one.n_bytes
        else:
            assert other.n_bytes == one.n_bytes


@pytest.mark.parametrize("effort", [-1, 10, 1.5, True, "9", None])
def test_other_efforts_are_refused(model, digits, tmp_path, effort):
    with pytest.raises(InvalidParameterError, match="whole number from 0 to 9"):
        narrows.compress(digits, tmp_path / "a", model=model, effort=effort)


@pytest.mark.parametrize("bound", [{"lossless": True}, {"max_error": 1}])
def test_an_effort_is_refused_with_a_bound(model, digits, tmp_path, bound):
    with pytest.raises(InvalidParameterError, match="no effect with an error bound"):
        narrows.compress(digits, tmp_path / "a", model=model, effort=1, **bound)


def test_an_effort_is_refused_for_indices_of_codewords(digits, tmp_path):
    model = narrows.recipe("vq-vae", training__epochs=1, random_state=0).fit(digits)
    with pytest.raises(InvalidParameterError, match="indices of codewords"):
        narrows.compress(digits, tmp_path / "a", model=model, effort=1)
    assert ModelEncoder(model).effort == 0
