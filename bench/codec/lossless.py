"""Zstandard, xz, Brotli, OpenZL, and WebP and JPEG XL without loss: every byte comes back."""

from __future__ import annotations

import lzma
from collections.abc import Iterator

import imagecodecs
import numpy as np
import openzl.ext as openzl
import zstandard
from measuring import Array, Attempt
from records import Records, join, split

__all__ = ["attempts"]

LEVEL, N_COLUMNS = 19, 100
N_DICTIONARY_BYTES = 112_640  # what the zstd command takes
N_TRAINING_BYTES = 15_680_000  # 20,000 records of MNIST; more take minutes
SMALL = {"format": zstandard.FORMAT_ZSTD1_MAGICLESS, "write_content_size": False, "write_dict_id": False}
BARE = "frames without magic number and content size; where each begins is not counted"


def attempts(records: Records) -> Iterator[Attempt]:
    shape = records.test.shape[1:]
    n_bytes = int(np.prod(shape))

    def each(name: str, dictionary: zstandard.ZstdCompressionDict | None, note: str) -> Attempt:
        side = 0 if dictionary is None else len(dictionary.as_bytes())
        settings = zstandard.ZstdCompressionParameters.from_level(LEVEL, source_size=n_bytes, dict_size=side, **SMALL)
        encoder = zstandard.ZstdCompressor(dict_data=dictionary, compression_params=settings)
        decoder = zstandard.ZstdDecompressor(dict_data=dictionary, format=zstandard.FORMAT_ZSTD1_MAGICLESS)

        def decode(stored: list[bytes]) -> Array:
            restored = b"".join(decoder.decompress(one, max_output_size=n_bytes) for one in stored)
            return np.frombuffer(restored, np.uint8).reshape(-1, *shape)

        return Attempt(
            name, f"level {LEVEL}", lambda x: [encoder.compress(one) for one in x], decode, side_bytes=side, note=note
        )

    yield each("zstd, each", None, BARE)
    training = [one.tobytes() for one in records.train[: N_TRAINING_BYTES // n_bytes]]
    dictionary = zstandard.train_dictionary(N_DICTIONARY_BYTES, training, level=LEVEL)
    yield each("zstd, each, dictionary", dictionary, f"dictionary of {len(training):,} training records; {BARE}")
    for name, setting, encode, decode in WHOLE:
        yield Attempt(
            f"{name}, whole",
            setting,
            lambda x, encode=encode: [encode(x.tobytes())],
            lambda stored, decode=decode: np.frombuffer(decode(stored[0]), np.uint8).reshape(-1, *shape),
        )
    for name, encode_image, decode_image in SHEETS:
        yield Attempt(
            f"{name} lossless, sheet",
            "slowest",
            lambda x, encode=encode_image: [encode(join(x, N_COLUMNS))],
            lambda stored, decode=decode_image: split(_as_grey(decode(stored[0]), len(shape)), *shape[:2]),
            note=f"{len(records.test) // N_COLUMNS}×{N_COLUMNS} records in one image",
        )


def _zstd(data: bytes) -> bytes:
    settings = zstandard.ZstdCompressionParameters.from_level(22, source_size=len(data), window_log=27, enable_ldm=True)
    return zstandard.ZstdCompressor(compression_params=settings).compress(data)


def _openzl(data: bytes) -> bytes:
    """Return the smallest of what OpenZL's general graphs make of bytes."""
    values, found = np.frombuffer(data, np.uint8), []
    for kind in (openzl.Type.Serial, openzl.Type.Numeric):
        for graph in (openzl.graphs.Compress(), openzl.graphs.Zstd(), openzl.graphs.FieldLz(), openzl.graphs.Entropy()):
            compressor, context = openzl.Compressor(), openzl.CCtx()
            compressor.set_parameter(openzl.CParam.FormatVersion, openzl.MAX_FORMAT_VERSION)
            compressor.set_parameter(openzl.CParam.CompressionLevel, 22)
            compressor.set_parameter(openzl.CParam.PermissiveCompression, 1)
            try:
                compressor.select_starting_graph(graph.parameterize(compressor))
                context.ref_compressor(compressor)
                found.append(context.compress([openzl.Input(kind, values)]))
            except RuntimeError:  # the graph takes inputs of the other kind
                continue
    return min(found, key=len)


def _from_openzl(stored: bytes) -> bytes:
    (output,) = openzl.DCtx().decompress(stored)
    return bytes(output.content.as_bytes())


def _in_colour(image: Array) -> Array:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=-1)


def _as_grey(image: Array, n_axes: int) -> Array:
    return image if image.ndim == n_axes else image[..., 0]


WHOLE = (
    ("zstd", "level 22, window of 128 MB", _zstd, lambda stored: zstandard.ZstdDecompressor().decompress(stored)),
    ("xz", "9e", lambda data: lzma.compress(data, preset=9 | lzma.PRESET_EXTREME), lzma.decompress),
    ("Brotli", "level 11", lambda data: imagecodecs.brotli_encode(data, level=11, lgwin=24), imagecodecs.brotli_decode),
    ("OpenZL", "the smallest of its general graphs", _openzl, _from_openzl),
)
SHEETS = (
    (
        "WebP",
        lambda x: imagecodecs.webp_encode(_in_colour(x), lossless=True, level=100, method=6),
        lambda stored: imagecodecs.webp_decode(stored, hasalpha=False),
    ),
    (
        "JPEG XL",
        lambda x: imagecodecs.jpegxl_encode(x, lossless=True, effort=10, usecontainer=False, numthreads=1),
        lambda stored: imagecodecs.jpegxl_decode(stored, numthreads=1),
    ),
)
