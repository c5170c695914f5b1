"""Methods of a fitted autoencoder that reconstruct, denoise and corrupt records."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from sklearn.utils.validation import check_is_fitted

from narrows.codec.dequantise import to_dtype
from narrows.data.frames import as_frame_like, columns_of
from narrows.data.text.pieces import texts_of
from narrows.errors import InvalidParameterError
from narrows.estimators.base import Data
from narrows.estimators.generation import Generation
from narrows.estimators.table_rows import rows_like
from narrows.estimators.table_samples import repaired
from narrows.model.inference import corrupt, reconstruct, returned_dtype
from narrows.numerics.randomness import drawn_seed

__all__ = ["Restoring"]


class Restoring(Generation):
    """Restoring of records by a fitted autoencoder."""

    def reconstruct(self, X: Data, y: ArrayLike | None = None, *, dtype: DTypeLike | None = None) -> Any:
        """Encode and decode records (n, *shape); the result is in the units of the training data.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The records. A data frame of pandas or polars is returned as one, with the same columns and index. For a
            model of windows, an array (steps,) or (steps, channels) is a series. Series are returned as a whole; where
            windows overlap, as their mean.
        y : array_like of shape (n,), optional
            Labels, for conditional models, unless the data have their own; other models ignore them.
        dtype : dtype, optional
            ``float``: the decoder's output, not rounded, so that differences do not wrap around. An integer dtype:
            rounded and clipped to its range. None: texts as a list of `str`, other records in the dtype of the
            training data, except for tables (records of one axis) of whole numbers or booleans. These come back as
            float64, since rounding would turn one-hot columns and small counts into zeros.

        Examples
        --------
        The squared error of images of bytes; without ``dtype=float`` differences of bytes would wrap around:

        >>> import numpy as np
        >>> import narrows
        >>> X = narrows.data.open("digits:test").values
        >>> model = narrows.recipe("auto", n_latent=8, training__epochs=2, random_state=0).fit(X)
        >>> error = ((X - model.reconstruct(X, dtype=float)) ** 2).mean()
        >>> bool(np.isclose(error, 255**2 * narrows.evaluate(model, X)["mse"]))
        True
        """
        check_is_fitted(self)
        returned = returned_dtype(dtype, self.dtype_, self.shape_, self.record_)
        source = self._open(X, reset=False)
        classes = self.classes_of(source, y)
        if source.windows is not None:
            joined = source.windows.join(reconstruct(self.chain_, source.values, classes, dtype=np.dtype(float)))
            return as_frame_like(X, to_dtype(joined, returned), columns_of(X))
        restored = reconstruct(self.chain_, source.values, classes, dtype=returned)
        if self.record_ == "text" and dtype is None:
            return texts_of(restored, None if source.text is None else source.text.counts)
        if self.record_ == "columns" and dtype is None:
            return rows_like(self, X, restored, of=source)
        return as_frame_like(X, restored, columns_of(X))

    def denoise(self, X: Data, y: ArrayLike | None = None, *, dtype: DTypeLike | None = None) -> Any:
        """Remove noise from records (n, *shape); `dtype` has the meaning it has in `reconstruct`.

        The records are encoded and decoded. A model trained with ``corruption`` has learned to restore clean records
        from corrupted ones, and removes noise like that of its training. A model trained without it has learned to
        preserve its input, and removes only what does not fit into the code.

        In rows of a table, missing cells are filled by what the others of their row tell, numbers far outside the range
        of the training data are replaced likewise, and all other cells stay as they are.

        Vincent, Larochelle, Bengio and Manzagol (2008), "Extracting and composing robust features with denoising
        autoencoders", section 2.3.
        """
        if self._fields is None:
            return self.reconstruct(X, y, dtype=dtype)
        source = self._open(X, reset=False)
        values = repaired(self, source, self._fields[0]).values
        if dtype is not None:
            return to_dtype(values, returned_dtype(dtype, self.dtype_, self.shape_))
        return rows_like(self, X, values, of=source, is_exact=True)

    def corrupt(self, X: Data, *, random_state: Any = None) -> Any:
        """Return records (n, *shape) corrupted as in training, in their own units and dtype.

        Raises
        ------
        InvalidParameterError
            If the model was trained without corruption.
        """
        check_is_fitted(self)
        if self.chain_.corruption is None:
            raise InvalidParameterError(
                "The model was trained without corruption. Train one with corruption='gaussian' or another corruption."
            )
        source = self._open(X, reset=False)
        corrupted = corrupt(self.chain_, source.values, drawn_seed(random_state), dtype=self.dtype_)
        if source.windows is not None:
            corrupted = to_dtype(source.windows.join(corrupted), self.dtype_)
        return as_frame_like(X, corrupted, columns_of(X))
