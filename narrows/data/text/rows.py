"""What a file of texts needs besides their records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["TextRows"]


@dataclass(frozen=True, eq=False)
class TextRows:
    """What belongs to some texts.

    Attributes
    ----------
    counts : sequence of int
        The number of records of each text.
    origin : dict
        The format that the texts were read from; see `Texts`.
    """

    counts: Sequence[int] | npt.NDArray[np.int64]
    origin: dict[str, Any] = field(default_factory=dict)
