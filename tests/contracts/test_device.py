"""Everything that a model can do is done on a GPU as well: no part of it mixes up devices.

There need be no GPU: fake_device.py stands in for one, and refuses what CUDA would refuse. Its own tests are in
test_fake_device.py.
"""

import copy
import dataclasses
import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.bottlenecks import Bottleneck, Gaussian, Rounded, TopK, VectorQuantised
from narrows.corruptions import Corruption, Masking
from narrows.data import Source
from narrows.errors import InvalidParameterError
from narrows.estimators.preparation import new_chain, parts_for
from narrows.estimators.recipes import RECIPES
from narrows.evaluation.denoising import compare_denoisers
from narrows.evaluation.drawing import first_layer_weights
from narrows.likelihoods import Likelihood
from narrows.lossless import Residual
from narrows.networks import Convolutional, Dense, Network
from narrows.numerics.batches import Labelled
from narrows.numerics.randomness import Stream, generator
from narrows.penalties import Penalty
from narrows.preprocessing import Preprocessing
from narrows.records import schema_of
from narrows.training import Callback, Optimiser, Records, Schedule
from narrows.training.pretraining import LayerWise, Pretraining
from narrows.uses import generate

pytestmark = pytest.mark.usefixtures("cuda")

AXES = [Network, Bottleneck, Likelihood, Corruption, Penalty, Preprocessing]


class EveryAxis:
    registry: ClassVar = {f"{axis.axis}-{name}": part for axis in AXES for name, part in axis.registry.items()}


AXIS = EveryAxis
NUMBERS_ARE_ALIKE = True  # what is on which device depends on whether a number is at a bound, not on how large it is
CUDA = torch.device("cuda", 0)

N = 12
IMAGES = np.random.default_rng(0).integers(0, 256, (N, 8, 8), np.uint8)
LABELS = np.arange(N) % 2
CODES = {
    "plain": "plain",
    "top-k": TopK(k=1),
    "gaussian": Gaussian(),
    "rounded": Rounded(n_hidden=2),
    "vector-quantised": VectorQuantised(n_codes=4, dim=1),
}
SMALL = {
    "network": Dense(widths=(4,), code_activation="sigmoid"),
    "likelihood": "normal",
    "preprocessing": "unit-scale",
    "random_state": 0,
}


def training(**settings):
    return Training(**{"epochs": 1, "batch_size": 8, **settings})


def small(n_latent=2, **params):
    return Autoencoder(n_latent, **{**SMALL, "training": training(), **params})


def test_every_part_learns_and_restores_there(part):
    """Every part with each of its settings, in a chain that takes one step."""
    if getattr(part, "n_codes", 0) > 8:
        part = dataclasses.replace(part, n_codes=8)  # each is drawn on its own
    plural = {"penalty": "penalties"}.get(part.axis, part.axis)
    changed = {plural: (part,) if part.axis in {"penalty", "preprocessing"} else part}
    likelihood = "bernoulli" if part.name == "binarise" else "normal"
    n_latent = None if part.axis == "network" else 10  # a map may be the code
    params = Autoencoder(n_latent, **{**SMALL, "likelihood": likelihood, **changed}).get_params(deep=False)
    images = IMAGES[:, :2, :3] if part.name == "columns" else IMAGES  # each column is a mixture of its own
    records = Records(images, CUDA)
    n_classes = 0 if getattr(part, "tied", False) or part.name == "contractive" else 2
    try:
        schema = schema_of("auto", images.shape[1:], images.dtype)
        parts = parts_for(params, Source(images), schema, 0, n_classes=n_classes)
        chain = new_chain(parts, params["training"] or Training(), Source(images), records, 0)
    except InvalidParameterError as error:
        pytest.skip(f"not without other settings besides: {error}")
    assert {tensor.device for tensor in chain.state_dict().values()} == {CUDA}
    rows = torch.arange(N, device=CUDA)
    batch = records.take(rows)
    labels = rows % 2 if chain.parts.n_classes else None
    labelled = batch if labels is None else Labelled(batch, labels)
    chain.loss(labelled, generator(0, Stream.NOISE, 0, device=CUDA)).total.mean().backward()
    assert all(weight.grad is None or weight.grad.is_cuda for weight in chain.parameters())
    assert chain.eval().loss(labelled).total.is_cuda
    x, condition = chain.prepare(batch), chain.condition(labels)
    h, switches = chain.encoder.with_pool_indices(x, condition)
    assert chain.restore(chain.bottleneck(h).z, switches, condition).is_cuda


