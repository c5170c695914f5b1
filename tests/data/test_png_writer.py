"""PNG images hold the pixels that were written, by what another library reads."""

import numpy as np
import pytest
from PIL import Image

import narrows.data
from narrows.data import png_writer


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (1, 4, 3), (9, 5, 3)])
def test_images_are_read_as_they_were_written(tmp_path, shape, dtype):
    pixels = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)
    path = tmp_path / "a.png"
    png_writer.write_png(path, pixels)
    if pixels.ndim == 2 or dtype == np.uint8:  # Pillow drops the low bits of others
        np.testing.assert_array_equal(np.asarray(Image.open(path)), pixels)
    np.testing.assert_array_equal(narrows.data.open(path).values[0], pixels)


def test_images_written_in_stripes_are_the_same(tmp_path, monkeypatch):
    pixels = np.add.outer(np.arange(40, dtype=np.uint8), 3 * np.arange(30, dtype=np.uint8))
    png_writer.write_png(tmp_path / "whole.png", pixels)
    monkeypatch.setattr(png_writer, "_STRIPE_BYTES", 100)
    png_writer.write_png(tmp_path / "stripes.png", pixels)
    assert (tmp_path / "stripes.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


def test_smooth_images_are_about_as_small_as_pillow_writes_them(tmp_path):
    rows, columns = np.mgrid[:64, :64]
    pixels = (128 + 60 * np.sin(rows / 9) + 60 * np.cos(columns / 7)).astype(np.uint8)
    png_writer.write_png(tmp_path / "a.png", pixels)
    Image.fromarray(pixels).save(tmp_path / "b.png")
    assert (tmp_path / "a.png").stat().st_size < 1.05 * (tmp_path / "b.png").stat().st_size
