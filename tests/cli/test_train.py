"""``narrows train``: every flag shows in the model, and nothing is overwritten unasked."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

import narrows as package
from narrows.archive.model_qualities import quality_warnings, range_text
from narrows.cli.console import number
from narrows.errors import DataError, OutputError
from narrows.lossless import CausalNetwork
from narrows.parts.typed import parse_value

FAST = ("--epochs", "1", "--limit", "100", "--latent", "2")


def read(info, path):
    """Return the value at a dotted path."""
    for key in path.split("."):
        info = info[key]
    return info


@pytest.mark.usefixtures("chain_only")
@pytest.mark.parametrize(
    ("arguments", "path", "value"),
    [
        ("--epochs 3", "epochs", 3),
        ("--limit 100", "trained_on.n_records", 100),
        ("--latent 7", "n_latent", 7),
        ("--batch-size 50", "params.training.batch_size", 50),
        ("--learning-rate 0.01", "params.training.optimiser.learning_rate", 0.01),
        ("--threads 1", "params.training.threads", 1),
        ("--seed 5", "params.random_state", 5),
        ("--valid 0.25", "trained_on.n_records", 150),
        ("--valid 0.25 --patience 9", "params.training.patience", 9),
        ("--patience 9", "params.training.patience", 9),
        ("--device cpu", "params.training.device", "cpu"),
        ("--recipe codec --psnr 31.5", "parts.likelihood.psnr", 31.5),
        ("--set likelihood=constrained-normal --psnr 20", "parts.likelihood.psnr", 20),
        ("--recipe dense", "parts.network.widths", [128, 64]),
        ("--set network=dense --set network__widths=20,10", "parts.network.widths", [20, 10]),
        ("--set network__widths=20 --set network=dense", "parts.network.widths", [20]),
        ("--set training__optimiser=adadelta", "params.training.optimiser.name", "adadelta"),
        ("--set training__schedule__warmup=0.1", "params.training.schedule.warmup", 0.1),
        ("--set training__shuffle=false", "params.training.shuffle", False),
        ("--recipe conv-denoising --set corruption=none", "parts.corruption", None),
        ("--set preprocessing=none", "parts.preprocessing", []),
        ("--recipe vanilla --set penalties=none", "parts.penalties", []),
        ("--set corruption=masking --set corruption__level=.4", "parts.corruption.level", 0.4),
    ],
)
def test_every_flag_shows_in_the_model(arguments, path, value, narrows):
    assert read(narrows.train("m.safetensors", *arguments.split()), path) == value


@pytest.mark.usefixtures("chain_only")
def test_preprocessing_is_a_list_of_names(narrows):
    info = narrows.train("m.safetensors", "--set", "preprocessing=unit-scale,mean-removal")
    assert [part["name"] for part in info["parts"]["preprocessing"]] == ["unit-scale", "mean-removal"]


@pytest.mark.usefixtures("chain_only")
def test_the_seed_is_zero_unless_given(narrows):
    assert narrows.train("m.safetensors")["params"]["random_state"] == 0


@pytest.mark.usefixtures("chain_only")
def test_key_and_resize_say_how_data_are_read(narrows, tmp_path):
    x = np.random.default_rng(0).random((50, 6), dtype=np.float32)
    np.savez("two.npz", x=x, other=x[:, :3])
    assert narrows.train("a.safetensors", "--key", "other", data="two.npz")["shape"] == [3]
    Path("photos").mkdir()
    for i in range(4):
        Image.fromarray(np.full((9 + i, 9), 40 * i, np.uint8)).save(f"photos/{i}.png")
    assert narrows.train("b.safetensors", "--resize", "8x10", data="photos")["shape"] == [8, 10]


@pytest.mark.usefixtures("chain_only")
def test_validation_data_of_their_own_are_measured(narrows):
    result = narrows.json("train", "digits", "-o", "m.safetensors", "--epochs", "2", "--valid", "digits:test")
    assert result["validation"]["records"] == 360
    assert result["records"] == 1437
    assert result["validation_loss"] == pytest.approx(result["validation"]["nats_per_record"], rel=1e-4)


def test_the_result_is_said_in_words_or_as_one_json_object(narrows):
    quick = ("--epochs", "2", "--limit", "100", "--valid", "0.2")
    words = narrows("train", "digits", "-o", "a.safetensors", *quick)
    assert "a.safetensors, " in words.stdout
    assert "2 epochs in" in words.stdout
    assert "nats per record" in words.stdout
    said = narrows.json("train", "digits", "-o", "b.safetensors", *quick)
    assert said["path"] == "b.safetensors"
    assert said["n_bytes"] == Path("b.safetensors").stat().st_size
    assert (said["epochs"], said["records"], said["validation"]) == (2, 80, None)
    assert said["loss"] == narrows.json("info", "b.safetensors")["loss"]


def test_the_qualities_of_archives_are_said(narrows):
    quick = ("train", "digits", "-o", "m.safetensors", "--epochs", "2", "--limit", "100", "--force")
    line = narrows(*quick).stdout.splitlines()[-1]
    said = narrows.json(*quick)
    assert said["qualities"] == narrows.json("info", "m.safetensors")["qualities"]
    assert [one["kind"] for one in said["warnings"]] == ["replaced-model"]
    assert line.startswith("archives  ")
    assert f" {number(max(one['psnr_db'] for one in said['qualities']))} dB in " in line
    assert range_text(()) == "none; `narrows info` gives the reason"


@pytest.mark.parametrize(
    ("side", "flag"), [(8, "--latent 32"), pytest.param(16, "--set network=strided ", marks=pytest.mark.slow)]
)
def test_a_quality_that_training_does_not_reach_is_warned_of_with_advice_that_can_be_typed(side, flag, narrows, digits):
    np.save("pieces.npy", np.kron(digits[0][:40], np.ones((1, side // 8, side // 8), np.uint8)))
    train = ("train", "pieces.npy", "-o", "m.safetensors", "--recipe", "codec", "--psnr", "60", "--epochs", "1")
    said = narrows(*train).stderr.splitlines()[-1]
    warning = r"Warning: The model was trained for 60 dB, but reaches at most [\d.]+ dB on its training data\."
    assert re.match(warning, said)
    assert "for more epochs than 1 (--epochs)" in said
    before = narrows.json("info", "m.safetensors")
    larger = re.search(rf"\(({flag}.*)\)", said)[1].split()
    quiet = narrows(*train, *larger, "--force", "--quiet", "--json")
    kinds = [one["kind"] for one in json.loads(quiet.stdout)["warnings"]]
    assert re.match(warning, quiet.stderr)
    assert (quiet.stderr.count("\n"), kinds.count("psnr")) == (1, 1)
    after = narrows.json("info", "m.safetensors")
    assert after["n_latent"] == 2 * before["n_latent"]
    assert {**after["parts"]["network"], "code_channels": None} == {**before["parts"]["network"], "code_channels": None}


def test_a_model_for_archives_that_keep_bits_misses_no_quality(codec_model, monkeypatch):
    monkeypatch.setattr(codec_model.chain_.parts.likelihood, "psnr", 99.0)
    assert quality_warnings(codec_model)
    monkeypatch.setattr(codec_model, "model_", replace(codec_model.model_, residual_part=CausalNetwork()))
    assert quality_warnings(codec_model) == ()


def test_a_quality_that_only_a_finer_step_reaches_is_said_with_the_option_that_takes_it(codec_model, monkeypatch):
    asked = codec_model.codec_.qualities[codec_model.codec_.default].psnr_db + 0.06
    monkeypatch.setattr(codec_model.chain_.parts.likelihood, "psnr", asked)
    (warning,) = quality_warnings(codec_model)
    assert f"narrows compress --psnr {asked:g}` chooses a finer quality" in str(warning)


def test_missing_the_quality_by_two_tenths_of_a_db_is_said_by_train_and_by_compress(
    codec_model, digits, monkeypatch, tmp_path
):
    codec = codec_model.codec_
    best = max(one.psnr_db for one in codec.qualities)
    monkeypatch.setattr(codec_model.chain_.parts.likelihood, "psnr", best + 0.2)
    (warning,) = quality_warnings(codec_model)
    assert f"but reaches at most {best:.2f} dB" in str(warning)
    default = codec.qualities[codec.default].psnr_db
    for more, n in ((0.04, 0), (0.2, 1)):
        monkeypatch.setattr(codec_model.chain_.parts.likelihood, "psnr", default + more)
        made = package.compress(digits[0][:300], tmp_path / "x.narrows", model=codec_model, force=True)
        assert sum("which its code misses" in str(one) for one in made.warnings) == n, made


def test_the_same_command_gives_the_same_model(narrows):
    import safetensors.numpy

    for path in ("a.safetensors", "b.safetensors"):
        narrows.train(path)
    a, b = (safetensors.numpy.load_file(path) for path in ("a.safetensors", "b.safetensors"))
    assert all(np.array_equal(a[name], b[name]) for name in a.keys() | b.keys())


@pytest.mark.usefixtures("chain_only")
def test_a_model_is_replaced_only_by_force_and_refused_before_data_are_read(narrows, model):
    before = Path(model).read_bytes()
    refused = narrows("train", "no-such-data.npy", "-o", model, code=1)
    assert "already exists" in refused.stderr
    assert "--force" in refused.stderr
    assert Path(model).read_bytes() == before
    narrows.train("m.safetensors", "--latent", "3")
    assert narrows.train("m.safetensors", "--latent", "4", "--force")["n_latent"] == 4


def test_a_missing_folder_is_refused_before_training(narrows):
    assert "does not exist. Create it first" in narrows("train", "digits", "-o", "nowhere/m.safetensors", code=1).stderr


@pytest.mark.usefixtures("chain_only")
def test_the_checkpoint_of_an_unfinished_run_is_neither_ignored_nor_thrown_away_unasked(narrows):
    checkpoint = Path("m.safetensors.checkpoint")
    checkpoint.write_bytes(b"of an earlier run")
    refused = narrows("train", "digits", "-o", "m.safetensors", code=1)
    assert "--resume" in refused.stderr
    assert "--force" in refused.stderr
    assert checkpoint.exists()
    assert "not a checkpoint" in narrows("train", "digits", "-o", "m.safetensors", "--resume", code=1).stderr
    narrows.train("m.safetensors", "--force")
    assert not checkpoint.exists()


@pytest.mark.usefixtures("chain_only")
def test_resuming_without_a_checkpoint_starts_anew_and_says_so(narrows):
    result = narrows("train", "digits", "-o", "m.safetensors", "--epochs", "2", "--limit", "100", "--resume")
    assert (
        "The checkpoint m.safetensors.checkpoint does not exist. Training starts from the beginning." in result.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--epochs 0", "The 'epochs' of Training must be a whole number ≥ 1 or None. Got 0."),
        ("--epochs ten", "'ten' is not a valid integer"),
        ("--latent -1", "The 'n_latent' of Autoencoder must be a whole number ≥ 1 or None. Got -1."),
        ("--batch-size 0", "The 'batch_size' of Training must be"),
        ("--learning-rate -0.1", "The 'learning_rate' of Adam must be"),
        ("--limit 0", "The 'limit' must be a whole number ≥ 1. Got 0."),
        ("--valid 1.5", "The 'validation' of Training must be"),
        ("--recipe dense --patience 3", "--valid"),
        ("--valid 0 --patience 3", "--valid"),
        ("--seed -1", "The seed must be a whole number"),
        ("--resize 8by8", "A size must have the form HEIGHTxWIDTH"),
        ("--resize 8x8", "The option 'resize' can be set only for image files"),
        ("--recipe dens", "Unknown recipe: 'dens'. Did you mean 'dense'?"),
        ("--set network=dense --set network__width=3", "Unknown option of Dense: 'width'. Did you mean 'widths'?"),
        ("--set latent=3", "Unknown parameter of Autoencoder: 'latent'. Did you mean 'n_latent'?"),
        ("--set network", "--set must have the form OPTION=VALUE"),
        ("--set training__epochs=3 --epochs 4", "--set training__epochs and --epochs set the same parameter."),
        ("--set random_state=3", "--seed"),
        ("--psnr 30", "the recipe 'auto', whose likelihood has no target"),
        ("--recipe conv --psnr 30", "Use --recipe codec, or train without --psnr"),
        ("--recipe codec --psnr -1", "The 'psnr' of ConstrainedNormal must be"),
        (
            "--recipe codec --psnr 30 --set likelihood__psnr=20",
            "--set likelihood__psnr and --psnr set the same parameter",
        ),
        ("--set network=dens", "Unknown network: 'dens'. Did you mean 'dense'?"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_allowed(arguments, message, narrows):
    result = narrows("train", "digits:train", "-o", "m.safetensors", *arguments.split(), code=2)
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("30", 30),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("true", True),
        ("True", True),
        ("none", None),
        ("null", None),
        ("512,256", (512, 256)),
        ("512,", (512,)),
        ("", ()),
        ("[512, 256]", (512, 256)),
        ("[]", ()),
        ("unit-scale,mean-removal", ("unit-scale", "mean-removal")),
        ('"none"', "none"),
        ("relu", "relu"),
        ('{"name": "dense"}', {"name": "dense"}),
    ],
)
def test_values_are_json_then_lists_then_text(text, value):
    assert parse_value(text) == value


def test_recipes_shown_by_json_can_be_parsed(narrows):
    assert json.loads(narrows("recipes", "--json").stdout)


def test_a_disk_that_is_full_at_the_end_loses_nothing(narrows, monkeypatch):
    def full(model, path, *, force):
        Path(f"{path}.checkpoint").touch()
        raise OutputError(f"The output '{path}' could not be written: No space left on device.")

    monkeypatch.setattr("narrows.estimators.autoencoder.Autoencoder.save", full)
    said = narrows("train", "digits", "-o", "m.safetensors", "--epochs", "1", "--limit", "50", "-q", code=1).stderr
    assert "'m.safetensors' could not be written: No space left" in said
    assert "checkpoint m.safetensors.checkpoint contains the trained weights" in said
    assert said.rstrip().endswith("--resume")


@pytest.mark.usefixtures("chain_only")
def test_to_resume_a_finished_run_is_said_to_be_needless(narrows):
    narrows.train("m.safetensors")
    said = narrows("train", "digits:train", "-o", "m.safetensors", "--resume", code=1).stderr
    assert "The model 'm.safetensors' exists" in said
    assert "training is complete" in said


@pytest.mark.usefixtures("chain_only")
def test_one_is_counted_as_one(narrows):
    arguments = ("--epochs", "1", "--latent", "1", "--limit", "20")
    said = narrows("train", "digits", "-o", "m.safetensors", *arguments).stdout
    assert "1 number a code" in said
    assert "1 epoch in" in said


def test_ctrl_c_after_the_training_saves_the_model_and_says_how_to_measure_the_rest(narrows, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    command = ("train", "digits:train", "-o", "m.safetensors", *FAST, "--quiet")
    with monkeypatch.context() as patch:
        patch.setattr("narrows.model.artefacts.archive_codec.ArchiveCodec._frozen", interrupt)
        result = narrows(*command, code=130)
    assert "The trained model is saved in m.safetensors; it has no archive codec." in result.stderr
    assert result.stderr.rstrip().endswith("--quiet --resume --force")
    assert "no archive codec" in narrows.json("info", "m.safetensors")["not_frozen"]
    assert narrows.json("evaluate", "digits:test", "-m", "m.safetensors")["mse"] > 0

    narrows(*command, "--resume", "--force")
    assert narrows.json("info", "m.safetensors")["qualities"]
    assert not Path("m.safetensors.checkpoint").exists()
    narrows(*command[:3], "straight.safetensors", *command[4:])
    measured, straight = (safetensors.numpy.load_file(path) for path in ("m.safetensors", "straight.safetensors"))
    assert measured.keys() == straight.keys()
    assert all(np.array_equal(measured[name], straight[name]) for name in straight)


def test_what_could_not_be_measured_is_a_warning(narrows, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no luck")

    monkeypatch.setattr("narrows.model.artefacts.pca.PrincipalComponents.fit", fail)
    command = ("train", "digits:train", "-o", "m.safetensors", *FAST)
    result = narrows(*command)
    assert "Warning: The model has no PCA. RuntimeError: no luck." in result.stderr
    assert any("no luck" in warning["message"] for warning in narrows.json(*command, "--force")["warnings"])


@pytest.mark.usefixtures("chain_only")
def test_what_records_are_taken_for_is_said_and_can_be_chosen(narrows):
    np.save("windows.npy", np.random.default_rng(0).integers(0, 256, (5, 40, 16), dtype=np.uint8))
    command = ("train", "windows.npy", "-o", "m.safetensors", "--epochs", "1", "--recipe", "codec")
    by_shape = narrows(*command)
    said = "images of 40×16, by their shape (--as vector if they are not images)"
    assert by_shape.stderr.startswith(f"The records are treated as {said}.\n"), "said before the training"
    assert re.search(rf"taken for +{re.escape(said)}", by_shape.stdout)
    assert re.search(rf"taken for +{re.escape(said)}", narrows("info", "m.safetensors").stdout)

    chosen = narrows(*command, "--as", "vector", "--force")
    assert "taken for images" not in chosen.output
    assert narrows.json("info", "m.safetensors")["parts"]["network"]["name"] == "dense"
    assert re.search("taken for +vectors of 640 values", chosen.stdout)
    assert re.search("taken for +vectors of 640 values", narrows("info", "m.safetensors").stdout)
    assert narrows.json("info", "m.safetensors")["record"] == "vector"
    assert narrows.json(*command, "--as", "image", "--force")["record"] == "image"
    assert "by their shape" not in narrows("info", "m.safetensors").stdout


def flat():
    """Return records that depend on three numbers linearly, and noise: no network is better than PCA."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 3)) @ rng.normal(size=(3, 12)) + 0.5 * rng.normal(size=(200, 12))


