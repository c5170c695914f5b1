"""Several processes train one model: their parts of a batch, and the same result as one process."""

import json
import os
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

import narrows
from narrows import Autoencoder, Training
from narrows.cli import main
from narrows.errors import InvalidParameterError, NarrowsError
from narrows.numerics.processes import Processes
from narrows.training import Callback, loop
from narrows.training.single_records import steps_of_an_epoch

WORKER = """
import json, os, signal, sys
import numpy as np
import torch
from narrows import Autoencoder, Training
from narrows.errors import NarrowsError
from narrows.numerics.processes import processes
from narrows.training import Callback, training_device
from narrows.training.interruption import TrainingInterrupted
from narrows.training.process_group import process_group

class Stop(Callback):
    def epoch(self, row):
        if row.epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

def outcome(model):
    weights = {name: one.tolist() for name, one in model.chain_.state_dict().items()}
    return {"weights": weights, "losses": [(row["loss"], row["validation_loss"]) for row in model.history_]}

def make(batch_size):
    training = Training(epochs=4, batch_size=batch_size, validation=0.13, threads=1)
    return Autoencoder(3, network="dense", likelihood="normal", training=training, **SAME)

SAME = {"corruption": None, "random_state": 7, "artefacts": ()}
folder, batch_size, what = sys.argv[1], int(sys.argv[2]), sys.argv[3]
x = np.random.default_rng(0).normal(size=(100, 6))
with process_group(torch.device("cpu")) as together:
    model = make(batch_size)
    checkpoint = f"{folder}/checkpoint"
    if what == "fail":
        if together.rank == 0:
            sys.exit("no more")
        try:
            model.fit(x)
        except NarrowsError as error:
            print(error)
        sys.exit()
    if what == "stop":
        try:
            model.fit(x, checkpoint=checkpoint, callback=Stop())
        except TrainingInterrupted:
            print(f"stopped {together.rank}\\n", end="", flush=True)
    elif what == "resume":
        model.fit(x, checkpoint=checkpoint, resume=True)
    else:
        model.fit(x)
    result = outcome(model)
with open(f"{folder}/{what}-{together.rank}-{together.n}.json", "w") as file:
    json.dump(result, file)
"""


def run(folder, n_processes, batch_size, what="whole"):
    script = folder / "worker.py"
    script.write_text(WORKER)
    start = [] if n_processes == 1 else ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *start, str(script), str(folder), str(batch_size), what]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = range(n_processes)
    return [json.loads((folder / f"{what}-{rank}-{n_processes}.json").read_text()) for rank in ranks], done.stdout


def test_a_process_says_that_another_has_ended(monkeypatch):
    def lost(*arguments):
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(torch.distributed, "all_reduce", lost)
    monkeypatch.setattr(torch.distributed, "get_backend", lambda: "gloo")
    with pytest.raises(NarrowsError, match=r"Another process .* has ended.* resume.*closed by peer"):
        Processes(0, 2).sum(torch.ones(2))


