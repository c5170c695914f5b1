"""Checkpoints: the complete state of a run between two steps, in one safetensors file.

Training continues from a checkpoint as if it had never stopped: the file has weights, optimiser, position in the epoch
and the state of every generator, so that on one device the result is the same to the bit.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from narrows.errors import InvalidParameterError, ModelFileError, OutputExistsError
from narrows.io.files import write_atomically
from narrows.numerics.shared_memory import apart
from narrows.training.learner import Learner
from narrows.training.optimisers import Stepper

__all__ = [
    "Checkpoint",
    "State",
    "is_checkpoint",
    "is_over",
    "names_in",
    "pack_optimiser",
    "read_checkpoint",
    "unpack_optimiser",
]

_FORMAT = "narrows checkpoint 2"
_MOST_LETTERS = 100  # of a value in an error
_DAMAGED = (SafetensorError, OSError, KeyError, TypeError, ValueError)


@dataclass
class State:
    """The state of a run between two steps.

    Attributes
    ----------
    tensors : dict of str to Tensor
        Weights, best weights, optimiser's moments, losses of the epoch's steps so far, generator's state.
    values : dict
        Plain values: seed, histories of the completed stages, epoch, step, history, the best validation loss, and the
        number of epochs since. Besides, for those who only read the checkpoint: the number of epochs planned, whether
        the stage is over, the row of the unfinished epoch, and the names that the learner's tensors have among the
        weights.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Duration of the epochs so far."""
        rows = [row for stage in (*self.values["done"], self.values["history"]) for row in stage]
        return float(sum(row["seconds"] for row in rows) + self.values["seconds"])

    def group(self, prefix: str) -> dict[str, Tensor]:
        """Return the tensors whose names begin with ``prefix.``, by names without it."""
        return {name.removeprefix(f"{prefix}."): t for name, t in self.tensors.items() if name.startswith(f"{prefix}.")}


@dataclass(frozen=True)
class Checkpoint:
    """The file that stores the state of a run.

    Parameters
    ----------
    path : Path
        The file.
    run : dict
        Settings and data, which identify the run. The state of another run is refused.
    model : dict, optional
        What a model file contains besides the weights, as JSON values; the weights can then be read as a model.
    arrays : dict of str to Tensor
        The tensors of a model file that are not learned.
    """

    path: Path
    run: dict[str, Any]
    model: dict[str, Any] | None = None
    arrays: dict[str, Tensor] = field(default_factory=dict)

    @property
    def exists(self) -> bool:
        """Return whether a state has been written."""
        return self.path.exists()

    def save(self, state: State) -> None:
        """Write the state; it replaces the previous one only when it is complete on disk."""
        text = json.dumps({"run": self.run, "values": state.values, "model": self.model})
        tensors = state.tensors | {f"model.{name}": tensor for name, tensor in self.arrays.items()}
        data = save(apart(tensors), {_FORMAT: text})
        write_atomically(self.path, lambda file: _write(file, data), force=True)

    def load(self) -> State | None:
        """Return the state, or None if there is none.

        Raises
        ------
        InvalidParameterError
            If the state is that of a run with other settings or data; the message names what differs.
        ModelFileError
            If the file is damaged.
        """
        if not self.exists:
            return None
        described, state = read_checkpoint(self.path)
        another = self._another_run(described["run"])
        if another:
            raise InvalidParameterError(
                f"{another} Resume with the same settings and data, or delete the file to start again."
            )
        return state

    def check_replaceable(self) -> None:
        """Refuse to begin a run whose checkpoint would replace another file, or the state of another run.

        Raises
        ------
        OutputExistsError
            If the file exists and is not a checkpoint of this run.
        """
        if not self.exists:
            return
        if not is_checkpoint(self.path):
            raise OutputExistsError(
                f"The 'checkpoint' of fit would replace {self.path}, which is not a checkpoint. Give another name, or "
                "delete the file."
            )
        try:
            another = self._another_run(_description(self.path)["run"])
        except InvalidParameterError as error:  # of another version
            raise OutputExistsError(str(error)) from error
        except _DAMAGED:  # of no use to any run
            return
        if another:
            raise OutputExistsError(f"{another} Give the 'checkpoint' another name, or delete the file.")

    def _another_run(self, then: dict[str, Any]) -> str:
        """Return a sentence that names how the run of the file differs from this one; empty if it does not."""
        now = _plain(self.run)
        different = [key for key in {**now, **then} if now.get(key) != then.get(key)]
        if not different:
            return ""
        return f"{self.path} belongs to a run with another {' and '.join(different)}." + _differences(
            then, now, different
        )


def is_checkpoint(path: str | os.PathLike[str]) -> bool:
    """Return whether a file is a checkpoint of any version."""
    try:
        with safe_open(path, framework="pt") as file:
            return any(key.startswith(_FORMAT[:-1]) for key in file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def read_checkpoint(path: Path) -> tuple[dict[str, Any], State]:
    """Return the description in a checkpoint (``run`` and ``model``), and the state.

    Raises
    ------
    InvalidParameterError
        If the file was written by another version of narrows.
    ModelFileError
        If it is damaged, or not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            described = _described(path, file.metadata() or {})
            values = dict(described.pop("values"))
            described["run"] = dict(described["run"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (InvalidParameterError, ModelFileError):
        raise
    except _DAMAGED as error:
        raise ModelFileError(f"{path} is not a checkpoint of narrows, or is damaged: {error}.") from error
    return described, State(tensors, values)


def _description(path: Path) -> dict[str, Any]:
    """Return all of a checkpoint that is not a tensor."""
    with safe_open(path, framework="pt") as file:
        return _described(path, file.metadata() or {})


def _described(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """Return the description in a checkpoint's metadata: ``run``, ``values`` and ``model``."""
    if _FORMAT not in metadata and any(key.startswith(_FORMAT[:-1]) for key in metadata):
        raise InvalidParameterError(
            f"{path} was written by another version of narrows. Delete the file to start again."
        )
    if _FORMAT not in metadata:
        raise ModelFileError(
            f"{path} is not a checkpoint of narrows, or is damaged: it has no state of a run. To train a saved model "
            "further, load it: narrows.load(path).fit(X, more_epochs=N)."
        )
    return json.loads(metadata[_FORMAT])  # type: ignore[no-any-return]


def is_over(values: dict[str, Any]) -> bool:
    """Return whether the stage of a state is over; of an earlier version, whether it has all of its epochs."""
    return bool(values.get("is_over", values["epoch"] == values.get("n_epochs")))


def names_in(part: Learner, whole: nn.Module) -> dict[str, str]:
    """Return, for tensors of a whole, the names that the same tensors have in a part of it."""
    names = {tensor.data_ptr(): name for name, tensor in part.state_dict().items() if tensor.numel()}
    there = {name: names.get(tensor.data_ptr()) for name, tensor in whole.state_dict().items() if tensor.numel()}
    return {name: its for name, its in there.items() if its is not None}


def _write(file: BinaryIO, data: bytes) -> None:
    file.write(data)


def _differences(then: dict[str, Any], now: dict[str, Any], names: list[str]) -> str:
    """Return the values that differ as a sentence; none for contents, which are digests."""
    shown = [
        f"{name} was {_shortened(then.get(name))} and is {_shortened(now.get(name))} now"
        for name in names
        if not name.startswith("content")
    ]
    return f" The {'; the '.join(shown)}." if shown else ""


def _shortened(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(values))  # type: ignore[no-any-return]


def pack_optimiser(stepper: Stepper) -> dict[str, Tensor]:
    """Return the state of an optimiser as tensors named ``optimiser.<index>.<name>``."""
    return {
        f"optimiser.{index}.{name}": tensor for index, state in stepper.state.items() for name, tensor in state.items()
    }


def unpack_optimiser(stepper: Stepper, state: State) -> None:
    """Restore the state of an optimiser."""
    by_weight: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.group("optimiser").items():
        index, key = name.split(".")
        by_weight.setdefault(int(index), {})[key] = tensor
    stepper.restore(by_weight)