def test_what_is_said_is_said_of_the_model_that_was_kept(narrows):
    np.save("flat.npy", flat())
    command = ("train", "flat.npy", "-o", "m.safetensors", "--epochs", "20", "--latent", "3")
    words = narrows(*command).stdout
    said, model = narrows.json(*command, "--force"), package.load("m.safetensors")
    assert not said["comparison"]["keeps_network"], "else the test would show nothing"
    assert (said["kept_epoch"], said["validation_loss"]) == (None, None)
    assert said["loss"] == pytest.approx(-model.score(flat()), rel=1e-4)
    for text in (words, narrows("info", "m.safetensors").stdout):
        assert "a linear autoencoder at the principal components was kept" in " ".join(text.split())
        assert "the weights of epoch" not in text
        assert f"{number(said['loss'])} nats per record" in text
    info = narrows.json("info", "m.safetensors")
    assert (info["kept_epoch"], info["loss"], info["validation_loss"]) == (None, said["loss"], None)


@pytest.mark.usefixtures("chain_only")
def test_the_epoch_that_was_kept_is_said(narrows):
    np.save("flat.npy", flat())
    settings = [f"network={json.dumps(LINEAR)}", "training__schedule=constant"]
    quick = ("--epochs", "10", "--latent", "3", "--batch-size", "8", "--learning-rate", "0.5")
    command = ("train", "flat.npy", "-o", "m.safetensors", "--valid", "0.2", *quick)
    sets = [word for setting in settings for word in ("--set", setting)]
    said = narrows.json(*command, *sets)
    info = narrows.json("info", "m.safetensors")
    losses = [row["validation_loss"] for row in info["history"]]
    best = 1 + int(np.argmin(losses))
    assert best < 10, "else the test would show nothing"
    assert said["kept_epoch"] == info["kept_epoch"] == best
    assert said["validation_loss"] == info["validation_loss"] == min(losses)
    assert f"the weights of epoch {best}, the best on validation" in narrows("info", "m.safetensors").stdout
    assert f"the weights of epoch {best}, the best on validation" in narrows(*command, *sets, "--force").stdout


