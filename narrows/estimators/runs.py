"""The seed and the checkpoint of a run of `fit`.

A checkpoint contains the parameters, data, labels and weights of its run, so that no other run is resumed from it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from narrows.data import Source
from narrows.errors import InvalidParameterError
from narrows.estimators.base import RecordsEstimator
from narrows.io.files import check_output
from narrows.model.axes import with_user_parts
from narrows.numerics.randomness import drawn_seed
from narrows.parts.options import Boolean, check
from narrows.training import Checkpoint, Training

__all__ = ["checkpoint_of", "seed_of"]


def checkpoint_of(
    estimator: RecordsEstimator,
    path: str | os.PathLike[str] | None,
    sources: Mapping[str, Source | None],
    arrays: Mapping[str, NDArray[Any] | None],
    *,
    resume: bool,
) -> Checkpoint | None:
    """Return the checkpoint of a run, whose file may be written; None if no file was given.

    Parameters
    ----------
    estimator : RecordsEstimator
        The estimator that is fitted; it has seen the data.
    path : path-like or None
        The argument ``checkpoint`` of `fit`.
    sources, arrays : mapping
        The records of the run, and its labels and weights, by their names in errors.
    resume : bool
        The argument of `fit`.

    Raises
    ------
    InvalidParameterError
        If a run is to be resumed without a file.
    OutputExistsError
        If a new run would replace a file that is not a checkpoint of the same run.
    """
    check("fit", "resume", resume, Boolean())
    if path is None:
        if resume:
            raise InvalidParameterError(
                "The 'resume' of fit needs the file that the run continues from. Got resume=True without "
                "'checkpoint'. Give its name as 'checkpoint', or leave 'resume' out."
            )
        return None
    check_output(path, force=True)
    described = _described_parameters(estimator)
    for what, source in sources.items():
        described |= {} if source is None else _described(what, source)
    for what, array in arrays.items():
        described |= {} if array is None else _described(what, Source(array))
    checkpoint = Checkpoint(Path(path), described)
    if not resume:
        checkpoint.check_replaceable()
    return checkpoint


def seed_of(estimator: RecordsEstimator, checkpoint: Checkpoint | None = None, *, resume: bool = False) -> int:
    """Return the seed of a run: that of the checkpoint to be resumed if there is one, otherwise a new one."""
    seed = drawn_seed(estimator.random_state)
    kept = checkpoint.load() if checkpoint is not None and resume else None
    return seed if kept is None else int(kept.values["seed"])


def _described_parameters(estimator: RecordsEstimator) -> dict[str, Any]:
    """Return the parameters that a run depends on, as text, by name.

    Those that have their default are left out if checkpoints of earlier versions do not contain them.
    """
    params = estimator.get_params(deep=False)
    for name in ("artefacts", "verbose"):  # measured after training; shown during it
        params.pop(name, None)
    if params.get("real_values") == "as-given":
        del params["real_values"]
    for name in ("race", "warm_start"):
        if not params.get(name, True):
            del params[name]
    if params.get("adversary", 0) is None:
        del params["adversary"]
    if params.get("fill_value", 0) is None:
        del params["fill_value"]
    elif "fill_value" in params:
        params["fill_value"] = estimator.fill_value_
    if params["random_state"] is not None and not isinstance(params["random_state"], Integral):
        params["random_state"] = "generator"
    params = with_user_parts(params)  # whose text does not depend on addresses in memory
    return {name: repr(_without_threads(value)) for name, value in params.items()}


def _without_threads(value: Any) -> Any:
    """Return a parameter without the number of threads, since the result of a run does not depend on it."""
    if isinstance(value, Training):
        plain = value.clone().set_params(threads=None)
        return None if plain == Training() else plain  # None means the same
    if isinstance(value, RecordsEstimator):
        plain = clone(value).set_params(training=_without_threads(value.get_params(deep=False)["training"]), verbose=0)
        return plain.set_params(artefacts="all") if "artefacts" in value.get_params(deep=False) else plain
    return value


def _described(what: str, source: Source) -> dict[str, Any]:
    some = source.values[:: max(len(source.values) // 1000, 1)]
    return {
        f"shape of the {what}": list(source.values.shape),
        f"type of the {what}": str(source.dtype),
        f"content of the {what}": hashlib.sha256(np.ascontiguousarray(some).tobytes()).hexdigest(),
    }
