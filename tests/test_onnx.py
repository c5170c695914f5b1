"""ONNX files compute what the model computes, for any number of records, with preprocessing inside."""

import functools
import importlib.util

import numpy as np
import pytest
import torch

from narrows import Autoencoder, Training
from narrows.errors import (
    InvalidParameterError,
    MissingPackageError,
    NotDecodableError,
    NotExportableError,
    OutputExistsError,
)
from narrows.likelihoods import Likelihood
from narrows.networks import Convolutional, Dense, Recurrent, Strided, Temporal
from narrows.networks.activations import ACTIVATIONS, SoftClip

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime")),
    reason="onnx and onnxruntime are not installed: pip install 'narrows[test]'",
)
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (24, 8, 8), np.uint8)
COLOUR = RNG.integers(0, 256, (24, 8, 8, 3), np.uint8)
LAYOUTS = {"grey": IMAGES, "channels last": COLOUR, "channels first": np.moveaxis(COLOUR, -1, 1).copy()}
TABLE = RNG.normal(size=(24, 6)) * [1, 10, 100, 1, 0.1, 1] + [0, 5, 0, 0, 0, 1e3]
CASES = {
    "plain": (IMAGES, {}),
    **{name: (IMAGES, {"bottleneck": name}) for name in ("top-k", "gaussian", "rounded", "vector-quantised")},
    "tied": (IMAGES, {"network": Dense(widths=(8,), tied=True)}),
    "linear path": (TABLE, {"network": Dense(widths=(8,), linear_path=True), "likelihood": "normal"}),
    "linear path with soft clipping": (
        IMAGES,
        {"network": Dense(widths=(8,), linear_path=True, output_activation="soft-clip")},
    ),
    **{
        f"{network.name}, {layout}": (images, {"network": network})
        for network in (Convolutional(channels=(2,)), Strided(channels=(2,)))
        for layout, images in LAYOUTS.items()
    },
    **{f"{name} units": (IMAGES, {"network": Dense(widths=(8,), activation=name)}) for name in ACTIVATIONS.values},
    **{
        f"{name}, {layout}": (images, {"likelihood": name, "network": Convolutional(channels=(2,))})
        for name in Likelihood.registry
        for layout, images in {"grey": IMAGES, "channels last": LAYOUTS["channels last"]}.items()
    },
    **{
        f"{network.name}, {getattr(network, 'cell', '')} {name}": (series, {"network": network, "record": "series"})
        for network in (Temporal(channels=(2,)), Recurrent(width=4), Recurrent(width=4, cell="lstm"))
        for name, series in {"one channel": TABLE, "channels": COLOUR[:, :, 0]}.items()
    },
    "teacher forcing": (TABLE, {"network": Recurrent(width=4, teacher_forcing=True), "record": "series"}),
    "missing values": (np.where(TABLE < -5, np.nan, TABLE), {"fill_value": np.nan}),
    "uint16": (IMAGES.astype(np.uint16) * 257, {}),
    "int64": (IMAGES.astype(np.int64).reshape(24, 64), {}),
    "bool": (IMAGES > 100, {}),
}


def trained(x=IMAGES, y=None, **params):
    usual = {"network": Dense(widths=(8,)), "training": Training(epochs=1), "artefacts": (), "random_state": 0}
    return Autoencoder(4, **{**usual, **params}).fit(x, y)


@functools.cache
def model_of(case):
    x, params = CASES[case]
    return trained(x, **params)


@functools.cache
def session_of(path):
    import onnxruntime

    return onnxruntime.InferenceSession(path)


def computed(path, *inputs):
    """Return the output of an ONNX file, and the names of its inputs and outputs."""
    session = session_of(path)
    names = [one.name for one in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))[0], names, session.get_outputs()[0].name


def assert_close(got, wanted):
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


def in_pytorch(model, x):
    """Return records as an ONNX file takes them, and what the halves of a model make of them in PyTorch."""
    given = x.astype({"uint16": np.float32}.get(x.dtype.name, x.dtype))
    with torch.no_grad():
        codes = model.encoder_(torch.from_numpy(given)).numpy()
        restored = model.decoder_(torch.from_numpy(codes)).numpy()
    assert_close(restored, model.reconstruct(x, dtype=float))
    return given, codes, restored


# One case of each kind of network, code, output and record, in which files and their halves are tried; the others are
# slow.
OF_HALVES = {"plain", "top-k", "gaussian", "rounded", "vector-quantised", "linear path", "convolutional, channels last"}
OF_HALVES |= {"strided, channels first", "categorical, grey", "logistic, grey", "temporal,  one channel"}
OF_HALVES |= {"recurrent, gru one channel", "teacher forcing", "missing values", "uint16", "bool"}


