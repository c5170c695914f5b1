import os

import numpy as np
import pytest
from PIL import Image

import narrows.data
from narrows.errors import CorruptFileError, DataError, DataNotFoundError, InvalidParameterError
from narrows.parts.options import Size

COLOUR = np.arange(6 * 4 * 3, dtype=np.uint8).reshape(6, 4, 3)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".tiff", ".webp", ".PNG"])
def test_colour_images_are_read_as_they_are(tmp_path, save_image, ending):
    options = {"lossless": True} if ending == ".webp" else {}
    save_image(tmp_path / f"a{ending}", COLOUR, **options)
    source = narrows.data.open(tmp_path)
    np.testing.assert_array_equal(source.values, COLOUR[None])
    assert (source.kind, source.name, source.files) == ("images", f"{tmp_path}/", (f"a{ending}",))


@pytest.mark.parametrize("pixels", [np.full((6, 4), 200, np.uint8), COLOUR // 64 + 100])
def test_jpeg_is_read_about_as_it_is(tmp_path, save_image, pixels):
    path = save_image(tmp_path / "a.jpeg", pixels, quality=100)
    values = narrows.data.open(path).values
    assert (values.shape, values.dtype) == ((1, *pixels.shape), np.uint8)
    assert abs(values[0].astype(int) - pixels).max() < 8


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_grey_of_16_bits_is_kept(tmp_path, save_image, ending):
    deep = np.array([[0, 1], [65534, 65535]], np.uint16)
    source = narrows.data.open(save_image(tmp_path / f"a{ending}", deep))
    assert source.dtype == np.uint16
    np.testing.assert_array_equal(source.values, deep[None])
    source = narrows.data.open(tmp_path, resize=(4, 6))
    assert (source.dtype, source.shape, source.values.max()) == (np.uint16, (4, 6), 65535)


def test_files_come_in_natural_order_and_others_are_passed_over(tmp_path, save_image, grey):
    names = ["img2.png", "img10.png", "sub/img1.png", "sub/img03.png"]
    for name, image in zip(names, grey, strict=False):
        save_image(tmp_path / name, image)
    for other in ("README.md", ".DS_Store", "._img1.png", ".cache/img.png"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_bytes(b"no image")
    with (
        pytest.warns(narrows.data.DataWarning, match=r"1 file in .* was skipped, since .* \(README\.md\)"),
        pytest.warns(narrows.data.DataWarning, match=r"2 images in .* begin with a dot \(the first is \._img1\.png\)"),
    ):
        source = narrows.data.open(str(tmp_path))
    assert source.files == tuple(names)
    np.testing.assert_array_equal(source.values, grey[:4])
    assert source.labels is None


def test_folders_are_classes(tmp_path, save_image, grey):
    for i, name in enumerate(["dog/a.png", "cat/deep/b.png", "dog/c.png", "class10/d.png", "class9/e.png"]):
        save_image(tmp_path / name, grey[i])
    source = narrows.data.open(tmp_path)
    assert source.label_names == ("cat", "class9", "class10", "dog")
    assert source.labels.tolist() == [0, 1, 2, 3, 3]
    assert narrows.data.open(tmp_path, limit=2).label_names == source.label_names
    by_glob = narrows.data.open(f"{tmp_path}/*/*.png")
    assert (by_glob.label_names, by_glob.files[0]) == (("class9", "class10", "dog"), "class9/e.png")


def test_only_the_images_below_the_limit_are_read(tmp_path, save_image, grey):
    save_image(tmp_path / "a.png", grey[0])
    (tmp_path / "b.png").write_bytes(b"no image")
    assert len(narrows.data.open(tmp_path, limit=1)) == 1


def test_a_folder_linked_into_itself_ends(tmp_path, save_image, grey):
    save_image(tmp_path / "sub" / "a.png", grey[0])
    try:
        os.symlink(tmp_path, tmp_path / "sub" / "loop", target_is_directory=True)
    except OSError:
        pytest.skip("no symbolic links here")
    assert len(narrows.data.open(tmp_path)) == 1


def test_one_colour_image_makes_all_colour(tmp_path, save_image, grey):
    save_image(tmp_path / "a.png", grey[0])
    save_image(tmp_path / "b.png", COLOUR)
    source = narrows.data.open(tmp_path)
    np.testing.assert_array_equal(source.values, [np.repeat(grey[0][..., None], 3, -1), COLOUR])


def test_palettes_become_colour_and_bits_become_grey(tmp_path):
    Image.fromarray(COLOUR).quantize(256).save(tmp_path / "p.png")
    Image.fromarray(np.eye(4, dtype=bool)).save(tmp_path / "bits.png")
    assert narrows.data.open(tmp_path / "p.png").shape == (6, 4, 3)
    np.testing.assert_array_equal(narrows.data.open(tmp_path / "bits.png").values[0], np.eye(4, dtype=np.uint8) * 255)


@pytest.mark.filterwarnings("ignore::narrows.data.DataWarning")
def test_what_is_transparent_lies_on_white(tmp_path, save_image):
    rgba = np.zeros((1, 2, 4), np.uint8)
    rgba[0, 1] = 10, 20, 30, 255
    assert narrows.data.open(save_image(tmp_path / "a.png", rgba)).values.tolist() == [[[[255] * 3, [10, 20, 30]]]]
    Image.fromarray(rgba[..., 2:]).save(tmp_path / "la.png")
    assert narrows.data.open(tmp_path / "la.png").values.tolist() == [[[255, 30]]]
    Image.fromarray(np.array([[7, 9]], np.uint8)).save(tmp_path / "key.png", transparency=7)
    assert narrows.data.open(tmp_path / "key.png").values.tolist() == [[[255, 9]]]


def test_transparency_that_is_lost_is_warned_of_once(tmp_path, save_image):
    clear = np.full((6, 4, 4), 255, np.uint8)
    save_image(tmp_path / "a.png", clear)  # has an alpha channel, and nothing transparent
    assert len(narrows.data.open(tmp_path)) == 1
    clear[0, 0, 3] = 254
    for name in ("b.png", "c.webp"):
        save_image(tmp_path / name, clear)
    with pytest.warns(narrows.data.DataWarning) as caught:
        narrows.data.open(tmp_path)
    (one,) = caught
    assert (
        f"2 of 3 images in {tmp_path}/ (the first is b.png) have transparent pixels. They were blended with white"
        in str(one.message)
    )
    assert one.filename == __file__
    with pytest.warns(narrows.data.DataWarning, match=r"b\.png has transparent pixels"):
        narrows.data.open(tmp_path / "b.png")
    assert len(narrows.data.open(tmp_path, limit=1)) == 1


def test_a_broken_link_among_images_is_passed_over_and_named(tmp_path, save_image, grey):
    save_image(tmp_path / "a.png", grey[0])
    try:
        os.symlink(tmp_path / "gone.png", tmp_path / "b.png")
    except OSError:
        pytest.skip("no symbolic links here")
    with pytest.warns(narrows.data.DataWarning, match=r"1 entry in .* was skipped, since .* broken link \(b\.png\)"):
        assert narrows.data.open(tmp_path).files == ("a.png",)


@pytest.mark.parametrize("ending", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_upright(tmp_path, ending, orientation):
    undone = {6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    turns = [None, *(Image.Transpose[turn] for turn in ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM"))]
    turns += [Image.Transpose.TRANSPOSE, undone[6], Image.Transpose.TRANSVERSE, undone[8]]
    image = Image.fromarray(COLOUR)
    if turns[orientation - 1] is not None:
        image = image.transpose(turns[orientation - 1])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / f"a{ending}", exif=exif, **({"lossless": True} if ending == ".webp" else {}))
    np.testing.assert_array_equal(narrows.data.open(tmp_path).values[0], COLOUR)


def test_images_of_different_size_need_resize(tmp_path, save_image, grey):
    a, b = save_image(tmp_path / "a.png", grey[0]), save_image(tmp_path / "b.png", grey[1, :5])
    with pytest.raises(DataError, match=r"--resize 6x4") as error:
        narrows.data.open(tmp_path)
    assert f"{a} has 6x4 pixels, and {b} has 5x4 pixels" in str(error.value)
    assert narrows.data.open(tmp_path, resize=(7, 3)).values.shape == (2, 7, 3)


def test_images_of_different_depth_are_rejected(tmp_path, save_image, grey):
    save_image(tmp_path / "a.png", grey[0])
    save_image(tmp_path / "b.png", grey[0].astype(np.uint16))
    with pytest.raises(DataError, match=r"b\.png has 16 bits, .*a\.png has 8"):
        narrows.data.open(tmp_path)


@pytest.mark.parametrize("resize", [(0, 3), (3,), "3x3", 3, (3.0, 3), (True, 3)])
def test_resize_must_be_two_numbers(tmp_path, resize):
    with pytest.raises(InvalidParameterError, match=r"'resize' must be a pair \(height, width\)"):
        narrows.data.open(tmp_path, resize=resize)


@pytest.mark.parametrize("text", ["", "28", "28x", "0x28", "-1x28", "28x28x3", "axb", "2.5x3", "28 28"])
def test_a_size_is_height_x_width(text):
    with pytest.raises(InvalidParameterError):
        Size().parse(text)
    assert Size().parse("28X32") == Size().parse(" 28 × 32 ") == (28, 32)


def noise(path, save_image):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
    return save_image(path, pixels)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tif", ".webp"])
@pytest.mark.parametrize("damage", ["cut off", "not an image", "empty"])
def test_a_damaged_image_is_named(tmp_path, save_image, ending, damage):
    save_image(tmp_path / f"a{ending}", np.zeros((32, 32), np.uint8))
    path = noise(tmp_path / f"b{ending}", save_image)
    whole = path.read_bytes()
    path.write_bytes({"cut off": whole[: len(whole) // 2], "not an image": b"neither", "empty": b""}[damage])
    with pytest.raises(CorruptFileError) as error:
        narrows.data.open(tmp_path)
    assert str(path) in str(error.value)


def test_a_flipped_bit_in_a_png_is_found(tmp_path, save_image):
    path = noise(tmp_path / "a.png", save_image)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(CorruptFileError, match=r"a\.png"):
        narrows.data.open(path)


@pytest.mark.parametrize("limit", [20, 100])  # Pillow raises an error above twice its limit, a warning below
def test_decompression_bombs_are_a_plain_error(monkeypatch, tmp_path, save_image, limit):
    path = noise(tmp_path / "a.png", save_image)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1024 * limit // 101)
    with pytest.raises(DataError, match=r"a\.png has more than"):
        narrows.data.open(path)


def test_pages_and_32_bit_pixels_are_rejected(tmp_path):
    page = Image.fromarray(np.zeros((4, 4), np.uint8))
    page.save(tmp_path / "pages.tif", save_all=True, append_images=[page, page])
    with pytest.raises(DataError, match=r"pages\.tif has 3 pages"):
        narrows.data.open(tmp_path / "pages.tif")
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "deep.tif")
    with pytest.raises(DataError, match=r"deep\.tif has 32 bits"):
        narrows.data.open(tmp_path / "deep.tif")


def test_no_images_says_which_endings_are_looked_for(tmp_path):
    (tmp_path / "README.md").write_text("no image")
    for data in (tmp_path, f"{tmp_path}/*", f"{tmp_path}/none/*.png"):
        with pytest.raises(DataNotFoundError, match=r"No images.*\.jpg, \.pgm, \.png"):
            narrows.data.open(data)
