"""How long the recipes for archives train, and how large their networks of residuals are.

Both follow from the number of records and of their values, and training ends early if it no longer helps.
"""

from __future__ import annotations

import math

from narrows.lossless import CausalNetwork
from narrows.records import ImageLayout
from narrows.training import Training

__all__ = ["brief", "ending_early", "residual_for", "whole_epochs"]

# What a whole training sees: values of records, but at least so many records, in at most so many epochs.
_VALUES, _FEWEST_RECORDS, _MOST_EPOCHS = 450_000_000, 384_000, 200
# The same for networks of residuals: within a bound there is less to learn.
_BOUNDED_VALUES, _BOUNDED_RECORDS = 240_000_000, 154_000
_LOSSLESS_VALUES, _LOSSLESS_RECORDS = 1_500_000_000, 256_000
# By the number of values to be stored: hidden units and components of networks of residuals. Wider networks save a few
# percent of the records' bytes, and cost some thousand bytes themselves.
_WIDTHS = ((1_000_000, 32, 4), (4_000_000, 64, 6), (math.inf, 128, 10))
_BRIEF = 8  # a code that is not expected to be used is trained for this fraction
_PATIENCE, _LEAST_PATIENCE = 0.2, 4  # share of the epochs, and epochs, without a lower cost after which training ends


def whole_epochs(n_records: int, n_values: int) -> int:
    """Return the number of epochs of the whole training of a code, on records of so many values."""
    return _epochs(n_records, max(_VALUES / n_values, _FEWEST_RECORDS))


def brief(epochs: int) -> int:
    """Return the number of epochs for a code that is not expected to be used."""
    return max(epochs // _BRIEF, 1)


def ending_early(settings: Training, n_records: int) -> Training:
    """Return settings that end the training if the held-out cost does not fall for a fifth of the epochs."""
    if settings.patience is not None:
        return settings
    patience = max(math.ceil(settings.n_epochs(n_records) * _PATIENCE), _LEAST_PATIENCE)
    return settings.clone().set_params(patience=patience)


def residual_for(
    shape: tuple[int, ...],
    n_records: int,
    *,
    max_error: int = 0,
    psnr: float | None = None,
    most_epochs: int | None = None,
) -> CausalNetwork:
    """Return the network of residuals for lossless archives, or for those within a bound or with a PSNR."""
    n_values, is_lossy = math.prod(shape), bool(max_error) or psnr is not None
    n_hidden, n_components = next((h, k) for most, h, k in _WIDTHS if n_records * n_values <= most)
    layout = ImageLayout.of(shape)
    values, fewest = (_BOUNDED_VALUES, _BOUNDED_RECORDS) if is_lossy else (_LOSSLESS_VALUES, _LOSSLESS_RECORDS)
    epochs = _epochs(n_records, max(values / n_values, fewest))
    return CausalNetwork(
        n_hidden=n_hidden,
        n_components=min(n_components, 4) if is_lossy else n_components,
        reach=min(6 if layout.channels == 1 else 3, max(min(layout.height, layout.width) // 2, 1)),
        learning_rate=3e-3,
        max_error=max_error,
        psnr=psnr,
        epochs=min(epochs, most_epochs or epochs),
    )


def _epochs(n_records: int, n_seen: float) -> int:
    return min(max(round(n_seen / n_records), 1), _MOST_EPOCHS)