LINEAR = {"axis": "network", "name": "dense", "widths": [], "linear_path": True}


def test_of_constant_data_no_ratio_is_said(narrows):
    np.save("zero.npy", np.zeros((60, 5)))
    said = narrows("train", "zero.npy", "-o", "m.safetensors", *FAST).stdout
    assert "no finite ratio to its squared error on " in said
    assert "no finite ratio to its squared error on " in narrows("info", "m.safetensors").stdout


@pytest.mark.parametrize(
    ("stop", "code"), [(KeyboardInterrupt(), 130), (DataError("no luck"), 1)], ids=["stop", "error"]
)
def test_warnings_are_said_though_the_run_fails_afterwards(stop, code, narrows, monkeypatch):
    """Records to validate on, on another scale, and a model that loses to PCA: found before the run fails."""
    from narrows.estimators import measuring

    def fail(*arguments):
        yield from complete(*arguments)
        raise stop

    complete = measuring.complete
    monkeypatch.setattr("narrows.estimators.measuring.complete", fail)
    np.save("flat.npy", flat())
    np.save("far.npy", 1000 * flat())
    command = ("train", "flat.npy", "-o", "m.safetensors", "--valid", "far.npy", "--set", "network=dense", *FAST)
    said = narrows(*command, code=code).stderr
    assert "Warning: The squared error of the model on its training data is" in said
    assert "Warning: far.npy has values from" in said
    assert "it has no" not in said


