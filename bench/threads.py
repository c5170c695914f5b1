"""Time the training steps of the documents' recipes, alone and beside one busy process.

    python bench/threads.py                    all workloads, about eight minutes on two cores
    python bench/threads.py --only dense da    some of them; rows of earlier runs are kept

Each workload is trained in three ways, in turns of about a second: whole batches with one OpenMP thread and with two,
as training was before it had shards, and as narrows trains. Then the same again beside a process that does nothing but
keep a CPU busy. Writes bench/threads.json; numbers are medians over the turns. The machine should have nothing else to
do; "load" is how many processes were running before the start. Needs MNIST: see `narrows train --help`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from recipes import machine
from torch import Tensor

import narrows
import narrows.data
from narrows.data import Source
from narrows.estimators.preparation import chain_stage, new_chain, parts_for
from narrows.records import schema_of
from narrows.training import Records, resolve_device, resolve_training
from narrows.training.loop import Run
from narrows.training.memory import kept_for_reuse
from narrows.training.pace import Pace
from narrows.training.progress import Callback
from narrows.training.workers import Workers, most_workers

HERE = Path(__file__).parent
RESULTS = HERE / "threads.json"
WORKLOADS = ("deep-tied", "dense", "da", "cvae", "simple", "conv-denoising")
N_RECORDS = 60_000
THREADS = 2  # of the fixed choices: one, and so many
MOST_ALONE, MOST_BUSY = 1.1, 1.4  # times the best fixed choice, and times one thread alone


class _Fixed(Pace):
    """One number of threads, whatever the load."""

    def __init__(self, n_threads: int) -> None:
        super().__init__(n_threads)
        self._numbers, self._place = [n_threads], 0


class Training:
    """The training of a recipe, to be gone on with for some steps at a time.

    Parameters
    ----------
    recipe : str
        Its name.
    source : Source
        The training data.
    openmp_threads : int, optional
        Train whole batches with so many OpenMP threads. None: as narrows trains.
    """

    def __init__(self, recipe: str, source: Source, openmp_threads: int | None = None) -> None:
        model = narrows.recipe(recipe, random_state=0)
        params, settings = model.get_params(deep=False), resolve_training(model.training)
        settings = settings.clone().set_params(device="cpu")
        records = Records(source.values, resolve_device(settings))
        schema = schema_of("auto", source.shape, source.dtype)
        chain = new_chain(parts_for(params, source, schema, 0), settings, source, records, 0)
        stage = chain_stage(params, chain, records, None)
        self.workers = Workers(most_workers(THREADS))
        self.run = Run(stage, chain, [], self.workers, seed=0, callback=Callback(), checkpoint=None)
        if openmp_threads is not None:
            self.run._cut(1)
            self.run.pace = _Fixed(openmp_threads)
        self.used: Counter[int] = Counter()
        self.order: Tensor = self.run._order().indices

    @property
    def n_steps_an_epoch(self) -> int:
        return self.run.n_steps

    def turn(self, seconds: float) -> float:
        """Train for some seconds and return how many milliseconds a step took."""
        torch.set_num_threads(1)
        run, size, n = self.run, self.run.settings.batch_size, 0
        run.pace.used.clear()
        began = time.perf_counter()
        while n < 3 or time.perf_counter() - began < seconds:
            run._train_step(self.order[run.step * size : (run.step + 1) * size])
            run.step = (run.step + 1) % run.n_steps
            n += 1
        taken = (time.perf_counter() - began) / n
        self.used += run.pace.used
        return 1000 * taken


@contextmanager
def busy_process(*, wanted: bool) -> Iterator[None]:
    """Keep a CPU busy, if that is wanted."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if wanted else None
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


