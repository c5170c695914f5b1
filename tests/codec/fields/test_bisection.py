"""Bisection restores every value, in the same bytes in C and in Python, and finds what values have in common."""

import contextlib
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from narrows.codec import kernels
from narrows.codec.fields import bisected
from narrows.codec.fields.bisected import decode_bisected, encode_bisected
from narrows.codec.fields.bisection_fit import forms_of, period_of
from narrows.codec.fields.forms import Form, Numbering
from narrows.codec.residual.error_bound import ErrorBound
from narrows.errors import NarrowsError

WALK = np.cumsum(np.random.default_rng(0).normal(size=300) * 1000)
SERIES = {
    "walk": WALK.astype(np.int32),
    "modulus": (WALK.astype(np.int64) * 20 + (np.arange(300) % 11 == 0)).astype(np.int32),
    "levels": np.array([-70, 3, 900], np.int16)[np.random.default_rng(1).integers(0, 3, 300)],
    "digits": np.array([float(f"{x:.3g}") for x in WALK * 5]).astype(np.int64),
    "constant": np.full(40, 7, np.uint8),
    "floats": WALK.astype(np.float32),
    "doubles": 1000 + np.abs(WALK) % 1000,
    "large": (np.uint64(1) << np.uint64(63)) + np.arange(50).astype(np.uint64),
    "bool": WALK > 0,
}


def encoded(values):
    return encode_bisected(values[None], ErrorBound(values.dtype, 0))


def decoded(data, values):
    return decode_bisected(data, ErrorBound(values.dtype, 0), (1, *values.shape))[0]


@pytest.mark.parametrize("name", SERIES)
def test_series_come_back_from_the_same_bytes_with_and_without_kernels(name, monkeypatch):
    values = SERIES[name][:50]
    data = encoded(values).data
    monkeypatch.setattr(kernels, "compiled", None)
    assert encoded(values).data == data
    assert decoded(data, values).tobytes() == values.tobytes()


@settings(max_examples=40)
@given(
    arrays.arrays(np.int64, st.integers(1, 60), elements=st.integers(-(1 << 52), 1 << 52))
    | arrays.arrays(np.float32, st.integers(1, 60))
    | arrays.arrays(np.float64, st.integers(1, 60))
    | arrays.arrays(np.int64, st.integers(1, 300), elements=st.integers(-9, 9).map(lambda x: x * 10**14))
)
def test_any_series_comes_back_or_is_refused(values):
    coded = encoded(values)
    assert coded is None or decoded(coded.data, values).tobytes() == values.tobytes()


@pytest.mark.parametrize(
    ("name", "numbering"), [("walk", Numbering.EVEN), ("levels", Numbering.LEVELS), ("digits", Numbering.DIGITS)]
)
def test_numberings_are_in_ascending_order_and_have_every_value(name, numbering):
    values = SERIES[name].astype(np.int64)
    form = next(form for form in forms_of(values) if form.numbering == numbering)
    numbers = form.numbers(values)
    assert [form.value(i) for i in numbers.tolist()] == values.tolist()
    assert 0 <= numbers.min() <= numbers.max() < form.n
    some = range(0, form.n, max(1, form.n // 500))
    assert all(form.value(i) < form.value(i + 1) for i in some if i + 1 < form.n)


def test_values_that_are_mostly_multiples_are_found():
    assert [form.modulus for form in forms_of(SERIES["modulus"].astype(np.int64))][1] in {10, 20, 40}


def test_what_values_have_in_common_takes_no_bytes():
    rng = np.random.default_rng(3)
    plain = rng.integers(0, 1000, 2000)
    size = len(encoded(plain).data)
    assert len(encoded(plain * 12_345).data) < size + 20
    assert len(encoded(plain + (1 << 50)).data) < size + 20
    rare = plain * 20 + (rng.random(2000) < 0.01)
    assert len(encoded(rare).data) < size + 80
    assert len(encoded(rng.choice(rng.integers(0, 1 << 40, 16), 2000)).data) < 2000 * 0.55 + 16 * 6


def test_a_period_and_its_values_are_found():
    rng = np.random.default_rng(4)
    one = rng.integers(0, 1 << 16, 96)
    values = np.tile(one, 20) + rng.integers(-3, 4, 20 * 96)
    assert period_of(values) == 96
    assert len(encoded(values).data) * 8 / len(values) < 5.5  # those of the noise, and of the first period


def test_noise_takes_hardly_more_than_its_own_bits():
    values = np.random.default_rng(5).integers(0, 1 << 20, 4000)
    assert len(encoded(values).data) * 8 / 4000 < 20.1


def test_series_without_kernels_are_refused_if_they_are_long(monkeypatch):
    monkeypatch.setattr(kernels, "compiled", None)
    monkeypatch.setattr(bisected, "_MOST_WITHOUT_KERNELS", 50)
    assert encoded(SERIES["walk"]) is None


@pytest.mark.parametrize("name", ["modulus", "levels", "digits"])
def test_damaged_data_give_an_error_by_name_or_other_values(name):
    values, rng = SERIES[name][:60], random.Random(name)
    data = encoded(values).data
    for _ in range(60):
        broken = bytearray(data)
        broken[rng.randrange(min(len(data), 24))] ^= rng.randrange(1, 256)
        with contextlib.suppress(NarrowsError):
            decoded(bytes(broken[: rng.choice((len(data), rng.randrange(len(data))))]), values)


def test_the_kernel_refuses_sizes_that_do_not_fit():
    if kernels.compiled is None:
        pytest.skip("narrows was installed without a compiler")
    with pytest.raises(ValueError, match="bisect"):
        bisected.Bisection(
            Form(Numbering.EVEN, 0), bisected.Prediction(0, 0, np.zeros(0, np.int64), np.zeros(0, np.int64)), 3,
            has_contexts=False, data=b"",
        ).run(np.zeros(3, np.int64))  # fmt: skip
