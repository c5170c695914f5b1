"""Greedy layer-wise pretraining: a stack of denoising autoencoders."""

from __future__ import annotations

from typing import Any, Self

import torch
from torch import Generator, Tensor, nn

from narrows.chain import Chain, Loss
from narrows.corruptions import Corruption
from narrows.errors import InvalidParameterError
from narrows.likelihoods import Bernoulli, Normal
from narrows.networks import LayerPair
from narrows.numerics.randomness import Stream
from narrows.numerics.record_noise import is_training_step
from narrows.parts.options import Integer, SequenceOf, option
from narrows.parts.part import OneOf
from narrows.training import Optimiser, Records, Schedule, Stage, Training
from narrows.training.pretraining.contract import Pretraining

__all__ = ["LayerWise"]

_SUM_OF_SQUARES = Normal(scale=0.5**0.5)


class LayerWise(Pretraining, name="layer-wise"):
    """Train one layer after the other, from the input on, to restore its input from a corrupted copy.

    With y₀ = x and y_i = s(W_i y_{i−1} + b_i), layer i is a denoising autoencoder of y_{i−1}: it minimises
    −log p(y_{i−1} | g_i(f_i(ỹ_{i−1}))) with its own corruption ỹ, where f_i is the encoder's layer and g_i the mirrored
    layer of the decoder. The layers before run without corruption. The first layer is trained with the chain's
    likelihood, deeper ones with the cross-entropy if their input is the output of sigmoids, otherwise with the squared
    error. The chain contains the trained layers: it is the unrolled deep autoencoder, to be trained as a whole.

    Hinton and Salakhutdinov (2006), Bengio et al. (2007); with corruption Vincent et al. (2010), section 3.5.

    Examples
    --------
    >>> from narrows.corruptions import Masking
    >>> LayerWise(corruptions=(Masking(level=0.1), Masking(level=0.2)), epochs=5).epochs
    5
    """

    # Given by name or by value, stored by value.
    corruptions: Any = option(
        SequenceOf(OneOf(Corruption)),
        "corruption of each layer's input; one for all layers, or none",
        default=("masking",),
    )
    epochs: int = option(Integer(1), "passes over the training data for each layer", default=15)
    batch_size: int = option(Integer(1), "records per step", default=100)
    optimiser: Any = option(OneOf(Optimiser), "the optimiser", default="adam")
    schedule: Any = option(OneOf(Schedule), "the learning rate over the epochs of a layer", default="one-cycle")

    def stages(self, chain: Chain, records: Records) -> list[Stage]:
        if chain.bottleneck.h_shape != chain.bottleneck.z_shape:
            raise InvalidParameterError(
                "Layer-wise pretraining needs an encoder that outputs the code itself, as with bottleneck='plain'. "
                f"Got bottleneck='{chain.parts.bottleneck.name}'."
            )
        layers = chain.parts.network.layer_pairs(chain.encoder, chain.decoder)
        settings = Training(
            epochs=self.epochs, batch_size=self.batch_size, optimiser=self.optimiser, schedule=self.schedule
        )
        learners = [
            _DenoisingLayer(chain, layers, index, corruption)
            for index, corruption in enumerate(self._corruptions(len(layers)))
        ]
        return [
            Stage(
                learner,
                records,
                None,
                settings,
                name=f"layer {number} of {len(layers)}",
                order=Stream.LAYER_ORDER,
                noise=Stream.LAYER_NOISE,
                index=(number,),
            )
            for number, learner in enumerate(learners, start=1)
        ]

    def _corruptions(self, n_layers: int) -> tuple[Corruption | None, ...]:
        given: tuple[Corruption, ...] = self.corruptions
        if len(given) not in {0, 1, n_layers}:
            raise InvalidParameterError(
                f"The 'corruptions' of LayerWise must be one for each of the {n_layers} layers of the encoder, one for "
                f"all of them, or none. Got {len(given)}."
            )
        of_layers = given if len(given) == n_layers else (given or (None,)) * n_layers
        for one in of_layers[1:]:
            if one is not None and one.for_images:
                raise InvalidParameterError(
                    f"The 'corruptions' of LayerWise cannot be '{one.name}' for layers after the first, whose input is "
                    "no image. Give these another, such as 'masking'."
                )
        return of_layers


class _DenoisingLayer(nn.Module):
    """A layer of a chain as a denoising autoencoder of the output of the layers before."""

    def __init__(self, chain: Chain, layers: list[LayerPair], index: int, corruption: Corruption | None) -> None:
        super().__init__()
        self.shape, self.corruption = chain.shape, corruption
        layer = layers[index]
        self.encode, self.decode, self.decode_activation = layer.encode, layer.decode, layer.decode_activation
        # In tuples, so that they are not weights of this learner.
        self.chain, self.before = (chain,), tuple(layer.encode for layer in layers[:index])
        self.foreign_modules = (*self.chain, *self.before)
        self.likelihood, self.is_first = chain.likelihood, index == 0
        if index > 0 and isinstance(layer.decode_activation, nn.Sigmoid):
            self.likelihood, self.decode_activation = Bernoulli().build(()), nn.Identity()
        elif index > 0:
            self.likelihood = _SUM_OF_SQUARES.build(())

    def train(self, mode: bool = True) -> Self:
        for module in self.foreign_modules:
            module.train(mode)
        return super().train(mode)

    def loss(self, records: Tensor, generator: Generator | None = None) -> Loss:
        """Return the loss of restoring the layer's input; with a generator, from a corrupted copy."""
        return self._loss(records, generator, is_shard=False)

    @property
    def couples_records(self) -> bool:
        return self.likelihood.couples_records

    def shard_loss(self, records: Tensor, generator: Generator) -> Loss:
        return self._loss(records, generator, is_shard=True)

    def adapt(self, statistics: Tensor) -> None:
        self.likelihood.adapt_to(statistics)

    def _loss(self, records: Tensor, generator: Generator | None, *, is_shard: bool) -> Loss:
        y = self._input(records, generator)
        (chain,) = self.chain
        missing = chain.missing_of(records) if self.is_first else None
        y_tilde = y if generator is None or self.corruption is None else self.corruption.corrupt(y, generator)
        y_tilde = chain.neutral(y_tilde, missing)
        parameters = self.decode_activation(self.decode(self.encode(y_tilde)))
        statistic = None
        if is_training_step(self, generator):
            if self.is_first:
                statistic = chain.adapt_to(parameters, y, missing, is_shard=is_shard)
            elif is_shard:
                statistic = self.likelihood.statistic(parameters, y)
            else:
                self.likelihood.adapt(parameters, y)
        nothing = torch.zeros(len(y), dtype=y.dtype, device=y.device)
        if self.is_first:
            return Loss(-chain.log_prob(parameters, y, missing), nothing, nothing, statistic)
        return Loss(-self.likelihood.log_prob(parameters, y), nothing, nothing, statistic)

    @torch.no_grad()
    def _input(self, records: Tensor, generator: Generator | None) -> Tensor:
        (chain,) = self.chain
        y = chain.prepare(records)
        y = y if generator is None else chain.observed(y, generator, chain.missing_of(records))
        for layer in self.before:
            y = layer(y)
        return y
