"""Applies a trained chain to arrays batch by batch, in bounded memory and in eval mode."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from torch import Generator, Tensor

from narrows.chain import Chain
from narrows.codec.dequantise import to_dtype
from narrows.errors import InvalidParameterError
from narrows.model.precision import in_float64
from narrows.numerics.absent import is_absent
from narrows.numerics.batches import Labelled, batch_size
from narrows.numerics.eval_mode import in_eval_mode
from narrows.numerics.randomness import Stream, generator
from narrows.training.workers import over_workers

__all__ = [
    "Labels",
    "code_costs",
    "corrupt",
    "decode",
    "decode_continuous",
    "draw",
    "encode",
    "encode_continuous",
    "losses",
    "mapped",
    "mean_total",
    "noise_of",
    "project_codes",
    "reconstruct",
    "returned_dtype",
    "to_stored",
    "value_costs",
]

_BATCH = 1024
_PARTS = 4  # parts that a batch is split into on a CPU

Labels = NDArray[np.int64] | None
"""Classes of records, (n,) from 0, for conditional chains."""


def encode(
    chain: Chain, values: NDArray[Any], labels: Labels = None, *, noise: Generator | None = None
) -> NDArray[Any]:
    """Return the flat codes (n, n_latent) of records (n, *shape): float64 for float64 records, else float32.

    With ``noise`` the records are corrupted first, as in training.
    """
    chain = _in_precision_of(values, chain)

    def codes_of(x: Tensor, labels: Tensor | None = None) -> Tensor:
        return chain.encode(x, chain.condition(labels)).z.flatten(1)

    codes = _map_damaged(codes_of, chain, values, labels, noise=noise)
    return codes if values.dtype == np.float64 else codes.astype(np.float32, copy=False)


def encode_continuous(chain: Chain, values: NDArray[Any], labels: Labels = None) -> NDArray[np.float64]:
    """Return the flat codes (n, n_latent) of records (n, *shape) before any rounding by the bottleneck.

    For vector-quantised codes: the indices, shape (n, n_symbols).
    """
    chain = _in_precision_of(values, chain)

    def codes_of(batch: Tensor, labels: Tensor | None = None) -> Tensor:
        h = chain.encoder(chain.prepare(batch), chain.condition(labels))
        return chain.bottleneck.continuous_code(h).flatten(1)

    return mapped(codes_of, chain, values, labels).astype(np.float64)


def decode(
    chain: Chain, codes: NDArray[Any], labels: Labels = None, *, dtype: np.dtype[Any] | None = None
) -> NDArray[Any]:
    """Return the restored records (n, *shape) of flat codes (n, n_latent), in the units of the data.

    They are not rounded, unless ``dtype`` is given; see `to_stored`.

    Raises
    ------
    NotDecodableError
        If the decoder needs more inputs than the codes.
    """
    codes = codes.astype(np.float32 if codes.dtype.name == "float32" else np.float64, copy=False)  # in native bytes
    chain = _in_precision_of(codes, chain)

    def restored(batch: Tensor, labels: Tensor | None = None) -> Tensor:
        return chain.restore(_to_z(chain, batch), condition=chain.condition(labels))

    return mapped(restored, chain, codes, labels, dtype=dtype)


def decode_continuous(
    chain: Chain,
    codes: NDArray[np.floating[Any]],
    labels: Labels = None,
    *,
    dtype: np.dtype[Any] | None = None,
) -> NDArray[Any]:
    """Return the restored records (n, *shape) of codes (n, n_symbols) as `encode_continuous` returns them.

    Codes in float64 are decoded in float64, others in the model's own precision. The records are not rounded, unless
    ``dtype`` is given; see `to_stored`.

    Raises
    ------
    NotDecodableError
        If the decoder needs more inputs than the codes.
    """
    chain = _in_precision_of(codes, chain)

    def flat_code(batch: Tensor) -> Tensor:
        return chain.bottleneck.continuous_to_z(batch.to(chain.dtype)).flatten(1)

    return decode(chain, mapped(flat_code, chain, codes), labels, dtype=dtype)


def draw(
    chain: Chain, codes: NDArray[Any], labels: Labels = None, *, noise: Generator, dtype: np.dtype[Any] | None = None
) -> NDArray[Any]:
    """Return records (n, *shape) drawn from the likelihoods of flat codes (n, n_latent), in the units of the data."""
    chain = _in_precision_of(codes, chain)

    def drawn(batch: Tensor, labels: Tensor | None = None) -> Tensor:
        parameters = chain.decode(_to_z(chain, batch), condition=chain.condition(labels))
        return chain.preprocessor.inverse(chain.likelihood.sample(parameters, noise).double())

    return mapped(drawn, chain, codes, labels, noise=noise, dtype=dtype)


def project_codes(chain: Chain, codes: NDArray[Any]) -> NDArray[Any]:
    """Return flat codes (n, n_latent), each replaced by the nearest code that the bottleneck can produce."""
    chain = _in_precision_of(codes, chain)
    return mapped(lambda batch: chain.bottleneck.project(_to_z(chain, batch)).flatten(1), chain, codes)


def reconstruct(
    chain: Chain,
    values: NDArray[Any],
    labels: Labels = None,
    *,
    noise: Generator | None = None,
    dtype: np.dtype[Any] | None = None,
) -> NDArray[Any]:
    """Encode and decode records (n, *shape); the result is in the units of the data.

    It is not rounded, unless ``dtype`` is given. Each batch is converted at once; see `to_stored`.
    The result equals ``decode(encode(x))`` to the bit if the decoder needs only the code. A decoder that also needs
    switches gets those of the records. With ``noise`` the records are corrupted first, as in training.
    """
    chain = _in_precision_of(values, chain)

    def restored(x: Tensor, labels: Tensor | None = None) -> Tensor:
        condition = chain.condition(labels)
        h, switches = chain.encoder.with_pool_indices(x, condition)
        codes = chain.bottleneck(h).z.flatten(1)
        codes = codes if values.dtype == np.float64 else codes.float()
        return chain.restore(_to_z(chain, codes), switches, condition)

    return _map_damaged(restored, chain, values, labels, noise=noise, dtype=dtype)


def corrupt(chain: Chain, values: NDArray[Any], seed: int, *, dtype: np.dtype[Any] | None = None) -> NDArray[Any]:
    """Return corrupted records (n, *shape), in the data's units; missing values stay, cells taken away are NaN."""
    noise = noise_of(chain, seed)

    def damaged(batch: Tensor) -> Tensor:
        x, missing = chain.corrupt(chain.prepare(batch), noise), chain.missing_of(batch)
        restored = chain.preprocessor.inverse(x.double()).masked_fill(is_absent(x), math.nan)
        return restored if missing is None else torch.where(missing, batch.double(), restored)

    return mapped(damaged, chain, values, noise=noise, dtype=dtype)


