"""Zstandard and xz: every byte comes back."""

from __future__ import annotations

import lzma
from collections.abc import Iterator

import numpy as np
import zstandard
from measuring import Array, Attempt
from records import Records

__all__ = ["attempts"]

LEVEL = 19
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
    yield Attempt(
        "zstd, whole",
        f"level {LEVEL}",
        lambda x: [zstandard.ZstdCompressor(level=LEVEL).compress(x.tobytes())],
        lambda stored: np.frombuffer(zstandard.ZstdDecompressor().decompress(stored[0]), np.uint8).reshape(-1, *shape),
    )
    yield Attempt(
        "xz, whole",
        "9e",
        lambda x: [lzma.compress(x.tobytes(), preset=9 | lzma.PRESET_EXTREME)],
        lambda stored: np.frombuffer(lzma.decompress(stored[0]), np.uint8).reshape(-1, *shape),
    )
