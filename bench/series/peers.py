"""Other compressors of series, each at its smallest: every form of the values by every setting that its tool offers.

The forms are the values as binary64, as binary32 if that is exact, and as integers: decimals without their point, less
their minimum, in the smallest dtype, with streams of their own for missing values and for what is off. The general
compressors get differences and transposed bytes as well, and the values as text.
"""

from __future__ import annotations

import lzma
from collections.abc import Callable

import numpy as np
import openzl.ext as zl
import zstandard
from numpy.typing import NDArray
from pcodec import ChunkConfig, DeltaSpec, ModeSpec, standalone

from narrows.data.series.decimals import decimals_of

Array = NDArray[np.generic]
Way = Callable[[Array], int]  # returns bytes

_FIRST = 50_000  # values on which forms and settings are chosen for longer series
_NEVER = 1 << 40


def forms(values: NDArray[np.float64]) -> dict[str, list[Array]]:
    """Return the values in each form, as one or more arrays, from which the same values come back."""
    found: dict[str, list[Array]] = {"binary64": [values]}
    if np.array_equal(values.astype(np.float32).astype(np.float64), values, equal_nan=True):
        found["binary32"] = [values.astype(np.float32)]
    decimals = decimals_of(values)
    if decimals is not None:
        missing = None if decimals.missing is None else decimals.missing.astype(np.int8)
        sides = [side for side in (missing, decimals.ulps, decimals.exceptions) if side is not None]
        found["integers"] = [smallest(decimals.numbers), *sides]
    return found


def smallest(numbers: NDArray[np.int64]) -> Array:
    """Return numbers less their minimum, in the smallest unsigned dtype."""
    above = numbers - numbers.min()
    return above.astype(np.min_scalar_type(above.max()))


def sizes(values: NDArray[np.float64]) -> dict[str, int]:
    """Return the least bytes of each compressor; for long series, with what is smallest for the first values."""
    return {name: _smallest(ways, values) for name, ways in TOOLS.items()}


def _smallest(ways: dict[str, Way], values: NDArray[np.float64]) -> int:
    kept = [(form, way) for form in forms(values) for way in ways]
    if len(values) > _FIRST:
        first = forms(values[:_FIRST])

        def on_first(one: tuple[str, str]) -> int:
            return sum(ways[one[1]](array) for array in first.get(one[0], ())) or _NEVER

        kept.sort(key=on_first)
    arrays, least = forms(values), _NEVER
    for form, way in kept:
        least = min(least, sum(ways[way](array) for array in arrays[form]))
        if len(values) > _FIRST and least < _NEVER:  # some settings refuse long series
            break
    return least


def _pcodec(mode: str, delta: str) -> Way:
    """Return pcodec at its highest level."""

    def n_bytes(values: Array) -> int:
        modes = {"auto": ModeSpec.auto, "classic": ModeSpec.classic, "dict": ModeSpec.try_dict}
        deltas = {"auto": DeltaSpec.auto(), "none": DeltaSpec.no_op(), "lookback": DeltaSpec.try_lookback()}
        deltas |= {str(order): DeltaSpec.try_consecutive(order) for order in (1, 2, 3)}
        deltas |= {f"conv{order}": DeltaSpec.try_conv1(order) for order in (2, 4)}
        is_byte = values.dtype.itemsize == 1
        config = ChunkConfig(
            compression_level=12, mode_spec=modes[mode](), delta_spec=deltas[delta], enable_8_bit=is_byte
        )
        try:
            return len(standalone.simple_compress(values, config))
        except (RuntimeError, TypeError):  # not for this dtype
            return _NEVER

    return n_bytes


def _openzl(graph: int) -> Way:
    """Return a graph of openzl for numbers."""

    def n_bytes(values: Array) -> int:
        compressor = zl.Compressor()
        compressor.set_parameter(zl.CParam.FormatVersion, zl.MAX_FORMAT_VERSION)
        compressor.set_parameter(zl.CParam.CompressionLevel, 9)
        numbers = np.ascontiguousarray(values.view(f"u{values.dtype.itemsize}"))
        try:
            compressor.select_starting_graph(_graphs(compressor)[graph]())
            context = zl.CCtx()
            context.ref_compressor(compressor)
            return len(context.compress([zl.Input(zl.Type.Numeric, numbers)]))
        except (RuntimeError, TypeError):  # not for numbers of this width
            return _NEVER

    return n_bytes


def _graphs(made: zl.Compressor) -> list[Callable[[], zl.GraphID]]:
    lz, general, entropy = zl.graphs.FieldLz(), zl.graphs.Compress(), zl.graphs.Entropy()
    delta, zigzag, pack = zl.nodes.DeltaInt(), zl.nodes.Zigzag(), zl.nodes.RangePack()
    tokens, split = zl.nodes.TokenizeNumeric(sort=True), zl.nodes.TransposeSplit()

    def by_byte() -> zl.GraphID:
        return zl.nodes.ConvertNumToStructLE()(made, split(made, general(made)))

    return [
        lambda: general(made),
        lambda: lz(made),
        lambda: pack(made, lz),
        by_byte,
        lambda: delta(made, lz),
        lambda: delta(made, zigzag(made, lz)),
        lambda: delta(made, zigzag(made, pack(made, lz))),
        lambda: delta(made, by_byte()),
        lambda: delta(made, zigzag(made, by_byte())),
        lambda: tokens(made, delta(made, lz), lz),
        lambda: tokens(made, delta(made, lz), entropy),
        lambda: delta(made, tokens(made, delta(made, lz), entropy)),
    ]


def _general(tool: Callable[[bytes], int], shape: str) -> Way:
    """Return a compressor of bytes: of the values, of their differences, with bytes transposed, or of texts."""

    def n_bytes(values: Array) -> int:
        if shape == "text":
            return tool("".join(f"{value!r}\n" for value in values.tolist()).encode())
        numbers = values.view(f"u{values.dtype.itemsize}")
        if "differences" in shape:
            numbers = np.diff(numbers, prepend=numbers.dtype.type(0))
        if "transposed" in shape:
            return tool(numbers.view(np.uint8).reshape(len(numbers), -1).T.tobytes())
        return tool(numbers.tobytes())

    return n_bytes


def _xz(data: bytes) -> int:
    extreme = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME}
    return len(lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=[extreme]))


def _zstd(data: bytes) -> int:
    return len(zstandard.ZstdCompressor(level=22).compress(data))


_SHAPES = ("values", "differences", "transposed", "differences transposed", "text")
_MODES, _DELTAS = ("auto", "classic", "dict"), ("auto", "none", "lookback", "1", "2", "3", "conv2", "conv4")

TOOLS: dict[str, dict[str, Way]] = {
    "pcodec": {f"{mode} {delta}": _pcodec(mode, delta) for mode in _MODES for delta in _DELTAS},
    "openzl": {str(graph): _openzl(graph) for graph in range(12)},
    "xz -9e": {shape: _general(_xz, shape) for shape in _SHAPES},
    "zstd -22": {shape: _general(_zstd, shape) for shape in _SHAPES},
}


def smallest_of(tool: str, values: Array) -> int:
    """Return the least bytes of one compressor for an array as it is."""
    return min(way(values) for way in TOOLS[tool].values())
