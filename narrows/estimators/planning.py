"""What is decided on the training records before a fit: by a race between codes, and the size of the residual model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from narrows.chain import Parts
from narrows.data import Source
from narrows.estimators.budget import brief, ending_early, residual_for, whole_epochs
from narrows.estimators.map_network import is_compared, map_settings
from narrows.estimators.race import earlier_race, race_for, races, settings_after
from narrows.lossless import Residual
from narrows.model.race import Race
from narrows.parts.part import as_optional_part
from narrows.training import Callback, Checkpoint, Training, resolve_training

if TYPE_CHECKING:
    from narrows.estimators.training_data import Split

__all__ = ["Planned", "holds_out", "planned"]


@dataclass(frozen=True)
class Planned:
    """The decisions for a fit.

    Attributes
    ----------
    parts : Parts
        The parts of the chain.
    settings : Training
        The settings with which the chain is trained.
    residual : Residual or None
        The residual model that is trained after the chain; None: there is none.
    race : Race or None
        The race that decided; None if there was none.
    ends_early : bool
        Whether the residual model is trained until its held-out loss no longer falls.
    """

    parts: Parts
    settings: Training
    residual: Residual | None
    race: Race | None = None
    ends_early: bool = False

    @property
    def name(self) -> str:
        """Name of the stage that trains the chain: after a race, the code that it chose."""
        if self.race is None:
            return ""
        code, best = (self.race.entrants[place].name for place in (self.race.code, self.race.wins))
        return f"{code}, which wins" if code == best else f"{code}, beside {best}, which wins"


def holds_out(params: Mapping[str, Any], parts: Parts, source: Source) -> bool:
    """Return whether a fit holds out records by default: for the choice of its parts, or to end in time."""
    return is_compared(params["network"], parts) or races(params, parts, source) or _is_sized(params)


def planned(
    params: Mapping[str, Any],
    parts: Parts,
    source: Source,
    apart: Split,
    *,
    seed: int,
    callback: Callback,
    checkpoint: Checkpoint | None,
    resume: bool,
) -> Planned:
    """Return the decisions for a fit, after a race if the parameters ask for one.

    Parameters
    ----------
    params : mapping
        The result of `Autoencoder.get_params`.
    parts : Parts
        The parts that are given, or chosen by "auto".
    source : Source
        The training data.
    apart : Split
        Its records for training and for validation.
    seed : int
        Seed of all randomness.
    callback : Callback
        Receives the entrants of a race as stages.
    checkpoint, resume
        As for `narrows.training.train`. A run that is resumed has the race in its checkpoint.
    """
    settings, records, n_values = resolve_training(params["training"]), apart.records, math.prod(source.shape)
    if apart.held_out is not None and races(params, parts, source):
        race = earlier_race(checkpoint, resume=resume)
        if race is None:
            race = race_for(parts, source, records, apart.held_out, settings, seed=seed, callback=callback)
        settings = settings_after(race, settings, len(records), n_values)
        return Planned(race.parts(parts), settings, race.residual, race, ends_early=True)
    if not _is_sized(params):
        settings = map_settings(params, parts, settings, len(records))
        return Planned(parts, settings, as_optional_part(Residual, params["residual"]))
    residual = residual_for(source.shape, len(records), most_epochs=settings.epochs)
    if settings.epochs is None:  # archives seldom use the code of such a model
        settings = settings.clone().set_params(epochs=brief(whole_epochs(len(records), n_values)))
    if apart.held_out is None:
        return Planned(parts, settings, residual)
    return Planned(parts, ending_early(settings, len(records)), residual, ends_early=True)


def _is_sized(params: Mapping[str, Any]) -> bool:
    """Return whether the size of the residual model is chosen by the records."""
    return isinstance(params["residual"], str) and params["residual"] == "auto"
