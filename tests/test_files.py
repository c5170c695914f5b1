"""write_atomically: the whole file or none, never over another unasked, no litter."""

import errno
import os
import signal
import stat
import subprocess
import sys

import pytest

from narrows.errors import DataNotFoundError, InvalidParameterError, OutputError, OutputExistsError
from narrows.io import files
from narrows.io.files import check_output, replacing, temporary_beside, write_atomically


def writes(content):
    def write(file):
        file.write(content)

    return write


def fails(error):
    def write(file):
        file.write(b"half")
        raise error

    return write


def test_writes_what_it_is_given(tmp_path):
    path = tmp_path / "a"
    assert write_atomically(str(path), writes(b"new")) == path
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_replaces_only_when_asked(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    called = []
    with pytest.raises(OutputExistsError, match=r"'.*a' already exists.*--force"):
        write_atomically(path, called.append)
    assert not called
    assert path.read_bytes() == b"old"
    write_atomically(path, writes(b"new"), force=True)
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize(
    "error", [RuntimeError("disk"), KeyboardInterrupt(), SystemExit(1)], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("existed", [False, True])
def test_a_failure_leaves_everything_as_it_was(tmp_path, error, existed):
    path = tmp_path / "a"
    if existed:
        path.write_bytes(b"old")
    with pytest.raises(type(error)):
        write_atomically(path, fails(error), force=True)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([b"old"] if existed else [])


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(OutputExistsError):
        write_atomically(path, lambda file: path.write_bytes(b"somebody else's"))
    assert path.read_bytes() == b"somebody else's"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_any_new_file_or_of_the_old_one(tmp_path):
    plain, ours = tmp_path / "plain", tmp_path / "ours"
    plain.write_bytes(b"")
    write_atomically(ours, writes(b""))
    assert stat.S_IMODE(ours.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)
    ours.chmod(0o600)
    write_atomically(ours, writes(b"new"), force=True)
    assert stat.S_IMODE(ours.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, writes(b"new"), force=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_what_is_no_file_is_refused_even_with_force(tmp_path):
    with pytest.raises(InvalidParameterError, match="is a folder"):
        write_atomically(tmp_path, writes(b""), force=True)
    with pytest.raises(InvalidParameterError, match="is not a regular file"):
        check_output(os.devnull, force=True)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"The folder '.*nowhere' of the output .* does not exist"):
        check_output(tmp_path / "nowhere" / "a")


@pytest.mark.parametrize("has_links", [True, False])
def test_of_two_writers_at_once_the_second_is_refused(tmp_path, monkeypatch, has_links):
    def no_links(*_):
        raise OSError(errno.EPERM, "Operation not permitted")

    if not has_links:
        monkeypatch.setattr(os, "link", no_links)
    path = tmp_path / "a"
    second = replacing(path, force=False)
    second.__enter__()
    write_atomically(path, writes(b"first"))
    with pytest.raises(OutputExistsError, match="already exists"):
        second.__exit__(None, None, None)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_names_the_output(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / ".narrows-0.tmp"))
    with pytest.raises(OutputError, match=r"The output '.*/a' could not be written: No space left on device\.$"):
        write_atomically(tmp_path / "a", fails(full))
    assert not list(tmp_path.iterdir())


# What a process leaves behind that is killed outright

KILLED = """
import os, signal, sys
from pathlib import Path
from narrows.io.files import temporary_beside

with temporary_beside(Path(sys.argv[1]), is_folder=sys.argv[2] == "folder") as temporary:
    (temporary / "half" if temporary.is_dir() else temporary).write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(path, kind="file"):
    child = subprocess.run([sys.executable, "-c", KILLED, path, kind], check=False)
    assert child.returncode == -signal.SIGKILL
    (left,) = path.parent.glob(".narrows-*.tmp")
    return left


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_killed_process_left_goes_when_the_same_path_is_written(tmp_path, kind):
    pytest.importorskip("fcntl")
    path = tmp_path / "a"
    left = killed(path, kind)
    write_atomically(tmp_path / "b", writes(b"new"))
    assert left.exists(), "it is another's"
    write_atomically(path, writes(b"new"))
    assert {file.name for file in tmp_path.iterdir()} == {"a", "b"}


def test_what_somebody_is_writing_stays(tmp_path):
    path = tmp_path / "a"
    with replacing(path) as first, temporary_beside(path, is_folder=True) as folder:
        first.write(b"first")
        write_atomically(path, writes(b"second"))
        assert path.read_bytes() == b"second"
        assert folder.is_dir()
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_somebody_removed_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    lock, made = files.lock, []

    def slow(descriptor):
        made.extend(tmp_path.glob(".narrows-*.tmp"))
        if len(made) < 3:
            made[-1].unlink()
        return False if len(made) == 2 else lock(descriptor)

    monkeypatch.setattr(files, "lock", slow)
    write_atomically(tmp_path / "a", writes(b"new"))
    assert len(set(made)) == 3
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"new"]


def test_without_locks_nothing_is_taken_away(tmp_path, monkeypatch):
    left = killed(tmp_path / "a")
    monkeypatch.setattr(files, "lock", lambda _: None)
    write_atomically(tmp_path / "a", writes(b"new"))
    assert left.read_bytes() == b"half"
    assert set(tmp_path.iterdir()) == {left, tmp_path / "a"}
