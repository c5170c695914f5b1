"""The race of the recipe `codec`: short trainings on the user's records, of which the best is done in full.

A map keeps what is where and learns fast, a code without places learns slowly and ends smaller, and at high quality a
bound on the errors and a network that predicts pixels need fewer bytes than any code. Which is best depends on the
values of the records, not on their shape alone. Each entrant sees the same number of records. What the rest of the
training usually adds to its rate and its quality is then added, and those that are not expected to reach the wanted
quality lose to those that are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from narrows.bottlenecks import Rounded
from narrows.chain import Parts
from narrows.codec.residual.bound_choice import bounds_for
from narrows.data import Source
from narrows.estimators.budget import brief, ending_early, residual_for, whole_epochs
from narrows.estimators.defaults import WITHOUT_PLACES
from narrows.estimators.preparation import new_chain
from narrows.estimators.rounded_records import rounded_records, some_values
from narrows.estimators.value_counts import value_counts
from narrows.likelihoods.constrained_normal import USUAL_ERRORS
from narrows.lossless import CausalNetwork
from narrows.lossless.pixel_levels import PixelLevels
from narrows.model.race import Entrant, Race
from narrows.networks import Network, Strided
from narrows.numerics.randomness import Stream, generator
from narrows.training import (
    Callback,
    Checkpoint,
    Epoch,
    Records,
    Stage,
    Training,
    resolve_device,
    resolve_training,
    train_on,
    training_device,
)
from narrows.training.checkpoints import read_checkpoint

__all__ = ["RESIDUAL_HELD_OUT", "earlier_race", "first_records", "race_for", "races", "settings_after"]

_RECORDS, _VALUES = 25_600, 80_000_000  # that each entrant sees at most
_BATCH = 16
_FEWEST_STEPS = 100  # a shorter race tells nothing
_SHARE = 6  # an entrant sees at most this fraction of the records of the whole training
RESIDUAL_HELD_OUT = 512
"""Number of held-out records on which networks of residuals are measured, which takes long."""
_CLOSE = 1.1  # entrants whose expected costs are within this factor are both trained in full
_TRAINED_BATCH = 32
_RATE_WITHOUT_PLACES = 2.0  # a seventh fewer bytes on MNIST at 23.5 dB; four times the rate saves less
_SHORT, _LONG = 32, 128  # latent dimensions of a code without places, for small and for large records
_SMALL = 1024  # values of a record
_PRIOR_UNITS = 128  # hidden units of the prior of such a code: 3 % fewer bytes on MNIST at 22.5 dB than with 64
_MARGIN_DB = 0.05  # by which a bound keeps more than the wanted quality, since other records differ a little
_BYTE = 8 * math.log(2)  # nats


@dataclass(frozen=True)
class _Gain:
    """What the usual whole training adds to a race of full length: a factor of the rate, and dB."""

    rate: float
    db: float


# Measured on MNIST and Fashion-MNIST at 23.5 to 29.5 dB.
_OF_MAP, _OF_SHORT = _Gain(0.78, 0.8), _Gain(0.72, 2.0)
_OF_RESIDUAL, _OF_LEVELS = _Gain(0.94, 0.0), _Gain(0.85, 0.0)  # archives are rounded by the network, not the table
_USUAL_DOUBLINGS = 4.5  # from a race of full length to the whole training
_MISSES_DB = 0.5  # an entrant that is expected to be further below the wanted quality does not reach it


@dataclass(frozen=True)
class _Way:
    """A way to store records that takes part: a code, or a network of residuals."""

    name: str
    gain: _Gain
    parts: Parts | None = None
    residual: CausalNetwork | None = None
    rounding: PixelLevels | None = None


def races(params: Mapping[str, Any], parts: Parts, source: Source) -> bool:
    """Return whether a fit with these parameters begins with a race.

    Only what is left to "auto" is raced for, and only where the likelihood has a target and the code a rate. A short
    training has no race, which would tell nothing.
    """
    is_auto = isinstance(params["network"], str) and params["network"] == "auto" and params["n_latent"] is None
    has_target = hasattr(parts.likelihood, "psnr") and parts.bottleneck.name == "rounded"
    if not (params["race"] and is_auto and has_target) or parts.n_classes:
        return False
    record = source.record if params["record"] == "auto" else params["record"]
    if params["residual"] is not None or record in {"series", "vector"}:
        return False
    has_choice = _is_map(parts) or _predicts_pixels(parts, source)
    return has_choice and _n_seen(resolve_training(params["training"]), source, len(source)) >= _FEWEST_STEPS * _BATCH


def settings_after(race: Race, settings: Training, n_records: int, n_values: int) -> Training:
    """Return the settings with which the code is trained after a race.

    The number of epochs, if it is not given, follows from the values of the records, and is small for a code that is
    not expected to be used. Training ends early if the held-out cost does not fall for a fifth of the epochs.
    Codes without places learn at a higher rate, in smaller batches.
    """
    settings = _for_network(settings, race.network)
    if settings.epochs is None:
        code, best = race.entrants[race.code], race.entrants[race.wins]
        epochs = whole_epochs(n_records, n_values)
        if not _reaches(code, race.psnr_db) or code.expected_cost > _CLOSE * best.expected_cost:
            epochs = epochs if code is best else brief(epochs)
        batch = min(settings.batch_size, _TRAINED_BATCH if _has_places(race.network) else _BATCH)
        settings = settings.clone().set_params(epochs=epochs, batch_size=batch)
    return ending_early(settings, n_records)


def race_for(
    parts: Parts,
    source: Source,
    records: Records,
    held_out: Records,
    settings: Training,
    *,
    seed: int,
    callback: Callback,
) -> Race:
    """Return the result of a race between the ways that there are to store the records.

    Parameters
    ----------
    parts : Parts
        The parts that "auto" has chosen by the shape of the records.
    source : Source
        The training data.
    records, held_out : Records
        The records to train on, and those on which the cost is measured.
    settings : Training
        Settings of the whole training.
    seed : int
        Seed of all randomness.
    callback : Callback
        Receives the name of each entrant as a stage.
    """
    n_seen = _n_seen(settings, source, len(records))
    share = math.log2(_n_all(settings, source, len(records)) / n_seen) / _USUAL_DOUBLINGS
    ways = _ways(parts, source, records, settings)
    psnr = float(parts.likelihood.psnr)  # type: ignore[attr-defined]
    short = _Short(source, records, held_out, settings, n_seen, seed)
    entrants = []
    for place, way in enumerate(ways, 1):
        callback.stage(f"race {place}/{len(ways)}, {way.name}")
        if way.residual is not None:
            rate, reached = short.of_residual(way.residual, way.rounding), psnr
        else:
            assert way.parts is not None
            rate, reached = short.of_code(way.parts)
        entrants.append(_entrant(way, rate / _BYTE, reached, share=share, shape=source.shape, psnr=psnr))
    return _result(ways, entrants, len(held_out), n_seen // _BATCH, psnr)


def earlier_race(checkpoint: Checkpoint | None, *, resume: bool) -> Race | None:
    """Return the race of a run that is resumed, from its checkpoint; None if there was none."""
    if checkpoint is None or not resume or not checkpoint.exists:
        return None
    described = read_checkpoint(checkpoint.path)[0].get("model") or {}
    found = described.get("header", {}).get("race")
    return None if found is None else Race.from_json(found)


def _n_all(settings: Training, source: Source, n_records: int) -> int:
    """Return how many records the whole training sees, each as often as there are epochs."""
    return n_records * (settings.epochs or whole_epochs(n_records, math.prod(source.shape)))


def _n_seen(settings: Training, source: Source, n_records: int) -> int:
    """Return how many records an entrant sees."""
    most = min(_RECORDS, _VALUES // math.prod(source.shape))
    return min(most, _n_all(settings, source, n_records) // _SHARE)


def _for_network(settings: Training, network: Network) -> Training:
    """Return the settings for a network: without places in the code, it learns best at twice the rate."""
    if _has_places(network):
        return settings
    rate = settings.optimiser.learning_rate * _RATE_WITHOUT_PLACES
    return settings.clone().set_params(optimiser__learning_rate=rate)


def _has_places(network: Network) -> bool:
    """Return False for convolutions whose code is no map."""
    return not isinstance(network, Strided) or network.code_channels is not None


def _is_map(parts: Parts) -> bool:
    return isinstance(parts.network, Strided) and parts.network.code_channels is not None


def _predicts_pixels(parts: Parts, source: Source) -> bool:
    is_supported = CausalNetwork.supports(source.shape, source.dtype) and source.dtype == np.uint8
    return is_supported and parts.fill_value is None


def _ways(parts: Parts, source: Source, records: Records, settings: Training) -> list[_Way]:
    """Return what takes part: the code of "auto", one without places if that is a map, and a network of residuals."""
    n_values, network = math.prod(source.shape), parts.network
    ways = [_Way(_name(parts, source.shape), _OF_MAP if _is_map(parts) else _OF_SHORT, parts)]
    if _is_map(parts):
        n_latent = _SHORT if n_values <= _SMALL else _LONG
        network = network.clone().set_params(code_channels=None, initialisation=WITHOUT_PLACES)
        bottleneck = parts.bottleneck
        if isinstance(bottleneck, Rounded) and bottleneck == Rounded():
            bottleneck = Rounded(n_hidden=_PRIOR_UNITS)
        short = replace(parts, n_latent=n_latent, network=network, bottleneck=bottleneck)
        ways.append(_Way(_name(short, source.shape), _OF_SHORT, short))
    if _predicts_pixels(parts, source):
        ways.append(_of_pixels(parts.likelihood.psnr, source.shape, records, settings))  # type: ignore[attr-defined]
    return ways


def _of_pixels(psnr: float, shape: tuple[int, ...], records: Records, settings: Training) -> _Way:
    """Return a network of pixels rounded to a few levels, or, for a high quality, within a bound."""
    rounding = PixelLevels.fit(some_values(records), psnr)
    if rounding is not None:
        residual = residual_for(shape, len(records), psnr=psnr, most_epochs=settings.epochs)
        return _Way(f"pixels in {len(rounding.levels)} levels", _OF_LEVELS, residual=residual, rounding=rounding)
    bound = bounds_for(value_counts(records), psnr + _MARGIN_DB)[0]
    residual = residual_for(shape, len(records), max_error=bound, most_epochs=settings.epochs)
    return _Way(f"pixels within {bound}", _OF_RESIDUAL, residual=residual)


def _name(parts: Parts, shape: tuple[int, ...]) -> str:
    of_code = parts.network.code_shape(shape, parts.n_latent)
    kind = "map" if len(of_code) == 3 else "code without places"
    return f"{kind} of {'×'.join(map(str, of_code))} numbers"


@dataclass(frozen=True)
class _Short:
    """Trains each entrant on the same number of records, and measures it on held-out records."""

    source: Source
    records: Records
    held_out: Records
    settings: Training
    n_seen: int
    seed: int

    def of_code(self, parts: Parts) -> tuple[float, float]:
        """Return the rate of a code in nats, and its PSNR in dB."""
        some, wanted = self._some(), 10 ** (-parts.likelihood.psnr / 10)  # type: ignore[attr-defined]
        chain = new_chain(parts, self.settings, self.source, some, self.seed)
        settings = _for_network(self.settings, parts.network).clone().set_params(batch_size=_BATCH)
        row = self._train(chain, some, self.held_out, settings)
        assert row.validation_loss is not None
        assert row.validation_mse is not None
        n_values = math.prod(chain.shape) * (1.0 if chain.missing is None else float(chain.missing.share))
        log_scale = 0.5 * n_values * math.log(math.pi * 2 * USUAL_ERRORS * wanted)
        rate = row.validation_loss - log_scale - n_values * row.validation_mse / (2 * USUAL_ERRORS * wanted)
        return rate, -10 * math.log10(max(row.validation_mse, 1e-12))

    def of_residual(self, part: CausalNetwork, rounding: PixelLevels | None) -> float:
        """Return the rate of a network of residuals in nats."""
        shape, weights = self.source.shape, generator(self.seed, Stream.LOSSLESS_WEIGHTS)
        levels = None if rounding is None else tuple(rounding.levels.tolist())
        module = part.build(shape, self.source.dtype, weights, levels).to(resolve_device(self.settings))
        some = rounded_records(self._some(), rounding)
        few = rounded_records(first_records(self.held_out, RESIDUAL_HELD_OUT), rounding)
        row = self._train(module, some, few, part.training(len(some)))
        assert row.validation_loss is not None
        return row.validation_loss

    def _some(self) -> Records:
        """Return the records of a heat, evenly spaced among all."""
        rows = np.arange(len(self.records)) if self.records.rows is None else self.records.rows.cpu().numpy()
        places = np.linspace(0, len(rows) - 1, min(self.n_seen, len(rows)))
        return self.records.only(np.unique(rows[places.round().astype(np.int64)]))

    def _train(self, learner: Any, some: Records, held_out: Records, settings: Training) -> Epoch:
        """Train a learner and return its last epoch."""
        threads, epochs = self.settings.threads, max(round(self.n_seen / len(some)), 1)
        settings = settings.clone().set_params(epochs=epochs, patience=None)
        stage = Stage(learner, some, held_out, settings, order=Stream.RACE_ORDER, noise=Stream.RACE_NOISE)
        (history,) = train_on(training_device(self.settings), [stage], learner, seed=self.seed, threads=threads)
        return history[-1]


def first_records(records: Records, most: int) -> Records:
    """Return the first records, at most so many."""
    rows = torch.arange(len(records)) if records.rows is None else records.rows.cpu()
    return records.only(rows[:most].numpy())


def _entrant(way: _Way, rate: float, reached: float, *, share: float, shape: tuple[int, ...], psnr: float) -> Entrant:
    """Return what an entrant has reached, and rate + λ · squared error that is expected of its whole training."""
    expected_db = reached + way.gain.db * share
    error = 10 ** ((psnr - expected_db) / 10)  # over the wanted one
    cost = rate * way.gain.rate**share + math.prod(shape) * error / (2 * USUAL_ERRORS) / _BYTE
    return Entrant(way.name, rate, reached, expected_db, cost)


def _result(ways: Sequence[_Way], entrants: Sequence[Entrant], n_held_out: int, n_steps: int, psnr: float) -> Race:
    def rank(place: int) -> tuple[bool, float]:
        return not _reaches(entrants[place], psnr), entrants[place].expected_cost

    places = range(len(ways))
    wins = min(places, key=rank)
    code = min((place for place in places if ways[place].parts is not None), key=rank)
    parts, residual = ways[code].parts, ways[-1].residual
    assert parts is not None
    is_close = entrants[-1].expected_cost <= _CLOSE * entrants[wins].expected_cost
    return Race(
        psnr_db=psnr,
        n_records=n_held_out,
        n_steps=n_steps,
        entrants=tuple(entrants),
        code=code,
        wins=wins,
        n_latent=parts.n_latent,
        network=parts.network,
        bottleneck=parts.bottleneck,
        residual=residual if is_close else None,
    )


def _reaches(entrant: Entrant, psnr: float) -> bool:
    """Return whether an entrant is expected to reach the wanted quality."""
    return entrant.expected_db >= psnr - _MISSES_DB
