"""Units stand for values: exactly where nothing may be lost, and within the bound elsewhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from narrows.codec.residual.error_bound import ErrorBound

WHOLE = ["bool", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8"]
FLOATS = ["f2", "f4", "f8"]


@st.composite
def values_of(draw, dtypes):
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    return draw(npst.arrays(dtype, st.integers(1, 20)))


@settings(max_examples=60, deadline=None)
@given(values_of(WHOLE + FLOATS))
def test_lossless_units_turn_back_into_the_same_bits(values):
    grid = ErrorBound(values.dtype, 0)
    units = grid.units(values)
    assert grid.lowest <= units.min()
    assert units.max() <= grid.highest
    assert grid.values(units).tobytes() == values.tobytes()


@settings(max_examples=40, deadline=None)
@given(values_of(WHOLE + FLOATS))
def test_larger_values_have_larger_units(values):
    values = np.sort(values[~np.isnan(values)] if values.dtype.kind == "f" else values)
    units = ErrorBound(values.dtype, 0).units(values)
    assert all(a < b for (a, x), (b, y) in zip(zip(units, values), zip(units[1:], values[1:])) if x < y)  # noqa: B905


@settings(max_examples=60, deadline=None)
@given(values_of(FLOATS), st.one_of(st.floats(0, 1e308), st.sampled_from([5e-324, 1e-310, 1e-300, 1.7e308])), st.data())
def test_what_steps_do_not_bring_within_the_bound_is_wild(values, max_error, data):
    """Denormals, huge values, infinities and NaNs among them; whatever the anchors are."""
    grid = ErrorBound(values.dtype, max_error)
    anchors = data.draw(npst.arrays(np.int64, values.shape, elements=st.integers(grid.lowest, grid.highest)))
    q, is_exception = grid.steps(values, anchors)
    units = np.clip(anchors + grid.step * q, grid.lowest, grid.highest)
    back, tame = grid.values(units), ~is_exception
    if grid.is_lossless:
        assert back.tobytes() == values.tobytes()
    else:
        assert (np.abs(back[tame].astype("g") - values[tame].astype("g")) <= max_error).all()


@pytest.mark.parametrize("dtype", WHOLE)
@pytest.mark.parametrize("max_error", [0.0, 0.99, 1.0, 7.5, 1e300])
def test_the_ends_of_a_type_are_within_its_range(dtype, max_error):
    grid = ErrorBound(np.dtype(dtype), max_error)
    ends = [0, 1] if dtype == "bool" else [np.iinfo(dtype).min, np.iinfo(dtype).max]
    assert grid.units(np.array(ends, dtype)).tolist() == [grid.lowest, grid.highest]
    assert grid.values(np.array([grid.lowest, grid.highest])).tolist() == ends
    assert grid.step == 2 * min(int(max_error), 1 << 48) + 1


@pytest.mark.parametrize("dtype", FLOATS)
def test_bounds_too_small_for_multiples_are_lossless(dtype):
    assert ErrorBound(np.dtype(dtype), 2.0**-996).step == 16
    assert ErrorBound(np.dtype(dtype), 2.0**-998).is_lossless
    assert ErrorBound(np.dtype(dtype), 5e-324).is_lossless
