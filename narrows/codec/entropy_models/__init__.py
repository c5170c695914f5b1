"""Entropy models: they choose the frequency table that codes each symbol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from narrows.codec.entropy_models.autoregressive import Autoregressive
from narrows.codec.entropy_models.context import Context
from narrows.codec.entropy_models.contract import Coded, EntropyModel
from narrows.codec.entropy_models.escapes import MAX_SYMBOL
from narrows.codec.entropy_models.independent import Independent
from narrows.codec.entropy_models.predictor import Predictor
from narrows.errors import ModelFileError

__all__ = [
    "MAX_SYMBOL",
    "Autoregressive",
    "Coded",
    "Context",
    "EntropyModel",
    "Independent",
    "Predictor",
    "entropy_model",
]


def entropy_model(settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> EntropyModel:
    """Return the entropy model of `EntropyModel.to_tensors`.

    Raises
    ------
    ModelFileError
        If there is no entropy model of that name, or its settings or arrays are invalid.
    """
    kind = EntropyModel.registry.get(str(settings.get("name")))
    if kind is None:
        raise ModelFileError(
            f"The entropy model must be one of {', '.join(sorted(EntropyModel.registry))}. "
            f"Got {settings.get('name')!r}. A newer version of narrows may have more."
        )
    return kind.from_tensors(settings, tensors)
