"""Fill values: kept exactly within a bound, and no part of the range that the bound is a share of."""

import numpy as np
import pandas as pd
import pytest

import narrows
from narrows import Autoencoder
from narrows.archive.bound import check_fill_value
from narrows.archive.compress import compress
from narrows.errors import ArchiveError, DataWarning, InvalidParameterError
from narrows.training import Training

FILL = -9999


@pytest.fixture(scope="module", params=["float32", pytest.param("float64", marks=pytest.mark.slow), "int16"])
def data(request):
    """Records of values from -4 to 22, some of which are missing, the positions, and a model of such records."""
    rng = np.random.default_rng(0)
    x = 9 + 13 * np.sin(np.arange(48) / 7 + rng.uniform(0, 6, (300, 1)))
    if request.param == "int16":
        x = np.rint(10 * x)
    x = x.astype(request.param)
    model = Autoencoder(4, training=Training(epochs=3), random_state=0).fit(x)
    missing = rng.random(x.shape) < 0.2
    return np.where(missing, np.array(FILL, x.dtype), x), missing, model


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")
def test_fill_values_come_back_exactly_and_others_within_a_share_of_their_own_range(data, tmp_path):
    x, missing, model = data
    summary = compress(x, tmp_path / "x.narrows", model=model, max_error="1%", fill_value=FILL)
    low, high = x[~missing].min(), x[~missing].max()
    assert summary.values_range == (low, high)
    assert summary.error_bound == pytest.approx((float(high) - float(low)) / 100)
    back = narrows.restore(tmp_path / "x.narrows", model=model)
    np.testing.assert_array_equal(back[missing], FILL)
    error = np.abs(back.astype(float) - x)
    assert summary.max_error == error.max() <= summary.error_bound
    assert summary.n_bytes < 0.5 * x.nbytes
    assert not [one for one in summary.warnings if one["kind"] == "far-value"]


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")
def test_a_share_of_a_range_that_a_fill_value_makes_is_warned_of(data, tmp_path):
    x, missing, model = data
    with pytest.warns(DataWarning, match=r"value -9999 extends the range of the data.*\(--fill-value -9999\)"):
        summary = compress(x, tmp_path / "x.narrows", model=model, max_error="1%")
    (warning,) = (one for one in summary.warnings if one["kind"] == "far-value")
    assert (warning["count"], warning["first"]) == (missing.sum() + 1, "-9999")


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")
def test_a_bound_in_units_is_not_warned_of(data, tmp_path):
    x, _, model = data
    compress(x, tmp_path / "x.narrows", model=model, max_error=1.0)


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")
def test_more_records_with_fill_values_are_appended(data, tmp_path):
    x, missing, model = data
    compress(x[:200], tmp_path / "x.narrows", model=model, max_error=2, fill_value=FILL)
    compress(x[200:250], tmp_path / "x.narrows", model=model, append=True)
    compress(x[250:], tmp_path / "x.narrows", model=model, fill_value=FILL, append=True)
    back = narrows.restore(tmp_path / "x.narrows", model=model)
    np.testing.assert_array_equal(back[missing], FILL)
    before = (tmp_path / "x.narrows").read_bytes()
    with pytest.raises(ArchiveError, match=r"has the fill value -9999\. Got -1\."):
        compress(x, tmp_path / "x.narrows", model=model, fill_value=-1, append=True)
    assert (tmp_path / "x.narrows").read_bytes() == before
    compress(x, tmp_path / "y.narrows", model=model, max_error=2)
    with pytest.raises(ArchiveError, match=r"has no fill value\. Got -9999\."):
        compress(x, tmp_path / "y.narrows", model=model, fill_value=FILL, append=True)


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")
def test_fill_values_are_counted_and_one_that_does_not_occur_is_warned_of(data, tmp_path):
    x, missing, model = data
    summary = compress(x, tmp_path / "x.narrows", model=model, max_error=2, fill_value=FILL)
    assert (summary.fill_value, summary.n_fill) == (FILL, missing.sum())
    summary = compress(x, tmp_path / "y.narrows", model=model, max_error=2, fill_value=-999)
    (warning,) = (one for one in summary.warnings if one["kind"] == "fill-value")
    assert warning["message"] == "No value equals the fill value -999. Check 'fill_value' (--fill-value)."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill_value": 3}, "needs a 'max_error'"),
        ({"fill_value": 3, "lossless": True}, "needs a 'max_error'"),
        ({"fill_value": 1e300, "max_error": 1}, r"finite value of the dtype float32\. Got 1e\+300"),
        ({"fill_value": np.nan, "max_error": 1}, "finite value"),
    ],
)
def test_fill_values_without_effect_are_refused(tmp_path, options, message):
    x = np.random.default_rng(0).normal(size=(50, 6)).astype("float32")
    model = Autoencoder(2, training=Training(epochs=1), random_state=0).fit(x)
    with pytest.raises(InvalidParameterError, match=message):
        compress(x, tmp_path / "x.narrows", model=model, **options)
    assert not (tmp_path / "x.narrows").exists()


def test_columns_that_a_share_of_the_common_range_can_wipe_out_are_named(tmp_path):
    rng = np.random.default_rng(0)
    price, carat = rng.uniform(300, 19000, 500), rng.uniform(0.2, 5, 500)
    frame = pd.DataFrame({"price": price, "carat": carat, "x": rng.normal(size=500)})
    model = Autoencoder(2, training=Training(epochs=1), random_state=0).fit(frame)
    with pytest.warns(DataWarning, match=r"In 2 of 3 columns \(the first is 'carat'\) the values vary by at most"):
        compress(frame, tmp_path / "x.narrows", model=model, max_error="1%")
    compress(frame, tmp_path / "y.narrows", model=model, max_error=0.01)
    pixels = rng.integers(0, 256, (300, 6), np.uint8)
    pixels[:, 0] = rng.integers(0, 3, 300)
    model = Autoencoder(2, training=Training(epochs=1), random_state=0).fit(pixels)
    compress(pixels, tmp_path / "z.narrows", model=model, max_error="5%")


@pytest.mark.parametrize(
    ("dtype", "fill_value", "allowed"),
    [
        ("uint8", -1.0, "a whole number from 0 to 255, since the records are of the dtype uint8"),
        ("uint8", 0.5, "a whole number from 0 to 255"),
        ("int16", 40000.0, "a whole number from -32768 to 32767"),
        ("bool", 2.0, "0 or 1"),
    ],
)
def test_fill_values_that_no_record_can_have_are_refused_with_those_that_it_can(dtype, fill_value, allowed):
    source = narrows.data.open(np.zeros((2, 3), dtype))
    with pytest.raises(InvalidParameterError, match=f"{allowed}.* Got {fill_value}"):
        check_fill_value(fill_value, source, is_bounded=True)
