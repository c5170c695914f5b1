import gzip
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import narrows.data
from narrows.errors import CorruptFileError, DataError

DTYPES = st.sampled_from(["uint8", "int8", "int16", "int32", "float32", "float64"])
ARRAYS = DTYPES.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5)))


@given(x=ARRAYS, gzipped=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_read(x, gzipped, tmp_path, idx_bytes):
    path = tmp_path / "x"  # known by its first bytes, not by its name
    path.write_bytes(gzip.compress(idx_bytes(x), 1) if gzipped else idx_bytes(x))
    source = narrows.data.open(path)
    np.testing.assert_array_equal(source.values, x)
    assert source.dtype == x.dtype
    assert source.dtype.isnative
    assert source.kind == "idx"


def test_plain_bytes_are_mapped_and_the_file_is_never_changed(tmp_path, grey, idx_bytes):
    path = tmp_path / "x"
    path.write_bytes(idx_bytes(grey))
    source = narrows.data.open(path)
    assert isinstance(source.values, np.memmap)
    source.values[:] = 0
    assert path.read_bytes() == idx_bytes(grey)


@pytest.mark.parametrize("separator", ["-", "."])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_the_labels_are_found_beside_the_images(tmp_path, grey, idx_bytes, separator, ending):
    pack = gzip.compress if ending else bytes
    images = tmp_path / f"train-images{separator}idx3-ubyte{ending}"
    images.write_bytes(pack(idx_bytes(grey)))
    assert narrows.data.open(images).labels is None
    labels = tmp_path / f"train-labels{separator}idx1-ubyte{ending}"
    labels.write_bytes(pack(idx_bytes(np.arange(5, dtype=np.uint8))))
    assert narrows.data.open(images, limit=3).labels.tolist() == [0, 1, 2]
    labels.write_bytes(pack(idx_bytes(np.arange(4, dtype=np.uint8))))
    with pytest.raises(DataError, match=r"5 records, but the labels"):
        narrows.data.open(images)


def lies(whole):
    """Return every way in which a file may differ from the `whole` one, and what the error says."""
    huge = struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1) + whole[16:]
    zipped = gzip.compress(whole)
    flipped = bytearray(zipped)
    flipped[-6] ^= 1  # in the CRC
    return {
        "empty": (b"", "empty"),
        "magic": (b"\1" + whole[1:], "not an IDX file.*Got '01 00 08 03'"),
        "dtype": (whole[:2] + b"\x0a" + whole[3:], "not an IDX file"),
        "header cut off": (whole[:10], "header must have 16 bytes. Got 10 bytes"),
        "cut off": (whole[:-1], "must have 136 bytes.*Got 135"),
        "too long": (whole + b"\0", "must have 136 bytes.*Got 137"),
        "huge": (huge, "must have 79,228,162,458,924,105,385,300,197,391 bytes.*Got 136"),
        "zipped: magic": (gzip.compress(b"\1" + whole[1:]), "not an IDX file"),
        "zipped: header cut off": (gzip.compress(whole[:10]), "header must have 16 bytes. Got 10 bytes"),
        "zipped: content cut off": (gzip.compress(whole[:-1]), "must have 136 bytes.*Got 135"),
        "zipped: content too long": (gzip.compress(whole + b"\0"), "must have 136 bytes.*Got more"),
        "zipped: huge": (gzip.compress(huge), "too small for this content"),
        "zipped: cut off": (zipped[:-12], "cannot be unzipped"),
        "zipped: in its head": (zipped[:5], "cannot be unzipped"),
        "zipped: checksum": (bytes(flipped), "cannot be unzipped"),
    }


@pytest.mark.parametrize("lie", lies(b""))
def test_a_file_that_lies_is_named(tmp_path, grey, idx_bytes, lie):
    content, message = lies(idx_bytes(grey))[lie]
    path = tmp_path / "x-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=message) as error:
        narrows.data.open(path)
    assert str(path) in str(error.value)


def test_an_axis_of_length_zero_is_no_data(tmp_path, idx_bytes):
    path = tmp_path / "x"
    path.write_bytes(idx_bytes(np.zeros((0, 3, 3), np.uint8)))
    with pytest.raises(DataError, match="at least one value"):
        narrows.data.open(path)
