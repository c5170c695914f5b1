"""The object people hold: an autoencoder as a scikit-learn transformer."""

from __future__ import annotations

import copy
import hashlib
import math
import os
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from torch import nn

import narrows.data
from narrows.auto import choose_parts
from narrows.bottlenecks import Bottleneck
from narrows.chain import Chain
from narrows.corruptions import Corruption
from narrows.data import Source
from narrows.errors import InvalidParameterError, ShapeMismatchError, UnknownNameError
from narrows.files import check_output
from narrows.inference import corrupt, decode, encode, encode_unquantised, mean_total, to_stored
from narrows.integer_half import IntegerHalf
from narrows.likelihoods import Likelihood
from narrows.networks import Network
from narrows.parameters import device_of, residual_of, training_of, with_options
from narrows.part import split_nested
from narrows.pca import PrincipalComponents
from narrows.residuals import Residual
from narrows.training import Checkpoint, Records, Training, Watcher, stream, train

if TYPE_CHECKING:
    from narrows.codec.frozen import FrozenCodec

__all__ = ["Autoencoder", "Data"]

Data = ArrayLike | str | Path | Source
"""Records (n, *shape) as an array, a path, a name, or an open source."""

_TRAIN_ON_FINITE = (
    "Training needs finite values: leave out the records that have others, or fill these, "
    "as numpy.where(numpy.isfinite(x), x, 0) does. The model then still compresses data that have them, "
    "by max_error or lossless."
)


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """An autoencoder: learns to push records through a narrow code and get them back.

    It minimises, per record and in nats, −log p(x | z) + cost of the bottleneck + penalties, for the code
    z = bottleneck(encoder(x̃)) of the corrupted record x̃. Every part is given by name or by value, and "auto" is chosen
    for the data when they are seen. Nested settings are set as scikit-learn nests them: ``training__epochs=30``.

    Parameters
    ----------
    n_latent : int, optional
        Numbers in the code of a record. None: chosen by the size of a record, at most 32 (128 for large images).
    network : "auto", "dense", "convolutional" or Network
        Encoder and decoder.
    bottleneck : "plain", "top-k", "rounded" or Bottleneck
        What stands between them.
    likelihood : "auto", "bernoulli", "normal", "laplace" or Likelihood
        What the decoder's output means; decides the loss.
    corruption : "gaussian", "masking", "salt-and-pepper", Corruption or None
        Noise on the input while training: a denoising autoencoder.
    penalties : sequence of "l1", "kl-sparsity", "contractive" or Penalty
        Further costs.
    preprocessing : "auto", or a sequence of "unit-scale", "mean-removal", "standardise", "binarise" or Preprocessing
        Between people's units and the networks'; undone on the way out.
    residual : "causal", Residual or None
        What is learned besides, to keep values exactly in archives with few bytes.
    training : Training, optional
        How to train. None: the defaults of `Training`.
    random_state : int, RandomState or None
        Where all randomness comes from. The same int gives the same model on the same machine.

    Attributes
    ----------
    chain_ : Chain
        The trained parts in a row.
    encoder_, decoder_ : torch.nn.Module
        The two networks on their own: preprocessed records (n, *shape) to codes, codes to the likelihood's parameters.
    history_ : list of dict
        One row for each epoch: epoch, loss, validation_loss, learning_rate, seconds, records_per_second.
    n_latent_ : int
        Numbers in the code of a record.
    shape_, dtype_ : tuple of int, numpy.dtype
        Of the records it was trained on; records come back in them.
    integer_half_ : IntegerHalf
        What archives need of the model, `frozen_`, or why there is nothing of the kind.
    pca_ : PrincipalComponents
        PCA of the training data with ``n_latent_`` components, to compare with.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.random.default_rng(0).normal(size=(100, 8))
    >>> model = Autoencoder(n_latent=2, training=Training(epochs=3), random_state=0).fit(X)
    >>> model.transform(X).shape
    (100, 2)
    >>> model.inverse_transform(model.transform(X)).shape
    (100, 8)
    """

    def __init__(
        self,
        n_latent: int | None = None,
        *,
        network: str | Network = "auto",
        bottleneck: str | Bottleneck = "plain",
        likelihood: str | Likelihood = "auto",
        corruption: str | Corruption | None = None,
        penalties: Any = (),
        preprocessing: Any = "auto",
        residual: str | Residual | None = None,
        training: Training | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_latent = n_latent
        self.network = network
        self.bottleneck = bottleneck
        self.likelihood = likelihood
        self.corruption = corruption
        self.penalties = penalties
        self.preprocessing = preprocessing
        self.residual = residual
        self.training = training
        self.random_state = random_state

    def set_params(self, **params: Any) -> Self:
        """Change parameters, nested ones as ``part__option``; a part given by name is made first.

        Raises
        ------
        UnknownNameError
            If there is no such parameter or option; the nearest is suggested.
        InvalidParameterError
            If an option's value is not allowed. Then nothing is changed.
        """
        changed = self.get_params(deep=False)
        whole, nested = split_nested(params)
        for name in [*whole, *nested]:
            if name not in changed:
                raise UnknownNameError("parameter of Autoencoder", name, changed)
        # Whole parts first, so that their own settings apply to the new part.
        changed |= whole
        changed |= {name: with_options(name, changed[name], inner) for name, inner in nested.items()}
        self.__dict__.update(changed)
        return self

    def fit(
        self,
        X: Data,
        y: object = None,
        *,
        validation: Data | None = None,
        watcher: Watcher | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> Self:
        """Learn to encode and restore records.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The training data, of any real dtype.
        y : ignored
            Present because scikit-learn passes it.
        validation : array_like, path, name or Source, optional
            Records to measure the validation loss on, instead of ``training.validation``'s share of X.
        watcher : Watcher, optional
            Is told how the run goes.
        checkpoint : path-like, optional
            Where to keep the run's state, so that Ctrl-C or a kill loses nothing. Delete it once the model is saved.
        resume : bool
            Go on from the checkpoint, if there is one; the result is that of an uninterrupted run.

        Raises
        ------
        InvalidParameterError
            If a parameter is nothing that it can be.
        DataError
            If the data cannot be used.
        TrainingDivergedError
            If the loss stops being finite.
        """
        self.__dict__.pop("chain_", None)  # a fit that fails leaves no model of other records behind
        source = self._open(X, reset=True, advice=_TRAIN_ON_FINITE)
        settings = training_of(self.training)
        parts = choose_parts(self.get_params(deep=False), source.shape, source.dtype)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        held_out_source = None if validation is None else self._open(validation, reset=False, advice=_TRAIN_ON_FINITE)
        state = None
        if checkpoint is not None:
            check_output(checkpoint, force=True)
            state = Checkpoint(Path(checkpoint), _describe(self, source, held_out_source))
        if state is not None and resume and (kept := state.load()) is not None:
            seed = kept.values["seed"]

        share = 0.0 if held_out_source is not None else settings.validation
        rows, held_out_rows = _split(len(source), share, seed)
        device = device_of(settings)
        records = Records(source.values, device, rows)
        held_out = None if held_out_rows is None else Records(source.values, device, held_out_rows)
        if held_out_source is not None:
            held_out = Records(held_out_source.values, device)
        if settings.patience is not None and held_out is None:
            raise InvalidParameterError(
                "Early stopping by 'patience' needs validation data. Set training__validation=0.1, or pass validation=."
            )
        chain = Chain(parts, source.shape, source.dtype, stream(seed, 0)).to(device, _precision(settings))
        chain.prepare_for(records.batches)
        residual = residual_of(self.residual)
        expected = None if residual is None else residual.build(source.shape, source.dtype, stream(seed, 5)).to(device)
        history = train(chain, records, held_out, settings, seed=seed, watcher=watcher, checkpoint=state, resume=resume)
        freeze_residual = None
        if residual is not None and expected is not None:
            train(expected, records, None, residual.training(len(records)), seed=seed, watcher=watcher)
            freeze_residual = partial(residual.freeze, expected)
        self.chain_ = chain.eval()
        self.range_ = _range(source.values)
        self.integer_half_ = IntegerHalf.freeze(self.chain_, records, self.range_, seed, freeze_residual)
        self.history_ = [row.to_json() for row in history]
        self.n_latent_ = math.prod(chain.bottleneck.z_shape)
        self.trained_on_: dict[str, Any] = {"name": source.name, "n_records": len(records), "seed": seed}
        self.pca_ = PrincipalComponents.fit(source.values, self.n_latent_, seed, rows=rows)
        return self

    def transform(self, X: Data) -> NDArray[Any]:
        """Return the codes of records (n, *shape), as floats of shape (n, n_latent_).

        Float64 records are encoded in float64, all others in the model's own precision.
        """
        check_is_fitted(self)
        return encode(self.chain_, self._open(X, reset=False).values)

    def inverse_transform(self, Z: ArrayLike) -> NDArray[Any]:
        """Return the records that codes (n, n_latent_) stand for, in the units and dtype of the training data.

        Raises
        ------
        ShapeMismatchError
            If the codes have another length than the model's.
        """
        check_is_fitted(self)
        codes = check_array(Z, dtype=[np.float64, np.float32])
        if codes.shape[1] != self.n_latent_:
            raise ShapeMismatchError(f"The model's codes have {self.n_latent_} numbers. Got {codes.shape[1]}.")
        return to_stored(decode(self.chain_, codes), self.dtype_)

    def reconstruct(self, X: Data) -> NDArray[Any]:
        """Return records (n, *shape) after going through the code, in the units and dtype of the training data."""
        check_is_fitted(self)
        values = self._open(X, reset=False).values
        return to_stored(decode(self.chain_, encode(self.chain_, values)), self.dtype_)

    def denoise(self, X: Data) -> NDArray[Any]:
        """Return noisy records (n, *shape) restored, in the units and dtype of the training data.

        What comes back through the code: a model that was trained with ``corruption`` has learned to restore clean
        records from damaged ones, and takes noise like that of its training away. One trained without has learned to
        keep what it is given, and takes away only what its code has no room for.

        Vincent, Larochelle, Bengio and Manzagol (2008), "Extracting and composing robust features with denoising
        autoencoders", section 2.3.
        """
        return self.reconstruct(X)

    def corrupt(self, X: Data, *, random_state: Any = None) -> NDArray[Any]:
        """Return records (n, *shape) damaged as in training, in their own units and dtype.

        Raises
        ------
        InvalidParameterError
            If the model was trained without corruption.
        """
        check_is_fitted(self)
        if self.chain_.corruption is None:
            raise InvalidParameterError("The model was trained without corruption, so there is none to apply.")
        seed = int(check_random_state(random_state).randint(2**31 - 1))
        return to_stored(corrupt(self.chain_, self._open(X, reset=False).values, seed), self.dtype_)

    def score(self, X: Data, y: object = None) -> float:
        """Return minus the mean loss of a record, in nats; nothing is corrupted. Higher is better."""
        check_is_fitted(self)
        return -mean_total(self.chain_, self._open(X, reset=False).values)

    def quantise(self, X: Data, quality: int | None = None) -> NDArray[np.int32]:
        """Return the whole numbers that stand for records in archives, of shape (n, n_symbols).

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The records.
        quality : int, optional
            Index into ``frozen_.qualities``, which go from coarse to fine. None: the usual one, ``frozen_.usual``.

        Raises
        ------
        NotFreezableError
            If the model has no integer decoder that could restore them.
        InvalidParameterError
            If it has no such quality.
        """
        from narrows.codec.calibration import to_symbols

        check_is_fitted(self)
        steps = self.integer_half_.steps(quality)
        return to_symbols(encode_unquantised(self.chain_, self._open(X, reset=False).values), steps)

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> None:
        """Write the model as one safetensors file, to be read by `narrows.load`.

        Raises
        ------
        OutputExistsError
            If the file exists and ``force`` is not set.
        """
        from narrows.store import save

        check_is_fitted(self)
        save(self, path, force=force)

    @property
    def encoder_(self) -> nn.Module:
        """The encoder on its own."""
        return self.chain_.encoder

    @property
    def decoder_(self) -> nn.Module:
        """The decoder on its own."""
        return self.chain_.decoder

    @property
    def frozen_(self) -> FrozenCodec:
        """The integer half of the model, which restores archives to the same bytes everywhere.

        Raises
        ------
        NotFreezableError
            If the decoder cannot be turned into integer arithmetic; says why.
        """
        check_is_fitted(self)
        return self.integer_half_.codec

    @property
    def _n_features_out(self) -> int:
        return self.n_latent_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "chain_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _open(self, X: Data, *, reset: bool, advice: str | None = None) -> Source:
        """Return the records as a source, checked; ``reset`` learns their shape, otherwise it must be the model's."""
        if isinstance(X, (str, os.PathLike, Source)) or _n_dimensions(X) > 2:
            source = narrows.data.open(X)
            if reset:
                self.n_features_in_ = math.prod(source.shape)
                self.__dict__.pop("feature_names_in_", None)
        else:
            # A table: scikit-learn checks it, and its column names.
            table = validate_data(self, X, reset=reset, dtype="numeric", ensure_all_finite=False)
            source = narrows.data.open(table)
        if reset:
            self.shape_, self.dtype_ = source.shape, source.dtype
        if source.shape != self.shape_:
            raise ShapeMismatchError(f"The model was trained on records of shape {self.shape_}. Got {source.shape}.")
        narrows.data.check_finite(source, advice=advice)
        return source


def _n_dimensions(X: Any) -> int:
    return int(X.ndim) if hasattr(X, "ndim") else np.asarray(X).ndim


def _split(n: int, share: float, seed: int) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
    """Draw which of n records to train on and which to hold out for validation; None, None: train on all."""
    n_held_out = round(share * n)
    if share == 0:
        return None, None
    if n_held_out == 0:
        raise InvalidParameterError(
            f"A validation share of {share:g} of {n} record{'s' if n != 1 else ''} is none. "
            "Set a larger share, or 0 to validate on nothing."
        )
    if n_held_out == n:
        raise InvalidParameterError(f"A validation share of {share:g} leaves nothing of {n} records.")
    order = np.random.default_rng(seed).permutation(n)
    return np.sort(order[n_held_out:]), np.sort(order[:n_held_out])


def _precision(settings: Training) -> torch.dtype:
    return torch.float64 if settings.precision == "float64" else torch.float32


def _range(values: NDArray[Any]) -> tuple[float, float]:
    chunks = [values[start : start + 4096] for start in range(0, len(values), 4096)]
    return float(min(chunk.min() for chunk in chunks)), float(max(chunk.max() for chunk in chunks))


def _describe(model: Autoencoder, source: Source, validation: Source | None) -> dict[str, Any]:
    """Say what a run is, so that no other is resumed in its place."""
    settings = copy.copy(model.get_params(deep=False))
    if settings["random_state"] is not None and not isinstance(settings["random_state"], Integral):
        settings["random_state"] = "generator"
    return {
        **{name: repr(value) for name, value in settings.items()},
        **_describe_data("data", source),
        **({} if validation is None else _describe_data("validation data", validation)),
    }


def _describe_data(what: str, source: Source) -> dict[str, Any]:
    some = source.values[:: max(len(source.values) // 1000, 1)]
    return {
        f"shape of the {what}": list(source.values.shape),
        f"type of the {what}": str(source.dtype),
        f"content of the {what}": hashlib.sha256(np.ascontiguousarray(some).tobytes()).hexdigest(),
    }