def measure(recipe: str, source: Source, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the times of one workload."""
    trainings = {
        "one thread": Training(recipe, source, 1),
        f"{THREADS} OpenMP threads": Training(recipe, source, THREADS),
        "narrows": Training(recipe, source),
    }
    row: dict[str, Any] = {"recipe": recipe, "steps_an_epoch": trainings["narrows"].n_steps_an_epoch}
    row["shards"] = trainings["narrows"].run.n_shards
    for load in ("alone", "busy"):
        turns: dict[str, list[float]] = {name: [] for name in trainings}
        with busy_process(wanted=load == "busy"):
            for training in trainings.values():
                training.turn(seconds / 2)  # allocates memory, starts threads, notices the load
                training.used.clear()
            for _ in range(rounds):
                for name, training in trainings.items():
                    turns[name].append(training.turn(seconds))
        row[f"{load}_ms_a_step"] = {name: round(statistics.median(times), 3) for name, times in turns.items()}
        row[f"{load}_least_ms_a_step"] = {name: round(min(times), 3) for name, times in turns.items()}
        row[f"{load}_threads"] = dict(sorted(trainings["narrows"].used.items()))  # steps by number of threads
    for training in trainings.values():
        training.workers.__exit__()
    return row | ratios(row)


def ratios(row: dict[str, Any]) -> dict[str, Any]:
    """Return what is wanted of a workload: how it compares with the best fixed choice, and with one thread alone."""
    alone, busy = row["alone_ms_a_step"], row["busy_ms_a_step"]
    fixed = [name for name in alone if name != "narrows"]
    return {
        "narrows_alone_to_best_fixed_alone": round(alone["narrows"] / min(alone[name] for name in fixed), 3),
        "narrows_busy_to_one_thread_alone": round(busy["narrows"] / alone["one thread"], 3),
        "openmp_busy_to_one_thread_alone": round(busy[fixed[-1]] / alone["one thread"], 3),
    }


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Return the results as lines."""
    lines = [
        f"{'ms a step':16}{'shards':>7}{'1 alone':>9}{'2 alone':>9}{'narrows':>9}   {'1 busy':>9}{'2 busy':>9}"
        f"{'narrows':>9}   of best fixed, of 1 alone"
    ]
    for row in rows.values():
        numbers = [*row["alone_ms_a_step"].values(), *row["busy_ms_a_step"].values()]
        texts = [f"{number:9.2f}" for number in numbers]
        alone, busy = row["narrows_alone_to_best_fixed_alone"], row["narrows_busy_to_one_thread_alone"]
        verdict = "reached" if alone <= MOST_ALONE and busy <= MOST_BUSY else "MISSED"
        lines.append(
            f"{row['recipe']:16}{row['shards']:7}{''.join(texts[:3])}   {''.join(texts[3:])}"
            f"   {alone:.2f}, {busy:.2f}: {verdict}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=WORKLOADS, default=WORKLOADS, metavar="RECIPE")
    parser.add_argument("--rounds", type=int, default=11, help="turns of each training, alone and busy")
    parser.add_argument("--seconds", type=float, default=1.2, help="of a turn")
    arguments = parser.parse_args()
    source = narrows.data.open("mnist:train", limit=N_RECORDS)
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows: dict[str, dict[str, Any]] = stored.get("rows", {})
    for recipe in arguments.only:
        load = os.getloadavg()[0]
        torch.set_num_threads(THREADS)
        with kept_for_reuse():
            row = measure(recipe, source, arguments.rounds, arguments.seconds)
        command = ["bench/threads.py", "--only", recipe, "--rounds", arguments.rounds, "--seconds", arguments.seconds]
        row |= {"load": round(load, 2), "command": "python " + shlex.join(map(str, command))}
        rows[recipe] = row | {"machine": machine() | {"threads": THREADS}, "date": datetime.date.today().isoformat()}
        kept = {name: rows[name] for name in WORKLOADS if name in rows}
        wanted = {"narrows_alone_to_best_fixed_alone": MOST_ALONE, "narrows_busy_to_one_thread_alone": MOST_BUSY}
        RESULTS.write_text(json.dumps({"wanted": wanted, "rows": kept}, indent=1) + "\n")
        print(table({recipe: rows[recipe]}), flush=True)
    print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
