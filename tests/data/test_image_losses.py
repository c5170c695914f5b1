"""What is lost when images are read is told, and so are the files that are not read."""

import os
import socket
import warnings

import numpy as np
import pytest
from PIL import Image, features

import narrows.data
from narrows.data.image_decoding import plan_image
from narrows.data.image_losses import LOSSES, check_lossless, loss_warnings
from narrows.errors import DataError, DataNotFoundError, DataWarning

RNG = np.random.default_rng(0)


def image(mode="RGB", size=(6, 4)):
    n = len(Image.new(mode, (1, 1)).getbands())
    pixels = RNG.integers(0, 256, (size[1], size[0], n), dtype=np.uint8)
    return Image.frombytes(mode, size, pixels.tobytes())


def opened(path, **options):
    """Return the source and its warnings as (kind, count, first)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        source = narrows.data.open(path, **options)
    assert [one.message for one in caught] == list(source.warnings)
    assert all(isinstance(one, DataWarning) for one in source.warnings)
    return source, [(one.kind, one.count, one.first) for one in source.warnings]


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "avif"])
def test_frames_after_the_first_are_warned_of(tmp_path, ending):
    if ending == "avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    first, *more = (image() for _ in range(3))
    options = {"lossless": True} if ending == "webp" else {}
    first.save(tmp_path / f"still.{ending}", **options)
    first.save(tmp_path / f"moves.{ending}", save_all=True, append_images=more, **options)
    source, told = opened(tmp_path)
    assert told == [("frames", 1, f"moves.{ending}")]
    said = str(source.warnings[0])
    assert f"1 of 2 images in {tmp_path}/ (the first is moves.{ending}) have more than one frame" in said
    if ending in {"webp", "png"}:
        np.testing.assert_array_equal(source.values, [np.asarray(first)] * 2)
    assert opened(tmp_path / f"still.{ending}")[1] == []


def test_further_pictures_of_a_jpeg_are_warned_of(tmp_path):
    image().save(tmp_path / "two.jpg", format="MPO", save_all=True, append_images=[image()])
    assert opened(tmp_path / "two.jpg")[1] == [("frames", 1, "two.jpg")]


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_colours_of_inks_are_warned_of(tmp_path, ending):
    image("CMYK").save(tmp_path / f"a.{ending}")
    image("RGB").save(tmp_path / f"b.{ending}")
    source, told = opened(tmp_path)
    assert (told, source.shape) == ([("cmyk", 1, f"a.{ending}")], (4, 6, 3))


def test_lab_is_warned_of(tmp_path):
    image("LAB").save(tmp_path / "a.tif")
    assert opened(tmp_path / "a.tif")[1] == [("cmyk", 1, "a.tif")]


def test_bits_that_pillow_does_not_read_are_warned_of(tmp_path, monkeypatch):
    if not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    image().save(tmp_path / "a.avif", quality=100)
    assert plan_image(tmp_path / "a.avif").losses == ()
    content = bytearray((tmp_path / "a.avif").read_bytes())
    content[content.index(b"av1C") + 6] |= 0x40  # more than 8 bits
    (tmp_path / "b.avif").write_bytes(content)
    monkeypatch.setattr("PIL.AvifImagePlugin.AvifImageFile._open", avif_header)
    assert plan_image(tmp_path / "b.avif").losses == ("depth",)
    (warning,) = loss_warnings("photos/", {"depth": ["b.avif"]}, 2)
    assert "1 of 2 images in photos/ (the first is b.avif) have more bits in a channel than are read" in str(warning)


def avif_header(self):
    """Stand in for the decoder, which refuses a header that does not fit the content."""
    self._mode, self._size, self.n_frames = "RGB", (6, 4), 1


def test_each_kind_of_loss_is_warned_of_once(tmp_path):
    for i in range(3):
        image("CMYK").save(tmp_path / f"ink{i}.jpg")
        image("RGBA").save(tmp_path / f"clear{i}.png")
        image().save(tmp_path / f"moves{i}.gif", save_all=True, append_images=[image()])
    source, told = opened(tmp_path)
    assert told == [("frames", 3, "moves0.gif"), ("cmyk", 3, "ink0.jpg"), ("alpha", 3, "clear0.png")]
    assert opened(tmp_path, limit=3)[1] == [("alpha", 3, "clear0.png")], "only of what is read"
    with pytest.raises(DataError, match="--accept-loss frames,cmyk,alpha "):
        check_lossless("photos/", source.warnings)
    with pytest.raises(DataError, match="--accept-loss frames,cmyk,alpha "):
        check_lossless("photos/", source.warnings, ["cmyk"])
    check_lossless("photos/", source.warnings, list(LOSSES))


@pytest.mark.parametrize("ending", ["jfif", "jpe", "ppm", "pgm", "gif", "avif", "JFIF"])
def test_more_endings_are_read(tmp_path, ending):
    if ending == "avif" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    grey = np.full((4, 6), 200, np.uint8)
    Image.fromarray(grey).save(tmp_path / f"a.{ending}")
    for data in (tmp_path, tmp_path / f"a.{ending}", f"{tmp_path}/*.{ending}"):
        source, told = opened(data)
        assert (len(source), told) == (1, [])
        assert abs(source.values.astype(int) - 200).max() < 4


def test_a_gif_of_grey_values_is_grey(tmp_path):
    grey = np.array([[3, 200, 77], [0, 255, 3]], np.uint8)
    for name, pixels in {"a.gif": grey, "b.gif": np.stack([grey] * 3, -1)}.items():
        Image.fromarray(pixels).save(tmp_path / name)
    np.testing.assert_array_equal(narrows.data.open(tmp_path).values, [grey, grey])
    Image.fromarray(np.stack([grey, grey, 255 - grey], -1)).save(tmp_path / "c.gif")
    assert narrows.data.open(tmp_path).shape == (2, 3, 3)


def test_files_with_other_endings_are_counted_in_one_line(tmp_path):
    image().save(tmp_path / "a.png")
    for other in ("b.heic", "b.tga", "c.jp2", "sub/x.psd", ".hidden.heic"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_bytes(b"something")
    source, told = opened(tmp_path)
    assert told == [("passed-over", 4, "b.heic")]
    assert str(source.warnings[0]) == (
        f"4 files in {tmp_path}/ were skipped, since their extensions are not those of images (the first is b.heic)."
    )
    assert opened(f"{tmp_path}/*")[1] == [("passed-over", 3, "b.heic")]
    check_lossless("photos/", source.warnings)  # what is read, is read unchanged


def test_a_folder_of_other_files_says_what_it_holds(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"something")
    with pytest.raises(DataNotFoundError, match=r"No images found.*1 file in .* was skipped, since .* \(a\.heic\)"):
        narrows.data.open(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.timeout(20)
def test_what_is_no_file_is_counted_and_never_opened(tmp_path, monkeypatch):
    image().save(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "sub" / "pipe.txt")
    os.symlink(tmp_path / "pipe.png", tmp_path / "to-pipe.png")
    os.symlink("/dev/zero", tmp_path / "device.png")
    os.symlink(tmp_path / "gone.png", tmp_path / "dangling.png")
    os.symlink(tmp_path / "round.png", tmp_path / "round.png")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.png")
        source, told = opened(tmp_path)
        assert (source.files, told) == (("a.png",), [("no-file", 7, "dangling.png")])
        assert opened(f"{tmp_path}/*.png")[1] == [("no-file", 6, "dangling.png")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.timeout(20)
def test_a_pipe_alone_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match="must be a regular file or a folder"):
        narrows.data.open(tmp_path / "pipe.png")
    with pytest.raises(DataNotFoundError, match=r"1 entry in .* was skipped, since it is a named pipe"):
        narrows.data.open(tmp_path)


def test_a_link_to_an_image_is_read(tmp_path):
    image().save(tmp_path / "a.png")
    os.symlink(tmp_path / "a.png", tmp_path / "b.png")
    assert opened(tmp_path)[0].files == ("a.png", "b.png")


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    image().save(tmp_path / "a.png")
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", scandir)
    with pytest.raises(DataError, match=r"closed cannot be read: Permission denied"):
        narrows.data.open(tmp_path)
