"""What reading of damaged models raises, as one kind of error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from narrows.errors import ModelFileError, NarrowsError

__all__ = ["naming_damage"]

_DAMAGE = (
    SafetensorError,
    AttributeError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


@contextmanager
def naming_damage() -> Iterator[None]:
    """Convert every exception that a damaged blob causes in the block to a ModelFileError."""
    try:
        yield
    except ModelFileError:
        raise
    except (*_DAMAGE, NarrowsError) as error:
        raise ModelFileError(f"The frozen decoder is damaged: {error}.") from error
