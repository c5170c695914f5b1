"""Numbers that are printed: exact only if they are, and none with more digits than can be read."""

import re

import numpy as np
import pytest

from narrows.evaluation.page import number as number_of_page
from narrows.io.text import number


@pytest.fixture
def table():
    return np.random.default_rng(0).normal(size=(120, 5))


def train(narrows, values, code=0, *more):
    np.save("x.npy", values)
    return narrows("train", "x.npy", "-o", "m", "--latent", "1", "--epochs", "1", "--force", *more, code=code)


def test_tiny_values_are_not_said_to_be_restored_exactly(narrows, table):
    train(narrows, table * 1e-200)
    text = narrows("compress", "x.npy", "-m", "m", "-o", "x.narrows").stdout
    assert "exactly" not in text
    assert re.search(r"PSNR +\d\d\.\d\d  dB", text)
    assert re.search(r"largest error +\d\.\d{3}e-200", text)
    assert " inf " not in narrows("info", "m").stdout
    assert narrows.json("evaluate", "x.npy", "-m", "m")["psnr_db"] > 10


def test_equal_records_are_restored_exactly(narrows):
    train(narrows, np.full((40, 3), 0.1))
    text = narrows("compress", "x.npy", "-m", "m", "-o", "x.narrows").stdout
    assert "restored exactly" in text


def test_errors_without_a_range_to_compare_them_with_are_not_exact(narrows):
    train(narrows, np.full((40, 3), 0.1))
    np.save("other.npy", np.full((40, 3), 0.2))
    text = narrows("compress", "other.npy", "-m", "m", "-o", "x.narrows").stdout
    assert "exactly" not in text
    assert "the values have no range" in text


def test_a_large_value_is_refused_again_with_resume(narrows, table):
    table[3, 2] = -1.7e308
    for more in ((), ("--resume",)):
        assert "in row 3, column 2" in train(narrows, table, 1, *more).stderr


def test_large_numbers_are_printed_in_scientific_notation(narrows, table):
    train(narrows, table * 1e40)
    for text in (
        narrows("compress", "x.npy", "-m", "m", "-o", "x.narrows", "--max-error", "1e39").stdout,
        narrows("info", "x.narrows").stdout,
        narrows("evaluate", "x.npy", "-m", "m").stdout,
    ):
        assert not re.search(r"\d,\d{3},\d{3},\d{3},\d{3},\d{3}", text)
        assert re.search(r"\de\+\d\d", text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (999_999_999_999_999.0, "999,999,999,999,999"),
        (1e15, "1.000e+15"),
        (-2.5e39, "-2.500e+39"),
        (10**18, "1.000e+18"),
        (3e-6, "3.000e-06"),
        (3.8e-200, "3.800e-200"),
        (0.5, "0.5000"),
    ],
)
def test_a_number_is_scientific_from_1e15_and_below_1e_4(value, text):
    assert number(value) == text
    if abs(value) >= 1e15:
        assert number_of_page(value) == text.replace("-", "−")
