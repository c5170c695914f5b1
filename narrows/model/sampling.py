"""Generates records with a fitted model: draws codes from its prior or its latent density, and decodes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from narrows.data.text.comparison import lengths_of
from narrows.errors import InvalidParameterError
from narrows.model.artefacts import LatentDensity
from narrows.model.fitted import FittedModel
from narrows.model.inference import decode, draw, losses, noise_of, project_codes, returned_dtype
from narrows.numerics.randomness import Stream, rng
from narrows.parts.loss_term import terms_of
from narrows.parts.options import Choice, Integer, check

__all__ = [
    "DRAWN_FOR_A_TEXT",
    "has_prior",
    "likeliest_texts",
    "possible_codes",
    "records_of",
    "sample_codes",
    "sample_records",
    "source_of",
]

DRAWN_FOR_A_TEXT = 8
"""Codes that are drawn for a text, of which one is kept."""
SOURCES = ("auto", "prior", "density")


def has_prior(model: FittedModel) -> bool:
    """Return whether training made the codes of all records together follow N(0, I)."""
    return model.chain.bottleneck.normal_prior or any(term.normal_prior for term in terms_of(model.chain.parts))


def source_of(model: FittedModel, source: str) -> str:
    """Return "prior" or "density", which ``source="auto"`` chooses.

    An adversary brings codes to the prior only roughly. The density of the codes, if it was measured, makes records
    that are nearer to the data (docs/generative.md).
    """
    if source != "auto":
        return source
    is_rough = model.chain.parts.adversary is not None and model.has(LatentDensity.name)
    return "prior" if has_prior(model) and not is_rough else "density"


def sample_codes(model: FittedModel, n: int, *, source: str, seed: int) -> NDArray[Any]:
    """Return n flat codes (n, n_latent), drawn from N(0, I) or from the latent density.

    NumPy draws the codes, so that a seed gives the same codes on every device. If the bottleneck cannot produce a code
    (``rounded``, ``top-k``), the nearest code that it can produce is returned instead.

    Raises
    ------
    InvalidParameterError
        If ``source="prior"`` and the model has no prior.
    NotMeasuredError
        If the latent density is needed and the model does not have it.
    """
    check("sample", "n", n, Integer(1))
    check("sample", "source", source, Choice(*SOURCES))
    numbers = rng(seed, Stream.SAMPLED_CODES)
    if source == "prior" and not has_prior(model):
        raise InvalidParameterError(
            "source='prior' needs a model that was trained with a prior: with the bottleneck 'gaussian', the penalty "
            "'mmd' or the adversary 'codes'. Set source='density' or source='auto' for this model."
        )
    if source_of(model, source) == "density":
        return possible_codes(model, model.current(LatentDensity).sample(n, numbers))
    return possible_codes(model, numbers.standard_normal((n, model.n_latent)))


def sample_records(
    model: FittedModel, codes: NDArray[Any], classes: NDArray[np.int64] | None, seed: int, dtype: DTypeLike | None
) -> NDArray[Any]:
    """Return records (n, *shape) drawn from the likelihoods of flat codes (n, n_latent), in the data's units."""
    returned = returned_dtype(dtype, model.schema.dtype, model.schema.shape, model.schema.kind)
    noise = noise_of(model.chain, seed, Stream.SAMPLED_RECORDS)
    return draw(model.chain, codes, classes, noise=noise, dtype=returned)


def likeliest_texts(model: FittedModel, codes: NDArray[Any], classes: NDArray[np.int64] | None) -> NDArray[Any]:
    """Return the texts (n, length) of flat codes (8 n, n_latent), as symbols: of each eight the likeliest one.

    Codes are continuous and texts are not, so that many codes that are not those of training records decode into
    letters that do not go together. Encoded again, such a text has a larger loss for each of its bytes.
    """
    every = None if classes is None else np.repeat(classes, DRAWN_FOR_A_TEXT)
    texts = decode(model.chain, codes, every, dtype=model.schema.dtype)
    nats = losses(model.chain, texts, every) / (lengths_of(texts) + 1)
    best = nats.reshape(-1, DRAWN_FOR_A_TEXT).argmin(1)
    found: NDArray[Any] = texts.reshape(-1, DRAWN_FOR_A_TEXT, *texts.shape[1:])[np.arange(len(best)), best]
    return found


def records_of(
    model: FittedModel, codes: NDArray[Any], classes: NDArray[np.int64] | None, dtype: DTypeLike | None = None
) -> NDArray[Any]:
    """Return the records (n, *shape) of flat codes (n, n_latent), in the data's units."""
    returned = returned_dtype(dtype, model.schema.dtype, model.schema.shape, model.schema.kind)
    return decode(model.chain, codes, classes, dtype=returned)


def possible_codes(model: FittedModel, codes: NDArray[np.float64]) -> NDArray[Any]:
    """Return the nearest codes (n, n_latent) that the bottleneck can produce, in the dtype of the encoder."""
    dtype = np.float64 if model.schema.dtype == np.float64 else np.float32
    return project_codes(model.chain, codes.astype(dtype, copy=False))