def losses(
    chain: Chain, values: NDArray[Any], labels: Labels = None, *, noise: Generator | None = None
) -> NDArray[np.float64]:
    """Return the loss of each record (n, *shape) in nats, shape (n,); records are corrupted only with ``noise``.

    It is NaN for records whose values are all missing.

    Raises
    ------
    DataError
        If values lie outside the likelihood's support.
    """
    chain = _in_precision_of(values, chain)

    def totals(batch: Tensor, labels: Tensor | None = None) -> Tensor:
        chain.check_support(batch)
        total = chain.loss(batch if labels is None else Labelled(batch, labels), corruption=noise).total.double()
        missing = chain.missing_of(batch)
        return total if missing is None else total.masked_fill(missing.flatten(1).all(1), math.nan)

    return mapped(totals, chain, values, labels, noise=noise)


def value_costs(chain: Chain, values: NDArray[Any]) -> NDArray[np.float64]:
    """Return what each value of records costs beyond a perfect reconstruction, in nats, (n, *shape), at least 0.

    For likelihoods of whole numbers and categories it is -log p. For densities, log p of a perfect reconstruction is
    added, which leaves e² / 2σ² of a normal likelihood. Missing values cost 0. The likelihood must define
    `log_prob_of_values`.
    """
    chain = _in_precision_of(values, chain)

    def costs(batch: Tensor) -> Tensor:
        x, missing, likelihood = chain.prepare(batch), chain.missing_of(batch), chain.likelihood
        h, switches = chain.encoder.with_pool_indices(x)
        nats = -likelihood.log_prob_of_values(chain.decode(chain.bottleneck(h).z, switches), x)
        if not likelihood.is_probability_of(x):
            nats = nats + likelihood.log_prob_of_values(likelihood.parameters_of(x), x)
        nats = nats.double().clamp_min(0)
        return nats if missing is None else nats.masked_fill(missing, 0.0)

    return mapped(costs, chain, values)


