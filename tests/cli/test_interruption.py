"""Runs that are interrupted, terminated or killed are resumed to the same weights; lost terminals end none."""

import os
import pty
import signal
import time
from pathlib import Path

import numpy as np
import safetensors.numpy

import narrows as package
from narrows.training import Callback

RUN = ("--recipe", "dense", "--set", "network__widths=16", "--epochs", "12", "--batch-size", "50")
RUN = (*RUN, "--limit", "150", "--valid", "0.1")
OUT = "stopped.safetensors"
PATIENCE = 60  # seconds

# A pause after each epoch lets a signal find the run under way.
SLOWLY = """
import sys, time
from narrows.__main__ import main
from narrows.cli.callbacks import Lines

def epoch(callback, row, show=Lines.epoch):
    show(callback, row)
    time.sleep(0.2)

Lines.epoch = epoch
sys.argv[1:] = {}
main()
"""


def interrupt(new_processes, number, *more):
    """Start a run, send it a signal once it is under way; return its exit code and all it said."""
    Path("said.txt").write_text("")
    arguments = ["train", "digits:train", "-o", OUT, *RUN, *more]
    program = new_processes.start(SLOWLY.format(arguments), ["out.txt", "said.txt"])
    late = time.monotonic() + PATIENCE
    while "/12  loss" not in (said := Path("said.txt").read_text()):
        assert time.monotonic() < late, f"the run does not begin: {said}"
        time.sleep(0.02)
    os.kill(program, number)
    code = new_processes.wait()
    assert Path("out.txt").read_text() == ""
    return code, Path("said.txt").read_text()


def interrupt_here(narrows, monkeypatch, number, code):
    """Resume the run in this process, and have it receive a signal at the end of an epoch."""

    class Sender(Callback):
        def epoch(self, row):
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr("narrows.cli.callbacks.callback", lambda **options: Sender())
        return narrows("train", "digits:train", "-o", OUT, *RUN, "--resume", code=code)


def test_a_stopped_run_resumes_to_the_same_weights(narrows, new_processes, monkeypatch):
    code, said = interrupt(new_processes, signal.SIGINT)
    assert code == 130
    assert Path(f"{OUT}.checkpoint").exists()
    assert not Path(OUT).exists()
    assert said.splitlines()[-1].endswith(f"narrows train digits:train -o {OUT} {' '.join(RUN)} --resume")
    assert "Traceback" not in said

    result = interrupt_here(narrows, monkeypatch, signal.SIGTERM, 143)
    assert result.stderr.rstrip().endswith("--resume")
    assert result.stderr.count("--resume") == 1
    assert result.stdout == ""

    code, said = interrupt(new_processes, signal.SIGKILL, "--resume")
    assert code == -signal.SIGKILL
    assert said.startswith("continuing after epoch")
    other = ("train", "digits:train", "-o", OUT, *RUN, "--latent", "3", "--resume", "--quiet")
    assert "another n_latent" in narrows(*other, code=2).stderr

    narrows("train", "digits:train", "-o", OUT, *RUN, "--resume", "--quiet")
    narrows("train", "digits:train", "-o", "straight.safetensors", *RUN, "--quiet")
    assert not Path(f"{OUT}.checkpoint").exists()
    stopped, straight = (safetensors.numpy.load_file(path) for path in (OUT, "straight.safetensors"))
    assert stopped.keys() == straight.keys()
    for name, tensor in straight.items():
        assert np.array_equal(stopped[name], tensor), name
    losses = [[row["loss"] for row in narrows.json("info", path)["history"]] for path in (OUT, "straight.safetensors")]
    assert losses[0] == losses[1]


def test_a_terminal_that_disappears_does_not_end_the_training(new_processes):
    ours, theirs = pty.openpty()
    arguments = ["train", "digits", "-o", "m.safetensors", "--recipe", "dense", "--epochs", "6", "--limit", "200"]
    new_processes.start(SLOWLY.format(arguments), [os.devnull, os.ttyname(theirs)])
    os.read(ours, 100)  # the progress has started, and the run has the terminal open
    os.close(theirs)
    os.close(ours)
    assert new_processes.wait() == 0
    assert len(package.load("m.safetensors").history_) == 6
