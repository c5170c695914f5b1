"""Arrays that are too large for memory lie in a file that nobody sees and that is gone when nobody uses it."""

import errno
import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import narrows.data
from narrows.data import memory
from narrows.errors import CorruptFileError, DataError, OutputError
from narrows.numerics import control_groups

on_linux = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux lists what is mapped")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return the folder that large arrays are kept in, and let every array be large."""
    monkeypatch.setenv("NARROWS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(memory, "usable_memory", lambda: 100)
    return tmp_path / "cache"


@pytest.fixture
def photos(tmp_path, save_image, rng):
    """Return a folder of five images, and what is in it: uint8 (5, 6, 4, 3)."""
    pixels = rng.integers(0, 256, (5, 6, 4, 3), dtype=np.uint8)
    for i, image in enumerate(pixels):
        save_image(tmp_path / "photos" / f"{i}.png", image)
    return tmp_path / "photos", pixels


def is_mapped(folder):
    return str(folder) in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("per_block", [1, 2, 1024])
def test_images_from_a_file_are_the_same(folder, photos, monkeypatch, per_block):
    monkeypatch.setattr(memory, "BLOCK_RECORDS", per_block)
    source = narrows.data.open(photos[0])
    np.testing.assert_array_equal(source.values, photos[1])
    assert source.files == tuple(f"{i}.png" for i in range(5))
    assert source.values.flags.writeable  # as an array in memory is


@on_linux
def test_the_file_has_no_name_and_goes_with_its_source(folder, photos):
    source = narrows.data.open(photos[0])
    assert is_mapped(folder)
    assert list(folder.iterdir()) == []
    part = source.limit(2).values
    del source
    gc.collect()
    np.testing.assert_array_equal(part, photos[1][:2])
    del part
    gc.collect()
    assert not is_mapped(folder)


def test_nothing_is_left_when_the_process_is_killed(folder, photos, tmp_path):
    code = (
        "import os, sys, narrows.data\n"
        "from narrows.data import memory\n"
        "memory.usable_memory = lambda: 100\n"
        f"source = narrows.data.open({str(photos[0])!r})\n"
        "assert source.values.base is not None\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode != 0
    assert list(folder.iterdir()) == []


@on_linux
@pytest.mark.parametrize(("quarter", "is_in_file"), [(5 * 72, False), (5 * 72 - 1, True)])
def test_a_file_is_used_above_a_quarter_of_the_memory(folder, photos, monkeypatch, quarter, is_in_file):
    monkeypatch.setattr(memory, "usable_memory", lambda: 4 * quarter)
    source = narrows.data.open(photos[0])
    assert is_mapped(folder) == is_in_file
    assert folder.exists() == is_in_file
    assert len(source) == 5


@on_linux
def test_without_a_choice_the_folder_is_the_platforms_own(folder, photos, monkeypatch, tmp_path):
    monkeypatch.delenv("NARROWS_CACHE")
    monkeypatch.setattr(memory.tempfile, "gettempdir", lambda: str(tmp_path / "platform"))
    source = narrows.data.open(photos[0])
    assert is_mapped(tmp_path / "platform")
    assert len(source) == 5


def test_too_little_room_is_said_before_anything_is_read(folder, photos, monkeypatch):
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 359}))
    monkeypatch.setattr("narrows.data.images.decode_image", lambda *_: pytest.fail("an image was read"))
    with pytest.raises(
        OutputError, match=f"photos/ take 360 bytes.*'{folder}': The free space is too small.*NARROWS_CACHE"
    ):
        narrows.data.open(photos[0])


def test_a_disk_that_fills_up_on_the_way_is_said_and_nothing_is_left(folder, photos, monkeypatch):
    class Full:
        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    temporary_file, opened = memory.tempfile.TemporaryFile, []

    def full(**options):
        opened.append(temporary_file(**options))
        return Full(opened[-1])

    monkeypatch.setattr(memory.tempfile, "TemporaryFile", full)
    with pytest.raises(OutputError, match=f"photos/ take 360 bytes.*'{folder}': No space left.*NARROWS_CACHE"):
        narrows.data.open(photos[0])
    assert opened[0].closed
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_is_named(folder, photos):
    folder.write_text("a file")
    with pytest.raises(OutputError, match=f"'{folder}'"):
        narrows.data.open(photos[0])


