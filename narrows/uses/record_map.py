"""Maps of records: their codes in two dimensions beside PCA of the records, and how well each keeps neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.data import Source
from narrows.data.tables.restored import words_of
from narrows.data.text.sources import whole_texts
from narrows.errors import DataError, InvalidParameterError
from narrows.estimators.checks import records_for
from narrows.model.artefacts import ColumnBaselines
from narrows.model.artefacts.pca import PrincipalComponents
from narrows.model.search_codes import code_numbers
from narrows.numerics.neighbourhoods import neighbour_accuracy, trustworthiness
from narrows.parts.options import Choice, check
from narrows.records import Columns, Field
from narrows.uses.projections import PROJECTIONS, project
from narrows.uses.search.models import metric_of

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = ["MapView", "RecordMap", "map_records"]

_FEWEST = 3
_MISSING = "missing"
_DAYS, _PER_DAY = 365.2425, 86_400.0  # of a year, and seconds
_TITLES = {"pca": "PCA", "umap": "UMAP", "tsne": "t-SNE"}


@dataclass(frozen=True, eq=False)
class MapView:
    """Records in two dimensions.

    Attributes
    ----------
    title : str
        Where the two numbers come from.
    points : ndarray of shape (n, 2), float64
        The position of each record.
    accuracy : float or None
        Share of the records whose label is that of most of their 10 nearest neighbours on the map; None without labels.
    trustworthiness : float or None
        How many of these neighbours are neighbours of the records themselves, from 0 to 1; None for texts.
    """

    title: str
    points: NDArray[np.float64]
    accuracy: float | None
    trustworthiness: float | None


@dataclass(frozen=True, eq=False)
class RecordMap:
    """A map of records.

    Attributes
    ----------
    source : Source
        The n records; of texts those that are one record each.
    record : str
        What a record is: "image", "series", "text" or "vector".
    codes : ndarray of shape (n, d)
        Their codes: two numbers as they are, longer codes as search compares them, weighted by the model's metric.
    views : tuple of MapView
        The codes in two dimensions first, then PCA of the records, if that is defined.
    columns : dict of str to ndarray of shape (n,)
        What points can be coloured by: the label, the columns of a table, the squared error, the length of texts and
        the index, which is the place in the data.
    """

    source: Source
    record: str
    codes: NDArray[Any]
    views: tuple[MapView, ...]
    columns: dict[str, NDArray[Any]]
    words: dict[str, NDArray[Any]] = dataclass_field(default_factory=dict)

    def column(self, name: str | None) -> NDArray[Any] | None:
        """Return a column by its name; for None the label, or None if there are no labels.

        Raises
        ------
        DataError
            If there is no such column; names those that there are.
        """
        if name is None:
            return self.columns.get("label")
        if name not in self.columns:
            there = ", ".join(f"'{one}'" for one in self.columns)
            hint = f" {self.source.name} has no labels." if name == "label" else ""
            raise DataError(f"There is no column '{name}' to colour the map by.{hint} Choose one of: {there}.")
        return self.columns[name]


def map_records(model: Autoencoder, data: Data, *, by: str = "pca", random_state: int = 0) -> RecordMap:
    """Return a map of the codes of records, beside one by PCA of the records.

    Codes of two numbers are the map. Longer ones are weighted as in search and projected: the numbers of a code may
    have any scale, which says nothing of how much they change the record. The principal components are those of the
    training records, as for all comparisons with PCA, or of these records if the model has less than two.

    Parameters
    ----------
    model : Autoencoder
        A fitted model whose latent dimension is at least 2.
    data : array_like of shape (n, *shape), path, name or Source
        At least 3 records.
    by : "pca", "umap" or "tsne"
        How codes of more than two numbers are projected; the last two need ``narrows[maps]``.
    random_state : int
        Seed of UMAP and t-SNE.

    Returns
    -------
    RecordMap

    Raises
    ------
    DataError
        If there are less than 3 records.
    InvalidParameterError
        If the latent dimension is 1, a projection is asked for that does not exist, or all texts are longer than a
        record; if some are, they are left out, with a warning.
    MissingPackageError
        If the package of the projection is not installed.
    ShapeMismatchError
        If the records have another shape than the model's.

    Examples
    --------
    >>> import narrows
    >>> model = narrows.recipe("auto", n_latent=2, training__epochs=2, random_state=0).fit("digits:train")
    >>> found = map_records(model, "digits:test")
    >>> found.views[0].points.shape, 0 < found.views[0].accuracy < 1
    ((360, 2), True)
    """
    check("map_records", "by", by, Choice(*PROJECTIONS))
    source, places = whole_texts(records_for(model, data, "map_records"))
    if len(source) < _FEWEST:
        n = f"{len(source)} record{'s' if len(source) != 1 else ''}"
        raise DataError(f"A map needs at least {_FEWEST} records. {source.name} has {n}.")
    codes, layouts = _layouts(model, source, by, random_state)
    labels, is_text = _classes(source), model.record_ == "text"
    base = model.model_.measured(ColumnBaselines.name) if model.record_ == "columns" else None
    values = source.values
    if isinstance(base, ColumnBaselines):
        values = base.centred(model.chain_, np.asarray(values, np.float64)).astype(np.float32)
        layouts["PCA of the columns"] = _first_two(values @ base.components[:2].T)
    is_finite = values.dtype.kind != "f" or bool(np.isfinite(values).all())
    views = tuple(
        MapView(
            title,
            points,
            None if labels is None else neighbour_accuracy(points, labels),
            None if is_text or not is_finite else trustworthiness(values, points),
        )
        for title, points in layouts.items()
    )
    return RecordMap(source, model.record_, codes, views, _columns(model, source, places), _words(model, source))


def _layouts(
    model: Autoencoder, source: Source, by: str, random_state: int
) -> tuple[NDArray[Any], dict[str, NDArray[np.float64]]]:
    """Return the codes (n, d) of records, and their positions (n, 2) by title.

    Raises
    ------
    InvalidParameterError, MissingPackageError
        As for `map_records`.
    """
    n_latent, pca = model.n_latent_, model.pca_
    if n_latent < 2:
        raise InvalidParameterError(
            f"A map needs a latent dimension of at least 2. This model has {n_latent}. Train one with two numbers, for "
            "example narrows train --recipe map."
        )
    if n_latent == 2:
        codes = model.transform(source)
        layouts = {"autoencoder, its code of 2 numbers": np.asarray(codes, np.float64)}
    else:
        codes = _weighted(model, source)
        title = f"autoencoder, its {n_latent} numbers projected by {_TITLES[by]}"
        layouts = {title: project(codes, by, random_state)}
    if model.record_ in {"columns", "text"}:
        return codes, layouts
    title = "PCA"
    if pca is None or len(pca.components) < 2:
        title, fill_value = "PCA of these records", model.fill_value_
        pca = PrincipalComponents.fit(source.values, 2, 0, fill_value=fill_value)
    elif len(pca.components) > 2:
        title = f"PCA, the first 2 of {len(pca.components)} components"
    return codes, {**layouts, title: _first_two(pca.encode(source.values))}


def _first_two(points: NDArray[Any]) -> NDArray[np.float64]:
    """Return the first two of the numbers of points (n, d), with zeros if there is but one."""
    two = points[:, :2].astype(np.float64)
    return np.pad(two, ((0, 0), (0, 2 - two.shape[1])))


def _weighted(model: Autoencoder, source: Source) -> NDArray[np.float32]:
    """Return the codes (n, d) of records as search compares them."""
    classes = model.classes_of(source, None)
    metric = metric_of(model, source, classes, None)
    return metric.coordinates(code_numbers(model.chain_, source.values, classes)).astype(np.float32)


def _classes(source: Source) -> NDArray[Any] | None:
    """Return labels that are classes; None if there are none, or if they are measurements."""
    labels = source.labels
    if labels is None or (labels.dtype.kind == "f" and np.any(labels != np.floor(labels))):
        return None
    return labels


def _columns(model: Autoencoder, source: Source, places: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    columns: dict[str, NDArray[Any]] = {}
    if source.named_labels is not None:
        columns["label"] = source.named_labels
    schema = model.model_.schema
    if isinstance(schema, Columns):
        columns |= {one.name: _cells(one, source.values[:, f]) for f, one in enumerate(schema.fields)}
    elif source.columns is not None:
        columns |= {str(name): source.values[:, i] for i, name in enumerate(source.columns)}
    if source.text is not None:
        columns["length"] = source.text.texts.lengths
    if model.record_ not in {"columns", "text"}:
        errors = model.reconstruction_error(source, source.labels if model.conditional else None)
        columns["squared error"] = np.nan_to_num(np.asarray(errors, np.float64))
    columns["index"] = places
    return columns


def _cells(field: Field, values: NDArray[Any]) -> NDArray[Any]:
    """Return a column of a table as words of categories, or as numbers, NaN for missing ones; dates are in years."""
    numbers = np.asarray(values, np.float64)
    if field.n_categories:
        return np.array([_MISSING if word is None else word for word in words_of(field, numbers)])
    if field.kind in {"date", "datetime"}:
        return 1970 + numbers / (_DAYS if field.kind == "date" else _DAYS * _PER_DAY)
    return numbers


def _words(model: Autoencoder, source: Source) -> dict[str, NDArray[Any]]:
    """Return the columns of a table that are shown as words: categories, dates and times."""
    schema = model.model_.schema
    if not isinstance(schema, Columns):
        return {}
    kept = {
        one.name: words_of(one, np.asarray(source.values[:, f], np.float64))
        for f, one in enumerate(schema.fields)
        if one.kind not in {"integer", "decimal", "float"}
    }
    return {name: np.array([_MISSING if word is None else word for word in words]) for name, words in kept.items()}
