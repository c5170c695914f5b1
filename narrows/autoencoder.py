"""The object people hold: an autoencoder as a scikit-learn transformer."""

from __future__ import annotations

import math
import os
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted
from torch import nn

from narrows.bottlenecks import Bottleneck
from narrows.corruptions import Corruption
from narrows.data import Source
from narrows.density import CodeDensity
from narrows.errors import InvalidParameterError, ShapeMismatchError
from narrows.estimator import TRAIN_ON_FINITE, Data, RecordsEstimator, labels_of
from narrows.inference import corrupt, decode, encode, encode_unquantised, mean_total, reconstruct, to_stored
from narrows.integer_half import IntegerHalf
from narrows.likelihoods import Likelihood
from narrows.networks import Network
from narrows.options import Flag, check
from narrows.parameters import device_of, residual_of, training_of
from narrows.pca import PrincipalComponents
from narrows.pretraining import Pretraining
from narrows.residuals import Residual
from narrows.stages import chain_stage, new_chain, pretraining_stages, records_of, split, whole
from narrows.training import Records, Stage, Training, Watcher, stream, train
from narrows.training.workers import one_openmp_thread

if TYPE_CHECKING:
    from narrows.codec.frozen import FrozenCodec

__all__ = ["Autoencoder", "Data"]

_CONDITIONAL = "This conditional model"


class Autoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, RecordsEstimator):  # type: ignore[misc]
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
    bottleneck : "plain", "top-k", "gaussian", "rounded", "vector-quantised" or Bottleneck
        What stands between them.
    likelihood : "auto", "bernoulli", "normal", "laplace" or Likelihood
        What the decoder's output means; decides the loss.
    corruption : "gaussian", "masking", "salt-and-pepper", Corruption or None
        Noise on the input while training: a denoising autoencoder.
    penalties : sequence of "l1", "kl-sparsity", "contractive", "mmd" or Penalty
        Further costs.
    preprocessing : "auto", or a sequence of "unit-scale", "mean-removal", "standardise", "binarise" or Preprocessing
        Between people's units and the networks'; undone on the way out.
    pretraining : "layer-wise", Pretraining or None
        What the weights go through before the whole chain is trained.
    residual : "causal", Residual or None
        What is learned besides, to keep values exactly in archives with few bytes.
    conditional : bool
        Tell encoder and decoder the label of each record: a code then says what the label does not, and records of a
        chosen label can be generated (Sohn, Lee and Yan 2015).
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
        One row for each epoch: epoch, loss, validation_loss, learning_rate, seconds, records_per_second,
        threads, shards.
    pretraining_history_ : list of dict
        The same for the stages of pretraining, which are told apart by ``stage``.
    classes_ : ndarray of shape (n_classes,)
        The labels there were, sorted; of conditional models only.
    n_latent_ : int
        Numbers in the code of a record.
    shape_, dtype_ : tuple of int, numpy.dtype
        Of the records it was trained on; records come back in them.
    integer_half_ : IntegerHalf
        What archives need of the model, `frozen_`, or why there is nothing of the kind.
    density_ : CodeDensity or None
        Mixture of normal distributions fitted to the codes of training records, for `sample`. None in models saved
        before there were such.
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
        pretraining: str | Pretraining | None = None,
        residual: str | Residual | None = None,
        conditional: bool = False,
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
        self.pretraining = pretraining
        self.residual = residual
        self.conditional = conditional
        self.training = training
        self.random_state = random_state

    def fit(
        self,
        X: Data,
        y: ArrayLike | None = None,
        *,
        validation: Data | tuple[Data, ArrayLike] | None = None,
        watcher: Watcher | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
    ) -> Self:
        """Learn to encode and restore records.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The training data, of any real dtype.
        y : array_like of shape (n,), optional
            Labels, for conditional models; named data sets bring their own. Others ignore it.
        validation : array_like, path, name or Source, optional
            Records to measure the validation loss on, instead of ``training.validation``'s share of X; for conditional
            models with labels of their own, or as a pair of records and labels.
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
        for name in ("chain_", "classes_"):
            self.__dict__.pop(name, None)  # a fit that fails leaves no model of other records behind
        source = self._open(X, reset=True, advice=TRAIN_ON_FINITE)
        settings, params = training_of(self.training), self.get_params(deep=False)
        check("Autoencoder", "conditional", self.conditional, Flag())
        labels = None
        if self.conditional:
            self.classes_, labels = np.unique(labels_of(source, y, owner=_CONDITIONAL), return_inverse=True)
            if self.residual is not None:
                raise InvalidParameterError("A conditional model makes no archives: set residual=None.")
        held_out_source, held_out_labels = None, None
        if validation is not None:
            x, of_x = validation if self.conditional and isinstance(validation, tuple) else (validation, None)
            held_out_source = self._open(x, reset=False, advice=TRAIN_ON_FINITE)
            if self.conditional:
                held_out_labels = self._positions(labels_of(held_out_source, of_x, owner=_CONDITIONAL))
        told = {"labels": labels, "validation labels": held_out_labels}
        seen = {"data": source, "validation data": held_out_source}
        seed, state = self._seed_and_checkpoint(checkpoint, seen, told, resume=resume)

        rows, held_out_rows = split(len(source), 0.0 if held_out_source is not None else settings.validation, seed)
        device = device_of(settings)
        records = Records(source.values, device, rows)
        held_out = None if held_out_rows is None else records_of(source.values, labels, device, held_out_rows)
        if held_out_source is not None:
            held_out = records_of(held_out_source.values, held_out_labels, device)
        chain = new_chain(params, source, records, seed, n_classes=0 if labels is None else len(self.classes_))
        learned_from = records_of(source.values, labels, device, rows)
        pretraining = pretraining_stages(params, chain, learned_from)
        own = chain_stage(params, chain, learned_from, held_out, name="all layers" if pretraining else "")
        stages = [*pretraining, own]
        residual, expected = residual_of(self.residual), None
        if residual is not None:
            expected = residual.build(source.shape, source.dtype, stream(seed, 5)).to(device)
            stages.append(Stage(expected, records, None, residual.training(len(records)), name="residuals"))
        everything = whole(chain=chain, residual=expected)
        histories = train(
            stages,
            everything,
            seed=seed,
            watcher=watcher,
            checkpoint=state,
            resume=resume,
            threads=settings.threads,
        )
        self.chain_ = chain.eval()
        self.range_ = _range(source.values)
        freeze_residual = None if residual is None or expected is None else partial(residual.freeze, expected)
        with one_openmp_thread():
            self.density_ = CodeDensity.of(self.chain_, learned_from, seed)
            self.integer_half_ = IntegerHalf.freeze(self.chain_, records, self.range_, seed, freeze_residual)
        self.history_ = [row.to_json() for row in histories[len(pretraining)]]
        self.pretraining_history_ = [
            {"stage": stage.name, **row.to_json()}
            for stage, history in zip(pretraining, histories, strict=False)
            for row in history
        ]
        self.n_latent_ = math.prod(chain.bottleneck.z_shape)
        self.trained_on_: dict[str, Any] = {"name": source.name, "n_records": len(records), "seed": seed}
        self.pca_ = PrincipalComponents.fit(source.values, chain.bottleneck.n_numbers, seed, rows=rows)
        return self

    def fit_transform(self, X: Data, y: ArrayLike | None = None, **fit_params: Any) -> NDArray[Any]:
        """Return the codes of records (n, *shape) after learning from them."""
        return self.fit(X, y, **fit_params).transform(X, y)

    def transform(self, X: Data, y: ArrayLike | None = None) -> NDArray[Any]:
        """Return the codes of records (n, *shape), as floats of shape (n, n_latent_).

        Float64 records are encoded in float64, all others in the model's own precision. Conditional models need the
        labels y (n,), unless the data bring their own; others ignore them.
        """
        check_is_fitted(self)
        source = self._open(X, reset=False)
        return encode(self.chain_, source.values, self.classes_of(source, y))

    def inverse_transform(self, Z: ArrayLike, y: ArrayLike | None = None) -> NDArray[Any]:
        """Return the records that codes (n, n_latent_) stand for, in the units and dtype of the training data.

        Conditional models need the labels y (n,) besides; others ignore them.

        Raises
        ------
        ShapeMismatchError
            If the codes have another length than the model's.
        NotDecodableError
            If the decoder needs more of the records than their codes, as one that unpools with switches does.
        """
        check_is_fitted(self)
        codes = check_array(Z, dtype=[np.float64, np.float32])
        if codes.shape[1] != self.n_latent_:
            raise ShapeMismatchError(f"The model's codes have {self.n_latent_} numbers. Got {codes.shape[1]}.")
        return to_stored(decode(self.chain_, codes, self.classes_of(Source(codes, name="Z"), y)), self.dtype_)

    def reconstruct(self, X: Data, y: ArrayLike | None = None) -> NDArray[Any]:
        """Return records (n, *shape) after going through the code, in the units and dtype of the training data.

        Conditional models need the labels y (n,), unless the data bring their own; others ignore them.
        """
        check_is_fitted(self)
        source = self._open(X, reset=False)
        return to_stored(reconstruct(self.chain_, source.values, self.classes_of(source, y)), self.dtype_)

    def denoise(self, X: Data, y: ArrayLike | None = None) -> NDArray[Any]:
        """Return noisy records (n, *shape) restored, in the units and dtype of the training data.

        What comes back through the code: a model that was trained with ``corruption`` has learned to restore clean
        records from damaged ones, and takes noise like that of its training away. One trained without has learned to
        keep what it is given, and takes away only what its code has no room for.

        Vincent, Larochelle, Bengio and Manzagol (2008), "Extracting and composing robust features with denoising
        autoencoders", section 2.3.
        """
        return self.reconstruct(X, y)

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

    def sample(
        self,
        n: int = 1,
        y: ArrayLike | None = None,
        *,
        source: str = "auto",
        noise: bool = False,
        random_state: Any = None,
    ) -> NDArray[Any]:
        """Return n new records (n, *shape), in the units and dtype of the training data.

        What the decoder makes of codes that are drawn: from the prior N(0, I), where the model was trained to have its
        codes there (variational models, and those with the penalty ``mmd``), else from `density_`.

        Parameters
        ----------
        n : int
            How many.
        y : label, or array_like of shape (n,), optional
            Of a conditional model: which labels they are to have. None: one label after the other, all equally often.
        source : "auto", "prior" or "density"
            What the codes are drawn from.
        noise : bool
            Draw from the likelihood p(x | z); otherwise records are its means.
        random_state : int, RandomState or None
            What is drawn comes from it.

        Raises
        ------
        InvalidParameterError
            If the model has not what codes are to be drawn from, or is told no labels.
        DataError
            If there is no such label.
        NotDecodableError
            If the decoder needs more of a record than its code.
        """
        from narrows.uses.generate import sample

        check_is_fitted(self)
        return sample(self, n, y, source=source, noise=noise, random_state=random_state)

    def score(self, X: Data, y: ArrayLike | None = None) -> float:
        """Return minus the mean loss of a record, in nats; nothing is corrupted. Higher is better.

        Raises
        ------
        DataError
            If the likelihood says nothing of such values, as a Bernoulli one of those outside [0, 1].
        """
        check_is_fitted(self)
        source = self._open(X, reset=False)
        return -mean_total(self.chain_, source.values, self.classes_of(source, y))

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

    def classes_of(self, source: Source, y: ArrayLike | None) -> NDArray[np.int64] | None:
        """Return the classes of records as positions in ``classes_``; None where the model is not told of them."""
        return self._positions(labels_of(source, y, owner=_CONDITIONAL)) if self.chain_.parts.n_classes else None

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


def _range(values: NDArray[Any]) -> tuple[float, float]:
    chunks = [values[start : start + 4096] for start in range(0, len(values), 4096)]
    return float(min(chunk.min() for chunk in chunks)), float(max(chunk.max() for chunk in chunks))
