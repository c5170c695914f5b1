"""Estimators as files: `narrows.load` returns the kind of estimator that a file holds."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from sklearn.base import clone

from narrows.codec.model_file import KIND_OF_BYTES
from narrows.errors import ModelFileError, warn
from narrows.estimators.base import RecordsEstimator
from narrows.io.model_file import read_model_file
from narrows.io.packages import imported
from narrows.model.file import Unbuilt, read_model
from narrows.model.unfinished import read_unfinished
from narrows.numerics.surroundings import usual_settings
from narrows.training import resolve_device, resolve_training
from narrows.training.checkpoints import is_checkpoint

__all__ = ["load"]

# Imported when a file holds one: a detector needs modules that no other does.
_KINDS = {
    "autoencoder": ("narrows.estimators.autoencoder", "Autoencoder"),
    "classifier": ("narrows.estimators.classifier", "AutoencoderClassifier"),
    "outliers": ("narrows.estimators.outliers.detector", "AutoencoderOutlier"),
}


@usual_settings()
def load(path: str | os.PathLike[str], *, device: str = "auto") -> Any:
    """Return the fitted estimator in a file.

    It is an `Autoencoder`, an `AutoencoderClassifier`, an `AutoencoderOutlier`, or a `ByteModel`.

    Parameters
    ----------
    path : path-like
        A file written by an estimator's ``save``, or the checkpoint of an unfinished run, which is a model with the
        weights so far and without artefacts.
    device : "auto", "cpu", "cuda" or "mps"
        Device of the estimator; "mps" is used for training only.

    Raises
    ------
    DataNotFoundError
        If there is no such file.
    ModelFileError
        If the file is not a model, is damaged, or was written by a newer narrows.

    Warns
    -----
    UnfinishedWarning
        If the file is a checkpoint.
    """
    unfinished = None
    if not is_checkpoint(path) and read_model_file(path, ())[0].get("kind") == KIND_OF_BYTES:
        from narrows.estimators.byte_model import ByteModel

        return ByteModel.read(path)
    if is_checkpoint(path):
        fitted, unfinished = read_unfinished(path)
    else:
        fitted = read_model(path)
    try:
        estimator = _build(fitted.kind, dict(fitted.parameters))
        training = resolve_training(estimator.training)
        fitted = replace(fitted, parameters=clone(estimator).get_params(deep=False))
        estimator.take_model(fitted)
    except Exception as error:  # any error that a forged header can cause
        raise ModelFileError(f"{path} is a narrows model with invalid content: {error}") from error
    if device != "auto" or estimator.training is not None:
        estimator.training = training.set_params(device=device)
    estimator.model_ = fitted.to(resolve_device(estimator.training))
    if unfinished is not None:
        warn(unfinished)
    return estimator


def _build(kind: str, params: dict[str, Any]) -> RecordsEstimator:
    """Return an unfitted estimator."""
    built = {name: _build(one.kind, one.params) if isinstance(one, Unbuilt) else one for name, one in params.items()}
    if kind not in _KINDS:
        raise ValueError(f"this version of narrows loads models of kind {', '.join(_KINDS)}. Got kind {kind!r}")
    module, name = _KINDS[kind]
    estimator: RecordsEstimator = getattr(imported(module), name)(**built)
    return estimator
