"""The recipes whose autoencoders are trained against a discriminator."""

from __future__ import annotations

import math

from narrows.adversaries import Codes, Records
from narrows.bottlenecks import Gaussian
from narrows.estimators.autoencoder import Autoencoder
from narrows.likelihoods import Normal
from narrows.networks import Dense
from narrows.training import Adam, Training

__all__ = ["adversarial", "vae_gan"]


def adversarial() -> Autoencoder:
    """Makhzani et al. (2016): an adversarial autoencoder, whose codes a discriminator matches to N(0, I)."""
    return Autoencoder(
        n_latent=8,
        network=Dense(widths=(512, 256), activation="silu", output_activation="sigmoid", start_at_mean=True),
        likelihood=Normal(scale=math.sqrt(0.5)),
        adversary=Codes(),
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(epochs=20, batch_size=256, optimiser=Adam(learning_rate=2e-3)),
    )


def vae_gan() -> Autoencoder:
    """Larsen et al. (2016): a variational autoencoder whose decoder learns against a discriminator of records."""
    return Autoencoder(
        n_latent=16,
        network=Dense(widths=(512, 256), activation="silu", output_activation="sigmoid", start_at_mean=True),
        bottleneck=Gaussian(),
        likelihood=Normal(scale=math.sqrt(0.5)),
        adversary=Records(),
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(
            epochs=20, batch_size=64, optimiser=Adam(learning_rate=5e-4, beta1=0.5, beta2=0.99), averaging=0.999
        ),
    )