@pytest.mark.parametrize("bottleneck", CODES.values(), ids=CODES)
def test_a_model_of_every_code_is_trained_and_used_there(bottleneck, tmp_path):
    penalties = ("mmd",) if bottleneck == "plain" else ()
    model = small(bottleneck=bottleneck, corruption="gaussian", penalties=penalties).fit(IMAGES, validation=IMAGES[:4])
    assert {tensor.device for tensor in model.chain_.state_dict().values()} == {CUDA}
    assert model.codec_error_ is None
    codes = model.transform(IMAGES)
    assert codes.shape == (N, 2)
    assert model.transform(IMAGES.astype(np.float64)).dtype == np.float64
    assert model.inverse_transform(codes.astype(np.float64)).shape == IMAGES.shape
    assert model.reconstruct(IMAGES).shape == IMAGES.shape
    assert model.corrupt(IMAGES, random_state=0).shape == IMAGES.shape
    assert model.quantise(IMAGES).dtype == np.int32
    assert np.isfinite(model.score(IMAGES))
    for noise in (False, True):
        assert model.sample(3, noise=noise, random_state=0).shape == (3, 8, 8)
    importance_samples = 2 if model.chain_.bottleneck.draws else 0
    for corrupted in (False, True):
        measured = narrows.evaluate(model, IMAGES, corrupted=corrupted, importance_samples=importance_samples)
        assert np.isfinite(measured["nats_per_record"])
    if bottleneck == "plain":
        assert compare_denoisers(model, IMAGES, noise=0.1)["records"] == N
    assert generate.between(model, IMAGES[0], IMAGES[1]).shape == (10, 8, 8)
    assert generate.manifold(model, 2).shape == (2, 2, 8, 8)
    assert generate.traversals(model, IMAGES[0], n=3).records.shape == (2, 3, 8, 8)
    assert first_layer_weights(model).shape == (4, 64)
    model.save(tmp_path / "model")
    for again in (narrows.load(tmp_path / "model"), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert again.chain_.device == CUDA
        np.testing.assert_array_equal(again.transform(IMAGES), codes)
    there = narrows.load(tmp_path / "model", device="cpu")
    np.testing.assert_allclose(there.transform(IMAGES), codes, rtol=1e-5)  # on the fake device they are the same
    assert there.to("cuda").chain_.device == CUDA
    x = torch.from_numpy(IMAGES).to(CUDA)
    assert there.decoder_(there.encoder_(x)).device == CUDA


def test_the_same_comes_out_as_on_the_cpu(request):
    """As far as nothing is drawn: on a GPU all but the last bits, on the fake one these too."""
    there = small().fit(IMAGES)
    here = small(training=training(device="cpu")).fit(IMAGES)
    assert {tensor.device.type for tensor in here.chain_.state_dict().values()} == {"cpu"}
    np.testing.assert_allclose(there.transform(IMAGES), here.transform(IMAGES), rtol=1e-4)
    assert there.history_[0]["loss"] == pytest.approx(here.history_[0]["loss"], rel=1e-5)
    if request.getfixturevalue("cuda") is not None:
        np.testing.assert_array_equal(there.transform(IMAGES), here.transform(IMAGES))
        assert there.codec_.blob == here.codec_.blob
        assert there.history_[0]["loss"] == here.history_[0]["loss"]


QUICK = {"auto", "codec", "lossless", "vae", "vq-vae", "sda", "map", "recurrent"}


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in RECIPES
        if name not in {"text", "table"}
    ],
)
def test_every_recipe_is_trained_there(name):
    model = narrows.recipe(name, training__epochs=1, training__batch_size=8, random_state=0)
    if name == "sda":
        model.set_params(n_latent=4, network__widths=(4,), pretraining__corruptions=(), pretraining__epochs=1)
    if name == "lossless":
        model.set_params(residual__epochs=1)
    model.fit(IMAGES, LABELS)
    assert model.chain_.device == CUDA
    assert model.reconstruct(IMAGES, LABELS).shape == IMAGES.shape
    assert np.isfinite(narrows.evaluate(model, IMAGES, LABELS)["nats_per_record"])


def test_texts_are_learnt_there():
    names = ["emma", "olivia", "ava", "noah"] * 10
    model = narrows.recipe("text", training__epochs=1, random_state=0).fit(names)
    assert model.chain_.device == CUDA
    assert len(model.reconstruct(names)) == len(names)


@pytest.mark.parametrize("kind", [*Optimiser.registry.values(), *Schedule.registry.values()])
def test_every_optimiser_and_schedule_trains_there(kind, chain_only):
    model = small(bottleneck="rounded", likelihood="constrained-normal", training=training(**{kind.axis: kind()}))
    assert model.fit(IMAGES).chain_.device == CUDA


@pytest.mark.parametrize("kind", [*Pretraining.registry.values(), *Residual.registry.values()])
def test_every_stage_before_and_after_trains_there(kind):
    part = dataclasses.replace(kind(), epochs=1)
    model = small(**{kind.axis: part}, network=Dense(widths=(4,), tied=True), training=training(validation=0.25))
    assert model.fit(IMAGES).chain_.device == CUDA
    assert model.codec_error_ is None


class Kill(Callback):
    """Presses Ctrl-C during the first epoch of a stage."""

    def __init__(self, stage):
        self.left = stage

    def start(self, n_epochs, n_records, epochs_done):
        self.left -= 1

    def epoch(self, row):
        if self.left == 0:
            self.left = -1
            raise KeyboardInterrupt


