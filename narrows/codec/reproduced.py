"""Which codecs have reproduced their golden vectors in this process, and with which backend."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from narrows.codec.kernels import kernels_used

__all__ = ["reproducing_backend"]

_MOST = 1 << 10
_REPRODUCED: dict[tuple[str, int, str], str] = {}  # by digest, quality and kernels


def reproducing_backend(
    digest: str | None, quality: int, backends: Iterable[str], is_right: Callable[[str], bool]
) -> str | None:
    """Return the first backend that reproduces the golden vectors of a codec; None if none does.

    Parameters
    ----------
    digest : str or None
        SHA-256 of the bytes of the codec, for which the result is kept; None for a codec that was not read from bytes.
    quality : int
        The quality of the golden vectors.
    backends : iterable of str
        The backends to try.
    is_right : callable
        Replays the golden vectors with a backend, and returns whether they are the expected ones.
    """
    key = None if digest is None else (digest, quality, kernels_used())
    found = None if key is None else _REPRODUCED.get(key)
    if found is None:
        found = next((backend for backend in backends if is_right(backend)), None)
    if found is not None and key is not None:
        if len(_REPRODUCED) >= _MOST:
            _REPRODUCED.clear()
        _REPRODUCED[key] = found
    return found
