"""The networks of discriminators: a score for each sample, from features that they learn."""

from __future__ import annotations

import math
from itertools import pairwise

from torch import Generator, Tensor, nn

from narrows.networks.grids import convolution, grids_of
from narrows.networks.images import to_channels_first
from narrows.networks.initialisation import initialise, undrawn
from narrows.records import ImageLayout

__all__ = ["DenseDiscriminator", "Discriminator", "ImageDiscriminator"]

_SLOPE = 0.2  # of leaky relu below zero, as in the DCGAN of Radford et al. (2016)


class Discriminator(nn.Module):
    """Layers that compute features of samples, and a layer that computes scores from them.

    Parameters
    ----------
    body : Module
        Samples (n, ...) → features (n, k).
    n_features : int
        k.
    generator : Generator
        Source of the initial weights.
    """

    def __init__(self, body: nn.Module, n_features: int, generator: Generator) -> None:
        super().__init__()
        self.body, self.head = body, undrawn(nn.Linear, n_features, 1)
        initialise(self, "glorot", generator)

    def forward(self, samples: Tensor) -> Tensor:
        """Return the scores of samples (n, ...), shape (n,)."""
        return self.score(self.features(samples))

    def features(self, samples: Tensor) -> Tensor:
        """Return the features of samples (n, ...), shape (n, k)."""
        features: Tensor = self.body(samples)
        return features

    def score(self, features: Tensor) -> Tensor:
        """Return the scores of samples with these features (n, k), shape (n,)."""
        scores: Tensor = self.head(features)
        return scores.squeeze(1)


class DenseDiscriminator(Discriminator):
    """Dense layers over all values of a sample."""

    def __init__(self, n_values: int, widths: tuple[int, ...], generator: Generator) -> None:
        sizes = (n_values, *widths)
        layers = [(undrawn(nn.Linear, n_in, n_out), nn.LeakyReLU(_SLOPE)) for n_in, n_out in pairwise(sizes)]
        body = nn.Sequential(nn.Flatten(), *(layer for pair in layers for layer in pair))
        super().__init__(body, sizes[-1], generator)


class ImageDiscriminator(Discriminator):
    """Convolutions with a stride of 2 over an image."""

    def __init__(self, shape: tuple[int, ...], channels: tuple[int, ...], kernel: int, generator: Generator) -> None:
        layout = ImageLayout.of(shape)
        sizes = (layout.channels, *channels)
        layers = [(convolution(n_in, n_out, kernel, 2), nn.LeakyReLU(_SLOPE)) for n_in, n_out in pairwise(sizes)]
        body = nn.Sequential(*(layer for pair in layers for layer in pair), nn.Flatten())
        super().__init__(body, sizes[-1] * math.prod(grids_of(shape, len(channels), 2)[-1]), generator)
        self.layout = layout

    def features(self, samples: Tensor) -> Tensor:
        return super().features(to_channels_first(self.layout, samples))
