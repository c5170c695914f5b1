"""Classifiers that learn from few labels and from records without any."""

import numpy as np
import pytest
import torch

import narrows.data
from narrows import AutoencoderClassifier, Training
from narrows.corruptions import Shift
from narrows.data.labels import missing_labels
from narrows.errors import DataError, InvalidParameterError
from narrows.estimators.consistency import NO_LABEL, ConsistentLearner, partly_labelled
from narrows.estimators.label_training import softmax_layer_of
from narrows.estimators.recipes import recipe
from narrows.estimators.semi_supervised import classifier_for
from narrows.numerics.batches import Labelled
from narrows.training import Callback, Records
from narrows.uses.classification import predict_classes
from narrows.uses.label_draws import check_classes, few_labels

SMALL = {"network__channels": (8, 16), "network__depth": 0, "n_latent": 16, "corruption__pixels": 1}


@pytest.fixture(scope="module")
def train():
    return narrows.data.open("digits:train")


@pytest.fixture(scope="module")
def few(train):
    """Fifty labels of digits, five of each."""
    return few_labels(train.labels, 50, seed=0)


def classifier(epochs=12, *, consistency=1.0, autoencoder=None, **params):
    autoencoder = recipe("few-labels", training__epochs=2, **SMALL) if autoencoder is None else autoencoder
    settings = Training(epochs=epochs, batch_size=128)
    settings.set_params(optimiser__learning_rate=5e-3)
    params = {"consistency": consistency, "training": settings, "random_state": 0, **params}
    return AutoencoderClassifier(autoencoder, **params)


def test_a_draw_of_labels_has_the_same_number_of_each_class(train, few):
    known = ~missing_labels(few)
    assert np.unique(few[known].astype(int), return_counts=True)[1].tolist() == [5] * 10
    np.testing.assert_array_equal(few[known].astype(int), train.labels[known])
    assert few_labels(train.labels, 50, seed=0).tolist() == few.tolist()
    assert few_labels(train.labels, 50, seed=1).tolist() != few.tolist()
    uneven = few_labels(np.array(["a"] * 3 + ["b"] * 9), 8, seed=0)
    assert sorted(uneven[~missing_labels(uneven)].tolist()) == ["a"] * 3 + ["b"] * 5
    for n in (9, 2000):
        with pytest.raises(DataError, match=r"at least that of the classes, 10, and at most .* 1,437"):
            few_labels(train.labels, n, seed=0)


def test_labels_of_one_class_and_labels_of_one_record_are_refused():
    with pytest.raises(DataError, match=r"at least two classes\. All of pets have the label 'cat'"):
        check_classes(np.array(["cat", "cat"]), "pets")
    with pytest.raises(DataError, match=r"In pets there is one record with each of 2 labels: 'dog', 'fox'\."):
        check_classes(np.array(["cat", "cat", "fox", "dog"]), "pets")


def test_the_loss_of_a_record_without_a_label_is_that_of_its_sure_prediction(train):
    """Written a second time in NumPy, for a classifier that is sure of some of the records."""
    some = train.take(np.arange(40))
    model = classifier(200, consistency=0.0).fit(some, some.labels)
    sure = model.predict_proba(some).max(1)
    assert 5 < (sure >= 0.95).sum() < 40
    chain = model.chain_.train()
    softmax = softmax_layer_of(model.model_, chain)
    labels = torch.from_numpy(np.where(np.arange(40) % 2, NO_LABEL, some.labels))
    learner = ConsistentLearner(chain, softmax, 0.6)
    batch = Labelled(torch.from_numpy(np.array(some.values)), labels)
    found = learner.loss(batch, torch.Generator().manual_seed(3)).total.detach().numpy()

    moved = chain.corrupt(chain.prepare(batch.records), torch.Generator().manual_seed(3))
    with torch.no_grad():
        p = learner.logits(moved).softmax(1).numpy()
    targets = np.where(labels.numpy() == NO_LABEL, model.predict(some), labels.numpy())
    weights = np.where(labels.numpy() != NO_LABEL, 1, (sure >= 0.95) * 0.6 / 3)  # a quarter of a batch has labels
    np.testing.assert_allclose(found, -weights * np.log(p[np.arange(40), targets]), rtol=1e-4, atol=1e-5)


def test_labelled_records_are_repeated_to_a_quarter_of_an_epoch(train):
    values = np.asarray(train.values)
    labelled = Records(values[:30], torch.device("cpu"))
    mixed = partly_labelled(labelled, train.labels[:30], [Records(values[30:600], torch.device("cpu"))])
    n = int((mixed.labels != NO_LABEL).sum())
    assert (n % 30, len(mixed) - n) == (0, 570)
    assert 0.2 < n / len(mixed) < 0.3
    batch = mixed.take(torch.tensor([31, len(mixed) - 1]))
    np.testing.assert_array_equal(batch.records.numpy(), values[[1, 599]])
    assert batch.labels.tolist() == [train.labels[1], NO_LABEL]
    joined = [one.labels for one in mixed.batches(64)]
    assert torch.equal(torch.cat(joined), mixed.labels)


