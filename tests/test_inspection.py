"""What a model file says of its model, without loading it."""

import json
import subprocess
import sys

import numpy as np
import pytest

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.codec import read_frozen
from narrows.errors import DataNotFoundError, ModelFileError
from narrows.model.describe import describe_chain, describe_settings
from narrows.model.file import describe
from narrows.model.inspection import inspect, read_header
from narrows.networks import Dense


@pytest.fixture(scope="module")
def file(digits, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "m.safetensors"
    model = Autoencoder(3, network=Dense(widths=(8,)), training=Training(epochs=2), random_state=0)
    model.fit(digits[0][:60]).save(path)
    return path


def test_a_description_is_that_of_the_loaded_model(file):
    found, model = inspect(file), narrows.load(file)
    header = describe(model.model_)
    assert {name: found.header[name] for name in header} == json.loads(json.dumps(header))
    assert (found.path, found.n_bytes, found.record) == (str(file), file.stat().st_size, model.record_)
    facts = found.to_json()
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["shape"], facts["dtype"], facts["n_latent"], facts["epochs"]) == ([8, 8], "uint8", 3, 2)
    assert [row["loss"] for row in facts["history"]] == [row["loss"] for row in model.history_]
    assert (facts["kept_epoch"], facts["loss"]) == (model.kept_.epoch, model.kept_.loss)


def test_the_qualities_are_those_of_the_archive_codec_or_there_is_a_reason(file, digits, tmp_path):
    found = inspect(file)
    measured = [(one.psnr_db, one.bytes_per_record) for one in read_frozen(file).qualities]
    assert [(one["psnr_db"], one["bytes_per_record"]) for one in found.qualities] == measured
    assert found.codec_error is None
    training = Training(epochs=1)
    bare = Autoencoder(2, network=Dense(widths=(4,)), training=training, random_state=0, artefacts=())
    AutoencoderClassifier(bare, training=training, random_state=0).fit(digits[0][:40], np.arange(40) % 2).save(
        tmp_path / "c"
    )
    bare.fit(digits[0][:40]).save(tmp_path / "b")
    for name, reason in (("b", "It was not requested"), ("c", "writes no archives")):
        found = inspect(tmp_path / name)
        assert found.qualities == ()
        assert reason in found.codec_error
        assert (found.to_json()["qualities"], found.to_json()["not_frozen"]) == ([], found.codec_error)
    assert (found.to_json()["kind"], found.to_json()["classes"]) == ("classifier", [0, 1])


def test_a_header_is_put_in_words(file):
    header = read_header(file)
    roles = dict(describe_chain(header))
    assert (roles["data"], roles["encoder"]) == ("8×8 uint8", "dense 64-8-3, relu")
    assert roles["bottleneck"] == "plain, 3 numbers"
    settings = describe_settings(header)
    assert (settings["n_latent"], settings["training__epochs"], settings["network__widths"]) == ("3", "2", "8")


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"The model file .* does not exist"):
        inspect(tmp_path / "missing")
    (tmp_path / "x").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelFileError, match="is not a safetensors file"):
        inspect(tmp_path / "x")


def test_inspecting_needs_no_pytorch(file):
    script = f"""
import sys
from narrows.model.describe import describe_chain
from narrows.model.inspection import inspect
describe_chain(inspect({str(file)!r}).header)
sys.exit(", ".join(name for name in ("torch", "sklearn", "matplotlib", "click") if name in sys.modules) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
