import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import narrows.data
from narrows.errors import DataError, DataNotFoundError, DataWarning, InvalidParameterError


def test_importing_costs_numpy_only():
    heavy = {"PIL", "sklearn", "torch", "platformdirs", "pandas"}
    code = f"import sys, narrows.data; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("data", ["", " ", "a\0b"])
def test_text_that_says_nothing_is_rejected(data):
    with pytest.raises(InvalidParameterError, match="path or the name"):
        narrows.data.open(data)


@pytest.mark.parametrize(
    ("data", "meant"),
    [("minst", "mnist"), ("MNIST", "mnist"), ("minst:test", "mnist:test"), ("fashionmnist", "fashion-mnist")],
)
def test_near_misses_are_suggested(data, meant):
    with pytest.raises(DataNotFoundError, match=f"Did you mean '{meant}'"):
        narrows.data.open(data)


@pytest.mark.parametrize("data", ["nowhere/x.npy", "photos", Path("mnist"), Path("*.png"), "./mnist"])
def test_what_is_not_there_is_named(data):
    with pytest.raises(DataNotFoundError, match=r"no file or folder"):
        narrows.data.open(data)


def test_a_missing_folder_is_named():
    with pytest.raises(DataNotFoundError, match=r"The folder .*nowhere does not exist either"):
        narrows.data.open("nowhere/x.npy")


def test_unknown_kinds_list_what_is_read(tmp_path):
    (tmp_path / "x.hdf").write_bytes(b"HDF and so on")
    with pytest.raises(
        DataError, match=r"The format of .*x\.hdf is unknown\. narrows reads .*\.png.*\.npy.*\.npz.*IDX"
    ):
        narrows.data.open(tmp_path / "x.hdf")


def test_tables_are_refused_with_a_line_of_python_that_converts_them(tmp_path):
    (tmp_path / "x.csv").write_text("b\n2\n")  # others are records
    with pytest.raises(DataError) as caught:
        narrows.data.open(tmp_path / "x.csv")
    line = str(caught.value).partition("in Python: ")[2]
    assert line == (
        f"import numpy, pandas; table = pandas.read_csv('{tmp_path}/x.csv').select_dtypes(['number', 'bool']); "
        "numpy.save('x.npy', table.to_numpy('float32'))"
    )
    compile(line, "message", "exec")


def test_the_line_that_converts_a_table_saves_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "x.csv").write_text("b\n1\n2\n")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(DataError) as caught:
        narrows.data.open(tmp_path / "x.csv")
    exec(str(caught.value).partition("in Python: ")[2])
    assert narrows.data.open("x.npy").values.tolist() == [[1], [2]]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="a regular file or a folder"):
        narrows.data.open(tmp_path / "pipe")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything can be read")
def test_files_that_may_not_be_read_are_named(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((2, 2)))
    (tmp_path / "x.npy").chmod(0)
    with pytest.raises(DataError, match=r"x\.npy cannot be read: Permission denied"):
        narrows.data.open(tmp_path / "x.npy")


def test_names_win_and_a_dot_makes_a_path(tmp_path, monkeypatch, save_image, grey):
    monkeypatch.chdir(tmp_path)
    save_image(tmp_path / "digits" / "a.png", grey[0])
    with pytest.warns(DataWarning, match=r"'digits' is read as the named data set.*'\./digits'"):
        assert narrows.data.open("digits").kind == "named"
    assert narrows.data.open("./digits").kind == "images"
    assert narrows.data.open(Path("digits")).kind == "images"


def test_a_file_whose_name_looks_like_a_glob_is_a_file(tmp_path, save_image, grey):
    save_image(tmp_path / "a[1].png", grey[0])
    assert narrows.data.open(f"{tmp_path}/a[1].png").files == ("a[1].png",)


@pytest.mark.parametrize("option", [{"resize": (2, 2)}, {"key": "x"}])
def test_options_that_would_do_nothing_are_rejected(tmp_path, save_image, grey, option):
    np.save(tmp_path / "x.npy", grey)
    source = narrows.data.open(save_image(tmp_path / "a.png", grey[0]))
    for data in (grey, tmp_path / "x.npy", "digits", source):
        with pytest.raises(InvalidParameterError, match=f"'{next(iter(option))}' can be set only for"):
            narrows.data.open(data, **option)


def test_an_option_without_effect_is_refused_before_a_download(monkeypatch):
    def never(*_):
        raise AssertionError("it is downloaded")

    monkeypatch.setattr("narrows.data.named.open_named", never)
    with pytest.raises(InvalidParameterError, match=r"'resize' can be set only for image files\. Got mnist, of kind"):
        narrows.data.open("mnist", resize=(8, 8))