def test_a_damaged_image_is_still_what_is_reported(folder, photos):
    path = photos[0] / "3.png"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(CorruptFileError, match=r"3\.png"):
        narrows.data.open(photos[0])
    assert not folder.exists() or list(folder.iterdir()) == []


def test_an_image_that_cannot_be_read_is_no_full_disk(folder):
    def fill(start, block):
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error") as caught:
        memory.filled((5, 6), "float64", fill, what="The images of photos/")
    assert type(caught.value) is OSError
    assert list(folder.iterdir()) == []


def test_a_write_of_a_part_is_followed_by_the_rest(folder, photos, monkeypatch):
    temporary_file = memory.tempfile.TemporaryFile

    def slow(**options):
        file = temporary_file(**options)
        return type(
            "Slow",
            (),
            {
                "__enter__": lambda self: self,
                "__exit__": lambda self, *_: file.close(),
                "write": lambda self, data: file.write(data[:7]),
                "fileno": lambda self: file.fileno(),
            },
        )()

    monkeypatch.setattr(memory.tempfile, "TemporaryFile", slow)
    np.testing.assert_array_equal(narrows.data.open(photos[0]).values, photos[1])


def test_who_asks_is_told_how_many_images_are_done(folder, photos, monkeypatch):
    monkeypatch.setattr(memory, "BLOCK_RECORDS", 2)
    monkeypatch.setattr("narrows.data.images.BLOCK_RECORDS", 2)
    told = []
    narrows.data.open(photos[0], progress=lambda *reported: told.append(reported))
    assert told == [
        (activity, done, 5, "records") for activity in ("checking images", "reading images") for done in (2, 4, 5)
    ]


def test_nobody_is_told_of_a_few_images(photos):
    narrows.data.open(photos[0], progress=lambda *_: pytest.fail("told"))


@pytest.mark.parametrize(
    ("n", "n_bytes", "sizes"), [(5, 0, [5]), (2500, 2500, [1024, 1024, 452]), (3, 3 << 30, [1] * 3)]
)
def test_blocks_are_of_so_many_records_and_bytes_at_most(n, n_bytes, sizes):
    assert [len(rows) for rows in memory.blocks(n, n_bytes)] == sizes


# How much memory there is


@pytest.fixture
def cgroups(tmp_path, monkeypatch):
    """Return a function that writes the limits of control groups."""
    monkeypatch.setattr(control_groups, "_MOUNTED", tmp_path / "cgroup")
    monkeypatch.setattr(control_groups, "_OF_PROCESS", tmp_path / "own")
    monkeypatch.setattr(memory, "_physical_memory", lambda: 1 << 40)

    def write(own, limits):
        (tmp_path / "own").write_text(own)
        for name, text in limits.items():
            (tmp_path / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "cgroup" / name).write_text(text)

    return write


@pytest.mark.parametrize(
    ("own", "limits", "expected"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "1000\n"}, 1000),
        ("0::/a/b\n", {"a/b/memory.max": "500\n", "a/memory.max": "1000\n"}, 500),
        ("0::/seen/from/outside\n", {"memory.max": "700\n"}, 700),
        ("4:cpu,memory:/a\n1:name=systemd:/b\n", {"memory/a/memory.limit_in_bytes": "300\n"}, 300),
        ("4:cpu:/a\n", {"memory/a/memory.limit_in_bytes": "300\n"}, 1 << 40),
        ("0::/\n", {}, 1 << 40),
    ],
)
def test_the_limit_of_a_control_group_counts(cgroups, own, limits, expected):
    cgroups(own, limits)
    assert memory.usable_memory() == expected


def test_without_control_groups_the_machines_memory_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(control_groups, "_OF_PROCESS", tmp_path / "none")
    assert memory.usable_memory() == memory._physical_memory() > 1 << 20


def test_where_nobody_says_how_much_there_is_everything_is_kept_in_memory(folder, photos, monkeypatch):
    monkeypatch.setattr(memory, "usable_memory", lambda: None)
    np.testing.assert_array_equal(narrows.data.open(photos[0]).values, photos[1])
    assert not folder.exists()


def test_a_record_larger_than_memory_allows_is_refused_before_it_is_allocated(tmp_path):
    narrows.data.write(tmp_path / "images", np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(DataError, match=r"images/? take 1,000,000,000,000 bytes each.* Give a smaller size"):
        narrows.data.open(tmp_path / "images", resize=(1_000_000, 1_000_000))
