"""Pictures of a trained model. The functions compute the arrays, and `narrows.pictures` draws them.

>>> import narrows
>>> from narrows.evaluation.drawing import draw_reconstructions
>>> model = narrows.recipe("auto", training__epochs=2, random_state=0).fit("digits:train")
>>> figure = draw_reconstructions(model, "digits:test", n=5)

`narrows.pictures.save` writes a figure to a file. All functions refuse what is not a fitted model of narrows, and
records that are not of the shape of its training records.
"""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from narrows import pictures
from narrows.archive import open_archive
from narrows.archive.compress import compress
from narrows.archive.quality import coarser_qualities
from narrows.archive.summary import Summary
from narrows.data.text.sources import whole_texts
from narrows.data.text.texts import decoded
from narrows.errors import InvalidParameterError
from narrows.estimators.checks import check_model, records_for
from narrows.evaluation.denoising import psnr_db_of_records
from narrows.evaluation.map_drawing import draw_record_map
from narrows.evaluation.series_drawing import draw_series, is_drawn_over_time
from narrows.evaluation.table_drawing import draw_masked_rows, draw_restored_rows
from narrows.records import ImageLayout
from narrows.uses import map_records
from narrows.uses.projections import project

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from narrows.estimators.autoencoder import Autoencoder, Data

__all__ = [
    "draw_curves",
    "draw_denoised",
    "draw_denoising",
    "draw_filters",
    "draw_grid",
    "draw_map",
    "draw_qualities",
    "draw_reconstructions",
    "drawable",
    "first_layer_weights",
]

_WIDE_TILE = (8, 16)  # rows and columns shown of many filters
_DRAWABLE_CHANNELS = (1, 3, 4)
_MOST_WINDOWS = 10  # of series of several channels, drawn one after the other
_MOST_CURVES = 20  # filters shown as curves, if records are not images


def draw_reconstructions(model: Autoencoder, data: Data, *, n: int = 10) -> Figure:
    """Return a picture of the first records above their reconstructions.

    Parameters
    ----------
    model : Autoencoder
        A fitted model.
    data : array_like of shape (n_records, *shape), path, name or Source
        The records.
    n : int
        Number of records to draw.

    Returns
    -------
    Figure

    Raises
    ------
    ShapeMismatchError
        If the records have another shape than the model's.
    """
    source = records_for(model, data, "draw_reconstructions")
    some = source.limit(n).alone
    if model.record_ == "columns":
        return draw_restored_rows(model, some.values)
    if model.record_ == "series" and is_drawn_over_time(source, n):
        first = source.values[:n]
        return draw_series(source, {"original": first, "restored": model.reconstruct(first, dtype=float)})
    restored = model.reconstruct(some, dtype=model.dtype_)
    return pictures.reconstructions(drawable(model, some.values), drawable(model, restored), n=n)


def draw_denoising(model: Autoencoder, data: Data, *, n: int = 10, random_state: int = 0) -> Figure:
    """Return a picture of the first records: original, corrupted as in training, and restored.

    Parameters
    ----------
    model : Autoencoder
        A fitted model that was trained with corruption.
    data : array_like of shape (n_records, *shape), path, name or Source
        The records.
    n : int
        Number of records to draw.
    random_state : int
        Seed of the corruption.

    Returns
    -------
    Figure

    Raises
    ------
    InvalidParameterError
        If the model was trained without corruption.
    ShapeMismatchError
        If the records have another shape than the model's.
    """
    source = records_for(model, data, "draw_denoising")
    some = source.limit(n).alone
    if model.record_ == "columns":
        return draw_masked_rows(model, some.values, random_state)
    if model.record_ == "series" and is_drawn_over_time(source, n):
        first = source.values[:n]
        noisy = model.corrupt(first, random_state=random_state)
        return draw_series(source, {"original": first, "noisy": noisy, "restored": model.reconstruct(noisy)})
    noisy = model.corrupt(some, random_state=random_state)
    restored = model.reconstruct(noisy, some.named_labels, dtype=model.dtype_)
    shown = {"original": some.values, "noisy": noisy, "restored": restored}
    return pictures.rows({name: drawable(model, values) for name, values in shown.items()}, n=n)


