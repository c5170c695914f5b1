"""The independent decoder of fields, written from docs/format.md alone, restores what narrows restores."""

from pathlib import Path

import field_decoder as decoder
import numpy as np
import pytest

import narrows
from narrows.archive.layouts import Field
from narrows.codec.fields.interpolated import encode_interpolated
from narrows.codec.residual.error_bound import ErrorBound


def field(*shape, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    values = 50 * np.cumsum(rng.normal(size=shape), -1)
    return (values + rng.normal(size=shape)).astype(dtype)


def assert_same(array, path, **options):
    narrows.compress(array, path, force=True, **options)
    expected, found = narrows.restore(path), decoder.read(path)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype) == (array.shape, array.dtype)
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", [(60,), (12, 17), (5, 7, 9), (3, 4, 5, 4), (2, 3, 2, 3, 2)])
@pytest.mark.parametrize("max_error", [0.01, 3.0, 40.0])
def test_fields_of_all_numbers_of_axes(shape, max_error, tmp_path):
    assert_same(field(*shape), tmp_path / "x.narrows", max_error=max_error)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint64", "float16", "float64", "bool"])
def test_lossless_fields_of_other_types(dtype, tmp_path):
    assert_same(field(9, 14, dtype=dtype), tmp_path / "x.narrows", lossless=True)


def test_records_and_blocks_and_missing_values(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.archive.layouts.field._USUAL_BLOCK_VALUES", 100)
    array = field(10, 7, 8)
    assert_same(array, tmp_path / "x.narrows", max_error=1.0, as_records=True)
    array[3:6, 2:5] = np.nan
    array[0, 0, 0] = np.inf
    assert_same(array, tmp_path / "x.narrows", max_error=1.0)
    assert Field.of(array.shape, 4).n_blocks > 4


@pytest.mark.parametrize("largest", [1, 2, 3])
@pytest.mark.parametrize("fineness", [0, 1, 2])
def test_every_stencil_and_fineness(largest, fineness, monkeypatch):
    from narrows.codec.fields import interpolated
    from narrows.codec.fields.plan import Plan

    array = np.round(field(2, 5, 9, 8, seed=largest))
    monkeypatch.setattr(interpolated, "promising_plans", lambda *_: [Plan(fineness, fineness, largest)])
    coded = encode_interpolated(array, ErrorBound(array.dtype, 2.0))
    found = decoder.Interpolation(coded.data, array.dtype, 2.0, array.shape).values
    assert found.tobytes() == coded.restored.tobytes()


def test_the_example_of_the_page():
    data = bytes.fromhex("00 00 00 00 01 00 00 00 00 00 60 49 55 9a 66 21 1b ac")
    text = (Path(__file__).parents[2] / "docs" / "format.md").read_text()
    assert data.hex(" ").upper() in text.replace("\n    ", " ")
    array = np.array([[1, 5, 10, 20, 36, 58]], np.int16)
    assert encode_interpolated(array, ErrorBound(array.dtype, 0)).data == data
    assert decoder.Interpolation(data, array.dtype, 0.0, array.shape).values.tolist() == array.tolist()
