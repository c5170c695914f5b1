"""The named autoencoders: a recipe is a function that returns an unfitted one.

A recipe that reproduces a publication has the settings of that publication. Every setting can be changed by name::

    narrows.recipe("dense", n_latent=16, training__epochs=10)

Recipes for images have likelihoods or decoders for values in [0, 1]. With ``real_values="standardise"`` they get others
for data that are real numbers, with "unit-scale" each column of a table is scaled to [0, 1]; see
`narrows.estimators.real_values`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from narrows.bottlenecks import Gaussian as GaussianCode
from narrows.bottlenecks import Rounded, VectorQuantised
from narrows.corruptions import Cells, Gaussian, Masking
from narrows.errors import UnknownNameError
from narrows.estimators.autoencoder import Autoencoder
from narrows.estimators.generative_recipes import adversarial, vae_gan, wae
from narrows.estimators.label_recipes import few_labels
from narrows.likelihoods import Bernoulli, ConstrainedNormal, Normal
from narrows.networks import Convolutional, Dense, Recurrent, Temporal
from narrows.penalties import Neighbours
from narrows.preprocessing import UnitScale
from narrows.training import SGD, Adadelta, Adam, Training
from narrows.training.pretraining import LayerWise

__all__ = ["RECIPES", "recipe"]

Recipe = Callable[[], Autoencoder]
RECIPES: dict[str, Recipe] = {}

# At this scale minus the log-likelihood is the summed squared error plus a constant.
_SUM_OF_SQUARES = Normal(scale=math.sqrt(0.5))


def recipe(name: str, **changes: Any) -> Autoencoder:
    """Return an unfitted autoencoder by the name of its recipe.

    Parameters
    ----------
    name : str
        One of `RECIPES`.
    **changes
        Parameters to change, nested ones as ``part__option``.

    Raises
    ------
    UnknownNameError
        If there is no such recipe, parameter or option; the nearest is suggested.

    Examples
    --------
    >>> recipe("deep-tied", training__epochs=3).network.tied
    True
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]().set_params(**changes)


def _named(name: str) -> Callable[[Recipe], Recipe]:
    def register(function: Recipe) -> Recipe:
        RECIPES[name] = function
        return function

    return register


@_named("auto")
def auto() -> Autoencoder:
    """Parts chosen by the kind and size of the data, tuned for good quality in short time."""
    return Autoencoder()


@_named("deep-tied")
def deep_tied() -> Autoencoder:
    """Document 0: a deep autoencoder whose decoder uses the encoder's matrices transposed, tanh throughout."""
    network = Dense(
        widths=(256, 256, 64),
        activation="tanh",
        code_activation="tanh",
        output_activation="tanh",
        tied=True,
        initialisation="fan-in",
    )
    return Autoencoder(
        n_latent=32,
        network=network,
        likelihood=_SUM_OF_SQUARES.clone(),
        preprocessing=("unit-scale", "mean-removal"),
        training=Training(epochs=30, batch_size=20, optimiser=Adam(), schedule="constant"),
    )


@_named("dense")
def dense() -> Autoencoder:
    """Document 1: three relu layers down to 32 numbers and three back, cross-entropy."""
    # The document does not give the initial biases. With zeros, 2 to 8 of the 32 relu units of the code die in the
    # first epochs, here as in Keras: the decoder starts at grey, and its gradients push all units down.
    return Autoencoder(
        n_latent=32,
        network=Dense(widths=(128, 64), code_activation="relu", code_bias=1.0, start_at_mean=True),
        likelihood="bernoulli",
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(epochs=50, batch_size=256, optimiser=Adam(epsilon=1e-7), schedule="constant"),
    )


@_named("da")
def da() -> Autoencoder:
    """Document 2: a denoising autoencoder, 500 sigmoid units with tied weights, masking corruption, cross-entropy."""
    # The tutorial's program draws its weights from NumPy's RandomState(123), reads the images in order and divides
    # them by 256, so its run without corruption is deterministic. It trains on 50,000 images. Its learning rate is for
    # the cross-entropy, and too high for the normal likelihood, so real numbers are scaled to [0, 1] as well,
    # each column of a table by its own range where the columns differ.
    network = Dense(widths=(), code_activation="sigmoid", tied=True, initialisation="glorot-sigmoid", theano_seed=123)
    return Autoencoder(
        n_latent=500,
        network=network,
        likelihood="bernoulli",
        corruption=Masking(level=0.3),
        preprocessing=UnitScale(byte_divisor=256),
        real_values="unit-scale",
        training=Training(
            epochs=15, batch_size=20, optimiser=SGD(learning_rate=0.1), schedule="constant", shuffle=False
        ),
    )


