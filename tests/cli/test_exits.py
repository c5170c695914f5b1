"""Every kind of failure ends with its exit code and one message on standard error, and nothing on standard output."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import narrows as package
from narrows import errors
from narrows.__main__ import main as run
from narrows.cli import main


def fail(monkeypatch, narrows, error, code):
    """Call a verb in whose middle this error happens."""

    def load(*arguments, **options):
        raise error

    monkeypatch.setattr("narrows.cli.evaluate.load_model", load)
    return narrows("evaluate", "digits", "-m", "m", code=code)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.NarrowsError("it went wrong"), 1),
        (errors.InvalidParameterError("it went wrong"), 2),
        (errors.DataError("it went wrong"), 1),
        (errors.DataNotFoundError("it went wrong"), 1),
        (errors.CorruptFileError("it went wrong"), 1),
        (errors.NonFiniteDataError("it went wrong"), 1),
        (errors.ShapeMismatchError("it went wrong"), 1),
        (errors.DownloadError("it went wrong"), 1),
        (errors.ModelFileError("it went wrong"), 1),
        (errors.NotFreezableError("it went wrong"), 1),
        (errors.ArchiveError("it went wrong"), 1),
        (errors.CorruptArchiveError("it went wrong"), 1),
        (errors.WrongModelError("it went wrong"), 1),
        (errors.OutputExistsError("it went wrong"), 1),
        (errors.OutputError("it went wrong"), 1),
        (errors.TrainingDivergedError("it went wrong"), 1),
    ],
)
def test_our_own_errors_are_their_message_alone(error, code, monkeypatch, narrows):
    result = fail(monkeypatch, narrows, error, code)
    assert result.stderr == "Error: it went wrong\n"
    assert result.stdout == ""


def test_unknown_names_are_wrong_usage(monkeypatch, narrows):
    assert "Did you mean" in fail(monkeypatch, narrows, errors.UnknownNameError("thing", "dat", ["data"]), 2).stderr


def test_errors_of_the_operating_system_are_one_line(monkeypatch, narrows):
    full = OSError(28, "No space left on device", "/data/m.safetensors")
    assert fail(monkeypatch, narrows, full, 1).stderr == "Error: /data/m.safetensors: No space left on device.\n"


def test_an_interruption_is_said_and_ends_with_130(monkeypatch, narrows):
    assert fail(monkeypatch, narrows, KeyboardInterrupt(), 130).stderr == "Interrupted.\n"


def test_a_polite_kill_cleans_up_and_ends_with_143(monkeypatch, narrows):
    cleaned = []

    def load(*arguments):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            cleaned.append(True)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("narrows.cli.evaluate.load_model", load)
    assert narrows("evaluate", "digits", "-m", "m", code=143).output == "Terminated.\n"
    assert cleaned
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "Interrupted.\n"), (signal.SIGTERM, 143, "Terminated.\n")]
)
def test_a_signal_while_a_class_is_made_is_no_error(monkeypatch, narrows, number, code, said):
    class Part:
        def __set_name__(self, owner, name):  # Python 3.11 makes a RuntimeError of what is raised here
            os.kill(os.getpid(), number)

    monkeypatch.setattr("narrows.cli.evaluate.load_model", lambda *a: type("Whole", (), {"part": Part()}))
    assert narrows("evaluate", "digits", "-m", "m", code=code).output == said


def test_an_error_that_follows_an_interruption_is_said(monkeypatch, narrows):
    def load(*arguments):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise RuntimeError("no checkpoint")  # noqa: B904

    monkeypatch.setattr("narrows.cli.evaluate.load_model", load)
    with pytest.raises(RuntimeError, match="no checkpoint"):
        narrows("evaluate", "digits", "-m", "m", code=1)


def test_what_nobody_expected_keeps_its_traceback(monkeypatch, narrows):
    with pytest.raises(ZeroDivisionError):
        fail(monkeypatch, narrows, ZeroDivisionError(), 1)


def test_data_that_cannot_be_used_are_named(narrows, model):
    np.save("wrong.npy", np.zeros((3, 5), np.float32))
    refused = narrows("evaluate", "wrong.npy", "-m", model, code=1).stderr
    assert "(8, 8)" in refused
    assert "(5,)" in refused
    np.save("nan.npy", np.full((3, 8, 8), np.nan))
    assert "NaN" in narrows("train", "nan.npy", "-o", "m.safetensors", code=1).stderr
    Path("cut.npy").write_bytes(Path("wrong.npy").read_bytes()[:-9])
    assert "cut.npy" in narrows("train", "cut.npy", "-o", "m.safetensors", code=1).stderr
    assert "no-such" in narrows("train", "no-such.npy", "-o", "m.safetensors", code=1).stderr
    assert "picture" not in narrows("picture", "wrong.npy", "-m", model, "-o", "x.png", code=1).stderr


def test_a_diverging_run_says_where_and_leaves_no_model(narrows):
    quick = ("--epochs", "3", "--limit", "200", "--quiet", "--recipe", "vanilla", "--set", "training__optimiser=sgd")
    result = narrows("train", "digits", "-o", "m.safetensors", *quick, "--learning-rate", "1e9", code=1)
    assert "stopped being finite in epoch" in result.stderr
    assert not Path("m.safetensors").exists()


def test_a_folder_that_may_not_be_written_to_is_refused_before_training(narrows, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *arguments: False)
    assert "No permission to write to the folder" in narrows("train", "digits", "-o", "m.safetensors", code=1).stderr


def test_a_reader_who_has_seen_enough_is_no_error(model):
    command = f"{sys.executable} -m narrows info {model} --json | head -c 1"
    done = subprocess.run(["sh", "-c", command], check=False, capture_output=True, text=True)
    assert done.stdout == "{"
    assert done.stderr == ""


def test_a_terminal_without_our_letters_still_gets_the_rest(model):
    environment = {**os.environ, "PYTHONIOENCODING": "iso8859-5"}
    done = subprocess.run(
        [sys.executable, "-m", "narrows", "info", model], check=False, capture_output=True, env=environment
    )
    assert done.returncode == 0
    assert b"8?8 uint8" in done.stdout


def test_the_group_itself_can_be_called_from_python():
    assert main(["--version"], standalone_mode=False) in {0, None}


def test_an_interruption_before_anything_is_imported_is_no_traceback(monkeypatch, capsys):
    class Interrupted:
        def __getattr__(self, name):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "narrows.cli", Interrupted())
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 130
    assert capsys.readouterr().err == "Interrupted.\n"


def test_only_public_names_are_listed():
    assert dir(package) == sorted(package.__all__)


ALL_CLOSED = "2>&- >&- <&-"


@pytest.fixture(scope="module")
def restoring(narrow_archive, compressor, tmp_path_factory):
    """Return a command that warns, and restores to back.npy."""
    folder = tmp_path_factory.mktemp("cut")
    (folder / "cut.narrows").write_bytes(narrow_archive[:-1])
    command = f"{sys.executable} -m narrows restore {folder / 'cut.narrows'} -m {compressor} -o back.npy"
    assert b"Warning" in subprocess.run(command.split(), check=True, capture_output=True, cwd=folder).stderr
    return command


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
@pytest.mark.parametrize("redirected", ["2>/dev/full", "2>&-", ALL_CLOSED], ids=["full", "closed", "all closed"])
@pytest.mark.parametrize("unbuffered", ["", pytest.param("1", marks=pytest.mark.slow)])
def test_messages_that_cannot_be_written_do_not_end_the_work(redirected, unbuffered, restoring):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    done = subprocess.run(f"{restoring} {redirected}", shell=True, check=False, stdout=subprocess.PIPE, env=environment)
    assert done.returncode == 0
    assert len(np.load("back.npy")) == 360


def test_a_failure_that_cannot_be_told_still_has_its_exit_code():
    done = subprocess.run(f"{sys.executable} -m narrows info nowhere.narrows 2>&-", shell=True, check=False)
    assert done.returncode == 1
