"""The errors of single records, and comparisons with PCA in both units."""

import csv
import math

import numpy as np
import pandas
import pytest

import narrows
from narrows import Autoencoder, Training
from narrows.data import Source
from narrows.errors import InvalidParameterError, OutputExistsError
from narrows.evaluation.metric_table import compared_with_pca, decided_by_few
from narrows.evaluation.model_report import _comparison
from narrows.evaluation.per_record import write_per_record


def fit(x, y=None, **params):
    quick = {"n_latent": 2, "artefacts": ("pca",), "training": Training(epochs=2), "random_state": 0}
    return Autoencoder(**{**quick, **params}).fit(x, y)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (50, 6, 5), dtype=np.uint8)


@pytest.fixture
def diamonds(rng):
    """A table whose columns have units of their own, as the prices and sizes of diamonds."""
    carat = rng.lognormal(-0.4, 0.5, 400)
    side = 6.5 * np.cbrt(carat)
    return pandas.DataFrame(
        {
            "carat": carat,
            "depth": rng.normal(62, 1.4, 400),
            "price": 4000 * carat**1.7 * rng.lognormal(0, 0.2, 400),
            "x": side + rng.normal(0, 0.05, 400),
            "z": 0.62 * side + rng.normal(0, 0.05, 400),
        }
    )


def test_the_errors_of_records_average_to_the_metrics(images):
    model = fit(images)
    assert "per_record" not in narrows.evaluate(model, images)
    metrics = narrows.evaluate(model, images, per_record=True)
    columns = metrics["per_record"]
    assert {len(column) for column in columns.values()} == {50}
    means = {
        "squared_error": "sse_per_record",
        "preprocessed_squared_error": "preprocessed_sse_per_record",
        "pca_squared_error": "pca_sse_per_record",
        "pca_preprocessed_squared_error": "pca_preprocessed_sse_per_record",
    }
    for column, metric in means.items():
        assert columns[column].mean() == pytest.approx(metrics[metric], rel=1e-9)
    assert -columns["log_likelihood"].mean() == pytest.approx(metrics["nats_per_record"])
    assert np.median(columns["squared_error"]) == metrics["median_sse_per_record"]
    assert -np.median(columns["log_likelihood"]) == metrics["median_nats_per_record"]
    np.testing.assert_array_equal(columns["index"], np.arange(50))
    np.testing.assert_allclose(columns["squared_error"] * 255**2, model.reconstruction_error(images), rtol=1e-6)
    np.testing.assert_allclose(columns["log_likelihood"], model.score_samples(images), rtol=1e-6)


def test_records_are_named_and_labelled_where_they_have_names_and_labels(images):
    labelled = Source(
        images, labels=np.arange(50) % 2, label_names=("cat", "dog"), files=tuple(f"{i}.png" for i in range(50))
    )
    model = fit(images, artefacts=())
    columns = narrows.evaluate(model, labelled, per_record=True)["per_record"]
    assert list(columns) == [
        "index", "name", "label", "squared_error", "preprocessed_squared_error", "log_likelihood",
    ]  # fmt: skip
    assert columns["name"][3] == "3.png"
    assert columns["label"][:2].tolist() == ["cat", "dog"]
    plain = narrows.evaluate(model, images, per_record=True)["per_record"]
    assert {"name", "label"}.isdisjoint(plain)
    given = narrows.evaluate(model, images, np.arange(50), per_record=True)["per_record"]
    np.testing.assert_array_equal(given["label"], np.arange(50))


def test_missing_values_do_not_count_in_the_errors_of_records(rng):
    x = rng.normal(size=(40, 4))
    x[3, 1] = x[5] = math.nan
    model = fit(x, fill_value=math.nan)
    metrics = narrows.evaluate(model, x, per_record=True)
    columns = metrics["per_record"]
    np.testing.assert_allclose(columns["squared_error"], model.reconstruction_error(x))
    assert np.isnan([columns[name][5] for name in ("squared_error", "pca_squared_error", "log_likelihood")]).all()
    assert metrics["nats_per_record"] == pytest.approx(-np.nanmean(columns["log_likelihood"]))


