"""Freezing a trained model: the integer decoder, and operating points measured on training data.

The codes of a rounded bottleneck are cut into steps of about 1, as it was trained for, and some wider and narrower.
Those of a vector-quantised one are whole numbers already, the indices of its codewords.
Those of any other model are cut into steps by how much they matter.
With g_d the mean squared change of the output for a change of one in number d of the code, steps Δ_d = c / √g_d add
the same error c² / 12 for each number, which is the best there is at high rates; c runs over a range, from where
quantisation costs several times the model's own error to where it costs next to nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrows.bottlenecks.rounded import RoundedModule
from narrows.bottlenecks.vector_quantised import VectorQuantisedModule
from narrows.chain import Chain
from narrows.codec.arithmetic import HIGHEST, LOWEST
from narrows.codec.entropy_models import MAX_SYMBOL, EntropyModel, Independent
from narrows.codec.freezing.decoder import FrozenDecoder, freeze_decoder
from narrows.codec.freezing.priors import freeze_indices, freeze_prior
from narrows.codec.frozen import FrozenCodec
from narrows.codec.operating_point import OperatingPoint
from narrows.codec.operations import Codebook, Rescale, Reshape, Transpose
from narrows.codec.output import Output
from narrows.codec.program import Program
from narrows.errors import NotFreezableError
from narrows.numerics.batches import batch_size
from narrows.numerics.randomness import Stream, generator, rng
from narrows.training.workers import over_workers

__all__ = ["SAMPLE", "SAMPLE_BYTES", "freeze", "psnr_db", "to_symbols"]

SAMPLE = 16_384
"""So many training records are enough for `freeze`."""

SAMPLE_BYTES = 1 << 26
"""And so many bytes of them."""

_MEASURED = 1024  # records whose reconstructions are compared
_GOLDEN = 4
_ADDED_ERROR = tuple(2.0**-k for k in range(-3, 7))
"""Error of quantisation over the model's own, for each candidate, from coarse to fine."""

_OCTAVE = tuple(2.0 ** (k / 2) for k in (2, 1, 0, -1, -2))
"""Steps of a rounded code, over the one that it was trained for."""

_HALVINGS = 7
_NEAR_ENOUGH_DB = 0.1
_BATCH = 512
_PROBES, _PROBED = 4, 256
_NOTHING = 1e-6  # of the model's own error: a number of the code that changes less says nothing
_LARGEST_SHIFT = 30
_OUTLIERS, _FAR = 0.001, 4.0
_PRECISION = 12


def freeze(chain: Chain, records: NDArray[Any], peak: float) -> FrozenCodec:
    """Return the archive codec of a trained chain.

    Parameters
    ----------
    chain : Chain
        Trained.
    records : ndarray of shape (n, *shape)
        Training records, in their stored dtype; some thousands.
    peak : float
        What counts as full signal in PSNR.

    Raises
    ------
    NotFreezableError
        If the decoder cannot be turned into integer arithmetic; says why.
    """
    if chain.parts.n_classes:
        raise NotFreezableError("The decoder gets a label beside each code, and archives keep no labels.")
    was_training = chain.training
    chain.eval()
    try:
        codes = _codes(chain, records)
        with torch.no_grad():
            decoder = freeze_decoder(chain, _decoded(chain, codes[:_MEASURED]))
        output = _output(chain, decoder, records.dtype)
        candidates = _candidates(chain, codes, records, decoder)
    finally:
        chain.train(was_training)
    fitting = _Fitting(decoder.program, output, codes.flatten(1).double().cpu().numpy(), records, peak)
    measured = [fitting.measured(candidate) for candidate in candidates]
    default = measured[_default(chain, measured)]
    qualities = [one for one in measured if one is default or not _is_beaten(one, measured)]
    if not isinstance(chain.bottleneck, RoundedModule):
        qualities = _improving(qualities)
    return FrozenCodec(
        decoder.program,
        output,
        tuple(qualities),
        z_shape=chain.bottleneck.z_shape,
        peak=peak,
        default=qualities.index(default),
        golden=_golden(fitting, candidates),
    )


