"""A chain of rows of a table: each cell predicted from the other columns of its row, and new rows cell by cell."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from narrows.chain import Chain
from narrows.model.inference import mapped
from narrows.numerics.absent import ABSENT

__all__ = ["filled", "from_others", "sample_rows"]

Floats = NDArray[np.float64]

_MOST_STEPS = 64  # passes over a row that is drawn column by column


def _parameters(chain: Chain, x: Tensor) -> Tensor:
    """Return the parameters of rows x (n, n_columns), with the decoder told which of their cells are missing."""
    return chain.decode(chain.encode(x).z, chain.encoder.missing_cells(x))


def filled(chain: Chain, values: Floats) -> Floats:
    """Return rows (n, n_columns) restored from their cells that are there, also those that are missing."""

    def of(batch: Tensor) -> Tensor:
        return chain.preprocessor.inverse(chain.likelihood.mean(_parameters(chain, chain.prepare(batch))).double())

    found: Floats = mapped(of, chain, values)
    return found


def from_others(chain: Chain, values: Floats) -> tuple[Floats, Floats]:
    """Return what the other columns of each row tell of each cell.

    Returns
    -------
    log_probs : ndarray of shape (n, n_columns)
        log p of each cell given the code of the row without it, in nats; 0 for missing cells.
    predicted : ndarray of shape (n, n_columns)
        The reconstruction of each cell from the row without it, also of missing cells.
    """

    def of(batch: Tensor) -> Tensor:
        x = chain.prepare(batch)
        nats, predicted = torch.zeros_like(x), torch.zeros_like(x)
        for column in range(x.shape[1]):
            without = x.clone()
            without[:, column] = ABSENT
            parameters = _parameters(chain, without)
            nats[:, column] = chain.likelihood.log_prob_of_values(parameters, x)[:, column]
            predicted[:, column] = chain.likelihood.mean(parameters)[:, column]
        return torch.stack([nats.double(), chain.preprocessor.inverse(predicted.double())], 1)

    both = mapped(of, chain, values)
    return both[:, 0], both[:, 1]


def sample_rows(chain: Chain, given: Floats, noise: Generator) -> Floats:
    """Return rows (n, n_columns), drawn given some of their cells; NaN in ``given`` is drawn.

    The missing cells of each row are drawn one after the other, in an order that is random for each row: each from its
    distribution given all cells that are there already (Uria, Murray and Larochelle 2014). Where a table has more than
    64 columns, several are drawn at once, as if they were independent given the others.
    """
    n_columns = given.shape[1]
    at_once = -(-n_columns // _MOST_STEPS)

    def of(batch: Tensor) -> Tensor:
        x = chain.prepare(batch)
        absent = batch.isnan()
        order = torch.rand(x.shape, generator=noise, dtype=torch.float64, device=noise.device).to(x.device)
        order = order.masked_fill(~absent, 2.0).argsort(1)  # what is given comes last
        for start in range(0, int(absent.sum(1).max()), at_once):
            places = order[:, start : start + at_once]
            drawn = chain.likelihood.sample(_parameters(chain, x), noise).to(x.dtype)
            wanted = absent.gather(1, places)
            x = x.scatter(1, places, torch.where(wanted, drawn.gather(1, places), x.gather(1, places)))
        return torch.where(absent, chain.preprocessor.inverse(x.double()), batch.double())

    found: Floats = mapped(of, chain, given, noise=noise)
    return found
