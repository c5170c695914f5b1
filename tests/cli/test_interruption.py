"""Runs that are interrupted, terminated or killed are resumed to the same weights; lost terminals end none."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import narrows as package
from narrows.training import Callback

RUN = ("--recipe", "dense", "--epochs", "12", "--batch-size", "50", "--limit", "300", "--valid", "0.1")
OUT = "stopped.safetensors"
PATIENCE = 60  # seconds

# Forks a process for each request that it reads, and says its number and, at last, how it ended. It is alone when it
# forks, and has imported what takes seconds. A pause after each epoch lets a signal find the run under way.
PROGRAMS = """
import json, os, sys, time
import narrows.estimators.autoencoder, narrows.cli.train
from narrows.__main__ import main
from narrows.cli.callbacks import Lines

def epoch(callback, row, show=Lines.epoch):
    show(callback, row)
    time.sleep(0.2)

Lines.epoch = epoch
for line in sys.stdin:
    request = json.loads(line)
    program = os.fork()
    if not program:
        os.setsid()
        os.chdir(request["folder"])
        for number, name in enumerate(request["outputs"], start=1):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOCTTY), number)
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))
        sys.argv[1:] = request["arguments"]
        main()
    print(program, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def programs(environment):
    command = [sys.executable, "-c", PROGRAMS]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    ) as process:
        yield process
        process.stdin.close()


def start(programs, arguments, outputs):
    """Start a process in this folder whose standard output and standard error are these files; return its number."""
    request = {"arguments": [str(one) for one in arguments], "folder": os.getcwd(), "outputs": outputs}
    programs.stdin.write(json.dumps(request) + "\n")
    return int(programs.stdout.readline())


def interrupt(programs, number, *more):
    """Start a run, send it a signal once it is under way; return its exit code and all it said."""
    Path("said.txt").write_text("")
    program = start(programs, ["train", "digits:train", "-o", OUT, *RUN, *more], ["out.txt", "said.txt"])
    late = time.monotonic() + PATIENCE
    while "/12  loss" not in (said := Path("said.txt").read_text()):
        assert time.monotonic() < late, f"the run does not begin: {said}"
        time.sleep(0.02)
    os.kill(program, number)
    code = int(programs.stdout.readline())
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


def test_a_stopped_run_resumes_to_the_same_weights(narrows, programs, monkeypatch):
    code, said = interrupt(programs, signal.SIGINT)
    assert code == 130
    assert Path(f"{OUT}.checkpoint").exists()
    assert not Path(OUT).exists()
    assert said.splitlines()[-1].endswith(f"narrows train digits:train -o {OUT} {' '.join(RUN)} --resume")
    assert "Traceback" not in said

    result = interrupt_here(narrows, monkeypatch, signal.SIGTERM, 143)
    assert result.stderr.rstrip().endswith("--resume")
    assert result.stderr.count("--resume") == 1
    assert result.stdout == ""

    code, said = interrupt(programs, signal.SIGKILL, "--resume")
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


def test_a_terminal_that_disappears_does_not_end_the_training(programs):
    ours, theirs = pty.openpty()
    start(
        programs,
        ["train", "digits", "-o", "m.safetensors", "--epochs", "20", "--limit", "200"],
        [os.devnull, os.ttyname(theirs)],
    )
    os.read(ours, 100)  # the progress has started, and the run has the terminal open
    os.close(theirs)
    os.close(ours)
    assert int(programs.stdout.readline()) == 0
    assert len(package.load("m.safetensors").history_) == 20
