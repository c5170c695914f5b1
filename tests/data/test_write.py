import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import narrows.data
from narrows.data.formats import Npz, RecordStream
from narrows.data.writing import check_target
from narrows.errors import DataError, DataNotFoundError, InvalidParameterError, OutputError, OutputExistsError


def test_an_array_comes_back(tmp_path):
    x = np.arange(6, dtype=np.float16).reshape(3, 2)
    path = narrows.data.write(tmp_path / "x.npy", x)
    np.testing.assert_array_equal(np.load(path), x)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((5, 6, 4), np.uint8), ((5, 6, 4, 3), np.uint8), ((5, 6, 4), np.uint16)], ids=str
)
@pytest.mark.parametrize("ending", ["", "/", ".v2/"])
def test_images_come_back(tmp_path, shape, dtype, ending):
    x = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    path = narrows.data.write(f"{tmp_path}/images{ending}", x)
    source = narrows.data.open(path)
    np.testing.assert_array_equal(source.values, x)
    assert source.dtype == dtype
    assert source.files[0] == "000000.png"


def test_images_keep_their_names(tmp_path, grey):
    narrows.data.write(tmp_path / "a", grey[:2], files=("cat/1.jpg", "dog/2.png"))
    assert narrows.data.open(tmp_path / "a").files == ("cat/1.png", "dog/2.png")
    with pytest.warns(
        narrows.data.DataWarning, match=r"2 of 3 images .*: 1\.jpg is written as 1\.jpg\.png\."
    ) as caught:
        narrows.data.write(tmp_path / "b", grey[:3], files=("1.jpg", "2.jpg", "1.png"))
    assert narrows.data.open(tmp_path / "b").files == ("1.jpg.png", "1.png.png", "2.png")
    (one,) = caught
    assert (one.message.kind, one.message.count, one.message.first) == ("names", 2, "1.jpg")


@pytest.mark.parametrize(
    ("files", "written"),
    [
        (("a.png", "a.bmp", "a.bmp.gif"), ("a.png.png", "a.bmp.png", "a.bmp.gif.png")),  # a.bmp.png collides again
        (("a.jpg", "a.tif", "b.jpg", "b/a.jpg"), ("a.jpg.png", "a.tif.png", "b.png", "b/a.png")),
        (("a.jpg", "a.png/b.jpg"), ("a.jpg.png", "a.png/b.png")),  # a.png is a folder
        (("000001.jpg", "000001.png"), ("000001.jpg.png", "000001.png.png")),
    ],
)
@pytest.mark.filterwarnings("ignore::narrows.errors.DataWarning")
def test_only_names_that_collide_keep_their_ending(tmp_path, grey, files, written):
    narrows.data.write(tmp_path / "a", grey[: len(files)], files=files)
    source = narrows.data.open(tmp_path / "a")
    assert set(source.files) == set(written)
    pixels = dict(zip(source.files, source.values, strict=True))
    for name, image in zip(written, grey, strict=False):
        np.testing.assert_array_equal(pixels[name], image)


