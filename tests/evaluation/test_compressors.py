"""General-purpose compressors to compare with: their bytes, counted by other means."""

import numpy as np
import pytest
import zstandard
from PIL import Image

from narrows.errors import DataError
from narrows.evaluation.compressors import lossless_sizes


@pytest.mark.parametrize("shape", [(5, 12, 9), (5, 12, 9, 3), (5, 12, 9, 4)])
def test_sizes_are_those_of_files(shape, rng, tmp_path):
    images = rng.integers(0, 40, shape, dtype=np.uint8)
    sizes = lossless_sizes(images)
    assert list(sizes) == ["uncompressed", "PNG, a file each", "zstd -19, a file each", "zstd -19, all in one"]
    for i, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{i}.png")
    each = sum(len(zstandard.compress(image.tobytes(), 19)) for image in images)
    assert list(sizes.values()) == [
        images.nbytes,
        sum(path.stat().st_size for path in tmp_path.iterdir()),
        each,
        len(zstandard.compress(images.tobytes(), 19)),
    ]


@pytest.mark.parametrize("images", [np.zeros((3, 8, 8)), np.zeros((3, 8), np.uint8), np.zeros((3, 8, 8, 2), np.uint8)])
def test_what_is_no_image_of_bytes_is_refused(images):
    with pytest.raises(DataError, match="takes images of uint8"):
        lossless_sizes(images)
