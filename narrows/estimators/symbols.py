"""The codes of a fitted autoencoder as whole numbers: indices of codewords, or the symbols that archives store."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils.validation import check_is_fitted

from narrows.codec.operating_point import to_symbols
from narrows.data import Source
from narrows.data.arrays import check_plain
from narrows.errors import DataError, ShapeMismatchError
from narrows.estimators.base import Data
from narrows.estimators.restoring import Restoring
from narrows.model.artefacts import ArchiveCodec
from narrows.model.inference import decode_continuous, encode_continuous, returned_dtype

__all__ = ["Symbols"]


class Symbols(Restoring):
    """Conversion of records to whole numbers and back."""

    def quantise(self, X: Data, quality: int | None = None, *, y: ArrayLike | None = None) -> NDArray[np.int32]:
        """Return the codes of records as whole numbers of shape (n, n_symbols), the symbols that archives store.

        For models with vector quantisation these are the indices of codewords. `decode_indices` is the inverse.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The records.
        quality : int, optional
            Index into ``codec_.qualities``, which go from coarse to fine. None: the default, ``codec_.default``.
        y : array_like of shape (n,), optional
            Labels, for conditional models, unless the data have their own; other models ignore them.

        Raises
        ------
        NotFreezableError, NotMeasuredError
            If the model has no archive codec, which determines the symbols of models without vector quantisation, or
            the weights were changed since it was measured.
        InvalidParameterError
            If the model has no such quality.
        """
        check_is_fitted(self)
        steps = self._steps(quality, "quantise")
        source = self._open(X, reset=False)
        return to_symbols(encode_continuous(self.chain_, source.values, self.classes_of(source, y)), steps)

    def decode_indices(
        self,
        indices: ArrayLike,
        y: ArrayLike | None = None,
        *,
        quality: int | None = None,
        dtype: DTypeLike | None = None,
    ) -> NDArray[Any]:
        """Return the records decoded from indices of codewords, in the units of the training data.

        It is the inverse of `quantise`, also for models without vector quantisation. Their symbols are multiplied by
        the quantisation steps. The decoder computes in floats, so the records differ from those of an archive by the
        rounding of its integer arithmetic.

        Parameters
        ----------
        indices : array_like of int, shape (n, n_symbols) or (n, ...) with as many numbers for each record
            The result of `quantise`, or other indices, for example those that a model of sequences has drawn.
        y : array_like of shape (n,), optional
            Labels, for conditional models; other models ignore them.
        quality : int, optional
            The quality that was given to `quantise`.
        dtype : dtype, optional
            As for `reconstruct`.

        Raises
        ------
        ShapeMismatchError
            If a record does not have n_symbols indices.
        DataError
            If the indices are not whole numbers, or the model has no such codeword.
        NotDecodableError
            If the decoder needs more than the code, as one that unpools with switches does.

        Examples
        --------
        >>> import numpy as np
        >>> import narrows
        >>> X = narrows.data.open("digits:test").values
        >>> vq = narrows.Autoencoder(8, bottleneck="vector-quantised", artefacts=(), random_state=0)
        >>> model = vq.set_params(training__epochs=1).fit(X)
        >>> indices = model.quantise(X)
        >>> bool(np.array_equal(model.decode_indices(indices), model.reconstruct(X)))
        True
        """
        check_is_fitted(self)
        symbols = self._checked_symbols(indices)
        precision = np.float64 if self.dtype_ == np.float64 else np.float32  # as for `reconstruct`
        code: NDArray[Any] = (symbols * self._steps(quality, "decode_indices")).astype(precision)
        returned = returned_dtype(dtype, self.dtype_, self.shape_, self.record_)
        classes = self.classes_of(Source(symbols, name="indices"), y)
        return decode_continuous(self.chain_, code, classes, dtype=returned)

    def _steps(self, quality: int | None, method: str) -> NDArray[np.float64]:
        """Return the quantisation step of each symbol; 1 for indices of codewords, which need no archive codec."""
        bottleneck = self.chain_.bottleneck
        if quality is None and bottleneck.n_codes is not None:
            return np.ones(bottleneck.n_symbols)
        return self.model_.current(ArchiveCodec).steps(quality, method)

    def _checked_symbols(self, indices: ArrayLike) -> NDArray[Any]:
        """Return whole numbers as an array of shape (n, n_symbols)."""
        check_plain(indices)
        bottleneck = self.chain_.bottleneck
        symbols, n_symbols, n_codes = np.asarray(indices), bottleneck.n_symbols, bottleneck.n_codes
        if symbols.dtype.kind not in "iu":
            raise DataError(
                f"Indices must be whole numbers, as `quantise` returns them. Got the dtype {symbols.dtype}."
            )
        if symbols.ndim < 2 or symbols[0:1].size != n_symbols * min(len(symbols), 1):
            raise ShapeMismatchError(f"Indices must have the shape (n, {n_symbols}). Got {symbols.shape}.")
        if not len(symbols):
            raise DataError(f"Indices must have at least one record. Got the shape {symbols.shape}.")
        if n_codes is not None and (symbols.min() < 0 or symbols.max() >= n_codes):
            raise DataError(
                f"Indices must be from 0 to {n_codes - 1}, since the model has {n_codes} codewords. "
                f"Got {symbols.min()} to {symbols.max()}."
            )
        return symbols.reshape(len(symbols), n_symbols)
