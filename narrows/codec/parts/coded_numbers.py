"""Entropy coding of a matrix of whole numbers: each with a distribution whose width follows the numbers before it.

The width of a number's distribution is the product of two factors: the mean magnitude of the numbers above it in its
column, which is updated row by row, and a factor for its row, which is stored::

    level_c        starts at a stored number, then += ⌊(256 |x| - level_c) / 16⌋ after each row, x limited to the window
    scale          the index of level_c in `LEVELS`, plus the row's offset, within 0 … 63
    distribution   a form of `FORMS` with this scale

::

    rows · columns · form · level · low · window · raw bits · has offsets        numbers of `pack_number`
    lanes · words · escape bytes
    states u32 × lanes · words u16 × words · escapes · low bits · the offsets, as a matrix of one row
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from narrows.codec.entropy_models.contract import Coded
from narrows.codec.parts.byte_reader import ByteReader, pack_number
from narrows.codec.parts.forms import FORMS, PER_VALUE, components, components_of_all, scales_of
from narrows.codec.rans import MAX_LANES, MAX_ROWS, Message
from narrows.codec.residual.contract import Intervals, Lattice, Residual, Run, decode, encode
from narrows.codec.residual.mixture import MAX_WINDOW, N_SCALES, PRECISION, Mixture
from narrows.errors import ModelFileError

__all__ = ["MOST_VALUES_PER_BYTE", "bits_of", "decode_numbers", "encode_numbers"]

MOST_VALUES_PER_BYTE = 64
"""Fewer bytes than one for this many numbers are refused, so that a small file cannot take much memory."""

_WHAT = "A tensor of the model"
_RATE = 4  # base-2 logarithm of the number of rows that a mean magnitude covers
_MOST_OFFSET = 31
_MOST_LEVEL = 1 << 40
_MOST_RAW_BITS = 40
_ESCAPE_BITS, _OFFSET_BITS = 32, 3  # about what they take
_MOST_VALUE = 1 << 53
_WIDE, _FEW_ESCAPES = 512, (0.002, 0.04)  # the window, and shares of numbers outside it that are tried
_LITTLE = PER_VALUE / 50  # added to mean magnitudes, which may be 0
_SAMPLE = 1 << 14  # of the numbers on which forms are compared


@dataclass(frozen=True)
class _Model:
    """The settings of a matrix's distributions."""

    form: int
    level: int
    low: int
    window: int
    raw_bits: int

    def magnitudes(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the magnitudes of coarse numbers, limited to the window, in units of 1/256."""
        coarse = np.clip(values >> self.raw_bits, self.low, self.low + self.window - 2)
        return np.asarray(PER_VALUE * np.abs(coarse))

    def levels(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the mean magnitudes before each row, with the shape of the values."""
        levels, magnitudes = np.empty(values.shape, np.int64), self.magnitudes(values)
        now = np.full(values.shape[1], self.level, np.int64)
        for row, found in enumerate(magnitudes):
            levels[row] = now
            now += (found - now) >> _RATE
        return levels

    def mixture(self, scales: NDArray[np.int64]) -> Mixture:
        """Return the distributions of numbers (n,) with these scales."""
        scales = np.clip(scales, 0, N_SCALES - 1)
        return Mixture(*components(self.form, scales), np.full(len(scales), self.low, np.int64), self.window)


class _NumbersRun(Run):
    """Predicts the rows of a matrix one after the other."""

    def __init__(self, shape: tuple[int, int], model: _Model, offsets: NDArray[np.int64]) -> None:
        anchors = np.broadcast_to(np.int64(0), shape)
        self.lattice = Lattice(anchors, 1, -_MOST_VALUE, _MOST_VALUE, has_code=False, raw_bits=model.raw_bits)
        self._model, self._offsets, self._position = model, offsets, 0
        self._levels = np.full(shape[1], model.level, np.int64)

    def predict(self) -> Mixture:
        return self._model.mixture(scales_of(self._levels) + self._offsets[self._position])

    def update(self, values: NDArray[np.int64]) -> None:
        self._levels += (self._model.magnitudes(values) - self._levels) >> _RATE
        self._position += 1

    def intervals(self, q: NDArray[np.int64]) -> Intervals:
        model, coarse = self._model, (q >> self._model.raw_bits).ravel()
        mixture = model.mixture((scales_of(model.levels(q)) + self._offsets[:, None]).ravel())
        starts, frequencies, escaped = mixture.intervals(coarse)
        return Intervals(starts.reshape(q.shape), frequencies.reshape(q.shape), coarse[escaped])


def encode_numbers(values: NDArray[np.int64]) -> bytes:
    """Return the bytes of a matrix (rows, columns) of whole numbers within ±2^53, in nearly the fewest bytes."""
    _, model, offsets = _fitted(values)
    return _encoded(values, model, offsets)


def decode_numbers(data: bytes, size: int) -> NDArray[np.int64]:
    """Return the matrix of `encode_numbers`.

    Parameters
    ----------
    data : bytes
        The bytes; they may come from an untrusted file.
    size : int
        The number of values, except for less than a row of zeros at the end of the matrix.

    Raises
    ------
    ModelFileError, CorruptArchiveError
        If `encode_numbers` does not produce these bytes for a matrix of this size.
    """
    reader = ByteReader(data, _WHAT)
    values = _decode(reader, size)
    reader.finish()
    return values


def bits_of(values: NDArray[np.int64]) -> float:
    """Return about how many bits `encode_numbers` needs, in less time."""
    return _fitted(values)[0]


def _fitted(values: NDArray[np.int64]) -> tuple[float, _Model, NDArray[np.int64]]:
    """Return the distributions that code a matrix in the fewest bits, and the offsets of its rows; first the bits."""
    windows = {_window(values, share) for share in _FEW_ESCAPES}
    found = [one for window in sorted(windows) for one in _fitted_within(values, _Model(0, 0, *window))]
    return min(found, key=lambda one: one[0])


def _fitted_within(values: NDArray[np.int64], model: _Model) -> list[tuple[float, _Model, NDArray[np.int64]]]:
    rows, columns = values.shape
    magnitudes, first = model.magnitudes(values), slice(1 << _RATE)
    model = replace(model, level=int(magnitudes[first].mean()))
    offsets, levels = np.zeros(rows, np.int64), model.levels(values)
    found = [_best_form(values, model, offsets, levels)]
    if rows > 1 and columns > 1:
        offsets = _offsets(magnitudes, levels)
        level = int((magnitudes[first] / 2.0 ** (offsets[first, None] / 4)).mean())
        model = replace(model, level=min(level, _MOST_LEVEL))
        found.append(_best_form(values, model, offsets, model.levels(values)))
    return found


def _encoded(values: NDArray[np.int64], model: _Model, offsets: NDArray[np.int64]) -> bytes:
    residual = encode(_NumbersRun(values.shape, model, offsets), values)
    message, has_offsets = residual.coded.message, bool(offsets.any())
    sizes = len(message.states), len(message.words), len(residual.coded.escapes)
    low = 2 * model.low if model.low >= 0 else -2 * model.low - 1
    settings = model.form, model.level, low, model.window, model.raw_bits
    numbers = (*values.shape, *settings, int(has_offsets), *sizes)
    return b"".join(
        (
            *map(pack_number, numbers),
            message.states.astype("<u4").tobytes(),
            message.words.astype("<u2").tobytes(),
            residual.coded.escapes,
            residual.raw,
            encode_numbers(offsets[None]) if has_offsets else b"",
        )
    )


def _decode(reader: ByteReader, size: int, *, may_have_offsets: bool = True) -> NDArray[np.int64]:
    rows, columns = (reader.number(1, size) for _ in range(2))
    if not size <= rows * columns < size + columns or size > MOST_VALUES_PER_BYTE * reader.n_left:
        raise ModelFileError(f"{_WHAT} is damaged: it declares {rows:,} × {columns:,} numbers, not {size:,}.")
    form, level = reader.number(0, len(FORMS) - 1), reader.number(0, _MOST_LEVEL)
    low, window = reader.number(0, 2 * _MOST_VALUE), reader.number(2, MAX_WINDOW)
    raw_bits, has_offsets = reader.number(0, _MOST_RAW_BITS), reader.number(0, int(may_have_offsets))
    n_lanes, n_words = reader.number(1, MAX_LANES), reader.number(0, rows * columns)
    n_escapes = reader.number(0, reader.n_left)
    if n_lanes < columns and rows * -(-columns // n_lanes) > MAX_ROWS:
        raise ModelFileError(f"{_WHAT} is damaged: it has too few lanes for its numbers: {n_lanes}.")
    message = Message(
        np.frombuffer(reader.take(4 * n_lanes), "<u4").astype(np.uint32),
        np.frombuffer(reader.take(2 * n_words), "<u2").astype(np.uint16),
    )
    residual = Residual(Coded(message, reader.take(n_escapes)), reader.take(rows * -(-columns * raw_bits // 8)))
    offsets = np.zeros(rows, np.int64)
    if has_offsets:
        offsets = _decode(reader, rows, may_have_offsets=False).ravel()
        if len(offsets) and np.abs(offsets).max() > _MOST_OFFSET:
            raise ModelFileError(f"{_WHAT} is damaged: the offset of a row is beyond ±{_MOST_OFFSET}.")
    model = _Model(form, level, low >> 1 if low % 2 == 0 else -(low + 1 >> 1), window, raw_bits)
    return decode(_NumbersRun((rows, columns), model, offsets), residual)


def _offsets(magnitudes: NDArray[np.int64], levels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row how many scales wider it is than its columns."""
    wider = (magnitudes.mean(1) + _LITTLE) / (levels.mean(1) + _LITTLE)
    return np.asarray(np.clip(np.rint(4 * np.log2(wider)), -_MOST_OFFSET, _MOST_OFFSET), np.int64)


def _window(values: NDArray[np.int64], few: float) -> tuple[int, int, int]:
    """Return lowest coarse number and size of the window, and the number of low bits that are stored as they are."""
    low, high = np.quantile(values, [few / 2, 1 - few / 2], method="nearest").tolist()
    raw_bits = max(0, int((high - low) // _WIDE).bit_length())
    lowest, highest = int(values.min()) >> raw_bits, int(values.max()) >> raw_bits
    if highest - lowest >= _WIDE:  # a few numbers are escapes
        lowest, highest = max(lowest, (low >> raw_bits) - 1), min(highest, (high >> raw_bits) + 1)
    return lowest, highest - lowest + 2, raw_bits


def _best_form(
    values: NDArray[np.int64], model: _Model, offsets: NDArray[np.int64], levels: NDArray[np.int64]
) -> tuple[float, _Model, NDArray[np.int64]]:
    """Return the form with the fewest bits, estimated on some of the numbers, after these bits."""
    step = -(-values.size // _SAMPLE) | 1  # odd, so that all columns are sampled
    scales = np.clip(scales_of(levels) + offsets[:, None], 0, N_SCALES - 1).ravel()[::step]
    coarse = (values >> model.raw_bits).ravel()[::step]
    scales, coarse, counts = _distinct(scales, coarse, model)
    lows = np.full(len(FORMS) * len(scales), model.low, np.int64)
    mixture = Mixture(*components_of_all(scales), lows, model.window)
    _, frequencies, escaped = mixture.intervals(np.tile(coarse, len(FORMS)))
    costs = PRECISION - np.log2(frequencies.astype(np.float64)) + _ESCAPE_BITS * escaped
    bits = (costs.reshape(len(FORMS), -1) @ counts) * (values.size / counts.sum())
    more = model.raw_bits * values.size + _OFFSET_BITS * np.count_nonzero(offsets)
    form = int(bits.argmin())
    return float(bits[form]) + more, replace(model, form=form), offsets


def _distinct(
    scales: NDArray[np.int64], coarse: NDArray[np.int64], model: _Model
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of a scale and a coarse number that occur, and how often; all escapes count as one number."""
    window, lowest = model.window, int(scales.min())
    inside = (coarse >= model.low) & (coarse < model.low + window - 1)
    counts = np.bincount((scales - lowest) * window + np.where(inside, coarse - model.low, window - 1))
    (pairs,) = counts.nonzero()
    return pairs // window + lowest, pairs % window + model.low, counts[pairs]