# Most of a file are its two halves, which have tests of their own.
OF_WHOLES = {"plain", "gaussian", "rounded", "vector-quantised", "convolutional, channels last", "categorical, grey"}
OF_WHOLES |= {"recurrent, gru one channel", "missing values", "uint16"}


@needs_onnx
@pytest.mark.parametrize(
    "case", [case if case in OF_WHOLES else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_a_file_computes_what_the_model_computes(case, tmp_path):
    x, model = CASES[case][0], model_of(case)
    given, _, restored = in_pytorch(model, x)
    path = model.export_onnx(tmp_path / "model")
    for n in (1, 24):
        got, names, output = computed(path, given[:n])
        assert (names, output) == (["records"], "restored")
        assert_close(got, restored[:n])


def test_there_are_such_cases():
    assert set(CASES) > OF_HALVES > OF_WHOLES


@needs_onnx
@pytest.mark.parametrize(
    "case", [case if case in OF_HALVES else pytest.param(case, marks=pytest.mark.slow) for case in CASES]
)
def test_the_file_of_a_half_computes_what_it_computes(case, tmp_path):
    x, model = CASES[case][0], model_of(case)
    given, codes, restored = in_pytorch(model, x)
    encoder, decoder = (model.export_onnx(tmp_path / part, part=part) for part in ("encoder", "decoder"))
    for n in (1, 24):
        got, names, output = computed(encoder, given[:n])
        assert (names, output) == (["records"], "codes")
        assert_close(got, codes[:n])
        got, names, output = computed(decoder, codes[:n])
        assert (names, output) == (["codes"], "restored")
        assert_close(got, restored[:n])


@needs_onnx
def test_conditional_models_take_labels_too(tmp_path):
    y = np.arange(24) % 3
    model = trained(y=y, conditional=True)
    got, names, _ = computed(model.export_onnx(tmp_path / "x.onnx"), IMAGES, y)
    assert names == ["records", "labels"]
    assert_close(got, model.reconstruct(IMAGES, y, dtype=float))


@needs_onnx
def test_decoders_that_need_switches_have_an_encoder_only(tmp_path):
    model = trained(network=Convolutional(channels=(2,), unpooling="switches"))
    got, *_ = computed(model.export_onnx(tmp_path / "x.onnx", part="encoder"), IMAGES)
    assert_close(got, model.transform(IMAGES))
    with pytest.raises(NotDecodableError, match="part='encoder'"):
        model.export_onnx(tmp_path / "y.onnx")


@needs_onnx
def test_exporting_leaves_the_model_as_it_was(tmp_path):
    model = trained()
    model.export_onnx(tmp_path / "x.onnx")
    assert all(weight.requires_grad for weight in model.chain_.parameters())


@needs_onnx
def test_soft_clipping_is_as_exact_in_a_file():
    u = torch.cat([torch.linspace(-3, 4, 1001), torch.tensor([-1e30, 1e30, 0.5])])
    torch.testing.assert_close(SoftClip._by_logarithms(u), SoftClip()(u), rtol=0, atol=2e-7)


class Sorted(torch.nn.Module):
    def forward(self, x):
        return torch.cummax(x, 1).values


class OfTwo(torch.nn.Module):
    def forward(self, x):
        return x + torch.arange(len(x.tolist())).reshape(-1, 1)


@needs_onnx
@pytest.mark.parametrize("module", [Sorted(), OfTwo()])
def test_what_a_file_cannot_compute_is_refused(module, tmp_path):
    x = TABLE.astype(np.float32)
    network = (torch.nn.Sequential(torch.nn.Linear(6, 4), module), torch.nn.Linear(4, 6))
    model = Autoencoder(None, network=network, training=Training(epochs=1), artefacts=(), random_state=0).fit(x)
    with pytest.raises(NotExportableError, match=r"The encoder cannot be written as an ONNX file\..*Export another"):
        model.export_onnx(tmp_path / "x.onnx", part="encoder")
    assert not list(tmp_path.iterdir())
    model.export_onnx(tmp_path / "x.onnx", part="decoder")


def test_parts_and_outputs_are_checked(tmp_path):
    model, path = trained(), tmp_path / "x.onnx"
    with pytest.raises(InvalidParameterError, match="'part' of export_onnx"):
        model.export_onnx(path, part="half")
    path.write_bytes(b"mine")
    with pytest.raises(OutputExistsError):
        model.export_onnx(path)
    assert path.read_bytes() == b"mine"


def test_without_the_package_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.model.onnx.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install 'narrows\[onnx\]'"):
        trained().export_onnx(tmp_path / "x.onnx")