def code_costs(chain: Chain, values: NDArray[Any], labels: Labels = None) -> NDArray[np.float64]:
    """Return the cost of the code of each record (n, *shape), in nats with its weight in the loss; shape (n,)."""
    chain = _in_precision_of(values, chain)

    def costs(batch: Tensor, labels: Tensor | None = None) -> Tensor:
        return chain.loss(batch if labels is None else Labelled(batch, labels)).bottleneck.double()

    return mapped(costs, chain, values, labels)


def mean_total(
    chain: Chain,
    values: NDArray[Any],
    labels: Labels = None,
    *,
    noise: Generator | None = None,
    weights: NDArray[np.float64] | None = None,
) -> float:
    """Return the mean loss of records (n, *shape) in nats, weighted if there are weights (n,); see `losses`.

    Records without any value do not count.
    """
    of_records = losses(chain, values, labels, noise=noise)
    known = ~np.isnan(of_records) if chain.parts.fill_value is not None else np.ones(len(of_records), bool)
    if 0 < known.sum() < len(known):
        of_records, weights = of_records[known], None if weights is None else weights[known]
    return float(of_records.mean() if weights is None else np.average(of_records, weights=weights))


def noise_of(chain: Chain, seed: int, stream: Stream = Stream.CORRUPTION) -> Generator:
    """Return a stream's generator on the device of the chain."""
    return generator(seed, stream, device=chain.device)


