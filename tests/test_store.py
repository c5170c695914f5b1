"""A model in a file: the same model comes out, or a named error; never another exception, never another model."""

import hashlib
import json
import os
import resource
import struct
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load as tensors_in
from safetensors.torch import save as to_bytes
from safetensors.torch import save_file

import narrows
from narrows import Autoencoder, Training
from narrows.codec import read_frozen
from narrows.corruptions import Masking
from narrows.errors import (
    DataNotFoundError,
    InvalidParameterError,
    ModelFileError,
    OutputExistsError,
)
from narrows.likelihoods import Normal
from narrows.model.file import FORMAT
from narrows.networks import Convolutional, Dense

X = np.random.default_rng(0).normal(size=(20, 4)) * 5 + 100
FUZZ = settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])


def fit(x=X, **params):
    return Autoencoder(**{"n_latent": 2, "training": Training(epochs=2), "random_state": 0, **params}).fit(x)


@pytest.fixture(scope="module")
def model():
    return fit(network=Dense(widths=(3,)))


@pytest.fixture(scope="module")
def written(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    model.save(path)
    return path.read_bytes()


def load(content, tmp_path):
    path = tmp_path / "read.safetensors"
    path.write_bytes(content)
    return narrows.load(path)


# Out comes what went in


def assert_same(again, model, x):
    assert repr(again) == repr(model)
    assert again.history_ == model.history_
    for name in ("n_features_in_", "n_latent_", "shape_", "dtype_", "trained_on_", "range_", "kept_"):
        assert getattr(again, name) == getattr(model, name), name
    assert again.chain_.parts == model.chain_.parts
    np.testing.assert_array_equal(again.transform(x), model.transform(x))
    np.testing.assert_array_equal(
        again.inverse_transform(model.transform(x)), model.inverse_transform(model.transform(x))
    )
    np.testing.assert_array_equal(again.reconstruct(x), model.reconstruct(x))
    assert again.score(x) == model.score(x)
    assert narrows.evaluate(again, x) == narrows.evaluate(model, x)
    assert again.reconstruct(x).dtype == model.reconstruct(x).dtype
    assert again.reconstruct(x, dtype=x.dtype).dtype == x.dtype


@pytest.mark.parametrize(
    ("x", "params"),
    [
        (X, {}),
        (X.astype(np.float32), {"n_latent": None}),
        (X, {"network": Dense(widths=(5, 3), tied=True), "likelihood": Normal(scale="learned")}),
        (X, {"penalties": ["l1"], "preprocessing": ["standardise", "mean-removal"], "corruption": Masking(level=0.2)}),
        (X, {"training": Training(epochs=1, precision="float64", optimiser="sgd", schedule="cosine")}),
        (
            X.reshape(20, 2, 2).astype(np.uint8),
            {"network": Convolutional(channels=(2,), code_channels=1), "n_latent": None},
        ),
        (X > 100, {"likelihood": "bernoulli", "training": None}),
        (X.astype(np.uint16), {"n_latent": np.int64(2), "random_state": np.int32(4)}),
        (X, {"random_state": np.random.RandomState(3)}),
    ],
    ids=lambda value: "" if isinstance(value, np.ndarray) else ",".join(value) or "default",
)
def test_a_model_survives_the_file(x, params, tmp_path):
    model = fit(x, **params)
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model")
    if isinstance(params.get("random_state"), np.random.RandomState):
        assert again.random_state is None, "a generator cannot be written down"
        again.random_state = model.random_state
    else:
        refitted = again.fit(x)
        np.testing.assert_array_equal(refitted.transform(x), model.transform(x))
        again = narrows.load(tmp_path / "model")
    if isinstance(params.get("n_latent"), np.integer):
        assert (again.n_latent, again.random_state) == (2, 4)
        again.set_params(n_latent=params["n_latent"], random_state=params["random_state"])
    for name in ("penalties", "preprocessing"):
        given_list = model.get_params(deep=False)[name]
        if isinstance(given_list, list):
            assert list(getattr(again, name)) == given_list
            again.set_params(**{name: given_list})
    assert_same(again, model, x)
    again.save(tmp_path / "again")
    assert (
        (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()
        or "penalties" in params
        or ("random_state" in params)
    )


def test_feature_names_are_kept(tmp_path):
    frame = pd.DataFrame(X, columns=["mass", "height", "größe", "Ω"])
    fit(frame).save(tmp_path / "model")
    again = narrows.load(tmp_path / "model")
    assert again.feature_names_in_.tolist() == list(frame.columns)
    assert again.transform(frame).shape == (20, 2)
    with pytest.raises(ValueError, match="feature names"):
        again.transform(frame[frame.columns[::-1]])


def test_a_loaded_model_can_be_trained_anew(written, tmp_path, model):
    again = load(written, tmp_path)
    np.testing.assert_array_equal(again.fit(X).transform(X), model.transform(X))


def test_the_device_can_be_chosen(written, tmp_path, monkeypatch):
    (tmp_path / "model").write_bytes(written)
    assert narrows.load(tmp_path / "model", device="cpu").training.device == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InvalidParameterError, match="'cuda' was requested, but PyTorch finds none"):
        narrows.load(tmp_path / "model", device="cuda")
    with pytest.raises(InvalidParameterError, match=r"must be one of 'auto', 'cpu', 'cuda', 'mps'\. Got 'gpu'\."):
        narrows.load(tmp_path / "model", device="gpu")


# Files that are something else


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"The model file .*nowhere.* does not exist"):
        narrows.load(tmp_path / "nowhere.safetensors")
    with pytest.raises(ModelFileError, match="is a folder, and a model is a file"):
        narrows.load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"hello, world" * 100, b"\xff" * 1000, b"\0" * 1000, struct.pack("<Q", 2**60) + b"{}"]
)
def test_garbage_is_no_model(content, tmp_path):
    with pytest.raises(ModelFileError, match=r"read\.safetensors"):
        load(content, tmp_path)