@pytest.mark.parametrize("letter", ["a", "ö", "日"])
def test_names_of_nearly_255_bytes_are_written(tmp_path, grey, letter):
    stem = letter * (250 // len(letter.encode()))
    usual, long = f"{stem}.bmp", letter * 255
    narrows.data.write(tmp_path / "a", grey[:1], files=(usual,))
    assert narrows.data.open(tmp_path / "a").files == (f"{stem}.png",)
    files = (usual, f"{stem}.png", f"{long}/1.jpg", f"{long}/2.jpg", f"{stem}{stem}")
    with pytest.warns(narrows.data.DataWarning) as caught:
        narrows.data.write(tmp_path / "b", grey, files=files)
    found = narrows.data.open(tmp_path / "b")
    assert len(found) == 5
    assert {image.tobytes() for image in found.values} == {image.tobytes() for image in grey}
    assert all(len(part.encode()) <= 255 for file in found.files for part in file.split("/"))
    assert len({file.split("/")[0] for file in found.files if "/" in file}) == 1, "one folder remains one folder"
    told = [(one.message.kind, one.message.first) for one in caught]
    assert told == [("names", usual), ("names", usual)], "with their own ending, and shorter"


TELLS_CASE = not Path(__file__.swapcase()).exists()


@pytest.mark.filterwarnings("ignore::narrows.errors.DataWarning")
@pytest.mark.skipif(not TELLS_CASE, reason="upper and lower case are the same here")
@pytest.mark.parametrize(
    ("files", "written"),
    [
        (("A.png", "a.png"), {"A.png", "a.png"}),
        (("A.jpg", "a.jpg"), {"A.png", "a.png"}),
        (("x/a.png", "X/a.png"), {"x/a.png", "X/a.png"}),
        (("A.png", "a.png", "a.jpg"), {"A.png.png", "a.png.png", "a.jpg.png"}),
        (("A.png", "a.jpg"), {"A.png.png", "a.jpg.png"}),
    ],
)
def test_names_that_differ_in_case_alone(tmp_path, grey, files, written):
    narrows.data.write(tmp_path / "a", grey[: len(files)], files=files)
    source = narrows.data.open(tmp_path / "a")
    assert set(source.files) == written
    assert {image.tobytes() for image in source.values} == {image.tobytes() for image in grey[: len(files)]}


@pytest.mark.filterwarnings("ignore::narrows.errors.DataWarning")
def test_names_that_would_be_one_file_where_case_is_the_same(tmp_path, monkeypatch, grey):
    monkeypatch.setattr("narrows.data.image_writer._tells_case", lambda _: False)
    with pytest.raises(InvalidParameterError, match=r"'b/A\.png' and 'b/a\.png' would be the same file.*\.npy"):
        narrows.data.write(tmp_path / "a", grey[:3], files=("c.png", "b/A.png", "b/a.png"))
    assert not list(tmp_path.iterdir())
    narrows.data.write(tmp_path / "a", grey[:2], files=("A.png", "a.jpg"))
    assert narrows.data.open(tmp_path / "a").files == ("a.jpg.png", "A.png.png")


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a/../../x.png", "C:/x.png", "a\\..\\x.png", ""])
def test_names_stay_inside_the_folder(tmp_path, grey, name):
    with pytest.raises(InvalidParameterError, match="inside the folder"):
        narrows.data.write(tmp_path / "a", grey[:1], files=(name,))
    assert not list(tmp_path.iterdir())


def test_files_must_fit(tmp_path, grey):
    with pytest.raises(InvalidParameterError, match=r"5 names, one for each record\. Got 1"):
        narrows.data.write(tmp_path / "a", grey, files=("a.png",))
    for files in (("a.png", "b.png", "a.png"), ("a/b.png", "c.png", "a//b.png")):
        with pytest.raises(InvalidParameterError, match=r"names\. Got '(a|a/b)\.png' more than once.*\.npy"):
            narrows.data.write(tmp_path / "a", grey[:3], files=files)
    with pytest.raises(InvalidParameterError, match="a folder of images"):
        narrows.data.write(tmp_path / "a.npy", grey[:1], files=("a.png",))


@pytest.mark.parametrize("name", ["x.npy", "folder/"])
def test_nothing_is_overwritten_unasked(tmp_path, grey, name):
    path = narrows.data.write(f"{tmp_path}/{name}", grey)
    with pytest.raises(OutputExistsError, match="already exists"):
        narrows.data.write(f"{tmp_path}/{name}", grey[:2])
    narrows.data.write(f"{tmp_path}/{name}", 255 - grey, force=True)
    np.testing.assert_array_equal(narrows.data.open(path).values, 255 - grey)


def test_a_folder_never_replaces_a_file(tmp_path, grey):
    (tmp_path / "x").write_text("mine")
    with pytest.raises(OutputExistsError, match="is a file"):
        narrows.data.write(tmp_path / "x", grey, force=True)


@pytest.mark.parametrize("name", ["x.jpg", "x.tsv", "x.npz", ""])
def test_other_endings_are_rejected(tmp_path, monkeypatch, grey, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidParameterError, match=r"ends in / .*\.npy.*idx"):
        narrows.data.write(name, grey)


@pytest.mark.parametrize("x", [np.ones((2, 3)), np.ones((2, 3, 3)), np.ones((2, 3, 3, 4), np.uint8)])
def test_what_is_no_image_is_sent_to_npy(tmp_path, x):
    with pytest.raises(DataError, match=r"Write them to a \.npy"):
        narrows.data.write(tmp_path / "a", x)


def test_nothing_half_written_is_left(tmp_path, monkeypatch, grey):
    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("narrows.data.numpy_files.write_npy", full)
    monkeypatch.setattr("narrows.data.image_writer.write_png", full)
    for name in ("x.npy", "folder"):
        with pytest.raises(OSError, match="no space"):
            narrows.data.write(tmp_path / name, grey)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x.npy", "folder/"])
def test_a_missing_folder_is_refused_and_not_made(tmp_path, grey, name):
    with pytest.raises(DataNotFoundError, match=r"The folder '.*new' of the output .* does not exist"):
        narrows.data.write(f"{tmp_path}/new/{name}", grey)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x.npy", "folder/"])
def test_a_folder_without_permission_is_refused_before_work(tmp_path, monkeypatch, name):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="No permission to write to the folder"):
        check_target(f"{tmp_path}/{name}")


