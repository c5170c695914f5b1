"""The likelihood of rows of a table: a product over columns, each with a distribution of its own kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional

from narrows.errors import NotFreezableError
from narrows.likelihoods.contract import Likelihood, LikelihoodModule
from narrows.likelihoods.logistic_mixture import NO_ATOM, Mixture
from narrows.likelihoods.point_estimate import PointEstimate
from narrows.numerics.absent import is_absent
from narrows.numerics.column_scales import N_KNOTS, Asinh, Levels, Scale, knots_of
from narrows.parts.options import Choice, Integer, Real, SequenceOf, option, optional

__all__ = ["Columns"]

_MOST = 2**15
_FINEST = 2.0**-13  # half of the finest interval of a number, in units of its scale
_PER_NUMBER = 3  # outputs for each component: weight, location and scale

_NO_CODEC = (
    "The model of a table with columns of several kinds is no archive codec. To store a table in a small file, use "
    "`narrows compress TABLE.csv -o TABLE.narrows`, which learns from the table what it needs."
)


class Columns(Likelihood, name="columns"):
    """Rows of a table: log p = Σ log p_f(x_f), each column f with parameters of its own.

    A category has K scores a: p(x) = softmax(a)_x. A column of two categories has one logit: p(1) = σ(a). A number has
    a mixture of M logistic distributions of y, a scale of x, discretised: p(x) is its mass on [x − δ, x + δ], where 2 δ
    is the distance of the column's numbers, and at least 2⁻¹² of its scale. With ``scale="levels"``, y is the logit of
    the column's distribution function, so that one standard logistic distribution is the column's own distribution,
    with its tails and frequent numbers. With "asinh", frequent numbers may be atoms of the mixture with weights of
    their own. Cells that are missing have no probability to predict, log p_f = 0. The parameters of all columns are one
    vector (P,): those of column f are ``parameters[:, module.slices[f]]``. The reconstruction is the most probable
    category, and for numbers the location of the component at the median.

    Examples
    --------
    >>> Columns(categories=(0, 7, 2), steps=(1.0, 0.0, 0.0)).build((3,)).out_shape((3,))
    (32,)
    """

    outputs_are_values = False
    categories: tuple[int, ...] | None = option(
        optional(SequenceOf(Integer(0, _MOST))),
        "number of categories of each column, 0 for numbers. None: all are numbers, or as the table has them",
        default=None,
    )
    steps: tuple[float, ...] | None = option(
        optional(SequenceOf(Real(0))),
        "distance of the numbers of each column; 0 for any numbers. None: any, or as the table has them",
        default=None,
    )
    atoms: tuple[tuple[float, ...], ...] | None = option(
        optional(SequenceOf(SequenceOf(Real()))),
        "frequent numbers of each column. None: there are none, or as the table has them",
        default=None,
    )
    components: int = option(Integer(1), "logistic distributions of each number", default=8)
    scale: str | None = option(
        optional(Choice("asinh", "levels")),
        "scale on which numbers have logistic distributions: asinh; or levels, the logit of the share of the training "
        "data up to x. None: asinh, or levels for a table",
        default=None,
    )

    def for_columns(
        self, categories: Sequence[int], steps: Sequence[float], atoms: Sequence[tuple[float, ...]]
    ) -> Self:
        """Return the settings for columns; those that are set stay. On the scale of levels there are no atoms."""
        return replace(
            self,
            atoms=tuple(atoms) if self.atoms is None and self.scale == "asinh" else self.atoms,
            categories=tuple(categories) if self.categories is None else self.categories,
            steps=tuple(steps) if self.steps is None else self.steps,
            scale="levels" if self.scale is None else self.scale,
        )

    def build(self, shape: tuple[int, ...]) -> LikelihoodModule:
        n = math.prod(shape)
        categories = (0,) * n if self.categories is None else self.categories
        steps = (0.0,) * n if self.steps is None else self.steps
        atoms = [(self.atoms or ((),))[f % len(self.atoms or ((),))] for f in range(n)]
        layout = np.resize(categories, n).tolist(), np.resize(steps, n).tolist(), atoms
        return ColumnsModule(shape, *layout, self.components, scale=self.scale or "asinh")


@dataclass(frozen=True)
class _Group:
    """Columns of one kind: their positions (C,), and those of their parameters (C · k,)."""

    columns: Tensor
    outputs: Tensor

    def of(self, parameters: Tensor) -> Tensor:
        """Return the parameters (n, C, k) of the columns."""
        chosen = parameters[:, self.outputs.to(parameters.device)]
        return chosen.reshape(len(parameters), len(self.columns), len(self.outputs) // len(self.columns))


class ColumnsModule(LikelihoodModule):
    """The likelihood of `Columns`.

    Attributes
    ----------
    columns : tuple of int
        The number of categories of each column; 0 for numbers.
    slices : tuple of slice
        The places of the parameters of each column.
    delta : Tensor of shape (n_columns,), float64
        δ of each column, in preprocessed units.
    atoms : Tensor of shape (n_columns, n_atoms), float64
        The frequent numbers of each column, in preprocessed units; `NO_ATOM` where a column has fewer.
    """

    needs_units = True
    delta: Tensor
    atoms: Tensor
    knots: Tensor
    levels: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        categories: list[int],
        steps: list[float],
        atoms: list[tuple[float, ...]],
        components: int,
        *,
        scale: str = "asinh",
    ) -> None:
        super().__init__()
        self.shape, self.columns, self.steps, self.components = shape, tuple(categories), steps, components
        n_atoms = max(map(len, atoms), default=0)
        self.frequent = np.array([[*one, *[NO_ATOM] * (n_atoms - len(one))] for one in atoms]).reshape(
            len(atoms), n_atoms
        )
        lengths = [(k if k > 2 else 1) if k else _PER_NUMBER * components + n_atoms for k in categories]
        ends = np.cumsum(lengths).tolist()
        self.slices = tuple(slice(end - length, end) for end, length in zip(ends, lengths, strict=True))
        self.n_outputs = ends[-1]
        if len(set(lengths)) == 1 and not any(categories):
            self.n_parameters = lengths[0]
        self.register_buffer("delta", torch.full((len(categories),), _FINEST, dtype=torch.float64))
        self.register_buffer("atoms", torch.from_numpy(self.frequent.copy()).double())
        self.numbers = self._group([f for f, k in enumerate(categories) if not k])
        self.pairs = self._group([f for f, k in enumerate(categories) if k in {1, 2}])
        self.has_levels = scale == "levels"
        if self.has_levels:
            for name in ("knots", "levels"):
                self.register_buffer(name, torch.zeros(len(self.numbers.columns), N_KNOTS, dtype=torch.float64))
        sizes = sorted({k for k in categories if k > 2})
        self.choices = [self._group([f for f, k in enumerate(categories) if k == size]) for size in sizes]

    def _mixture(self, like: Tensor) -> Mixture:
        """Return the mixtures of the columns of numbers, on the device and in the dtype of a tensor."""
        columns = self.numbers.columns.to(self.delta.device)
        scale: Scale = Asinh()
        if self.has_levels:
            scale = Levels(self.knots.to(like.device), self.levels.to(like.device))
        return Mixture(self.components, self.delta[columns].to(like), self.atoms[columns].to(like), scale)

    def _group(self, columns: list[int]) -> _Group:
        outputs = [place for f in columns for place in range(self.slices[f].start, self.slices[f].stop)]
        return _Group(*(torch.tensor(one, dtype=torch.long, device="cpu") for one in (columns, outputs)))

    def out_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (self.n_outputs,)

    def point_estimate(self, shape: tuple[int, ...]) -> PointEstimate:
        raise NotFreezableError(_NO_CODEC)

    def fit_units(self, offset: Tensor, unit: Tensor) -> None:
        wanted = torch.tensor(self.steps, dtype=torch.float64) / 2 / unit.flatten().cpu().clamp_min(1e-300)
        self.delta = wanted.clamp_min(_FINEST).to(self.delta.device)
        where = offset.flatten().cpu().unsqueeze(-1), unit.flatten().cpu().clamp_min(1e-300).unsqueeze(-1)
        frequent = torch.from_numpy(self.frequent)
        placed = torch.where(frequent == NO_ATOM, NO_ATOM, (frequent - where[0]) / where[1])
        self.atoms = placed.to(self.atoms.device)

    def resolution(self) -> Tensor:
        """Return 2 δ of each column, (n_columns,), in preprocessed units: what probabilities of numbers refer to."""
        return 2 * self.delta

    # ---------------------------------------------------------------------------------------------- probabilities

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        return self.log_prob_of_values(parameters, x).flatten(1).sum(1)

    def log_prob_of_values(self, parameters: Tensor, x: Tensor) -> Tensor:
        """Return log p of each column of records x (n, n_columns), in nats, shape (n, n_columns).

        It is 0 for missing cells. With the parameters of a decoder, minus this is how surprising each cell is.
        """
        flat, given = x.flatten(1), parameters.flatten(1)
        absent = is_absent(flat)
        known = flat.masked_fill(absent, 0.0)

        def of_numbers(group: _Group, of_group: Tensor) -> Tensor:
            return self._mixture(known).log_mass(of_group, known[:, group.columns])

        def of_pairs(group: _Group, of_group: Tensor) -> Tensor:
            value = known[:, group.columns].clamp(0, 1)
            return -functional.binary_cross_entropy_with_logits(of_group[..., 0], value, reduction="none")

        def of_choices(group: _Group, of_group: Tensor) -> Tensor:
            value = known[:, group.columns].round().long().clamp(0, of_group.shape[-1] - 1)
            return of_group.log_softmax(-1).gather(-1, value.unsqueeze(-1)).squeeze(-1)

        return self._joined(given, of_numbers, of_pairs, of_choices).masked_fill(absent, 0.0).reshape(x.shape)

    def is_probability_of(self, x: Tensor) -> bool:
        return True

    def mean(self, parameters: Tensor) -> Tensor:
        """Return the most probable categories and the medians of numbers, (n, *shape)."""
        return self._joined(
            parameters.flatten(1),
            lambda group, given: self._mixture(given).median(given),
            lambda group, given: (given[..., 0] > 0).to(given.dtype),
            lambda group, given: given.argmax(-1).to(given.dtype),
        ).reshape(-1, *self.shape)

    def parameters_of(self, mean: Tensor) -> Tensor:
        flat = mean.flatten(1) if mean.ndim > len(self.shape) else mean.reshape(1, -1)
        made = flat.new_zeros(len(flat), self.n_outputs)
        for group, find in self._kinds(
            lambda group, x: self._mixture(x).of_median(x),
            lambda group, x: (2 * x - 1).unsqueeze(-1),
            lambda group, x: functional.one_hot(x.round().long(), len(group.outputs) // len(group.columns)).to(x.dtype),
        ):
            made[:, group.outputs] = find(group, flat[:, group.columns]).flatten(1)
        return made if mean.ndim > len(self.shape) else made[0]

    def coordinates(self, parameters: Tensor) -> Tensor:
        """Return 2 √p of all categories, and the means of asinh x of numbers, (n, ...)."""
        given = parameters.flatten(1)
        parts = [self._mixture(given).mean_location(self.numbers.of(given))] if len(self.numbers.columns) else []
        if len(self.pairs.columns):
            one = self.pairs.of(given)[..., 0]
            parts += [2 * (0.5 * functional.logsigmoid(sign * one)).exp() for sign in (1, -1)]
        parts += [2 * (0.5 * group.of(given).log_softmax(-1)).exp().flatten(1) for group in self.choices]
        return torch.cat(parts, 1)

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        given = parameters.flatten(1)

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, generator=generator, dtype=given.dtype, device=given.device)

        def of_choices(group: _Group, scores: Tensor) -> Tensor:
            gumbel = -(-uniform(*scores.shape).clamp_min(torch.finfo(scores.dtype).tiny).log()).log()
            return (scores + gumbel).argmax(-1).to(scores.dtype)

        return self._joined(
            given,
            lambda group, of_group: self._mixture(given).sample(of_group, uniform(2, *of_group.shape[:-1])),
            lambda group, of_group: (uniform(*of_group.shape[:-1]) < torch.sigmoid(of_group[..., 0])).to(given.dtype),
            of_choices,
        ).reshape(-1, *self.shape)

    def fit_columns(self, x: Tensor) -> Levels | None:
        if not self.has_levels:
            return None
        device, flat = self.delta.device, x.flatten(1).double().cpu()
        for place, f in enumerate(self.numbers.columns.tolist()):
            known = flat[~is_absent(flat[:, f]), f]
            knots, levels = knots_of(known.numpy(), float(self.delta[f]))
            self.knots[place] = torch.from_numpy(knots).to(device)
            self.levels[place] = torch.from_numpy(levels).to(device)
        return Levels(self.knots, self.levels)

    def marginals(self, x: Tensor) -> Tensor:
        """Return the parameters (P,) of each column's own distribution over preprocessed records x (n, n_columns)."""
        flat, made = x.flatten(1), x.new_zeros(self.n_outputs)
        for f, k in enumerate(self.columns or ()):
            known = flat[~is_absent(flat[:, f]), f]
            if not k:
                place = int(torch.nonzero(self.numbers.columns == f))
                made[self.slices[f]] = self._mixture(known.cpu()).marginal(known.cpu(), place).to(made)
                continue
            shares = (torch.bincount(known.round().long(), minlength=k)[:k] + 1.0).log().to(x.dtype)
            made[self.slices[f]] = shares - shares.mean() if k > 2 else shares[-1] - shares[0]
        return made

    def _kinds(self, *functions: Callable[[_Group, Tensor], Tensor]) -> list[tuple[_Group, Callable[..., Tensor]]]:
        """Return all groups that have columns, with the function of their kind: numbers, pairs, choices."""
        of_numbers, of_pairs, of_choices = functions
        every = [(self.numbers, of_numbers), (self.pairs, of_pairs), *((one, of_choices) for one in self.choices)]
        return [(group, function) for group, function in every if len(group.columns)]

    def _joined(self, parameters: Tensor, *functions: Callable[[_Group, Tensor], Tensor]) -> Tensor:
        """Return the results (n, C) of functions of the parameters (n, C, k) of each group, as (n, n_columns)."""
        kinds = self._kinds(*functions)
        found = torch.cat([function(group, group.of(parameters)) for group, function in kinds], 1)
        order = torch.cat([group.columns for group, _ in kinds]).argsort()
        return found[:, order.to(found.device)]
