"""``narrows evaluate``, ``info`` and ``recipes``."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

import narrows as package
from narrows.errors import NotFreezableError
from narrows.estimators.recipes import RECIPES


def test_evaluate_as_json_is_what_python_measures(narrows, model):
    said = narrows.json("evaluate", "digits:test", "-m", model)
    measured = package.evaluate(package.load(model), "digits:test")
    assert set(measured) >= {
        "records",
        "sse_per_record",
        "mse",
        "psnr_db",
        "cross_entropy_per_value",
        "nats_per_record",
        "pca_sse_per_record",
    }
    assert {name: said[name] for name in measured} == pytest.approx(measured)
    assert said["n_latent"] == 4


def test_evaluate_in_words_names_every_number_and_compares_with_pca(narrows, model):
    result = narrows("evaluate", "digits:test", "-m", model)
    for name in narrows.json("evaluate", "digits:test", "-m", model):
        if name not in {"data", "model", "n_latent", "warnings"}:
            assert f"\n{name} " in result.stdout
    assert "PCA with 4 components" in result.stdout.splitlines()[-1]
    assert result.stderr == ""


@pytest.mark.usefixtures("pca_only")
def test_a_model_that_loses_to_pca_is_warned_of_in_words(narrows):
    """Records on another scale than the training data lose as well, of which the first warning says enough."""
    import numpy as np

    narrows.train("m.safetensors", "--recipe", "dense", "--epochs", "1")
    (said,) = narrows("evaluate", "digits:test", "-m", "m.safetensors").stderr.splitlines()
    assert said.startswith("Warning: The squared error of the model on these records is")
    assert narrows("evaluate", "digits:test", "-m", "m.safetensors", "--json").stderr.splitlines() == [said]
    np.save("unit.npy", package.data.open("digits:test").values / np.float32(16))
    (said,) = narrows("evaluate", "unit.npy", "-m", "m.safetensors").stderr.splitlines()
    assert "different scale" in said


def test_evaluate_reads_no_more_than_the_limit(narrows, model):
    assert narrows.json("evaluate", "digits:test", "-m", model, "--limit", "7")["records"] == 7


def test_a_code_as_large_as_the_record_is_said_to_be_no_feat(narrows, denoising_model):
    assert "The code is as large as a record" in narrows("evaluate", "digits:test", "-m", denoising_model).stdout


@pytest.mark.usefixtures("pca_only")
def test_a_number_that_is_not_defined_is_null_in_json_and_a_dash_in_words(narrows):
    import numpy as np

    np.save("x.npy", np.random.default_rng(0).normal(size=(60, 5)))
    narrows.train("m.safetensors", data="x.npy")
    assert narrows.json("evaluate", "x.npy", "-m", "m.safetensors")["cross_entropy_per_value"] is None
    assert "not defined for these data" in narrows("evaluate", "x.npy", "-m", "m.safetensors").stdout


def test_what_pca_leaves_is_said_to_be_missing_where_the_model_has_no_pca(narrows, model, monkeypatch):
    loaded = package.load(model)
    loaded.model_ = loaded.model_.without_artefact("pca", "The model file does not contain it.")
    monkeypatch.setattr("narrows.cli.evaluate.load_model", lambda path, device: loaded)
    lines = [line for line in narrows("evaluate", "digits:test", "-m", model).stdout.splitlines() if "pca_" in line]
    assert len(lines) == 2
    assert all(line.endswith(": the model has none") for line in lines)


def test_info_counts_the_weights_of_a_model_that_does_not_say_how_many_it_has(narrows, denoising_model):
    from safetensors.numpy import load_file, save_file

    said = narrows.json("info", denoising_model)
    with safe_open(denoising_model, framework="numpy") as file:
        header = json.loads(file.metadata()["narrows"])
    for name in ("n_weights", "kept"):
        del header[name]
    save_file(load_file(denoising_model), "older.safetensors", {"narrows": json.dumps(header)})
    older = narrows.json("info", "older.safetensors")
    assert (older["weights"], older["loss"]) == (said["weights"], said["loss"])


def test_info_says_what_the_model_is(narrows, model):
    info = narrows.json("info", model)
    loaded = package.load(model)
    assert info["n_bytes"] == Path(model).stat().st_size
    assert info["trained_on"]["name"] == "digits:train"
    assert info["trained_on"]["n_records"] == 200
    assert (info["shape"], info["dtype"], info["n_latent"], info["epochs"]) == ([8, 8], "uint8", 4, 2)
    assert [row["loss"] for row in info["history"]] == [row["loss"] for row in loaded.history_]
    assert info["weights"] == sum(
        p.numel() for m in (loaded.chain_.encoder, loaded.chain_.decoder) for p in m.parameters()
    )
    text = narrows("info", model).stdout
    for word in ("digits:train", "200 records", "seed 0", "4 numbers", "2 epochs", "dense 64-4", "8×8 uint8"):
        assert word in text


@pytest.mark.usefixtures("chain_only")
def test_info_says_on_how_many_threads_a_model_was_trained(narrows):
    narrows("train", "digits", "-o", "m.safetensors", "--epochs", "1", "--limit", "100", "--threads", "1")
    said = narrows.json("info", "m.safetensors")
    assert (said["threads"], said["shards"]) == (1, 1)
    assert "threads      1 thread\n" in narrows("info", "m.safetensors").stdout


def test_info_shows_the_whole_chain_of_a_denoising_model(narrows, denoising_model):
    text = narrows("info", denoising_model).stdout
    for word in ("corruption     gaussian (scale 0.5, clip), in training only", "convolutional", "bernoulli"):
        assert word in text


@pytest.mark.usefixtures("chain_only")
def test_info_tells_of_pretraining(narrows):
    corruptions = json.dumps([{"axis": "corruption", "name": "masking", "level": level} for level in (0.1, 0.25)])
    settings = ("pretraining=layer-wise", f"pretraining__corruptions={corruptions}", "pretraining__epochs=2")
    sets = [word for setting in ("network=dense", *settings) for word in ("--set", setting)]
    narrows("train", "digits", "-o", "m.safetensors", "--epochs", "1", "--limit", "100", *sets)
    said = narrows("info", "m.safetensors").stdout
    assert "pretraining    layer-wise (corruptions masking (level 0.1), masking (level 0.25), epochs 2" in said
    facts = json.loads(narrows("info", "m.safetensors", "--json").stdout)
    assert [row["stage"] for row in facts["pretraining_history"]] == ["layer 1 of 2"] * 2 + ["layer 2 of 2"] * 2


def test_info_lists_the_qualities_that_archives_can_have(narrows, compressor):
    from narrows.codec import read_frozen

    qualities = read_frozen(compressor).qualities
    info = narrows.json("info", compressor)
    assert [one["psnr_db"] for one in info["qualities"]] == [one.psnr_db for one in qualities]
    assert [one["bytes_per_record"] for one in info["qualities"]] == [one.bytes_per_record for one in qualities]
    heading = "\narchives, measured on the training data, without the bytes of header and index\n"
    lines = narrows("info", compressor).stdout.partition(heading)[2].splitlines()
    assert [line.split()[:2] for line in lines] == [["quality", str(k)] for k in range(len(qualities))]
    assert len(lines) == len(qualities)
    assert all(line.endswith(" bytes a record") and " dB " in line for line in lines)


def test_info_of_a_model_that_makes_no_archives_says_why(narrows, model, monkeypatch):
    def refuse(path):
        raise NotFreezableError(f"{path}: the network has a part that has no whole numbers.")

    monkeypatch.setattr("narrows.codec.read_frozen", refuse)
    assert "no whole numbers" in narrows.json("info", model)["not_frozen"]
    assert "no archives: " in narrows("info", model).stdout


def test_info_of_what_is_no_model_says_so(narrows):
    Path("x.safetensors").write_bytes(b"nothing of the kind")
    said = narrows("info", "x.safetensors", code=1).stderr
    assert "x.safetensors is not a safetensors file, the format of models. Give a model" in said
    assert "The model file y.safetensors does not exist" in narrows("info", "y.safetensors", code=1).stderr


@pytest.mark.parametrize(
    ("name", "kind"),
    [("x.npy", "a .npy file"), ("x.npz", "a .zip or .npz file"), ("a.narrows", "an archive of narrows")],
)
def test_what_is_given_for_a_model_is_called_what_it_is(narrows, archive, name, kind):
    np.save("x.npy", np.zeros(500))
    np.savez("x.npz", np.zeros(500))
    Path(archive).rename("a.narrows")
    commands = [("encode", "digits", "-m", name, "-o", "y.npy"), ("restore", "a.narrows", "-m", name, "-o", "y.npy")]
    for command in [*commands, *([] if name == "a.narrows" else [("info", name)])]:
        said = narrows(*command, code=1).stderr
        assert f"{name} is not a safetensors file, the format of models, but {kind}" in said


def test_a_folder_is_not_said_to_be_missing(narrows):
    Path("grey").mkdir()
    assert "grey is a folder, and a model is a file" in narrows("info", "grey", code=1).stderr


def test_the_documents_that_recipes_reproduce_are_explained(narrows):
    said = narrows("recipes")
    assert "Document 0" in said.stdout
    assert "Documents 0 to 4 are published tutorials" in said.stderr


def test_recipes_are_listed_by_name_with_a_line_each(narrows):
    lines = narrows("recipes").stdout.splitlines()
    assert [line.split()[0] for line in lines] == [*RECIPES, "bytes", "columns"]
    assert list(narrows.json("recipes")["recipes"]) == [*RECIPES, "bytes", "columns"]


def test_a_recipe_is_shown_with_its_settings(narrows):
    assert "Dense(" in narrows("recipes", "deep-tied").stdout
    said = narrows.json("recipes", "dense")
    assert said["settings"]["n_latent"] == "32"
    assert "Did you mean 'dense'" in narrows("recipes", "dens", code=2).stderr


def test_json_is_one_object_and_nothing_else(narrows, model):
    for arguments in (("evaluate", "digits:test", "-m", model), ("info", model), ("recipes",)):
        result = narrows(*arguments, "--json")
        assert isinstance(json.loads(result.stdout), dict)
        assert "NaN" not in result.stdout


@pytest.mark.filterwarnings("ignore:.* has only .* training record")
def test_info_of_a_training_by_the_defaults_says_so(narrows):
    package.Autoencoder(2, random_state=0).fit([[0.0, 1.0], [1.0, 0.0]]).save("m.safetensors")
    epochs = narrows.json("info", "m.safetensors")["epochs"]
    assert f"the defaults (epochs: {epochs} ran)" in narrows("info", "m.safetensors").stdout


def test_layers_of_a_model_are_listed_on_request(narrows, model):
    assert "encoder.layers" not in narrows("info", model).stdout
    said = narrows("info", model, "--layers").stdout
    assert "layer (type)" in said
    assert "trainable: " in said
    layers = narrows.json("info", model, "--layers")["layers"]
    assert layers[0] == {"name": "records", "type": "uint8", "output_shape": [8, 8], "parameters": 0}


def test_layers_of_an_archive_are_refused(narrows, archive):
    assert "--layers is for models" in narrows.fails("info", archive, "--layers").output
