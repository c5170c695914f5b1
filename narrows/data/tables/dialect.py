"""How a file of text holds a table: delimiter, quotes, line ends, and the names of the columns."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from narrows.data.csv_reader import MISSING
from narrows.errors import CorruptFileError, DataError, InvalidParameterError

__all__ = ["BOM", "Dialect", "sniff", "split_row"]

BOM = b"\xef\xbb\xbf"
_DELIMITERS = b",;\t|"
_ASCII = "".join(map(chr, range(32, 127)))
_HEAD = 1 << 18
_ROWS = 24  # that decide about the delimiter
_NUMBER = re.compile(rb"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "space": " ", "pipe": "|"}


@dataclass(frozen=True)
class Dialect:
    """How a file of text holds a table.

    Attributes
    ----------
    delimiter : int
        The byte between cells.
    quote : int
        The byte around cells that have delimiters or line ends inside; -1: none.
    has_returns : bool
        Whether rows end with CR LF; otherwise with LF.
    head : bytes
        What is before the first row: a byte order mark, and the line of names.
    tail : bytes
        Line ends after those of the last row.
    open_end : bool
        Whether the last row has no line end.
    encoding : str
        The encoding of texts, by which they are shown.
    names : tuple of str
        The names of the columns, all different.
    """

    delimiter: int
    quote: int
    has_returns: bool
    head: bytes
    tail: bytes
    open_end: bool
    encoding: str
    names: tuple[str, ...]

    @property
    def newline(self) -> bytes:
        """The end of a row."""
        return b"\r\n" if self.has_returns else b"\n"

    def shown(self, text: bytes) -> str:
        """Return a cell as a text, without its quotes."""
        return unquoted(text, self.quote).decode(self.encoding, "replace")

    def of(self, columns: Sequence[int]) -> Self:
        """Return the dialect of a file with some of the columns."""
        bom, newline = self.head[: len(BOM)] if self.head.startswith(BOM) else b"", self.newline
        head = bom
        if len(self.head) > len(bom):
            cells = split_row(self.head, len(bom), self)[0]
            end = newline if self.head.endswith(b"\n") else b""
            head += bytes([self.delimiter]).join(cells[column] for column in columns) + end
        return replace(self, head=head, names=tuple(self.names[column] for column in columns))

    def to_json(self) -> dict[str, Any]:
        """Return everything but the names as JSON values."""
        return {
            "delimiter": self.delimiter,
            "quote": self.quote,
            "returns": self.has_returns,
            "head": self.head.hex(),
            "tail": self.tail.hex(),
            "open_end": self.open_end,
            "encoding": self.encoding,
        }

    @classmethod
    def from_json(cls, values: dict[str, Any], names: tuple[str, ...]) -> Self:
        """Return the dialect of `to_json`; raises KeyError, TypeError or ValueError for other values."""
        "".encode(str(values["encoding"]))
        return cls(
            range(256)[int(values["delimiter"])],
            range(-1, 256)[int(values["quote"]) + 1],
            bool(values["returns"]),
            bytes.fromhex(values["head"]),
            bytes.fromhex(values["tail"]),
            bool(values["open_end"]),
            str(values["encoding"]),
            names,
        )


def unquoted(text: bytes, quote: int) -> bytes:
    """Return a cell without the quotes around it, and with single ones for doubled ones inside."""
    mark = bytes([quote]) if quote >= 0 else b""
    if mark and len(text) >= 2 and text.startswith(mark) and text.endswith(mark):
        return text[1:-1].replace(mark * 2, mark)
    return text


def split_row(data: bytes, start: int, dialect: Dialect) -> tuple[list[bytes], int]:
    """Return the cells of one row, and the place after it; raises ValueError if a quote is never closed."""
    cells, i = [], start
    stops = re.compile(b"[\n" + re.escape(bytes([dialect.delimiter])) + b"]")
    mark = bytes([dialect.quote]) if dialect.quote >= 0 else b""
    while True:
        at = i
        if mark and data[i : i + 1] == mark:
            at = data.find(mark, i + 1)
            while at >= 0 and data[at + 1 : at + 2] == mark:
                at = data.find(mark, at + 2)
            if at < 0:
                raise ValueError("a quote is never closed")
            at += 1
        found = stops.search(data, at)
        end = len(data) if found is None else found.start()
        cells.append(data[i:end])
        i = end + 1
        if found is None or found.group() == b"\n":
            if dialect.has_returns and found is not None:
                cells[-1] = cells[-1].removesuffix(b"\r")
            return cells, min(i, len(data))


def sniff(
    data: Any, source: str, *, delimiter: str | None = None, encoding: str | None = None, header: bool | None = None
) -> Dialect:
    """Return how a file holds a table.

    Parameters
    ----------
    data : memory-mapped file or bytes
        The file.
    source : str
        Its name in messages.
    delimiter, encoding : str, optional
        What they are; by default they are found.
    header : bool, optional
        Whether the first line has the names of the columns. By default it has, unless all its cells are numbers.

    Raises
    ------
    DataError
        If the file is empty.
    CorruptFileError
        If a quote of the first line is never closed, or lines end with CR alone.
    """
    head = bytes(data[:_HEAD])
    bom = BOM if head.startswith(BOM) else b""
    if not head[len(bom) :].strip(b"\r\n"):
        raise DataError(f"{source} is empty. A table needs a line of names, or rows.")
    first_line = head.split(b"\n", 1)[0]
    if b"\r" in head.strip(b"\r\n") and b"\n" not in head:
        raise CorruptFileError(f"The lines of {source} end with CR alone. Save it with LF or CR LF.")
    plain = Dialect(
        0, ord('"'), first_line.endswith(b"\r"), b"", b"", False, _checked(encoding) or _encoding(data, source), ()
    )
    if delimiter is not None:
        one = _WORDS.get(delimiter, delimiter).encode()
        if len(one) != 1 or one in b'\r\n"':
            raise InvalidParameterError(
                f"The 'delimiter' (--delimiter) must be one ASCII letter, or tab. Got {delimiter!r}."
            )
        plain = replace(plain, delimiter=one[0])
    else:
        plain = replace(plain, delimiter=_delimiter(head[len(bom) :], plain, is_whole=len(head) == len(data)))
    return _with_names(head, bom, plain, source, header, is_whole=len(head) == len(data))


def _with_names(
    head: bytes, bom: bytes, plain: Dialect, source: str, header: bool | None, *, is_whole: bool
) -> Dialect:
    """Return the dialect with the names of the columns."""
    try:
        cells, end = split_row(head, len(bom), plain)
    except ValueError:
        plain = replace(plain, quote=-1)
        cells, end = split_row(head, len(bom), plain)
    if end == len(head) and not is_whole:
        raise CorruptFileError(
            f"The first line of {source} is longer than {_HEAD:,} bytes, too long for names of columns."
        )
    if header is None:
        header = not all(_NUMBER.fullmatch(one) or one.decode("latin-1") in MISSING for one in cells)
    shown = [plain.shown(one).strip() for one in cells] if header else [str(i) for i in range(len(cells))]
    head = head[:end] if header else bom
    return replace(plain, head=head, names=tuple(_different(shown)))


def _different(names: list[str]) -> list[str]:
    """Return names of which the second of two equal ones has a number."""
    taken, found = set(names), dict[str, None]()
    for name in names:
        made, number = name, 2
        while made in found or (made != name and made in taken):
            made, number = f"{name}_{number}", number + 1
        found[made] = None
    return list(found)


def _delimiter(head: bytes, plain: Dialect, *, is_whole: bool) -> int:
    """Return the delimiter with which most of the first rows have the same number of cells, at least two."""
    scores = {}
    for letter in _DELIMITERS:
        one, at = replace(plain, delimiter=letter), 0
        counts: list[int] = []
        while at < len(head) and len(counts) < _ROWS:
            try:
                cells, end = split_row(head, at, one)
            except ValueError:
                break
            if end == len(head) and not is_whole and counts:
                break
            counts.append(len(cells))
            at = end
        most = counts[0] if counts else 1
        agreeing = sum(one == most for one in counts)
        scores[letter] = (agreeing / max(1, len(counts)), most) if most > 1 else (0.0, 1)
    return max(_DELIMITERS, key=scores.__getitem__)


def _checked(encoding: str | None) -> str | None:
    """Return an encoding whose ASCII letters are single bytes; None if none is given."""
    if encoding is None:
        return None
    try:
        if _ASCII.encode(encoding) == _ASCII.encode():
            return codecs.lookup(encoding).name
    except LookupError:
        pass
    raise InvalidParameterError(
        f"The 'encoding' (--encoding) must be one in which ASCII letters are single bytes, such as utf-8, latin-1 or "
        f"cp1252. Got {encoding!r}. Save the file in UTF-8."
    )


def _encoding(data: Any, source: str) -> str:
    """Return the encoding of texts: UTF-8 if a file is, otherwise Latin-1."""
    if bytes(data[:2]) in {b"\xff\xfe", b"\xfe\xff"}:
        raise CorruptFileError(f"{source} is in UTF-16. Save it in UTF-8.")
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), 1 << 24):
            decoder.decode(bytes(data[start : start + (1 << 24)]))
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8"
