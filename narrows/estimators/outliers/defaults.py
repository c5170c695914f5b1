"""The autoencoder of a detector, by the kind and the size of records."""

from __future__ import annotations

import math

from narrows.corruptions import Cells, Gaussian
from narrows.estimators.autoencoder import Autoencoder
from narrows.likelihoods import Columns
from narrows.networks import Dense, Temporal
from narrows.preprocessing import Standardise
from narrows.training import Training

__all__ = ["default_autoencoder"]

_STEPS, _BATCH, _MOST_EPOCHS = 1000, 128, 50
_TEXT_STEPS, _TEXT_BATCH = 150, 32
_TEXT_WIDTHS, _EMBEDDING, _LONGEST_DENSE = (256,), 24, 256  # bytes
_WIDTHS, _MOST_LATENT = (192, 192), 128
_ROW_WIDTHS = (256, 256)
_MOST_DENSE = 16_384  # values of a record


def default_autoencoder(kind: str, shape: tuple[int, ...], n_records: int) -> Autoencoder:
    """Return an unfitted denoising autoencoder, whose noise has any strength up to twice the deviation of the values.

    Training data without labels contain outliers. Strong noise keeps the network from learning them one by one. It is
    trained for about a thousand steps, and for at most 50 epochs, so that few records are not learned by heart; for
    texts for 150 steps. Rows of typed columns learn to restore cells that are masked, and texts have no noise.
    """
    steps, batch = (_TEXT_STEPS, _TEXT_BATCH) if kind == "text" else (_STEPS, _BATCH)
    epochs = -(-steps // -(-n_records // batch))
    if kind != "text":
        epochs = min(epochs, _MOST_EPOCHS)
    training = Training(epochs=epochs, batch_size=batch, validation=0.0)
    if kind == "text":
        is_short = math.prod(shape) <= _LONGEST_DENSE
        reader = Dense(widths=_TEXT_WIDTHS, embedding=_EMBEDDING) if is_short else Temporal(embedding=_EMBEDDING)
        return Autoencoder(record="text", network=reader, training=training)
    if kind == "columns":
        # On the scale of levels, a number that is far away is hardly farther than the largest usual one.
        likelihood, network = Columns(scale="asinh"), Dense(widths=_ROW_WIDTHS, activation="silu")
        rows = Autoencoder(corruption=Cells(), record="columns", likelihood=likelihood, network=network)
        return rows.set_params(training=training)
    is_dense = math.prod(shape) <= _MOST_DENSE
    return Autoencoder(
        min(math.prod(shape), _MOST_LATENT) if is_dense else None,
        network=Dense(widths=_WIDTHS) if is_dense else "auto",
        corruption=Gaussian(scale=2.0, vary=True),
        preprocessing="standardise" if kind == "vector" else Standardise(per_value=False),
        likelihood="normal",
        record=kind,
        training=training,
    )
