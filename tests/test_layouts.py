"""Results depend on the values of an array, and not on how they lie in memory."""

import numpy as np
import pytest

import narrows
from narrows import Autoencoder, Training

X = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
IMAGES = np.random.default_rng(0).integers(0, 256, size=(40, 8, 8), dtype=np.uint8)


def spread(values):
    """Return equal values with gaps between them."""
    large = np.zeros([2 * n for n in values.shape], values.dtype)
    inside = large[tuple(slice(None, None, 2) for _ in values.shape)]
    inside[...] = values
    return inside


def turned(values):
    """Return equal values that lie in memory from the last to the first."""
    return np.flip(np.flip(values).copy())


def foreign(values):
    """Return equal values with bytes in the order of other machines."""
    return values.astype(values.dtype.newbyteorder())


def fixed(values):
    """Return equal values that cannot be written to."""
    values = values.copy()
    values.flags.writeable = False
    return values


LAYOUTS = [np.asfortranarray, spread, turned, foreign, fixed]
VALUES = {"float32": X, "float64": X.astype(np.float64), "images": IMAGES}


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.__name__)
def layout(request):
    return request.param


@pytest.fixture(params=VALUES.values(), ids=VALUES)
def values(request):
    return request.param


def trained(values):
    return Autoencoder(3, training=Training(epochs=1), random_state=0).fit(values)


@pytest.fixture(scope="module")
def models():
    return {str(values.dtype): trained(values) for values in VALUES.values()}


def uses(model, values, path):
    """Return the results of all uses of a model."""
    narrows.compress(values, path, model=model, max_error=2, force=True)
    return [
        model.transform(values),
        model.reconstruct(values),
        model.score(values),
        model.quantise(values),
        list(narrows.evaluate(model, values).items()),
        np.frombuffer(path.read_bytes(), np.uint8),
    ]


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def expected(models, tmp_path_factory):
    """Return a function that returns the results of usual arrays, computed once for each."""
    path = tmp_path_factory.mktemp("expected") / "x"
    results = {}

    def expected(values):
        name = str(values.dtype)
        if name not in results:
            results[name] = uses(models[name], values, path)
        return results[name]

    return expected


def test_results_are_the_same(layout, values, models, expected, tmp_path):
    assert_equal(uses(models[str(values.dtype)], layout(values), tmp_path / "x"), expected(values))


# Training opens arrays as all other uses do, which the test before tries in every layout.
TRAINED_ON = {"asfortranarray-images", "spread-float64", "turned-float32", "foreign-float64", "foreign-images"}
TRAINED_ON |= {"fixed-float32", "fixed-images"}


@pytest.mark.parametrize(
    ("layout", "values"),
    [
        pytest.param(layout, values, id=name, marks=() if name in TRAINED_ON else pytest.mark.slow)
        for layout in LAYOUTS
        for kind, values in VALUES.items()
        for name in [f"{layout.__name__}-{kind}"]
    ],
)
def test_models_are_the_same(layout, values, models, expected, tmp_path):
    model, other = models[str(values.dtype)], trained(layout(values))
    assert_equal(uses(other, values, tmp_path / "x"), expected(values))
    np.testing.assert_array_equal(other.pca_.components, model.pca_.components)
    np.testing.assert_array_equal(other.sample(5, random_state=0), model.sample(5, random_state=0))


def test_codes_are_decoded_alike(layout, models):
    model = models["float32"]
    codes = model.transform(X)
    np.testing.assert_array_equal(model.inverse_transform(layout(codes)), model.inverse_transform(codes))


def test_files_in_the_order_of_fortran_are_read_alike(values, models, tmp_path):
    np.save(tmp_path / "f.npy", np.asfortranarray(values))
    model = models[str(values.dtype)]
    np.testing.assert_array_equal(model.transform(tmp_path / "f.npy"), model.transform(values))
