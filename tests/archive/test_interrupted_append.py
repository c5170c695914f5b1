"""Appending leaves the old archive valid until the new one is on the disk, wherever the process is killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from narrows.archive import Writer, inspect, open_archive, recover, verify
from narrows.archive.layout import APPEND_BYTES, TRAILER_BYTES
from narrows.errors import CorruptArchiveError, DataWarning, WrongModelError, recorded

N_OLD = 400

# Appends to a copy of an archive for each number of bytes given, and kills the process once so many are written.
KILLED_WHILE_APPENDING = """
import importlib.util, os, shutil, signal, sys
import numpy as np
from narrows.archive import Writer

spec = importlib.util.spec_from_file_location("fuzz", sys.argv[1])
fuzz = sys.modules["fuzz"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)
records = fuzz.make_records(1000, seed=1)[400:]

class Killing:
    def __init__(self, file, n_left):
        self.file, self.n_left = file, n_left
    def __getattr__(self, name):
        return getattr(self.file, name)
    def write(self, data):
        self.file.write(data[: self.n_left])
        self.file.flush()
        if len(data) >= self.n_left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.n_left -= len(data)

for n in map(int, sys.argv[3:]):
    path = f"{sys.argv[2]}-{n}"
    shutil.copy(sys.argv[2], path)
    if os.fork() == 0:
        writer = Writer(path, fuzz.TinyCodec(), 0, append=True)
        writer._blocks._file = Killing(writer._blocks._file, n)
        writer.add(records.astype(np.int32), records)
        writer.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGKILL, n
