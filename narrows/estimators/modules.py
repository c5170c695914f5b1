"""A fitted model as PyTorch's modules: its device, its encoder and decoder."""

from __future__ import annotations

from typing import Self

import torch
from sklearn.utils.validation import check_is_fitted

from narrows.estimators.base import RecordsEstimator
from narrows.model.halves import DecoderHalf, EncoderHalf
from narrows.training.settings import find_device

__all__ = ["Modules", "Movable"]


class Movable(RecordsEstimator):
    """An estimator whose model can be moved to another device."""

    def to(self, device: str | torch.device) -> Self:
        """Move the model to a device, in place, and return the estimator.

        Everything is then computed there. The parameter ``training__device``, the device of `fit`, does not change.

        Parameters
        ----------
        device : str or torch.device
            "cpu", "cuda", "cuda:1" or "auto".

        Raises
        ------
        InvalidParameterError
            If there is no such device.
        """
        check_is_fitted(self)
        self.model_ = self.model_.to(find_device(device))
        return self


class Modules(Movable):
    """Encoder and decoder of a fitted autoencoder."""

    @property
    def encoder_(self) -> EncoderHalf:
        """Preprocessing, encoder and bottleneck as a module: from records in their own units to codes."""
        check_is_fitted(self)
        return self.model_.encoder

    @property
    def decoder_(self) -> DecoderHalf:
        """Decoder and inverse of the preprocessing as a module: from codes to records in their own units."""
        check_is_fitted(self)
        return self.model_.decoder
