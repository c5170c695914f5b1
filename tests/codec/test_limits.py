"""Networks that are too large to be frozen are recognised before training, with the width that would do."""

import re

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder, Training
from narrows.bottlenecks import Plain, Rounded, VectorQuantised
from narrows.chain import Chain, Parts
from narrows.codec import frozen, program
from narrows.codec.freezing.limits import too_large
from narrows.errors import FreezeWarning, NotFreezableError, recorded
from narrows.likelihoods import Bernoulli, Normal
from narrows.networks import Convolutional, Dense, Strided
from narrows.numerics.randomness import Stream, generator
from narrows.training import Callback

QUICK = Training(epochs=1)


def chain(network, shape=(8, 8), *, bottleneck=None, likelihood=None, n_latent=4):
    """Return a chain whose weights take no memory."""
    parts = Parts(n_latent, network, bottleneck or Plain(), likelihood or Normal(), (), None, ())
    with torch.device("meta"):
        return Chain(parts, shape, np.dtype(np.float32), generator(0, Stream.WEIGHTS))


@pytest.fixture
def images():
    return np.random.default_rng(0).random((60, 8, 8)).astype(np.float32)


class AtTheStart(Callback):
    """Keeps the warnings that were raised before the first epoch."""

    def __init__(self, warned):
        self.warned, self.found = warned, []

    def start(self, n_epochs, n_records, epochs_done):
        self.found = [one for one in self.warned if isinstance(one, FreezeWarning)]


def fitted(images, network, **params):
    """Return a fitted model and the warnings of its size before the first epoch."""
    with recorded(held=True) as warned:
        callback = AtTheStart(warned)
        model = Autoencoder(4, network=network, training=QUICK, random_state=0, artefacts=("codec",), **params)
        model.fit(images, callback=callback)
    return model, callback.found


def required(chain, limit, monkeypatch):
    """Return how many weights, or how much work, the frozen decoder of a chain has at least."""
    monkeypatch.setattr(program, limit, 0)
    numbers = [int(number.replace(",", "")) for number in re.findall(r"[0-9][0-9,]+", too_large(chain))]
    return numbers[0] if limit == "_MOST_WEIGHTS" else numbers[0] + program.VALUE_WORK * numbers[1]


@pytest.mark.pairs
@pytest.mark.parametrize("bottleneck", [Plain(), VectorQuantised(n_codes=8)])
@pytest.mark.parametrize(
    ("network", "option"),
    [
        (Dense(widths=(40,)), "widths"),
        (Dense(widths=(10, 40), tied=True), "widths"),
        (Convolutional(channels=(4, 20), resampling="stride"), "channels"),
        (Strided(channels=(8, 30), activation="relu"), "channels"),
    ],
)
@pytest.mark.parametrize("limit", ["_MOST_WEIGHTS", "MOST_WORK"])
def test_the_width_that_is_named_is_frozen_and_a_wider_one_is_not(
    images, network, option, bottleneck, limit, monkeypatch
):
    least = required(chain(network, bottleneck=bottleneck), limit, monkeypatch)
    monkeypatch.setattr(program, limit, int(0.9 * least))
    reason = too_large(chain(network, bottleneck=bottleneck))
    named = tuple(map(int, reason.rpartition(f"{option}=")[2].rstrip(".").split(",")))
    model, warned = fitted(images, network.clone().set_params(**{option: named}), bottleneck=bottleneck)
    assert model.codec_error_ is None
    assert not warned
    # The sizes of some operations depend on the trained weights, so the limit is known within one per cent or so.
    wider = network.clone().set_params(**{option: tuple(width + 2 * (width == max(named)) for width in named)})
    model, warned = fitted(images, wider, bottleneck=bottleneck)
    assert len(warned) == 1
    assert model.codec_error_ in str(warned[0])