def draw_denoised(
    model: Autoencoder, clean: NDArray[Any], noisy: NDArray[Any], restored: NDArray[Any], *, n: int = 10
) -> Figure:
    """Return a picture of the first records: clean, noisy and restored, with the PSNR of the last two.

    Parameters
    ----------
    model : Autoencoder
        The fitted model that restored the records.
    clean, noisy, restored : ndarray of shape (n_records, *shape)
        The records in the dtype of the training data.
    n : int
        Number of records to draw.

    Returns
    -------
    Figure
    """
    clean, noisy, restored = (records_for(model, one, "draw_denoised").values for one in (clean, noisy, restored))
    before, after = (psnr_db_of_records(model, clean[:n], other[:n]) for other in (noisy, restored))
    shown = {"original": clean[:n], "noisy": noisy[:n], "restored": restored[:n]}
    return pictures.rows(
        {name: drawable(model, values) for name, values in shown.items()},
        n=n,
        captions=[f"{_decibels(a)} → {_decibels(b)}" for a, b in zip(before, after, strict=True)],
        caption_label="PSNR, dB",
    )


def draw_filters(
    model: Autoencoder, *, tile: tuple[int, int] | None = None, spacing: int = 1, wide: bool = False
) -> Figure:
    """Return a picture of the weights of the encoder's first layer.

    The weights of a unit are drawn as an image, or as a curve if records are not images.

    Parameters
    ----------
    model : Autoencoder
        A fitted model.
    tile : (int, int), optional
        Rows and columns of filters; by default all filters, nearly square.
    spacing : int
        Pixels between filters.
    wide : bool
        Draw at most 128 units, in a grid that is wider than high.

    Returns
    -------
    Figure

    Raises
    ------
    DataError
        If the weights can be drawn neither as images nor as curves.
    InvalidParameterError
        If the encoder has neither a linear nor a convolutional layer.
    """
    check_model(model, "draw_filters")
    weights = first_layer_weights(model)
    if wide and len(weights) > math.prod(_WIDE_TILE):
        tile = _WIDE_TILE
    if weights.ndim == 4:  # kernels of a convolution, (units, channels, height, width)
        if weights.shape[1] not in {1, 3}:
            weights = weights.reshape(-1, 1, *weights.shape[2:])
        shape = tuple(weights.shape[1:] if weights.shape[1] == 3 else weights.shape[2:])
        return pictures.filters(weights, shape=shape, tile=tile, spacing=spacing)
    if weights.ndim == 3:  # kernels of a convolution along time
        weights = weights.reshape(len(weights), -1)
    if model.record_ == "columns":
        raise InvalidParameterError("Filters of a model of a table have no picture: its inputs are cells, not pixels.")
    if model.record_ in {"series", "vector"}:
        if model.record_ == "series" and weights.shape[1] == math.prod(model.shape_):
            weights = _channel_by_channel(weights.reshape(-1, *model.shape_))
        return pictures.rows({"weights": weights}, n=_MOST_CURVES if tile is None else math.prod(tile))
    return pictures.filters(weights, shape=model.shape_, tile=tile, spacing=spacing)


def draw_grid(model: Autoencoder, records: NDArray[Any], **layout: Any) -> Figure:
    """Return a grid of records in the units of a model, such as its samples.

    Parameters
    ----------
    model : Autoencoder
        A fitted model.
    records : ndarray of shape (n, *shape)
        The records.
    **layout
        The parameters of `narrows.pictures.grid`. Series of several channels are drawn one after the other instead.

    Returns
    -------
    Figure
    """
    values = records_for(model, records, "draw_grid").values
    if model.record_ == "series" and len(model.shape_) > 1:
        return draw_series(None, {"generated": values[:_MOST_WINDOWS]})
    return pictures.grid(drawable(model, values), **layout)


def draw_map(model: Autoencoder, data: Data) -> Figure:
    """Return a map of the codes next to the first two principal components, coloured by label; of text, with the words.

    Codes of more than two numbers are projected by PCA; the title states this. If the model has no PCA of its training
    records, only the codes are drawn.

    Parameters
    ----------
    model : Autoencoder
        A fitted model.
    data : array_like of shape (n_records, *shape), path, name or Source
        The records.

    Returns
    -------
    Figure

    Raises
    ------
    InvalidParameterError
        If the latent dimension, or the number of principal components, is 1.
    ShapeMismatchError
        If the records have another shape than the model's.
    """
    source = whole_texts(records_for(model, data, "draw_map"))
    if model.record_ == "columns":
        return draw_record_map(map_records(model, source))
    n_latent, pca = model.n_latent_, model.pca_
    if n_latent < 2 or (pca is not None and len(pca.components) < 2):
        raise InvalidParameterError(
            f"A map needs a latent dimension of at least 2. This model has latent dimension {n_latent}."
        )
    codes = model.transform(source)
    title = "autoencoder, its code of 2 numbers"
    if n_latent > 2:
        codes = project(codes, "pca", 0)
        title = f"autoencoder, its {n_latent} numbers projected by PCA"
    shown = {title: codes}
    if source.text is not None:
        return pictures.maps(shown, texts=[decoded(text) for text in source.text.texts])
    if pca is not None:
        shown[f"PCA, the first 2 of {len(pca.components)} components"] = pca.encode(source.values)[:, :2]
    return pictures.maps(shown, source.labels, source.label_names)


