"""Denoisers to compare with: a median filter, non-local means, and PCA.

Each takes noisy records and returns restored floats of the same shape in the same units.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import DataError, InvalidParameterError, MissingPackageError
from narrows.model.artefacts.pca import PrincipalComponents
from narrows.records import ImageLayout, guess_kind

__all__ = ["median_filter", "non_local_means", "pca"]


def median_filter(x: NDArray[Any], size: int = 3) -> NDArray[np.float64]:
    """Replace each value by the median of its neighbours, ``size`` along every axis of each channel.

    Values are mirrored at the edges. The filter is `scipy.ndimage.median_filter`; Tukey (1977), "Exploratory data
    analysis".

    Parameters
    ----------
    x : ndarray of shape (n, *shape)
        Vectors are filtered along their axis, images along height and width.
    size : int
        Number of neighbours along an axis including the value itself; odd.

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
    """Replace each pixel by a mean of pixels around it, weighted by the similarity of their patches.

    Buades, Coll and Morel (2005), "A non-local algorithm for image denoising", in the fast version of scikit-image.

    Parameters
    ----------
    x : ndarray of shape (n, *shape)
        Images; the channels of an image share the weights.
    h : float
        Tolerance for differences of patches: a larger value gives smoother images, 0 changes nothing.
    sigma : float
        Expected standard deviation of the noise, which is discounted in the difference of patches.
    patch_size, patch_distance : int
        Size of a patch, and largest distance between compared patches, in pixels.

    Raises
    ------
    DataError
        If the records are not images.
    MissingPackageError
        If scikit-image is not installed.
    """
    if guess_kind(x.shape[1:]) != "image":
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
    # It drops axes of length 1.
    return np.stack([denoise_nl_means(image, **how).reshape(image.shape) for image in x])


def pca(x: NDArray[Any], components: PrincipalComponents, n_components: int) -> NDArray[np.float64]:
    """Project records onto the first principal components of clean records: x̂ = μ + V Vᵀ (x − μ).

    Parameters
    ----------
    x : ndarray of shape (n, *shape)
        The records.
    components : PrincipalComponents
        PCA fitted to clean records in the same units, such as ``model.pca_``.
    n_components : int
        Number of components: fewer components keep less noise and less detail.
    """
    kept = components.first(n_components)
    return kept.decode(kept.encode(x)).reshape(x.shape)


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    """Return the axis of the channels of records (n, *shape)."""
    if guess_kind(shape) != "image":
        return None
    return {"none": None, "last": 3, "first": 1}[ImageLayout.of(shape).axis]
