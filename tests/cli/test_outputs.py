"""No verb overwrites what it reads, whatever the output and the input are called."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from narrows.cli import main
from narrows.cli.classify import classify
from narrows.cli.outputs import READS, READS_PIPE, WRITES, WRITES_PIPE, Verb

PATHS = {"--labels", "--test-labels", "--plan", "--test", "-m", "-i", "--valid", "--train", "--between", "--traverse"}
PATHS |= {"data", "queries", "archive", "file", "codes", "model", "parts"}
OUTPUTS = {"-o", "--per-record", "--picture", "--save"}
VERBS = {name: main.get_command(None, name) for name in main.list_commands(None) if name != "classify"}
VERBS |= {f"classify {name}": classify.get_command(None, name) for name in classify.list_commands(None)}


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_the_check_and_says_which_parameters_are_paths(name):
    verb = VERBS[name]
    assert isinstance(verb, Verb)
    for kind in verb.params:
        assert (kind.type in {WRITES, WRITES_PIPE}) == bool(OUTPUTS & set(kind.opts)), kind.opts
        assert (kind.type in {READS, READS_PIPE}) == bool(PATHS & set(kind.opts)), kind.opts


@pytest.fixture
def scans(digits):
    """A folder of PNG images of digits, with a sub-folder."""
    Path("scans/more").mkdir(parents=True)
    for i, image in enumerate(digits[1][:6]):
        Image.fromarray(image).save(f"scans/{'more/' if i > 3 else ''}{i}.png")
    return {path: path.read_bytes() for path in Path("scans").rglob("*.png")}


@pytest.fixture
def array(digits):
    np.save("x.npy", digits[1][:20])
    os.link("x.npy", "hard.npy")
    os.symlink("x.npy", "soft.npy")
    return Path("x.npy").read_bytes()


@pytest.mark.parametrize(
    "arguments",
    [
        "denoise scans/ -m MODEL -o scans/",
        "denoise scans -m MODEL -o ./scans/../scans",
        "reconstruct scans/ -m MODEL -o scans/more",
        "reconstruct scans/*.png -m MODEL -o scans/",
        "reconstruct scans/**/*.png -m MODEL -o scans/more",
        "reconstruct scans/more -m MODEL -o scans",
        "reconstruct scans/0.png -m MODEL -o scans",
        "picture scans/0.png -m MODEL -o scans/0.png",
        "picture scans -m MODEL -o scans/more/4.png",
        "generate -m MODEL --between scans/0.png scans/1.png -o scans/1.png",
        "train scans -o scans/0.png",
    ],
)
def test_images_that_are_read_are_not_replaced(narrows, model, scans, arguments):
    refused = narrows(*arguments.replace("MODEL", model).split(), "--force", code=2).stderr
    assert "Give another" in refused
    assert {path: path.read_bytes() for path in Path("scans").rglob("*.png")} == scans


@pytest.mark.parametrize(
    "arguments",
    [
        "encode x.npy -m MODEL -o x.npy",
        "encode x.npy -m MODEL -o ./x.npy",
        "encode x.npy -m MODEL -o hard.npy",
        "encode soft.npy -m MODEL -o x.npy",
        "encode x.npy -m MODEL -o soft.npy",
        "encode x.npy -m MODEL -o MODEL",
        "decode x.npy -m MODEL -o x.npy",
        "denoise x.npy -m MODEL -o x.npy",
        "reconstruct x.npy -m MODEL -o x.npy",
        "compress x.npy -m MODEL -o x.npy",
        "train x.npy -o x.npy",
        "train digits --valid x.npy -o x.npy",
        "generate -m MODEL --between digits#0 x.npy#1 -o x.npy",
        "generate -m MODEL --traverse x.npy#1 -o x.npy",
        "generate -m MODEL -o MODEL",
        "picture x.npy -m MODEL -o MODEL",
    ],
)
def test_arrays_and_models_that_are_read_are_not_replaced(narrows, model, array, arguments):
    before = Path(model).read_bytes()
    refused = narrows(*arguments.replace("MODEL", model).split(), "--force", code=2).stderr
    assert "is also an input" in refused
    assert Path("x.npy").read_bytes() == array
    assert Path(model).read_bytes() == before


def test_other_files_beside_inputs_are_replaced(narrows, model, scans, array):
    narrows("reconstruct", "x.npy", "-m", model, "-o", "scans", "--force")  # the array is not in the folder
    narrows("encode", "scans", "-m", model, "-o", "scans/codes.npy")
    narrows("encode", "scans", "-m", model, "-o", "scans/codes.npy", "--force")
    assert np.load("scans/codes.npy").shape == (26, 4)


def test_a_file_with_the_name_of_a_data_set_is_no_input(narrows):
    Path("digits").write_text("something else")
    narrows("train", "digits", "--epochs", "1", "-o", "digits", "--force")
    assert Path("digits").stat().st_size > 1000


def test_restored_images_do_not_overwrite_the_images_that_were_compressed(narrows, model, rng):
    Path("photos/sub").mkdir(parents=True)
    for name in ("a.png", "sub/b.png"):
        Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(f"photos/{name}")
        os.utime(f"photos/{name}", (1e9, 1e9))
    before = [path.read_bytes() for path in sorted(Path("photos").rglob("*.png"))]
    narrows("compress", "photos", "-m", model, "-o", "x.narrows", "-q")
    said = narrows("restore", "x.narrows", "-m", model, "-o", "photos", "--force", code=2).stderr
    assert "The output 'photos' contains 'a.png', which is older than x.narrows and may be the image" in said
    one = ("restore", "x.narrows", "-m", model, "-o", "photos", "--force", "--only", "1")
    assert "'sub/b.png'" in narrows(*one, code=2).stderr
    assert [path.read_bytes() for path in sorted(Path("photos").rglob("*.png"))] == before
    for _ in range(2):  # what was restored may be replaced
        narrows("restore", "x.narrows", "-m", model, "-o", "back", "--force")
