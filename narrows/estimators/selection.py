"""The choice between a trained network and PCA, by their errors on records that neither has seen."""

from __future__ import annotations

from dataclasses import replace

from narrows.chain import Chain
from narrows.data import Source
from narrows.estimators.map_network import is_compared
from narrows.estimators.preparation import new_chain
from narrows.model.comparison import Comparison, compare_with_pca
from narrows.networks import Dense
from narrows.training import Records, Training

__all__ = ["choose", "linear_chain"]


def choose(
    chain: Chain,
    records: Records,
    held_out: Records | None,
    *,
    is_auto: bool,
    settings: Training,
    source: Source,
    seed: int,
) -> tuple[Comparison | None, Chain]:
    """Return the comparison of a trained chain with PCA, and the chain to keep: the trained one, or a linear one.

    Only a network that was chosen by "auto" (``is_auto``) is replaced. The linear chain has the components of all
    records, including those held out for the choice. Drawn, rounded or sparse codes are not compared, since PCA has
    no such codes.
    """
    chain.eval()
    network = chain.parts.network
    has_choice = network.linear_path or (is_auto and is_compared("auto", chain.parts))
    if not has_choice or network.is_linear or chain.parts.bottleneck.name != "plain":
        return None, chain
    if held_out is None:  # by request, or because there are too few records to trust a network
        is_by_request = not is_auto or settings.validation is not None
        return None, chain if is_by_request else linear_chain(chain, settings, source, records, seed).eval()
    linear = linear_chain(chain, settings, source, records, seed)
    comparison = compare_with_pca(chain, linear, held_out)
    if comparison.is_better or not is_auto:
        return comparison, chain
    if settings.validation is None:  # data that the user held out must not be learned from
        linear = linear_chain(chain, settings, source, records.only(None), seed)
    return replace(comparison, keeps_network=False), linear.eval()


def linear_chain(chain: Chain, settings: Training, source: Source, records: Records, seed: int) -> Chain:
    """Return a linear autoencoder with the principal components of records; other parts are those of a chain."""
    parts = replace(chain.parts, network=Dense(widths=(), linear_path=True))
    return new_chain(parts, settings, source, records, seed)