@pytest.mark.parametrize(
    "metadata",
    [None, {}, {"format": "pt"}, {"narrows": ""}, {"narrows": "1"}, {"narrows": "[]"}, {"narrows": "{}"},
     {"narrows": '{"format": "1"}'}, {"narrows": '{"format": 1}'}, {"narrows": "[" * 100_000}],
    ids=lambda metadata: str(metadata)[:30],
)  # fmt: skip
def test_a_safetensors_file_of_somebody_else_is_no_model(metadata, tmp_path):
    path = tmp_path / "read.safetensors"
    save_file({"x": torch.zeros(3)}, path, metadata)
    with pytest.raises(ModelFileError, match=r"read\.safetensors"):
        narrows.load(path)
    save_file({"x": torch.zeros(3, dtype=torch.bfloat16)}, path, {"narrows": json.dumps({"format": 1, "sha256": "0"})})
    with pytest.raises(ModelFileError, match=r"read\.safetensors"):
        narrows.load(path)


def test_a_file_from_a_newer_narrows_says_so(written, tmp_path):
    def newer(header):
        header.update(format=FORMAT + 1, narrows="99.0")

    with pytest.raises(
        ModelFileError, match=rf"format {FORMAT + 1}, written by narrows 99.0.*formats up to {FORMAT}. Upgrade"
    ):
        load(lie(written, newer), tmp_path)


# Files that are damaged


def model_or_named_error(content, tmp_path):
    try:
        return load(content, tmp_path)
    except ModelFileError as error:
        if "read.safetensors" not in str(error):
            raise
        return None


def loads_the_same_or_is_refused(content, tmp_path, model):
    again = model_or_named_error(content, tmp_path)
    if again is not None:
        assert_same(again, model, X)
    return again is not None


@FUZZ
@given(data=st.data())
def test_a_flipped_byte_is_noticed_wherever_it_is(data, written, tmp_path, model):
    at = data.draw(st.integers(0, len(written) - 1))
    flipped = bytearray(written)
    flipped[at] ^= data.draw(st.integers(1, 255))
    same = loads_the_same_or_is_refused(bytes(flipped), tmp_path, model)
    assert not same or everything_in(bytes(flipped)) == everything_in(written), "all that has a meaning matters"


def everything_in(content):
    """Return what a file says, however its JSON is written: "1e-3" and "1E-3" are the same number."""
    n_header = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + n_header])
    header["__metadata__"]["narrows"] = json.loads(header["__metadata__"]["narrows"])
    return header, content[8 + n_header :]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.999])
