"""The object people hold: an autoencoder as a scikit-learn transformer."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted
from torch import nn

from narrows.bottlenecks import Bottleneck
from narrows.corruptions import Corruption
from narrows.density import CodeDensity
from narrows.errors import InvalidParameterError, ShapeMismatchError
from narrows.estimator import TRAIN_ON_FINITE, Data, RecordsEstimator
from narrows.files import check_output
from narrows.inference import corrupt, decode, encode, encode_unquantised, mean_total, reconstruct, to_stored
from narrows.integer_half import IntegerHalf
from narrows.likelihoods import Likelihood
from narrows.networks import Network
from narrows.parameters import device_of, residual_of, training_of
from narrows.pca import PrincipalComponents
from narrows.pretraining import Pretraining
from narrows.residuals import Residual
from narrows.stages import chain_stages, new_chain, split, whole
from narrows.training import Checkpoint, Records, Stage, Training, Watcher, stream, train

if TYPE_CHECKING:
    from narrows.codec.frozen import FrozenCodec

__all__ = ["Autoencoder", "Data"]


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
    bottleneck : "plain", "top-k", "rounded" or Bottleneck
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
    pretraining_history_ : list of dict
        The same for the stages of pretraining, which are told apart by ``stage``.
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
        self.training = training
        self.random_state = random_state

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
        source = self._open(X, reset=True, advice=TRAIN_ON_FINITE)
        settings, params = training_of(self.training), self.get_params(deep=False)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        held_out_source = None if validation is None else self._open(validation, reset=False, advice=TRAIN_ON_FINITE)
        state = None
        if checkpoint is not None:
            check_output(checkpoint, force=True)
            state = Checkpoint(Path(checkpoint), self._describe_run(source, validation=held_out_source))
        if state is not None and resume and (kept := state.load()) is not None:
            seed = kept.values["seed"]

        rows, held_out_rows = split(len(source), 0.0 if held_out_source is not None else settings.validation, seed)
        device = device_of(settings)
        records = Records(source.values, device, rows)
        held_out = None if held_out_rows is None else Records(source.values, device, held_out_rows)
        if held_out_source is not None:
            held_out = Records(held_out_source.values, device)
        chain = new_chain(params, source, records, seed)
        pretraining, own = chain_stages(params, chain, records, held_out)
        stages = [*pretraining, own]
        residual, expected = residual_of(self.residual), None
        if residual is not None:
            expected = residual.build(source.shape, source.dtype, stream(seed, 5)).to(device)
            stages.append(Stage(expected, records, None, residual.training(len(records)), name="residuals"))
        everything = whole(chain=chain, residual=expected)
        histories = train(stages, everything, seed=seed, watcher=watcher, checkpoint=state, resume=resume)
        self.chain_ = chain.eval()
        self.range_ = _range(source.values)
        freeze_residual = None if residual is None or expected is None else partial(residual.freeze, expected)
        self.density_ = CodeDensity.of(self.chain_, records, seed)
        self.integer_half_ = IntegerHalf.freeze(self.chain_, records, self.range_, seed, freeze_residual)
        self.history_ = [row.to_json() for row in histories[len(pretraining)]]
        self.pretraining_history_ = [
            {"stage": stage.name, **row.to_json()}
            for stage, history in zip(pretraining, histories, strict=False)
            for row in history
        ]
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
        NotDecodableError
            If the decoder needs more of the records than their codes, as one that unpools with switches does.
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
        return to_stored(reconstruct(self.chain_, values), self.dtype_)

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

    def sample(
        self, n: int = 1, *, source: str = "auto", noise: bool = False, random_state: Any = None
    ) -> NDArray[Any]:
        """Return n new records (n, *shape), in the units and dtype of the training data.

        What the decoder makes of codes that are drawn: from the prior N(0, I), where the model was trained to have its
        codes there (variational models, and those with the penalty ``mmd``), else from `density_`.

        Parameters
        ----------
        n : int
            How many.
        source : "auto", "prior" or "density"
            What the codes are drawn from.
        noise : bool
            Draw from the likelihood p(x | z); otherwise records are its means.
        random_state : int, RandomState or None
            What is drawn comes from it.

        Raises
        ------
        InvalidParameterError
            If the model has not what codes are to be drawn from.
        NotDecodableError
            If the decoder needs more of a record than its code.
        """
        from narrows.uses.generate import sample

        check_is_fitted(self)
        return sample(self, n, source=source, noise=noise, random_state=random_state)

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


def _range(values: NDArray[Any]) -> tuple[float, float]:
    chunks = [values[start : start + 4096] for start in range(0, len(values), 4096)]
    return float(min(chunk.min() for chunk in chunks)), float(max(chunk.max() for chunk in chunks))