def test_a_run_there_is_resumed_to_the_bit(tmp_path, chain_only):
    """Weights, moments, best weights and the generator's state go through a file."""
    settings = training(epochs=3, patience=3)

    def model():
        part = LayerWise(corruptions=(Masking(level=0.3),), epochs=2, batch_size=8)
        return small(pretraining=part, corruption="masking", training=settings)

    whole = model().fit(IMAGES, validation=IMAGES[:4])
    path = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)
        with pytest.raises(KeyboardInterrupt):
            model().fit(IMAGES, validation=IMAGES[:4], checkpoint=path, callback=Kill(3))
    again = model().fit(IMAGES, validation=IMAGES[:4], checkpoint=path, resume=True)
    assert again.chain_.device == CUDA
    np.testing.assert_array_equal(again.transform(IMAGES), whole.transform(IMAGES))


@pytest.mark.parametrize("bottleneck", ["plain", "gaussian"])
def test_a_conditional_model_is_trained_and_used_there(bottleneck):
    model = small(bottleneck=bottleneck, conditional=True, training=training(validation=0.25)).fit(IMAGES, LABELS)
    codes = model.transform(IMAGES, LABELS)
    assert model.inverse_transform(codes, LABELS).shape == IMAGES.shape
    assert model.sample(4, noise=True, random_state=0).shape == (4, 8, 8)
    assert np.isfinite(narrows.evaluate(model, IMAGES, LABELS)["nats_per_record"])


def test_a_classifier_is_trained_and_used_there():
    unfitted = small(n_latent=4, pretraining=LayerWise(epochs=1, batch_size=8))
    model = AutoencoderClassifier(unfitted, training=training(validation=0.25), random_state=0)
    model.fit(IMAGES, LABELS, unlabelled=IMAGES[:5])
    assert model.chain_.device == CUDA
    assert model.predict_proba(IMAGES).shape == (N, 2)
    assert model.predict(IMAGES).shape == (N,)


def test_a_decoder_that_needs_switches_restores_there(chain_only):
    network = Convolutional(channels=(2,), unpooling="switches")
    assert small(network=network).fit(IMAGES).reconstruct(IMAGES).shape == IMAGES.shape


@pytest.mark.parametrize("lossless", [False, True])
def test_archives_are_made_by_a_model_there(lossless, tmp_path):
    recipe = narrows.recipe("lossless", training__epochs=1, residual__epochs=1, random_state=0).fit(IMAGES)
    narrows.compress(IMAGES, tmp_path / "archive", model=recipe, lossless=lossless)
    restored = narrows.restore(tmp_path / "archive", model=recipe)
    assert restored.shape == IMAGES.shape
    if lossless:
        np.testing.assert_array_equal(restored, IMAGES)


def test_the_integer_decoder_runs_there():
    """Every operation, in a decoder of convolutions and in one of a codebook."""
    for network, bottleneck in ((Convolutional(channels=(2,)), "plain"), (SMALL["network"], CODES["vector-quantised"])):
        codec = small(network=network, bottleneck=bottleneck).fit(IMAGES).codec_
        symbols = codec.golden
        x = codec.qualities[codec.default].rescale.run(symbols)
        np.testing.assert_array_equal(codec.program.run(x, backend="torch:cuda"), codec.program.run(x))


LARGE = np.random.default_rng(0).integers(0, 256, (64, 64, 64), np.uint8)


class CountsCopies(Callback):
    """Counts how often all of the data were copied to the device until the training was over."""

    def __init__(self, cuda):
        cuda.forget_peak()
        self.cuda = cuda

    def stop(self):
        self.n_copies = self.cuda.uploads.count(LARGE.nbytes)


@pytest.mark.parametrize("share", [0.0, 0.25], ids=["all records", "some held out"])
def test_data_are_copied_to_the_device_once(share, cuda, chain_only):
    y, settings = np.arange(64) % 2, training(batch_size=64, validation=share)
    for model in (small(), small(conditional=True), AutoencoderClassifier(small(), random_state=0)):
        callback = CountsCopies(cuda)
        model.set_params(training=settings).fit(LARGE, y, callback=callback)
        assert callback.n_copies == 1


def test_results_leave_the_device_batch_by_batch(cuda, monkeypatch, chain_only):
    """What is held at once does not grow with the number of records, here 4 and 64 batches of one."""
    model = small().fit(LARGE)
    monkeypatch.setattr("narrows.model.inference._BATCH", 1)
    codes = model.transform(LARGE)
    for use, x in ((model.reconstruct, LARGE), (model.inverse_transform, codes), (model.transform, LARGE)):
        held = []
        for n in (4, 64):
            cuda.forget_peak()
            use(x[:n])
            held.append(cuda.peak_bytes)
        assert held[0] == held[1]
        assert len(cuda.downloads) == 64
