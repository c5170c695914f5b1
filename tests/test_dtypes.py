"""What dtype records come back in: the training data's, floats on request, and of tables of whole numbers floats."""

from pathlib import Path

import numpy as np
import pytest

import narrows
from narrows.data import Source
from narrows.errors import InvalidParameterError
from narrows.model.inference import returned_dtype
from narrows.networks import Dense
from narrows.uses import generate

TABLES = {
    "one-hot": np.eye(10, dtype=np.int64)[np.arange(200) % 10],
    "booleans": np.eye(10, dtype=bool)[np.arange(200) % 10],
    "bytes": np.eye(10, dtype=np.uint8)[np.arange(200) % 10],
}


def fit(records, *, epochs=1):
    network = Dense(widths=(4,))
    training = narrows.Training(epochs=epochs, batch_size=32)
    return narrows.Autoencoder(2, network=network, training=training, random_state=0).fit(records)


@pytest.fixture(scope="module")
def images(digits):
    return digits[0][:100]


@pytest.fixture(scope="module")
def image_model(images):
    return fit(images)


@pytest.fixture(scope="module", params=TABLES)
def table(request):
    return TABLES[request.param]


@pytest.fixture(scope="module")
def table_model(table):
    return fit(table, epochs=40)


WAYS = {
    "reconstruct": lambda model, x, **how: model.reconstruct(x, **how),
    "denoise": lambda model, x, **how: model.denoise(x, **how),
    "inverse_transform": lambda model, x, **how: model.inverse_transform(model.transform(x), **how),
    "sample": lambda model, x, **how: model.sample(len(x), random_state=0, **how),
    "sample with noise": lambda model, x, **how: model.sample(len(x), random_state=0, noise=True, **how),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_floats_are_what_whole_numbers_are_rounded_from(image_model, images, way):
    stored, floats = way(image_model, images), way(image_model, images, dtype=float)
    assert (stored.dtype, floats.dtype) == (np.uint8, np.float64)
    assert (floats % 1 != 0).any()
    np.testing.assert_array_equal(np.clip(np.rint(floats), 0, 255), stored)
    assert way(image_model, images, dtype=None).dtype == np.uint8
    np.testing.assert_array_equal(way(image_model, images, dtype="float32"), floats.astype(np.float32))


def test_the_squared_error_of_bytes_is_that_of_evaluate(image_model, images):
    error = ((images - image_model.reconstruct(images, dtype=float)) ** 2).mean()
    assert error == pytest.approx(255**2 * narrows.evaluate(image_model, images)["mse"])


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_tables_of_whole_numbers_and_booleans_come_back_as_floats(table_model, table, way):
    floats = way(table_model, table)
    assert floats.dtype == np.float64
    assert (floats % 1 != 0).any()
    exact = way(table_model, table, dtype=table.dtype)
    assert exact.dtype == table.dtype


def test_one_hot_columns_are_not_rounded_to_zeros(table_model, table):
    assert table_model.reconstruct(table).sum(axis=1).mean() == pytest.approx(1, abs=0.3)
    exact = table_model.reconstruct(table, dtype=table.dtype)
    assert (exact.sum(axis=1) == 0).any()  # as all came back before


def test_whatever_is_generated_follows_the_same_rule(table_model, table):
    assert generate.between(table_model, table[0], table[1]).dtype == np.float64
    assert generate.manifold(table_model, 3).dtype == np.float64
    assert generate.traversals(table_model, n=3).records.dtype == np.float64


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tables_of_floats_keep_their_dtype(rng, dtype):
    records = rng.normal(size=(50, 6)).astype(dtype)
    assert fit(records).reconstruct(records).dtype == dtype


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "bool"])
def test_images_and_series_keep_their_dtype(dtype):
    for shape in ((4, 4), (2, 8), (4, 4, 3)):
        assert returned_dtype(None, np.dtype(dtype), shape) == dtype


def test_archives_restore_the_exact_dtype(table_model, table, tmp_path):
    narrows.compress(table, tmp_path / "a", model=table_model, lossless=True)
    restored = narrows.restore(tmp_path / "a", model=table_model)
    assert restored.dtype == table.dtype
    np.testing.assert_array_equal(restored, table)


@pytest.mark.parametrize("dtype", [complex, "S3", object, "nonsense", 7])
def test_what_is_no_real_dtype_is_refused_before_any_work(image_model, images, dtype):
    with pytest.raises(InvalidParameterError, match="'dtype' must be a bool, integer or float dtype"):
        image_model.reconstruct(images, dtype=dtype)
    with pytest.raises(InvalidParameterError, match="'dtype' must be a bool, integer or float dtype"):
        image_model.sample(2, dtype=dtype)


# The command line


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a function that calls a verb with a model and some of its records, and returns what is written."""
    from click.testing import CliRunner

    from narrows.cli import main

    monkeypatch.chdir(tmp_path)

    def call(model, records, *verb):
        model.save("model", force=True)
        np.save("x.npy", records)
        np.save("codes.npy", model.transform(Source(records)))
        done = CliRunner().invoke(main, [*verb, "-m", "model", "-o", "out.npy", "--force"])
        assert done.exit_code == 0, done.output
        return np.load(Path("out.npy"))

    return call


VERBS = [["reconstruct", "x.npy"], ["decode", "codes.npy"], ["denoise", "x.npy"], ["generate", "-n", "3"]]


@pytest.mark.parametrize("verb", VERBS, ids=[verb[0] for verb in VERBS])
def test_commands_write_bytes_as_bytes_and_other_tables_as_floats(table_model, table, written, verb):
    assert written(table_model, table, *verb).dtype == (np.uint8 if table.dtype == np.uint8 else np.float64)


@pytest.mark.parametrize("verb", VERBS, ids=[verb[0] for verb in VERBS])
def test_commands_write_images_of_bytes_as_bytes(image_model, images, written, verb):
    assert written(image_model, images, *verb).dtype == np.uint8
