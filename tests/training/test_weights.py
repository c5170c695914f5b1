"""Sample weights: how much each record counts in the loss."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.errors import DataError, InvalidParameterError, WorseThanPCAWarning
from narrows.model.artefacts import PrincipalComponents
from narrows.model.comparison import check_against_pca, compare_with_pca
from narrows.networks import Convolutional, Dense
from narrows.networks.components import components_of, sampled, weights_of_sample
from narrows.training import SGD, Callback, Records

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6))
W = RNG.integers(0, 4, 40).astype(float)
IMAGES = RNG.normal(size=(24, 8, 8))


def make(training=None, **params):
    settings = {"epochs": 3, "batch_size": 10, "precision": "float64", **(training or {})}
    usual = {"network": Dense(widths=(8,)), "preprocessing": (), "likelihood": "normal", "artefacts": ()}
    return Autoencoder(2, training=Training(**settings), random_state=0, **{**usual, **params})


FULL = {"batch_size": 1000, "shuffle": False, "optimiser": SGD(learning_rate=0.01), "schedule": "constant"}


def weights_of(model):
    return {name: weight.tolist() for name, weight in model.chain_.state_dict().items()}


def assert_same(model, other, rtol=1e-9):
    for name, weight in model.chain_.state_dict().items():
        np.testing.assert_allclose(weight, other.chain_.state_dict()[name], rtol=rtol, atol=1e-12, err_msg=name)


def test_a_record_of_weight_2_counts_as_the_same_record_twice():
    """For one batch with all records; otherwise the records of a batch are others."""
    weighted = make(FULL).fit(X, sample_weight=W)
    repeated = make(FULL).fit(np.repeat(X, W.astype(int), axis=0))
    assert_same(weighted, repeated)
    for row, of_repeated in zip(weighted.history_, repeated.history_, strict=True):
        assert row["loss"] == pytest.approx(of_repeated["loss"])
    with pytest.raises(AssertionError):
        assert_same(weighted, make(FULL).fit(X))


def test_a_record_of_weight_0_is_left_out():
    some = W > 0
    assert weights_of(make().fit(X, sample_weight=some)) == weights_of(make().fit(X[some]))
    files = make().fit(X, sample_weight=W)
    assert files.trained_on_.n_records == some.sum()


def test_only_the_proportions_of_weights_matter():
    assert weights_of(make().fit(X, sample_weight=np.full(40, 7.0))) == weights_of(make().fit(X))
    assert weights_of(make().fit(X, sample_weight=4 * W)) == weights_of(make().fit(X, sample_weight=W))


def test_the_validation_loss_is_weighted_too():
    training = {"validation": 0.5, "epochs": 1}
    weighted = make(training).fit(X, sample_weight=W + 1)
    unseen = np.setdiff1d(np.arange(40), rows_seen(training))
    score = weighted.score(X[unseen], sample_weight=(W + 1)[unseen])
    assert weighted.history_[0]["validation_loss"] == pytest.approx(-score)


def rows_seen(training):
    from narrows.estimators.preparation import n_held_out, split

    seed = int(np.random.RandomState(0).randint(2**31 - 1))
    return split(40, n_held_out(Training(**training), 40, by_default=False), seed)[0]


def test_a_score_is_a_weighted_mean():
    model = make().fit(X)
    scores = np.array([model.score(X[i : i + 1]) for i in range(40)])
    assert model.score(X, sample_weight=W) == pytest.approx(np.average(scores, weights=W))


@pytest.mark.parametrize("n_shards", [3, 4])
def test_shards_of_a_batch_are_weighted_alike(n_shards, monkeypatch):
    network = Convolutional(channels=(2,))
    w = RNG.random(24)
    whole = make(FULL, network=network).fit(IMAGES, sample_weight=w)
    monkeypatch.setattr("narrows.training.loop.choose_n_shards", lambda *_: n_shards)
    assert_same(make(FULL, network=network).fit(IMAGES, sample_weight=w), whole, rtol=1e-6)


@pytest.mark.parametrize("more", [{"more_epochs": 2}, {}], ids=["more_epochs", "warm_start"])
def test_weights_count_when_training_goes_on(more):
    some = W > 0

    def trained(records, weights):
        return make({**FULL, "epochs": 2}, warm_start=True).fit(X).fit(records, sample_weight=weights, **more)

    assert_same(trained(X, W), trained(np.repeat(X, W.astype(int), axis=0), None))
    assert weights_of(trained(X, some)) == weights_of(trained(X[some], None))
    with pytest.raises(AssertionError):
        assert_same(trained(X, W), trained(X, None))


def test_the_epoch_that_more_epochs_begin_with_has_a_weighted_loss():
    training = {"validation": 0.5, "epochs": 1, "patience": 5}
    model = make(training).fit(X, sample_weight=W + 1)
    before = model.history_[0]["validation_loss"]
    unseen = np.setdiff1d(np.arange(40), rows_seen(training))
    model.set_params(training__optimiser=SGD(learning_rate=0.3)).fit(X, sample_weight=W + 1, more_epochs=1)
    assert min(before, model.history_[1]["validation_loss"]) == pytest.approx(
        -model.score(X[unseen], sample_weight=(W + 1)[unseen])
    )


def test_labels_stay_with_their_records():
    y = np.arange(40) % 3
    some = W > 0
    params = {"conditional": True}
    left = make(**params).fit(X[some], y[some])
    assert weights_of(make(**params).fit(X, y, sample_weight=some)) == weights_of(left)
    make(**params).fit(X, y, sample_weight=W)


class Stop(Callback):
    def epoch(self, row):
        if row.epoch == 2:
            raise KeyboardInterrupt


def test_a_run_resumes_to_the_bit_with_the_same_weights_only(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.training.loop._SAVE_SECONDS", -1.0)
    path = tmp_path / "checkpoint"
    training = {"validation": 0.2, "epochs": 4}
    with pytest.raises(KeyboardInterrupt):
        make(training).fit(X, sample_weight=W, checkpoint=path, callback=Stop())
    with pytest.raises(InvalidParameterError, match="sample weights"):
        make(training).fit(X, sample_weight=W[::-1].copy() + 1, checkpoint=path, resume=True)
    resumed = make(training).fit(X, sample_weight=W, checkpoint=path, resume=True)
    assert weights_of(resumed) == weights_of(make(training).fit(X, sample_weight=W))


def test_layer_wise_pretraining_is_weighted():
    params = {"pretraining": "layer-wise", "training": {**FULL, "epochs": 1}}
    one, other = make(**params).fit(X, sample_weight=W), make(**params).fit(X)
    assert one.pretraining_history_[0]["loss"] != other.pretraining_history_[0]["loss"]


def test_weights_may_be_any_array_like():
    expected = weights_of(make().fit(X, sample_weight=W))
    assert weights_of(make().fit(X, sample_weight=W.tolist())) == expected
    assert weights_of(make().fit(X, sample_weight=pd.Series(W))) == expected


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(39), r"shape \(40,\).* Got the shape \(39,\)"),
        (np.ones((40, 1)), r"Got the shape \(40, 1\)"),
        (np.where(np.arange(40) == 3, -1, 1), "Got -1 for record 3"),
        (np.where(np.arange(40) > 37, np.nan, 1), "Got nan for record 38 and 1 more"),
        (np.zeros(40), "All weights are zero"),
        (["a"] * 40, "must be numbers"),
    ],
    ids=["too few", "two axes", "negative", "nan", "zero", "text"],
)
def test_wrong_weights_are_refused(weights, message):
    with pytest.raises(DataError, match=message):
        make().fit(X, sample_weight=weights)
    with pytest.raises(DataError, match=message):
        make().fit(X).score(X, sample_weight=weights)


# The principal components: where a network starts, what it is compared with, and what is kept instead of it


STRONG = np.where(X[:, 0] > 0, 100.0, 1.0)


def auto(**params):
    return make(**{"network": "auto", "preprocessing": "auto", "likelihood": "auto", **params})


def test_the_components_that_are_kept_instead_of_a_network_are_weighted():
    model, plain = auto().fit(X, sample_weight=STRONG), auto().fit(X)
    assert not model.comparison_.keeps_network
    mine, others = (np.average(one.reconstruction_error(X), weights=STRONG) for one in (model, plain))
    assert mine < 0.9 * others


@pytest.mark.parametrize("fill_value", [None, -9.0])
def test_components_with_weights_are_those_of_repeated_records(fill_value):
    x = X.copy()
    if fill_value is not None:
        x[::7, 2] = fill_value
    w, n = W + 1, (W + 1).astype(int)
    weighted = PrincipalComponents.fit(x, 2, 0, weights=w, fill_value=fill_value)
    repeated = PrincipalComponents.fit(np.repeat(x, n, axis=0), 2, 0, fill_value=fill_value)
    np.testing.assert_allclose(weighted.mean, repeated.mean, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(weighted.components, repeated.components, atol=1e-4)

    start = components_of(torch.from_numpy(X), 2, weights=torch.from_numpy(w))
    of_repeated = components_of(torch.from_numpy(np.repeat(X, n, axis=0)), 2)
    for name in ("mean", "directions", "deviations"):
        torch.testing.assert_close(getattr(start, name), getattr(of_repeated, name), rtol=1e-4, atol=1e-4)
    assert start.deviation == pytest.approx(of_repeated.deviation)


def test_a_network_starts_at_the_weighted_components():
    network = Dense(widths=(8,), linear_path=True)
    still = {**FULL, "epochs": 1, "validation": 0.0}
    model = make(still, network=network).fit(X, sample_weight=W + 1)
    expected = components_of(torch.from_numpy(X), 2, weights=torch.from_numpy(W + 1))
    torch.testing.assert_close(model.chain_.encoder.mean, expected.mean, rtol=1e-6, atol=1e-6)


def test_the_pca_of_a_model_is_weighted():
    model = make(artefacts=("pca",)).fit(X, sample_weight=W + 1)
    expected = PrincipalComponents.fit(X, 2, model.trained_on_.seed, weights=W + 1)
    np.testing.assert_allclose(model.pca_.mean, expected.mean, atol=1e-12)
    np.testing.assert_allclose(model.pca_.components, expected.components, atol=1e-5)


def test_the_weights_of_sampled_records_are_theirs(monkeypatch):
    monkeypatch.setattr("narrows.networks.components._MOST_VALUES", 60)
    x, w = torch.from_numpy(X), torch.from_numpy(X[:, 0].copy())
    drawn = torch.cat(list(sampled(lambda: x.split(7))))
    assert weights_of_sample(w, lambda: x.split(7)).tolist() == drawn[:, 0].tolist()
    assert weights_of_sample(None, lambda: x.split(7)) is None


@pytest.mark.parametrize("how", ["measure", "refreeze"])
def test_artefacts_that_are_measured_later_with_the_weights_are_those_of_the_fit(how):
    of_fit = make(artefacts="all").fit(X, sample_weight=W).measure()
    later = make(artefacts="all" if how == "refreeze" else ()).fit(X, sample_weight=W)
    getattr(later, how)(X, sample_weight=W)
    np.testing.assert_array_equal(later.pca_.mean, of_fit.pca_.mean)
    np.testing.assert_array_equal(later.pca_.components, of_fit.pca_.components)
    np.testing.assert_array_equal(later.latent_density_.means, of_fit.latent_density_.means)
    assert later.codec_.digest == of_fit.codec_.digest
    assert make().fit(X, sample_weight=W).measure(X).pca_.mean.tolist() != of_fit.pca_.mean.tolist()


def test_weights_need_the_records_that_are_measured():
    with pytest.raises(InvalidParameterError, match=r"'sample_weight' of measure needs the records"):
        make().fit(X).measure(sample_weight=W)
    with pytest.raises(DataError, match=r"'sample_weight' must have the shape \(40,\)"):
        make().fit(X).refreeze(X, sample_weight=W[1:])


def test_the_comparison_with_pca_is_weighted():
    """A network that restores only some records better is kept if these count more."""
    better = np.arange(40) < 10
    errors = {"network": np.where(better, 0.1, 1.5), "pca": np.ones(40)}

    def compared(weights):
        held_out = Records(X, torch.device("cpu")).weighted(weights, None, torch.float64)
        return compare_with_pca("network", "pca", held_out)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("narrows.model.comparison._squared_errors", lambda chain, records: errors[chain])
        assert not compared(None).is_better
        found = compared(np.where(better, 100.0, 1.0))
        assert found.is_better
        assert found.ratio == pytest.approx((1000 * 0.1 + 30 * 1.5) / 1030)
        whole = compared(np.ones(40))
        assert whole.ratio == pytest.approx(compared(None).ratio)


def test_the_warning_of_a_model_that_is_worse_than_pca_is_weighted():
    """A linear autoencoder at the weighted components is not worse than these, though it is worse than others."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", WorseThanPCAWarning)
        model = auto(artefacts="all").fit(X, sample_weight=STRONG)
    unweighted = PrincipalComponents.fit(X, 2, 0)
    with pytest.warns(WorseThanPCAWarning):
        check_against_pca(model.model_, unweighted, Records(X, torch.device("cpu")))


