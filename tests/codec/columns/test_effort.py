"""Learning from wide tables takes time in proportion to their columns."""

import numpy as np
import pytest

from narrows.codec.columns.contract import Numbers
from narrows.codec.columns.fitting import contexts, fit
from narrows.codec.columns.model import ColumnsModel


@pytest.fixture
def n_estimates(monkeypatch):
    """A function that returns how many estimates learning from rows (n, columns) takes."""

    def counted(values):
        calls = []
        monkeypatch.setattr(contexts, "bits_given", lambda *given: calls.append(0) or bits_given(*given))
        ColumnsModel.of([Numbers(column) for column in values.T], group=len(values))
        return len(calls)

    bits_given = contexts.bits_given
    return counted


def test_twice_the_columns_take_twice_the_estimates(n_estimates):
    values = np.random.default_rng(0).integers(0, 1000, (8, 40))
    assert n_estimates(values) < 2.2 * n_estimates(values[:, :20])


@pytest.mark.slow
def test_few_rows_take_few_estimates(n_estimates, monkeypatch):
    values = np.random.default_rng(1).integers(0, 1000, (8, 20))
    few = n_estimates(values)
    monkeypatch.setattr(fit, "_ROWS_PER_NEAR", 1)
    assert few < n_estimates(values) / 2
