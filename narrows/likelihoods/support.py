"""Checks that records are inside a likelihood's support, with messages for those that are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from narrows.errors import InvalidParameterError
from narrows.likelihoods.contract import LikelihoodModule

__all__ = ["check_settings", "check_supports", "why_unsupported"]


def check_settings(likelihood: LikelihoodModule, parts: Any, shape: tuple[int, ...], *, is_affine: bool) -> None:
    """Check that a likelihood goes together with the other parts of a chain.

    Parameters
    ----------
    likelihood : LikelihoodModule
    parts : narrows.chain.Parts
        All parts.
    shape : tuple of int
        Shape of a record.
    is_affine : bool
        Whether the preprocessing is.

    Raises
    ------
    InvalidParameterError
        If it does not.
    """
    name = getattr(parts.likelihood, "name", type(parts.likelihood).__name__)  # those of users may have none
    if parts.corruption is not None and parts.corruption.needs_columns and likelihood.columns is None:
        raise InvalidParameterError(
            f"The corruption 'cells' is for rows of tables, with the likelihood 'columns'. Got '{name}'. "
            "Set another corruption, or record='columns'."
        )
    if likelihood.needs_units and not is_affine:
        raise InvalidParameterError(
            f"The '{name}' likelihood needs affine preprocessing. "
            "Set preprocessing='unit-scale', or another likelihood."
        )
    if parts.fill_value is not None and not likelihood.takes_missing:
        raise InvalidParameterError(
            f"The likelihood '{name}' does not support a 'fill_value', since it defines no "
            "probability of single values (log_prob_of_values). Use likelihood='normal', or fill_value=None."
        )
    if not parts.network.linear_path:
        return
    estimate = None if likelihood.columns is not None else likelihood.point_estimate(shape)
    if estimate is None or (estimate.activation, estimate.lengths) != ("identity", None):
        raise InvalidParameterError(
            f"A linear path needs a likelihood whose mean is the decoder's output. Got '{name}': "
            "set likelihood='normal', or linear_path=False."
        )


def why_unsupported(
    likelihood: LikelihoodModule, name: str, x: Tensor, inverse: Callable[[Tensor], Tensor]
) -> str | None:
    """Return why records are outside a likelihood's support, for an error; None if they are inside.

    Parameters
    ----------
    likelihood : LikelihoodModule
        The likelihood.
    name : str
        Its name.
    x : Tensor of shape (n, *shape)
        Preprocessed records.
    inverse : callable
        Converts preprocessed values to the units of the records.
    """
    is_supported = likelihood.is_supported(x)
    if bool(is_supported.all()):
        return None
    if likelihood.needs_units:
        first = inverse(x.double())[~is_supported][0]
        return (
            f"The '{name}' likelihood needs {likelihood.domain}. Got {float(first):g}. Convert the records, "
            "or train with another likelihood."
        )
    low, high = likelihood.support
    return (
        f"The '{name}' likelihood is not defined for preprocessed values outside [{low:g}, {high:g}]. "
        f"Got {float(x.min()):g} to {float(x.max()):g}: beyond the range of the training data. Convert the records "
        "to the same units and range, or train with another likelihood."
    )


def check_supports(likelihood: LikelihoodModule, name: str, low: Tensor, high: Tensor) -> None:
    """Check the smallest and largest preprocessed values of the training records.

    Raises
    ------
    InvalidParameterError
        If the likelihood of this name is not defined for them.
    """
    if bool((likelihood.is_supported(low) & likelihood.is_supported(high)).all()):
        return
    raise InvalidParameterError(
        f"The '{name}' likelihood needs {likelihood.domain}. Got {float(low.min()):g} to {float(high.max()):g}. "
        "Set preprocessing='unit-scale', or another likelihood."
    )