def test_a_tilde_without_a_home_is_a_name(tmp_path, monkeypatch, grey):
    monkeypatch.chdir(tmp_path)
    Path("~x").mkdir()
    narrows.data.write("~x/a.npy", grey)
    assert narrows.data.open("~x/a.npy").n_records == len(grey)
    assert Path("~x", "a.npy").is_file()


def test_a_short_write_of_numpy_names_the_output(tmp_path, monkeypatch, grey):
    def short(*_, **__):
        raise OSError("70000 requested and 51168 written")

    monkeypatch.setattr("narrows.data.numpy_files.write_npy", short)
    with pytest.raises(OutputError, match=r"x\.npy' could not be written: .*the disk may be full"):
        narrows.data.write(tmp_path / "x.npy", grey)


def test_images_can_be_written_into_the_folder_one_is_in(tmp_path, monkeypatch, grey):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    narrows.data.write("./", grey)
    assert narrows.data.open("./").n_records == len(grey)


@pytest.mark.parametrize("name", ["x.npy", "x.idx", "folder/"])
def test_a_tilde_is_the_home(tmp_path, monkeypatch, grey, name):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    narrows.data.write(f"~/{name}", grey)
    np.testing.assert_array_equal(narrows.data.open(f"{tmp_path}/{name}").values, grey)


def test_a_folder_with_the_name_of_a_file_is_not_written_into(tmp_path, grey):
    (tmp_path / "x.npy").mkdir()
    with pytest.raises(InvalidParameterError, match=r"x\.npy' is a folder"):
        narrows.data.write(tmp_path / "x.npy", grey)


def test_masks_are_not_lost(tmp_path):
    masked = np.ma.masked_greater(np.arange(6.0).reshape(3, 2), 4)
    for refuse in (narrows.data.open, lambda x: narrows.data.write(tmp_path / "x.npy", x)):
        with pytest.raises(DataError, match="Masked arrays are not supported"):
            refuse(masked)


def test_a_format_that_is_only_read_says_so(tmp_path):
    with pytest.raises(DataError, match=r"can read \.npz files, but cannot write them"):
        Npz.write(tmp_path / "x.npz", RecordStream([], (0, 1), np.dtype("f4"), lambda: None), force=False)


