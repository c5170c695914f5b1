"""The units and the largest numbers of columns of Arrow tables, for bounds on their errors."""

from __future__ import annotations

from typing import Any

from narrows.data.tables.rules import Rule, Stepped

__all__ = ["scale_of"]

_DAY = 86_400
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_LARGEST = 1 << 63


def scale_of(rule: Rule, kind: Any) -> tuple[float, int]:
    """Return the units of one, or of one second, in a column of a type, and the largest number that the type has.

    Where numbers near others are no values of the type, the largest is so small that no bound has room below it.
    """
    import pyarrow as pa

    units = rule.units if isinstance(rule, Stepped) else 1.0
    largest = -_LARGEST  # of whole days in milliseconds, and of numbers that do not fit 64 bits
    if pa.types.is_floating(kind) or pa.types.is_null(kind):
        largest = _LARGEST
    elif pa.types.is_decimal(kind):
        largest = 10**kind.precision - 1
    elif pa.types.is_date32(kind):
        units, largest = 1 / _DAY, (1 << 31) - 1
    elif pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        units, largest = float(_PER_SECOND[kind.unit]), _LARGEST - 1
    elif pa.types.is_time(kind):
        units, largest = float(_PER_SECOND[kind.unit]), _DAY * _PER_SECOND[kind.unit] - 1
    elif pa.types.is_integer(kind) and not kind.equals(pa.uint64()):
        largest = (1 << kind.bit_width - (not pa.types.is_unsigned_integer(kind))) - 1
    return units, largest
