"""The settings of a training run."""

from __future__ import annotations

from typing import Any

import torch

from narrows.errors import InvalidParameterError
from narrows.numerics.floats import has_float64
from narrows.parts.options import Boolean, Choice, Integer, Real, option, optional
from narrows.parts.part import OneOf, Part
from narrows.training.optimisers import Adam, Optimiser
from narrows.training.schedules import Schedule

__all__ = ["Training", "find_device", "resolve_device", "resolve_training", "training_device"]

# The number of steps for 'epochs=None': enough for most of the quality in an acceptable time.
_STEPS = 6_000
_MOST_EPOCHS, _FEWEST_EPOCHS = 200, 3
_DEVICES = ("cpu", "cuda", "mps")


class Training(Part, axis="training", name="training"):
    """Settings of a training run.

    Examples
    --------
    >>> Training(epochs=30, optimiser="sgd").optimiser.learning_rate
    0.1
    """

    epochs: int | None = option(
        optional(Integer(1)),
        "passes over the training data; a run that keeps its best weights ends earlier if it overfits; None: chosen by "
        "the number of records",
        default=None,
    )
    batch_size: int = option(Integer(1), "records per step", default=128)
    # Given by name or by value, stored by value.
    optimiser: Any = option(OneOf(Optimiser), "the optimiser", factory=lambda: Adam(learning_rate=2e-3))
    schedule: Any = option(OneOf(Schedule), "the learning rate over the run", default="one-cycle")
    validation: float | None = option(
        optional(Real(0, 0.9)),
        "share of the training data held out for validation; None: a tenth, at most 2,000 records, if the network has "
        "a linear path (the best weights are then kept), otherwise 0",
        default=None,
    )
    patience: int | None = option(
        optional(Integer(1)),
        "epochs without a better validation loss before stopping; keeps the best weights",
        default=None,
    )
    averaging: float = option(
        Real(0, 1, open_high=True),
        "decay, for each step, of a running mean of the weights, which validation measures and the run keeps; 0: the "
        "weights themselves",
        default=0.0,
    )
    shuffle: bool = option(
        Boolean(),
        "a new order in every epoch; of a file larger than half the memory one by blocks, so that it is read fast",
        default=True,
    )
    precision: str = option(Choice("float32", "float64"), "dtype of the weights", default="float32")
    threads: int | None = option(
        optional(Integer(1)), "CPU threads to train with; None: as many as the process may use", default=None
    )
    device: str = option(
        Choice("auto", "cpu", "cuda", "mps"),
        "'auto': a CUDA device if there is one; 'mps': an Apple GPU, on which networks are trained, while everything "
        "else is computed on the CPU, since it has no float64",
        default="auto",
    )

    def _check(self) -> None:
        super()._check()
        if self.precision == "float64" and self.device == "mps":
            raise InvalidParameterError(
                "The 'precision' of Training must be 'float32' with device='mps', which has no float64. "
                "Set device='cpu', or precision='float32'."
            )

    def n_epochs(self, n_records: int) -> int:
        """Return the number of epochs for a number of records."""
        if self.epochs is not None:
            return self.epochs
        steps_an_epoch = -(-n_records // self.batch_size)
        return min(max(_STEPS // steps_an_epoch, _FEWEST_EPOCHS), _MOST_EPOCHS)


def resolve_training(settings: Training | None) -> Training:
    """Return the settings of a parameter 'training'; None means the defaults.

    Raises
    ------
    InvalidParameterError
        If the value is neither None nor a Training.
    """
    if settings is None:
        return Training()
    if not isinstance(settings, Training):
        raise InvalidParameterError(
            f"The 'training' of Autoencoder must be a narrows.Training or None. Got {settings!r}."
        )
    return settings


def resolve_device(settings: Training | None) -> torch.device:
    """Return the device of a model on this machine: that of the settings, or the CPU if that one has no float64.

    Raises
    ------
    InvalidParameterError
        If there is no such device.
    """
    device = training_device(settings)
    return device if has_float64(device) else torch.device("cpu")


def training_device(settings: Training | None) -> torch.device:
    """Return the device of the settings on this machine, on which networks are trained.

    Raises
    ------
    InvalidParameterError
        If there is no such device.
    """
    return find_device(resolve_training(settings).device)


def find_device(name: str | torch.device) -> torch.device:
    """Return a device of this machine: "auto", a CUDA device if there is one, or a name of PyTorch's, as "cuda:1".

    Raises
    ------
    InvalidParameterError
        If there is no such device.
    """
    if str(name) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = torch.device("meta")
    if device.type not in _DEVICES:
        raise InvalidParameterError(f"The device must be 'auto', 'cpu', 'cuda' or 'mps'. Got {str(name)!r}.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InvalidParameterError(f"The device '{name}' was requested, but PyTorch finds none. Use 'auto' or 'cpu'.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InvalidParameterError("The device 'mps' was requested, but PyTorch finds none. Use 'auto' or 'cpu'.")
    if device.type == "cuda" and device.index is not None and device.index >= torch.cuda.device_count():
        n = torch.cuda.device_count()
        raise InvalidParameterError(f"The device '{name}' was requested, but PyTorch finds {n}, numbered from 0.")
    return device
