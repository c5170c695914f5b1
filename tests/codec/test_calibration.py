"""Freezing a trained model: ladders of qualities that make sense, at the cost that they promise."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

import narrows
from narrows.archive.quality import choose_quality
from narrows.bottlenecks import Plain
from narrows.bottlenecks.logistic_prior import LogisticPrior
from narrows.bottlenecks.vector_quantised import VectorQuantisedModule
from narrows.chain import Chain, Parts
from narrows.codec.entropy_models import MAX_SYMBOL, Autoregressive, Independent
from narrows.codec.freezing.calibration import freeze
from narrows.codec.freezing.distortion import MeasuredDistortion
from narrows.codec.freezing.hull import lower_hull
from narrows.codec.freezing.translation import TRANSLATIONS
from narrows.codec.operating_point import to_symbols
from narrows.errors import InvalidParameterError, NotFreezableError
from narrows.estimators.recipes import RECIPES
from narrows.likelihoods import Normal
from narrows.model.inference import decode, encode_continuous, to_stored
from narrows.networks import Convolutional, Dense, Strided
from narrows.numerics.psnr import psnr_db
from narrows.training import Adam

pytestmark = pytest.mark.usefixtures("codec_only")

MOST_DB = 0.05
"""What whole numbers may cost."""


def mean_psnr(model, restored, records):
    error = restored.astype(np.float64) - records.astype(np.float64)
    return psnr_db(float(np.square(error).mean()), model.codec_.peak)


def freezing_costs(model, records, quality):
    """Return by how many dB the integer decoder is worse than the network, at the same symbols."""
    symbols = model.quantise(records, quality)
    codes = symbols * model.codec_.qualities[quality].steps
    if isinstance(model.chain_.bottleneck, VectorQuantisedModule):  # symbols are no code in steps, but stand for one
        codes = model.chain_.bottleneck.symbols_to_z(torch.from_numpy(symbols)).flatten(1).numpy()
    network = to_stored(decode(model.chain_, codes.astype(np.float64)), model.dtype_)
    integers = model.codec_.decode(symbols, quality)
    return mean_psnr(model, network, records) - mean_psnr(model, integers, records)


# Ladders


@pytest.mark.parametrize("name", ["ladder_model", "table_model"])
def test_a_ladder_goes_from_coarse_to_fine(request, name):
    model = request.getfixturevalue(name)
    qualities = model.codec_.qualities
    assert 4 <= len(qualities) <= 10
    for coarse, fine in itertools.pairwise(qualities):
        assert coarse.psnr_db < fine.psnr_db
        assert coarse.bytes_per_record < fine.bytes_per_record
        assert (coarse.steps >= fine.steps).all()
    best = qualities[-1].psnr_db
    usual = model.codec_.default
    assert qualities[usual].psnr_db >= best - 0.1
    assert all(quality.psnr_db < best - 0.1 for quality in qualities[:usual]), "the coarsest that is near the best"


@pytest.mark.parametrize("name", ["codec_model", "map_model"])
def test_a_rounded_code_has_steps_far_coarser_and_finer_than_the_one_that_it_was_trained_for(request, name):
    codec = request.getfixturevalue(name).codec_
    steps = np.array([quality.steps for quality in codec.qualities])
    assert (steps == steps[:, :1]).all(), "one step for all numbers of a code"
    assert (np.diff(steps[:, 0]) < 0).all()
    assert steps[0, 0] >= 8 * steps[-1, 0]
    assert steps[0, 0] > steps[codec.default, 0] > steps[-1, 0]


@pytest.mark.parametrize("name", ["ladder_model", "table_model", "codec_model", "map_model"])
def test_every_quality_but_the_one_trained_for_lies_on_the_lower_hull_of_bytes_and_squared_error(request, name):
    codec = request.getfixturevalue(name).codec_
    qualities, trained = codec.qualities, codec.default if name in {"codec_model", "map_model"} else None
    size, error = np.array([(one.bytes_per_record, 10 ** (-one.psnr_db / 10)) for one in qualities]).T
    assert len(size) >= 4
    assert (np.diff(size) > 0).all()
    assert (np.diff(error) < 0).all()
    others = [place for place in range(len(size)) if place != trained]
    for first, middle, last in itertools.combinations(others, 3):
        assert size[middle] <= 1.01 * np.interp(-error[middle], -error[[first, last]], size[[first, last]])


def test_the_step_that_a_model_was_trained_for_is_offered_above_the_hull_but_not_if_another_is_better():
    """Of a code whose numbers lie near integers the trained step, 1.19, takes 4 % more bytes than the hull there."""
    points = [(39.75, 21.57), (44.81, 22.72), (53.19, 23.60), (55.84, 24.26), (61.85, 24.71)]
    assert lower_hull(points) == [0, 1, 3, 4]
    assert lower_hull(points, trained=2) == [0, 1, 2, 3, 4]
    assert lower_hull([*points, (53.0, 23.7)], trained=2) == [0, 1, 3, 4]


@pytest.fixture(scope="module")
def dark_tiles():
    """Return 200 dark images of 16×16×3 with little detail."""
    rng = np.random.default_rng(0)
    blocks = rng.gamma(2.0, 9.0, (200, 4, 4, 3)).clip(0, 120)
    return (np.kron(blocks, np.ones((1, 4, 4, 1))) + rng.normal(0, 2, (200, 16, 16, 3))).clip(0, 255).astype(np.uint8)


def test_the_usual_quality_of_a_badly_trained_model_has_the_fewest_bytes_at_the_wanted_psnr(dark_tiles):
    network = Strided(channels=(6, 8), depth=0, code_channels=4, output_activation="sigmoid", start_at_mean=True)
    model = narrows.recipe("codec", network=network, likelihood__psnr=15.0, training__epochs=1, random_state=0)
    codec = model.fit(dark_tiles).codec_
    assert codec.qualities[0].psnr_db > 20, "far more than the model was trained for, even by its mean alone"
    assert codec.default == 0


def test_what_was_measured_is_what_training_data_give(ladder_model, codec_model, table_model, table, digits):
    for model, records in ((ladder_model, digits[0]), (codec_model, digits[0]), (table_model, table)):
        codec = model.codec_
        for position, quality in enumerate(codec.qualities):
            symbols = model.quantise(records, position)
            restored = codec.decode(symbols, position)
            # Measured on about a thousand of them.
            assert mean_psnr(model, restored, records) == pytest.approx(quality.psnr_db, abs=0.15)
            assert quality.entropy.bits(symbols).mean() / 8 == pytest.approx(quality.bytes_per_record, rel=0.03)
            mse = np.square(restored - records.astype(np.float64)).reshape(len(records), -1).mean(1)
            assert (mse > quality.mse_limit).mean() < 0.005


def test_the_usual_quality_of_a_rounded_code_is_the_one_it_was_trained_for(codec_model, digits):
    codec = codec_model.codec_
    usual = codec.qualities[codec.default]
    assert usual.psnr_db == pytest.approx(14.0, abs=0.1)
    assert 0.5 <= usual.steps[0] <= 2
    finer, coarser = codec.qualities[codec.default + 1], codec.qualities[codec.default - 1]
    assert coarser.psnr_db < 14 < finer.psnr_db
    assert coarser.bytes_per_record < usual.bytes_per_record < finer.bytes_per_record
    restored = codec.decode(codec_model.quantise(digits[0], codec.default), codec.default)
    assert mean_psnr(codec_model, restored, digits[0]) == pytest.approx(14.0, abs=0.15)


def linear_chain(gains, likelihood=None):
    """Return a chain whose decoder is diagonal with these factors, and whose encoder nearly undoes it."""
    n = len(gains)
    parts = Parts(n, Dense(widths=()), Plain(), likelihood or Normal())
    chain = Chain(parts, (n,), np.dtype(np.float32), torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        for network, factors in ((chain.encoder, 0.9 / np.array(gains)), (chain.decoder, np.array(gains))):
            (layer,) = [module for module in network.modules() if isinstance(module, nn.Linear)]
            layer.weight.copy_(torch.diag(torch.from_numpy(factors)))
            layer.bias.zero_()
    return chain


def test_numbers_that_matter_more_get_finer_steps():
    """For a diagonal decoder g_d is the factor squared, and Δ_d = c / √g_d makes the same error of each number."""
    gains = np.array([1.0, 2.0, 8.0, 0.25])
    chain = linear_chain(gains)
    records = np.random.default_rng(0).normal(size=(2000, 4)).astype(np.float32)
    codes = 0.9 * records / gains
    distortion = MeasuredDistortion(chain, torch.from_numpy(codes).float(), records)
    np.testing.assert_allclose(distortion.gains(), gains**2, rtol=0.15)
    codec = freeze(chain, records, peak=6.0)
    assert len(codec.qualities) > 4
    for position, quality in enumerate(codec.qualities):
        errors = quality.steps * gains
        np.testing.assert_allclose(errors / errors.mean(), 1, rtol=0.1)
        added = np.square(codec.decode(to_symbols(codes, quality.steps), position) - 0.9 * records).mean(0)
        if position > 3:  # where steps are small, their error is that of a uniform distribution
            np.testing.assert_allclose(added, np.square(errors) / 12, rtol=0.1)


def test_a_number_that_says_nothing_costs_nothing():
    gains = np.array([1.0, 1.0, 1e-9])
    chain = linear_chain(gains)
    rng = np.random.default_rng(0)
    records = (rng.normal(size=(1000, 3)) * [1, 1, 1e-9]).astype(np.float32)
    codec = freeze(chain, records + 0.01 * rng.normal(size=records.shape).astype(np.float32), peak=6.0)
    for quality in codec.qualities:
        symbols = to_symbols(records / gains, quality.steps)
        assert (symbols[:, 2] == 0).all()
        others = symbols.copy()
        others[:, 2] = 0
        first = quality.entropy.bits(others).mean()
        others[:, :2] = 0
        assert quality.entropy.bits(others).mean() < first + 0.1


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_a_nearly_exact_model_has_coarse_qualities_too(noise):
    rng = np.random.default_rng(0)
    records = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 10)) + noise * rng.normal(size=(300, 10))
    codec = narrows.recipe("auto", n_latent=3, training__epochs=1).fit(records).codec_
    measured = [quality.psnr_db for quality in codec.qualities]
    assert min(measured) < 30
    assert max(measured) > 90
    assert codec.default >= len(measured) - 4, "quantisation adds next to nothing to the error of the default"
    for psnr in (30, 40, 50, 60):
        chosen = codec.qualities[choose_quality(codec, psnr=psnr)]
        assert psnr <= chosen.psnr_db < psnr + 4
        assert chosen.bytes_per_record < 3


def test_training_data_that_are_all_the_same_have_one_quality_and_cost_nothing():
    records = np.full((50, 4), 3.5, np.float32)
    model = narrows.Autoencoder(2, network=Dense(widths=(4,)), training=narrows.Training(epochs=1)).fit(records)
    (quality,) = model.codec_.qualities
    assert quality.psnr_db == math.inf
    assert quality.bytes_per_record < 0.01
    np.testing.assert_array_equal(model.codec_.decode(model.quantise(records), 0), records)


@pytest.mark.filterwarnings("ignore:.* has only 1 training record")
def test_one_training_record_is_enough():
    records = np.arange(64, dtype=np.uint8).reshape(1, 8, 8)
    model = narrows.recipe("codec", n_latent=2, training__epochs=1).fit(records)
    assert model.codec_.decode(model.quantise(records), 0).shape == (1, 8, 8)


@pytest.mark.parametrize("quality", [99, -99, "finest"])
def test_there_must_be_such_a_quality(ladder_model, digits, quality):
    with pytest.raises(InvalidParameterError, match="'quality' of quantise must be from 0 to "):
        ladder_model.quantise(digits[1], quality)


def test_symbols_are_the_nearest_steps_and_never_anything_else():
    steps = np.array([0.5, 2.0])
    codes = np.array([[0.6, 2.9], [-0.74, -3.1], [1e300, -1e300], [np.inf, -np.inf], [np.nan, 1.0], [1e-300, 0.0]])
    expected = [[1, 1], [-1, -2], [MAX_SYMBOL, -MAX_SYMBOL], [MAX_SYMBOL, -MAX_SYMBOL], [0, 0], [0, 0]]
    symbols = to_symbols(codes, steps)
    assert symbols.dtype == np.int32
    assert symbols.tolist() == expected
    assert to_symbols(np.array([[1.7e308]]), np.array([1e-9])).tolist() == [[MAX_SYMBOL]]
    assert to_symbols(np.array([[np.inf, -np.inf]], np.float32), steps).tolist() == [[MAX_SYMBOL, -MAX_SYMBOL]]


# What freezing costs


OF_NUMBERS = [name for name in RECIPES if name not in {"text", "table"} and not RECIPES[name]().conditional]


QUICK = {"auto", "codec", "vae", "vq-vae", "conv"} & set(OF_NUMBERS)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in OF_NUMBERS]
)
def test_whole_numbers_cost_next_to_nothing(name, digits):
    """Every recipe that makes archives, trained for a moment: the integer decoder against the network itself."""
    changes = {"lossless": {"residual__epochs": 1}}  # the network of what is kept beside the code, too
    changes["sda"] = {"pretraining__epochs": 1, "network__widths": (200, 100)}
    settings = {"training__epochs": 1, "random_state": 0, **changes.get(name, {})}
    model = narrows.recipe(name, **settings).fit(digits[0][:120])
    records = digits[1][:60]
    for quality in {0, model.codec_.default, len(model.codec_.qualities) - 1}:
        assert freezing_costs(model, records, quality) <= MOST_DB


@pytest.mark.parametrize("name", ["codec_model", "ladder_model", "map_model", "table_model"])
def test_whole_numbers_cost_next_to_nothing_in_trained_models(request, name, digits, large_digits, table):
    model = request.getfixturevalue(name)
    records = {"map_model": large_digits[1], "table_model": table}.get(name, digits[1])
    for quality in range(len(model.codec_.qualities)):
        assert freezing_costs(model, records, quality) <= MOST_DB


@pytest.mark.parametrize("name", ["auto", "codec"])
def test_whole_numbers_cost_next_to_nothing_on_mnist(name, mnist_images):
    train, test = mnist_images
    model = narrows.recipe(name, training__epochs=1, random_state=0)
    if name == "codec":  # its own network takes a minute
        model.set_params(network=Dense(widths=(64,), output_activation="sigmoid", start_at_mean=True), n_latent=16)
    model.fit(np.asarray(train[:400]))
    for quality in range(0, len(model.codec_.qualities), 2):
        assert freezing_costs(model, np.asarray(test[:80]), quality) <= MOST_DB


def test_what_has_no_whole_numbers_says_why(monkeypatch, digits):
    monkeypatch.delitem(TRANSLATIONS, nn.SiLU)
    model = narrows.Autoencoder(2, network=Dense(widths=(4,), activation="silu"), training=narrows.Training(epochs=1))
    model.fit(digits[0][:50])
    with pytest.raises(NotFreezableError, match="there are no integer operations for its SiLU"):
        _ = model.codec_
    assert model.reconstruct(digits[1][:3]).shape == (3, 8, 8), "everything else works"


def test_freezing_leaves_the_chain_as_it_was(codec_model, digits):
    chain = codec_model.chain_
    state = {name: tensor.clone() for name, tensor in chain.state_dict().items()}
    for training in (True, False):
        chain.train(training)
        try:
            codec = freeze(chain, digits[0][:300], 255.0)
            assert chain.training is training
        finally:
            chain.eval()
    assert all(torch.equal(tensor, state[name]) for name, tensor in chain.state_dict().items())
    assert codec.blob == freeze(chain, digits[0][:300], 255.0).blob, "the same model makes the same bytes"


# Priors


def prior_of(shape, n_hidden=5, seed=0):
    """Return a prior whose means and scales vary."""
    prior = LogisticPrior(shape, n_hidden)
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in prior.parameters():
            weights.uniform_(-0.3, 0.3, generator=noise)
        prior.log_scale += 0.5
        prior.bias += 0.5
    return prior.double()


@pytest.mark.parametrize("step", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("shape", [(7,), (2, 3, 4)], ids=str)
def test_the_predictor_in_whole_numbers_agrees_with_the_prior(shape, step):
    prior = prior_of(shape)
    symbols = np.random.default_rng(0).integers(-4, 5, (200, math.prod(shape))).astype(np.int32)
    model = prior.freeze(symbols, step)
    assert isinstance(model, Autoregressive)
    with torch.no_grad():
        mean, log_scale = prior.moments(torch.from_numpy(symbols * step).reshape(-1, *shape))
    predictor = model.predictor
    run = predictor.start(len(symbols))
    for position, at in enumerate(predictor.order):
        expected = run.predict()
        run.update(symbols[:, at])
        place, channel = divmod(position, prior.n_channels)
        found = expected.offsets + (expected.contexts % predictor.n_phases) / predictor.n_phases
        wanted = mean[:, place, channel].numpy() / step
        assert np.abs(found - wanted).max() <= 0.5 / predictor.n_phases + 0.01
        scales = expected.contexts // predictor.n_phases
        wanted = 16 + 4 * (log_scale[:, place, channel].numpy() - math.log(step)) / math.log(2)
        assert np.abs(scales - np.clip(wanted, 0, predictor.n_scales - 1)).max() <= 0.5 + 0.05


def nats_in_numpy(prior, symbols, shape, step):
    """Return −log P of symbols of a width under the prior: the mass on the interval around each."""
    with torch.no_grad():
        mean, log_scale = prior.moments(torch.from_numpy(symbols * step).to(prior.mean.dtype).reshape(-1, *shape))
    s = (symbols * step).reshape(len(symbols), prior.n_channels, -1).transpose(0, 2, 1)
    narrow = np.exp(-log_scale.double().numpy())
    at = [0.5 + 0.5 * np.tanh((s - mean.double().numpy() + half) * narrow / 2) for half in (step / 2, -step / 2)]
    return -np.log(np.maximum(at[0] - at[1], 1e-9)).reshape(len(symbols), -1).sum(1)


@pytest.mark.parametrize("name", ["codec_model", "map_model"])
def test_files_are_as_large_as_training_says(request, name, digits, large_digits):
    """On test data: the tables' bits against the nats of the training loss, and the bytes against the bits."""
    model = request.getfixturevalue(name)
    chain, (train, test) = model.chain_, large_digits if name == "map_model" else digits
    codes = [encode_continuous(chain, records) for records in (train, test)]
    seen, new = (to_symbols(code, np.ones(code.shape[1])) for code in codes)
    prior = copy.deepcopy(chain.bottleneck.prior)
    as_codes = [torch.from_numpy(symbols).float().reshape(-1, *chain.bottleneck.z_shape) for symbols in (seen, new)]
    optimiser = Adam(learning_rate=0.02).build(prior.parameters())
    for _ in range(100):  # what these small models had no time for
        optimiser.zero_grad()
        prior.nats(as_codes[0]).mean().backward()
        optimiser.step()
    promised = float(prior.nats(as_codes[1]).detach().mean()) / math.log(2)
    entropy = prior.freeze(seen)
    assert entropy.bits(new).mean() == pytest.approx(promised, rel=0.04)
    coded = entropy.encode(new)
    assert 8 * coded.n_bytes < 1.01 * entropy.bits(new).sum() + 8 * 16
    np.testing.assert_array_equal(entropy.decode(coded, len(new)), new)


