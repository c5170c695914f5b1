"""What takes noise away without an autoencoder: a median filter, non-local means, and PCA.

Each takes noisy records and returns restored ones of the same shape, floats, in the same units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import DataError, InvalidParameterError, MissingPackageError
from narrows.model.artefacts.pca import PrincipalComponents
from narrows.records import ImageLayout

__all__ = ["is_image", "median_filter", "non_local_means", "pca"]


def is_image(shape: tuple[int, ...]) -> bool:
    """Return whether a record of this shape is an image, grey or with channels."""
    return len(shape) in {2, 3}


def median_filter(x: NDArray[Any], size: int = 3) -> NDArray[np.float64]:
    """Replace each value by the median of its neighbours, ``size`` along every axis; records and channels stay apart.

    What lies beyond an edge is mirrored. `scipy.ndimage.median_filter` does the work; Tukey (1977), "Exploratory data
    analysis".

    Parameters
    ----------
    x : ndarray of shape (n, *shape)
        Vectors are filtered along themselves, images along height and width.
    size : int
        Neighbours along an axis, the value itself among them; odd.

    Examples
    --------
    >>> median_filter(np.array([[0, 0, 9, 0, 5, 5, 5]])).tolist()
    [[0.0, 0.0, 0.0, 5.0, 5.0, 5.0, 5.0]]
    """
    from scipy import ndimage

    if size < 1 or size % 2 == 0:
        raise InvalidParameterError(f"The 'size' of median_filter must be odd and at least 1. Got {size!r}.")
    sizes = [1, *[size] * (x.ndim - 1)]
    channels = _channel_axis(x.shape[1:])
    if channels is not None:
        sizes[channels] = 1
    filtered: NDArray[np.float64] = ndimage.median_filter(x.astype(np.float64), size=tuple(sizes))
    return filtered


def non_local_means(
    x: NDArray[Any], *, h: float, sigma: float, patch_size: int = 5, patch_distance: int = 6
) -> NDArray[np.float64]:
    """Replace each pixel by a mean of pixels around whose patches look alike, weighed by how much they do.

    Buades, Coll and Morel (2005), "A non-local algorithm for image denoising", in the fast form of scikit-image.

    Parameters
    ----------
    x : ndarray of shape (n, *shape)
        Images; the channels of one share their weights.
    h : float
        How unlike patches may be: the larger, the smoother. 0 leaves the images alone.
    sigma : float
        Standard deviation of the noise that is expected in the difference of patches.
    patch_size, patch_distance : int
        Pixels along a patch, and how far away others are looked for.

    Raises
    ------
    DataError
        If the records are no images.
    MissingPackageError
        If scikit-image is not installed.
    """
    if not is_image(x.shape[1:]):
        raise DataError(f"Non-local means needs images (n, H, W) or with channels. Got records of {x.shape[1:]}.")
    try:
        from skimage.restoration import denoise_nl_means
    except ImportError as error:
        raise MissingPackageError(
            "Non-local means needs scikit-image: pip install scikit-image", name="scikit-image"
        ) from error

    x = x.astype(np.float64)
    if h == 0:
        return x
    axis = _channel_axis(x.shape[1:])
    how = {
        "h": h,
        "sigma": sigma,
        "patch_size": patch_size,
        "patch_distance": patch_distance,
        "fast_mode": True,
        "channel_axis": None if axis is None else axis - 1,
    }
    # It returns images without the axes along which they have a single pixel.
    return np.stack([denoise_nl_means(image, **how).reshape(image.shape) for image in x])


def pca(x: NDArray[Any], components: PrincipalComponents, n_components: int) -> NDArray[np.float64]:
    """Project records onto the first principal components of others, clean ones: x̂ = μ + V Vᵀ (x − μ).

    Parameters
    ----------
    x : ndarray of shape (n, *shape)
        The records.
    components : PrincipalComponents
        Fitted to clean records in the same units; ``model.pca_`` to the training data.
    n_components : int
        How many of them are kept: the fewer, the less noise and the less of the record.
    """
    kept = components.first(n_components)
    return kept.decode(kept.encode(x)).reshape(x.shape)


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    """Return where records (n, *shape) have their channels."""
    if not is_image(shape):
        return None
    return {"none": None, "last": 3, "first": 1}[ImageLayout.of(shape).axis]
