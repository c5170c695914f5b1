"""What the data tests share: an IDX writer, and images with something on them."""

import struct

import numpy as np
import pytest
from PIL import Image

IDX_CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    """No test reads or fills the cache of whoever runs it."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("narrows.data.named.cache_folder", lambda: cache)
    monkeypatch.delenv("NARROWS_DATA", raising=False)
    monkeypatch.setenv("NARROWS_MIRROR", "http://127.0.0.1:1")  # nobody listens there
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def idx_bytes():
    def pack(values):
        values = np.asarray(values)
        head = struct.pack(f">HBB{values.ndim}I", 0, IDX_CODES[values.dtype.name], values.ndim, *values.shape)
        return head + values.astype(values.dtype.newbyteorder(">")).tobytes()

    return pack


@pytest.fixture
def save_image():
    """Save pixels (H, W) or (H, W, 3) under a path whose folders are made; return the path."""

    def save(path, pixels, **options):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(pixels)).save(path, **options)
        return path

    return save


@pytest.fixture
def grey():
    """Return five different 6×4 images: (5, 6, 4) uint8."""
    return np.arange(5 * 6 * 4, dtype=np.uint8).reshape(5, 6, 4)
