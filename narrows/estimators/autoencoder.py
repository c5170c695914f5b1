"""The autoencoder as a scikit-learn transformer."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any, Self

from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils.validation import check_array, check_is_fitted

from narrows.adversaries import Adversary
from narrows.bottlenecks import Bottleneck
from narrows.corruptions import Corruption
from narrows.data import Source
from narrows.data.arrays import check_plain
from narrows.data.frames import as_frame_like
from narrows.data.text.pieces import texts_of
from narrows.errors import ShapeMismatchError
from narrows.estimators.base import Data
from narrows.estimators.continuing import Continuing
from narrows.estimators.interrupted import keeps_what_was_learned
from narrows.estimators.parameters import artefacts_of
from narrows.estimators.runs import checkpoint_of, seed_of
from narrows.estimators.table_rows import rows_like
from narrows.estimators.training_data import described, open_for_training
from narrows.likelihoods import Likelihood
from narrows.lossless import Residual
from narrows.model.fitted import Took
from narrows.model.inference import decode, encode, returned_dtype
from narrows.networks import Network
from narrows.parts.options import Boolean, check
from narrows.training import Callbacks, Training
from narrows.training.pretraining import Pretraining

__all__ = ["Autoencoder", "Data"]


class Autoencoder(
    ClassNamePrefixFeaturesOutMixin,  # type: ignore[misc]
    TransformerMixin,  # type: ignore[misc]
    Continuing,
):
    """An autoencoder, which learns to encode records as short codes and to restore the records from the codes.

    Training minimises the mean loss of a record in nats: −log p(x | z) + cost of the bottleneck + penalties, where
    z = bottleneck(encoder(x̃)) is the code of the corrupted record x̃. Each part is given by its name or as an object.
    `fit` replaces "auto" by a part that suits the data. `set_params` and `narrows.recipe` change settings of parts by
    names as in scikit-learn: ``training__epochs=30``. The constructor takes whole parts:
    ``training=Training(epochs=30)``.

    Parameters
    ----------
    n_latent : int, optional
        Latent dimension: how many numbers a code has. None: chosen from the size of a record, at most 32 (128 for
        large images).
    network : "auto", "dense", "convolutional", "strided", "temporal", "recurrent" or Network
        Encoder and decoder. Or a pair (encoder, decoder) of `torch.nn.Module`, or a function (shape, n_latent) that
        returns one; see `narrows.networks.CustomNetwork`.
    bottleneck : "plain", "top-k", "gaussian", "rounded", "vector-quantised" or Bottleneck
        The layer between encoder and decoder that makes the code.
    likelihood : "auto", "bernoulli", "normal", "laplace", "constrained-normal", "categorical", "columns", "logistic"
        or Likelihood
        The distribution p(x | z) whose parameters the decoder outputs. It defines the reconstruction loss. Or a
        function (x_hat, x) that returns the loss of each record.
    corruption : "cells", "gaussian", "masking", "salt-and-pepper", Corruption or None
        Noise added to the input during training, which makes a denoising autoencoder.
    penalties : sequence of "l1", "kl-sparsity", "contractive", "mmd" or Penalty
        Terms added to the loss. Also functions (z) or (z, x) that return a cost for each record.
    adversary : "codes", "records", Adversary or None
        A discriminator that is trained against the autoencoder, with an optimiser of its own. "codes": codes follow
        N(0, I) (an adversarial autoencoder). "records": decoded draws from N(0, I) look like records (a VAE-GAN).
    preprocessing : "auto", or a sequence of "unit-scale", "mean-removal", "robust-scale", "standardise", "binarise" or
        Preprocessing
        Converts the units of the data to those of the network. Restored records are converted back.
    real_values : "as-given", "standardise" or "unit-scale"
        Whether parts that are made for values in [0, 1] are replaced if the training data are real numbers. With
        "standardise" they are replaced by standardisation, the normal likelihood with a learned scale, and a decoder
        with unlimited output. With "unit-scale" the columns of a table are scaled to [0, 1] by ranges of their own if
        they have different units; where some are constant or their means differ much, the means are removed.
    pretraining : "layer-wise", Pretraining or None
        Training of the weights before the whole chain is trained.
    residual : "causal", "auto", Residual or None
        A second network, trained after the autoencoder, that predicts the exact values. It makes lossless archives
        smaller. "auto": a causal network whose size and training depend on the records, and a short training of the
        code, which such archives seldom use.
    race : bool
        Whether `fit` first compares codes on the records, and trains the one that is expected to give the smallest
        files at the target PSNR: a map, a code without places, and a bound on the errors with a network of residuals.
        This chooses the parts that are "auto", for the bottleneck "rounded" and a likelihood with a target. A training
        of few steps has no race.
    record : "auto", "columns", "image", "series", "text" or "vector"
        What a record is; it affects the choice of "auto" parts. "series": a window of a series, of shape (steps,) or
        (steps, channels). "text": a text, as symbols of its bytes. "columns": a row of a table with columns of several
        kinds. "auto": what the source of the records says, otherwise an image if a record has two or three axes.
    conditional : bool
        Whether the label of each record is an additional input of encoder and decoder. The code then need not represent
        the label, and records with a given label can be generated (Sohn, Lee and Yan 2015).
    training : Training, optional
        How to train. None: the defaults of `Training`.
    artefacts : "all", or a sequence of "pca", "columns", "density", "search" and "codec"
        What is measured on the training records: PCA for comparisons ("columns": that of tables), a density of codes
        for sampling, and the archive codec. `fit` measures PCA, and keeps a sample of records for the others, which are
        measured at first use or when the model is saved. ``artefacts=()``: none; `measure` measures them later.
    fill_value : float, optional
        A value that stands for missing values, such as -9999 or NaN. Missing values count neither in the statistics of
        the data nor in the loss or the metrics, and the encoder gets the mean of their column instead of them.
    warm_start : bool
        Whether `fit` continues from the weights of the fitted model, with its parts and its preprocessing, instead of
        starting again. Optimiser, schedule and history start again.
    random_state : int, RandomState, Generator or None
        Source of all randomness. The same int gives the same model on the same machine.
    verbose : bool or int
        What `fit` shows on standard error. 0: nothing. 1: a progress bar on terminals and in notebooks (which need
        ipywidgets for it), elsewhere at most 30 lines. 2: a line for each epoch. The model does not depend on it.

    Attributes
    ----------
    chain_ : Chain
        The trained parts in sequence.
    encoder_, decoder_ : torch.nn.Module
        Encoder and decoder for tensors: ``encoder_(records)`` returns codes (n, n_latent_), ``decoder_(codes)`` returns
        records. Records are in the units of the training data; see `narrows.model.halves`. The networks on their own
        are ``chain_.encoder`` and ``chain_.decoder``.
    history_ : list of dict
        One row for each epoch: epoch, loss, validation_loss, learning_rate, seconds, records_per_second, threads,
        shards, mse and validation_mse (squared errors of a value in preprocessed units); see `narrows.training.Epoch`.
    pretraining_history_ : list of dict
        The same for pretraining; ``stage`` names the stage.
    classes_ : ndarray of shape (n_classes,)
        The sorted labels of the training data; conditional models only.
    comparison_ : Comparison or None
        Comparison with PCA on held-out records, for networks with a linear path. It includes which of the two was kept.
    kept_ : Kept or None
        The epoch whose weights were kept, with its losses, or the losses of the linear autoencoder that was kept.
    n_latent_ : int
        The latent dimension.
    shape_, dtype_ : tuple of int, numpy.dtype
        Shape and dtype of the training records. Restored records have the same shape and dtype, except that tables of
        whole numbers are restored as floats.
    range_ : (float, float)
        Smallest and largest training value. Records on another scale cause a `narrows.errors.RangeWarning`.
    fill_value_ : float or None
        The fill value.
    record_ : "columns", "image", "series", "text" or "vector"
        What the training records were treated as.
    pca_ : PrincipalComponents or None
        PCA of the training data with ``n_latent_`` components, for comparisons.
    latent_density_ : LatentDensity or None
        Mixture of normal distributions fitted to the codes of training records, for `sample`.
    codec_ : FrozenCodec
        The decoder in integer arithmetic, which reads and writes archives.
    codec_error_ : str or None
        The reason why there is no ``codec_``.
    unmeasured_ : dict of str to str
        The artefacts that the model lacks (``pca``, ``density``, ``search``, ``codec``), each with the reason; see
        `measure`.
    model_ : FittedModel
        All of the above as one immutable value.

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

    kind = "autoencoder"

    def __init__(
        self,
        n_latent: int | None = None,
        *,
        network: str | Network = "auto",
        bottleneck: str | Bottleneck = "plain",
        likelihood: str | Likelihood = "auto",
        corruption: str | Corruption | None = None,
        penalties: Any = (),
        adversary: str | Adversary | None = None,
        preprocessing: Any = "auto",
        real_values: str = "as-given",
        pretraining: str | Pretraining | None = None,
        residual: str | Residual | None = None,
        race: bool = False,
        record: str = "auto",
        conditional: bool = False,
        training: Training | None = None,
        artefacts: str | Sequence[str] = "all",
        fill_value: float | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool | int = 0,
    ) -> None:
        self.n_latent = n_latent
        self.network = network
        self.bottleneck = bottleneck
        self.likelihood = likelihood
        self.corruption = corruption
        self.penalties = penalties
        self.adversary = adversary
        self.preprocessing = preprocessing
        self.real_values = real_values
        self.pretraining = pretraining
        self.residual = residual
        self.race = race
        self.record = record
        self.conditional = conditional
        self.training = training
        self.artefacts = artefacts
        self.fill_value = fill_value
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @keeps_what_was_learned
    def fit(
        self,
        X: Data,
        y: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        validation: Data | tuple[Data, ArrayLike] | None = None,
        callback: Callbacks = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool = False,
        more_epochs: int | None = None,
    ) -> Self:
        """Learn to encode and restore records.

        Parameters
        ----------
        X : array_like of shape (n, *shape), path, name or Source
            The training data, of any real dtype.
        y : array_like of shape (n,), optional
            Labels, for conditional models; named data sets have their own. Other models ignore it.
        sample_weight : array_like of shape (n,), optional
            How much each record counts, at least 0. Training minimises the weighted mean of the loss, and the loss of
            records held out from X is weighted too, as are PCA and the choice between network and PCA. Records with a
            weight of 0 are left out. Otherwise weights do not affect the preprocessing, a scale of the likelihood that
            is learned without gradients, the latent density or the archive codec.
        validation : array_like, path, name or Source, optional
            Records on which the validation loss is measured, instead of the share ``training.validation`` of X.
            Conditional models need records with labels, or a pair of records and labels.
        callback : Callback, function of an `Epoch`, or sequence of these, optional
            Receives the progress of the run, and may end it by returning True after an epoch; see `docs/callbacks.md`.
            The weights of the best epoch on validation are kept if ``training.patience`` or the network keeps them,
            otherwise the last.
        checkpoint : path-like, optional
            File that holds the state of the run, so that a kill loses nothing. `narrows.load` reads it as a model with
            the weights so far. Delete it once the model is saved. It replaces no file but a checkpoint of the same run.
        resume : bool
            Continue from the checkpoint if it exists. The result equals that of an uninterrupted run.
        more_epochs : int, optional
            Train the fitted model for so many epochs more, instead of from the beginning. ``history_`` goes on, and the
            same records of X are held out. The schedule runs through these epochs from its start, as a warm restart,
            and the optimiser starts without moments. Use ``schedule="constant"`` for small steps.

        Raises
        ------
        InvalidParameterError
            If a parameter has a value that is not allowed.
        DataError
            If the data cannot be used.
        TrainingDivergedError
            If the loss stops being finite.
        TrainingCollapsedError
            If one side of an adversarial training collapses.
        OutputExistsError
            If the checkpoint would replace a file that is not a checkpoint of the same run.
        KeyboardInterrupt
            After Ctrl-C, at the end of the step. The model is fitted, with the weights so far, and `measure` measures
            the missing artefacts. A model that was fitted before is kept if the first epoch is not complete. The same
            holds for exceptions of callbacks, which are raised unchanged.

        Warns
        -----
        UnfinishedWarning
            After Ctrl-C or an exception during the training. It gives the epoch whose weights the model has.
        """
        self.refuse_while_trained("fit")
        began, wanted = time.perf_counter(), artefacts_of(self.artefacts)
        check("Autoencoder", "warm_start", self.warm_start, Boolean())
        if more_epochs is not None or (self.warm_start and self.__sklearn_is_fitted__()):
            run: dict[str, Any] = {"callback": callback, "checkpoint": checkpoint, "resume": resume}
            run |= {"validation": validation, "sample_weight": sample_weight}
            return self._continue(X, y, more_epochs, wanted, **run)
        data, held_out = open_for_training(self, X, y, validation, sample_weight)
        state = checkpoint_of(self, checkpoint, *described(data, held_out), resume=resume)
        kept = state.load() if resume and state is not None else None
        earlier = 0.0 if kept is None else kept.seconds
        seed, params = seed_of(self, state, resume=resume), clone(self).get_params(deep=False)
        run = {"seed": seed, "callback": callback, "checkpoint": state, "resume": resume}
        model, _, records = self._train(params, data, held_out, **run)
        return self._finish(model, data, records, wanted, began=began, before=Took(earlier, 0.0))

    def fit_transform(self, X: Data, y: ArrayLike | None = None, **fit_params: Any) -> NDArray[Any]:
        """Return the codes of records (n, *shape) after learning from them."""
        return self.fit(X, y, **fit_params).transform(X, y)

    def transform(self, X: Data, y: ArrayLike | None = None) -> NDArray[Any]:
        """Return the codes of records (n, *shape), as floats of shape (n, n_latent_).

        Float64 records are encoded in float64, all others in the model's own precision. Conditional models need the
        labels y (n,), unless the data have their own; other models ignore them.
        """
        check_is_fitted(self)
        source = self._open(X, reset=False)
        return encode(self.chain_, source.values, self.classes_of(source, y))

    def inverse_transform(self, Z: ArrayLike, y: ArrayLike | None = None, *, dtype: DTypeLike | None = None) -> Any:
        """Return the records decoded from codes (n, n_latent_), in the units of the training data.

        Conditional models also need the labels y (n,); other models ignore them.

        Parameters
        ----------
        Z : array_like of shape (n, n_latent_)
            The codes. For a data frame, the records are returned as a data frame with the columns of the training data,
            if these had names.
        y : array_like of shape (n,), optional
            The labels.
        dtype : dtype, optional
            As for `reconstruct`.

        Raises
        ------
        ShapeMismatchError
            If the codes do not have n_latent_ numbers.
        NotDecodableError
            If the decoder needs more than the code, as one that unpools with switches does.
        """
        check_is_fitted(self)
        check_plain(Z)
        codes = check_array(Z)
        if codes.shape[1] != self.n_latent_:
            raise ShapeMismatchError(f"Codes must have the shape (n, {self.n_latent_}). Got {codes.shape}.")
        returned = returned_dtype(dtype, self.dtype_, self.shape_, self.record_)
        records = decode(self.chain_, codes, self.classes_of(Source(codes, name="Z"), y), dtype=returned)
        if self.record_ == "text" and dtype is None:
            return texts_of(records)
        if self.record_ == "columns" and dtype is None:
            return rows_like(self, Z, records)
        return as_frame_like(Z, records, getattr(self, "feature_names_in_", None))

    @property
    def _n_features_out(self) -> int:
        return self.n_latent_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
