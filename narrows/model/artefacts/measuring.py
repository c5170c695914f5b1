"""Artefacts are measured one after the other; a trained model is whole without them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace

from narrows.errors import NotMeasuredError, UnmeasuredWarning, levels_to_caller
from narrows.model.artefacts import ArchiveCodec, Artefact, PrincipalComponents, TrainingRecords
from narrows.model.comparison import check_against_pca
from narrows.model.fitted import FittedModel
from narrows.numerics.threads import one_blas_thread, one_openmp_thread

__all__ = ["INTERRUPTED", "NOT_ASKED_FOR", "measure"]

INTERRUPTED = "It was interrupted before this was measured."
NOT_ASKED_FOR = "It was not asked for."
_HOW = "In Python, model.measure(X) measures what is missing, X being the training records."


def measure(model: FittedModel, records: TrainingRecords, names: Iterable[str]) -> Iterator[FittedModel]:
    """Measure artefacts of a trained model, each by itself; yield the model after each.

    Failures are reported in one `UnmeasuredWarning` at the end. An artefact that could not be measured keeps its former
    value.
    """
    reasons: dict[str, str] = {}
    names = tuple(names)
    for kind in (Artefact.registry[name] for name in Artefact.registry if name in names):
        try:
            with one_openmp_thread(), one_blas_thread():
                artefact = kind.measure(model, records)
        except NotMeasuredError as error:  # this model has none
            model = model.without_artefact(kind.name, str(error))
        except Exception as error:  # whatever it is, the trained weights are worth more
            reasons[kind.name] = f"{type(error).__name__}: {error}"
            if not model.has(kind.name):
                model = model.without_artefact(kind.name, reasons[kind.name])
        else:
            model = model.with_artefact(artefact)
            if isinstance(artefact, ArchiveCodec) and artefact.why_not is None:
                model = replace(model, residual=None)  # the codec has the network of residuals now
        yield model
    if reasons:
        said = [
            f"The {Artefact.registry[name].title} could not be measured. {reason.rstrip('.')}."
            for name, reason in reasons.items()
        ]
        warnings.warn(
            " ".join([*said, "The trained model is whole without.", _HOW]),
            UnmeasuredWarning,
            stacklevel=levels_to_caller(),
        )
    # Last of all: where warnings are errors, the model has everything by now.
    if PrincipalComponents.name in names and model.has(PrincipalComponents.name) and not model.chain.parts.n_classes:
        check_against_pca(model, model.artefact(PrincipalComponents), records.unlabelled)
