"""Corruption of tables: cells are taken away."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Generator, Tensor

from narrows.corruptions.contract import Corruption
from narrows.numerics.absent import ABSENT
from narrows.parts.options import Real, option

__all__ = ["Cells"]


class Cells(Corruption, name="cells"):
    """Cells of a table become missing, a random share of them that is different for each record.

    A record stays as it is with probability ``intact``. Otherwise each of its cells becomes missing with probability
    u · ``level``, where u ~ U(0, 1) is drawn for the record. The model so learns to predict any columns from any
    others (Uria, Murray and Larochelle 2014, "A deep and tractable density estimator").

    Examples
    --------
    >>> Cells(intact=0.5)
    Cells(intact=0.5)
    """

    needs_columns: ClassVar[bool] = True

    level: float = option(Real(0, 1), "largest share of the cells of a record that become missing", default=1.0)
    intact: float = option(Real(0, 1), "share of the records that stay as they are", default=0.2)

    def corrupt(self, x: Tensor, generator: Generator) -> Tensor:
        like = {"generator": generator, "dtype": x.dtype, "device": x.device}
        drawn = torch.rand((2, len(x), *[1] * (x.ndim - 1)), **like)  # type: ignore[call-overload]
        share = torch.where(drawn[0] < self.intact, 0.0, drawn[1] * self.level)
        uniform = torch.rand(x.shape, **like)  # type: ignore[call-overload]
        return torch.where(uniform < share, ABSENT, x)