def test_the_table_of_records_is_written_with_all_digits(tmp_path, images):
    names = tuple(f'{i},"é\n.png' for i in range(50))  # what a table must quote
    data = Source(images, labels=np.arange(50), files=names)
    columns = narrows.evaluate(fit(images), data, per_record=True)["per_record"]
    write_per_record(tmp_path / "r.csv", columns)
    with open(tmp_path / "r.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(columns)
    assert [row["name"] for row in rows] == list(names)
    assert [int(row["label"]) for row in rows] == list(range(50))
    assert [float(row["squared_error"]) for row in rows] == columns["squared_error"].tolist()
    write_per_record(tmp_path / "r.npy", columns)
    table = np.load(tmp_path / "r.npy")
    assert list(pandas.DataFrame(table)) == list(columns)
    assert table["name"].tolist() == list(names)
    np.testing.assert_array_equal(table["log_likelihood"], columns["log_likelihood"])


def test_a_table_of_records_replaces_no_file_unless_it_is_forced(tmp_path):
    columns = {"index": np.arange(2), "squared_error": np.array([0.5, 1e-30])}
    path = write_per_record(tmp_path / "r.csv", columns)
    assert path.read_text() == "index,squared_error\n0,0.5\n1,1e-30\n"
    with pytest.raises(OutputExistsError):
        write_per_record(path, columns)
    write_per_record(path, {"index": np.arange(1)}, force=True)
    assert path.read_text() == "index\n0\n"
    with pytest.raises(InvalidParameterError, match=r"must end in \.csv or \.npy. Got 'r\.txt'"):
        write_per_record("r.txt", columns)


def test_a_table_with_units_of_its_own_is_compared_with_pca_in_both_units(diamonds):
    model = fit(diamonds)
    metrics = narrows.evaluate(model, diamonds)
    ratio = metrics["sse_per_record"] / metrics["preprocessed_sse_per_record"]
    assert ratio > 1e5, "the price decides the error in the units of the data"
    text = compared_with_pca(metrics, model)
    for words in (
        "In the units of the data (sse_per_record), the squared error of this model is",
        "so column 'price', the one with the largest, counts most",
        "With each column divided by its own scale (preprocessed_sse_per_record), the error of this model is",
    ):
        assert words in text
    standardised = (diamonds - diamonds.mean()) / diamonds.std(ddof=0)
    by_model = ((diamonds - model.reconstruct(diamonds)) / diamonds.std(ddof=0)).to_numpy()
    assert np.square(by_model).sum(axis=1).mean() == pytest.approx(metrics["preprocessed_sse_per_record"], rel=1e-3)
    values = np.linalg.svd(standardised, compute_uv=False)
    by_pca = np.square(values[2:]).sum() / len(diamonds)
    assert metrics["pca_preprocessed_sse_per_record"] == pytest.approx(by_pca, rel=1e-3)
    ours, pca = _comparison(metrics, model)
    both = {"name", "sse_per_record", "preprocessed_sse_per_record"}
    assert set(ours) == set(pca) == both, "in reports as well"


def test_images_of_one_scale_are_compared_once(images):
    model = fit(images)
    metrics = narrows.evaluate(model, images)
    text = compared_with_pca(metrics, model)
    assert text.startswith("The squared error of this model is")
    assert "preprocessed" not in text
    assert set(_comparison(metrics, model)[0]) == {"name", "sse_per_record"}


def test_a_mean_that_one_record_decides_is_pointed_out(rng):
    x = rng.normal(size=(60, 4))
    model = fit(x)
    assert decided_by_few(narrows.evaluate(model, x)) is None
    x[7] *= [300, -300, 300, -300]
    metrics = narrows.evaluate(model, x)
    assert "A few records have most of the squared error: the mean" in decided_by_few(metrics)
    assert metrics["median_sse_per_record"] < metrics["sse_per_record"] / 100
