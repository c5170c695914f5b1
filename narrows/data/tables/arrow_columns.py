"""Columns of Arrow tables as whole numbers, categories and texts, and back.

What a column has is known from its type. Dates, times and numbers are whole numbers in the units of the type; floats
are decimals if they are all of few digits, and otherwise in the order of their bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from narrows.data.tables.cells import Cells
from narrows.data.tables.inference import MOST_CATEGORIES
from narrows.data.tables.rules import (
    CategoryRule,
    Encoded,
    FloatRule,
    NumberRule,
    Rule,
    TextRule,
    ordered,
    unordered,
)
from narrows.errors import DataError, InvalidParameterError
from narrows.records.columns import Ids, Numbers, Texts

__all__ = ["decode_column", "encode_column", "rule_of"]

_BOOLEANS = [b"false", b"true"]
_MOST_FLOAT_DIGITS = 9
_MOST_WRONG = 0.01
_EXACT = 1 << 53
_MOST_32 = (1 << 31) - 1
_LEAST_REPEATS, _FEW = 3, 64


def rule_of(name: str, column: Any, asked: str | None = None) -> Rule:
    """Return the rule of a column.

    Parameters
    ----------
    name : str
        Its name, for messages.
    column : pyarrow.Array
        Its values.
    asked : str, optional
        What it has, if it is not to be found.

    Raises
    ------
    DataError
        If its type holds no single numbers or texts.
    InvalidParameterError
        If its type is not one of what it is said to have.
    """
    import pyarrow as pa

    kind = column.type
    if asked is not None:
        return _as_asked(name, column, asked)
    if pa.types.is_dictionary(kind) and not _is_text(kind.value_type):
        raise DataError(
            f"The column {name!r} has categories of {kind.value_type}. Categories must be texts: convert it."
        )
    found = _word_rule(column) or _number_rule(column)
    if found is not None:
        return found
    raise DataError(
        f"The column {name!r} has the type {kind}. A table has numbers, booleans, dates, times, texts and categories: "
        "convert it, or leave it out."
    )


def _as_asked(name: str, column: Any, asked: str) -> Rule:
    """Return the rule of a column that is said to have something."""
    import pyarrow as pa

    rule, kind = rule_of(name, column), column.type
    if asked == rule.kind:
        return rule
    if asked == "float" and pa.types.is_floating(kind):
        return FloatRule(kind="float")
    if asked in {"text", "identifier"} and _is_text(kind):
        return TextRule(kind=asked)
    if asked == "category" and _is_text(kind):
        words = sorted(_bytes_of(column.unique().drop_null()))
        if len(words) <= MOST_CATEGORIES:
            return CategoryRule(kind="category", dictionary=words)
    raise InvalidParameterError(
        f"The column {name!r} has the type {kind}, and so the kind {rule.kind}. 'columns' (--columns) cannot make it "
        f"{asked}: convert it, or leave it out ({name}:skip)."
    )


def _word_rule(column: Any) -> Rule | None:
    """Return the rule of a column of categories or texts; None for others."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return CategoryRule(kind="category", dictionary=_bytes_of(column.dictionary))
    if pa.types.is_boolean(column.type):
        return CategoryRule(kind="boolean", dictionary=_BOOLEANS)
    return _text_rule(column) if _is_text(column.type) else None