def test_partial_fit_takes_weights_and_a_callback():
    some, rows = W > 0, []
    full = {**FULL, "epochs": 1}
    weighted = (
        make(full)
        .partial_fit(X, sample_weight=W, callback=rows.append)
        .partial_fit(X, sample_weight=W, callback=rows.append)
    )
    repeated = np.repeat(X, W.astype(int), axis=0)
    assert_same(weighted, make(full).partial_fit(repeated).partial_fit(repeated))
    assert len(rows) == 2
    left_out = make().partial_fit(X[some]).partial_fit(X[some])
    assert weights_of(make().partial_fit(X, sample_weight=some).partial_fit(X, sample_weight=some)) == weights_of(
        left_out
    )


def classifier(**params):
    training = Training(**{**FULL, "epochs": 3, "precision": "float64", **params})
    return AutoencoderClassifier(make({**FULL, "epochs": 2}), training=training, random_state=0)


def test_a_classifier_minimises_the_weighted_cross_entropy():
    y, n = np.where(X[:, 0] > 0, "right", "left"), W.astype(int)
    weighted, repeated = (
        classifier().fit(X, y, sample_weight=W),
        classifier().fit(np.repeat(X, n, axis=0), np.repeat(y, n)),
    )
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-9)
    assert weighted.history_[0]["loss"] == pytest.approx(repeated.history_[0]["loss"])
    assert abs(weighted.predict_proba(X) - classifier().fit(X, y).predict_proba(X)).max() > 1e-6
    some = W > 0
    left_out = classifier().fit(X[some], y[some])
    np.testing.assert_array_equal(
        classifier().fit(X, y, sample_weight=some).predict_proba(X), left_out.predict_proba(X)
    )
    with pytest.raises(DataError, match="'sample_weight'"):
        classifier().fit(X, y, sample_weight=W[1:])


def test_unlabelled_records_count_as_those_of_a_mean_weight():
    y = np.arange(40) % 2
    one = classifier().fit(X, y, sample_weight=W + 1, unlabelled=2 * X)
    other = classifier().fit(X, y, sample_weight=10 * (W + 1), unlabelled=2 * X)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-9)
    plain = classifier().fit(X, y, unlabelled=2 * X)
    assert one.pretraining_history_[0]["loss"] != plain.pretraining_history_[0]["loss"]
