"""Values of options as they are typed on the command line."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["parse_value"]

_WORDS = {"none": None, "true": True, "false": False}


def parse_value(text: str) -> Any:
    """Return the value of a text: JSON, otherwise a sequence if it contains commas, otherwise the text itself.

    An empty text is the empty sequence, as in ``network__widths=``.

    Examples
    --------
    >>> parse_value("0.1"), parse_value("512,256"), parse_value("unit-scale,mean-removal"), parse_value("none")
    (0.1, (512, 256), ('unit-scale', 'mean-removal'), None)
    """
    text = text.strip()
    if not text:
        return ()
    try:
        return _as_tuples(json.loads(text))
    except ValueError:
        pass
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if "," in text and not text.startswith(("[", "{", '"')):
        return tuple(parse_value(part) for part in text.split(",") if part.strip())
    try:
        return float(text)  # .5 and 1. are not JSON
    except ValueError:
        return text


def _as_tuples(value: Any) -> Any:
    return tuple(_as_tuples(one) for one in value) if isinstance(value, list) else value