def _number_rule(column: Any) -> Rule | None:
    """Return the rule of a column of numbers, dates or times; None for others."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_decimal(kind) and kind.precision <= 18 and kind.scale >= 0:
        return NumberRule(kind="decimal", digits=kind.scale, least=kind.scale)
    if pa.types.is_floating(kind) and kind.bit_width > 16:
        return _float_rule(column)
    found = "integer" if pa.types.is_null(kind) else _kind_of(kind)
    return None if found is None else NumberRule(kind=found)


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    is_one = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    is_view = getattr(pa.types, "is_string_view", None)
    return any(one(kind) for one in is_one) or bool(is_view and is_view(kind))


def _kind_of(kind: Any) -> str | None:
    """Return what a column of whole numbers has, by its type; None for others."""
    import pyarrow as pa

    if pa.types.is_integer(kind) or pa.types.is_duration(kind):
        return "integer"
    if pa.types.is_date32(kind) or pa.types.is_date64(kind):
        return "date"
    if pa.types.is_timestamp(kind):
        return "datetime"
    return "time" if pa.types.is_time(kind) else None


def _text_rule(column: Any) -> Rule:
    found = column.dictionary_encode()
    n, n_present = len(found.dictionary), len(column) - column.null_count
    if n <= MOST_CATEGORIES and (n <= _FEW or n * _LEAST_REPEATS <= n_present) and n < max(2, n_present):
        return CategoryRule(kind="category", dictionary=sorted(_bytes_of(found.dictionary)))
    return TextRule(kind="identifier" if n > n_present / 2 else "text")


def _float_rule(column: Any) -> Rule:
    present = column.drop_null().to_numpy(zero_copy_only=False)
    for digits in range(_MOST_FLOAT_DIGITS + 1):
        if np.count_nonzero(_decimals(present, digits)[1]) <= len(present) * _MOST_WRONG:
            return NumberRule(kind="decimal", digits=digits)
    return FloatRule(kind="float")


def _decimals(values: npt.NDArray[Any], digits: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return floats (n,) as whole numbers of units of 10^-digits, and which of them are not."""
    with np.errstate(all="ignore"):
        scaled = np.rint(values.astype(np.float64) * 10.0**digits)
        wrong = ~(np.abs(scaled) < _EXACT)
        whole = np.where(wrong, 0, scaled).astype(np.int64)
    back = (whole / 10.0**digits).astype(values.dtype)
    return whole, wrong | (back != values) | (np.signbit(values) & (whole == 0))


def _bytes_of(column: Any) -> list[bytes]:
    """Return texts as bytes, empty ones for those that are missing."""
    return [b"" if one is None else one if isinstance(one, bytes) else one.encode() for one in column.to_pylist()]


def _whole(rule: NumberRule, column: Any) -> npt.NDArray[np.int64]:
    """Return a column of whole numbers, decimals, dates or times as integers (n,), with 0 for missing ones."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_null(column.type):
        return np.zeros(len(column), np.int64)
    if pa.types.is_decimal(column.type):
        texts = Cells.of([text.encode() for text in column.cast(pa.string()).fill_null("0").to_pylist()])
        return rule.whole(texts)[0]
    width = {8: pa.int8(), 16: pa.int16(), 32: pa.int32(), 64: pa.int64()}[column.type.bit_width]
    is_unsigned = pa.types.is_unsigned_integer(column.type) and column.type.bit_width < 64
    whole = column if is_unsigned else column.view(width)
    found: npt.NDArray[np.int64] = pc.fill_null(whole, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


# ---------------------------------------------------------------------------------------------------------- encoding


def encode_column(rule: Rule, column: Any) -> Encoded:
    """Return the values of a `pyarrow.Array` as a column. Exceptions are floats, as their bytes."""
    import pyarrow as pa

    kind, nothing = column.type, np.empty(0, np.int64)
    missing = None
    if column.null_count or pa.types.is_null(kind):
        missing = column.is_null().to_numpy(zero_copy_only=False)
    if isinstance(rule, CategoryRule):
        return Encoded(Ids(_ids(rule, column), missing, len(rule.dictionary)), nothing, [])
    if isinstance(rule, TextRule):
        return Encoded(Texts(_bytes_of(column), missing), nothing, [])
    if isinstance(rule, FloatRule):
        return Encoded(Numbers(_ordered(_filled(column)), missing), nothing, [])
    assert isinstance(rule, NumberRule), "the column has numbers"
    if pa.types.is_floating(kind):
        return _encode_floats(rule, _filled(column), missing)
    return Encoded(Numbers(rule.coded(_whole(rule, column)), missing), nothing, [])


def _filled(column: Any) -> npt.NDArray[Any]:
    import pyarrow.compute as pc

    found: npt.NDArray[Any] = pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False)
    return found


def _encode_floats(rule: NumberRule, values: npt.NDArray[Any], missing: Any) -> Encoded:
    whole, wrong = _decimals(values, rule.digits)
    coded = rule.coded(whole)
    wrong |= np.abs(coded * rule.step + rule.start - whole) > rule.bound
    wrong = wrong if missing is None else wrong & ~missing
    rows = np.flatnonzero(wrong)
    both = wrong if missing is None else missing | wrong
    little = values.astype(values.dtype.newbyteorder("<"))
    texts = [little[row].tobytes() for row in rows.tolist()]
    return Encoded(Numbers(coded, both if both.any() else None), rows, texts)


def _ids(rule: CategoryRule, column: Any) -> npt.NDArray[np.int64]:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_boolean(column.type):
        ids = column.cast(pa.int8())
    elif pa.types.is_dictionary(column.type):
        ids = column.indices
    else:
        is_binary = pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)
        texts = column if is_binary else column.cast(pa.string())  # views have no cast to bytes
        ids = pc.index_in(texts.cast(pa.binary()), pa.array(rule.dictionary, pa.binary()))
    found: npt.NDArray[np.int64] = pc.fill_null(ids, 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _ordered(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return floats (n,) of 32 or 64 bits as integers in the same order."""
    if values.dtype.itemsize == 8:
        return ordered(values)
    bits = values.view(np.int32).astype(np.int64)
    return np.where(bits < 0, bits ^ _MOST_32, bits)


