"""Warnings: one mechanism for Python, summaries and the command line."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate

from narrows.errors import DataWarning, NarrowsWarning, RangeWarning, WorseThanPCAWarning, recorded, warn

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


def worse(n):
    """Warn like a model that is worse than PCA, with a text of its own."""
    warn(WorseThanPCAWarning(f"{n} times that of PCA"))


class Warns(BaseEstimator):
    def __init__(self, n=0):
        self.n = n

    def fit(self, X, y=None):
        worse(self.n)
        return self

    def score(self, X, y=None):
        warn(RangeWarning(f"The range is {self.n}."))
        return 0.0


X = np.zeros((6, 1))


@pytest.mark.filterwarnings("default::narrows.errors.WorseThanPCAWarning")
@pytest.mark.parametrize(
    "search",
    [
        lambda: GridSearchCV(Warns(), {"n": [1, 2, 3]}, cv=2, refit=False).fit(X),
        lambda: cross_val_score(Warns(), X, cv=3),
        lambda: cross_validate(GridSearchCV(Warns(), {"n": [1, 2]}, cv=2), X, cv=2),
    ],
    ids=["grid", "scores", "nested"],
)
def test_a_search_shows_one_warning_of_each_kind_and_all_are_recorded(search):
    for _ in range(2):  # another search shows them again
        with pytest.warns(NarrowsWarning) as shown, recorded() as found:
            search()
        assert sorted(one.message.kind for one in shown) == ["range", "worse-than-pca"]
        assert {one.filename for one in shown} == {__file__}
        assert len(found) > 2


@pytest.mark.filterwarnings("always::narrows.errors.WorseThanPCAWarning")
def test_outside_of_searches_all_warnings_are_shown():
    with pytest.warns(WorseThanPCAWarning) as shown:
        assert [Warns(n).fit(X).n for n in range(3)] == [0, 1, 2]
    assert len(shown) == 3
