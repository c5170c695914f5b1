"""Entropy models: which frequency table codes which symbol."""

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

_KINDS: dict[str, type[EntropyModel]] = {kind.name: kind for kind in (Autoregressive, Context, Independent)}


def entropy_model(settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> EntropyModel:
    """Return the entropy model of `EntropyModel.to_tensors`.

    Raises
    ------
    ModelFileError
        There is no model of that name, or these are not its settings and arrays.
    """
    kind = _KINDS.get(str(settings.get("name")))
    if kind is None:
        raise ModelFileError(
            f"This narrows knows no entropy model {settings.get('name')!r}. It knows: {', '.join(sorted(_KINDS))}."
        )
    return kind.from_tensors(settings, tensors)
