"""Metrics of restored data. The names of the metrics state the convention."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

import narrows.data
from narrows.data.fill import is_fill
from narrows.data.for_model import check_fits
from narrows.errors import InvalidParameterError
from narrows.estimators.autoencoder import Autoencoder, Data
from narrows.estimators.checks import autoencoder_in
from narrows.evaluation.column_metrics import column_metrics
from narrows.evaluation.likelihood import bounds
from narrows.evaluation.per_record import Errors, record_columns
from narrows.evaluation.text_metrics import text_metrics
from narrows.model.artefacts import PrincipalComponents
from narrows.model.collapse import warn_if_collapsed
from narrows.model.comparison import warn_if_worse, warn_of_ruined_columns
from narrows.model.inference import encode_continuous, losses, noise_of, reconstruct
from narrows.numerics.batches import batch_size
from narrows.numerics.psnr import peak_of
from narrows.numerics.squares import SquaredSum
from narrows.numerics.surroundings import usual_settings
from narrows.parts.options import Integer, check

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

__all__ = ["evaluate", "psnr_db_of_sse", "unit_of"]

_BATCH = 4096
_OF_KIND = {"columns": column_metrics, "text": text_metrics}
_SMALLEST_PROBABILITY = 1e-7  # probabilities are clipped as in Keras


def unit_of(dtype: np.dtype[Any]) -> float:
    """Return the unit in which errors are measured: 255 for uint8, so that pixels are in [0, 1]; otherwise 1."""
    return 255.0 if dtype == np.uint8 else 1.0


@usual_settings()
def evaluate(
    model: Autoencoder | Pipeline,
    data: Data,
    y: ArrayLike | None = None,
    *,
    corrupted: bool = False,
    importance_samples: int = 0,
    random_state: int = 0,
    per_record: bool = False,
) -> dict[str, Any]:
    """Measure how well a model restores records, for example test data.

    The output of the decoder is neither clipped nor rounded to the dtype of the data before it is measured. Values that
    are equal to the fill value of the model are missing, and no metric counts them.

    Parameters
    ----------
    model : Autoencoder or Pipeline
        A fitted model, or a fitted pipeline that ends in one. The metrics of a pipeline are those of its last step, on
        the records as the steps before have converted them.
    data : array_like of shape (n, *shape), path, name or Source
        The records.
    y : array_like of shape (n,), optional
        Labels, for a conditional model, unless the data have their own.
    corrupted : bool
        Corrupt the records as in training before encoding, and compare the results with the clean records.
    importance_samples : int
        For variational models: number of codes that are drawn for each record to compute a tighter bound of its
        likelihood. 0: only the ELBO is computed.
    random_state : int
        Seed of the corruption and of random codes.
    per_record : bool
        Also return the errors of each record.

    Returns
    -------
    metrics : dict
        The metrics of `narrows.evaluation.metric_table.METRICS` and of the bottleneck (`BottleneckModule.metrics`); for
        variational models also those of `narrows.evaluation.likelihood`. A metric is None if it is not defined for the
        data, and the metrics of PCA are None if the model has no PCA.

        With ``per_record`` there is an entry of this name, a dict of columns of shape (n,), which
        `narrows.evaluation.per_record.write_per_record` writes to a file:

        - ``index``, ``name`` (of image files) and ``label`` (if the data have labels, or y is given);
        - ``squared_error`` and ``preprocessed_squared_error``, whose means are ``sse_per_record`` and
          ``preprocessed_sse_per_record``, so bytes count as numbers in [0, 1];
        - ``pca_squared_error`` and ``pca_preprocessed_squared_error``, the same for PCA, if the model has one;
        - ``bytes`` and ``wrong_bytes`` instead, for text; ``bits``, in all and of each column, for tables;
        - ``log_likelihood``, in nats, as of `Autoencoder.score_samples`; minus its mean is ``nats_per_record``.

    Raises
    ------
    ShapeMismatchError
        If the records have another shape than the model's.
    InvalidParameterError
        If the model is not an autoencoder, ``corrupted`` is set for one that was trained without corruption, or
        ``importance_samples`` for one that is not variational.
    DataError
        If values lie outside the likelihood's support, which is [0, 1] for a Bernoulli likelihood.

    Warns
    -----
    CollapsedWarning
        If the model encodes all records alike.
    RangeWarning
        If the records are on another scale than the training data.
    WorseThanPCAWarning
        If the model restores the records worse than PCA does with a code of the same length.
    """
    model, data = autoencoder_in(model, data, "evaluate")
    source = model.records_of(data)
    check_fits(source, model.shape_)
    if model.record_ in _OF_KIND:
        others = {"corrupted": corrupted, "importance_samples": importance_samples}
        return _OF_KIND[model.record_](model, source, per_record=per_record, **others)
    is_variational = _is_variational(model, importance_samples, corrupted=corrupted)
    found = narrows.data.finite_range(source, fill_value=model.fill_value_)
    is_on_another_scale = model._warn_of_scale(source, found)
    classes = model.classes_of(source, y)
    unit, n_values = unit_of(model.dtype_), float(math.prod(source.shape))
    cross_entropy, n_missing, sum_of_squares, nats, size = 0.0, 0, SquaredSum(), [], batch_size(source.shape, _BATCH)
    scale = model.chain_.preprocessor.divisor.numpy() / unit
    pca, ours, by_pca = model.pca_, Errors(scale), None if model.pca_ is None else Errors(scale)
    noise = (noise_of(model.chain_, random_state), noise_of(model.chain_, random_state)) if corrupted else (None, None)
    for start in range(0, len(source), size):
        values, told = source.values[start : start + size], None if classes is None else classes[start : start + size]
        x = values.astype(np.float64) / unit
        x_hat = reconstruct(model.chain_, values, told, noise=noise[0]) / unit
        missing = None if model.fill_value_ is None else is_fill(values, model.fill_value_)
        if missing is not None:
            x[missing] = x_hat[missing]  # no error
            n_missing += int(missing.sum())
        ours.add(x - x_hat)
        sum_of_squares += _squared(x, scale)
        if pca is not None and by_pca is not None:
            by_pca.add(_error_of_pca(pca, values, x, unit, missing))
        cross_entropy += _cross_entropy(x, x_hat) if missing is None else _cross_entropy(x[~missing], x_hat[~missing])
        nats.append(losses(model.chain_, values, told, noise=noise[1]))
    if not is_on_another_scale:
        warn_if_collapsed(model.chain_, source.values, classes)
    if by_pca is not None and not is_on_another_scale:  # on which any model is worse than PCA
        error, error_by_pca = float(ours.preprocessed_total), float(by_pca.preprocessed_total)
        warn_if_worse(model.model_, error, error_by_pca, float(sum_of_squares), "these records")
        warn_of_ruined_columns(model.model_, source.values, "these records")
    n, of_records = len(source), np.concatenate(nats)
    known = of_records if model.fill_value_ is None else of_records[~np.isnan(of_records)]  # NaN: no value is there
    n_values *= 1 - n_missing / source.values.size  # of a record, on average
    peak = peak_of(model.dtype_, *found) / unit
    psnr = (ours.total / n).psnr_db(n_values, peak) if n_values else math.inf
    return {
        "records": len(source),
        **({} if model.fill_value_ is None else {"missing_values": n_missing}),
        "sse_per_record": float(ours.total / n),
        "median_sse_per_record": float(np.median(ours.of_records)),
        "mse": float(ours.total / n / n_values) if n_values else None,
        "psnr_db": None if math.isinf(psnr) else psnr,
        "cross_entropy_per_value": cross_entropy / n / n_values if n_values and not math.isnan(cross_entropy) else None,
        "nats_per_record": float(known.mean()),
        "median_nats_per_record": float(np.median(known)),
        **_beside_pca(ours, by_pca, n),
        "preprocessed_mse": float(ours.preprocessed_total / n / n_values) if n_values else None,
        **(
            bounds(model.chain_, source.values, random_state, classes, importance_samples=importance_samples)
            if is_variational
            else {}
        ),
        **model.chain_.bottleneck.metrics(lambda: encode_continuous(model.chain_, source.values, classes)),
        **({"per_record": record_columns(source, y, ours, by_pca, -of_records)} if per_record else {}),
    }


def _beside_pca(ours: Errors, by_pca: Errors | None, n: int) -> dict[str, float | None]:
    """Return the squared errors of n records by PCA, and those in preprocessed units."""
    return {
        "pca_sse_per_record": None if by_pca is None else float(by_pca.total / n),
        "preprocessed_sse_per_record": float(ours.preprocessed_total / n),
        "pca_preprocessed_sse_per_record": None if by_pca is None else float(by_pca.preprocessed_total / n),
    }


def _error_of_pca(
    pca: PrincipalComponents,
    values: NDArray[Any],
    x: NDArray[np.float64],
    unit: float,
    missing: NDArray[np.bool_] | None,
) -> NDArray[np.float64]:
    """Return the errors of records x = values / unit, (n, *shape), that PCA restores; 0 for missing values."""
    error = x - pca.decode(pca.encode(values)).reshape(values.shape) / unit
    return error if missing is None else np.where(missing, 0.0, error)


def _is_variational(model: Autoencoder, importance_samples: int, *, corrupted: bool) -> bool:
    """Return whether a model is variational; refuse importance samples for others, and corruption without one."""
    if corrupted and model.chain_.corruption is None:
        raise InvalidParameterError("The model was trained without corruption. Set corrupted=False.")
    check("evaluate", "importance_samples", importance_samples, Integer(0))
    is_variational = model.chain_.bottleneck.draws
    if importance_samples and not is_variational:
        raise InvalidParameterError(
            "The 'importance_samples' of evaluate need a variational model, with bottleneck='gaussian'. "
            f"This model has bottleneck='{model.chain_.parts.bottleneck.name}'."
        )
    return is_variational


def psnr_db_of_sse(sse_per_record: float, metrics: Mapping[str, Any]) -> float | None:
    """Return the peak signal-to-noise ratio of another method on the same records, given its squared error.

    Parameters
    ----------
    sse_per_record : float
        Squared error of the other method, for example ``metrics["pca_sse_per_record"]``.
    metrics : mapping
        The result of `evaluate` for these records.

    Returns
    -------
    float or None
        The ratio in dB. None if one of the errors is 0, or the metrics have no ``psnr_db``.

    Examples
    --------
    >>> psnr_db_of_sse(0.3, {"psnr_db": 20.0, "sse_per_record": 3.0})
    30.0
    """
    ours, sse = metrics["psnr_db"], metrics["sse_per_record"]
    if ours is None or sse <= 0 or sse_per_record <= 0:
        return None
    return float(ours - 10 * math.log10(sse_per_record / sse))


def _squared(values: NDArray[np.float64], scale: NDArray[np.float64] | float = 1.0) -> SquaredSum:
    """Return the sum of squares of values divided by a scale."""
    with np.errstate(over="ignore"):
        return SquaredSum.of(values / scale)


def _cross_entropy(x: NDArray[np.float64], x_hat: NDArray[np.float64]) -> float:
    """Return the sum of the cross-entropies in nats; NaN if a value of x is outside [0, 1]."""
    if x.min(initial=0) < 0 or x.max(initial=0) > 1:
        return math.nan
    p = np.clip(x_hat, _SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)
    return -float((x * np.log(p) + (1 - x) * np.log1p(-p)).sum())
