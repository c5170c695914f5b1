"""Probes of codes, against scikit-learn on the same features, and what they refuse."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import narrows.data
from narrows import Autoencoder, Training
from narrows.errors import DataError, InvalidParameterError
from narrows.evaluation.probe_drawing import draw_probe
from narrows.uses import probe_codes

QUICK = {"training": Training(epochs=1), "random_state": 0, "artefacts": ()}


@pytest.fixture(scope="module")
def model():
    return Autoencoder(8, **QUICK).fit("digits:train")


@pytest.fixture(scope="module")
def found(model):
    return probe_codes(model, "digits:train", test=("digits:test", None), n_draws=3)


def accuracy(found, probe, features, n):
    (row,) = (one for one in found.rows if (one.probe, one.features, one.labels_per_class) == (probe, features, n))
    return row


def test_all_probes_are_measured_on_the_test_records(found):
    assert (found.n_train, found.n_test, len(found.classes), found.n_numbers) == (1437, 360, 10, 8)
    kinds = {(row.probe, row.features) for row in found.rows}
    assert kinds == {(probe, x) for probe in ("linear", "10-NN") for x in ("codes", "pixels", "PCA")}
    for row in found.rows:
        assert len(row.accuracies) == (1 if row.labels_per_class is None else 3)
        assert (row.spread is None) == (row.labels_per_class is None)
    for probe in ("linear", "10-NN"):
        few, more, every = (accuracy(found, probe, "pixels", n).mean for n in (1, 10, None))
        assert 0.3 < few < more < every
        assert every > 0.9


def test_with_all_labels_they_are_those_of_scikit_learn(model, found):
    train, test = narrows.data.open("digits:train"), narrows.data.open("digits:test")
    x, x_test = (one.values.reshape(len(one), -1).astype(np.float64) for one in (train, test))
    mean, scale = x.mean(0), np.sqrt(x.var(0).mean())
    linear = LogisticRegression(max_iter=300, tol=1e-3).fit((x - mean) / scale, train.labels)
    expected = linear.score((x_test - mean) / scale, test.labels)
    assert accuracy(found, "linear", "pixels", None).mean == pytest.approx(expected, abs=0.003)
    z, z_test = (model.transform(one) for one in (train, test))
    expected = KNeighborsClassifier(10).fit(z, train.labels).score(z_test, test.labels)
    assert accuracy(found, "10-NN", "codes", None).mean == pytest.approx(expected, abs=0.003)


def test_a_quarter_of_each_class_is_held_out(model):
    labels = np.repeat(["a", "b", "c"], [40, 20, 5])
    values = narrows.data.open("digits:train").values[:65]
    some = probe_codes(model, values, labels, counts=(1, 4, 5), n_draws=1, random_state=3)
    assert (some.n_train, some.n_test) == (65 - 16, 16)
    assert {row.labels_per_class for row in some.rows} == {1, 4, None}
    again, other = (
        probe_codes(model, values, labels, counts=(1, 4, 5), n_draws=1, random_state=seed).rows for seed in (3, 4)
    )
    assert again == some.rows
    assert other != some.rows
    missing = np.append(labels.astype(object), [None])
    with_missing = probe_codes(model, np.append(values, values[:1], axis=0), missing, counts=(4,), n_draws=1)
    assert with_missing.n_train + with_missing.n_test == 65


def test_the_picture_has_a_panel_for_each_probe(found):
    figure = draw_probe(found)
    assert [axes.get_title() for axes in figure.axes] == ["linear", "10-NN"]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["1", "10", "100", "all"]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (None, "has no labels. A probe requires y"),
        ([None] * 20, "all of the 20 given are missing"),
        ([0] * 19, "Each record needs one label. Got 20 records in"),
        ([0] * 20, "at least two classes"),
        ([0] * 19 + [7], "one record with the label 7"),
    ],
)
def test_labels_that_cannot_be_probed_are_refused(labels, said, model, digits):
    with pytest.raises(DataError) as caught:
        probe_codes(model, digits[0][:20], labels)
    assert said in str(caught.value)


def test_codes_that_depend_on_labels_are_refused():
    model = Autoencoder(2, conditional=True, **QUICK).fit("digits:test")
    with pytest.raises(InvalidParameterError, match="This model is conditional"):
        probe_codes(model, "digits:test")