@pytest.mark.slow
def test_a_process_that_ends_lets_no_other_wait(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    command = [sys.executable, f"{tmp_path}/worker.py", str(tmp_path), "10", "fail"]
    group = {**os.environ, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    workers = [
        subprocess.Popen(command, env={**group, "RANK": rank}, stdout=subprocess.PIPE, text=True) for rank in "01"
    ]
    _, (said, _) = (worker.communicate(timeout=120) for worker in workers)
    assert said.startswith("Another process of the group has ended")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("m", [10, 11, 12, 13, 57, 128])
def test_parts_have_each_record_once_in_order_and_two_at_least(n, m):
    parts = [Processes(rank, n).part(torch.arange(m)) for rank in range(n)]
    assert torch.cat(parts).tolist() == list(range(m))
    assert min(len(part) for part in parts) >= 2
    assert max(len(part) for part in parts) - m // n <= 3


def test_a_short_last_batch_joins_the_one_before():
    learner = nn.Linear(1, 1)
    assert steps_of_an_epoch(learner, torch.zeros(23), 10, 2) == 2  # three records are too few for two processes
    assert steps_of_an_epoch(learner, torch.zeros(24), 10, 2) == 3


@pytest.mark.parametrize(("n", "size"), [(3, 10), (30, 3)])
def test_batches_that_are_too_small_for_the_processes_are_refused(n, size):
    with pytest.raises(InvalidParameterError, match="2 processes need batches of at least 4 records"):
        steps_of_an_epoch(nn.Linear(1, 1), torch.zeros(n), size, 2)


@pytest.mark.parametrize(("before", "after"), [(4, 5), (5, 4)])
@pytest.mark.parametrize("stopped_after", [10, 30])
def test_a_run_goes_on_where_an_epoch_has_another_number_of_steps(tmp_path, monkeypatch, before, after, stopped_after):
    class Stop(Callback):
        def step(self, epoch, n_records, loss):
            if (epoch, n_records) == (2, stopped_after):
                os.kill(os.getpid(), signal.SIGTERM)  # the run stops after the next step

    def model():
        training = Training(epochs=3, batch_size=10, threads=1)
        return Autoencoder(2, network="dense", likelihood="normal", training=training, random_state=0, artefacts=())

    monkeypatch.setattr(loop, "_LOOK_SECONDS", -1.0)
    monkeypatch.setattr(loop, "steps_of_an_epoch", lambda *_: before)
    x, checkpoint = np.random.default_rng(0).normal(size=(43, 4)), tmp_path / "checkpoint"
    with pytest.raises(SystemExit):
        model().fit(x, checkpoint=checkpoint, callback=Stop())
    monkeypatch.setattr(loop, "steps_of_an_epoch", lambda *_: after)
    history = model().fit(x, checkpoint=checkpoint, resume=True).history_
    assert [row["epoch"] for row in history] == [1, 2, 3]
    assert all(np.isfinite(row["loss"]) for row in history)


def test_one_process_sends_nothing():
    alone, x = Processes(), torch.arange(5)
    assert alone.sum(x) is x
    assert alone.together(x) is x
    assert alone.any(True)
    assert alone.agree([1])


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"bottleneck": "vector-quantised"}, "Codebooks learn from whole batches.*'vector-quantised'"),
        ({"adversary": "codes", "bottleneck": "plain"}, "Adversarial training has two sides"),
    ],
    ids=["codebooks", "adversarial"],
)
def test_what_needs_whole_batches_or_two_sides_is_refused(params, said, monkeypatch):
    monkeypatch.setattr("narrows.training.loop.processes", lambda: Processes(0, 2))
    monkeypatch.setattr(Processes, "agree", lambda self, numbers: True)
    monkeypatch.setattr(Processes, "of_first", lambda self, tensor: tensor)
    training = narrows.Training(epochs=1, batch_size=10)
    model = narrows.Autoencoder(2, network="dense", training=training, random_state=0, **params)
    with pytest.raises(InvalidParameterError, match=f"{said}.*Got 2 processes. Start the training without torchrun"):
        model.fit(np.random.default_rng(0).normal(size=(40, 6)))


@pytest.mark.parametrize(
    ("recipe", "said"), [("bytes", "A model of bytes"), ("columns", "The model of a table")], ids=["bytes", "table"]
)
def test_models_without_a_network_are_refused_before_anything_is_written(recipe, said, monkeypatch, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    (tmp_path / "t.csv").write_text("a,b\n" + "x,1\ny,2\n" * 20)
    output = tmp_path / "m.safetensors"
    done = CliRunner().invoke(main, ["train", str(tmp_path / "t.csv"), "-o", str(output), "--recipe", recipe])
    assert done.exit_code == 1
    assert f"{said} is trained by one process. Got 2 processes. Start the command without torchrun." in done.output
    assert not output.exists()


@pytest.mark.slow
def test_two_processes_learn_what_one_learns_with_batches_of_twice_the_size(tmp_path):
    (alone,), _ = run(tmp_path, 1, 20)
    (first, second), _ = run(tmp_path, 2, 10)  # 87 records: the last batch of each epoch has seven
    assert first == second
    np.testing.assert_allclose(first["losses"], alone["losses"], rtol=1e-5)
    for name, weight in alone["weights"].items():
        np.testing.assert_allclose(first["weights"][name], weight, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_run_of_two_processes_is_stopped_by_a_signal_to_one_and_goes_on_in_another_number(tmp_path):
    (whole, _), _ = run(tmp_path, 2, 10)
    _, printed = run(tmp_path, 2, 10, "stop")
    assert sorted(printed.split("\n")[:-1]) == ["stopped 0", "stopped 1"]
    saved = (tmp_path / "checkpoint").read_bytes()
    (resumed, _), _ = run(tmp_path, 2, 10, "resume")
    assert resumed == whole
    (tmp_path / "checkpoint").write_bytes(saved)
    (alone,), _ = run(tmp_path, 1, 10, "resume")
    np.testing.assert_allclose(alone["losses"], whole["losses"], rtol=1e-5)


@pytest.mark.slow
def test_the_command_trains_in_two_processes_and_writes_one_model(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(100, 6)))
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "narrows"]
    train = ["train", str(tmp_path / "x.npy"), "-o", str(tmp_path / "m.safetensors"), "--epochs", "2", "--json"]
    done = subprocess.run([*start, *train], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["epochs"] == 2  # one report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.safetensors", "x.npy"]
