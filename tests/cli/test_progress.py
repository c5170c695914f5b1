"""Progress: a bar on a terminal, a few plain lines elsewhere, on standard error only."""

import os
import pty
import sys
import threading

import pytest
from PIL import Image

from narrows.cli.callbacks import Bar, Lines
from narrows.cli.inputs import open_data
from narrows.cli.progress import show_progress
from narrows.training import Epoch


def run(callback, n_epochs, *, done=0, validation=None, stop_after=None):
    callback.start(n_epochs, 1000, done)
    for epoch in range(done + 1, (stop_after or n_epochs) + 1):
        callback.step(epoch, 500, 2.5)
        callback.epoch(Epoch(epoch, 1 / epoch, validation, 1e-3, 0.5, 2000.0))
    callback.stop()


@pytest.fixture
def terminal(monkeypatch):
    """Return a function that calls another with standard error on a terminal, and returns what is seen there."""

    def show(call):
        ours, theirs = pty.openpty()
        seen = []

        def read():
            while True:
                try:
                    seen.append(os.read(ours, 4096))
                except OSError:
                    return

        reader = threading.Thread(target=read)
        reader.start()
        with monkeypatch.context() as patch, os.fdopen(theirs, "w") as stream:
            patch.setattr(sys, "stderr", stream)
            patch.setenv("TERM", "xterm")
            patch.setenv("COLUMNS", "90")
            call()
        reader.join(timeout=10)
        os.close(ours)
        return b"".join(seen).decode()

    return show


def test_lines_have_epoch_loss_validation_speed_and_time_left(capsys):
    run(Lines(most=30), 3, validation=0.75)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "epoch 1/3  loss 1.000  validation 0.7500  2,000 records/s  1 s left"
    assert lines[-1] == "epoch 3/3  loss 0.3333  validation 0.7500  2,000 records/s"


@pytest.mark.parametrize("n_epochs", [1, 2, 29, 30, 31, 59, 200, 1000])
def test_there_are_at_most_thirty_lines_and_the_last_epoch_is_among_them(n_epochs, capsys):
    run(Lines(most=30), n_epochs)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == n_epochs if n_epochs <= 28 else 15 <= len(lines) <= 30
    assert lines[0].startswith(f"epoch {1:>{len(str(n_epochs))}}/")
    assert lines[-1].startswith(f"epoch {n_epochs}/{n_epochs} ")


def test_the_last_epoch_of_a_run_that_stops_early_is_shown(capsys):
    run(Lines(most=30), 1000, stop_after=77)
    assert capsys.readouterr().err.splitlines()[-1].startswith("epoch   77/1000")


def test_a_resumed_run_says_where_it_goes_on(capsys):
    run(Lines(most=30), 10, done=6)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "continuing after epoch 6 of 10"
    assert lines[1].startswith("epoch  7/10")


def test_the_bar_shows_the_same_on_a_terminal(terminal):
    seen = terminal(lambda: run(Bar(), 3, validation=0.75))
    for text in ("epoch 3/3", "loss 0.3333", "validation 0.7500", "records/s", "━"):
        assert text in seen
    assert seen.rstrip().endswith("\x1b[?25h")  # the cursor is back


def test_stages_are_told_apart_by_their_names(capsys, terminal):
    def two_stages(callback):
        for name in ("layer 1 of 2", "layer 2 of 2"):
            callback.stage(name)
            run(callback, 1)

    two_stages(Lines(most=30))
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition("  ")[0] for line in lines] == ["layer 1 of 2", "epoch 1/1", "layer 2 of 2", "epoch 1/1"]
    shown = terminal(lambda: two_stages(Bar()))
    assert "layer 1 of 2: epoch 1/1" in shown
    assert "layer 2 of 2: epoch 1/1" in shown


def test_a_piped_run_writes_plain_lines(narrows):
    result = narrows("train", "digits", "-o", "m.safetensors", "--epochs", "40", "--limit", "50", "--batch-size", "50")
    assert all(line.startswith("epoch ") for line in result.stderr.splitlines())
    assert len(result.stderr.splitlines()) <= 30
    assert all(letter.isprintable() or letter == "\n" for letter in result.stderr + result.stdout)


def test_downloads_are_a_line_each_or_a_bar(capsys, terminal):
    def download():
        with show_progress(quiet=False) as progress:
            for n in (10, 500, 1000):
                progress("downloading train.gz", n, 1000, "bytes")
            progress("downloading labels.gz", 5, None, "bytes")

    download()
    assert capsys.readouterr().err == "downloading train.gz (1,000 bytes)\ndownloading labels.gz\n"
    assert "train.gz" in terminal(download)
    with show_progress(quiet=True) as progress:
        assert progress is None


def test_records_that_are_done_are_counted_on_a_bar_or_in_ten_lines_at_most(capsys, terminal, monkeypatch):
    def compress():
        with show_progress(quiet=False) as progress:
            for n_done in range(0, 2001, 10):
                progress("compressing", n_done, 2000, "records")

    compress()
    assert capsys.readouterr().err == ""  # it took no second
    seen = terminal(compress)
    assert "compressing" in seen
    assert "2,000/2,000 records" in seen
    assert seen.rstrip().endswith("\x1b[?25h")
    monkeypatch.setattr("narrows.cli.progress._BETWEEN_LINES", 0)
    compress()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "compressing: 200 of 2,000 records"
    assert lines[-1] == "compressing: 2,000 of 2,000 records"
    assert len(lines) == 10


def test_a_bar_is_closed_when_the_work_is_interrupted(terminal):
    def compress():
        with show_progress(quiet=False) as progress:
            progress("compressing", 1, 10, "records")
            raise KeyboardInterrupt

    def interrupted():
        with pytest.raises(KeyboardInterrupt):
            compress()

    assert terminal(interrupted).rstrip().endswith("\x1b[?25h")


def read_many(*, quiet=False):
    with show_progress(quiet=quiet) as progress:
        for activity in ("checking images", "reading images") if progress is not None else ():
            for done in (1024, 2048, 3000):
                progress(activity, done, 3000, "records")


def test_reading_many_images_has_a_bar_for_each_step_on_a_terminal(terminal):
    shown = terminal(read_many)
    assert "checking images" in shown
    assert "reading images" in shown
    assert shown.count("3,000/3,000 records") >= 2


def test_reading_many_images_has_lines_elsewhere(capsys, monkeypatch):
    monkeypatch.setattr("narrows.cli.progress._BETWEEN_LINES", 0)
    read_many()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "checking images: 1,024 of 3,000 records"
    assert lines[-1] == "reading images: 3,000 of 3,000 records"


def test_who_wants_no_progress_gets_none_of_images(capsys):
    read_many(quiet=True)
    assert capsys.readouterr().err == ""


def test_commands_show_how_many_images_they_have_read(tmp_path, capsys, monkeypatch):
    for i in range(3):
        Image.new("L", (2, 2)).save(tmp_path / f"{i}.png")
    for module in ("narrows.data.images", "narrows.data.memory"):  # imports the first with its own value
        monkeypatch.setattr(f"{module}.BLOCK_RECORDS", 2)
    monkeypatch.setattr("narrows.cli.progress._BETWEEN_LINES", 0)
    open_data(str(tmp_path))
    assert capsys.readouterr().err.splitlines()[-1] == "reading images: 3 of 3 records"
