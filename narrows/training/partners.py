"""Batches in which records have a neighbour: the nearest training records, and an order of pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Generator, Tensor

from narrows.numerics.principal import principal_directions

__all__ = ["in_pairs", "nearest_records"]

_MOST_VALUES = 50  # of a record that are compared: more are projected to as many principal components
_MOST_CANDIDATES = 60_000  # records among which neighbours are looked for: the time grows with both
_SAMPLED_VALUES = 2**24  # for the principal components
_DISTANCES = 2**26  # in memory


def nearest_records(batches: Callable[[], Iterable[Tensor]], n: int, k: int) -> Tensor:
    """Return the indices of the k nearest other records of each, shape (n, k), the nearest first.

    Distances are those of the first 50 principal components. In more than 60,000 records, neighbours are looked for
    among as many, evenly spaced.

    Parameters
    ----------
    batches : callable
        ``batches()`` iterates once over n preprocessed records, Tensors (b, *shape).
    n, k : int
        Number of records and of neighbours, which are fewer if there are not so many records.
    """
    x = torch.cat([batch.flatten(1) for batch in _reduced(batches, n)])
    x = x - x.mean(0)  # distances keep their digits
    candidates = torch.linspace(0, n - 1, min(n, _MOST_CANDIDATES), device=x.device, dtype=torch.float64).round().long()
    others, k = x[candidates], min(k, len(candidates) - 1)
    lengths, found = others.square().sum(1), []
    for rows in torch.split(torch.arange(n, device=x.device), max(_DISTANCES // len(others), 1)):
        away = lengths - 2 * x[rows] @ others.T  # the length of the record itself changes no order
        away.masked_fill_(rows[:, None] == candidates, torch.inf)
        found.append(candidates[away.topk(k, largest=False).indices])
    return torch.cat(found)


def in_pairs(order: Tensor, neighbours: Tensor, drawn_by: Generator) -> Tensor:
    """Return as many indices as an order (n,) has: its first half, and behind each a neighbour of it.

    Parameters
    ----------
    order : Tensor of shape (n,)
        The indices of n records in random order.
    neighbours : Tensor of shape (n, k)
        The indices of the neighbours of each, of which one is drawn.
    drawn_by : Generator
        Source of the draws, on the CPU.
    """
    first = order[: math.ceil(len(order) / 2)]
    places = torch.randint(neighbours.shape[1], (len(first),), generator=drawn_by).to(order.device)
    return torch.stack([first, neighbours[first, places]], dim=1).flatten()[: len(order)]


def _reduced(batches: Callable[[], Iterable[Tensor]], n: int) -> Iterable[Tensor]:
    """Yield records flat (b, d), or their first principal components."""
    first = next(iter(batches())).flatten(1)
    if first.shape[1] <= _MOST_VALUES:
        return batches()
    every = max(n * first.shape[1] // _SAMPLED_VALUES, 1)
    some = torch.cat([batch.flatten(1)[::every] for batch in batches()])
    mean = some.mean(0)
    n_components = min(_MOST_VALUES, len(some))
    directions = principal_directions((some - mean).float().cpu().numpy(), n_components, seed=0)
    matrix = torch.from_numpy(directions).to(some)
    return ((batch.flatten(1) - mean) @ matrix.T for batch in batches())
