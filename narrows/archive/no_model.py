"""The codec of archives without a model: it knows shape and dtype, and has no code."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from narrows.archive.metadata import NO_MODEL, Metadata

__all__ = ["NoModel"]


class NoModel:
    """Stands for the codec of an archive of a field.

    Parameters
    ----------
    metadata : Metadata
        The archive's metadata.
    """

    digest, blob, n_symbols, qualities, causal, texts = NO_MODEL, b"", 1, (), None, None

    def __init__(self, metadata: Metadata) -> None:
        self.shape: tuple[int, ...] = metadata.record_shape
        self.dtype: np.dtype[Any] = metadata.dtype

    def decode(self, symbols: npt.NDArray[np.int32], quality: int) -> NoReturn:
        raise AssertionError("an archive without a model has no symbols")
