"""Missing values of records, which have the fill value in their place."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn

from narrows.numerics.floats import wide
from narrows.preprocessing.moments import Moments

__all__ = ["Missing"]


class Missing(nn.Module):
    """Finds missing values, and replaces them by neutral values after preprocessing.

    Parameters
    ----------
    fill_value : float
        The value of records that stands for missing values; may be NaN.
    shape : tuple of int
        Shape of a record.

    Attributes
    ----------
    neutral : Tensor of shape ``shape``, float64
        The means of preprocessed values that are not missing. Where all training values are missing, it is the mean of
        the others.
    share : Tensor of shape (), float64
        The share of training values that are not missing.
    """

    neutral: Tensor
    share: Tensor

    def __init__(self, fill_value: float, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.fill_value = fill_value
        self.register_buffer("neutral", torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("share", torch.ones((), dtype=torch.float64))

    def places(self, records: Tensor) -> Tensor:
        """Return where values of records (n, *shape), in their stored dtype, are missing."""
        if not records.is_floating_point():
            return wide(records) == self.fill_value
        if math.isnan(self.fill_value):
            return records.isnan()
        return records == torch.tensor(self.fill_value, dtype=torch.float64).to(records.dtype).to(records.device)

    def fit(self, batches: Callable[[], Iterable[Tensor]]) -> None:
        """Learn the neutral values from preprocessed training records, whose missing values are NaN."""
        n_records = 0

        def counted() -> Iterator[Tensor]:
            nonlocal n_records
            for batch in batches():
                n_records += len(batch)
                yield batch

        moments = Moments.of(counted, per_value=True)
        n = torch.as_tensor(moments.n, dtype=torch.float64, device=moments.mean.device).expand(moments.mean.shape)
        overall = (moments.mean * (n / n.sum().clamp_min(1.0))).sum()
        self.neutral = moments.mean.where(n > 0, overall)
        self.share = (n.mean() / n_records).clamp_min(1.0 / n_records)

    def filled(self, x: Tensor, places: Tensor) -> Tensor:
        """Return preprocessed records x (n, *shape) with neutral values where values are missing."""
        return torch.where(places, self.neutral.to(x.dtype), x)
