"""The classifier for some data where nothing else is asked for."""

from __future__ import annotations

from narrows.data import Source
from narrows.estimators.autoencoder import Autoencoder
from narrows.estimators.classifier import AutoencoderClassifier
from narrows.estimators.preparation import schema_for
from narrows.estimators.recipes import recipe
from narrows.records import Image, Vector
from narrows.training import Training

__all__ = ["classifier_for"]

_SMALLEST = 8  # height and width of images for strided convolutions
_MOST_PIXELS = 2  # that images are moved by; 8×8 digits moved by 2 have a third more errors than by 1
_STEPS = 500  # of the training without labels, about; the training on labels is the longer one


def classifier_for(source: Source, autoencoder: Autoencoder | None = None) -> AutoencoderClassifier:
    """Return an unfitted classifier for records of which some may have no label.

    Parameters
    ----------
    source : Source
        The records.
    autoencoder : Autoencoder, optional
        By default the recipe "few-labels" for images, the default of `AutoencoderClassifier` for vectors, and the
        recipe "auto" for other records.
    """
    if autoencoder is None:
        schema = schema_for("auto", source)
        size = min(schema.layout.height, schema.layout.width) if isinstance(schema, Image) else 0
        if size >= _SMALLEST:
            settings = Training()
            epochs = max(1, _STEPS // -(-len(source) // settings.batch_size))
            pixels = max(1, min(_MOST_PIXELS, size // 14))
            autoencoder = recipe("few-labels", training__epochs=epochs, corruption__pixels=pixels)
        elif not isinstance(schema, Vector):
            autoencoder = recipe("auto")
    return AutoencoderClassifier(autoencoder, consistency=1.0)
