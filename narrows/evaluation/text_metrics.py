"""Metrics of a model of text: bytes and records that come back right, and bits for a byte."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from narrows.data import Source
from narrows.data.text.comparison import compared, lengths_of
from narrows.data.text.pieces import Pieces
from narrows.errors import InvalidParameterError
from narrows.model.inference import code_costs, losses, reconstruct

if TYPE_CHECKING:
    from narrows.estimators.autoencoder import Autoencoder

__all__ = ["text_metrics"]


def text_metrics(model: Autoencoder, source: Source, *, per_record: bool = False, **others: Any) -> dict[str, Any]:
    """Return the metrics of a model of text, those of `narrows.evaluate`.

    Parameters
    ----------
    model : Autoencoder
        A fitted model of text.
    source : Source
        Records of text, of the model's length.
    per_record : bool
        Also return the number of bytes and of wrong bytes of each record, and its log-likelihood.
    **others
        What other models are asked for.

    Raises
    ------
    InvalidParameterError
        If something else is asked for.
    """
    asked = next((name for name, value in others.items() if value), None)
    if asked is not None:
        raise InvalidParameterError(f"The '{asked}' of evaluate has no meaning for a model of text. Leave it out.")
    chain, values = model.chain_, source.values
    restored = reconstruct(chain, values, dtype=source.dtype)
    right, n_bytes = compared(values, restored)
    weight = chain.bottleneck.rate_weight
    known = np.minimum(values, np.array(chain.likelihood.n_parameters - 1, values.dtype))
    nats, cost = losses(chain, known), code_costs(chain, known)
    rate = cost / weight if weight else cost
    n_texts, is_right, n_own = len(source), right == n_bytes, int(lengths_of(values).sum())
    if source.text is not None:
        n_texts, is_right = len(source.text.texts), _whole(is_right, source.text)
    # A text has its line end, which a decoder has to know, too.
    bits = float((nats - cost + rate).sum()) / math.log(2) / (n_own + n_texts)
    columns = {"index": np.arange(len(values)), "bytes": n_bytes, "wrong_bytes": n_bytes - right}
    return {
        "records": n_texts,
        "bytes": n_own,
        "characters_right": float(right.sum() / max(n_bytes.sum(), 1)),
        "records_right": float(is_right.mean()),
        "bits_per_byte": bits,
        "code_bits_per_record": float(rate.sum()) / math.log(2) / n_texts if weight else None,
        "nats_per_record": float(nats.mean()),
        **({"per_record": {**columns, "log_likelihood": -nats}} if per_record else {}),
    }


def _whole(is_right: NDArray[np.bool_], pieces: Pieces) -> NDArray[np.bool_]:
    """Return which texts are right: those whose records all are."""
    counts = pieces.counts
    whole: NDArray[np.bool_] = np.logical_and.reduceat(is_right, np.cumsum(counts) - counts)
    return whole
