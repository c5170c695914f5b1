"""A fitted model as PyTorch's modules: its device, its encoder and decoder, and their export."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from sklearn.utils.validation import check_is_fitted

from narrows.errors import InvalidParameterError
from narrows.estimators.base import RecordsEstimator
from narrows.model.halves import DecoderHalf, EncoderHalf
from narrows.numerics.floats import has_float64
from narrows.training.settings import find_device

if TYPE_CHECKING:
    from narrows.model.summary import Summary

__all__ = ["Modules", "Movable"]


class Movable(RecordsEstimator):
    """An estimator whose model can be moved to another device."""

    def to(self, device: str | torch.device) -> Self:
        """Move the model to a device, in place, and return the estimator.

        Everything is then computed there. The parameter ``training__device``, the device of `fit`, does not change.

        Parameters
        ----------
        device : str or torch.device
            "cpu", "cuda", "cuda:1" or "auto".

        Raises
        ------
        InvalidParameterError
            If there is no such device, or it has no float64.
        """
        check_is_fitted(self)
        self.refuse_while_trained("to")
        found = find_device(device)
        if not has_float64(found):
            raise InvalidParameterError(
                f"A model cannot be moved to '{device}', which has no float64: it is trained there, with "
                "Training(device='mps'), and used on the CPU. Use 'cpu'."
            )
        self.model_ = self.model_.to(found)
        return self


class Modules(Movable):
    """Encoder and decoder of a fitted autoencoder."""

    @property
    def encoder_(self) -> EncoderHalf:
        """Preprocessing, encoder and bottleneck as a module: from records in their own units to codes."""
        check_is_fitted(self)
        return self.model_.encoder

    @property
    def decoder_(self) -> DecoderHalf:
        """Decoder and inverse of the preprocessing as a module: from codes to records in their own units."""
        check_is_fitted(self)
        return self.model_.decoder

    def summary(self) -> Summary:
        """Return the layers with the shapes of their outputs and their numbers of parameters.

        As text it is the table that Keras prints. Numbers that no gradient changes, such as means of the data, count as
        not trainable.

        Examples
        --------
        >>> import numpy as np
        >>> import narrows
        >>> from narrows.networks import Dense
        >>> X = np.random.default_rng(0).normal(size=(100, 8))
        >>> settings = {"preprocessing": (), "artefacts": (), "training": narrows.Training(epochs=1)}
        >>> narrows.Autoencoder(2, network=Dense(widths=()), likelihood="normal", **settings).fit(X).summary()
        layer (type)                  output shape  parameters
        ──────────────────────────────────────────────────────
        records (float64)             (n, 8)                 0
        encoder.layers.0 (Linear)     (n, 2)                18
        encoder.last (Identity)       (n, 2)                 0
        bottleneck (plain)            (n, 2)                 0
        decoder.flatten (Flatten)     (n, 2)                 0
        decoder.layers.0 (Linear)     (n, 8)                24
        decoder.last (Identity)       (n, 8)                 0
        decoder.to_records (Reshape)  (n, 8)                 0
        likelihood (normal)           (n, 8)                 1
        ──────────────────────────────────────────────────────
        parameters: 43 (172 bytes)
        trainable: 42
        not trainable: 1
        """
        from narrows.model.summary import summarise

        check_is_fitted(self)
        return summarise(self.chain_, self.dtype_)

    def export_onnx(self, path: str | os.PathLike[str], *, part: str = "autoencoder", force: bool = False) -> Path:
        """Write the model, or one half of it, as an ONNX file for other programs.

        Preprocessing is inside, and the number of records is not fixed. The graph computes in the precision of the
        weights.

        Parameters
        ----------
        path : path-like
            The file to write.
        part : "autoencoder", "encoder" or "decoder"
            The input is ``records`` in the units and the dtype of the training data (uint16 as float32, uint32 and
            uint64 as int64), or ``codes`` (n, n_latent_). The output is ``codes``, or ``restored``: records as floats,
            neither rounded nor clipped. Conditional models have a second input, ``labels`` (n,): positions in
            ``classes_``.
        force : bool
            Replace an existing file.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        MissingPackageError
            If the package onnx is not installed; ``pip install 'narrows[onnx]'`` installs it.
        NotDecodableError
            If the decoder is to be written and needs more than the code, as one that unpools with switches does.
        NotExportableError
            If the model has operations that ONNX files lack. The file is checked before it is written, by ONNX Runtime
            too if that is installed.
        OutputExistsError
            If the file exists and ``force`` is not set.
        """
        from narrows.model.onnx import export_onnx

        check_is_fitted(self)
        return export_onnx(self.chain_, self.dtype_, path, part=part, force=force)