@_named("sda")
def sda() -> Autoencoder:
    """Document 2: stacked denoising autoencoders, 3×1000 sigmoid units with tied weights, trained layer by layer."""
    # The layers, the corruption and the initial weights are the tutorial's. Its steps of one image at a learning rate
    # of 0.001 take hours; Adam with batches of a hundred reaches the same loss in minutes.
    network = Dense(
        widths=(1000, 1000),
        activation="sigmoid",
        code_activation="sigmoid",
        tied=True,
        initialisation="glorot-sigmoid",
    )
    layer_wise = LayerWise(corruptions=(Masking(level=0.1), Masking(level=0.2), Masking(level=0.3)), epochs=15)
    return Autoencoder(
        n_latent=1000,
        network=network,
        likelihood="bernoulli",
        preprocessing="unit-scale",
        pretraining=layer_wise,
        real_values="standardise",
        training=Training(epochs=10, batch_size=100, optimiser=Adam(learning_rate=1e-3)),
    )


@_named("cvae")
def cvae() -> Autoencoder:
    """Document 3: a convolutional variational autoencoder of binarised images, latent dimension 2."""
    return Autoencoder(
        n_latent=2,
        network=Convolutional(channels=(32, 64), head_channels=32, resampling="stride"),
        bottleneck="gaussian",
        likelihood="bernoulli",
        preprocessing=("unit-scale", "binarise"),
        real_values="standardise",
        training=Training(epochs=10, batch_size=100, optimiser=Adam(learning_rate=1e-4), schedule="constant"),
    )


@_named("vae")
def vae() -> Autoencoder:
    """Burda et al. (2016): 784-200-200-50, images drawn anew as black and white each time."""
    # The paper uses tanh and trains for 3,280 epochs with batches of 20. With elu, 250 epochs reach nearly the same.
    return Autoencoder(
        n_latent=50,
        network=Dense(widths=(200, 200), activation="elu", start_at_mean=True),
        bottleneck="gaussian",
        likelihood=Bernoulli(dynamic=True),
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(epochs=250, batch_size=100, optimiser=Adam(learning_rate=2e-3)),
    )


@_named("conditional-vae")
def conditional_vae() -> Autoencoder:
    """Sohn et al. (2015): a variational autoencoder conditioned on labels; generates records of a chosen label."""
    return Autoencoder(
        n_latent=10,
        network=Dense(widths=(512, 256), activation="silu", start_at_mean=True),
        bottleneck="gaussian",
        likelihood="bernoulli",
        preprocessing="unit-scale",
        conditional=True,
        real_values="standardise",
        training=Training(epochs=30, optimiser=Adam(learning_rate=1e-3)),
    )


@_named("beta-vae")
def beta_vae() -> Autoencoder:
    """Higgins et al. (2017): a variational autoencoder whose Kullback-Leibler divergence has the weight 4."""
    return Autoencoder(
        n_latent=10,
        network=Dense(widths=(512, 256), activation="silu", start_at_mean=True),
        bottleneck=GaussianCode(beta=4.0),
        likelihood="bernoulli",
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(epochs=30, optimiser=Adam(learning_rate=1e-3)),
    )


@_named("vq-vae")
def vq_vae() -> Autoencoder:
    """Van den Oord et al. (2017): 128 codewords; an image of 28×28 pixels becomes a map of 7×7 indices."""
    return Autoencoder(
        bottleneck=VectorQuantised(n_codes=128),
        likelihood=_SUM_OF_SQUARES.clone(),
        training=Training(epochs=8, batch_size=128, optimiser=Adam(learning_rate=2e-3)),
    )


_named("wae")(wae)
_named("adversarial")(adversarial)
_named("vae-gan")(vae_gan)


@_named("simple")
def simple() -> Autoencoder:
    """Document 4: one relu layer down to 32 numbers and one back, cross-entropy, Adadelta."""
    return Autoencoder(
        n_latent=32,
        network=Dense(widths=(), code_activation="relu"),
        likelihood="bernoulli",
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(epochs=50, batch_size=256, optimiser=Adadelta(), schedule="constant"),
    )


@_named("vanilla")
def vanilla() -> Autoencoder:
    """Document 3: dense encoder and decoder; the losses L1, L2 and MSE are likelihoods."""
    return Autoencoder(
        n_latent=32,
        network=Dense(widths=(128,), activation="silu"),
        likelihood=_SUM_OF_SQUARES.clone(),
        preprocessing="unit-scale",
        training=Training(epochs=10, optimiser=Adam(learning_rate=2e-3)),
    )


@_named("conv")
def conv() -> Autoencoder:
    """Document 3: the recipe simple with strided convolutions of 32 and 64 channels and their transposes."""
    return Autoencoder(
        n_latent=32,
        network=Convolutional(channels=(32, 64), resampling="stride", activation="silu"),
        likelihood=_SUM_OF_SQUARES.clone(),
        preprocessing="unit-scale",
        training=Training(epochs=10, optimiser=Adam(learning_rate=2e-3)),
    )


