"""Pictures of a trained model: computes the arrays for the pictures of `narrows.pictures`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows import pictures
from narrows.errors import InvalidParameterError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from narrows.data import Source
    from narrows.estimators.autoencoder import Autoencoder

__all__ = [
    "draw_curves",
    "draw_denoised",
    "draw_denoising",
    "draw_filters",
    "draw_grid",
    "draw_map",
    "draw_reconstructions",
]

_WIDE_TILE = (8, 16)  # rows and columns shown of many filters
_MOST_CURVES = 20  # filters shown as curves, if records are not images


def draw_reconstructions(model: Autoencoder, source: Source, *, n: int = 10) -> Figure:
    """Return a picture of the first ``n`` records above their reconstructions."""
    some = source.limit(n)
    restored = model.reconstruct(some, dtype=model.dtype_)
    return pictures.reconstructions(_drawable(model, some.values), _drawable(model, restored), n=n)


def draw_denoising(model: Autoencoder, source: Source, *, n: int = 10, seed: int = 0) -> Figure:
    """Return a picture of the first ``n`` records, corrupted as in training, and restored.

    Raises
    ------
    InvalidParameterError
        If the model was trained without corruption.
    """
    some = source.limit(n)
    noisy = model.corrupt(some, random_state=seed)
    restored = model.reconstruct(noisy, some.named_labels, dtype=model.dtype_)
    shown = {"original": some.values, "noisy": noisy, "restored": restored}
    return pictures.rows({name: _drawable(model, values) for name, values in shown.items()}, n=n)


def draw_denoised(
    model: Autoencoder, clean: NDArray[Any], noisy: NDArray[Any], restored: NDArray[Any], *, n: int = 10
) -> Figure:
    """Return a picture of the first ``n`` records clean, noisy and restored, with the PSNR before and after."""
    from narrows.evaluation.denoising import psnr_db_of_records

    before, after = (psnr_db_of_records(model, clean[:n], other[:n]) for other in (noisy, restored))
    shown = {"original": clean[:n], "noisy": noisy[:n], "restored": restored[:n]}
    return pictures.rows(
        {name: _drawable(model, values) for name, values in shown.items()},
        n=n,
        captions=[f"{_decibels(a)} → {_decibels(b)}" for a, b in zip(before, after, strict=True)],
        caption_label="PSNR, dB",
    )


def draw_filters(
    model: Autoencoder, *, tile: tuple[int, int] | None = None, spacing: int = 1, wide: bool = False
) -> Figure:
    """Return a picture of the encoder's first layer: an image for each unit, or a curve if records are not images.

    With ``wide`` at most 128 units are shown, in a grid that is wider than high.

    Raises
    ------
    DataError
        If the weights can be drawn neither as images nor as curves.
    InvalidParameterError
        If the encoder's first layer is of an unknown kind.
    """
    weights = _first_weights(model)
    if wide and len(weights) > math.prod(_WIDE_TILE):
        tile = _WIDE_TILE
    if weights.ndim == 4:  # kernels of a convolution, (units, channels, height, width)
        if weights.shape[1] not in {1, 3}:
            weights = weights.reshape(-1, 1, *weights.shape[2:])
        shape = tuple(weights.shape[1:] if weights.shape[1] == 3 else weights.shape[2:])
        return pictures.filters(weights, shape=shape, tile=tile, spacing=spacing)
    if model.record_ == "vector":
        return pictures.rows({"weights": weights}, n=_MOST_CURVES if tile is None else math.prod(tile))
    return pictures.filters(weights, shape=model.shape_, tile=tile, spacing=spacing)


def draw_grid(model: Autoencoder, records: NDArray[Any], **layout: Any) -> Figure:
    """Return a grid of records (n, *shape) of a model; ``layout`` as for `narrows.pictures.grid`."""
    return pictures.grid(_drawable(model, records), **layout)


def draw_map(model: Autoencoder, source: Source) -> Figure:
    """Return a map of the codes next to the first two principal components, coloured by label.

    Codes of more than two numbers are projected by PCA, as the title says. A model without a PCA of its training
    records is drawn alone.

    Raises
    ------
    InvalidParameterError
        If the code is a single number.
    """
    n_latent = model.n_latent_
    by_pca = None if model.pca_ is None else model.pca_.encode(source.values)
    if n_latent < 2 or (by_pca is not None and by_pca.shape[1] < 2):
        raise InvalidParameterError(f"A map needs codes of at least two numbers. The model's have {n_latent}.")
    codes = model.transform(source)
    title = "autoencoder, its code of 2 numbers"
    if n_latent > 2:
        codes = _projected(codes)
        title = f"autoencoder, its {n_latent} numbers projected by PCA"
    shown = {title: codes}
    if by_pca is not None:
        shown[f"PCA, the first 2 of {by_pca.shape[1]} components"] = by_pca[:, :2]
    return pictures.maps(shown, source.labels, source.label_names)


def draw_curves(model: Autoencoder) -> Figure:
    """Return a picture of the loss and the learning rate of every epoch."""
    return pictures.curves(model.history_)


def _first_weights(model: Autoencoder) -> NDArray[Any]:
    from torch import nn

    for module in model.encoder_.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            weights: NDArray[Any] = module.weight.detach().cpu().double().numpy()
            return weights[:, : weights.shape[1] - model.chain_.parts.n_classes]  # without the inputs for labels
    raise InvalidParameterError(
        f"The encoder, {model.chain_.parts.network!r}, has no layer whose filters can be drawn."
    )


def _projected(codes: NDArray[Any]) -> NDArray[Any]:
    """Return the first two principal components of codes (n, n_latent)."""
    from narrows.model.artefacts.pca import PrincipalComponents

    components = PrincipalComponents.fit(codes, 2, seed=0).encode(codes)
    return np.pad(components, ((0, 0), (0, 2 - components.shape[1])))


def _decibels(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "∞"


def _drawable(model: Autoencoder, values: NDArray[Any]) -> NDArray[Any]:
    """Return images that can be drawn unchanged, other records as vectors."""
    is_picture = values.ndim == 3 or (values.ndim == 4 and {values.shape[1], values.shape[3]} & {1, 3, 4})
    is_picture = is_picture and model.record_ == "image"
    return values if is_picture else values.reshape(len(values), -1)