@pytest.mark.parametrize("labels", ["s-labels-idx1-ubyte", "s-labels-idx1-ubyte.gz"])
def test_labels_of_other_records_are_never_paired_with_new_ones(tmp_path, grey, labels):
    narrows.data.write(tmp_path / "s-images-idx3-ubyte", grey)
    (tmp_path / labels).write_bytes(b"")
    for name in ("s-images-idx3-ubyte", "s-images-idx3-ubyte.gz"):
        with pytest.raises(OutputExistsError, match=rf"{labels}' would be read as the labels .*Remove it, or write to"):
            narrows.data.write(tmp_path / name, grey, force=True)
    (tmp_path / labels).unlink()
    narrows.data.write(tmp_path / "s-images-idx3-ubyte", grey[::-1], force=True)
    assert narrows.data.open(tmp_path / "s-images-idx3-ubyte").labels is None


def test_a_ragged_list_is_no_array(tmp_path):
    with pytest.raises(DataError, match=r"must be one array; all records must have the same shape\. Got list"):
        narrows.data.write(tmp_path / "x.npy", [[1, 2], [3]])


@pytest.mark.parametrize("name", ["a\0.npy", "n" * 300 + ".npy", "n" * 300, "ü" * 128 + ".npy", "n" * 300 + "/x.npy"])
def test_paths_that_no_file_can_have_are_refused(tmp_path, grey, name):
    with pytest.raises(InvalidParameterError, match=r"a path without NUL, whose names have at most 255 bytes\. Got"):
        narrows.data.write(f"{tmp_path}/{name}", grey)
    assert not list(tmp_path.iterdir())


def test_names_of_images_that_no_file_can_have_are_refused(tmp_path, grey):
    with pytest.raises(InvalidParameterError, match="names without NUL"):
        narrows.data.write(tmp_path / "folder", grey[:1], files=["a\0.png"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("files", ["abcde", b"abcde", [1, 2, 3, 4, 5]])
def test_one_text_is_not_a_name_for_each_record(tmp_path, grey, files):
    with pytest.raises(InvalidParameterError, match="must be a sequence of names, one for each record"):
        narrows.data.write(tmp_path / "folder", grey[:5], files=files)


def test_an_extension_alone_is_the_name_of_a_file(tmp_path, grey):
    assert narrows.data.write(tmp_path / ".npy", grey).is_file()
    np.testing.assert_array_equal(narrows.data.open(tmp_path / ".npy").values, grey)


def test_older_files_that_stay_in_a_folder_are_told(tmp_path, grey):
    narrows.data.write(tmp_path / "folder", grey)
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    with pytest.warns(
        narrows.data.DataWarning, match=r"folder/ still contains .* older files \(the first is 000002\.png\) besides"
    ) as caught:
        narrows.data.write(tmp_path / "folder", grey[:2], force=True)
    assert (caught[0].message.kind, caught[0].message.count) == ("kept-files", len(grey) - 1)
    assert (tmp_path / "folder" / "notes.txt").read_text() == "mine"


ENCODINGS = [("C", "0", 1), ("C", "1", 0)]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems write names of files in UTF-8")
@pytest.mark.parametrize(("locale", "utf8", "code"), ENCODINGS)
def test_names_that_the_system_cannot_write_are_refused_with_what_to_do(locale, utf8, code, tmp_path):
    script = (
        "import numpy, narrows.data\n"
        "try:\n"
        "    narrows.data.write('back/', numpy.zeros((1, 4, 4), 'uint8'), files=['caf\\u00e9.png'])\n"
        "except narrows.errors.OutputError as error:\n"
        "    raise SystemExit(int('PYTHONUTF8=1' not in str(error)) + 1)\n"
    )
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": utf8, "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run([sys.executable, "-c", script], check=False, cwd=tmp_path, env=environment)
    assert done.returncode == code
    assert [name.name for name in tmp_path.glob("back/*")] == ([] if code else ["café.png"])