@pytest.mark.parametrize(
    ("scale", "said", "is_real"),
    [
        (1.0, "levels from 0 to 1: unit-scale (byte divisor 255); likelihood bernoulli (dynamic)", False),
        (1e3, "real numbers: mean-removal, standardise; likelihood normal (scale learned) (--set real_values", True),
    ],
)
def test_train_and_info_print_what_values_were_taken_for(narrows, tmp_path, scale, said, is_real):
    data, model = tmp_path / "x.npy", tmp_path / "m"
    np.save(data, scale * np.random.default_rng(0).random((60, 6)))
    trained = narrows("train", data, "-o", model, "--recipe", "vae", "--epochs", "1").stdout
    for printed in (trained, narrows("info", model).stdout):
        assert said in " ".join(printed.split())
    assert narrows.json("info", model)["real_valued"] is is_real
    drawn = tmp_path / "drawn.npy"
    narrows("generate", "-m", model, "-n", "50", "-o", drawn)
    assert np.load(drawn).mean() == pytest.approx(0.5 * scale, rel=0.1)


def test_info_does_not_say_what_values_were_taken_for_if_the_data_do_not_decide_it(narrows, model):
    assert narrows.json("info", model)["real_valued"] is None
    assert "\nvalues " not in narrows("info", model).stdout


