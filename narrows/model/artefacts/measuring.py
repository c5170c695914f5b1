"""Measures the artefacts of a trained model, which works without them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from narrows.errors import NotMeasuredError, UnmeasuredWarning, warn
from narrows.model.artefacts import Artefact, TrainingRecords
from narrows.model.fitted import HOW_TO_MEASURE, FittedModel
from narrows.numerics.surroundings import usual_settings
from narrows.numerics.threads import one_blas_thread, one_openmp_thread

__all__ = ["INTERRUPTED", "NOT_ASKED_FOR", "measure"]

INTERRUPTED = "The measurement was interrupted."
NOT_ASKED_FOR = "It was not requested."


def measure(model: FittedModel, records: TrainingRecords, names: Iterable[str]) -> Iterator[FittedModel]:
    """Measure artefacts of a trained model one after the other, and yield the model after each.

    If one fails, its previous value is kept and the others are measured. One `UnmeasuredWarning` reports all failures.
    """
    reasons: dict[str, str] = {}
    names = tuple(names)
    for kind in (Artefact.registry[name] for name in Artefact.registry if name in names):
        try:
            with usual_settings(), one_openmp_thread(), one_blas_thread():
                artefact = kind.measure(model, records)
        except NotMeasuredError as error:  # the artefact is impossible for this model
            model = model.without_artefact(kind.name, str(error))
        except Exception as error:  # a failure must not lose the trained weights
            reasons[kind.name] = f"{type(error).__name__}: {error}"
            if not model.has(kind.name):
                model = model.without_artefact(kind.name, reasons[kind.name])
        else:
            model = artefact.attach(model)
        yield model
    if reasons:
        failures = [
            f"The {Artefact.registry[name].title} could not be measured. {reason.rstrip('.')}."
            for name, reason in reasons.items()
        ]
        message = " ".join([*failures, "The trained model works without it.", HOW_TO_MEASURE])
        warn(UnmeasuredWarning(message, count=len(reasons), first=next(iter(reasons))))
    # These checks come last, since they may raise an error if warnings are errors.
    for name in names:
        if model.has(name):
            model.artefact(Artefact.registry[name]).check(model, records)
