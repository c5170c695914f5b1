"""What an archive has of a table besides its rows: columns with their rules, dictionaries, and the coder of rows.

::

    length u32 · the description, JSON by zstd
    length u32 · number of texts u32 · number of their bytes u32 · kind u8 · the texts of all dictionaries
    the coder of rows
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import zstandard

from narrows.codec.columns.model import ColumnsModel
from narrows.codec.text.frozen import MOST_SAMPLE, FrozenBytes
from narrows.data.tables.arrow_table import ArrowForm
from narrows.data.tables.csv_table import CsvForm
from narrows.data.tables.form import Facts, Form
from narrows.data.tables.moments import MomentRule
from narrows.data.tables.rules import CategoryRule, Rule
from narrows.errors import ArchiveError, CorruptArchiveError
from narrows.records.columns import Column

__all__ = ["TableModel", "dictionary_of"]

_READ = (ArrowForm, CsvForm, MomentRule)  # their modules register forms and rules
_LENGTH, _TEXTS = struct.Struct("<I"), struct.Struct("<IIIB")
_ZSTD, _MODELLED = 0, 1
_MOST_DESCRIPTION, _MOST_TEXTS = 64 << 20, 1 << 28
_MODELLED_BYTES = 4 << 20  # of dictionaries that the model of bytes codes: more would take seconds
_BITS = 20


@dataclass(frozen=True, eq=False)
class TableModel:
    """What an archive has of a table besides its rows.

    Attributes
    ----------
    form : Form
        The columns with their rules.
    coder : ColumnsModel
        Codes groups of rows.
    facts : list of Facts
        For each column.
    about : dict
        What the table was, for people, as JSON values.
    order : tuple of int or None
        For each column of the coder, that of the rows; None: they are in the same order.
    learned : TableModel or None
        The model as it was learned, if this one is for another file.
    """

    form: Form
    coder: ColumnsModel
    facts: list[Facts]
    about: dict[str, Any]
    order: tuple[int, ...] | None = None
    learned: TableModel | None = None

    def encode(self, columns: Sequence[Column]) -> bytes:
        """Return some rows, in the order of the columns of their file, as bytes."""
        return self.coder.encode(list(columns) if self.order is None else [columns[place] for place in self.order])

    def decode(self, data: bytes, n_rows: int) -> list[Column]:
        """Return the columns of rows, in the order of their file; raises CorruptArchiveError for damaged bytes."""
        found = self.coder.decode(data, n_rows)
        if len(found) != len(self.form.rules):
            raise CorruptArchiveError("the number of columns is wrong")
        columns = found if self.order is None else [found[number] for number in np.argsort(self.order)]
        if not all(isinstance(column, rule.holds) for column, rule in zip(columns, self.form.rules, strict=True)):
            raise CorruptArchiveError("a column has other values than its description says")
        return columns

    def of_file(self, file: dict[str, Any], order: Sequence[int]) -> TableModel:
        """Return the model for another file, whose columns are in another order.

        Parameters
        ----------
        file : dict
            The `Form.to_json` of the file.
        order : sequence of int
            For each column of this model, that of the file.

        Raises
        ------
        CorruptArchiveError
            If they do not fit the model.
        """
        try:
            if sorted(order) != list(range(len(self.form.rules))):
                raise ValueError("the order of its columns is wrong")
            back = np.argsort(order).tolist()
            names, rules = ([values[number] for number in back] for values in (self.form.names, self.form.rules))
            form = type(self.form).from_json(file, tuple(map(str, names)), tuple(rules))
        except (LookupError, TypeError, ValueError) as error:
            raise CorruptArchiveError(f"the file of its table cannot be read: {error}") from error
        return replace(self, form=form, facts=[self.facts[number] for number in back], order=tuple(order), learned=self)

    @cached_property
    def blob(self) -> bytes:
        """The model as bytes, as it was learned."""
        if self.learned is not None:
            return self.learned.blob
        described = {
            "form": self.form.entry,
            "file": self.form.to_json(),
            "names": list(self.form.names),
            "columns": [rule.to_json() | {"categories": len(dictionary_of(rule))} for rule in self.form.rules],
            "facts": [one.to_json() for one in self.facts],
            "about": self.about,
        }
        text = json.dumps(described, separators=(",", ":"), sort_keys=True).encode()
        packed = zstandard.ZstdCompressor(level=19).compress(text)
        return _LENGTH.pack(len(packed)) + packed + self.dictionaries + self.coder.to_bytes()

    @cached_property
    def dictionaries(self) -> bytes:
        """The texts of all dictionaries, as bytes."""
        if self.learned is not None:
            return self.learned.dictionaries
        texts = [text for rule in self.form.rules for text in dictionary_of(rule)]
        return _pack_texts(texts)

    @property
    def digest(self) -> str:
        """SHA-256 of `blob`, in hexadecimal."""
        return hashlib.sha256(self.blob).hexdigest()

    @classmethod
    def from_bytes(cls, blob: bytes) -> Self:
        """Return the model of `blob`.

        Raises
        ------
        CorruptArchiveError
            If it cannot be read.
        ArchiveError
            If the table has a form that this version does not know.
        """
        try:
            described, at = _description(blob)
            texts, at = _read_texts(blob, at)
            names, columns = tuple(map(str, described["names"])), described["columns"]
            rules = tuple(_rules(columns, texts))
            facts = [Facts.from_json(one) for one in described["facts"]]
            kind = Form.registry.get(described["form"])
            if kind is None:
                raise ArchiveError(
                    f"its table has the form {described['form']!r:.40}, which this version of narrows does not "
                    "support. Upgrade narrows"
                )
            if not len(names) == len(set(names)) == len(rules) == len(facts) > 0:
                raise ValueError("the numbers of names and columns are not the same")
            form = kind.from_json(described["file"], names, rules)
            return cls(form, ColumnsModel.from_bytes(blob[at:]), facts, dict(described["about"]))
        except (CorruptArchiveError, ArchiveError):
            raise
        except (ArithmeticError, LookupError, TypeError, ValueError, struct.error, zstandard.ZstdError) as error:
            raise CorruptArchiveError(f"the description of its table cannot be read: {error}") from error


def dictionary_of(rule: Rule) -> list[bytes]:
    """Return the categories of a column; none if it has others."""
    return rule.dictionary if isinstance(rule, CategoryRule) else []


def _description(blob: bytes) -> tuple[dict[str, Any], int]:
    """Return the description, and the place after it."""
    (n,) = _LENGTH.unpack_from(blob)
    packed = blob[_LENGTH.size : _LENGTH.size + n]
    text = zstandard.ZstdDecompressor().decompress(packed, max_output_size=_MOST_DESCRIPTION)
    if len(text) > _MOST_DESCRIPTION:
        raise ValueError("it is too long")
    return json.loads(text), _LENGTH.size + n


def _rules(columns: list[dict[str, Any]], texts: list[bytes]) -> list[Rule]:
    made, at = [], 0
    for values in columns:
        n = int(values["categories"])
        if not 0 <= n <= len(texts) - at:
            raise ValueError("categories are missing")
        made.append(Rule.from_json(values, texts[at : at + n]))
        at += n
    return made


def _pack_texts(texts: list[bytes]) -> bytes:
    """Return texts as bytes, coded by zstd or by the model of bytes, whichever takes fewer."""
    lengths = np.array([len(text) for text in texts], "<u4").tobytes()
    packed, kind = zstandard.ZstdCompressor(level=19).compress(lengths + b"".join(texts)), _ZSTD
    n_bytes = sum(map(len, texts))
    if 0 < n_bytes + len(texts) <= min(_MODELLED_BYTES, MOST_SAMPLE):
        model = FrozenBytes.of(texts, most_bits=_BITS)
        if 1 + len(model.coded) < len(packed):
            packed, kind = bytes([model.bits]) + model.coded, _MODELLED
    return _TEXTS.pack(len(packed), len(texts), n_bytes, kind) + packed


def _read_texts(blob: bytes, at: int) -> tuple[list[bytes], int]:
    """Return the texts of `_pack_texts`, and the place after them."""
    n, n_texts, n_bytes, kind = _TEXTS.unpack_from(blob, at)
    at += _TEXTS.size
    packed = blob[at : at + n]
    if len(packed) != n or n_texts * 4 + n_bytes > _MOST_TEXTS:
        raise ValueError("the dictionaries are too long")
    if kind == _MODELLED:
        found = FrozenBytes(packed[1:], n_bytes, n_texts, packed[0]).sample()
        return found, at + n
    if kind != _ZSTD:
        raise ValueError("the dictionaries are coded in an unknown way")
    data = zstandard.ZstdDecompressor().decompress(packed, max_output_size=max(1, 4 * n_texts + n_bytes))
    ends = np.cumsum(np.frombuffer(data, "<u4", n_texts).astype(np.int64)) + 4 * n_texts
    if len(data) != 4 * n_texts + n_bytes or (n_texts and ends[-1] != len(data)):
        raise ValueError("the dictionaries have another length")
    starts = [4 * n_texts, *ends[:-1].tolist()]
    return [data[start:end] for start, end in zip(starts, ends.tolist(), strict=False)], at + n
