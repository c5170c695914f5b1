"""Loss and learning rate over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import DataError
from narrows.pictures.style import ACCENT, CLASSES, INK, MUTED, PAPER, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curves"]

_DECADE = 10.0


@dataclass(frozen=True, kw_only=True)
class _Run:
    """One run as columns of floats; missing values and values that are not finite are NaN and are not drawn."""

    epoch: NDArray[np.float64]
    loss: NDArray[np.float64]
    validation_loss: NDArray[np.float64]
    learning_rate: NDArray[np.float64]
    seconds: NDArray[np.float64]

    @property
    def judged(self) -> NDArray[np.float64]:
        """The loss that selects the best epoch: the validation loss if there is one."""
        return self.validation_loss if np.isfinite(self.validation_loss).any() else self.loss

    @property
    def best(self) -> tuple[float, float] | None:
        """The best epoch and its loss, or None if no loss is finite."""
        if not np.isfinite(self.judged).any():
            return None
        place = int(np.nanargmin(self.judged))
        return float(self.epoch[place]), float(self.judged[place])


def curves(history: Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Mapping[str, Any]]]) -> Figure:
    """Draw the loss of every epoch with the best epoch marked, and the learning rate below.

    The loss axis is logarithmic if all losses are positive and the largest is more than ten times the smallest. The
    same applies to the learning rate.

    Parameters
    ----------
    history : list of dict, or dict of str to such lists
        One dict for each epoch, with ``epoch`` and ``loss`` (per record, in nats) and, where known,
        ``validation_loss``, ``learning_rate`` and ``seconds``; None and NaN are left out. Several runs, by name,
        share the axes.

    Returns
    -------
    matplotlib.figure.Figure
        One panel, or two if there is a learning rate.

    Raises
    ------
    DataError
        No epochs, an epoch without ``epoch`` or ``loss``, or a value that is not a number.
    """
    from matplotlib.ticker import MaxNLocator

    several = isinstance(history, Mapping)
    named = dict(history) if isinstance(history, Mapping) else {"": history}
    if not named:
        raise DataError("The history must have at least one run. Got none.")
    runs = {str(name): _as_run(str(name), epochs) for name, epochs in named.items()}
    has_rate = any(np.isfinite(run.learning_rate).any() for run in runs.values())
    with style():
        figure = new_figure(1400, 880 if has_rate else 720)
        figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.1)
        panels = figure.subplots(
            2 if has_rate else 1, 1, sharex=True, squeeze=False, height_ratios=[4, 1] if has_rate else [1]
        )[:, 0]
        for i, (name, run) in enumerate(runs.items()):
            _draw_run(panels[0], name if several else "", run, CLASSES[i % len(CLASSES)])
            if has_rate:
                colour = CLASSES[i % len(CLASSES)] if several else MUTED
                panels[1].plot(run.epoch, run.learning_rate, color=colour, drawstyle="steps-mid", linewidth=1.1)
        _finish_axes(panels[0], "loss per record, nats", [c for run in runs.values() for c in (run.loss, run.judged)])
        panels[0].legend(loc="best", frameon=True, facecolor=PAPER, edgecolor=PAPER, framealpha=0.9)
        if has_rate:
            _finish_axes(panels[1], "learning rate", [run.learning_rate for run in runs.values()], at_zero=True)
        panels[-1].set_xlabel("epoch")
        panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        if len(epochs := np.unique(np.concatenate([run.epoch for run in runs.values()]))) == 1:
            panels[-1].set_xlim(epochs[0] - 1, epochs[0] + 1)
        if not several and (spent := np.nansum(runs[""].seconds)) > 0:
            panels[0].set_title(
                _duration(len(runs[""].epoch), spent), loc="right", color=MUTED, size=7, weight="normal"
            )
        figure.draw_without_rendering()
    return figure


def _as_run(name: str, epochs: Sequence[Mapping[str, Any]]) -> _Run:
    """Return a history as columns."""
    run = f"The history of '{name}'" if name else "The history"
    if len(epochs) == 0:
        raise DataError(f"{run} must have at least one epoch. Got none.")
    columns: dict[str, NDArray[np.float64]] = {}
    for key in ("epoch", "loss", "validation_loss", "learning_rate", "seconds"):
        values = [entry.get(key) for entry in epochs]
        if key in {"epoch", "loss"} and any(key not in entry for entry in epochs):
            raise DataError(f"{run} has an epoch without '{key}'.")
        try:
            column = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise DataError(f"{run} has a '{key}' that is not a number: {error}.") from None
        columns[key] = np.where(np.isfinite(column), column, np.nan)
    return _Run(**columns)


def _draw_run(axes: Axes, name: str, run: _Run, colour: str) -> None:
    """Draw training and validation loss of one run, and mark its best epoch."""
    marker = "o" if len(run.epoch) == 1 else None
    validated = np.isfinite(run.validation_loss).any()
    prefix = f"{name}, " if name else ""
    if validated:
        axes.plot(
            run.epoch, run.loss, color=colour, alpha=0.55, linestyle=(0, (3, 1.6)), marker=marker, markersize=3,
            label=f"{prefix}training",
        )  # fmt: skip
    where = run.best
    best = "" if where is None else f"best: {where[1]:.4g} at epoch {where[0]:g}"
    label = f"{prefix}validation" if validated else f"{prefix}training"
    if name and best:
        label += f" ({best})"
    axes.plot(run.epoch, run.judged, color=colour, marker=marker, markersize=3, label=label)
    if where is not None:
        axes.plot(
            *where, marker="o", markersize=5.5, color=colour if name else ACCENT, markeredgecolor=PAPER, linestyle="",
            label=None if name else best, zorder=5,
        )  # fmt: skip


def _finish_axes(axes: Axes, label: str, columns: list[NDArray[np.float64]], *, at_zero: bool = False) -> None:
    """Label the axis, choose its scale, and write plain numbers at its ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    values = np.concatenate(columns)
    values = values[np.isfinite(values)]
    axes.set_ylabel(label)
    axes.grid(axis="y")
    if len(values) and values.min() > 0 and values.max() > _DECADE * values.min():
        axes.set_yscale("log")
        wide = values.max() > _DECADE**3 * values.min()
        # The low panel has room for powers of ten only.
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0,) if wide or at_zero else (1.0, 2.0, 5.0)))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
    elif at_zero and len(values):
        axes.set_ylim(0, 1.15 * values.max() or 1)
        axes.locator_params(axis="y", nbins=2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _plain(value)))
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.yaxis.label.set_color(INK if not at_zero else MUTED)


def _plain(value: float) -> str:
    """Return a number in the style of the axis: 0.001, 1e−5, −20."""
    mantissa, _, exponent = f"{value:g}".partition("e")
    text = f"{mantissa}e{int(exponent)}" if exponent else mantissa
    return text.replace("-", "−")


def _duration(n_epochs: int, seconds: float) -> str:
    """Return the number of epochs and their duration as text."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    took = f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.3g} s"
    return f"{n_epochs} epoch{'s' if n_epochs > 1 else ''} in {took}"
