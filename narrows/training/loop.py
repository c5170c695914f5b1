"""The training loop.

Within an epoch the loop waits for the device only to read the loss, a few times a second; until then the losses of the
steps stay on the device. All randomness of an epoch comes from generators seeded by (seed, epoch), so that a run can be
resumed between any two steps. On a CPU, batches with much work are split into shards, which threads share; others are
not split, and need no autograd in plain dense networks, see `direct`. The number of threads follows the load of the
machine, if the sums stay the same to the bit. Each process of a group takes a part of every batch, see `reduction`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Generator, Tensor, nn

from narrows.data.mapped import read_at_random
from narrows.errors import TrainingCollapsedError, TrainingDivergedError
from narrows.numerics.floats import wide
from narrows.numerics.processes import Processes, processes
from narrows.numerics.randomness import Stream, generator, integer
from narrows.numerics.threads import one_openmp_thread, openmp_threads
from narrows.training.averages import Averages
from narrows.training.checkpoints import Checkpoint
from narrows.training.direct import direct_step
from narrows.training.divergence import diverged
from narrows.training.interruption import Interruption, TrainingInterrupted
from narrows.training.memory import kept_if_asked
from narrows.training.openmp import same_bits
from narrows.training.opponent import contest_of
from narrows.training.orders import Order
from narrows.training.pace import Pace
from narrows.training.progress import Callback, Epoch
from narrows.training.reduction import Reduction, begin_together
from narrows.training.run_state import reseed_for_step, restore, state_of, unfinished_epoch
from narrows.training.shards import Shards, weighted
from narrows.training.single_records import steps_of_an_epoch
from narrows.training.squared_errors import EVERY, SquaredErrors, squares_of
from narrows.training.stages import Stage
from narrows.training.validation import Best, mean_loss_and_mse
from narrows.training.work import choose_n_shards
from narrows.training.workers import Workers, most_workers

__all__ = ["train"]

_LOOK_SECONDS = 0.25  # between two readings of the loss within an epoch
_SAVE_SECONDS = 30.0  # between two checkpoints


def train(
    stages: Sequence[Stage],
    whole: nn.Module,
    *,
    seed: int,
    callback: Callback | None = None,
    checkpoint: Checkpoint | None = None,
    resume: bool = False,
    threads: int | None = None,
) -> list[list[Epoch]]:
    """Train in place, stage after stage.

    Parameters
    ----------
    stages : sequence of Stage
        The stages in order; most runs have one.
    whole : Module
        The module that contains all learners; a checkpoint stores its weights.
    seed : int
        Seed of all randomness.
    callback : Callback, optional
        Receives the progress.
    checkpoint : Checkpoint, optional
        File for the state of the run: written every half minute, on Ctrl-C and SIGTERM, and at the end of a stage.
    resume : bool
        Continue from the checkpoint, if there is one.
    threads : int, optional
        Largest number of CPU threads. None: that of PyTorch, at most the CPUs that the process may use. The result
        does not depend on it.

    Returns
    -------
    histories : list of list of Epoch
        For each stage one row per epoch.

    Raises
    ------
    TrainingDivergedError
        If the loss stops being finite. The last good checkpoint stays.
    TrainingCollapsedError
        If one side of an adversarial training collapses. The last checkpoint stays.
    TrainingInterrupted
        After Ctrl-C, at the end of the step and once the checkpoint is written, or after another exception, its cause.
    SystemExit
        After SIGTERM, once the checkpoint is written.
    """
    together = processes()
    callback = callback if callback is not None and together.is_first else Callback()
    state = checkpoint.load() if checkpoint is not None and resume else None
    done = [] if state is None else [[Epoch(**row) for row in rows] for rows in state.values["done"]]
    where = 0 if state is None else 1 + state.values["epoch"] + len(done)
    n_records = sum(len(stage.records) for stage in stages)
    begin_together(together, whole, seeds=seed, stages=len(stages), records=n_records, checkpoints=where)
    run: Run | None = None
    is_on_cpu = all(stage.records.device.type == "cpu" for stage in stages)
    with (
        one_openmp_thread() if is_on_cpu else nullcontext(),
        Workers(most_workers(threads) if is_on_cpu else 1) as workers,
    ):
        try:
            for stage in stages[len(done) :]:
                run = Run(stage, whole, done, workers, together, seed=seed, callback=callback, checkpoint=checkpoint)
                if state is not None:
                    restore(run, state)
                    state = None
                done, run = [*done, run.complete()], None
        except (TrainingDivergedError, TrainingCollapsedError):
            raise
        except (KeyboardInterrupt, Exception) as stop:
            if run is None:
                raise TrainingInterrupted(done, 0, is_over=True) from stop
            raise TrainingInterrupted([*done, run.end_here()], run.epoch, is_over=run.is_over) from stop
    return done


class Run:
    """A running stage: its settings and its state."""

    def __init__(
        self,
        stage: Stage,
        whole: nn.Module,
        done: list[list[Epoch]],
        workers: Workers,
        together: Processes,
        *,
        seed: int,
        callback: Callback,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.stage, self.whole, self.done, self.workers = stage, whole, done, workers
        self.learner, self.records, self.settings = stage.learner, stage.records, stage.settings
        self.seed, self.callback, self.saves = seed, callback, checkpoint is not None
        self.together, self.checkpoint = together, checkpoint if together.is_first else None
        self.reduction = Reduction(together, self.learner, stage.opponent) if together.n > 1 else None
        self.stepper = stage.stepper or self.settings.optimiser.build(self.learner.parameters())
        self.device, self.n_epochs = self.records.device, stage.n_epochs
        self.by_blocks = together.any(bool(self.records.files))  # shuffled
        self.divide(self.settings.batch_size * together.n)
        self.errors = SquaredErrors(self.device)

        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.cut(choose_n_shards(self.learner, self.records, self.settings.batch_size))
        self.history: list[Epoch] = []
        self.losses_after: list[float] = []  # each epoch, for the schedule
        self.best = Best()
        self.averages, self.opponent = Averages(self.learner, self.settings.averaging), stage.opponent
        if stage.start_loss is not None and stage.keeps_best:
            self.best.keep_better(stage.start_loss, self.learner)
        self.is_stopped = False  # by the callback
        self.last_look = self.last_save = time.monotonic()

    def complete(self) -> list[Epoch]:
        """Train to the end of the stage and return its history."""
        if self.stage.name:
            self.callback.stage(self.stage.name)
        self.callback.start(self.stage.first_epoch + self.n_epochs, len(self.records), self.number - 1)
        try:
            with kept_if_asked(), read_at_random(self.stage.files), Interruption(saves=self.saves) as interruption:
                while not self.is_over:
                    self.train_epoch(interruption)
                self._save_if_asked()
                if self.together.any(interruption.requested):  # during the last step or the last validation
                    interruption.stop()
        finally:
            self.callback.stop()
        self._keep_weights()
        return self.history

    def _keep_weights(self) -> None:
        """Give the learner the weights that the run keeps: the best on validation, or the last or their mean."""
        self.averages.keep()
        self.best.load_into(self.learner)

    def end_here(self) -> list[Epoch]:
        """Give the learner the weights that it keeps if the run ends now, and return the history.

        A row for the unfinished epoch is its last one. The history is empty if nothing was learned that is finite.
        """
        try:
            self._check_weights()
            unfinished = unfinished_epoch(self)
        except TrainingDivergedError:
            self.best.load_into(self.learner)
            return self.history if self.best.weights else []
        self._keep_weights()
        return self.history if unfinished is None else [*self.history, unfinished]

    @property
    def is_over(self) -> bool:
        patience = self.settings.patience
        has_waited = patience is not None and self.best.epochs_since >= patience
        is_done = self.epoch == self.n_epochs or self.is_stopped or has_waited
        if is_done or not self.stage.keep_best:
            return is_done
        return self.best.is_passed(self.history, self.n_epochs, math.prod(self.learner.shape))

    @property
    def number(self) -> int:
        """The number of the current epoch, from 1, over all runs of the learner."""
        return self.stage.first_epoch + self.epoch + 1

    @property
    def _save_is_due(self) -> bool:
        return self.checkpoint is not None and time.monotonic() - self.last_save > _SAVE_SECONDS

    def train_epoch(self, interruption: Interruption) -> None:
        order, began = self._order(), time.perf_counter()
        while self.step < self.n_steps:
            at = self.step * self.batch_size
            end = len(order) if self.step == self.n_steps - 1 else at + self.batch_size
            self._train_step(order.batch(at, end), stops=interruption.requested)
            self.step += 1
            if interruption.requested if self.reduction is None else self.reduction.must_stop:
                self.seconds += time.perf_counter() - began
                self._save_if_asked()
                interruption.stop()
            is_checked = self.reduction is None or self.reduction.is_checked  # so that all find losses to be not finite
            if is_checked and time.monotonic() - self.last_look > _LOOK_SECONDS:
                self.callback.step(self.number, end, self.mean_loss())
                if self._save_is_due:
                    self.seconds, began = self.seconds + time.perf_counter() - began, time.perf_counter()
                    self.save()
        self._end_epoch(self.mean_loss(), self.seconds + time.perf_counter() - began)
        if self._save_is_due:  # an epoch may be too short for a reading within it
            self.save()

    def _train_step(self, indices: Tensor, *, stops: bool) -> None:
        began = 0.0 if self.pace.is_fixed else time.perf_counter()
        self.stepper.learning_rate = self.learning_rate(self.step)
        errors = self.errors if self.step % EVERY == 0 else None
        if self.reduction is not None:
            reseed_for_step(self.noises, self._seed_of_noise, self.step, self.together.rank)
            with openmp_threads(self.pace.n_threads) if self.n_shards == 1 else nullcontext():
                part = self.shards.backward(indices, self.noises, self.pace.n_threads, errors)
            loss = self.reduction(part, stops=stops)
        elif self.n_shards == 1:
            with openmp_threads(self.pace.n_threads):
                loss = self._backward(indices, errors)
        else:
            loss = self.shards.backward(indices, self.noises, self.pace.n_threads, errors)
        self.stepper.step()
        self.averages.update()
        self.losses[self.step] = loss.detach()
        if self.reduction is not None and self.reduction.finds_bad(self.losses[: self.step + 1]):
            self.step += 1
            self.mean_loss()  # raises the error in all processes
        self.pace.record(0.0 if self.pace.is_fixed else time.perf_counter() - began)

    def _backward(self, indices: Tensor, errors: SquaredErrors | None) -> Tensor:
        """Set the gradients of a whole batch and return its loss; an opponent takes its step."""
        if self.direct is not None:
            return self.direct.backward(self.records.take(indices), self.noises[0], errors)
        terms = self.learner.loss(self.records.take(indices), *self.noises)
        loss = weighted(terms.total, self.records.weights_of(indices)).mean()
        if errors is not None:
            errors.add(squares_of(terms))
        contest = None if self.opponent is None else contest_of(terms)
        del terms  # its tensors are freed as the gradients are computed
        self.stepper.zero_grad()
        if self.opponent is None or contest is None:
            loss.backward()  # type: ignore[no-untyped-call]
            return loss
        self.opponent.backward(loss, contest, self.stepper.weights)
        self.opponent.step(contest, self._factor(self.step))
        return loss

    def learning_rate(self, step: int) -> float:
        """Return the learning rate at a step of this epoch."""
        return float(self.settings.optimiser.learning_rate) * self._factor(step)

    def _factor(self, step: int) -> float:
        """Return what the schedule multiplies learning rates by at a step of this epoch."""
        progress = (self.epoch + step / self.n_steps) / self.n_epochs
        return float(self.settings.schedule.factor(progress, self.losses_after))

    def _end_epoch(self, loss: float, seconds: float) -> None:
        self._check_weights()
        if self.opponent is not None:
            self.opponent.check(f"epoch {self.number}, by step {self.n_steps}")
        with self.averages.applied():
            validation_loss, validation_mse = self._validate()
        row = Epoch(
            epoch=self.number,
            loss=loss,
            validation_loss=validation_loss,
            learning_rate=self.learning_rate(self.n_steps - 1),
            seconds=seconds,
            records_per_second=len(self.records) / seconds,
            threads=self.pace.mostly_used,
            shards=self.n_shards,
            mse=self.errors.over(self.together).mean(),
            validation_mse=validation_mse,
        )
        self.history.append(row)
        self.losses_after.append(row.watched_loss)
        if self.stage.keeps_best:
            assert row.validation_loss is not None, "the best epoch needs validation data"
            with self.averages.applied():
                self.best.keep_better(row.validation_loss, self.learner)
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.noises, self.errors = self._noises(), SquaredErrors(self.device)
        self.pace.used.clear()
        self.is_stopped = self.together.any(self.callback.epoch(row) is True)

    def _validate(self) -> tuple[float | None, float | None]:
        held_out = self.stage.validation
        return (
            (None, None) if held_out is None else mean_loss_and_mse(self.learner, held_out, self.workers, self.together)
        )

    def _order(self) -> Order:
        if not self.settings.shuffle:
            return Order(torch.arange(len(self.records), device=self.device), self.records)
        drawn_by = generator(self.seed, self.stage.order, *self.stage.index, self.number - 1)
        return Order.drawn(self.records, drawn_by, by_blocks=self.by_blocks, neighbours=self.stage.neighbours)

    def divide(self, batch_size: int) -> None:
        """Divide the records into batches of this size, that of all processes together, from now on."""
        self.batch_size = batch_size
        self.n_steps = steps_of_an_epoch(self.learner, self.records, batch_size, self.together.n)
        self.losses = wide(torch.zeros(self.n_steps, device=self.device))  # of the epoch's steps

    def cut(self, n_shards: int) -> None:
        """Split a process's part of a batch into this many shards from now on."""
        self.n_shards, most = n_shards, self.workers.most
        self.shards = Shards(self.learner, self.records, self.workers, self.together)
        self.direct = direct_step(self.learner, self.records) if n_shards == self.together.n == 1 else None
        self.pace = Pace(most, self._same_bits) if n_shards == 1 else Pace(min(n_shards, most))
        self.noises = self._noises()

    def _same_bits(self, n_threads: int) -> bool:
        """Return whether this many OpenMP threads compute the same gradients of whole batches as one."""
        n, size, whole = len(self.records), self.batch_size, self.together.n
        sizes = {min(size, n) // whole, max((n - (self.n_steps - 1) * size) // whole, 1)}
        return same_bits(self.learner, self.records, sizes, n_threads, direct=self.direct)

    def _noises(self) -> list[Generator]:
        """Return the generators of the shards' noise in this epoch; the first is also that of a whole batch."""
        stream, index = self.stage.noise, (*self.stage.index, self.number - 1)
        of_epoch = self._seed_of_noise = integer(self.seed, stream, *index)
        others = range(1, self.n_shards)
        return [
            generator(self.seed, stream, *index, device=self.device),
            *(generator(of_epoch, Stream.SHARD_NOISE, shard, device=self.device) for shard in others),
        ]

    def mean_loss(self) -> float:
        """Return the mean loss of the epoch so far if it is finite. Only here the loop waits for the device."""
        self.last_look = time.monotonic()
        losses = self.losses[: self.step].cpu()
        bad = (~losses.isfinite()).nonzero()
        if len(bad):
            self._diverged(f"at step {int(bad[0]) + 1}", is_first_step=self.epoch == int(bad[0]) == 0)
        sizes = torch.full_like(losses, self.batch_size)
        if self.step == self.n_steps:
            sizes[-1] = len(self.records) - (self.n_steps - 1) * self.batch_size
        return float((losses * sizes).sum() / sizes.sum())

    def _check_weights(self) -> None:
        # The loss is computed before the step, so it does not show whether the last step spoiled the weights.
        weights = [one for one in self.learner.state_dict().values() if one.is_floating_point() and one.numel()]
        if not all(math.isfinite(torch.linalg.vector_norm(one, math.inf)) for one in weights):
            self._diverged(f"after step {self.step}")

    def _diverged(self, where: str, *, is_first_step: bool = False) -> None:
        rate = self.learning_rate(max(self.step - 1, 0))
        kept = (
            f"The last good state is in {self.checkpoint.path}." if self.checkpoint and self.checkpoint.exists else ""
        )
        where = f"epoch {self.epoch + 1}, {where} of {self.n_steps}"
        raise diverged(self.learner, where, rate, is_first_step=is_first_step, kept=kept)

    def _save_if_asked(self) -> None:
        if self.checkpoint is not None:
            self.save()

    def save(self) -> None:
        """Write the checkpoint, unless the run has diverged."""
        assert self.checkpoint is not None
        self.mean_loss()
        self._check_weights()
        self.checkpoint.save(state_of(self))
        self.last_save = time.monotonic()

    def named_noises(self) -> list[tuple[str, Generator]]:
        """Return the generators of the shards by their names in checkpoints."""
        return [("noise" if shard == 0 else f"noise.{shard}", noise) for shard, noise in enumerate(self.noises)]
