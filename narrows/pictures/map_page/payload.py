"""What a page shows: one JSON object, and arrays and files as base64 in elements of their own."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Payload"]


class Payload:
    """Collects arrays and facts, and writes them as elements of a page."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.facts: dict[str, Any] = {}

    def add(self, name: str, value: bytes | NDArray[Any]) -> str:
        """Add bytes, or an array as its little-endian bytes, and return the name."""
        if isinstance(value, np.ndarray):
            value = np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes()
        self.blobs[name] = value
        return name

    def elements(self) -> str:
        """Return the elements, whose content no browser runs or shows."""
        facts = json.dumps(self.facts, allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")
        lines = [f'<script type="application/json" id="facts">{facts}</script>']
        lines += [
            f'<script type="text/plain" id="blob-{name}">{base64.b64encode(blob).decode("ascii")}</script>'
            for name, blob in self.blobs.items()
        ]
        return "\n".join(lines)
