"""Maps of records: what is measured, against scikit-learn; projections; what is refused."""

import sys

import numpy as np
import pytest
import torch
from sklearn.manifold import trustworthiness as trustworthiness_of_sklearn
from sklearn.neighbors import KNeighborsClassifier

import narrows
import narrows.data
from narrows import Autoencoder, Training
from narrows.data import Source
from narrows.errors import DataError, InvalidParameterError, MissingPackageError, ShapeMismatchError
from narrows.networks import Dense
from narrows.numerics.neighbourhoods import neighbour_accuracy, trustworthiness
from narrows.uses import map_records
from narrows.uses.projections import project


@pytest.fixture(scope="module")
def model():
    return narrows.recipe("auto", n_latent=3, training__epochs=1, artefacts=("pca",), random_state=0).fit("digits:test")


@pytest.fixture(scope="module")
def found(model):
    return map_records(model, "digits:test")


def test_the_accuracy_is_that_of_scikit_learn_with_each_point_left_out(rng):
    z, y = rng.normal(size=(60, 2)), rng.integers(0, 3, 60)
    right = 0
    for i in range(60):
        others = np.arange(60) != i
        right += KNeighborsClassifier(10).fit(z[others], y[others]).predict(z[i : i + 1])[0] == y[i]
    assert neighbour_accuracy(z, y) == right / 60


def test_many_equal_points_are_neighbours_of_each_other():
    assert neighbour_accuracy(np.zeros((30, 2)), np.repeat([0, 1], 15)) in {0.5, 1.0}
    assert neighbour_accuracy(np.zeros((30, 2)), np.zeros(30)) == 1.0


def test_the_trustworthiness_is_that_of_scikit_learn(rng):
    x = rng.normal(size=(80, 3, 2))
    z = x[:, 0]
    expected = trustworthiness_of_sklearn(x.reshape(80, -1), z, n_neighbors=10)
    assert trustworthiness(x, z) == pytest.approx(expected, abs=1e-12)
    assert trustworthiness(x + 1e4, z) == pytest.approx(expected, abs=1e-3), "far from zero, too"


def test_of_many_records_it_is_estimated(rng, monkeypatch):
    x = rng.normal(size=(400, 4))
    whole = trustworthiness(x, x[:, :2])
    monkeypatch.setattr("narrows.numerics.neighbourhoods._MOST_QUERIES", 200)
    assert trustworthiness(x, x[:, :2]) == pytest.approx(whole, abs=0.02)


def test_wide_codes_are_projected_beside_pca_of_the_records(found, model):
    codes, pca = found.views
    assert codes.title == "autoencoder, its 3 numbers projected by PCA"
    assert pca.title == "PCA, the first 2 of 3 components"
    test = narrows.data.open("digits:test")
    np.testing.assert_array_equal(pca.points, model.pca_.encode(test.values)[:, :2])
    centred = found.codes - found.codes.mean(0)
    variances = np.linalg.eigvalsh(np.cov(centred.T))[::-1][:2]
    np.testing.assert_allclose(codes.points.var(0, ddof=1), variances, rtol=1e-4)
    assert pca.accuracy == neighbour_accuracy(pca.points, test.labels)
    assert 0.7 < pca.trustworthiness < 1


def test_numbers_of_a_code_count_by_how_much_they_change_the_record_whatever_their_scale(rng):
    labels = np.arange(200) % 3
    x = Source(rng.normal(size=(200, 6)) + 6 * np.eye(6)[labels], labels)
    training = Training(epochs=30, validation=0)
    network, training = Dense(widths=()), Training(epochs=30, validation=0)
    model = Autoencoder(4, network=network, training=training, artefacts=(), random_state=0).fit(x)
    before = map_records(model, x).views[0].accuracy
    (encoder, bias), (decoder, _) = model.chain_.encoder.parameters(), model.chain_.decoder.parameters()
    with torch.no_grad():  # the same records by a code whose first number is a thousand times as large
        encoder[0] *= 1000
        bias[0] *= 1000
        decoder[:, 0] /= 1000
    assert map_records(model, x).views[0].accuracy == pytest.approx(before, abs=0.02)
    assert before > 0.9


def test_a_code_of_two_numbers_is_the_map_itself(rng):
    x = rng.normal(size=(40, 5))
    two = narrows.recipe("auto", n_latent=2, training__epochs=1, artefacts=()).fit(x)
    found = map_records(two, x)
    np.testing.assert_array_equal(found.views[0].points, two.transform(x))
    assert found.views[1].title == "PCA of these records"
    assert found.views[0].accuracy is None, "there are no labels"
    assert map_records(two, x[:3]).views[0].trustworthiness is not None


def test_columns_are_what_points_can_be_coloured_by(found):
    assert list(found.columns) == ["label", "squared error", "index"]
    np.testing.assert_array_equal(found.column(None), narrows.data.open("digits:test").labels)
    with pytest.raises(DataError, match=r"no column 'size'.*Choose one of: 'label', 'squared error', 'index'"):
        found.column("size")


def test_columns_of_a_table_are_named(rng):
    table = Source(rng.normal(size=(30, 3)), columns=("height", "width", "depth"))
    flat = narrows.recipe("auto", n_latent=2, training__epochs=1, artefacts=()).fit(table)
    found = map_records(flat, table)
    np.testing.assert_array_equal(found.column("width"), table.values[:, 1])
    with pytest.raises(DataError, match="has no labels"):
        found.column("label")


def test_labels_that_are_measurements_have_no_accuracy(model):
    test = narrows.data.open("digits:test").limit(30)
    measured = Source(test.values, labels=np.linspace(0, 1, 30))
    assert map_records(model, measured).views[0].accuracy is None


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (np.zeros((1, 8, 8), np.uint8), DataError, "at least 3 records.*has 1 record"),
        (np.zeros((9, 8, 4), np.uint8), ShapeMismatchError, r"\(8, 4\)"),
    ],
)
def test_what_cannot_be_a_map_is_refused(model, data, error, message):
    with pytest.raises(error, match=message):
        map_records(model, data)


def test_other_projections_and_codes_of_one_number_are_refused(model, rng):
    with pytest.raises(InvalidParameterError, match="'by' of map_records must be"):
        map_records(model, "digits:test", by="mds")
    x = rng.normal(size=(20, 4))
    one = narrows.recipe("auto", n_latent=1, training__epochs=1, artefacts=()).fit(x)
    with pytest.raises(InvalidParameterError, match=r"at least 2\. This model has 1"):
        map_records(one, x)


@pytest.mark.parametrize(("by", "module"), [("umap", "umap"), ("tsne", "openTSNE")])
def test_a_missing_package_is_named_with_how_to_install_it(by, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=r"need .*narrows\[maps\]"):
        project(np.zeros((9, 4)), by, 0)


@pytest.mark.parametrize(("by", "module"), [("umap", "umap"), ("tsne", "openTSNE")])
def test_projections_of_other_packages_keep_clusters_apart(by, module, rng):
    pytest.importorskip(module)
    labels = np.repeat([0, 1, 2], 30)
    codes = 9 * np.eye(3)[labels] + rng.normal(size=(90, 3))
    assert neighbour_accuracy(project(codes, by, 0), labels) > 0.95


def test_points_and_records_must_be_as_many():
    with pytest.raises(ShapeMismatchError, match="Got 4 and 5"):
        trustworthiness(np.zeros((5, 2)), np.zeros((4, 2)))
    with pytest.raises(DataError, match="at least 3 points"):
        neighbour_accuracy(np.zeros((2, 2)), [0, 1])
