"""The recipe of autoencoders on which classifiers are trained with few labels."""

from __future__ import annotations

import math

from narrows.corruptions import Shift
from narrows.estimators.autoencoder import Autoencoder
from narrows.likelihoods import Normal
from narrows.networks import Strided
from narrows.training import Training

__all__ = ["few_labels"]


def few_labels() -> Autoencoder:
    """For classifiers of images of which few have labels: strided convolutions, images moved by up to two pixels."""
    return Autoencoder(
        n_latent=64,
        network=Strided(channels=(32, 64), depth=1),
        likelihood=Normal(scale=math.sqrt(0.5)),
        corruption=Shift(pixels=2),
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(),
    )
