"""Training on a device without float64, as Apple's GPUs are: weights go there, all else stays on the CPU.

The fake CUDA device stands in for one, and refuses float64 as that would.
"""

import sys

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.errors import InvalidParameterError
from narrows.lossless import CausalNetwork
from narrows.networks import Convolutional, Dense, Recurrent
from narrows.training import Callback

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (24, 8, 8), np.uint8)
TABLE = RNG.normal(size=(24, 6)) * [1, 10, 100, 1, 0.1, 1] + [0, 5, 0, 0, 0, 1e3]
CODES = ("plain", "top-k", "gaussian", "rounded", "vector-quantised")
CASES = {
    **{name: (IMAGES, {"bottleneck": name}) for name in CODES},
    "convolutions": (IMAGES, {"network": Convolutional(channels=(2,)), "corruption": "gaussian"}),
    "linear path": (TABLE, {"network": Dense(widths=(8,), linear_path=True), "likelihood": "normal"}),
    "series": (TABLE, {"network": Recurrent(width=4), "record": "series"}),
    "float64 with missing values": (np.where(TABLE < -5, np.nan, TABLE), {"fill_value": np.nan}),
    "int64 with missing values": (RNG.integers(0, 9, (24, 6)), {"fill_value": 7}),
    "logistic": (IMAGES, {"likelihood": "logistic"}),
    "categorical": (RNG.integers(0, 4, (24, 6)), {"likelihood": "categorical"}),
    "target of quality": (IMAGES, {"likelihood": "constrained-normal", "bottleneck": "rounded"}),
    "pretraining": (TABLE, {"pretraining": "layer-wise"}),
    "penalties": (
        IMAGES,
        {"penalties": ("l1", "mmd", "kl-sparsity"), "network": Dense(widths=(8,), code_activation="sigmoid")},
    ),
    "adversary": (IMAGES, {"adversary": "records", "bottleneck": "gaussian", "training__averaging": 0.9}),
    "lossless": (IMAGES, {"residual": CausalNetwork(epochs=1)}),
}


@pytest.fixture(autouse=True)
def device(cuda, monkeypatch):
    """Return the names of the devices on which weights have been seen."""
    monkeypatch.setattr("narrows.numerics.floats._WITHOUT_FLOAT64", {"cuda"})
    if "fake_device" in sys.modules:
        fake = sys.modules["fake_device"].DeviceTensor
        made = fake.__init__

        def refusing(self, values):
            if values.dtype == torch.float64:
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
            made(self, values)

        monkeypatch.setattr(fake, "__init__", refusing)


class Look(Callback):
    """Notes where the weights are during the training."""

    def __init__(self, monkeypatch):
        self.devices = set()
        from narrows.training import loop

        step = loop.Run._train_step

        def noted(run, indices, **stops):
            step(run, indices, **stops)
            self.devices |= {weight.device.type for weight in run.learner.parameters()}

        monkeypatch.setattr(loop.Run, "_train_step", noted)


def make(device="cuda", **params):
    training = Training(epochs=2, batch_size=8, validation=0.25, device=device)
    usual = {"network": Dense(widths=(8,)), "training": training, "random_state": 0, "artefacts": ()}
    return Autoencoder(2, **{**usual, **params})


_FEW = [name if i % 2 == 0 else pytest.param(name, marks=pytest.mark.slow) for i, name in enumerate(CASES)]


@pytest.mark.parametrize("case", _FEW)
def test_a_model_is_trained_there_and_used_on_the_cpu(case, monkeypatch):
    x, params = CASES[case]
    look = Look(monkeypatch)
    model = make(**params).fit(x)
    assert look.devices == {"cuda"}
    chain = model.chain_
    assert {tensor.device.type for tensor in chain.state_dict().values()} == {"cpu"}
    on_cpu = make("cpu", **params).fit(x)
    for name, tensor in on_cpu.chain_.state_dict().items():
        assert chain.state_dict()[name].dtype == tensor.dtype, name
        if name.startswith(("preprocessor", "missing")):
            assert torch.equal(chain.state_dict()[name], tensor), f"{name} is the same to the bit"
    assert model.transform(x).shape == (24, 2)
    assert np.isfinite(model.score(x))
    assert np.isfinite([row["validation_loss"] for row in model.history_]).all()


def test_artefacts_are_measured_and_files_are_written(tmp_path):
    model = make(artefacts="all").fit(IMAGES)
    assert model.codec_error_ is None
    assert model.unmeasured_ == {}
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model", device="cuda")
    assert again.chain_.device.type == "cpu"
    np.testing.assert_array_equal(again.transform(IMAGES), model.transform(IMAGES))


def test_a_run_resumes_to_the_bit(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)

    class Stop(Callback):
        def epoch(self, row):
            raise KeyboardInterrupt

    path = tmp_path / "checkpoint"
    with pytest.raises(KeyboardInterrupt):
        make().fit(TABLE, checkpoint=path, callback=Stop())
    resumed, whole = make().fit(TABLE, checkpoint=path, resume=True), make().fit(TABLE)
    for name, tensor in whole.chain_.state_dict().items():
        assert torch.equal(resumed.chain_.state_dict()[name], tensor), name


def test_weighted_records_labels_and_classifiers(monkeypatch):
    y, w = np.arange(24) % 2, np.arange(24) + 1.0
    look = Look(monkeypatch)
    make(conditional=True).fit(IMAGES, y, sample_weight=w)
    training = Training(epochs=1, device="cuda")
    classifier = AutoencoderClassifier(make(training=training), pretrain=False, training=training).fit(IMAGES, y)
    assert look.devices == {"cuda"}
    assert classifier.predict(IMAGES).shape == (24,)


def test_what_needs_float64_is_refused(monkeypatch):
    model = make().fit(IMAGES)
    with pytest.raises(InvalidParameterError, match="has no float64"):
        model.to("cuda")
    with pytest.raises(InvalidParameterError, match="'precision' of Training must be 'float32'"):
        Training(device="mps", precision="float64")


def test_a_machine_without_the_device_says_so(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InvalidParameterError, match="'mps' was requested, but PyTorch finds none"):
        make("mps").fit(IMAGES)


def test_training_goes_on_there():
    model = make().partial_fit(IMAGES).partial_fit(IMAGES).partial_fit(IMAGES)
    model.fit(IMAGES, more_epochs=1)
    assert [row["epoch"] for row in model.history_] == [1, 2, 3, 4]
    assert {weight.device.type for weight in model.chain_.parameters()} == {"cpu"}