def _unordered(values: npt.NDArray[np.int64], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    if np.dtype(dtype).itemsize == 8:
        return unordered(values)
    return np.where(values < 0, values ^ _MOST_32, values).astype(np.int32).view(dtype)


# ---------------------------------------------------------------------------------------------------------- decoding


def decode_column(rule: Rule, kind: Any, one: Encoded) -> Any:
    """Return a column as a `pyarrow.Array` of a type."""
    import pyarrow as pa

    column, missing = one.column, one.column.missing
    if pa.types.is_null(kind):
        return pa.nulls(len(column.values))
    if isinstance(rule, CategoryRule):
        return _decode_ids(rule, kind, column)
    if isinstance(column, Texts):
        absent = np.zeros(len(column.values), bool) if missing is None else missing
        values = [None if is_absent else text for text, is_absent in zip(column.values, absent.tolist(), strict=True)]
        return pa.array(values, pa.large_binary()).cast(kind)
    assert isinstance(column, Numbers), "the column has numbers"
    if pa.types.is_floating(kind):
        return _decode_floats(rule, kind, one)
    assert isinstance(rule, NumberRule), "the column has whole numbers"
    whole = rule.numbers(column)
    if pa.types.is_decimal(kind):
        texts = [text.decode() for text in rule.written(whole).texts()]
        return pa.array(texts, pa.string(), mask=missing).cast(kind)
    dtype = {8: "i1", 16: "i2", 32: "i4", 64: "i8"}[kind.bit_width]
    narrow = whole if missing is None else np.where(missing, 0, whole)
    return pa.array(narrow.astype(dtype), mask=missing).view(kind)


def _decode_ids(rule: CategoryRule, kind: Any, column: Any) -> Any:
    import pyarrow as pa

    last = max(0, len(rule.dictionary) - 1)
    ids = np.clip(column.values, 0, last)
    if pa.types.is_boolean(kind):
        return pa.array(ids.astype(bool), mask=column.missing)
    if pa.types.is_dictionary(kind):
        words = pa.array(rule.dictionary, pa.large_binary()).cast(kind.value_type)
        indices = pa.array(ids, mask=column.missing).cast(kind.index_type)
        return pa.DictionaryArray.from_arrays(indices, words, ordered=kind.ordered)
    words = pa.array(rule.dictionary, pa.large_binary()).cast(kind)
    return words.take(pa.array(ids, mask=column.missing))


def _decode_floats(rule: Rule, kind: Any, one: Encoded) -> Any:
    import pyarrow as pa

    dtype = np.dtype(f"<f{kind.bit_width // 8}")
    column = one.column
    assert isinstance(column, Numbers), "the column has numbers"
    missing = None if column.missing is None else column.missing.copy()
    if isinstance(rule, NumberRule):
        values = (rule.numbers(column) / 10.0**rule.digits).astype(dtype)
    else:
        values = _unordered(column.values, dtype)
    for row, text in zip(one.rows.tolist(), one.texts, strict=True):
        values[row] = np.frombuffer(text, dtype, 1)[0]
        if missing is not None:
            missing[row] = False
    return pa.array(values, mask=missing, from_pandas=False)
