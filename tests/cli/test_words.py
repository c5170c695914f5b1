"""What people read when something is wrong with what they typed, and what is escaped before a terminal shows it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from narrows.data.image_losses import LOSSES
from narrows.errors import LOSS_KINDS
from narrows.io.text import printable

CLEAR = "\x1b[2Jx"
"""A name that clears the screen of a terminal."""


@pytest.fixture
def photos():
    """A folder of two images, one of them with transparent pixels."""
    Path("photos").mkdir()
    Image.fromarray(np.full((8, 8, 2), 128, np.uint8)).save("photos/a.png")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("photos/b.png")
    return "photos"


# ----------------------------------------------------------------------------------------------------- quiet verbs


def test_quiet_verbs_still_warn_of_lost_data_and_of_nothing_else(narrows, model, photos):
    said = narrows("compress", photos, "-m", model, "-o", "x.narrows", "--quiet").stderr
    assert said.startswith("Warning: 1 of 2 images in photos/ (the first is a.png) have transparent pixels.")
    assert said.count("\n") == 1


@pytest.mark.parametrize("verb", ["list", "info", "restore"])
def test_quiet_verbs_tell_that_an_append_is_unfinished(verb, narrows, compressor, archive):
    with Path(archive).open("ab") as file:
        file.write(bytes(2000))  # an append whose first bytes were not written yet
    output = ("-m", compressor, "--only", "5", "-o", "x.npy") if verb == "restore" else ()
    assert "An append to digits.narrows was interrupted" in narrows(verb, archive, *output, "-q").stderr


def test_all_losses_in_reading_images_count_as_lost_data():
    assert set(LOSSES) <= LOSS_KINDS


def test_verify_is_quiet_about_what_is_intact_and_lists_what_is_not(narrows, archive):
    assert narrows("verify", archive, "-q").output == ""
    Path(archive).write_bytes(Path(archive).read_bytes()[:-10])
    assert "is damaged" in narrows("verify", archive, "-q", code=1).stdout


# ---------------------------------------------------------------------------------------------- control characters


@pytest.mark.parametrize("verb", ["info", "verify", "evaluate digits -m", "restore -o x.npy", "train -o m"])
def test_control_characters_of_names_are_escaped_in_errors(verb, narrows):
    verb, *more = verb.split()
    for name in (CLEAR, "a\nError: b", "\x9b2J", "a\u202egnp.exe"):
        said = narrows.fails(verb, *more, name).stderr
        assert said.count("\n") == 1, said
        assert printable(name, lines=False) in said
        assert name not in said


def test_control_characters_are_escaped_in_wrong_usage_in_results_and_in_warnings(narrows, model, archive):
    assert CLEAR not in narrows.fails(CLEAR).stderr
    assert CLEAR not in narrows.fails("info", f"--{CLEAR}").stderr
    assert CLEAR not in narrows.fails("compress", "digits", "-m", model, "-o", f"{CLEAR}.npy").stderr
    Path(archive).rename(CLEAR)
    assert "\\x1b[2Jx" in narrows("info", CLEAR).stdout
    Path("photos").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("photos/a.png")
    Path("photos", f"{CLEAR}.txt").touch()
    said = narrows("evaluate", "photos", "-m", model)
    assert CLEAR not in said.output
    assert "\\x1b[2Jx.txt" in said.stderr


def test_json_keeps_names_with_control_characters_but_escapes_them(narrows, archive):
    name = "\x9b2J\x7f.narrows"
    Path(archive).rename(name)
    text = narrows("info", name, "--json").stdout
    assert name not in text
    assert json.loads(text)["path"] == name


# ------------------------------------------------------------------------------------------------------- arguments


def test_names_that_begin_with_a_dash_are_explained(narrows, model):
    for name in ("-x.npy", "-m.npy"):
        said = narrows.fails("compress", name, "-m", model, "-o", "x.narrows").stderr
        assert f"If '{name}' is the name of a file, write './{name}': names that begin with '-' are taken for" in said
    assert "name of a file" not in narrows.fails("compress", "digits", "-m", model, "--bogus").stderr


def test_files_of_a_pattern_that_the_shell_replaced_are_explained(narrows, model):
    for name in "abc":
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(f"{name}.png")
    said = narrows.fails("evaluate", "a.png", "b.png", "c.png", "-m", model).stderr
    assert "Unexpected argument: 'b.png' and 1 more." in said
    assert "quote the pattern: '*.png'." in said
    assert "pattern" not in narrows.fails("evaluate", "digits", "mnist", "-m", model).stderr


@pytest.mark.parametrize("only", ["-3:", ":-3", "-3", "2:-1"])
def test_negative_numbers_of_records_are_explained(only, narrows, archive):
    said = narrows.fails("restore", archive, "-o", "x.npy", f"--only={only}").stderr
    assert f"Got '{only}'. Numbers count from 0, the first record, and cannot be negative" in said


def test_records_beyond_the_end_are_said_to_be_so(narrows, compressor, archive):
    said = narrows.fails("restore", archive, "-m", compressor, "-o", "x.npy", "--only", "100:1000").stderr
    assert "digits.narrows has 360 records, numbered 0 to 359. Got --only 100:1000." in said
    assert "The STOP must be at most 360; 100: selects all from record 100 on." in said


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        ("train digits -o taken --latent 0", "n_latent"),
        ("train digits -o taken --set bogus=1", "bogus"),
        ("train digits -o taken --limit 0", "limit"),
        ("compress digits -m m -o taken --accept-loss bogus", "bogus"),
        ("compress digits -m m -o taken --max-error lots", "max_error"),
        ("compress digits -m m -o taken --fill-value 1", "fill_value"),
        ("compress digits -m m -o taken --overlap -1", "overlap"),
        ("compress digits -m m -o taken --accept-loss alpha", "accept_loss"),
        ("picture digits -m m -o taken.png --kind filters --tile 3", "--tile"),
        ("picture -m m -o taken.png --kind map", "DATA"),
        ("picture digits -m m -o taken.html --spacing 3", "--spacing"),
        ("picture digits -m m -o taken.png --seed -1", "--seed"),
        ("restore x.narrows -o taken.npy --only 5:2", "--only"),
        ("reconstruct digits -m m -o taken.npy --limit 0", "limit"),
    ],
)
def test_wrong_options_are_found_before_the_output_is_looked_at(arguments, option, narrows):
    for name in ("taken", "taken.png", "taken.html", "taken.npy"):
        Path(name).touch()
    said = narrows(*arguments.split(), code=2).stderr
    assert option in said
    assert "already exists" not in said


def test_a_picture_of_another_ending_names_all_endings(narrows, model):
    said = narrows.fails("picture", "digits", "-m", model, "-o", "p.jpg").stderr
    assert "must be a path that ends in .png, .svg or .pdf, or in .html for a report. Got 'p.jpg'." in said


def test_a_model_cannot_have_the_name_of_another_kind_of_file(narrows):
    said = narrows("train", "digits", "-o", "x.pt", code=2).stderr
    assert "The name of a model must not end in" in said
    assert "'x.safetensors'" in said
