"""What an option accepts, keeps and says."""

import math
from fractions import Fraction

import numpy as np
import pytest

from narrows.errors import InvalidParameterError, NarrowsError, UnknownNameError
from narrows.parts.options import Boolean, Choice, Integer, Real, SequenceOf, check, optional


@pytest.mark.parametrize(
    ("allowed", "good", "bad", "said"),
    [
        (Real(), [0, -1.5, np.float32(2), Fraction(1, 2)], [math.nan, math.inf, True, "1", None, 10**400], "a number"),
        (Real(0, 1), [0, 1, 0.5], [-1e-9, 1.1], "a number ≥ 0 and ≤ 1"),
        (Real(0, open_low=True), [1e-300, 5], [0, -1, math.inf], "a number > 0"),
        (Real(0, 1, open_high=True), [0, 0.999], [1, 1.0], "a number ≥ 0 and < 1"),
        (Real(high=2.5), [-9, 2.5], [3], "a number ≤ 2.5"),
        (Integer(), [1, 10**30, np.int64(3)], [0, -1, 1.0, True, "1", None, math.inf], "a whole number ≥ 1"),
        (Integer(0), [0], [-1], "a whole number ≥ 0"),
        (Integer(1, 9), [1, 9], [0, 10], "a whole number ≥ 1 and ≤ 9"),
        (Choice("a", "b"), ["a", "b"], ["c", "", None, 1], "one of 'a', 'b'"),
        (Choice(1, 3), [1, 3], [2, True, 1.0, "1"], "one of 1, 3"),
        (Boolean(), [True, False], [0, 1, "True", None], "True or False"),
        (SequenceOf(Integer(1)), [(), (1, 2), [3], 4], [(0,), "12", (1, "2")], "a sequence, each a whole number ≥ 1"),
        (SequenceOf(Integer(1)), [], [None], "a sequence, each a whole number ≥ 1"),
        (SequenceOf(Boolean(), 2), [(True, False)], [(), True], "a sequence, each True or False, at least 2 of them"),
        (SequenceOf(Boolean(), 2), [], [(True,)], "a sequence, each True or False, at least 2 of them"),
        (optional(Integer(1)), [None, 2], [0, "None"], "a whole number ≥ 1 or None"),
        (Real(0) | Choice("mean"), [1.5, "mean"], [-1, "median"], "a number ≥ 0 or 'mean'"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_allowed(allowed, good, bad, said):
    assert str(allowed) == said
    for value in good:
        check("Owner", "name", value, allowed)
    for value in bad:
        with pytest.raises(InvalidParameterError) as caught:
            check("Owner", "name", value, allowed)
        assert str(caught.value) == f"The 'name' of Owner must be {said}. Got {value!r}."
        assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("allowed", "given", "kept"),
    [
        (Real(), 1, 1.0),
        (Real(), np.float32(0.5), 0.5),
        (Integer(), np.int64(3), 3),
        (SequenceOf(Integer()), [np.int8(1), 2], (1, 2)),
        (SequenceOf(Integer()), 3, (3,)),
        (SequenceOf(Choice("a")), "a", ("a",)),
        (optional(Real()), 2, 2.0),
        (optional(Real()), None, None),
    ],
)
def test_values_are_kept_as_plain_python(allowed, given, kept):
    got = check("Owner", "name", given, allowed)
    assert got == kept
    assert type(got) is type(kept)
    if isinstance(kept, tuple):
        assert [type(one) for one in got] == [type(one) for one in kept]


def test_near_misses_are_suggested_and_everything_is_listed():
    error = UnknownNameError("recipe", "Deep_Tide", ["simple", "deep-tied", "dense"])
    assert str(error) == (
        "Unknown recipe: 'Deep_Tide'. Did you mean 'deep-tied'? Choose one of: deep-tied, dense, simple."
    )
    assert "Did you mean" not in str(UnknownNameError("recipe", "qqq", ["simple"]))
    assert isinstance(error, NarrowsError)
