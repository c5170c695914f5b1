"""Conditional models: encoder and decoder are told the label, so that the code says the rest."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import narrows
from narrows import Autoencoder, Training
from narrows.bottlenecks import Gaussian, VectorQuantised
from narrows.cli import main
from narrows.errors import DataError, InvalidParameterError
from narrows.networks import Convolutional, Dense, Strided
from narrows.training import Callback
from narrows.training.optimisers import Adam
from narrows.uses.generate import between, traversals

LEARNED = Training(epochs=8, optimiser=Adam(learning_rate=0.01))  # enough that labels are made use of
NETWORKS = [
    Dense(widths=(32,)),
    Convolutional(channels=(6,)),
    Convolutional(channels=(6,), code_channels=2, resampling="stride"),
    Convolutional(channels=(6,), unpooling="switches"),
    Strided(channels=(6,)),
    Strided(channels=(6,), code_channels=2),
]


def make(**params):
    network = params.get("network", NETWORKS[0])
    n_latent = None if getattr(network, "code_channels", None) else 3
    usual = {"network": network, "training": Training(epochs=3), "random_state": 0, "conditional": True}
    return Autoencoder(n_latent, **{**usual, **params})


@pytest.fixture(scope="module")
def labelled():
    return narrows.data.open("digits:train"), narrows.data.open("digits:test")


@pytest.mark.usefixtures("chain_only")
@pytest.mark.parametrize("network", NETWORKS, ids=repr)
def test_every_network_is_told_the_label_on_both_sides(network, labelled):
    train, test = labelled
    model = make(network=network, training=Training(epochs=1)).fit(train)
    same, others = test.labels, (test.labels + 1) % 10
    assert not np.array_equal(model.transform(test.values, same), model.transform(test.values, others))
    if not model.chain_.decoder.needs_switches:
        codes = model.transform(test)
        one, other = model.inverse_transform(codes, same), model.inverse_transform(codes, others)
        np.testing.assert_array_equal(one, model.reconstruct(test))
        assert not np.array_equal(one, other)
    assert not np.array_equal(model.reconstruct(test.values, same), model.reconstruct(test.values, others))


@pytest.mark.usefixtures("chain_only")
def test_a_code_of_one_number_is_of_more_use_beside_the_label(labelled):
    train, test = labelled
    told, untold = (
        narrows.evaluate(make(conditional=flag, training=LEARNED).set_params(n_latent=1).fit(train), test)
        for flag in (True, False)
    )
    assert told["sse_per_record"] < 0.9 * untold["sse_per_record"]


@pytest.mark.usefixtures("chain_only")
def test_a_chosen_label_is_generated(labelled):
    """A classifier of digits recognises most of what is decoded from the prior under a label."""
    from sklearn.neighbors import KNeighborsClassifier

    train, _ = labelled
    model = make(bottleneck=Gaussian(), training=LEARNED).fit(train)
    wanted = np.repeat(np.arange(10), 20)
    images = model.inverse_transform(np.random.default_rng(0).normal(size=(200, 3)), wanted)
    judge = KNeighborsClassifier(5).fit(train.values.reshape(len(train), -1), train.labels)
    assert (judge.predict(images.reshape(200, -1)) == wanted).mean() > 0.8


def test_samples_of_a_label_are_what_is_decoded_under_it(labelled):
    model = make(bottleneck="gaussian").fit(labelled[0])
    codes = model.sample_codes(12, random_state=0)
    for y in (3, np.arange(12) % 4):
        wanted = model.inverse_transform(codes, np.broadcast_to(y, 12))
        np.testing.assert_array_equal(model.sample(12, y, random_state=0), wanted)
    np.testing.assert_array_equal(
        model.sample(12, random_state=0), model.inverse_transform(codes, np.arange(12) % 10), "each label in turn"
    )
    x = labelled[1].values
    ends = between(model, x[0], x[1], 3, y=7)[[0, -1]]
    np.testing.assert_array_equal(ends, model.reconstruct(x[:2], [7, 7]))
    assert not np.array_equal(model.sample(5, 1, noise=True), model.sample(5, 2, noise=True))
    assert traversals(model, x[0], y=3).records.shape[0] == 3
    assert model.latent_density_ is not None


def test_labels_may_be_words_and_survive_the_file(labelled, tmp_path):
    train, test = labelled
    names = np.array(["nought", *(f"digit {i}" for i in range(1, 10))])
    in_words, test_in_words = names[train.labels], names[test.labels]
    model = make().fit(train.values, in_words)
    assert model.classes_.tolist() == sorted(names)
    model.save(tmp_path / "model")
    again = narrows.load(tmp_path / "model")
    assert again.classes_.tolist() == sorted(names)
    restored = again.reconstruct(test.values, test_in_words)
    np.testing.assert_array_equal(restored, model.reconstruct(test.values, test_in_words))


def test_labels_of_folders_and_words_keep_their_names(tmp_path, monkeypatch, labelled):
    monkeypatch.chdir(tmp_path)
    train = labelled[0].take(np.arange(60))
    names = np.array(["even", "odd"])[train.labels % 2]
    Path("folders").mkdir()
    for name in ("even", "odd"):
        narrows.data.write(f"folders/{name}", train.values[names == name])
    np.savez("words.npz", x=train.values, y=names)
    for data in ("folders", "words.npz"):
        model = make().fit(data)
        assert model.classes_.tolist() == ["even", "odd"]
        assert model.transform(data).shape == (60, 3)
        model.save("m.safetensors", force=True)
        arguments = ["generate", "-m", "m.safetensors", "--label", "odd", "-n", "3", "-o", "x.npy", "--force"]
        assert CliRunner().invoke(main, arguments).exit_code == 0
        np.testing.assert_array_equal(np.load("x.npy"), model.sample(3, y="odd", random_state=0))
    assert CliRunner().invoke(main, ["denoise", "folders", "-m", "m.safetensors", "-o", "d.npy"]).exit_code == 0


@pytest.mark.usefixtures("chain_only")
def test_data_with_labels_bring_their_own(labelled):
    train, test = labelled
    model = make().fit("digits:train")
    np.testing.assert_array_equal(model.transform("digits:test"), model.transform(test.values, test.labels))
    assert model.score("digits:test") == model.score(test.values, test.labels)
    assert narrows.evaluate(model, "digits:test") == narrows.evaluate(model, test.values, test.labels)
    codes = make().fit_transform(train.values, train.labels)
    np.testing.assert_array_equal(codes, model.transform("digits:train"))


@pytest.mark.usefixtures("chain_only")
def test_validation_data_have_labels_too(labelled):
    train, test = labelled
    losses = [
        make().fit(train, validation=held_out).history_[-1]["validation_loss"]
        for held_out in (test, (test.values, test.labels), (test.values, (test.labels + 1) % 10))
    ]
    assert losses[0] == losses[1] != losses[2]
    assert make(training=Training(epochs=2, validation=0.2)).fit(train).history_[-1]["validation_loss"] is not None


@pytest.mark.usefixtures("chain_only")
def test_an_interrupted_run_goes_on_with_the_same_labels_only(labelled, tmp_path, monkeypatch):
    train, test = labelled
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)
    monkeypatch.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)

    class Stop(Callback):
        def step(self, epoch, records_done, loss):
            if epoch == 2:
                raise RuntimeError("power cut")

    path = tmp_path / "checkpoint"
    with pytest.raises(RuntimeError):
        make().fit(train, checkpoint=path, callback=Stop())
    with pytest.raises(InvalidParameterError, match="another content of the labels"):
        make().fit(train.values, (train.labels + 1) % 10, checkpoint=path, resume=True)
    with pytest.raises(InvalidParameterError, match="validation labels"):
        make().fit(train, validation=test, checkpoint=path, resume=True)
    resumed = make().fit(train, checkpoint=path, resume=True)
    np.testing.assert_array_equal(resumed.transform(test), make().fit(train).transform(test))


@pytest.mark.usefixtures("chain_only")
def test_bounds_on_the_likelihood_are_given_the_label(labelled):
    train, test = labelled
    model = make(bottleneck="gaussian", training=LEARNED).fit(train)
    right = narrows.evaluate(model, test, importance_samples=20)
    wrong = narrows.evaluate(model, test.values, (test.labels + 1) % 10, importance_samples=20)
    assert right["nll_nats_per_record"] < wrong["nll_nats_per_record"] - 1


@pytest.mark.usefixtures("chain_only")
def test_the_use_of_a_codebook_is_measured_under_the_label(labelled):
    train, test = labelled
    model = make(bottleneck=VectorQuantised(n_codes=16, dim=1), training=Training(epochs=5)).fit(train)
    for labels in (test.labels, (test.labels + 1) % 10):
        codes = model.transform(test.values, labels)
        used, counts = np.unique(codes, return_counts=True)
        shares = counts / codes.size
        measured = narrows.evaluate(model, test.values, labels)
        assert measured["codewords_in_use"] == len(used)
        assert measured["codebook_perplexity"] == pytest.approx(np.prod(shares**-shares))


def test_archives_keep_no_labels_and_the_model_says_so(labelled, tmp_path):
    model = make().fit(labelled[0])
    assert (
        model.codec_error_
        == "The decoder needs the label of each record, and archives store no labels. Train without conditional=True."
    )
    with pytest.raises(narrows.errors.NotFreezableError, match="archives store no labels"):
        narrows.compress(labelled[1], tmp_path / "a.narrows", model=model)


@pytest.mark.usefixtures("chain_only")
def test_a_fitted_model_stays_what_it_is_when_parameters_are_changed(labelled, tmp_path):
    train, test = labelled
    model = make().fit(train)
    restored = model.reconstruct(test)
    model.set_params(conditional=False).save(tmp_path / "model")
    np.testing.assert_array_equal(narrows.load(tmp_path / "model").reconstruct(test), restored)
    model.fit(train)
    assert not hasattr(model, "classes_")
    model.set_params(conditional=True).reconstruct(test.values)


@pytest.mark.usefixtures("few_settings", "few_digits", "coarse_pictures")
def test_it_works_on_the_command_line(labelled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    narrows.recipe("conditional-vae", training__epochs=1, random_state=0).fit(labelled[0]).save("m.safetensors")
    model = ["-m", "m.safetensors"]
    for arguments in (
        ["evaluate", "digits:test", *model, "--importance-samples", "2"],
        ["reconstruct", "digits:test", *model, "-o", "r.npy"],
        ["encode", "digits:test", *model, "-o", "codes.npy"],
        ["denoise", "digits:test", *model, "-o", "d.npy", "--demo-noise", "0.3"],
        ["picture", *model, "-o", "filters.png", "--kind", "filters"],
        ["picture", "digits:test", *model, "-o", "page.html", "--limit", "50"],
        ["generate", *model, "-o", "sevens.png", "--label", "7", "-n", "9"],
        ["generate", *model, "-o", "between.png", "--label", "7", "--between", "digits:test#0", "digits:test#1"],
        ["generate", *model, "-o", "all.npy", "-n", "20"],
        ["info", "m.safetensors"],
    ):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, (arguments, result.output)
    assert "dense 64+10-512-256-2·10" in result.output
    for arguments, said in (
        (["--label", "11"], "Unknown label: '11'. Choose one of: 0, 1, 2"),
        (["--traverse"], "This conditional model needs a label (y, --label). Choose one of: 0, 1, 2"),
    ):
        result = CliRunner().invoke(main, ["generate", *model, "-o", "no.png", *arguments])
        assert result.exit_code == 2
        assert said in result.output
    np.save("x.npy", labelled[1].values)
    for arguments in (["reconstruct", "x.npy", *model, "-o", "s.npy"], ["decode", "codes.npy", *model, "-o", "s.npy"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1
        assert "has no labels. This conditional model requires y" in result.output


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda model, x: model.transform(x), DataError, "has no labels"),
        (lambda model, x: model.inverse_transform(np.zeros((2, 3))), DataError, "Z has no labels"),
        (
            lambda model, x: model.reconstruct(x, np.full(len(x), 12)),
            DataError,
            "Unknown labels: 12",
        ),
        (
            lambda model, x: model.reconstruct(x, [1, 2]),
            DataError,
            "Each record needs one label. Got 360 records in array (360, 8, 8) uint8 and 2 labels.",
        ),
        (lambda model, x: make().fit(x), DataError, "has no labels"),
        (lambda model, x: make(conditional="yes").fit(x), InvalidParameterError, "must be True or False. Got 'yes'"),
        (
            lambda model, x: make(residual="causal").fit(x, np.zeros(len(x), int)),
            InvalidParameterError,
            "The 'residual' of a conditional model must be None",
        ),
        (lambda model, x: make().fit(x, np.linspace(0, 1, len(x))), DataError, "Unknown label type: continuous"),
        (
            lambda model, x: make(network=Dense(tied=True)).fit(x, np.zeros(len(x), int)),
            InvalidParameterError,
            "Tied weights cannot be combined with labels",
        ),
        (
            lambda model, x: make(pretraining="layer-wise").fit(x, np.zeros(len(x), int)),
            InvalidParameterError,
            "Layer-wise pretraining cannot be used for conditional models",
        ),
        (
            lambda model, x: make(penalties="contractive").fit(x, np.zeros(len(x), int)),
            InvalidParameterError,
            "'contractive' penalty does not support labels",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, error, said, labelled, conditional_model):
    with pytest.raises(error) as caught:
        call(conditional_model, labelled[1].values)
    assert said in str(caught.value)


@pytest.fixture(scope="module")
def conditional_model(labelled):
    return make(training=Training(epochs=1)).fit(labelled[0])
