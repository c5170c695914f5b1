"""A frozen model of bytes: a sample of text, coded by itself, from which every reader learns the same.

Reading the sample learns tables, maps and weights, which is the state that groups of records are coded from. Records
that are coded alone do not have records like themselves just before them. Their state is learnt again: the records of
the sample are inserted into empty tables in about 32 blocks, of at most 64 records. Before any but the first is
inserted, each of its records is predicted alone, and maps, hits and weights learn from this; the changes of the tables
are reverted. The mean of what is learnt after each block of the second half is used, since it depends on the last. ::

    sample ─ decode, keeps ─► state of groups ─ learnt ─► blocks: predict alone, revert; insert ─► state of records

A group is coded while the model learns, and records alone while only the tables change.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from narrows.codec.text.mixer import FIRST, LARGER, Size, numbers_of, set_numbers
from narrows.codec.text.model import Mode
from narrows.codec.text.records import Records, State, code_records, joined, split
from narrows.codec.text.states import States
from narrows.codec.text.tables import MOST_BITS, Tables
from narrows.errors import CorruptArchiveError, ModelFileError

__all__ = ["MOST_SAMPLE", "FrozenBytes"]

MOST_SAMPLE = 1 << 24
"""The largest number of bytes of a sample, with a line end for each record."""

_NAMES = {"bytes": 1, "bytes-2": 2, "bytes-3": 3, "bytes-4": 4}  # of versions
_FIRST_BLOCK, _MOST_BLOCK, _N_BLOCKS = 32, 64, 32
_LEAST_BITS, _ENOUGH_BITS = 10, 22
_NO_BYTES: NDArray[np.uint8] = np.empty(0, np.uint8)


@dataclass(eq=False)
class FrozenBytes:
    """A model of the bytes of records of text.

    Attributes
    ----------
    coded : bytes
        The sample, coded by itself.
    n_bytes, n_records : int
        The bytes and the records of the sample.
    bits : int
        The number of buckets is 2^bits.
    version : int
        1: the state of records alone is learnt from every second block of 32 records, as the first models did it; 2:
        from all blocks; 3: also with more contexts and sets of weights; 4: the state of records alone is a mean.
    """

    coded: bytes
    n_bytes: int
    n_records: int
    bits: int
    version: int = 2
    _groups: States = field(init=False, repr=False)
    _alone: States = field(init=False, repr=False)
    _sample: list[bytes] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not 0 <= self.n_bytes + self.n_records <= MOST_SAMPLE or not 1 <= self.bits <= MOST_BITS:
            raise CorruptArchiveError(
                f"A model of bytes has a sample of at most {MOST_SAMPLE:,} bytes and at most 2^{MOST_BITS} buckets. "
                f"Got {self.n_bytes + self.n_records:,} and 2^{self.bits}."
            )
        self._groups = States(_weak(self._learnt_groups))
        self._alone = States(_weak(self._learnt_alone))

    @classmethod
    def of(cls, sample: Sequence[bytes], *, most_bits: int = _ENOUGH_BITS, version: int = 2) -> FrozenBytes:
        """Return the model of a version that learns from a sample of records, with at most 2^most_bits buckets."""
        data, ends = joined(sample)
        n_text, n, n_sessions = len(data) + len(ends), len(ends), min(len(ends), 1)
        bits = min(max((2 * n_text).bit_length(), _LEAST_BITS), most_bits)
        room, n_coded = len(data) + 64, -1
        while n_coded < n:
            state = State.empty(bits, _size(version))
            state.make_room(n_text)
            coded = Records(data, ends, max(n, 1), np.zeros(room, np.uint8), np.zeros(n_sessions, np.int64))
            n_coded = code_records(state, coded, Mode.ENCODE, learns=True, keeps=True, resets=False)
            room *= 4
        state.at += n_text
        model = cls(b"".join(split(coded.coded.tobytes(), coded.coded_ends)), len(data), n, bits, version)
        model._groups, model._sample = States(lambda: state), list(sample)
        return model

    def encode(self, records: Sequence[bytes], group: int = 1) -> list[bytes]:
        """Return records as coded groups; each can be decoded alone.

        Parameters
        ----------
        records : sequence of bytes
            The records.
        group : int
            The number of records of a group.
        """
        data, ends = joined(records)
        room, n_groups, learns = len(data) + 8 * len(records) + 64, -(-len(records) // group), group > 1
        with (self._groups if learns else self._alone).one() as state:
            state.make_room(_longest(ends, group))
            while True:
                coded = Records(data, ends, group, np.zeros(room, np.uint8), np.zeros(n_groups, np.int64))
                n_coded = code_records(state, coded, Mode.ENCODE, learns=learns, keeps=False, resets=learns)
                if n_coded == len(records):
                    return split(coded.coded.tobytes(), coded.coded_ends)
                room *= 4

    def decode(self, coded: Sequence[bytes], n_records: int, n_bytes: int, group: int = 1) -> list[bytes]:
        """Return the records of `encode`.

        Parameters
        ----------
        coded : sequence of bytes
            The groups; they may come from an untrusted file.
        n_records : int
            The number of all records.
        n_bytes : int
            At least the number of bytes of all records. Memory and time grow with it: bound it before you trust a file.
        group : int
            As for `encode`.

        Raises
        ------
        CorruptArchiveError
            If the records have more bytes, or there is another number of groups.
        """
        n_groups = -(-n_records // group)
        if len(coded) != n_groups:
            raise CorruptArchiveError(f"Coded records must be in {n_groups:,} groups. Got {len(coded):,}.")
        data, ends = joined(coded)
        found = Records(np.zeros(n_bytes, np.uint8), np.zeros(n_records, np.int64), group, data, ends)
        learns = group > 1
        with (self._groups if learns else self._alone).one() as state:
            state.make_room(n_bytes + min(group, n_records))
            n_decoded = code_records(state, found, Mode.DECODE, learns=learns, keeps=False, resets=learns)
        if n_decoded != n_records:
            raise CorruptArchiveError(f"Coded records have more than {n_bytes:,} bytes.")
        return split(found.data.tobytes(), found.ends)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.coded, self.n_bytes, self.n_records, self.bits, self.version)

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return settings, as JSON values, and tensors, from which `from_tensors` makes the model."""
        name = next(name for name, version in _NAMES.items() if version == self.version)
        settings = {"model": name, "n_bytes": self.n_bytes, "n_records": self.n_records, "bits": self.bits}
        return settings, {"coded": np.frombuffer(self.coded, np.uint8).astype(np.int16)}

    @classmethod
    def from_tensors(cls, settings: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Return the model of `to_tensors`.

        Raises
        ------
        ModelFileError, CorruptArchiveError
            If this is no model of bytes.
        """
        numbers: list[Any] = [settings.get(name) for name in ("n_bytes", "n_records", "bits")]
        coded = tensors.get("coded")
        version = _NAMES.get(str(settings.get("model")))
        are_numbers = all(type(number) is int for number in numbers)
        if version is None or not are_numbers or coded is None or coded.ndim != 1 or coded.dtype != np.int16:
            raise ModelFileError("The model of bytes is damaged: it has other settings or tensors.")
        if len(coded) and not 0 <= int(coded.min()) <= int(coded.max()) <= 255:
            raise ModelFileError("The model of bytes is damaged: its sample has numbers that are no bytes.")
        n_bytes, n_records, bits = numbers
        return cls(coded.astype(np.uint8).tobytes(), n_bytes, n_records, bits, version)

    def sample(self) -> list[bytes]:
        """Return the records of the sample.

        Raises
        ------
        CorruptArchiveError
            If the coded sample has another number of bytes than it should have.
        """
        if self._sample is None:
            self._sample = self._decoded()[0]
        return self._sample

    def _decoded(self) -> tuple[list[bytes], State]:
        state = State.empty(self.bits, _size(self.version))
        state.make_room(self.n_bytes + self.n_records)
        data, ends = joined([self.coded] if self.n_records else [])
        values, found_ends = np.zeros(self.n_bytes, np.uint8), np.zeros(self.n_records, np.int64)
        found = Records(values, found_ends, max(self.n_records, 1), data, ends)
        n = code_records(state, found, Mode.DECODE, learns=True, keeps=True, resets=False)
        if n != self.n_records or (n and found.ends[-1] != self.n_bytes):
            raise CorruptArchiveError(f"The sample of a model of bytes does not have {self.n_bytes:,} bytes.")
        state.at += self.n_bytes + self.n_records
        return split(found.data.tobytes(), found.ends), state

    def _learnt_groups(self) -> State:
        """Return the state of records that are coded in groups."""
        self._sample, state = self._decoded()
        return state

    def _learnt_alone(self) -> State:
        """Return the state of records that are coded alone."""
        with self._groups.one() as groups:
            learnt, history = groups.learnt.copy(), groups.history[: groups.at].copy()
        sample = self.sample()
        state = State(Tables.empty(self.bits), learnt, history, 1, _size(self.version))
        is_first = self.version == 1
        size = _FIRST_BLOCK if is_first else min(1 + len(sample) // _N_BLOCKS, _MOST_BLOCK)
        sums, n_summed = np.int64(0) * numbers_of(learnt), 0
        for first in range(0, len(sample), size):
            data, ends = joined(block := sample[first : first + size])
            if first // size % 2 if is_first else first:
                each = Records(data, ends, 1, _NO_BYTES, np.zeros(len(block), np.int64))
                code_records(state, each, Mode.ENCODE, learns=True, keeps=False, resets=False)
                if self.version > 3 and 2 * first >= len(sample):
                    sums, n_summed = sums + numbers_of(learnt), n_summed + 1
            together = Records(data, ends, len(block), _NO_BYTES, np.zeros(1, np.int64))
            code_records(state, together, Mode.INSERT, learns=False, keeps=True, resets=False)
            state.at += len(data) + len(block)
        if n_summed:
            set_numbers(learnt, sums // n_summed)
        return state


def _size(version: int) -> Size:
    return FIRST if version < 3 else LARGER


def _weak(method: Callable[[], State]) -> Callable[[], State]:
    """Return a method that does not keep its object, so that its states, of many MB, are freed as soon as it is."""
    reference = weakref.WeakMethod(method)

    def called() -> State:
        found = reference()
        assert found is not None, "a model is alive while it is used"
        return found()

    return called


def _longest(ends: NDArray[np.int64], group: int) -> int:
    """Return the largest number of bytes of a group, with line ends."""
    edges = np.concatenate([[0], ends[group - 1 :: group], ends[-1:]])
    return int(np.diff(edges).max(initial=0)) + group
