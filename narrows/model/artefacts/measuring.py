"""Measures the artefacts of a trained model, which works without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from narrows.errors import NotMeasuredError, UnmeasuredWarning, warn
from narrows.model.artefacts import Artefact, TrainingRecords
from narrows.model.artefacts.pending import Pending
from narrows.model.fitted import HOW_TO_MEASURE, FittedModel
from narrows.numerics.surroundings import usual_settings
from narrows.numerics.threads import one_blas_thread, one_openmp_thread

__all__ = ["INTERRUPTED", "NOT_ASKED_FOR", "complete", "measure"]

INTERRUPTED = "The measurement was interrupted."
NOT_ASKED_FOR = "It was not requested."


def measure(
    model: FittedModel, records: TrainingRecords, names: Iterable[str], *, at_once: bool = False
) -> Iterator[FittedModel]:
    """Measure artefacts of a trained model one after the other, and yield the model after each.

    Artefacts that take long are only prepared, and measured at first use, unless ``at_once`` is set. If one fails, its
    previous value is kept and the others are measured. One `UnmeasuredWarning` reports all failures.
    """
    reasons: dict[str, str] = {}
    names = tuple(name for name in names if Artefact.registry[name].applies(model))
    for kind in (Artefact.registry[name] for name in Artefact.registry if name in names):
        try:
            with usual_settings(), one_openmp_thread(), one_blas_thread():
                later = None if at_once else kind.prepare(model, records)
                measured = kind.measure(model, records) if later is None else None
        except NotMeasuredError as error:  # the artefact is impossible for this model
            model = model.without_artefact(kind.name, str(error))
        except Exception as error:  # a failure must not lose the trained weights
            reasons[kind.name] = f"{type(error).__name__}: {error}"
            if not model.has(kind.name):
                model = model.without_artefact(kind.name, reasons[kind.name])
        else:
            if later is not None:
                model = model.with_pending(kind.name, Pending(later))
            elif measured is not None:
                model = measured.attach(model)
        yield model
    _warn_of(reasons)
    # These checks come last, since they may raise an error if warnings are errors.
    for name in names:
        if name in model.artefacts:
            with usual_settings():
                model.artefacts[name].check(model, records)


def complete(model: FittedModel) -> Iterator[FittedModel]:
    """Measure the artefacts that are only prepared one after the other, and yield the model after each.

    Those whose weights were changed since stay as they are. One `UnmeasuredWarning` reports all failures.
    """
    reasons: dict[str, str] = {}
    stale = model.stale
    for name, pending in model.pending.items():
        if name in stale:
            continue
        try:
            model = pending.result().attach(model)
        except NotMeasuredError as error:
            reasons[name] = str(error)
            model = model.without_artefact(name, reasons[name])
        yield model
    _warn_of(reasons)


def _warn_of(reasons: Mapping[str, str]) -> None:
    """Warn of artefacts that could not be measured, given the reason for each."""
    if reasons:
        failures = [
            f"The {Artefact.registry[name].title} could not be measured. {reason.rstrip('.')}."
            for name, reason in reasons.items()
        ]
        message = " ".join([*failures, "The trained model works without it.", HOW_TO_MEASURE])
        warn(UnmeasuredWarning(message, count=len(reasons), first=next(iter(reasons))))