def to_stored(restored: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return restored values in a dtype; for an integer dtype they are rounded and clipped to its range."""
    return to_dtype(np.array(restored, np.float64), dtype)


def returned_dtype(
    asked: DTypeLike | None, stored: np.dtype[Any], shape: tuple[int, ...], record: str = "auto"
) -> np.dtype[Any]:
    """Return the dtype of restored records.

    Parameters
    ----------
    asked : dtype or None
        A real dtype. None: that of the training data, except for tables (records of one axis) of whole numbers or
        booleans. These come back as float64, since rounding would turn one-hot columns and small counts into zeros.
    stored : dtype
        Dtype of the training data.
    shape : tuple of int
        Shape of a record.
    record : str
        What a record is; windows of series are no tables.

    Raises
    ------
    InvalidParameterError
        If the requested dtype is not a real one.

    Examples
    --------
    >>> returned_dtype(None, np.dtype("int64"), (8,)), returned_dtype(None, np.dtype("uint8"), (8, 8))
    (dtype('float64'), dtype('uint8'))
    """
    if asked is None:
        is_table = len(shape) == 1 and record not in {"columns", "series", "text"}
        return np.dtype(np.float64) if is_table and stored.kind in "iub" else stored
    try:
        dtype = np.dtype(asked)
    except (TypeError, ValueError):
        dtype = np.dtype(object)
    if dtype.kind not in "iubf" or dtype.itemsize > 8:
        raise InvalidParameterError(
            f"The 'dtype' must be a bool, integer or float dtype of at most 64 bits, or None for that of the training "
            f"data. Got {asked!r}."
        )
    return dtype


def mapped(
    function: Callable[..., Tensor],
    chain: Chain,
    values: NDArray[Any],
    labels: Labels = None,
    *,
    noise: Generator | None = None,
    dtype: np.dtype[Any] | None = None,
) -> NDArray[Any]:
    """Return a function of all records, computed by workers on parts of batches, or on whole batches with ``noise``.

    Each part is converted to ``dtype`` and written into the result, so that little more memory than that of the result
    is needed. None: the dtype of the function's result.

    With ``noise`` the batches come in order, since the function draws from it. The number of records in a call does not
    depend on the number of threads, since it may change the last bits.
    """
    size = batch_size(chain.shape, _BATCH)
    part = size if noise is not None else _part_size(chain)
    arrays = [values] if labels is None else [values, labels]

    result = _Result(len(values))

    def of_part(rows: range) -> None:
        batch = [torch.from_numpy(np.array(one[rows.start : rows.stop], order="C")).to(chain.device) for one in arrays]
        done: NDArray[Any] = function(*batch).cpu().numpy()  # moved at once: a device may not have room for all
        result.put(rows, done if dtype is None else to_stored(done, dtype))

    every = range(len(values))
    batches = (every[start : start + size] for start in range(0, len(values), size))
    parts = [batch[start : start + part] for batch in batches for start in range(0, len(batch), part)]
    with in_eval_mode(chain):  # a training loop of the user's may have left it in train mode
        over_workers(of_part, parts, chain.device, one_by_one=noise is not None)
    return result.array


class _Result:
    """An array of n rows that several threads fill, made when the first rows show the shape and dtype of the others."""

    def __init__(self, n: int) -> None:
        self._n, self._lock = n, threading.Lock()
        self.array: NDArray[Any] = np.empty(0)

    def put(self, rows: range, values: NDArray[Any]) -> None:
        with self._lock:
            if len(self.array) == 0:
                self.array = np.empty((self._n, *values.shape[1:]), values.dtype)
        self.array[rows.start : rows.stop] = values


def _map_damaged(
    function: Callable[..., Tensor],
    chain: Chain,
    values: NDArray[Any],
    labels: Labels,
    *,
    noise: Generator | None,
    dtype: np.dtype[Any] | None = None,
) -> NDArray[Any]:
    """Return the results of a function for all records after preprocessing and, with ``noise``, corruption.

    The noise is drawn for whole batches. The batches are split into the same parts with and without noise.
    """

    def of_batch(batch: Tensor, *labels: Tensor) -> Tensor:
        x = chain.corrupt(chain.prepare(batch), noise, chain.missing_of(batch))
        parts = zip(*(torch.split(one, _part_size(chain)) for one in (x, *labels)), strict=True)
        return torch.cat([function(*part) for part in parts])

    return mapped(of_batch, chain, values, labels, noise=noise, dtype=dtype)


def _part_size(chain: Chain) -> int:
    """Return how many records of a batch are computed together: all on a GPU, a quarter on a CPU.

    On a CPU the workers then share each batch, and the output of a layer more often fits into the caches: on one
    thread, a convolutional network takes less than half the time.
    """
    size = batch_size(chain.shape, _BATCH)
    return -(-size // _PARTS) if chain.device.type == "cpu" else size


def _to_z(chain: Chain, codes: Tensor) -> Tensor:
    """Return flat codes (n, n_latent) in the shape of the decoder's input, (n, *z_shape)."""
    return codes.to(chain.dtype).reshape(-1, *chain.bottleneck.z_shape)


def _in_precision_of(values: NDArray[Any], chain: Chain) -> Chain:
    """Return the chain in float64 for float64 values, so that a record's code does not depend on its batch."""
    return in_float64(chain) if values.dtype == np.float64 else chain
