"""Encoder and decoder of a trained model as PyTorch modules that take and return records in their own units."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Self

from torch import Tensor, nn

from narrows.chain import Chain
from narrows.errors import InvalidParameterError, NotDecodableError, ShapeMismatchError
from narrows.networks.pooling import NEED_SWITCHES

__all__ = ["CodeDistribution", "DecoderHalf", "EncoderHalf", "Reconstruction"]


class CodeDistribution(NamedTuple):
    """The normal distributions of the codes of n records, with independent numbers.

    Attributes
    ----------
    mean, log_variance : Tensor of shape (n, n_latent)
        μ and log σ².
    """

    mean: Tensor
    log_variance: Tensor


class _Half(nn.Module):
    """Some parts of a chain, whose weights it shares. Moving it to a device moves the whole chain."""

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        # In a tuple, so that the chain's other parts do not belong to this module.
        self._of = (chain,)

    @property
    def _chain(self) -> Chain:
        return self._of[0]

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        self._chain._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _condition(self, labels: Tensor | None) -> Tensor | None:
        """Return the condition of labels (n,), which conditional models need and others ignore."""
        if not self._chain.parts.n_classes:
            return None
        if labels is None:
            raise InvalidParameterError(
                "A conditional model needs the class of each record. Pass 'labels', a tensor of integers (n,): "
                "positions in model.classes_."
            )
        return self._chain.condition(labels)

    def _records(self, x: Any) -> Tensor:
        """Return records, checked: a tensor of shape (n, *shape)."""
        shape = self._chain.shape
        if tuple(_tensor(x, "records").shape[1:]) != shape:
            raise ShapeMismatchError(
                f"Records must have the shape (n, {', '.join(map(str, shape))}). Got {tuple(x.shape)}."
            )
        return x  # type: ignore[no-any-return]


class EncoderHalf(_Half):
    """Preprocessing, encoder and bottleneck: from records in their own units to codes.

    Weights are those of the model, so training this module changes the model. The result is differentiable with respect
    to weights and records, as far as the bottleneck is: rounding has no gradient. Codes are those of
    `Autoencoder.transform`, computed in the precision of the weights: deterministic, for variational models the mean.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> import narrows
    >>> X = np.random.default_rng(0).normal(size=(100, 8)).astype("float32")
    >>> model = narrows.Autoencoder(2, training=narrows.Training(epochs=2), random_state=0).fit(X)
    >>> codes = model.encoder_(torch.from_numpy(X))
    >>> codes.shape, codes.requires_grad
    (torch.Size([100, 2]), True)
    """

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.preprocessor, self.missing = chain.preprocessor, chain.missing
        self.network, self.bottleneck = chain.encoder, chain.bottleneck
        self.training = chain.training

    def forward(self, records: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the codes of records.

        Parameters
        ----------
        records : Tensor of shape (n, *shape)
            Records in the units of the training data, of any real dtype.
        labels : Tensor of int64, shape (n,), optional
            For conditional models: positions of the labels in ``model.classes_``.

        Returns
        -------
        Tensor of shape (n, n_latent)
        """
        code = self._chain.encode(self._chain.prepare(self._records(records)), self._condition(labels))
        return code.z.flatten(1)

    def distribution(self, records: Tensor, labels: Tensor | None = None) -> CodeDistribution:
        """Return the distributions of the codes of records, for variational models.

        Parameters
        ----------
        records, labels : Tensor
            As for `forward`.

        Raises
        ------
        InvalidParameterError
            If codes are not drawn from a distribution.
        """
        x = self._chain.prepare(self._records(records))
        posterior = self._chain.bottleneck.posterior(self._chain.encoder(x, self._condition(labels)))
        if posterior is None:
            raise InvalidParameterError(
                f"The codes of a '{self._chain.parts.bottleneck.name}' bottleneck have no distribution. "
                "Use a model with bottleneck='gaussian', or call the encoder for the codes."
            )
        return CodeDistribution(posterior.mean.flatten(1), posterior.log_variance.flatten(1))


class DecoderHalf(_Half):
    """Decoder and inverse of the preprocessing: from codes to records in their own units.

    Weights are those of the model, so training this module changes the model. The result is differentiable with respect
    to weights and codes. Records are those of `Autoencoder.inverse_transform` with ``dtype=float``, neither rounded nor
    clipped, in the precision of the weights.
    """

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        self.network, self.likelihood, self.preprocessor = chain.decoder, chain.likelihood, chain.preprocessor
        self.training = chain.training

    def forward(self, codes: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the records of codes.

        Parameters
        ----------
        codes : Tensor of shape (n, n_latent)
            The codes.
        labels : Tensor of int64, shape (n,), optional
            For conditional models: positions of the labels in ``model.classes_``.

        Returns
        -------
        Tensor of shape (n, *shape)
            Floats in the units of the training data.

        Raises
        ------
        NotDecodableError
            If the decoder needs more than the code, as one that unpools with switches does.
        """
        chain = self._chain
        n_latent = math.prod(chain.bottleneck.z_shape)
        if tuple(_tensor(codes, "codes").shape[1:]) != (n_latent,):
            raise ShapeMismatchError(f"Codes must have the shape (n, {n_latent}). Got {tuple(codes.shape)}.")
        z = codes.to(chain.dtype).reshape(-1, *chain.bottleneck.z_shape)
        return chain.restore(z, condition=self._condition(labels)).to(chain.dtype)


class Reconstruction(_Half):
    """The whole model: from records to restored records, both in their own units."""

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        if chain.decoder.needs_switches:
            raise NotDecodableError(NEED_SWITCHES)
        self.encoder, self.decoder = EncoderHalf(chain), DecoderHalf(chain)
        self.training = chain.training

    def forward(self, records: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return the restored records (n, *shape); see `EncoderHalf` and `DecoderHalf`."""
        restored: Tensor = self.decoder(self.encoder(records, labels), labels)
        return restored


def _tensor(given: Any, what: str) -> Tensor:
    if not isinstance(given, Tensor):
        raise InvalidParameterError(
            f"This module takes {what} as a torch.Tensor. Got {type(given).__name__}. Use torch.as_tensor, or "
            "model.transform and model.inverse_transform for arrays."
        )
    return given
