"""Numbers, counts and shapes as text, for everything that people read: tables, reports and descriptions."""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Sequence

__all__ = [
    "LARGEST_IN_FULL",
    "count",
    "is_text",
    "number",
    "printable",
    "psnr_text",
    "shape_text",
    "shown_name",
    "times",
]

LARGEST_IN_FULL = 1e15
"""From this magnitude on numbers are in scientific notation, as those below 10^-4 are."""


def count(n: int, what: str) -> str:
    """Return a number and a noun, in the plural if needed.

    Examples
    --------
    >>> count(1, "epoch"), count(1200, "number")
    ('1 epoch', '1,200 numbers')
    """
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def number(value: float | None) -> str:
    """Return a number as text: whole numbers with all digits, others with four significant ones, None as a dash.

    Numbers from 10^15, and below 10^-4, are in scientific notation.

    Examples
    --------
    >>> number(10000), number(0.0076817), number(None)
    ('10,000', '0.007682', '-')
    >>> number(2e39), number(10**19), number(3.8e-200)
    ('2.000e+39', '1.000e+19', '3.800e-200')
    """
    if value is None:
        return "-"
    if math.isfinite(value) and abs(value) >= LARGEST_IN_FULL:
        return f"{value:.3e}"
    if isinstance(value, int):
        return f"{value:,}"
    if math.isfinite(value) and abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:#.4g}"


def shape_text(shape: Sequence[int]) -> str:
    """Return the shape of a record as text.

    Examples
    --------
    >>> shape_text((28, 28)), shape_text([64])
    ('28×28', '64')
    """
    return "×".join(str(size) for size in shape)


_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters except tab and newline, and those that reverse the direction of text or end its lines.

Also surrogates, which stand for the bytes of names that are not UTF-8.
"""


def printable(text: str, *, lines: bool = True, form: str = "") -> str:
    r"""Return a text with its control characters escaped, which can change what a terminal shows.

    Names of files may have any of them, and also bytes that are not text, which are escaped too.

    Parameters
    ----------
    text : str
        The text.
    lines : bool
        Whether it may have several lines; otherwise newlines are escaped as well.
    form : str
        Format of the number of an escaped character; by default as in Python.

    Examples
    --------
    >>> print(printable("a\x1b[2Jb.png"))
    a\x1b[2Jb.png
    """

    def escaped(match: re.Match[str]) -> str:
        return form.format(ord(match[0])) if form else match[0].encode("unicode_escape").decode()

    found = _CONTROLS.sub(escaped, text)
    return found if lines else found.replace("\n", "\\n")


def shown_name(name: str) -> str:
    r"""Return the name of a file in one line of printable characters; no two names look the same.

    Examples
    --------
    >>> print(shown_name("a.png"), shown_name("a\nb.png"), shown_name("b\udcff.png"), shown_name("a\\nb.png"))
    a.png a\nb.png b\udcff.png a\\nb.png
    """
    return printable(name.replace("\\", "\\\\").replace("\t", "\\t"), lines=False)


_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Control characters that texts do not have; terminals write escape, form feed and others into logs."""


def is_text(start: bytes) -> bool:
    r"""Return whether the first bytes of a file are those of a text in UTF-8; a character may be cut off at the end.

    Examples
    --------
    >>> is_text("10 × 10\n".encode()), is_text(b"\x93NUMPY"), is_text(b"PK\x03\x04")
    (True, False, False)
    """
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(start)
    except UnicodeDecodeError:
        return False
    return _NO_TEXT.search(text) is None


def psnr_text(psnr_db: float) -> str:
    """Return a PSNR as text; one without an error is infinite.

    Examples
    --------
    >>> psnr_text(20.5), psnr_text(math.inf)
    ('20.50 dB', 'no error')
    """
    return "no error" if psnr_db == math.inf else f"{number(psnr_db)} dB"


_MOST_TIMES = 1000


def times(ratio: float, *, of: str = "") -> str:
    """Return the ratio of two errors in words: "twice as large" needs no digits that nobody reads.

    Parameters
    ----------
    ratio : float
        The ratio.
    of : str
        What it is a ratio to.

    Examples
    --------
    >>> times(0.5, of="that of PCA"), times(1.0004, of="that of PCA")
    ('0.5 times that of PCA', 'equal to that of PCA')
    >>> times(1.32, of="it"), times(6.65e7, of="it"), times(math.inf, of="it")
    ('1.32 times it', 'more than 1,000 times it', 'more than 1,000 times it')
    >>> times(1e-9, of="it")
    'less than 0.001 times it'
    """
    if f"{ratio:.3g}" == "1":
        return f"equal to {of}"
    if ratio > _MOST_TIMES:
        return f"more than {_MOST_TIMES:,} times {of}"
    if ratio < 1 / _MOST_TIMES:
        return f"less than {1 / _MOST_TIMES:g} times {of}"
    return f"{float(f'{ratio:.3g}'):,g} times {of}"
