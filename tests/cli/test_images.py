"""What the verbs tell of image files: what reading them loses, and what is passed over."""

import json
import os

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path, digits):
    """A folder of three images of 8×8, one of them animated and one transparent."""
    folder = tmp_path / "photos"
    folder.mkdir()
    frames = [Image.fromarray(pixels) for pixels in digits[0][:3]]
    frames[0].save(folder / "a.png")
    frames[1].save(folder / "b.gif", save_all=True, append_images=frames)
    clear = np.stack([digits[0][2], np.full((8, 8), 9, np.uint8)], -1)
    Image.fromarray(clear).save(folder / "c.png")
    return folder


def found(said):
    return [(one["kind"], one["count"], one["first"]) for one in said["warnings"]]


def test_losses_are_told_in_a_line_each_and_in_json(narrows, model, photos):
    (photos / "d.heic").write_bytes(b"something")
    lines = narrows("evaluate", "photos", "-m", model).stderr.splitlines()
    assert [line for line in lines if "PCA" not in line] == [
        "Warning: 1 file in photos/ was skipped, since its extension is not that of an image (d.heic).",
        "Warning: 1 of 3 images in photos/ (the first is b.gif) have more than one frame or picture: "
        "only the first of them is read.",
        "Warning: 1 of 3 images in photos/ (the first is c.png) have transparent pixels. They were blended with "
        "white, since records cannot store transparency.",
    ]
    expected = [("passed-over", 1, "d.heic"), ("frames", 1, "b.gif"), ("alpha", 1, "c.png")]
    for verb in ("evaluate", "compress", "reconstruct", "encode"):
        output = () if verb == "evaluate" else ("-o", f"{verb}.{'narrows' if verb == 'compress' else 'npy'}")
        said = narrows(verb, "photos", "-m", model, *output, "--quiet", "--json")
        told = [line for line in said.stderr.splitlines() if "unlike the training data" not in line]
        assert told == [line for line in lines if "PCA" not in line]
        assert found(json.loads(said.stdout))[:3] == expected, verb
    said = narrows.json("train", "photos", "-o", "m.safetensors", "--epochs", "1", "--quiet")
    assert found(said)[:3] == expected


def test_lossless_refuses_losses_until_they_are_accepted(narrows, model, photos):
    compress = ("compress", "photos", "-m", model, "-o", "x.narrows", "--lossless")
    refused = narrows(*compress, code=1).stderr
    assert "photos/ cannot be restored losslessly" in refused
    assert "--accept-loss frames,alpha " in refused
    assert "--accept-loss frames,alpha " in narrows(*compress, "--accept-loss", "frames", code=1).stderr
    said = narrows.json(*compress, "--accept-loss", "alpha, frames")
    assert (said["max_error"], found(said)) == (0, [("frames", 1, "b.gif"), ("alpha", 1, "c.png")])
    appended = narrows("compress", "photos", "-m", model, "-o", "x.narrows", "--append", code=1).stderr
    assert "--accept-loss frames,alpha " in appended, "the archive is lossless"


def test_accept_loss_takes_known_kinds_and_is_for_lossless(narrows, model, photos):
    compress = ("compress", "photos", "-m", model, "-o", "x.narrows", "--accept-loss")
    assert "Did you mean 'frames'?" in narrows(*compress, "frame", "--lossless", code=2).stderr
    assert "'accept_loss' is for lossless archives" in narrows(*compress, "frames", code=2).stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.timeout(60)
def test_a_named_pipe_is_passed_over(narrows, model, photos):
    os.mkfifo(photos / "x.png")
    said = narrows.json("evaluate", "photos", "-m", model, "--quiet")
    assert found(said)[0] == ("no-file", 1, "x.png")


