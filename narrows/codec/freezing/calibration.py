"""Freezing a trained model: the integer decoder, and operating points measured on training data.

The bottleneck proposes quantisations of its codes (`narrows.bottlenecks.quantisation`). Each is measured with the
integer decoder. Those on the lower hull of bytes and squared error, and the one that the model was trained for, become
operating points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from narrows.bottlenecks.quantisation import Quantisation
from narrows.chain import Chain
from narrows.codec.dequantise import Dequantise
from narrows.codec.entropy_models import MAX_SYMBOL
from narrows.codec.freezing.coarse_decoder import MOST_RECORDS, coarser_decoder
from narrows.codec.freezing.decoder import FrozenDecoder, freeze_decoder
from narrows.codec.freezing.distortion import MeasuredDistortion, over_batches
from narrows.codec.freezing.hull import lower_hull
from narrows.codec.frozen import FrozenCodec
from narrows.codec.operating_point import OperatingPoint, to_symbols
from narrows.codec.program import Program
from narrows.data.fill import is_fill
from narrows.errors import NotFreezableError
from narrows.numerics.eval_mode import in_eval_mode
from narrows.numerics.randomness import Stream, rng
from narrows.numerics.squares import SquaredSum, exponent_of

__all__ = ["MEASURED", "SAMPLE", "SAMPLE_BYTES", "freeze"]

SAMPLE = 16_384
"""The number of training records that `freeze` needs."""

SAMPLE_BYTES = 1 << 26
"""The largest number of bytes of such a sample."""

MEASURED = 1024
"""The number of these records, the first, on which the error is measured, unless another number is given."""

_GOLDEN = 4
_COUNTED = 4096  # records of the sample on which the rate is measured
_NEAR_ENOUGH_DB = 0.1
_OUTLIERS, _FAR = 0.001, 4.0
_MOST_DB, _LEAST_DB, _MANY_WEIGHTS = 0.08, 0.008, 1 << 17  # of the code as trained; in archives about half is lost
_LARGEST = 32_767
_NOT_AFFINE = 1e-5  # of a step: larger differences between two steps are not rounding


def freeze(chain: Chain, records: NDArray[Any], peak: float, n_measured: int = MEASURED) -> FrozenCodec:
    """Return the archive codec of a trained chain.

    Parameters
    ----------
    chain : Chain
        The trained chain.
    records : ndarray of shape (n, *shape)
        Training records, in their stored dtype; some thousands.
    peak : float
        The peak of PSNR, in the records' units.
    n_measured : int
        Number of records, the first, on which the error is measured.

    Raises
    ------
    NotFreezableError
        If the decoder cannot be converted to integer arithmetic; the message gives the reason.
    """
    if chain.parts.n_classes:
        raise NotFreezableError(
            "The decoder needs the label of each record, and archives store no labels. Train without conditional=True."
        )
    with in_eval_mode(chain):
        codes = _codes(chain, records)
        with torch.no_grad():
            z = chain.bottleneck.continuous_to_z(codes[:MEASURED].to(chain.device)).cpu()
            decoder = freeze_decoder(chain, z)
        output, more = _output(chain, decoder, records.dtype), 0.0
        if not decoder.categories.any():
            decoder, more = _coarser(chain, decoder, output, codes, records)
        flat = codes.flatten(1).double().cpu().numpy()
        distortion = MeasuredDistortion(chain, z[:n_measured], records[:n_measured], more)
        candidates = chain.bottleneck.quantisations(flat, distortion)
    fitting = _Fitting(decoder, output, flat, records, peak, chain.parts.fill_value, n_measured)
    measured = [fitting.measured(candidate) for candidate in candidates]
    trained = next((place for place, tried in enumerate(candidates) if tried.trained_for), None)
    sizes = [(one.bytes_per_record, one.psnr_db) for one in measured]
    qualities = [measured[place] for place in lower_hull(sizes, trained)]
    wanted = max(one.psnr_db for one in qualities) - _NEAR_ENOUGH_DB
    if trained is not None:
        wanted = min(measured[trained].psnr_db, math.inf if distortion.psnr is None else distortion.psnr)
    default = next(place for place, one in enumerate(qualities) if one.psnr_db >= wanted)
    return FrozenCodec(
        decoder.program,
        output,
        tuple(qualities),
        z_shape=chain.bottleneck.z_shape,
        peak=peak,
        default=default,
        golden=_golden(fitting, candidates),
    )


def _coarser(
    chain: Chain, decoder: FrozenDecoder, output: Dequantise, codes: Tensor, records: NDArray[Any]
) -> tuple[FrozenDecoder, float]:
    """Return the decoder with coarser weights, and the share by which the squared error grows.

    The more weights it has, the more error they may add.
    """
    program = decoder.program
    with torch.no_grad():
        z = chain.bottleneck.project(chain.bottleneck.continuous_to_z(codes[:MOST_RECORDS].to(chain.device)))
    whole = np.rint(np.ldexp(z.double().cpu().numpy(), decoder.input_shift))
    inputs = np.clip(whole, -_LARGEST, _LARGEST).astype(np.int16)
    scale, offset = (tensor.reshape(-1) for tensor in output.to_tensors().values())
    n = len(inputs[:MEASURED])
    exponent = exponent_of(float(np.abs(scale).max()))
    known = records[:n].reshape(n, -1)

    def error_of(one: Program) -> float:
        restored = one.run(inputs[:n]).reshape(n, -1) * scale + offset
        difference = np.ldexp(restored - known.astype(np.float64), -exponent)
        if chain.parts.fill_value is not None:
            difference = difference[~is_fill(known, chain.parts.fill_value)]
        return float(np.square(difference).mean()) if difference.size else 0.0

    error = error_of(program)
    n_weights = sum(tensor.size for tensor in program.to_tensors()[1].values())
    more_db = max(_LEAST_DB, _MOST_DB * min(1.0, n_weights / _MANY_WEIGHTS))
    relative = np.ldexp(np.broadcast_to(scale, math.prod(program.out_shape)).reshape(program.out_shape), -exponent)
    coarse = coarser_decoder(program, inputs, (10 ** (more_db / 10) - 1) * error, relative)
    more = error_of(coarse) / error - 1 if error else 0.0
    return replace(decoder, program=coarse), max(0.0, more)


@dataclass(frozen=True, eq=False)
class _Fitting:
    """The integer decoder, and the codes and training records on which candidates are measured."""

    decoder: FrozenDecoder
    output: Dequantise
    codes: NDArray[np.float64]
    records: NDArray[Any]
    peak: float
    fill_value: float | None
    n_measured: int

    def measured(self, candidate: Quantisation) -> OperatingPoint:
        """Return the operating point of a quantisation, measured on the records."""
        symbols = to_symbols(self.codes, candidate.steps)
        rescale = candidate.program(self.decoder.input_shift, self.decoder.program.in_shape)
        x = self.decoder.program.run(rescale.run(symbols[: self.n_measured]))
        difference = self.output.of(x).astype(np.float64) - self.records[: self.n_measured].astype(np.float64)
        exponent = exponent_of(self.peak)  # squares of tiny values vanish
        squared = np.square(np.ldexp(difference, -exponent)).reshape(len(difference), -1)
        share = 1.0
        if self.fill_value is not None:
            known = ~is_fill(self.records[: self.n_measured], self.fill_value).reshape(squared.shape)
            squared, share = np.where(known, squared, 0.0), max(float(known.mean()), 1 / known.size)
        mse = squared.mean(1)
        limit = SquaredSum(_FAR * float(np.quantile(mse, 1 - _OUTLIERS)), exponent)
        return OperatingPoint(
            rescale=rescale,
            entropy=candidate.entropy,
            steps=candidate.steps,
            psnr_db=SquaredSum(float(mse.mean()) / share, exponent).psnr_db(1, self.peak),
            bytes_per_record=float(candidate.entropy.bits(symbols[:_COUNTED]).mean()) / 8,
            mse_limit=float(limit),
        )


def _codes(chain: Chain, records: NDArray[Any]) -> Tensor:
    """Return the numbers to quantise, (n, ...): codes before any rounding, or indices."""
    return over_batches(
        lambda batch: chain.bottleneck.continuous_code(chain.encoder(chain.prepare(batch))), chain, records
    )


def _output(chain: Chain, decoder: FrozenDecoder, dtype: np.dtype[Any]) -> Dequantise:
    """Return the conversion of decoder outputs to records: the inverse of preprocessing, as a factor and an offset.

    Categories are not converted.
    """
    of_0, of_1 = (one.numpy() for one in chain.preprocessor.offset_and_scale(chain.shape, chain.device))
    two = torch.full((1, *chain.shape), 2.0, dtype=torch.float64, device=chain.device)
    with torch.no_grad():
        at_2 = chain.preprocessor.inverse(two)[0].cpu().numpy()
    rounding = 8 * np.finfo(np.float64).eps * np.maximum(np.abs(at_2), np.abs(of_0))
    if (np.abs(at_2 - of_0 - 2 * of_1) > _NOT_AFFINE * np.abs(of_1) + rounding).any():
        raise NotFreezableError("An archive codec needs affine preprocessing. Train with another preprocessing.")
    scale = np.where(decoder.categories, 1.0, of_1 * 2.0**-decoder.output_shift)
    offset = np.where(decoder.categories, 0.0, of_0)
    return Dequantise(chain.shape, np.dtype(dtype), _shortened(scale), _shortened(offset))


def _shortened(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a scalar if all values are the same."""
    return np.array(values.flat[0]) if (values == values.flat[0]).all() else values


def _golden(fitting: _Fitting, candidates: list[Quantisation]) -> NDArray[np.int32]:
    """Return the golden symbols: some of training records, some random and much larger."""
    of_training = to_symbols(fitting.codes[:_GOLDEN], candidates[-1].steps)
    n_symbols = of_training.shape[1]
    far = rng(0, Stream.CODEC_GOLDEN).integers(-MAX_SYMBOL, MAX_SYMBOL, (2, n_symbols), np.int32)
    return np.concatenate([of_training, far, far >> 8])