@_named("conv-denoising")
def conv_denoising() -> Autoencoder:
    """Document 4: two convolutions of 32 channels with pooling, mirrored; removes Gaussian noise of 0.5."""
    return Autoencoder(
        network=Convolutional(channels=(32,), code_channels=32, code_activation="relu"),
        likelihood="bernoulli",
        corruption=Gaussian(scale=0.5, clip=True),
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(epochs=100, optimiser=Adadelta(), schedule="constant"),
    )


@_named("hinton2006")
def hinton2006() -> Autoencoder:
    """Hinton and Salakhutdinov (2006): 784-1000-500-250-30 with a linear code, trained end to end."""
    return Autoencoder(
        n_latent=30,
        network=Dense(widths=(1000, 500, 250), activation="silu", output_activation="sigmoid"),
        likelihood=Normal(scale="learned"),
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(epochs=40, optimiser=Adam(learning_rate=1e-3)),
    )


@_named("map")
def map_() -> Autoencoder:
    """Two numbers that keep neighbours, for maps: parametric t-SNE (van der Maaten 2009) beside an autoencoder."""
    # The widths are those of the paper, with one layer of 500 more; relu from the start does for its pretraining.
    return Autoencoder(
        n_latent=2,
        network=Dense(widths=(500, 500, 500, 2000), activation="relu", initialisation="fan-in"),
        likelihood=_SUM_OF_SQUARES.clone(),
        penalties=(Neighbours(),),
        artefacts=("pca",),  # an archive codec, which maps seldom need, takes as long as the training on few records
        preprocessing="unit-scale",
        real_values="standardise",
        training=Training(batch_size=250, optimiser=Adam(learning_rate=1e-3)),
    )


@_named("series")
def series() -> Autoencoder:
    """Windows of series by convolutions along time, beside a linear path that starts at PCA (document 0)."""
    # With a learned scale, the likelihood of held-out windows falls long before their squared error rises, and with few
    # windows the weights would be kept too early.
    return Autoencoder(
        network=Temporal(channels=(16, 32, 32), linear_path=True),
        likelihood=_SUM_OF_SQUARES.clone(),
        record="series",
        training=Training(batch_size=32),
    )


@_named("recurrent")
def recurrent() -> Autoencoder:
    """Windows of series by gated recurrent units, beside a linear path that starts at PCA (document 0)."""
    return Autoencoder(
        network=Recurrent(linear_path=True),
        likelihood=_SUM_OF_SQUARES.clone(),
        record="series",
        training=Training(batch_size=32, optimiser=Adam(learning_rate=4e-3)),
    )


@_named("text")
def text() -> Autoencoder:
    """Text: dense or recurrent layers over embedded bytes, and a code of whole numbers for small files."""
    return Autoencoder(
        bottleneck=Rounded(weight=0.06),
        record="text",
        training=Training(epochs=30, batch_size=128, optimiser=Adam(learning_rate=2e-3)),
    )


@_named("table")
def table() -> Autoencoder:
    """Rows of a table with categories, numbers, dates and missing cells: each column from any of the others."""
    return Autoencoder(
        corruption=Cells(),
        record="columns",
        # Ten epochs on 6,400 rows of adult leave 11.9 bits of a held-out row given its code, and 34.7 from the other
        # columns. A rate of 2e-3 leaves 12.9 and 35.4, one of 6e-3 12.0 and 34.8.
        training=Training(batch_size=64, optimiser=Adam(learning_rate=4e-3)),
    )


@_named("search")
def search() -> Autoencoder:
    """Document 1: codes for search that change little with noise: a denoising autoencoder, noise of 0 to 0.7."""
    return Autoencoder(
        corruption=Gaussian(scale=0.7, clip=True, vary=True),
        preprocessing="unit-scale",
        real_values="unit-scale",
        training=Training(epochs=25),
    )


_named("few-labels")(few_labels)


@_named("codec")
def codec() -> Autoencoder:
    """For small files: a code of whole numbers, trained for the lowest rate at a requested quality (train --psnr)."""
    return Autoencoder(
        bottleneck=Rounded(),
        likelihood=ConstrainedNormal(psnr=25.0),
        race=True,
        preprocessing="unit-scale",
        real_values="unit-scale",  # the target is relative to a range of 1
        training=Training(batch_size=64, optimiser=Adam(learning_rate=2e-3)),
    )


@_named("lossless")
def lossless() -> Autoencoder:
    """For lossless or error-bounded files of images: a codec, and a residual model that predicts each pixel."""
    return codec().set_params(residual="auto", race=False)
