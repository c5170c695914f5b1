"""Columns of numbers that are written with exponents, as `numpy.savetxt` does, are numbers."""

import numpy as np
import pytest

import narrows


@pytest.mark.parametrize("header", ["", "a,b,c"])
def test_numbers_with_exponents_are_numbers(tmp_path, header):
    x = np.random.default_rng(0).normal(size=(20, 3)) * [1e-9, 1, 1e12]
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", header=header, comments="")
    np.testing.assert_array_equal(narrows.data.open(tmp_path / "x.csv").values, x)


def test_a_column_of_words_among_them_is_none(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n" + "".join(f"1e{i},{i}e\n" for i in range(40)))
    fields = {field.name: field.kind for field in narrows.data.open(tmp_path / "x.csv").table.columns}
    assert fields == {"a": "float", "b": "identifier"}