def test_train_says_before_the_first_epoch_that_a_network_is_too_large_for_archives(narrows, tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.codec.program._MOST_WEIGHTS", 5000)
    model = tmp_path / "m"
    wide = ("--latent", "4", "--set", "network=dense", "--set", "network__widths=100", "--epochs", "1", "--limit", "60")
    result = narrows("train", "digits:train", "-o", model, *wide)
    warning, epoch = (result.stderr.index(text) for text in ("too large for archives", "epoch 1/1"))
    assert warning < epoch
    assert result.stderr.count("too large for archives") == 1
    assert "network__widths=70." in result.stderr
    refused = narrows.fails("compress", "digits:test", "-m", model, "-o", tmp_path / "a")
    assert "network__widths=70." in refused.stderr
    assert "network__widths=70." in narrows.json("info", model)["not_frozen"]
    narrower = [setting.replace("=100", "=71") for setting in wide]
    again = narrows.json("train", "digits:train", "-o", model, *narrower, "--force")
    assert "too-large-to-freeze" not in [one["kind"] for one in again["warnings"]]
    assert narrows.json("info", model)["not_frozen"] is None


def test_all_of_the_time_is_told_and_what_it_was_spent_on(narrows):
    made = narrows.json("train", "digits", "-o", "x.safetensors", "--limit", "100", "--epochs", "3", "-q")
    assert made["seconds"] == pytest.approx(made["training_seconds"] + made["measuring_seconds"])
    assert 0 < made["epoch_seconds"] < made["training_seconds"]
    assert made["measuring_seconds"] > 0
    found = narrows.json("info", "x.safetensors")
    for name in ("seconds", "training_seconds", "measuring_seconds", "epoch_seconds"):
        assert found[name] == made[name]
    parts = f"{made['training_seconds']:.1f} s of training, of which {made['epoch_seconds']:.1f} s are epochs"
    text = narrows("info", "x.safetensors").stdout
    assert f"trained for  3 epochs, {made['seconds']:.1f} s\n" in text
    assert f"time         {parts}" in text
