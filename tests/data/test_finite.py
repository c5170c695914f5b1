import numpy as np
import pytest

import narrows.data
from narrows.data import finite
from narrows.errors import NonFiniteDataError


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("chunk_bytes", [1, 100, 1 << 24])
def test_the_first_bad_value_is_found_and_all_are_counted(monkeypatch, dtype, chunk_bytes):
    monkeypatch.setattr(finite, "CHUNK_BYTES", chunk_bytes)
    x = np.zeros((50, 3, 2), dtype)
    x[20, 2, 1], x[30, 0, 0], x[49, 2, 1] = -np.inf, np.nan, np.nan
    with pytest.raises(NonFiniteDataError, match=r"3 of 300 values are .* -inf, in record 20 at \[2, 1\]"):
        narrows.data.check_finite(narrows.data.open(x))


@pytest.mark.parametrize("dtype", ["float32", "int32", "bool"])
def test_finite_data_pass(dtype):
    narrows.data.check_finite(narrows.data.open(np.ones((50, 3), dtype)))