@pytest.mark.parametrize(
    "network",
    [
        Dense(activation="silu", output_activation="sigmoid"),
        Dense(activation="silu", output_activation="soft-clip", linear_path=True),
    ],
)
def test_tables_of_activations_may_have_any_size(images, network, monkeypatch):
    monkeypatch.setattr(program, "_MOST_WEIGHTS", 10_000)
    reason = too_large(chain(network.clone().set_params(widths=(200,))))
    width = int(reason.rpartition("widths=")[2].rstrip("."))
    model, warned = fitted(images, network.clone().set_params(widths=(width,)))
    assert (model.codec_error_, warned) == (None, [])


def test_fit_warns_before_the_first_epoch_and_the_codec_has_the_same_reason(images, monkeypatch):
    monkeypatch.setattr(program, "_MOST_WEIGHTS", 3000)
    model, warned = fitted(images, Dense(widths=(100,)))
    (warning,) = warned
    assert warning.kind == "too-large-to-freeze"
    reason = (
        "The model is too large for archives. The decoder's operations have 6,964 weights. Allowed: 2^27. "
        "The largest width that would do is 42: network__widths=42."
    )
    assert str(warning) == f"{reason} All other uses of the trained model work."
    assert model.codec_error_ == reason
    with pytest.raises(NotFreezableError, match="largest width that would do is 42: network__widths=42"):
        narrows.compress(images, "never.narrows", model=model)
    assert model.reconstruct(images).shape == images.shape


def test_models_that_write_no_archives_are_not_warned_of(images, monkeypatch):
    monkeypatch.setattr(program, "_MOST_WEIGHTS", 3000)
    with recorded(held=True) as warned:
        Autoencoder(4, network=Dense(widths=(100,)), training=QUICK, artefacts=()).fit(images)
        labels = np.arange(60) % 3
        Autoencoder(4, network=Dense(widths=(100,)), conditional=True, training=QUICK).fit(images, labels)
    assert not [one for one in warned if isinstance(one, FreezeWarning)]


@pytest.mark.parametrize(
    ("network", "shape", "said"),
    [
        (Dense(widths=(512,)), (784,), None),
        (
            Dense(widths=(12_000, 12_000)),
            (784,),
            r"153,480,784 weights\. Allowed: 2\^27\. .* width that would do is 11,196: ",
        ),
        (Dense(widths=(1000, 200_000, 300)), (784,), r"network__widths=1000,\d+,300\.$"),
        (Dense(widths=(60, 9), decoder_widths=(4 * 10**6,)), (60,), r"network__decoder_widths=\d{7}\.$"),
        (Convolutional(channels=(64, 4000)), (128, 128, 3), r"network__channels=64,\d+\.$"),
        (Strided(channels=(3000, 6000)), (64, 64, 3), r"The largest width that would do is 2,\d+: network__channels"),
        (Dense(widths=(2,)), (2**26,), "No width of its layers would do. Train with a shorter code"),
    ],
)
def test_the_limits_of_archives(network, shape, said):
    reason = too_large(chain(network, shape))
    if said is None:
        assert reason is None
    else:
        assert reason is not None
        assert reason.startswith("The model is too large for archives. ")
        assert re.search(said, reason), reason


def test_many_symbols_are_too_much_work(monkeypatch):
    monkeypatch.setattr(frozen, "MOST_WORK", 2**18)
    assert too_large(chain(Dense(widths=(4,)), n_latent=3)) is None
    assert "Restoring a record of 5 symbols" in too_large(chain(Dense(widths=(4,)), n_latent=5))


def test_a_prior_that_is_too_wide_is_named(images):
    reason = too_large(chain(Dense(widths=(4,)), bottleneck=Rounded(n_hidden=1025)))
    assert reason.endswith("has 1,025 hidden units. Allowed: 1,024. Set bottleneck__n_hidden=1024.")
    assert too_large(chain(Dense(widths=(4,)), bottleneck=Rounded(n_hidden=1024))) is None


def test_a_decoder_that_cannot_be_frozen_for_another_reason_is_not_called_too_large():
    switches = Convolutional(channels=(4,), resampling="pool", unpooling="switches")
    assert too_large(chain(switches, likelihood=Bernoulli())) is None
