"""Search by codes: the records whose codes are nearest to those of a query."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from narrows.archive.description import is_archive
from narrows.errors import (
    DataError,
    InvalidParameterError,
    ShapeMismatchError,
    WrongModelError,
)
from narrows.io.progress import Progress
from narrows.model.inference import reconstruct
from narrows.model.precision import copied_in_float64
from narrows.model.search_codes import code_numbers
from narrows.numerics.batches import batch_size
from narrows.numerics.nearest import Points
from narrows.uses.search.approximate import MANY, Graph, has_usearch
from narrows.uses.search.archive_codes import ArchiveCodes, read_archive_codes
from narrows.uses.search.index_file import About, IndexFile, read_index_file, write_index_file
from narrows.uses.search.items import Items
from narrows.uses.search.models import about_model, digest_of, fitted, found_model, metric_of

if TYPE_CHECKING:
    from narrows.chain import Chain
    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder, Data
    from narrows.model.artefacts.search_metric import SearchMetric

__all__ = ["SearchIndex"]

_BATCH = 8192

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


class SearchIndex:
    """The codes of records, and the search for those nearest to the code of a query.

    Distances are Euclidean distances of the codes' numbers, weighted and rounded to whole numbers by the model's metric
    of search (`narrows.model.artefacts.SearchMetric`). They are exact: the neighbours and their order depend on no
    machine and no batch; of equally near records the first comes first. With the weights "output" a distance is about
    the distance of the restored records, in preprocessed units.

    Use `build` or `load`.

    Attributes
    ----------
    items : Items
        Names and labels of the records.
    metric : SearchMetric
        The metric.
    about : About
        The model and the records.
    archive : str or None
        Path of the archive that the codes are from; None for other indexes.
    model : Autoencoder or None
        The model that encodes queries; None if it has not been needed so far.
    graph : Graph or None
        The graph for approximate search.

    Examples
    --------
    >>> import narrows
    >>> from narrows.uses import SearchIndex
    >>> model = narrows.recipe("auto", training__epochs=1, random_state=0).fit("digits:train")
    >>> index = SearchIndex.build("digits:train", model)
    >>> distances, indices = index.query("digits:test", k=3)
    >>> distances.shape, indices.shape
    ((360, 3), (360, 3))
    """

    def __init__(
        self,
        coordinates: NDArray[np.int16],
        metric: SearchMetric,
        items: Items,
        about: About,
        *,
        model: Autoencoder | None = None,
        archive: str | None = None,
        path: str | None = None,
        graph: Graph | None = None,
    ) -> None:
        self._points, self.metric, self.items, self.about = Points(coordinates), metric, items, about
        self.graph = graph
        self.model, self.archive, self.path = model, archive, path
        self._encoder: tuple[Autoencoder, Chain] | None = None  # the model, and its copy in float64

    @classmethod
    def build(
        cls,
        data: Data,
        model: Autoencoder | str | os.PathLike[str],
        *,
        approximate: bool | None = None,
        progress: Progress | None = None,
    ) -> Self:
        """Return the index of records; names and labels that come with them are kept.

        Parameters
        ----------
        data : array_like of shape (n, *shape), path, name or Source
            The records, as the model takes them.
        model : Autoencoder or path
            A fitted model, or a model file. A model that was saved before models had a metric of search gets one that
            is measured on these records.
        approximate : bool, optional
            Whether the index gets a graph, in which a query looks at few records. By default it does from a million
            records on, if the package usearch is installed (``narrows[search]``).
        progress : callable, optional
            Called with the activity ``"indexing"`` and the number of records done.

        Raises
        ------
        DataError, ShapeMismatchError
            If the model cannot use the records, or there are none.
        NotMeasuredError
            If the weights of the model were changed since its metric was measured.
        MissingPackageError
            If a graph is asked for, and usearch is not installed.
        """
        loaded = fitted(model)
        source = loaded._open(data, reset=False)
        classes = loaded.classes_of(source, None)
        metric = metric_of(loaded, source, classes, source.labels)
        coordinates = _encoded(loaded, source, classes, metric, progress)
        wants_graph = len(source) >= MANY and has_usearch() if approximate is None else approximate
        graph = Graph.build(coordinates) if wants_graph else None
        return cls(coordinates, metric, Items.of(source), about_model(loaded, source), model=loaded, graph=graph)

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: Autoencoder | str | os.PathLike[str] | None = None) -> Self:
        """Return the index in a file, or that of an archive, whose codes are read and whose records are not decoded.

        Parameters
        ----------
        path : path-like
            An index that `save` or ``narrows index`` wrote, or an archive whose chunks contain codes.
        model : Autoencoder or path, optional
            The model that the records were encoded with. By default it is searched, when a query needs it, among the
            model files in the folder of the index and those in ``$NARROWS_MODELS``.

        Raises
        ------
        DataNotFoundError, DataError, CorruptFileError
            If it is no index, or damaged.
        ArchiveError, CorruptArchiveError
            If it is an archive that is damaged, has chunks without codes, or needs a model that is not found.
        WrongModelError
            If the model is another one.
        """
        if is_archive(path):
            return cls._of_archive(path, model)
        contents = read_index_file(path)
        graph = None
        if contents.graph is not None and has_usearch():
            graph = Graph.from_bytes(contents.graph, contents.coordinates.shape)
        known = (contents.coordinates, contents.metric, contents.items, contents.about)
        index = cls(*known, path=os.fspath(path), graph=graph)
        if model is not None:
            index.model = index._checked(fitted(model))
        return index

    @classmethod
    def _of_archive(cls, path: str | os.PathLike[str], model: Autoencoder | str | os.PathLike[str] | None) -> Self:
        loaded = None if model is None else fitted(model)
        found: ArchiveCodes = read_archive_codes(path, loaded)
        where = os.fspath(path)
        return cls(
            found.coordinates, found.metric, found.items, found.about, model=found.model, archive=where, path=where
        )

    def __len__(self) -> int:
        return len(self._points)

    def __repr__(self) -> str:
        where = "" if self.path is None else f" {self.path!r}"
        return f"<SearchIndex{where}: {len(self):,} records of {self.metric.n_numbers} numbers>"

    @property
    def coordinates(self) -> NDArray[np.int16]:
        """The coordinates of the codes, (n, n_latent), int16."""
        return self._points.coordinates

    def query(
        self,
        X: Data,
        k: int = 10,
        *,
        label: int | str | None = None,
        denoise: bool = False,
        exact: bool = False,
    ) -> tuple[Floats, Indices]:
        """Return the nearest records of each query, the nearest first.

        Parameters
        ----------
        X : array_like of shape (m, *shape), path, name or Source
            The queries.
        k : int
            The number of neighbours, at most that of the records that are searched.
        label : int or str, optional
            Only records with this label are searched.
        denoise : bool
            Encode what the model restores of the queries. A model that was trained to remove noise then finds more of
            the records that are like a noisy query, and slightly fewer of those that are like a clean one.
        exact : bool
            Look at all records, also if the index has a graph. With a ``label`` all with this label are looked at.

        Returns
        -------
        distances : ndarray of shape (m, k), float64
            Ascending.
        indices : ndarray of shape (m, k), int64
            The numbers of the records.

        Raises
        ------
        ShapeMismatchError, DataError
            If the queries are not of the shape of the records, or the index is empty.
        InvalidParameterError
            If k is not from 1 to the number of records that are searched, or none has the label.
        ArchiveError
            If the model is needed, and not found.
        """
        self._check(k, label)
        model = self.needed_model()
        source = model._open(X, reset=False)
        values, classes, chain = source.values, model.classes_of(source, None), self._encoder_of(model)
        if denoise:
            values = reconstruct(chain, values, classes, dtype=model.dtype_)
        numbers = code_numbers(chain, values, classes)
        return self._nearest(self.metric.coordinates(numbers), k, label, exact=exact)

    def query_items(
        self, items: Sequence[int], k: int = 10, *, label: int | str | None = None
    ) -> tuple[Floats, Indices]:
        """Return the nearest records of records of the index itself, which come first; no model is needed.

        Parameters
        ----------
        items : sequence of int
            Numbers of records, from 0.
        k, label
            As for `query`.

        Raises
        ------
        IndexError
            If there is no such record.
        """
        self._check(k, label)
        wrong = next((item for item in items if not 0 <= item < len(self)), None)
        if wrong is not None:
            raise IndexError(f"{self._where} has {len(self):,} records, with numbers from 0. Got {wrong:,}.")
        return self._nearest(self.coordinates[np.asarray(items, np.int64)], k, label)

    def add(self, data: Data, *, progress: Progress | None = None) -> Self:
        """Add records at the end, with the metric of the index.

        Raises
        ------
        ShapeMismatchError, DataError
            If the records are not of the shape of those of the index.
        """
        model = self.needed_model()
        source = model._open(data, reset=False)
        more = _encoded(model, source, model.classes_of(source, None), self.metric, progress)
        self._points = Points(np.concatenate([self.coordinates, more]))
        if self.graph is not None:
            self.graph.add(more)
        self.items = self.items + Items.of(source)
        return self

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the index as one file, which `load` reads.

        Raises
        ------
        OutputExistsError
            If the file exists and ``force`` is not set.
        """
        graph = None if self.graph is None else self.graph.to_bytes()
        write_index_file(path, IndexFile(self.coordinates, self.metric, self.items, self.about, graph), force=force)

    def codes(self, indices: Indices) -> Floats:
        """Return the codes of records (m,) as they are stored, (m, n_latent)."""
        return self.metric.codes(self.coordinates[indices])

    def count(self, label: int | str | None = None) -> int:
        """Return the number of records, or of those with a label.

        Raises
        ------
        InvalidParameterError
            If none has the label.
        """
        return len(self) if label is None else len(self.items.with_label(label, self._where))

    def needed_model(self) -> Autoencoder:
        """Return the model of the index; it is searched if none was given.

        Raises
        ------
        WrongModelError
            If it is not found.
        """
        if self.model is None:
            self.model = self._checked(found_model(self.path, self.about))
        return self.model

    def _encoder_of(self, model: Autoencoder) -> Chain:
        """Return the chain of the model in float64, so that the code of a query depends on no batch.

        It is copied once: to copy all weights for each query would take longer than the search.
        """
        if self._encoder is None or self._encoder[0] is not model:
            self._encoder = self._checked(model), copied_in_float64(model.chain_)
        return self._encoder[1]

    @property
    def _where(self) -> str:
        return "The index" if self.path is None else self.path

    def _check(self, k: int, label: int | str | None) -> None:
        if not len(self):
            raise DataError(f"{self._where} is empty, so nothing can be found in it.")
        n = self.count(label)
        if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= n:
            which = "" if label is None else f" with the label {label!r}"
            raise InvalidParameterError(
                f"The 'k' of query must be from 1 to {n:,}, the number of records{which} in {self._where}. Got {k!r}."
            )

    def _nearest(
        self, queries: NDArray[np.int16], k: int, label: int | str | None, *, exact: bool = False
    ) -> tuple[Floats, Indices]:
        if label is None and self.graph is not None and not exact:
            squares, indices = self.graph.nearest(self._points, queries, k)
        elif label is None:
            squares, indices = self._points.nearest(queries, k)
        else:
            rows = self.items.with_label(label, self._where)
            squares, of_rows = Points(self.coordinates[rows]).nearest(queries, k)
            indices = rows[of_rows]
        return np.sqrt(squares) * self.metric.unit, indices

    def _checked(self, model: Autoencoder) -> Autoencoder:
        """Return a model after checking that it is the one that the records were encoded with."""
        from narrows.model.weights import weights_digest

        given = weights_digest(model.chain_)
        if self.archive is None and given != self.about.model:
            named = (self.about.codec or self.about.model)[:12]
            raise WrongModelError(
                f"{self._where} was made with the model {named}. The model given is {digest_of(model)[:12]}. Give the "
                "model that it was made with, or make an index with this model (narrows index)."
            )
        if tuple(model.shape_) != self.about.shape:
            raise ShapeMismatchError(
                f"{self._where} has records of shape {self.about.shape}. Got a model of records of shape "
                f"{tuple(model.shape_)}."
            )
        return model


def _encoded(
    model: Autoencoder,
    source: Source,
    classes: NDArray[np.int64] | None,
    metric: SearchMetric,
    progress: Progress | None,
) -> NDArray[np.int16]:
    """Return the coordinates (n, n_latent) of records."""
    size = batch_size(model.shape_, _BATCH)
    found = np.empty((len(source), metric.n_numbers), np.int16)
    for start in range(0, len(source), size):
        rows = slice(start, start + size)
        labels = None if classes is None else classes[rows]
        found[rows] = metric.coordinates(code_numbers(model.chain_, source.values[rows], labels))
        if progress is not None:
            progress("indexing", min(start + size, len(source)), len(source), "records")
    return found
