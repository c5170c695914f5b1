"""The recipes of autoencoders whose codes are matched to a normal distribution, or that have an adversary."""

from __future__ import annotations

import math

from narrows.adversaries import Codes, Records
from narrows.bottlenecks import Gaussian
from narrows.estimators.autoencoder import Autoencoder
from narrows.likelihoods import Normal
from narrows.networks import Dense
from narrows.penalties import MMD
from narrows.training import Adam, Training

__all__ = ["adversarial", "vae_gan", "wae"]


def wae() -> Autoencoder:
    """Tolstikhin et al. (2018): a Wasserstein autoencoder, whose codes are matched to a normal distribution."""
    return Autoencoder(
        n_latent=8,
        network=Dense(widths=(512, 256), activation="silu", output_activation="sigmoid", start_at_mean=True),
        likelihood=Normal(scale=math.sqrt(0.5)),
        penalties=(MMD(weight=100.0),),
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(epochs=20, batch_size=256, optimiser=Adam(learning_rate=2e-3)),
    )


def adversarial() -> Autoencoder:
    """Makhzani et al. (2016): an adversarial autoencoder, whose codes a discriminator matches to N(0, I)."""
    return Autoencoder(
        n_latent=16,
        network=Dense(widths=(512, 256), activation="silu", output_activation="sigmoid", start_at_mean=True),
        likelihood=Normal(scale=0.2),
        adversary=Codes(),
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(epochs=20, batch_size=128, optimiser=Adam(learning_rate=2e-3), averaging=0.999),
    )


def vae_gan() -> Autoencoder:
    """Larsen et al. (2016): a variational autoencoder whose decoder learns against a discriminator of records."""
    return Autoencoder(
        n_latent=12,
        network=Dense(widths=(512, 256), activation="silu", output_activation="sigmoid", start_at_mean=True),
        bottleneck=Gaussian(beta=0.2),
        likelihood=Normal(scale=math.sqrt(0.5)),
        adversary=Records(weight=3.0, gradient_penalty=2.0),
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(
            epochs=10, batch_size=64, optimiser=Adam(learning_rate=1e-3, beta1=0.5, beta2=0.99), averaging=0.999
        ),
    )
