"""Images of 16 bits in each of several channels are read and written with all their bits."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

import narrows.data
from narrows.data.deep_images import deep_pixels, is_deep
from narrows.errors import CorruptFileError, DataError, DataWarning

COLOUR = np.random.default_rng(0).integers(0, 65536, (5, 7, 3), dtype=np.uint16)


def write_png(path, pixels, *, interlaced=False, key=None):
    """Write a PNG of 16 bits a channel: grey, grey and alpha, colour, or colour and alpha."""
    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    passes = [pixels]
    if interlaced:
        adam7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
        passes = [pixels[y::dy, x::dx] for y, x, dy, dx in adam7]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for one in passes if one.size for row in one)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, int(interlaced)))]
    if key is not None:
        chunks.append((b"tRNS", struct.pack(f">{len(key)}H", *key)))
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    )
    return path


def write_tiff(path, pixels, order="<", planar=False):
    """Write an uncompressed TIFF of 48 bits."""
    height, width, _ = pixels.shape
    data = (pixels.transpose(2, 0, 1) if planar else pixels).astype(f"{order}u2").tobytes()
    size, start = len(data) // (3 if planar else 1), 8 + 2 + 10 * 12 + 4
    extra = struct.pack(f"{order}3H", 16, 16, 16)
    offsets = [start + 6 + 24 + i * size for i in range(3)]
    extra += struct.pack(f"{order}6I", *offsets, size, size, size)
    n_strips = 3 if planar else 1
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, start), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, n_strips, start + 6 if planar else offsets[0]), (277, 3, 1, 3), (278, 4, 1, height),
        (279, 4, n_strips, start + 18 if planar else size), (284, 3, 1, 2 if planar else 1),
    ]  # fmt: skip
    directory = struct.pack(f"{order}H", len(entries))
    for tag, kind, n, value in entries:
        packed = struct.pack(f"{order}HH", value, 0) if kind == 3 and n == 1 else struct.pack(f"{order}I", value)
        directory += struct.pack(f"{order}HHI", tag, kind, n) + packed
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8)
    path.write_bytes(head + directory + b"\0\0\0\0" + extra + data)
    return path


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_every_kind_of_png_with_16_bits_is_decoded_exactly(tmp_path, channels, interlaced):
    pixels = np.random.default_rng(1).integers(0, 65536, (9, 13, channels), dtype=np.uint16)
    path = write_png(tmp_path / "a.png", pixels, interlaced=interlaced)
    with Image.open(path) as image:
        assert is_deep(image)
    np.testing.assert_array_equal(deep_pixels(path), pixels)


def test_a_png_of_48_bits_is_read_with_all_its_bits(tmp_path):
    source = narrows.data.open(write_png(tmp_path / "a.png", COLOUR))
    assert (source.dtype, source.shape, source.warnings) == (np.uint16, (5, 7, 3), ())
    np.testing.assert_array_equal(source.values, COLOUR[None])


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_tiff_of_48_bits_is_read_with_all_its_bits(tmp_path, order):
    np.testing.assert_array_equal(narrows.data.open(write_tiff(tmp_path / "a.tif", COLOUR, order)).values, [COLOUR])


def test_a_tiff_whose_planes_pillow_mistakes_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.tif has 16 bits in each of several planes"):
        narrows.data.open(write_tiff(tmp_path / "a.tif", COLOUR, planar=True))


@pytest.mark.parametrize("is_text", [False, True])
def test_a_ppm_of_48_bits_is_read_with_all_its_bits(tmp_path, is_text):
    numbers = " ".join(map(str, COLOUR.flatten())).encode() if is_text else COLOUR.astype(">u2").tobytes()
    (tmp_path / "a.ppm").write_bytes(b"P%d\n# a comment\n7 5\n65535\n" % (3 if is_text else 6) + numbers)
    np.testing.assert_array_equal(narrows.data.open(tmp_path / "a.ppm").values, [COLOUR])
    (tmp_path / "a.ppm").write_bytes(b"P%d\n7 5\n65535\n" % (3 if is_text else 6) + numbers[: len(numbers) // 2])
    with pytest.raises(CorruptFileError, match=r"a\.ppm"):
        narrows.data.open(tmp_path / "a.ppm")


def test_a_ppm_with_another_largest_value_is_scaled(tmp_path):
    values = np.array([[[0, 500, 1000]]], np.uint16)
    (tmp_path / "a.ppm").write_bytes(b"P6\n1 1\n1000\n" + values.astype(">u2").tobytes())
    assert narrows.data.open(tmp_path / "a.ppm").values.tolist() == [[[[0, 32768, 65535]]]]
    (tmp_path / "a.ppm").write_bytes(b"P6\n1 1\n600\n" + values.astype(">u2").tobytes())
    with pytest.raises(CorruptFileError, match="1000 exceeds the largest, 600"):
        narrows.data.open(tmp_path / "a.ppm")


def test_a_pgm_of_16_bits_is_read_with_all_its_bits(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5\n7 5\n65535\n" + COLOUR[..., 0].astype(">u2").tobytes())
    source = narrows.data.open(tmp_path / "a.pgm")
    np.testing.assert_array_equal(source.values, COLOUR[None, ..., 0])
    assert source.dtype == np.uint16


def test_grey_and_colour_of_16_bits_become_colour(tmp_path):
    write_png(tmp_path / "a.png", COLOUR)
    write_png(tmp_path / "b.png", COLOUR[..., :1])
    np.testing.assert_array_equal(narrows.data.open(tmp_path).values, [COLOUR, np.repeat(COLOUR[..., :1], 3, -1)])


@pytest.mark.parametrize("channels", [2, 4])
def test_transparency_of_16_bits_is_put_on_white_and_warned_of(tmp_path, channels):
    pixels = np.full((1, 3, channels), 1000, np.uint16)
    pixels[0, :, -1] = 65535, 0, 32768
    with pytest.warns(DataWarning, match="transparent") as caught:
        source = narrows.data.open(write_png(tmp_path / "a.png", pixels))
    assert (caught[0].message.kind, len(caught)) == ("alpha", 1)
    half = round(1000 * 32768 / 65535 + 65535 * 32767 / 65535)
    assert source.values.reshape(3, -1)[:, 0].tolist() == [1000, 65535, half]
    assert source.shape == ((1, 3, 3) if channels == 4 else (1, 3))
    pixels[..., -1] = 65535
    assert narrows.data.open(write_png(tmp_path / "a.png", pixels)).warnings == ()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_colour_of_16_bits_is_put_on_white_and_warned_of(tmp_path, channels):
    pixels = np.array([[[257] * channels, [258] * channels]], np.uint16)
    with pytest.warns(DataWarning, match="transparent"):
        source = narrows.data.open(write_png(tmp_path / "a.png", pixels, key=[257] * channels))
    assert source.values.reshape(2, -1)[:, 0].tolist() == [65535, 258]


def test_images_of_48_bits_are_turned_and_resized(tmp_path):
    path = write_png(tmp_path / "a.png", COLOUR)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = path.read_bytes()
    chunk = b"eXIf" + exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(content[:33] + chunk + content[33:])
    np.testing.assert_array_equal(narrows.data.open(path).values[0], np.rot90(COLOUR, -1))
    assert narrows.data.open(path, resize=(14, 10)).shape == (14, 10, 3)


def test_bits_and_convert_say_what_images_become(tmp_path):
    write_png(tmp_path / "deep.png", COLOUR)
    Image.fromarray(np.full((5, 7), 9, np.uint8)).save(tmp_path / "grey.png")
    with pytest.raises(DataError, match=r"deep\.png has 16 bits, .*grey\.png has 8.*--bits 8 \(in Python: bits=8\)"):
        narrows.data.open(tmp_path)
    source = narrows.data.open(tmp_path, bits=8)
    assert source.dtype == np.uint8
    np.testing.assert_array_equal(source.values[0], np.rint(COLOUR / 257))
    grey = narrows.data.open(tmp_path, bits=8, convert="grey")
    assert grey.shape == (5, 7)
    np.testing.assert_allclose(grey.values[0], COLOUR @ [0.299, 0.587, 0.114] / 257, atol=0.6)
    assert narrows.data.open(tmp_path / "grey.png", convert="colour").values.tolist() == [[[[9] * 3] * 7] * 5]
    deep = narrows.data.open(tmp_path / "deep.png", convert="grey")
    np.testing.assert_allclose(deep.values[0], COLOUR @ [0.299, 0.587, 0.114], atol=0.6)


def test_images_of_48_bits_are_written_and_read_back(tmp_path):
    several = np.stack([COLOUR, COLOUR[::-1], COLOUR * 0])
    narrows.data.write(tmp_path / "a", several, files=("x/1.tif", "x/2.png", "y.png"))
    source = narrows.data.open(tmp_path / "a")
    np.testing.assert_array_equal(source.values, several)
    with Image.open(tmp_path / "a" / "y.png") as image:
        image.verify()
    with Image.open(tmp_path / "a" / "x" / "1.png") as image:
        np.testing.assert_array_equal(np.asarray(image), COLOUR >> 8)