"""


def read(path, codec):
    """Return all records, and the kinds of the warnings."""
    with recorded(held=True) as warned, open_archive(path, model=codec) as archive:
        return archive.read(), [warning.kind for warning in warned]


def append(path, codec, records):
    with Writer(path, codec, 0, append=True) as writer:
        writer.add(records.astype(np.int32), records)


@pytest.fixture
def old(make, records):
    return make(records[:N_OLD], chunk_records=100)


@pytest.fixture
def whole(old, codec, records, tmp_path):
    """Return the bytes of the archive after an append of all other records."""
    append(shutil.copy(old, tmp_path / "whole"), codec, records[N_OLD:])
    return (tmp_path / "whole").read_bytes()


@pytest.fixture
def unfinished(old, whole):
    """Return an archive whose append was interrupted within a chunk."""
    n_old = old.stat().st_size
    old.write_bytes(whole[:n_old] + bytes(APPEND_BYTES) + whole[n_old + APPEND_BYTES :][:2000])
    return old


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_a_process_killed_at_any_point_leaves_the_old_archive_or_the_new_one(old, whole, codec, fuzz, records):
    n_old, n_new = old.stat().st_size, len(whole) - old.stat().st_size - APPEND_BYTES
    blocks = [edge - n_old - APPEND_BYTES for block in fuzz.blocks_of(whole)[-3:] for edge in block]
    before = sorted({1, *blocks, blocks[0] + 1, blocks[1] - 20, blocks[-2] + 33, n_new - TRAILER_BYTES + 1, n_new - 1})
    after = [n_new, n_new + 1, n_new + 33]  # the last bytes are those of the APPEND block
    points = [str(n) for n in (*before, *after)]
    subprocess.run([sys.executable, "-c", KILLED_WHILE_APPENDING, fuzz.__file__, old, *points], check=True)
    for n in before:
        path = old.with_name(f"{old.name}-{n}")
        restored, warned = read(path, codec)
        np.testing.assert_array_equal(restored, records[:N_OLD], err_msg=str(n))
        assert warned == ["unfinished-append"], n
        with pytest.warns(DataWarning, match="next append replaces"):
            append(path, codec, records[N_OLD:])
        assert path.read_bytes() == whole, n
    for n in after:
        path = old.with_name(f"{old.name}-{n}")
        restored, warned = read(path, codec)
        np.testing.assert_array_equal(restored, records, err_msg=str(n))
        assert warned == []
        assert verify(path, model=codec).is_intact, n


def test_the_warning_says_what_is_ignored_and_what_to_do(unfinished, codec):
    with (
        pytest.warns(DataWarning, match=r"2,036 bytes after its 400 records are not complete.*run it again"),
        open_archive(unfinished, model=codec) as archive,
    ):
        assert len(archive) == N_OLD


def test_verify_and_recover_tell_an_interrupted_append(unfinished, codec, records, tmp_path):
    report = verify(unfinished, model=codec)
    assert (report.n_records, report.n_intact, report.lost) == (N_OLD, N_OLD, ())
    assert [problem.what for problem in report.problems] == [
        "appending was interrupted: the 2,036 bytes from here on belong to no record"
    ]
    assert report.n_bytes == unfinished.stat().st_size
    recover(unfinished, tmp_path / "saved", model=codec)
    np.testing.assert_array_equal(read(tmp_path / "saved", codec)[0], records[:N_OLD])


def test_a_description_is_that_of_the_old_archive(unfinished):
    with pytest.warns(DataWarning, match="interrupted"):
        assert inspect(unfinished).n_records == N_OLD


@pytest.mark.parametrize("n_zeros", [1, 35, 36, 5000])
def test_zeros_at_the_end_are_an_append_of_which_nothing_reached_the_disk(old, codec, records, n_zeros):
    old.write_bytes(old.read_bytes() + bytes(n_zeros))
    restored, warned = read(old, codec)
    np.testing.assert_array_equal(restored, records[:N_OLD])
    assert warned == ["unfinished-append"]


def test_a_copy_cut_off_after_a_complete_append_is_refused(old, whole, codec):
    """Its last records were there once: they are not passed over as if they had never been."""
    old.write_bytes(whole[: len(whole) - 2000])
    with pytest.raises(CorruptArchiveError, match="narrows recover"):
        open_archive(old, model=codec)
    with pytest.raises(CorruptArchiveError, match="narrows recover"):
        Writer(old, codec, 0, append=True)


def test_an_append_that_is_refused_leaves_the_rest_of_an_interrupted_one(unfinished, fuzz):
    before = unfinished.read_bytes()
    with pytest.warns(DataWarning, match="interrupted"), pytest.raises(WrongModelError):
        Writer(unfinished, fuzz.TinyCodec(b"another"), 0, append=True)
    assert unfinished.read_bytes() == before


def test_an_append_that_fails_after_an_interrupted_one_leaves_the_old_archive(unfinished, codec, records):
    with pytest.warns(DataWarning, match="interrupted"):
        writer = Writer(unfinished, codec, 0, append=True)
    writer.add(records.astype(np.int32), records)
    writer.abort()
    restored, warned = read(unfinished, codec)
    np.testing.assert_array_equal(restored, records[:N_OLD])
    assert warned == []


def test_an_archive_is_read_while_another_process_appends(old, codec, records):
    with Writer(old, codec, 0, append=True) as writer:
        writer.add(records[N_OLD:].astype(np.int32), records[N_OLD:])
        restored, warned = read(old, codec)
        np.testing.assert_array_equal(restored, records[:N_OLD])
        assert warned == ["unfinished-append"]
    np.testing.assert_array_equal(read(old, codec)[0], records)


def test_an_append_without_its_block_is_found_by_later_readers(old, whole, codec, records):
    """A process may be killed when the trailer is written and the APPEND block is not, and another while it appends."""
    n_old = old.stat().st_size
    old.write_bytes(whole[:n_old] + bytes(APPEND_BYTES) + whole[n_old + APPEND_BYTES :])
    append(old, codec, records[:7])
    assert verify(old, model=codec).is_intact
    np.testing.assert_array_equal(read(old, codec)[0], np.concatenate([records, records[:7]]))
    n_complete = old.stat().st_size
    old.write_bytes(old.read_bytes() + bytes(APPEND_BYTES) + b"rest")
    np.testing.assert_array_equal(read(old, codec)[0], np.concatenate([records, records[:7]]))
    old.write_bytes(old.read_bytes()[: n_complete - 1])  # the trailer is lost: from block to block
    restored, warned = read(old, codec)
    np.testing.assert_array_equal(restored, np.concatenate([records, records[:7]]))
    assert warned == ["damaged-end"]
