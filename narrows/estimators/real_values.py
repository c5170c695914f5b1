"""Parts for real-valued data, where a recipe has parts for values in [0, 1]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from narrows.chain import Parts
from narrows.data.columns import Columns
from narrows.likelihoods import Normal
from narrows.parts.options import Choice, check
from narrows.preprocessing import MeanRemoval, Preprocessing, Standardise, UnitScale
from narrows.records import Image, Schema, Series

__all__ = ["standardising", "suited", "unit_scaling"]

_UNIT_OUTPUTS = ("sigmoid", "soft-clip")
_ONE_RANGE = 10.0  # columns of one kind share a range if it is at most this multiple of the widest column's own


def suited(parts: Parts, real_values: str, schema: Schema, columns: Columns) -> Parts:
    """Return parts, changed for real numbers if the data are such and ``real_values`` is not "as-given".

    With "standardise", the preprocessing standardises. The normal likelihood with a learned scale replaces a Bernoulli
    likelihood. Neither the output of the decoder nor corrupted values are limited to [0, 1]. With "unit-scale", only
    the preprocessing of tables changes, see `unit_scaling`.

    Raises
    ------
    InvalidParameterError
        If ``real_values`` has a value that is not allowed.
    """
    check("Autoencoder", "real_values", real_values, Choice("as-given", "standardise", "unit-scale"))
    if real_values == "as-given" or not _are_real(schema, columns):
        return parts
    if real_values == "unit-scale":
        return replace(parts, preprocessing=unit_scaling(parts.preprocessing, schema, columns))
    network, corruption = parts.network, parts.corruption
    if getattr(network, "output_activation", None) in _UNIT_OUTPUTS:
        network = network.clone().set_params(output_activation="identity")
    if corruption is not None and getattr(corruption, "clip", False):
        corruption = corruption.clone().set_params(clip=False)
    return replace(
        parts,
        preprocessing=standardising(schema, columns),
        network=network,
        likelihood=Normal(scale="learned") if parts.likelihood.name == "bernoulli" else parts.likelihood,
        corruption=corruption,
    )


def standardising(schema: Schema, columns: Columns) -> tuple[Preprocessing, ...]:
    """Return the preprocessing that standardises values by one scale if they are of one kind, or each by its own."""
    if _has_one_unit(schema):
        return (Standardise(per_value=False),)
    if columns.are_of_one_kind:
        return (MeanRemoval(), Standardise(per_value=False))
    return (Standardise(per_value=True),)  # each column has its own unit


def unit_scaling(given: tuple[Preprocessing, ...], schema: Schema, columns: Columns) -> tuple[Preprocessing, ...]:
    """Return the preprocessing that scales real numbers to [0, 1] such that every column of a table counts.

    The given preprocessing, with one range for all values, is kept where that range suits all columns. Columns of
    different units get a range each. The means of other columns are removed where some are constant, or where the
    means make most of the range.
    """
    if _has_one_unit(schema):
        return given
    if not columns.are_of_one_kind:
        return (UnitScale(per_value=True),)
    whole, widest = columns.high.max() / 2 - columns.low.min() / 2, (columns.high / 2 - columns.low / 2).max()
    if columns.deviation.all() and whole <= _ONE_RANGE * widest:
        return given
    return (MeanRemoval(), UnitScale())


def _has_one_unit(schema: Schema) -> bool:
    """Return whether all values have one unit, as those of an image or a field; channels of series may have others."""
    return len(schema.shape) > 1 and not isinstance(schema, Series)


def _are_real(schema: Schema, columns: Columns) -> bool:
    """Return whether values are real numbers, and not levels between two bounds that all columns share.

    Levels are booleans, bytes, values in [0, 1], images of whole numbers from 0 on, and columns with the same bounds
    that reach these, as pixels do. A single column always reaches its bounds.
    """
    if schema.dtype in (np.bool_, np.uint8):
        return False
    if columns.low.min() >= 0 and (columns.high.max() <= 1 or (isinstance(schema, Image) and columns.whole.all())):
        return False
    return columns.low.size == 1 or not columns.are_bounded
