"""``narrows restore``: the same bytes everywhere, only what is asked for, in the kind of file that the name says."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import narrows as package


@pytest.fixture
def model(compressor):
    return compressor


@pytest.fixture
def whole(narrows, model, archive):
    """All records of the archive."""
    narrows("restore", archive, "-m", model, "-o", "whole.npy")
    return np.load("whole.npy")


def test_restore_writes_the_records_and_says_so(narrows, model, archive, digits):
    said = narrows("restore", archive, "-m", model, "-o", "back.npy")
    assert said.stdout == "back.npy  360 records of 8×8 uint8\n"
    assert said.stderr == ""
    back = np.load("back.npy")
    assert (back.shape, back.dtype) == ((360, 8, 8), np.uint8)
    assert np.mean((back.astype(float) - digits[1]) ** 2) < np.var(digits[1])


def test_json_says_what_was_written(narrows, model, archive):
    said = narrows.json("restore", archive, "-m", model, "-o", "back.npy", "--only", "4:7")
    assert said == {"path": "back.npy", "records": 3, "shape": [8, 8], "dtype": "uint8", "warnings": []}


def test_another_process_restores_the_same_bytes_without_pytorch(model, archive, whole):
    script = f"""
import json, sys
from narrows.cli import main
main(["restore", "{archive}", "-m", "{model}", "-o", "again.npy", "--json"], standalone_mode=False)
print(json.dumps([name for name in ("torch", "sklearn", "matplotlib", "rich", "PIL") if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    assert Path("again.npy").read_bytes() == Path("whole.npy").read_bytes()


# -------------------------------------------------------------------------------------------------------------- only


@pytest.mark.parametrize(
    ("only", "start", "stop"),
    [("100:200", 100, 200), (":50", 0, 50), ("300:", 300, 360), ("7", 7, 8), ("359", 359, 360), (":", 0, 360)],
)
def test_only_some_records_are_those_records(only, start, stop, narrows, model, archive, whole):
    narrows("restore", archive, "-m", model, "-o", "some.npy", "--only", only)
    assert np.array_equal(np.load("some.npy"), whole[start:stop])


@pytest.mark.parametrize("only", ["300:361", "360", "1000:", ":9999"])
def test_records_that_are_not_there_are_refused_with_how_many_there_are(only, narrows, model, archive):
    refused = narrows("restore", archive, "-m", model, "-o", "some.npy", "--only", only, code=2)
    hints = {
        "300:361": " The STOP must be at most 360; 300: selects all from record 300 on.",
        ":9999": " The STOP must be at most 360; 0: selects all from record 0 on.",
    }
    hint = hints.get(only, "")
    assert refused.stderr == f"Error: {archive} has 360 records, numbered 0 to 359. Got --only {only}.{hint}\n"
    assert not Path("some.npy").exists()


@pytest.mark.parametrize("only", ["", "a", "-7", "1:2:3", "1.5", "5:-1", "٣"])
def test_what_is_no_range_is_refused_with_what_is(only, narrows, model, archive):
    refused = narrows("restore", archive, "-m", model, "-o", "some.npy", "--only", only, code=2).stderr
    assert "--only takes numbers from 0, ranges START:STOP (STOP excluded) and names shown by `narrows list`" in refused


@pytest.mark.parametrize("only", ["5:5", "9:3", ":0"])
def test_a_range_of_no_records_is_refused(only, narrows, model, archive):
    refused = narrows("restore", archive, "-m", model, "-o", "some.npy", "--only", only, code=2).stderr
    assert "The STOP of --only must be above START" in refused


def test_damage_elsewhere_does_not_keep_records_from_being_restored(narrows, model, archive, whole):
    end_of_first_chunk = len(Path(archive).read_bytes())
    narrows("compress", "digits:train", "-m", model, "-o", archive, "--append", "--quiet")
    data = bytearray(Path(archive).read_bytes())
    data[end_of_first_chunk + 500] ^= 1
    Path(archive).write_bytes(data)
    narrows("restore", archive, "-m", model, "-o", "some.npy", "--only", ":360")
    assert np.array_equal(np.load("some.npy"), whole)
    damaged = narrows("restore", archive, "-m", model, "-o", "all.npy", code=1).stderr
    assert "is damaged: the chunk of records 360 to 1,796" in damaged
    assert not Path("all.npy").exists()


@pytest.mark.parametrize(
    ("only", "numbers"),
    [("5,9,17", [5, 9, 17]), ("17, 5", [17, 5]), ("300,0:3,:2", [300, 0, 1, 2]), ("357:,1", [357, 358, 359, 1])],
)
def test_several_records_come_in_the_order_in_which_they_are_given(only, numbers, narrows, model, archive, whole):
    narrows("restore", archive, "-m", model, "-o", "some.npy", "--only", only)
    assert np.array_equal(np.load("some.npy"), whole[numbers])


@pytest.mark.parametrize("only", ["1,,2", "1,", ",1"])
def test_an_empty_part_of_a_list_is_refused(only, narrows, model, archive):
    refused = narrows("restore", archive, "-m", model, "-o", "some.npy", "--only", only, code=2).stderr
    assert "separated by commas, for example" in refused


@pytest.mark.skipif(sys.platform != "linux", reason="a device")
def test_a_device_is_not_called_a_file(narrows, model, archive):
    said = narrows("restore", archive, "-m", model, "-o", "/dev/null", "--force", code=1).stderr
    assert "The output '/dev/null' is a device or another special file" in said
    Path("taken").touch()
    assert "The output 'taken' is a file" in narrows("restore", archive, "-m", model, "-o", "taken", code=1).stderr


# -------------------------------------------------------------------------------------------------------------- names


@pytest.fixture
def folder(digits):
    """Return a folder of images, of which two would have the same name with the ending .png."""
    for name, pixels in zip(("a.png", "a.bmp", "cats/b,c.png"), digits[1].astype(np.uint8), strict=False):
        Path("in", name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(Path("in", name))
    return "in"


def restored_names(narrows, model, *more):
    narrows("restore", "x.narrows", "-m", model, "-o", "back/", *more)
    found = sorted(str(path.relative_to("back")) for path in Path("back").rglob("*.png"))
    shutil.rmtree("back")
    return found


def test_records_are_chosen_by_the_names_that_list_shows(narrows, model, folder):
    narrows("compress", folder, "-m", model, "-o", "x.narrows", "-q")
    listed = narrows.json("list", "x.narrows")["records"]
    assert [one["index"] for one in listed] == [0, 1, 2]
    assert narrows("list", "x.narrows").stdout.splitlines() == [f"{one['index']}  {one['name']}" for one in listed]
    whole = narrows("restore", "x.narrows", "-m", model, "-o", "all.npy") and np.load("all.npy")
    for one in listed:
        narrows("restore", "x.narrows", "-m", model, "-o", "one.npy", "--only", one["name"], "--force")
        assert np.array_equal(np.load("one.npy"), whole[[one["index"]]])
    refused = narrows("restore", "x.narrows", "-m", model, "-o", "no.npy", "--only", "z.png", code=2).stderr
    assert "x.narrows has no record named 'z.png'" in refused


def test_an_archive_without_names_says_how_many_records_it_has(narrows, archive):
    assert "360 records without names, numbered 0 to 359" in narrows("list", archive).stdout
    assert narrows.json("list", archive)["records"][7] == {"index": 7, "name": None}


def test_files_have_the_same_names_whichever_records_are_restored(narrows, model, archive, folder):
    narrows("compress", folder, "-m", model, "-o", "x.narrows", "-q")
    whole = restored_names(narrows, model)
    assert whole == ["a.bmp.png", "a.png.png", "cats/b,c.png"]
    assert sorted(restored_names(narrows, model, "--only", str(i))[0] for i in range(3)) == whole
    shutil.copy(archive, "x.narrows")
    assert restored_names(narrows, model, "--only", "7,20:22") == ["000007.png", "000020.png", "000021.png"]


def test_names_that_are_appended_again_are_told_and_numbered(narrows, model, folder):
    narrows("compress", folder, "-m", model, "-o", "x.narrows", "-q")
    told = narrows("compress", folder, "-m", model, "-o", "x.narrows", "--append").stderr
    assert "3 of the 3 appended records have names that already exist in x.narrows (the first is a.bmp)" in told
    assert "when a folder is restored, the later files get a number" in told
    whole = restored_names(narrows, model)
    assert whole == ["a-2.bmp.png", "a-2.png.png", "a.bmp.png", "a.png.png", "cats/b,c-2.png", "cats/b,c.png"]
    assert sorted(restored_names(narrows, model, "--only", str(i))[0] for i in range(6)) == whole
    narrows("restore", "x.narrows", "-m", model, "-o", "both.npy", "--only", "cats/b,c.png")
    both = np.load("both.npy")
    assert len(both) == 2
    assert np.array_equal(both[0], both[1])


def test_names_with_commas_are_chosen_beside_others(narrows, model, folder):
    narrows("compress", folder, "-m", model, "-o", "x.narrows", "-q")
    restore = ("restore", "x.narrows", "-m", model, "-o", "some.npy", "--force")
    whole = narrows(*restore) and np.load("some.npy")
    narrows(*restore, "--only", "cats/b,c.png", "--only", "a.png,0")
    assert np.array_equal(np.load("some.npy"), whole[[2, 1, 0]])
    said = narrows(*restore, "--only", "0,cats/b,c.png", code=2).stderr
    assert "no record named 'cats/b'" in said
    assert "Give a name with a comma in an --only of its own, or use the record's number." in said


def test_only_the_names_of_written_files_are_told(narrows, model, folder):
    narrows("compress", folder, "-m", model, "-o", "x.narrows", "-q")
    narrows("compress", folder, "-m", model, "-o", "x.narrows", "-q", "--append")
    assert narrows("restore", "x.narrows", "-m", model, "-o", "first/", "--only", "2").stderr == ""
    told = narrows("restore", "x.narrows", "-m", model, "-o", "last/", "--only", "2,5").stderr
    assert "1 of 2 images have the same name as an earlier image" in told
    assert narrows("restore", "x.narrows", "-m", model, "-o", "whole/").stderr.count("3 of 6 images") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="file systems with names of any bytes")
def test_names_that_are_not_plain_text_are_shown_in_a_form_that_only_takes(narrows, model, digits):
    names = [b"a\nb.png", b"b\xffc.png", "é.png".encode(), b"x\x1b[2J.png"]
    Path("in").mkdir()
    for name, pixels in zip(names, digits[1].astype(np.uint8), strict=False):
        Image.fromarray(pixels).save(Path("in", os.fsdecode(name)))
    narrows("compress", "in", "-m", model, "-o", "x.narrows", "-q")
    shown = [line.split("  ", 1)[1] for line in narrows("list", "x.narrows").stdout.splitlines()]
    assert shown == [r"a\nb.png", r"b\udcffc.png", r"x\x1b[2J.png", "é.png"]
    listed = [one["name"] for one in narrows.json("list", "x.narrows")["records"]]
    assert sorted(map(os.fsencode, listed)) == sorted(names)
    restore = ("restore", "x.narrows", "-m", model, "-o", "one.npy", "--force")
    whole = narrows(*restore) and np.load("one.npy")
    for number, forms in enumerate(zip(shown, listed, strict=True)):
        for form in forms:
            narrows(*restore, "--only", form)
            assert np.array_equal(np.load("one.npy"), whole[[number]]), form


# ------------------------------------------------------------------------------------------------------------ outputs


def test_the_name_of_the_output_says_what_is_written(narrows, model, archive, whole):
    for name in ("back.idx", "t10k-images-idx3-ubyte", "back.idx.gz"):
        narrows("restore", archive, "-m", model, "-o", name)
        assert np.array_equal(package.data.open(name).values, whole)
    assert gzip.decompress(Path("back.idx.gz").read_bytes()) == Path("back.idx").read_bytes()
    narrows("restore", archive, "-m", model, "-o", "images", "--only", ":3")
    assert sorted(path.name for path in Path("images").iterdir()) == ["000000.png", "000001.png", "000002.png"]
    assert np.array_equal(np.asarray(Image.open("images/000002.png")), whole[2])
    assert "ends in .npy" in narrows("restore", archive, "-m", model, "-o", "back.tsv", code=2).stderr


def test_force_writes_over_files_of_the_same_names_in_a_folder_and_leaves_others(narrows, model, archive):
    for only in ("0:2", "0:3"):
        restore = ("restore", archive, "-m", model, "-o", "back/", "--only", only)
        if only == "0:3":
            assert "to replace files of the same names; other files are kept." in narrows(*restore, code=1).stderr
        narrows(*restore, "--force")
    assert sorted(path.name for path in Path("back").iterdir()) == ["000000.png", "000001.png", "000002.png"]
    Path("back/mine.png").write_bytes(b"mine")
    narrows(*restore, "--force")
    assert Path("back/mine.png").read_bytes() == b"mine"
    assert "it replaces files of the same names and keeps other files" in " ".join(
        narrows("restore", "--help").stdout.split()
    )


def test_outputs_are_replaced_only_by_force_and_refused_before_anything_is_read(narrows, model, archive):
    Path("back.npy").write_bytes(b"mine")
    assert "already exists" in narrows("restore", "no-such.narrows", "-o", "back.npy", code=1).stderr
    assert Path("back.npy").read_bytes() == b"mine"
    narrows("restore", archive, "-m", model, "-o", "back.npy", "--force")
    assert len(np.load("back.npy")) == 360
    assert (
        "does not exist. Create it first" in narrows("restore", "no-such.narrows", "-o", "nowhere/x.npy", code=1).stderr
    )


def test_the_archive_is_never_replaced_by_what_is_in_it(narrows, model, archive):
    Path(archive).rename("digits.npy")
    before = Path("digits.npy").read_bytes()
    refused = narrows("restore", "digits.npy", "-m", model, "-o", "digits.npy", "--force", code=2).stderr
    assert "is also an input" in refused
    assert Path("digits.npy").read_bytes() == before


# ------------------------------------------------------------------------------------------------------------- models


def test_an_archive_without_its_model_says_which_one_it_needs(narrows, archive):
    refused = narrows("restore", archive, "-o", "back.npy", code=1).stderr
    assert "does not contain its model" in refused
    assert "--model" in refused


def test_another_model_is_refused(narrows, archive, denoising_model):
    refused = narrows("restore", archive, "-m", denoising_model, "-o", "back.npy", code=1).stderr
    assert f"{archive} was written with the model" in refused
    assert not Path("back.npy").exists()


def test_what_is_no_archive_or_no_model_is_said_to_be_none(narrows, model, archive):
    assert "There is no file x.narrows" in narrows("restore", "x.narrows", "-o", "x.npy", code=1).stderr
    assert model in narrows("restore", model, "-o", "x.npy", code=1).stderr
    assert "not a safetensors file" in narrows("restore", archive, "-m", archive, "-o", "x.npy", code=1).stderr
    assert list(Path().glob("*.npy")) == []
