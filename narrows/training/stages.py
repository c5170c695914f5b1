"""Stages: a run may train one thing after another, all of it part of one whole."""

from __future__ import annotations

from dataclasses import dataclass

from narrows.numerics.randomness import Stream
from narrows.training.learner import Learner
from narrows.training.records import Records
from narrows.training.settings import Training

__all__ = ["Stage"]


@dataclass(frozen=True)
class Stage:
    """What the training loop does without a break: one learner, on its records, with its settings.

    Attributes
    ----------
    learner : Chain, or what learns as one does
        On the device of the records.
    records, validation : Records
        What to train on, and what to measure the validation loss on after each epoch.
    settings : Training
        How.
    name : str
        What people are told; empty where there is nothing to tell apart.
    order, noise : Stream
        What the order of the records and the noise are drawn from. Stages of one run have streams of their own.
    index : tuple of int
        Indices of these streams, before the epoch.
    keep_best : bool
        Whether the weights of the epoch with the lowest validation loss are kept, instead of the last.
    """

    learner: Learner
    records: Records
    validation: Records | None
    settings: Training
    name: str = ""
    order: Stream = Stream.ORDER
    noise: Stream = Stream.NOISE
    index: tuple[int, ...] = ()
    keep_best: bool = False