@pytest.mark.slow
def test_images_without_labels_help_on_mnist():
    train, test = narrows.data.open("mnist:train", limit=20_000), narrows.data.open("mnist:test", limit=4000)
    few = few_labels(train.labels, 500, seed=0)
    known = np.flatnonzero(~missing_labels(few))
    found = classifier_for(train).set_params(random_state=0, training__epochs=6).fit(train, few)
    alone = classifier_for(train).set_params(random_state=0, training__epochs=200, pretrain=False)
    alone.fit(train.take(known), few[known].astype(int))
    assert 1 - found.score(test) < 0.04 < 1 - alone.score(test)


def test_the_weight_of_records_without_labels_changes_the_training(train, few, monkeypatch):
    monkeypatch.setattr("narrows.estimators.consistency._CONFIDENT", 0.1)
    some = train.take(np.arange(300))
    results = [
        classifier(2, consistency=weight).fit(some, few[:300]).predict_proba(some).tolist()
        for weight in (0.0, 0.5, 2.0)
    ]
    assert results[0] != results[1] != results[2] != results[0]
    with pytest.raises(InvalidParameterError, match="'consistency' of AutoencoderClassifier must be"):
        classifier(1, consistency=-1.0).fit(some, few[:300])


def test_an_interrupted_run_with_unlabelled_records_ends_with_the_same_weights(train, few, tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.training.loop._LOOK_SECONDS", -1.0)
    some, path = train.take(np.arange(300)), tmp_path / "checkpoint"

    class Stop(Callback):
        n = 0

        def step(self, epoch, records_done, loss):
            self.n += 1
            if self.n == 9:
                raise KeyboardInterrupt

    whole = classifier(3).fit(some, few[:300])
    with pytest.raises(KeyboardInterrupt):
        classifier(3).fit(some, few[:300], checkpoint=path, callback=Stop())
    resumed = classifier(3).fit(some, few[:300], checkpoint=path, resume=True)
    np.testing.assert_array_equal(resumed.predict_proba(some), whole.predict_proba(some))


def test_a_fitted_autoencoder_is_the_start(train, few):
    some = train.take(np.arange(300))
    start = recipe("few-labels", training__epochs=1, random_state=0, artefacts=(), **SMALL).fit(some)
    before = start.transform(some)
    unfitted = recipe("few-labels", training__epochs=1, artefacts=(), **SMALL)
    found = classifier(1, autoencoder=unfitted).fit(some, few[:300], start=start)
    assert found.pretraining_history_ == []
    np.testing.assert_array_equal(start.transform(some), before)
    other = classifier(1, autoencoder=unfitted, pretrain=False).fit(some, few[:300])
    assert found.history_[0]["loss"] != other.history_[0]["loss"]
    with pytest.raises(InvalidParameterError, match="must be a fitted Autoencoder or None"):
        classifier(1, autoencoder=unfitted).fit(some, few[:300], start=unfitted)
    with pytest.raises(InvalidParameterError, match="The 'n_latent' of Autoencoder must be 16"):
        classifier(1, autoencoder=recipe("auto")).fit(some, few[:300], start=start)


def test_the_autoencoder_suits_the_records(train):
    of_images = classifier_for(train).autoencoder
    assert isinstance(of_images.corruption, Shift)
    assert of_images.training.epochs * -(-len(train) // 128) in range(400, 501)
    assert classifier_for(narrows.data.open(np.zeros((9, 5)))).autoencoder is None
    series = classifier_for(narrows.data.open(np.zeros((9, 16)), record="series")).autoencoder
    assert series.corruption is None


def test_moves_are_of_images(train):
    model = classifier(1, autoencoder=recipe("auto", corruption="shift", record="vector"))
    with pytest.raises(InvalidParameterError, match="The corruption 'shift' is for images"):
        model.fit(train, train.labels)


def test_predictions_are_counted_and_compared_with_the_labels_there_are(train):
    some = train.take(np.arange(60))
    model = classifier(1, consistency=0.0).fit(some, some.labels)
    y = some.labels.astype(object)
    y[:20] = None
    found = predict_classes(model, some, y)
    assert found.confusion().sum() == 40
    right = (model.predict(some) == some.labels)[20:]
    assert found.error == pytest.approx(1 - right.mean())
    assert np.trace(found.confusion()) == right.sum()
    with pytest.raises(DataError, match="Unknown labels: 11"):
        predict_classes(model, some, np.full(60, 11))
    with pytest.raises(DataError, match=r"60 records in .* and 3 labels"):
        predict_classes(model, some, [1, 2, 3])
    with pytest.raises(DataError, match="has no labels"):
        predict_classes(model, some).confusion()
