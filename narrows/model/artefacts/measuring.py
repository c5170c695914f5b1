"""What is measured on the training records once a model is trained, and travels with it.

=========  =================  =============================================================
name       attribute          what it is for
=========  =================  =============================================================
``pca``      ``pca_``           PCA with as many components, to compare with
``density``  ``density_``       a density of the codes, to draw new records from
``codec``    ``integer_half_``  the decoder in whole numbers, to write archives with
=========  =================  =============================================================

A trained model is whole without them: what could not be measured is None, and ``unmeasured_`` says why. It can be
measured later, by `Autoencoder.measure`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from narrows.data import Source
from narrows.errors import DataError, NotMeasuredError, UnmeasuredWarning, levels_to_caller
from narrows.estimators.parameters import residual_of
from narrows.estimators.preparation import labelled
from narrows.estimators.selection import check_against_pca, value_scale
from narrows.model.artefacts.archive_codec import IntegerHalf
from narrows.model.artefacts.latent_density import CodeDensity
from narrows.model.artefacts.pca import PrincipalComponents
from narrows.numerics.threads import one_blas_thread, one_openmp_thread
from narrows.training import Records

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder

__all__ = [
    "NAMES",
    "TrainingRecords",
    "codec_error",
    "density_of",
    "integer_half_of",
    "measure",
    "measure_source",
    "missing",
    "missing_text",
    "pca_of",
    "unmeasured",
    "unmeasured_texts",
]

NAMES = {"pca": "PCA", "density": "density of codes", "codec": "archive codec"}
"""What each artefact is called in messages, in the order in which they are measured: the quickest first."""

_ATTRIBUTES = {"pca": "pca_", "density": "density_", "codec": "integer_half_"}
_HOW = "In Python, model.measure(X) measures what is missing, X being the training records."
_INTERRUPTED = "It was interrupted before this was measured."
_OVERFLOW = "The squares of its codes are not finite."
_OLD = (
    "The model was saved before models had a density of their codes, and it was not trained for a prior either. "
    "Train it again."
)


@dataclass(frozen=True)
class TrainingRecords:
    """The records that artefacts are measured on.

    Attributes
    ----------
    values : ndarray of shape (m, *shape)
        All records in their stored dtype.
    rows : ndarray of int, shape (n,), or None
        Which of them PCA is fitted to: all (None) but those that were held out by request.
    records : Records
        The records that the model was trained on, on its device. Those of a conditional model have their labels.
    unlabelled : Records
        The same without labels.
    """

    values: NDArray[Any]
    rows: NDArray[np.int64] | None
    records: Records
    unlabelled: Records


def unmeasured() -> dict[str, Any]:
    """Return the attributes of a model of which nothing is measured yet."""
    return {
        **dict.fromkeys(_ATTRIBUTES.values()),
        "unmeasured_": dict.fromkeys(NAMES, _INTERRUPTED),
    }


def missing(model: Autoencoder) -> list[str]:
    """Return the names of the artefacts that a model lacks."""
    return [name for name, attribute in _ATTRIBUTES.items() if getattr(model, attribute) is None]


def measure(model: Autoencoder, records: TrainingRecords, names: Iterable[str] = tuple(NAMES)) -> None:
    """Measure artefacts of a trained model, each by itself.

    Failures are reported in one `UnmeasuredWarning` at the end. Ctrl-C ends the measuring. An artefact that was not
    measured keeps its former value, or None.
    """
    reasons: dict[str, str] = {}
    names = tuple(names)
    for name in names:
        try:
            with one_openmp_thread(), one_blas_thread():
                value = _MEASURES[name](model, records, model.trained_on_["seed"])
        except Exception as error:  # whatever it is, the trained weights are worth more
            reasons[name] = f"{type(error).__name__}: {error}"
            if getattr(model, _ATTRIBUTES[name]) is None:
                model.unmeasured_[name] = reasons[name]
            continue
        setattr(model, _ATTRIBUTES[name], value)
        model.unmeasured_.pop(name, None)
        if name == "codec" and value.why_not is None:
            model.residual_ = None  # the codec has the network of residuals now
        if value is None:
            model.unmeasured_[name] = _OVERFLOW
    if reasons:
        said = [f"The {NAMES[name]} could not be measured. {_sentence(reason)}" for name, reason in reasons.items()]
        warnings.warn(
            " ".join([*said, "The trained model is whole without.", _HOW]),
            UnmeasuredWarning,
            stacklevel=levels_to_caller(),
        )
    # Last of all: where warnings are errors, the model has everything by now.
    if "pca" in names and not model.chain_.parts.n_classes:
        check_against_pca(model, records.unlabelled)


def measure_source(model: Autoencoder, source: Source, labels: NDArray[np.int64] | None, *, again: bool) -> None:
    """Measure the artefacts that a model lacks, or all of them, on the records that it was trained on.

    Raises
    ------
    DataError
        If the records have another dtype than those.
    """
    if source.dtype != model.dtype_:
        raise DataError(f"The model was trained on records of {model.dtype_}. Got {source.dtype}: convert them.")
    records = Records(source.values, model.chain_.device)
    measure(
        model,
        TrainingRecords(source.values, None, labelled(records, labels), records),
        NAMES if again else missing(model),
    )


def pca_of(model: Autoencoder) -> PrincipalComponents:
    """Return the PCA of the training records, or raise NotMeasuredError."""
    return model.pca_ if model.pca_ is not None else _raise(model, "pca")


def density_of(model: Autoencoder) -> CodeDensity:
    """Return the density of codes, or raise NotMeasuredError."""
    return model.density_ if model.density_ is not None else _raise(model, "density")


def integer_half_of(model: Autoencoder) -> IntegerHalf:
    """Return the integer half, or raise NotMeasuredError."""
    return model.integer_half_ if model.integer_half_ is not None else _raise(model, "codec")


def codec_error(model: Autoencoder) -> str | None:
    """Return why a model cannot write archives; None if it can."""
    return missing_text(model, "codec") if model.integer_half_ is None else model.integer_half_.why_not


def missing_text(model: Autoencoder, name: str) -> str:
    """Return which artefact a model lacks, why, and how to get it."""
    reason = model.unmeasured_.get(name, _OLD if name == "density" else "The model was saved without it.")
    return f"The model has no {NAMES[name]}. {_sentence(reason)} {_HOW}"


def unmeasured_texts(model: Autoencoder) -> tuple[str, ...]:
    """Return what could not be measured of a model, and why, in a few sentences for each."""
    return tuple(missing_text(model, name) for name in missing(model))


def _raise(model: Autoencoder, name: str) -> Any:
    raise NotMeasuredError(missing_text(model, name))


def _sentence(reason: str) -> str:
    return f"{reason.rstrip('.')}."


def _pca(model: Autoencoder, records: TrainingRecords, seed: int) -> PrincipalComponents:
    return PrincipalComponents.fit(
        records.values,
        model.chain_.bottleneck.n_numbers,
        seed,
        rows=records.rows,
        scale=value_scale(model.chain_),
    )


def _density(model: Autoencoder, records: TrainingRecords, seed: int) -> CodeDensity | None:
    return CodeDensity.of(model.chain_, records.records, seed)


def _codec(model: Autoencoder, records: TrainingRecords, seed: int) -> IntegerHalf:
    return IntegerHalf.freeze(model.chain_, records.unlabelled, model.range_, seed, _freeze_residual(model))


def _freeze_residual(model: Autoencoder) -> Callable[[torch.Tensor], Any] | None:
    """Return what makes the frozen network of residuals: of the trained one, or of the codec that holds it already."""
    part = residual_of(model.residual)
    if model.residual_ is not None and part is not None:
        return partial(part.freeze, model.residual_)
    held = model.integer_half_
    causal = None if held is None or held.why_not is not None else held.codec.causal
    return None if causal is None else lambda sample: causal


_MEASURES: dict[str, Callable[[Any, TrainingRecords, int], Any]] = {"pca": _pca, "density": _density, "codec": _codec}