def test_every_tensor_byte_matters(share, written, tmp_path):
    n_header = struct.unpack("<Q", written[:8])[0]
    flipped = bytearray(written)
    flipped[8 + n_header + int(share * (len(written) - 8 - n_header))] ^= 1
    with pytest.raises(ModelFileError, match="damaged: the content does not match its checksum"):
        load(bytes(flipped), tmp_path)


def test_a_changed_setting_is_noticed_too(written, tmp_path):
    """One bit turns relu into selu: a model that exists, but not this one."""
    assert written.count(b'\\"relu\\"') >= 1
    with pytest.raises(ModelFileError, match="checksum"):
        load(written.replace(b'\\"relu\\"', b'\\"selu\\"'), tmp_path)


@FUZZ
@given(length=st.integers(0, 10**6), tail=st.binary(max_size=20))
def test_a_cut_file_is_noticed(length, tail, written, tmp_path, model):
    cut = written[: length % len(written)] + tail
    if cut != written:
        assert not loads_the_same_or_is_refused(cut, tmp_path, model)
    assert not loads_the_same_or_is_refused(written + b"\0" + tail, tmp_path, model)


# Headers that lie, with a checksum that agrees


def split(content):
    n_header = struct.unpack("<Q", content[:8])[0]
    return json.loads(json.loads(content[8 : 8 + n_header])["__metadata__"]["narrows"]), tensors_in(content)


def sealed(header, tensors):
    """Return a file whose checksum is right: SHA-256 of the header without it, then of each tensor by name."""
    rest = {key: value for key, value in header.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode() + tensor.numpy().tobytes())
    return to_bytes(tensors, {"narrows": json.dumps({**rest, "sha256": digest.hexdigest()})})


def lie(content, change):
    header, tensors = split(content)
    change(header)
    return sealed(header, tensors)


def test_an_honest_file_that_is_sealed_again_is_a_model(written, tmp_path, model):
    assert loads_the_same_or_is_refused(lie(written, lambda header: None), tmp_path, model)


