"""A run that is interrupted, terminated or killed goes on from where it was, to the same weights, bit for bit."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import safetensors.numpy

from narrows.training import Watcher

RUN = ("--recipe", "dense", "--epochs", "40", "--batch-size", "16", "--limit", "300", "--valid", "0.1")
OUT = "stopped.safetensors"


def interrupt(environment, number, *more):
    """Start a run, send it a signal once it is under way; return its exit code and all it said."""
    command = [sys.executable, "-m", "narrows", "train", "digits:train", "-o", OUT, *RUN, *more]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as run:
        said = ""
        while "/40  loss" not in said:
            line = run.stderr.readline()
            assert line, f"the run ended by itself: {said}"
            said += line
        run.send_signal(number)
        result, rest = run.communicate(timeout=60)
        assert result == ""
        return run.returncode, said + rest


def interrupt_here(narrows, monkeypatch, number, code):
    """Resume the run in this process, and have it receive a signal at the end of an epoch."""

    class Sender(Watcher):
        def epoch(self, row):
            os.kill(os.getpid(), number)

    with monkeypatch.context() as patch:
        patch.setattr("narrows.cli.train.watcher", lambda **options: Sender())
        return narrows("train", "digits:train", "-o", OUT, *RUN, "--resume", code=code)


def test_a_stopped_run_resumes_to_the_same_weights(narrows, environment, monkeypatch):
    code, said = interrupt(environment, signal.SIGINT)
    assert code == 130
    assert Path(f"{OUT}.checkpoint").exists()
    assert not Path(OUT).exists()
    assert said.splitlines()[-1].endswith(f"narrows train digits:train -o {OUT} {' '.join(RUN)} --resume")
    assert "Traceback" not in said

    result = interrupt_here(narrows, monkeypatch, signal.SIGTERM, 143)
    assert result.stderr.rstrip().endswith("--resume")
    assert result.stderr.count("--resume") == 1
    assert result.stdout == ""

    code, said = interrupt(environment, signal.SIGKILL, "--resume")
    assert code == -signal.SIGKILL
    assert said.startswith("going on after epoch")
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
