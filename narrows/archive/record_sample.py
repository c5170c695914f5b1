"""Some of the records at hand, and what each way to store them takes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.archive.contract import Encoder
from narrows.archive.layouts import Layout
from narrows.archive.metadata import bounded_chunk_records, default_chunk_records
from narrows.archive.way import Way, way_name
from narrows.codec.residual.bound_choice import largest_bound
from narrows.codec.residual.chunk import encode_chunk, size_on_code
from narrows.codec.residual.error_bound import ErrorBound
from narrows.codec.residual.error_norms import Errors
from narrows.codec.residual.predicted import MOST_VALUES, encode_predicted
from narrows.codec.residual.rounding import can_round, rounded, weight_reaching
from narrows.data import Source
from narrows.data.fill import is_fill
from narrows.numerics.psnr import peak_of
from narrows.numerics.squares import SquaredSum

__all__ = ["RecordSample", "filled"]

_RECORDS, _VALUES = 1024, 1 << 20  # largest sample on which codes are measured
_REFINED = 64  # records of it with an effort, which takes long
_BOUNDED_VALUES = 1 << 17  # of them, on which bounds are measured
_ROUNDED_RECORDS = 256  # of them, on which the rounding to levels is measured
_CHUNK_BYTES = 80  # of a chunk and its entry in the index, beside codes and residuals
_FEW_RECORDS, _MOST_TRIED = 128, 5  # to find the quality of the code within a bound


class RecordSample:
    """Some of the records at hand.

    Parameters
    ----------
    encoder : Encoder
        Of the model.
    source : Source
        The records.
    layout : Layout
        How items are cut into records.
    values_range : (float, float) or None
        Smallest and largest finite value of all records.
    fill_value : float or None
        A value that is kept exactly within a bound.
    """

    def __init__(
        self,
        encoder: Encoder,
        source: Source,
        layout: Layout,
        values_range: tuple[float, float] | None,
        fill_value: float | None = None,
    ) -> None:
        self.encoder, self.source, self.layout = encoder, source, layout
        self.codec, self.fill_value, self._range = encoder.codec, fill_value, values_range
        self.peak = 0.0 if values_range is None else peak_of(source.dtype, *values_range)
        n_values = math.prod(self.codec.shape)
        n_codes = min(_RECORDS if encoder.effort == 0 else _REFINED, _VALUES // n_values)
        self._records = self._some(max(1, n_codes))
        self._n_within = max(1, min(_BOUNDED_VALUES // n_values, len(self._records)))
        self._n_few = min(_FEW_RECORDS, _BOUNDED_VALUES // n_values, len(self._records))
        self._codes: dict[int, Way] = {}
        self._bounded: dict[tuple[float, int], Way] = {}
        self._decoded: dict[tuple[int, int], tuple[NDArray[Any], NDArray[Any], NDArray[np.int32]]] = {}

    @property
    def is_predictable(self) -> bool:
        """Whether records are small enough for residuals."""
        return math.prod(self.codec.shape) <= MOST_VALUES

    def code(self, quality: int) -> Way:
        """Return what the code alone takes at a quality."""
        if quality not in self._codes:
            records, codec = self._records, self.codec
            symbols = self.encoder.symbols(self._known(records), quality)
            restored = codec.decode(symbols, quality)
            bits = float(codec.qualities[quality].entropy.bits(symbols).sum())
            each = default_chunk_records(math.prod(codec.shape) * codec.dtype.itemsize, codec.n_symbols)
            size = self._of_all(bits / 8, len(records), each, 0)
            self._codes[quality] = Way("code", quality, None, size, self._psnr(records, restored))
        return self._codes[quality]

    def within(self, bound: float, quality: int) -> Way:
        """Return what records within a bound take, with codes of a quality where that helps."""
        if (bound, quality) not in self._bounded:
            codec = self.codec
            records, decoded, symbols = self._restored(quality, self._n_within)
            n_code = codec.qualities[quality].entropy.encode(symbols).n_bytes
            grid = ErrorBound(codec.dtype, bound, self.fill_value)
            coded = encode_chunk(records, decoded, n_code, grid, codec.causal)
            each = bounded_chunk_records(math.prod(codec.shape), codec.n_symbols, in_groups=codec.causal is not None)
            size = self._of_all(coded.n_bytes(n_code) - coded.n_weights, len(records), each, coded.n_weights)
            name, psnr_db = way_name(coded.kind, coded.needs_code), self._psnr(records, coded.restored)
            self._bounded[bound, quality] = Way(name, quality, bound, size, psnr_db)
        return self._bounded[bound, quality]

    @property
    def can_round(self) -> bool:
        """Whether pixels can be rounded to the levels of the network."""
        return can_round(self.codec.causal)

    def in_levels(self, psnr: float) -> tuple[Way, bool]:
        """Return what records take whose pixels are rounded to levels, and whether the network takes the fewest bytes.

        They have a PSNR, or the highest that there is.
        """
        codec = self.codec
        causal = codec.causal
        assert causal is not None, "it can round"
        many = self._records[:_ROUNDED_RECORDS]
        weight = weight_reaching(many, causal, self.peak**2 * 10 ** (-psnr / 10))
        few, decoded, symbols = self._restored(codec.default, self._n_within)
        n_code, grid = codec.qualities[codec.default].entropy.encode(symbols).n_bytes, ErrorBound(codec.dtype, 0)
        coded = encode_chunk(rounded(few, causal, weight), decoded, n_code, grid, causal)
        each = bounded_chunk_records(math.prod(codec.shape), codec.n_symbols, in_groups=True)
        size = self._of_all(coded.n_bytes(n_code), len(few), each, 0)
        psnr_db = self._psnr(many, rounded(many, causal, weight))
        return Way("levels", codec.default, 0.0, size, psnr_db, weight), coded.kind.uses_network

    def some_qualities(self) -> list[int]:
        """Return some qualities, from coarse to fine."""
        places = np.linspace(0, len(self.codec.qualities) - 1, _MOST_TRIED)
        return sorted({round(place) for place in places.tolist()})

    def quality_within(self, bound: float) -> int:
        """Return the quality with which code and residual take the fewest bytes, among some that are tried.

        Records of a model with a network of residuals mostly need no code: its default quality is returned.
        """
        if self._n_few == 0 or self.codec.causal is not None:
            return self.codec.default
        return min(self.some_qualities(), key=lambda quality: self.quick_size(bound, quality))

    def quick_size(self, bound: float, quality: int | None) -> float:
        """Return about how many bytes a record within a bound takes with its code, or with None without it."""
        codec, grid = self.codec, ErrorBound(self.codec.dtype, bound, self.fill_value)
        n_records = max(1, self._n_few)
        if quality is None:
            few = self._restored(codec.default, n_records)[0]
            size = float(min(len(encode_predicted(few, None, grid, causal).data) for causal in {None, codec.causal}))
        else:
            few, decoded, symbols = self._restored(quality, n_records)
            code = float(codec.qualities[quality].entropy.bits(symbols).sum()) / 8
            size = code + size_on_code(few, decoded, grid)
        return size * self.layout.n_records / n_records

    def bound_reaching(self, psnr: float, quality: int | None, *, quickly: bool = False) -> float:
        """Return the largest bound with which values keep a PSNR, with their code or with None without it."""
        codec = self.codec
        n_records = max(1, self._n_few) if quickly else self._n_within
        records, decoded, _ = self._restored(codec.default if quality is None else quality, n_records)
        with np.errstate(invalid="ignore", over="ignore"):
            errors = records.astype(np.float64) - (0.0 if quality is None else decoded.astype(np.float64))
        missing = self.encoder.fill_value if self.fill_value is None else self.fill_value
        kept = np.isfinite(errors) if missing is None else np.isfinite(errors) & ~is_fill(records, missing)
        if codec.dtype.kind != "f":
            return largest_bound(errors[kept], self.peak**2 * 10 ** (-psnr / 10), unit=1.0)
        return largest_bound(errors[kept] / self.peak, 10 ** (-psnr / 10)) * self.peak

    def _some(self, n: int) -> NDArray[Any]:
        """Return up to n records, of evenly spaced items."""
        n_items = min(-(-n // self.layout.n_records), len(self.source))
        places = np.unique(
            np.linspace(0, len(self.source) - 1, min(n_items, len(self.source))).round().astype(np.int64)
        )
        return self.layout.cut(np.asarray(self.source.values[places]))[:n]

    def _restored(self, quality: int, n: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int32]]:
        """Return n records of the sample, as restored from their code at a quality, and its symbols."""
        if (quality, n) not in self._decoded:
            records = np.ascontiguousarray(self._records[:: len(self._records) // n][:n])
            symbols = self.encoder.symbols(self._known(records), quality, effort=0)
            self._decoded[quality, n] = records, self.codec.decode(symbols, quality), symbols
        return self._decoded[quality, n]

    def _known(self, records: NDArray[Any]) -> NDArray[Any]:
        return filled(records, self.encoder, self.fill_value, self._range)

    def _of_all(self, n_bytes: float, n_records: int, each: int, n_fixed: int) -> float:
        """Return the bytes of an item, from those of some records, and of a chunk of so many records."""
        n_items = len(self.source)
        n_all = n_items * self.layout.n_records
        n_chunks = -(-n_all // each)  # of which every archive has one
        return (n_bytes * n_all / n_records + n_chunks * n_fixed + (n_chunks - 1) * _CHUNK_BYTES) / n_items

    def _psnr(self, records: NDArray[Any], restored: NDArray[Any]) -> float:
        """Return the PSNR of restored records in dB over the records' own range; infinite if they are exact."""
        missing = self.encoder.fill_value if self.fill_value is None else self.fill_value
        known = np.ones(records.shape, np.bool_) if missing is None else ~is_fill(records, missing)
        squared: SquaredSum = Errors.of(records[known], restored[known]).squared
        if not squared:
            return math.inf
        return squared.psnr_db(int(known.sum()), self.peak) if self.peak > 0 else -math.inf


def filled(
    records: NDArray[Any], encoder: Encoder, fill_value: float | None, values_range: tuple[float, float] | None
) -> NDArray[Any]:
    """Return records with the middle of the range of the data in place of fill values that the model does not know."""
    if fill_value is None or values_range is None or encoder.fill_value is not None:
        return records
    middle = np.array(values_range[0] / 2 + values_range[1] / 2).astype(records.dtype)
    return np.where(records == fill_value, middle, records)