def test_a_header_that_claims_terabytes_takes_no_memory(written, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for widths in ([8000, 8000], [2**31], [2**40, 2**40], [2**62]):
        with pytest.raises(ModelFileError, match=r"read\.safetensors"):
            load(lie(written, lambda header, widths=widths: header["parts"]["network"].update(widths=widths)), tmp_path)
    with pytest.raises(ModelFileError, match=r"read\.safetensors"):
        load(lie(written, lambda header: header.update(shape=[2**40, 2**40])), tmp_path)
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 100e6


def test_a_header_with_other_widths_is_refused_and_the_tensors_are_named(written, tmp_path):
    with pytest.raises(
        ModelFileError, match=r"read.safetensors is a narrows model with invalid content: .*encoder.layers"
    ):
        load(lie(written, lambda header: header["parts"]["network"].update(widths=[7])), tmp_path)


@pytest.mark.parametrize(
    "change", [{"dtype": "object"}, {"dtype": "<U3"}, {"shape": []}, {"shape": [-4]}, {"shape": [4.0]}]
)
def test_records_that_cannot_be_are_refused(change, written, tmp_path):
    with pytest.raises(ModelFileError, match="invalid content"):
        load(lie(written, lambda header: header.update(change)), tmp_path)


def test_a_missing_or_an_extra_tensor_is_named(written, tmp_path):
    header, tensors = split(written)
    name = next(name for name in tensors if name.startswith("chain.encoder"))
    extra = {**tensors, "chain.encoder.spy": torch.zeros(2)}
    with pytest.raises(ModelFileError, match=r"encoder\.spy"):
        load(sealed(header, extra), tmp_path)
    del tensors[name]
    with pytest.raises(ModelFileError, match=name.removeprefix("chain.")):
        load(sealed(header, tensors), tmp_path)


@pytest.mark.parametrize("dtype", ["F8_E4M3", "F8_E5M2", "F8_E8M0"])
@pytest.mark.parametrize("name", ["pca.mean", "frozen"])
def test_types_that_numpy_does_not_have_are_refused(name, dtype, written, tmp_path):
    n_header = struct.unpack("<Q", written[:8])[0]
    header = json.loads(written[8 : 8 + n_header])
    start, stop = header[name]["data_offsets"]
    header[name] = {"dtype": dtype, "shape": [stop - start], "data_offsets": [start, stop]}
    text = json.dumps(header).encode()
    (tmp_path / "read.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + written[8 + n_header :])
    for read in (narrows.load, read_frozen) if name == "frozen" else (narrows.load,):
        with pytest.raises(ModelFileError, match=r"read\.safetensors is a safetensors file, but not a narrows model\."):
            read(tmp_path / "read.safetensors")


def places(node, path=()):
    """Return the way to every value in nested JSON."""
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *[place for key, value in below for place in places(value, (*path, key))]]


JSON = st.sampled_from(
    [None, True, False, 0, -1, 1, 2, 10**400, 0.5, -1e308, "", "auto", "dense", "float64", "object", "O", "\0",
     [], [0], [[]], {}, {"axis": "network"}, {"axis": "network", "name": "dense"}, {"axis": ["x"]}, {"axis": "nothing"},
     [2**62, 2**62], ["standardise"], {"": None}],
)  # fmt: skip


@FUZZ
@given(data=st.data())
def test_a_header_may_say_anything(data, written, tmp_path):
    def change(header):
        *way, last = data.draw(st.sampled_from([place for place in places(header) if place and place[0] != "sha256"]))
        node = header
        for key in way:
            node = node[key]
        if data.draw(st.booleans()) and isinstance(node, dict):
            del node[last]
        else:
            node[last] = data.draw(JSON)

    model_or_named_error(lie(written, change), tmp_path)


# Writing


def test_nothing_is_overwritten_unasked(model, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(b"mine")
    with pytest.raises(OutputExistsError, match="model"):
        model.save(path)
    assert path.read_bytes() == b"mine"
    model.save(path, force=True)
    assert narrows.load(path).n_latent_ == 2


def test_a_failure_leaves_nothing_behind(model, tmp_path, monkeypatch):
    with pytest.raises(DataNotFoundError):
        model.save(tmp_path / "nowhere" / "model")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_the_same_model_gives_the_same_bytes(model, written, tmp_path):
    model.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == written


def test_loading_runs_no_code(written):
    assert b"pickle" not in written
    assert set(split(written)[0]) >= {"format", "params", "parts", "shape", "dtype", "history_", "sha256"}


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")  # which is right
def test_a_validation_loss_that_is_not_finite_is_null_in_the_file(tmp_path):
    """Validation data may hold what the loss cannot; the model itself is fine."""
    far = np.full((3, 4), 1e200)
    model = Autoencoder(2, training=Training(epochs=1), random_state=0).fit(X, validation=far)
    assert not np.isfinite(model.history_[0]["validation_loss"])
    model.save(tmp_path / "model")
    assert json_of(tmp_path / "model")["history_"] == [{**model.history_[0], "validation_loss": None}]
    assert narrows.load(tmp_path / "model").history_ == [{**model.history_[0], "validation_loss": None}]


def json_of(path):
    """Return the header of a model file, which must be JSON for every reader."""
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["narrows"], parse_constant=pytest.fail)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_the_header_of_a_model_of_constant_data_is_json(value, tmp_path):
    model = fit(np.full((40, 4), value))
    assert model.comparison_.ratio is None
    model.save(tmp_path / "model")
    assert json_of(tmp_path / "model")["comparison"]["ratio"] is None
    assert narrows.load(tmp_path / "model").comparison_ == model.comparison_


def test_files_with_numbers_that_are_not_finite_are_read(written, tmp_path):
    def change(header):
        header["comparison"] = {"n_records": 3, "ratio": float("inf"), "is_better": False, "keeps_network": True}

    assert load(lie(written, change), tmp_path).comparison_.ratio is None


def test_files_that_do_not_say_what_was_kept_are_read(written, tmp_path, model):
    def change(header):
        del header["kept"], header["n_weights"]

    older = load(lie(written, change), tmp_path)
    assert model.kept_ is not None
    assert older.kept_ is None
    older.save(tmp_path / "again")
    assert "kept" not in json_of(tmp_path / "again")
