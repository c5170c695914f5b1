"""Warnings: one mechanism for Python, summaries and the command line."""

import pickle
import warnings

import pytest

from narrows.errors import DataWarning, NarrowsWarning, RangeWarning, recorded, warn

LOST = DataWarning("Two files are cut.", kind="frames", count=2, first="a.gif")


def test_a_warning_says_its_kind_how_many_it_concerns_and_the_first():
    assert LOST.to_json() == {"kind": "frames", "count": 2, "first": "a.gif", "message": "Two files are cut."}
    assert RangeWarning("Too large.").to_json() == {
        "kind": "range", "count": 1, "first": None, "message": "Too large.",
    }  # fmt: skip
    assert pickle.loads(pickle.dumps(LOST)).to_json() == LOST.to_json()


def test_a_warning_is_shown_by_python_at_the_line_of_the_caller():
    with pytest.warns(DataWarning, match="Two files are cut") as caught:
        warn(LOST)
    assert caught[0].filename == __file__


def test_warnings_are_recorded_whatever_python_shows():
    with warnings.catch_warnings(), recorded() as outer:
        warnings.simplefilter("ignore")
        with recorded() as inner:
            warn(LOST)
        warn(LOST)
    assert (inner, outer) == ([LOST], [LOST, LOST])


def test_a_warning_that_is_an_error_is_recorded_too():
    with recorded() as found, warnings.catch_warnings():
        warnings.simplefilter("error", NarrowsWarning)
        with pytest.raises(DataWarning):
            warn(LOST)
    assert found == [LOST]


def test_warnings_that_are_held_reach_nobody_else(recwarn):
    with recorded() as outer, recorded(held=True) as held:
        warn(LOST)
    assert (outer, held, list(recwarn)) == ([], [LOST], [])


def test_a_listener_is_told_of_each_warning():
    told = []
    with recorded(held=True, listener=told.append):
        warn(LOST)
    assert told == [LOST]
