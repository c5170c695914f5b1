"""The model of an index: given, searched by its hash, and named in messages."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, cast

from numpy.typing import NDArray

from narrows.archive.model_search import FOLDERS, find_model, model_folders
from narrows.errors import NotFreezableError, NotMeasuredError, WrongModelError
from narrows.model.artefacts.search_metric import SearchMetric
from narrows.uses.search.index_file import About

if TYPE_CHECKING:
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder
    from narrows.model.inference import Labels

__all__ = ["about_model", "digest_of", "fitted", "found_model", "metric_of"]


def fitted(model: Any) -> Autoencoder:
    """Return a fitted autoencoder, or the one in a file."""
    from narrows.estimators.checks import check_autoencoder
    from narrows.estimators.loading import load

    if isinstance(model, str | os.PathLike):
        loaded = load(model)
        check_autoencoder(loaded, "SearchIndex")
        return cast("Autoencoder", loaded)
    check_autoencoder(model, "SearchIndex")
    return cast("Autoencoder", model)


def digest_of(model: Autoencoder) -> str:
    """Return the digest of the archive codec of a model, otherwise of its weights."""
    from narrows.model.weights import weights_digest

    try:
        return model.codec_.digest
    except (NotFreezableError, NotMeasuredError):
        return weights_digest(model.chain_)


def metric_of(model: Autoencoder, source: Source, classes: Labels, labels: NDArray[Any] | None) -> SearchMetric:
    """Return the metric of search of a model; one that has none gets one that is measured on these records.

    Parameters
    ----------
    model : Autoencoder
    source : Source
        The n records.
    classes : ndarray of shape (n,), int64, or None
        What a conditional model gets with the records.
    labels : ndarray of shape (n,), or None
        By which weights are compared if they are measured.

    Raises
    ------
    NotMeasuredError
        If the weights of the model were changed since its metric was measured.
    """
    if model.model_.has(SearchMetric.name):
        return model.model_.current(SearchMetric)
    return SearchMetric.for_records(model.chain_, source.values, labels, classes)


def about_model(model: Autoencoder, source: Source) -> About:
    """Return what an index stores of its model and records."""
    from narrows.model.weights import weights_digest

    weights, named = weights_digest(model.chain_), digest_of(model)
    codec = None if named == weights else named
    return About(weights, codec, tuple(model.shape_), model.dtype_.name, model.record_, source.name)


def found_model(path: str | None, about: About) -> Autoencoder:
    """Return the model of an index, searched by the hash of its archive codec.

    Raises
    ------
    WrongModelError
        If it is not found.
    """
    found = None if about.codec is None or path is None else find_model(path, about.codec)
    if found is None:
        folders = "" if path is None else " and ".join(f"'{folder}'" for folder in model_folders(path))
        searched = f" No file with this model was found in {folders}." if folders and about.codec else ""
        raise WrongModelError(
            f"A query needs the model that the records were encoded with, {(about.codec or about.model)[:12]}. Give it "
            f"as 'model' (--model).{searched} You can list more folders in the environment variable {FOLDERS}."
        )
    return fitted(found)