def draw_qualities(model: Autoencoder, data: Data, *, n: int = 10) -> Figure:
    """Return a picture of the first records and of their restorations from ever smaller archives.

    The archives have the model's default quality and up to two coarser qualities. The labels give the number of bytes
    per record, without the model, and the PSNR, both measured on all records.

    Parameters
    ----------
    model : Autoencoder
        A fitted model with an archive codec.
    data : array_like of shape (n_records, *shape), path, name or Source
        The records.
    n : int
        Number of records to draw.

    Returns
    -------
    Figure

    Raises
    ------
    NotMeasuredError, NotFreezableError
        If the model has no archive codec.
    ShapeMismatchError
        If the records have another shape than the model's.
    """
    source = records_for(model, data, "draw_qualities").alone
    codec = model.codec_
    rows = {f"{source.values[0].nbytes} bytes each, original": source.values[:n]}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "archive.narrows"
        for quality in (None, *coarser_qualities(codec)):
            most = None if quality is None else quality.bytes_per_record
            made = compress(source, path, model=model, bytes_per_record=most, force=True)
            assert isinstance(made, Summary), "records of a model are no table"
            psnr = "not exact" if made.psnr_db is None else f"{made.psnr_db:.1f} dB"
            psnr = "exact" if made.max_error == 0 else psnr
            with open_archive(path, model=model) as archive:
                rows[f"{made.bytes_per_record:.1f} bytes each, {psnr}"] = archive[: min(n, len(source))]
    return pictures.rows({name: drawable(model, values) for name, values in rows.items()}, n=n)


def draw_curves(model: Autoencoder) -> Figure:
    """Return a picture of the loss and the learning rate over the epochs.

    Parameters
    ----------
    model : Autoencoder or AutoencoderClassifier
        A fitted model.

    Returns
    -------
    Figure

    Raises
    ------
    InvalidParameterError, NotFittedError
        If the model is not a model of narrows, or not fitted.
    """
    check_model(model, "draw_curves")
    return pictures.curves(model.history_)


def first_layer_weights(model: Autoencoder) -> NDArray[Any]:
    """Return the weights of the encoder's first layer, without the weights of the inputs for labels.

    Parameters
    ----------
    model : Autoencoder
        A fitted model.

    Returns
    -------
    ndarray of float64
        Shape (n_units, n_values) of a dense layer, (n_units, channels, height, width) of a convolution, and
        (n_units, channels, steps) of one along time.

    Raises
    ------
    InvalidParameterError
        If the encoder has neither a linear nor a convolutional layer.
    """
    from torch import nn

    check_model(model, "first_layer_weights")
    for module in model.chain_.encoder.modules():
        if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
            weights: NDArray[Any] = module.weight.detach().cpu().double().numpy()
            return weights[:, : weights.shape[1] - model.chain_.parts.n_classes]
    raise InvalidParameterError(
        f"The encoder, {model.chain_.parts.network!r}, has no layer whose filters can be drawn."
    )


def _decibels(value: float) -> str:
    return f"{value:.1f}" if math.isfinite(value) else "∞"


def drawable(model: Autoencoder, values: NDArray[Any]) -> NDArray[Any]:
    """Return records unchanged if they are grey or colour images, otherwise flattened to vectors."""
    if model.record_ == "series":
        return _channel_by_channel(values)
    is_drawable = model.record_ == "image" and ImageLayout.of(values.shape[1:]).channels in _DRAWABLE_CHANNELS
    return values if is_drawable else values.reshape(len(values), -1)


def _channel_by_channel(windows: NDArray[Any]) -> NDArray[Any]:
    return windows.reshape(*windows.shape[:2], -1).swapaxes(1, 2).reshape(len(windows), -1)
