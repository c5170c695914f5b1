"""The result of a race: the codes that a recipe compared on the user's records before it trained the best of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from narrows.bottlenecks import Bottleneck
from narrows.chain import Parts
from narrows.lossless import Residual
from narrows.networks import Network

__all__ = ["Entrant", "Race"]


@dataclass(frozen=True)
class Entrant:
    """One way to store records that a race compared.

    Attributes
    ----------
    name : str
        What it is, in words.
    bytes_per_record, psnr_db : float
        Rate and quality on held-out records after the race.
    expected_db : float
        The quality that is expected after the whole training.
    expected_cost : float
        Rate + λ · squared error in bytes a record, expected after the whole training. The lowest of those that reach
        the requested quality wins.
    """

    name: str
    bytes_per_record: float
    psnr_db: float
    expected_db: float
    expected_cost: float


@dataclass(frozen=True)
class Race:
    """What a race compared and chose.

    Attributes
    ----------
    psnr_db : float
        The quality that was requested.
    n_records : int
        Number of held-out records on which costs were measured.
    n_steps : int
        Number of optimiser steps of each entrant.
    entrants : tuple of Entrant
        The codes, and the network of residuals if it took part.
    code : int
        Position of the code that was trained.
    wins : int
        Position of the entrant with the lowest expected cost.
    n_latent : int or None
        Latent dimension of the code; None: that of a map.
    network, bottleneck : Network, Bottleneck
        Parts of the code.
    residual : Residual or None
        The network of residuals that is trained beside the code; None: there is none.
    """

    psnr_db: float
    n_records: int
    n_steps: int
    entrants: tuple[Entrant, ...]
    code: int
    wins: int
    n_latent: int | None
    network: Network
    bottleneck: Bottleneck
    residual: Residual | None = None

    def parts(self, parts: Parts) -> Parts:
        """Return parts with those that were chosen."""
        return replace(parts, n_latent=self.n_latent, network=self.network, bottleneck=self.bottleneck)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        chosen = {name: getattr(self, name) for name in ("network", "bottleneck", "residual")}
        return {
            **{name: getattr(self, name) for name in ("psnr_db", "n_records", "n_steps", "code", "wins", "n_latent")},
            "entrants": [vars(one) for one in self.entrants],
            **{name: None if part is None else part.to_json() for name, part in chosen.items()},
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the result of `to_json`."""
        residual = values["residual"]
        return cls(
            **{name: values[name] for name in ("psnr_db", "n_records", "n_steps", "code", "wins", "n_latent")},
            entrants=tuple(Entrant(**one) for one in values["entrants"]),
            network=Network.from_json(values["network"]),
            bottleneck=Bottleneck.from_json(values["bottleneck"]),
            residual=None if residual is None else Residual.from_json(residual),
        )
