"""The archive's path in the messages of errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from narrows.archive.remedy import remedy
from narrows.errors import ArchiveError, CorruptArchiveError

__all__ = ["naming"]


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Add the archive's path to the messages of errors in the block."""
    try:
        yield
    except CorruptArchiveError as error:
        raise CorruptArchiveError(_sentence(path, "is damaged", error)) from error
    except ArchiveError as error:
        if type(error) is not ArchiveError:
            raise
        raise ArchiveError(_sentence(path, "cannot be used", error)) from error


def _sentence(path: str, what: str, error: ArchiveError) -> str:
    text = str(error)
    if text.endswith("."):  # a complete sentence, which may contain the path already
        return text if path in text else f"{path} {what}. {text}"
    advice = remedy(path) if isinstance(error, CorruptArchiveError) else ""
    return f"{path} {what}: {text}. {advice}".rstrip()
