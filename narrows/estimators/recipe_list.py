"""The names of the recipes with a line on each, which are listed without an import of PyTorch.

The lines are those of the functions in `narrows.estimators.recipes`; a test compares them.
"""

from __future__ import annotations

__all__ = ["OF_BYTES", "OF_TABLES", "SUMMARIES"]

OF_BYTES = {"bytes": "For lossless files of text: no network, but a sample of the texts that predicts their bytes."}
"""The recipe that is no autoencoder; see `narrows.estimators.byte_model`."""

OF_TABLES = {"columns": "For lossless files of tables: no network, but what predicts each column from those before it."}
"""The recipe of models of tables that are no autoencoders; see `narrows.archive.table_training`."""

SUMMARIES = {
    "auto": "Parts chosen by the kind and size of the data, tuned for good quality in short time.",
    "deep-tied": (
        "Document 0: a deep autoencoder whose decoder uses the encoder's matrices transposed, tanh throughout."
    ),
    "dense": "Document 1: three relu layers down to 32 numbers and three back, cross-entropy.",
    "da": (
        "Document 2: a denoising autoencoder, 500 sigmoid units with tied weights, masking corruption, cross-entropy."
    ),
    "sda": (
        "Document 2: stacked denoising autoencoders, 3×1000 sigmoid units with tied weights, trained layer by layer."
    ),
    "cvae": "Document 3: a convolutional variational autoencoder of binarised images, latent dimension 2.",
    "vae": "Burda et al. (2016): 784-200-200-50, images drawn anew as black and white each time.",
    "conditional-vae": (
        "Sohn et al. (2015): a variational autoencoder conditioned on labels; generates records of a chosen label."
    ),
    "beta-vae": "Higgins et al. (2017): a variational autoencoder whose Kullback-Leibler divergence has the weight 4.",
    "vq-vae": "Van den Oord et al. (2017): 128 codewords; an image of 28×28 pixels becomes a map of 7×7 indices.",
    "wae": "Tolstikhin et al. (2018): a Wasserstein autoencoder, whose codes are matched to a normal distribution.",
    "adversarial": (
        "Makhzani et al. (2016): an adversarial autoencoder, whose codes a discriminator matches to N(0, I)."
    ),
    "vae-gan": (
        "Larsen et al. (2016): a variational autoencoder whose decoder learns against a discriminator of records."
    ),
    "simple": "Document 4: one relu layer down to 32 numbers and one back, cross-entropy, Adadelta.",
    "vanilla": "Document 3: dense encoder and decoder; the losses L1, L2 and MSE are likelihoods.",
    "conv": "Document 3: the recipe simple with strided convolutions of 32 and 64 channels and their transposes.",
    "conv-denoising": (
        "Document 4: two convolutions of 32 channels with pooling, mirrored; removes Gaussian noise of 0.5."
    ),
    "hinton2006": "Hinton and Salakhutdinov (2006): 784-1000-500-250-30 with a linear code, trained end to end.",
    "map": "Two numbers that keep neighbours, for maps: parametric t-SNE (van der Maaten 2009) beside an autoencoder.",
    "series": "Windows of series by convolutions along time, beside a linear path that starts at PCA (document 0).",
    "recurrent": "Windows of series by gated recurrent units, beside a linear path that starts at PCA (document 0).",
    "text": "Text: dense or recurrent layers over embedded bytes, and a code of whole numbers for small files.",
    "table": "Rows of a table with categories, numbers, dates and missing cells: each column from any of the others.",
    "search": "Document 1: codes for search that change little with noise: a denoising autoencoder, noise of 0 to 0.7.",
    "few-labels": (
        "For classifiers of images of which few have labels: strided convolutions, images moved by up to two pixels."
    ),
    "codec": (
        "For small files: a code of whole numbers, trained for the lowest rate at a requested quality (train --psnr)."
    ),
    "lossless": (
        "For lossless or error-bounded files of images: a codec, and a residual model that predicts each pixel."
    ),
}