@pytest.mark.parametrize("name", ["codec_model", "map_model"])
def test_counting_makes_tables_better_than_the_prior_not_worse(request, name, digits, large_digits):
    """Also for steps that the prior was not trained for; its own cost is the mass on the interval of a step."""
    model = request.getfixturevalue(name)
    train, test = large_digits if name == "map_model" else digits
    prior, shape = model.chain_.bottleneck.prior, model.chain_.bottleneck.z_shape
    codes = [encode_continuous(model.chain_, records) for records in (train, test)]
    for step in (0.5, 1.0, 2.0):
        seen, new = (to_symbols(code, np.full(code.shape[1], step)) for code in codes)
        promised = nats_in_numpy(prior, new, shape, step).mean() / math.log(2)
        assert prior.freeze(seen, step).bits(new).mean() < 1.02 * promised


def test_a_prior_that_knows_nothing_of_the_others_is_counted(digits):
    model = narrows.recipe("codec", n_latent=3, bottleneck__prior="independent", training__epochs=1, random_state=0)
    model.fit(digits[0][:300])
    assert all(isinstance(quality.entropy, Independent) for quality in model.codec_.qualities)


# Choosing


def test_a_quality_is_chosen_by_what_it_gives(ladder_model):
    codec = ladder_model.codec_
    for position, quality in enumerate(codec.qualities):
        assert choose_quality(codec, psnr=quality.psnr_db) == position
        assert choose_quality(codec, psnr=quality.psnr_db - 1e-9) == position
        assert choose_quality(codec, bytes_per_record=quality.bytes_per_record) == position
    assert choose_quality(codec) == codec.default
    assert choose_quality(codec, bytes_per_record=1e9) == len(codec.qualities) - 1
    assert choose_quality(codec, psnr=1e-3) == 0
    assert choose_quality(codec, bytes_per_record=np.int64(1000)) == len(codec.qualities) - 1
    assert choose_quality(codec, psnr=np.float32(1)) == 0


def test_codes_of_a_convolutional_network_are_frozen_as_maps(large_digits):
    network = Convolutional(channels=(3,), code_channels=2)
    model = narrows.Autoencoder(network=network, training=narrows.Training(epochs=1), random_state=0)
    model.fit(large_digits[0][:100])
    assert model.codec_.z_shape == (2, 4, 4)
    assert freezing_costs(model, large_digits[1][:50], -1) <= MOST_DB