@dataclass(frozen=True, eq=False)
class _Candidate:
    """An operating point that is not measured yet."""

    steps: NDArray[np.float64]
    entropy: EntropyModel
    rescale: Program


@dataclass(frozen=True, eq=False)
class _Fitting:
    """What candidates are measured with: the integer decoder, and codes and records of the training data."""

    program: Program
    output: Output
    codes: NDArray[np.float64]
    records: NDArray[Any]
    peak: float

    def measured(self, candidate: _Candidate) -> OperatingPoint:
        """Return a candidate as an operating point, measured on the records."""
        symbols = to_symbols(self.codes, candidate.steps)
        x = self.program.run(candidate.rescale.run(symbols[:_MEASURED]))
        difference = self.output.of(x).astype(np.float64) - self.records[:_MEASURED].astype(np.float64)
        mse = np.square(difference).reshape(len(difference), -1).mean(1)
        return OperatingPoint(
            rescale=candidate.rescale,
            entropy=candidate.entropy,
            steps=candidate.steps,
            psnr_db=psnr_db(float(mse.mean()), self.peak),
            bytes_per_record=float(candidate.entropy.bits(symbols).mean()) / 8,
            mse_limit=_FAR * float(np.quantile(mse, 1 - _OUTLIERS)),
        )


def to_symbols(codes: NDArray[np.floating[Any]], steps: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return the whole numbers of steps nearest to codes (n, n_symbols), within ±32,767; 0 where a code is none.

    Records far beyond the training data can overflow the encoder: such codes are infinite, or not even that.
    """
    with np.errstate(over="ignore"):
        symbols = np.nan_to_num(np.rint(codes / steps), copy=False)
    return np.clip(symbols, -MAX_SYMBOL, MAX_SYMBOL, out=symbols).astype(np.int32)


def psnr_db(mse: float, peak: float) -> float:
    """Return the signal-to-noise ratio of a mean squared error, infinite where there is none."""
    return 20 * math.log10(peak) - 10 * math.log10(mse) if mse > 0 and peak > 0 else math.inf


def _improving(qualities: list[OperatingPoint]) -> list[OperatingPoint]:
    """Return the qualities that are better than every coarser one; others cost bytes for nothing."""
    best = -math.inf
    kept = []
    for quality in qualities:
        if quality.psnr_db > best:
            kept.append(quality)
            best = quality.psnr_db
    return kept


def _default(chain: Chain, qualities: list[OperatingPoint]) -> int:
    """Return the index of the default quality: the one trained for, else the coarsest that is near the best."""
    if isinstance(chain.bottleneck, RoundedModule):
        return _OCTAVE.index(1.0)
    best = max(one.psnr_db for one in qualities)
    return next(position for position, one in enumerate(qualities) if one.psnr_db >= best - _NEAR_ENOUGH_DB)


def _is_beaten(quality: OperatingPoint, others: list[OperatingPoint]) -> bool:
    """Return whether another quality is better in fewer bytes."""
    return any(
        other.psnr_db >= quality.psnr_db and other.bytes_per_record < quality.bytes_per_record for other in others
    )


def _candidates(chain: Chain, z: Tensor, records: NDArray[Any], decoder: FrozenDecoder) -> list[_Candidate]:
    """Return the candidates, from coarse to fine."""
    codes, bottleneck = z.flatten(1).double().cpu().numpy(), chain.bottleneck
    if isinstance(bottleneck, VectorQuantisedModule):
        steps = np.ones(codes.shape[1])
        symbols = to_symbols(codes, steps)
        return [_Candidate(steps, freeze_indices(bottleneck, symbols), _codebook(bottleneck, decoder.input_shift))]
    candidates: list[_Candidate] = []
    if isinstance(bottleneck, RoundedModule):
        own = _own_step(chain, bottleneck.unit, z[:_MEASURED], records[:_MEASURED])
        for step in (own * times for times in _OCTAVE):
            steps = np.full(codes.shape[1], step * bottleneck.unit)
            entropy = freeze_prior(bottleneck.prior, to_symbols(codes, steps), step)
            candidates.append(_Candidate(steps, entropy, _rescale(steps, decoder)))
        return candidates
    for steps in _step_sizes(chain, z, records):
        entropy = Independent.fit(to_symbols(codes, steps), precision=_PRECISION)
        candidates.append(_Candidate(steps, entropy, _rescale(steps, decoder)))
    return candidates


def _own_step(chain: Chain, unit: float, h: Tensor, records: NDArray[Any]) -> float:
    """Return the step, about 1, at which codes come back in the quality that a rounded bottleneck was trained for."""
    wanted = getattr(chain.parts.likelihood, "psnr", None)
    if wanted is None:
        return 1.0
    low, high = 0.5, 2.0
    for _ in range(_HALVINGS):
        step = math.sqrt(low * high)
        error = _mean_error(chain, torch.round(h / (step * unit)) * (step * unit), records) / math.prod(chain.shape)
        low, high = (low, step) if psnr_db(error, 1.0) < wanted else (step, high)
    return low


def _step_sizes(chain: Chain, z: Tensor, records: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Return the steps (n_symbols,) of each quality: Δ_d = c / √g_d."""
    gains = _gains(chain, z[:_PROBED])
    codes = z.flatten(1).double()
    spread = codes.std(0, correction=0).cpu().numpy()
    error = _mean_error(chain, z[:_MEASURED], records[:_MEASURED])
    matters = gains * spread**2 > _NOTHING * max(error, 1e-30)
    # A number that says nothing is worth one step, as wide as everything it has been seen to be.
    idle = 8 * np.maximum(np.abs(codes.cpu().numpy()).max(0), 1e-6)
    step_sizes = []
    for added in _ADDED_ERROR:
        c = math.sqrt(12 * max(error, 1e-12) * added / max(int(matters.sum()), 1))
        steps = np.where(matters, c / np.sqrt(np.where(matters, gains, 1.0)), idle)
        finest = np.abs(codes.cpu().numpy()).max(0) / MAX_SYMBOL
        step_sizes.append(np.maximum(steps, np.maximum(finest, 1e-9)))
    return step_sizes


def _gains(chain: Chain, z: Tensor) -> NDArray[np.float64]:
    """Return g_d, the mean squared length of column d of the decoder's Jacobian at codes z, of shape (n_symbols,).

    Estimated without the Jacobian: for v of independent normal numbers, the mean of (Jᵀ v)_d² is that of the squared
    length of column d (Hutchinson 1990).
    """
    noise = generator(0, Stream.CODEC_PROBES)
    total = torch.zeros(z[0].numel(), dtype=torch.float64)
    for _ in range(_PROBES):
        at = z.to(chain.device, copy=True).requires_grad_()
        mean = chain.likelihood.mean(chain.decode(at))
        v = torch.randn(mean.shape, generator=noise, dtype=mean.dtype).to(mean.device)
        (gradient,) = torch.autograd.grad((mean * v).sum(), at)
        total += gradient.flatten(1).double().square().mean(0).cpu()
    return (total / _PROBES).numpy()


def _mean_error(chain: Chain, z: Tensor, records: NDArray[Any]) -> float:
    """Return the squared error of the records that codes z give, summed over preprocessed values, of a mean record."""

    def squared(batch: Tensor, codes: Tensor) -> Tensor:
        x_hat = chain.likelihood.mean(chain.decode(codes))
        return (chain.prepare(batch) - x_hat).double().square().flatten(1).sum(1)

    return float(_over_batches(squared, chain, records, z).mean())


def _codes(chain: Chain, records: NDArray[Any]) -> Tensor:
    """Return what is to be written as whole numbers, (n, ...): codes before any rounding, or indices."""
    return _over_batches(
        lambda batch: chain.bottleneck.unquantised(chain.encoder(chain.prepare(batch))), chain, records
    )


def _decoded(chain: Chain, codes: Tensor) -> Tensor:
    """Return what the decoder gets for codes of `_codes`, (n, *z_shape)."""
    if not isinstance(chain.bottleneck, VectorQuantisedModule):
        return codes
    return chain.bottleneck.symbols_to_z(codes.long().to(chain.bottleneck.codebook.device))


def _over_batches(function: Callable[..., Tensor], chain: Chain, records: NDArray[Any], *others: Tensor) -> Tensor:
    """Return a function of records, and of other tensors that belong to them, batch by batch."""
    size = batch_size(chain.shape, _BATCH)

    def of_batch(start: int) -> Tensor:
        batch = slice(start, start + size)
        values = torch.from_numpy(np.array(records[batch])).to(chain.device)
        return function(values, *(one[batch].to(chain.device) for one in others)).cpu()

    return torch.cat(over_workers(of_batch, range(0, len(records), size), chain.device))


def _rescale(steps: NDArray[np.float64], decoder: FrozenDecoder) -> Program:
    """Return the program under which a symbol becomes step · 2^input_shift, as exactly as 31 bits can say."""
    wanted = steps * 2.0**decoder.input_shift
    shift = min(max(30 - math.frexp(float(wanted.max()))[1], 0), _LARGEST_SHIFT)
    multipliers = np.clip(np.rint(wanted * 2.0**shift), 1, 2**31 - 1)
    return Program((len(steps),), (Rescale(multipliers.astype(np.int32), shift), Reshape(decoder.program.in_shape)))


def _codebook(bottleneck: VectorQuantisedModule, input_shift: int) -> Program:
    """Return the program under which indices become codewords in units of 2^-input_shift."""
    codewords = np.ldexp(bottleneck.codebook.detach().double().cpu().numpy(), input_shift)
    table = np.clip(np.rint(codewords), LOWEST, HIGHEST).astype(np.int16)
    vectors = (bottleneck.n_groups, bottleneck.n_places, table.shape[1])
    layout = (Reshape(vectors), Transpose((0, 2, 1)), Reshape(bottleneck.z_shape))
    return Program((bottleneck.n_numbers,), (Codebook(table), *layout))


def _output(chain: Chain, decoder: FrozenDecoder, dtype: np.dtype[Any]) -> Output:
    """Return the way from the decoder's numbers to records: what preprocessing undoes, as one factor and one term."""
    zeros = torch.zeros((3, *chain.shape), dtype=torch.float64)
    probes = zeros + torch.arange(3.0, dtype=torch.float64).reshape(3, *[1] * len(chain.shape))
    with torch.no_grad():
        at_0, at_1, at_2 = (one.cpu().numpy() for one in chain.preprocessor.inverse(probes.to(chain.device)))
    if not np.allclose(at_2 - at_1, at_1 - at_0):
        raise NotFreezableError("The preprocessing is not undone by a factor and a term for each value.")
    scale, offset = _shortened((at_1 - at_0) * 2.0**-decoder.output_shift), _shortened(at_0)
    return Output(chain.shape, np.dtype(dtype), scale, offset)


def _shortened(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return one number where all are the same."""
    return np.array(values.flat[0]) if (values == values.flat[0]).all() else values


def _golden(fitting: _Fitting, candidates: list[_Candidate]) -> NDArray[np.int32]:
    """Return symbols to replay: some of the training data, some far beyond them."""
    seen = to_symbols(fitting.codes[:_GOLDEN], candidates[-1].steps)
    n_symbols = seen.shape[1]
    far = rng(0, Stream.CODEC_GOLDEN).integers(-MAX_SYMBOL, MAX_SYMBOL, (2, n_symbols), np.int32)
    return np.concatenate([seen, far, far >> 8])