def test_colours_of_48_bits_are_restored_as_they_were(narrows, tmp_path):
    import narrows as package

    pixels = np.random.default_rng(0).integers(0, 65536, (12, 8, 8, 3), dtype=np.uint16)
    package.data.write(tmp_path / "deep", pixels)
    narrows("train", "deep", "-o", "m.safetensors", "--epochs", "1", "--quiet")
    narrows("compress", "deep", "-m", "m.safetensors", "-o", "x.narrows", "--lossless", "--quiet")
    narrows("restore", "x.narrows", "-m", "m.safetensors", "-o", "back/")
    source = package.data.open("back/")
    np.testing.assert_array_equal(source.values, pixels)
    assert source.files[0] == "000000.png"
    assert (tmp_path / "back" / "000000.png").read_bytes()[24:26] == bytes([16, 2]), "16 bits, RGB"


def test_names_that_collide_are_told_in_json(narrows, model, tmp_path, digits):
    folder = tmp_path / "scans"
    folder.mkdir()
    for name, pixels in zip(("im1.png", "im2.png", "im2.bmp"), digits[0], strict=False):
        Image.fromarray(pixels).save(folder / name)
    narrows("compress", "scans", "-m", model, "-o", "x.narrows", "--quiet")
    said = narrows("restore", "x.narrows", "-m", model, "-o", "back/")
    assert said.stderr.startswith("Warning: 2 of 3 images would have the name of another one with the ending .png")
    said = narrows.json("restore", "x.narrows", "-m", model, "-o", "again/", "--quiet")
    assert found(said) == [("names", 2, "im2.bmp")]
    assert {file.name for file in (tmp_path / "back").iterdir()} == {"im1.png", "im2.png.png", "im2.bmp.png"}


@pytest.fixture
def colour_model(narrows, tmp_path, digits):
    np.save("colour.npy", np.stack([digits[0][:60], digits[0][1:61], digits[0][2:62]], -1))
    narrows("train", "colour.npy", "-o", "colour.safetensors", "--epochs", "1", "--quiet")
    return "colour.safetensors"


def test_every_verb_takes_a_grey_folder_for_a_colour_model(narrows, colour_model, tmp_path, digits):
    import narrows as package

    package.data.write(tmp_path / "grey", digits[0][:4])
    for verb, *more in (
        ("evaluate",),
        ("compress", "-o", "x.narrows", "--lossless"),
        ("reconstruct", "-o", "back/"),
        ("encode", "-o", "z.npy"),
        ("denoise", "-o", "clean/"),
        ("denoise", "--demo-noise", "0.2", "-o", "noise.png", "-n", "2"),
        ("picture", "-o", "picture.png", "-n", "2"),
        ("picture", "-o", "report.html", "-n", "2"),
    ):
        narrows(verb, "grey", "-m", colour_model, *more, "--quiet")
    narrows("generate", "-m", colour_model, "--traverse", "grey/000000.png", "-n", "2", "-o", "t.png")
    narrows("restore", "x.narrows", "-m", colour_model, "-o", "restored/")
    restored = package.data.open("restored/").values
    np.testing.assert_array_equal(restored, np.repeat(digits[0][:4, ..., None], 3, -1))


def test_colour_for_a_grey_model_is_refused_with_the_option_that_converts(narrows, model, tmp_path, digits):
    import narrows as package

    package.data.write(tmp_path / "colour", np.repeat(digits[0][:4, ..., None], 3, -1))
    for verb, *more in (("evaluate",), ("compress", "-o", "x.narrows"), ("encode", "-o", "z.npy")):
        command = (verb, "colour", "-m", model, *more)
        assert "with --convert grey " in narrows(*command, code=1).stderr
        narrows(*command, "--convert", "grey")
    np.save("small.npy", np.zeros((2, 5, 5), np.uint8))
    package.data.write(tmp_path / "small", np.zeros((2, 5, 5), np.uint8))
    assert "with --resize 8x8 " in narrows("evaluate", "small", "-m", model, code=1).stderr
    assert "--resize" not in narrows("evaluate", "small.npy", "-m", model, code=1).stderr
    wrong = narrows("evaluate", "colour", "-m", model, "--convert", "black", code=2).stderr
    assert "'convert' must be one of 'grey', 'colour'" in wrong
