"""Named streams of random numbers: every use of randomness in the package has its own stream.

A seed and a stream give a generator. The same pair gives the same numbers every time; different streams under one seed
give different numbers, so that no two uses are correlated. Some streams have indices, such as the epoch.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["Stream", "drawn_seed", "generator", "integer", "random_state_of", "reseed", "rng"]

_WORD = 32  # bits in a word of NumPy's seed sequences
_LONGEST = 5  # words of a seed of one word and a stream, at most


class Stream(Enum):
    """The uses of random numbers.

    The value of a stream is the pattern of words that follows the seed; None stands for an index. NumPy fills seed
    sequences up with zeros, so that [s], [s, 0] and [s, 0, 0] are the same seed. Patterns that begin with the same
    word therefore have the same length. The patterns of weights, order, noise, layers and labels are never changed, so
    that a seed trains the same model in every version.
    """

    WEIGHTS = (0,)
    """Initial weights of encoder and decoder."""
    ORDER = (1, None)
    """Order of the training records; index: epoch."""
    NOISE = (2, None)
    """Corruption and draws of codes in training; index: epoch."""
    SHARD_NOISE = (3, None)
    """As `NOISE`, for the second and further shards of a batch, with a seed drawn from the epoch's; index: shard."""
    LOSSLESS_WEIGHTS = (5,)
    """Initial weights of the residual model."""
    LAYER_ORDER = (6, None, 1, None)
    """As `ORDER`, while one layer is pretrained; indices: layer, epoch."""
    LAYER_NOISE = (6, None, 2, None)
    LABELS_ORDER = (7, 1, None)
    """As `ORDER`, while a classifier is trained on labels."""
    LABELS_NOISE = (7, 2, None)
    LOSSLESS_ORDER = (8, 1, None)
    """As `ORDER`, while the residual model is trained."""
    LOSSLESS_NOISE = (8, 2, None)
    HELD_OUT = (9,)
    """Which records are held out for validation."""

    PCA_ROWS = (10,)
    """Which training records PCA is fitted to."""
    DENSITY_NOISE = (11,)
    """Random codes for the fit of the latent density."""
    DENSITY_ROWS = (12,)
    """Training records for the fit of the latent density."""
    DENSITY_HELD_OUT = (13,)
    """Codes held out to choose the number of components of the latent density."""
    DENSITY_SOLVER = (14,)
    """scikit-learn's fit of the mixture, and of the principal components of long codes."""
    PCA_SOLVER = (15,)
    """scikit-learn's PCA."""
    CODEC_ROWS = (16,)
    """Which training records the archive codec is calibrated on."""
    CODEC_PROBES = (17,)
    """Directions in which the codec measures the error of quantisation steps."""
    CODEC_GOLDEN = (18,)
    """Symbols far beyond those of training records, for golden vectors."""
    CODEC_HELD_OUT = (19,)
    """Symbols held out to choose the entropy model."""
    CODEC_INPUTS = (38,)
    """Values at whose inputs the weights of a network of residuals are rounded."""
    FIELD_SAMPLE = (39,)
    """Values of a field on which its predictor is fitted."""

    MEASURED_RECORDS = (20,)
    """Random records for the measurement of a loss or a likelihood."""
    MEASURED_CODES = (21, None)
    """Random codes for the measurement of a loss or a likelihood; index: the sample."""
    MEASURED_SLOPES = (22, None)
    """Directions in which the contractive penalty is measured; index: the direction."""
    MEASURED_PRIOR = (23,)
    """Draws from the prior for the penalty 'mmd' outside training."""

    RACE_ORDER = (24, 1, None)
    """As `ORDER`, while codes are compared before the training; index: epoch."""
    RACE_NOISE = (24, 2, None)

    DISCRIMINATOR_WEIGHTS = (48,)
    """Initial weights of the discriminator of an adversary."""

    CORRUPTION = (30,)
    """Corruption outside training."""
    ADDED_NOISE = (31,)
    """Noise for the comparison of denoisers."""
    SAMPLED_CODES = (32,)
    """Codes of generated records."""
    SAMPLED_RECORDS = (33,)
    """Generated records drawn from the likelihood."""
    MANIFOLD = (34,)
    """Codes for the quantiles of a manifold."""
    DRAWING_ORDER = (35,)
    """Order of the points of a map."""
    COLUMNS_ROWS = (36,)
    """Sample of training records for the statistics of columns."""
    COMPONENTS_ROWS = (37,)
    """Sample of training records for the principal components of a linear path."""
    SEARCH_ROWS = (41,)
    """Sample of training records on which weights of numbers are compared for search."""
    PROBE_HELD_OUT = (45,)
    """Records on which probes of codes are measured."""
    PROBE_LABELS = (46, None, None)
    """Labels that a probe learns from; indices: the number of labels, the draw."""
    FEW_LABELS = (47,)
    """Labels that are left of all."""
    USUAL_RECORDS = (60,)
    """Records without outliers, that the threshold of outliers is found by."""
    SEARCH_MASK = (42,)
    """Values of a query of search that are hidden."""
    PROCESS_NOISE = (43, None, None, None)
    """Noise of a step if several processes train together, with a seed drawn from `NOISE`; indices: step, process,
    shard."""


def generator(seed: int, stream: Stream, *index: int, device: torch.device | None = None) -> torch.Generator:
    """Return PyTorch's generator of a stream, on the CPU or a device.

    Parameters
    ----------
    seed : int
        Any whole number from 0.
    stream : Stream
        The use of the numbers.
    *index : int
        The stream's indices, each from 0 and below 2³².
    device : torch.device, optional
        Device of the generator.
    """
    import torch

    mixed = _sequence(seed, stream, index).generate_state(1, np.uint64)[0]
    return torch.Generator(device or torch.device("cpu")).manual_seed(int(mixed >> np.uint64(1)))


def rng(seed: int, stream: Stream, *index: int) -> np.random.Generator:
    """Return NumPy's generator of a stream; parameters as for `generator`."""
    return np.random.default_rng(_sequence(seed, stream, index))


def integer(seed: int, stream: Stream, *index: int) -> int:
    """Return a whole number of 32 bits, for libraries that take a seed; parameters as for `generator`."""
    return int(_sequence(seed, stream, index).generate_state(1, np.uint32)[0])


def _sequence(seed: int, stream: Stream, index: tuple[int, ...]) -> np.random.SeedSequence:
    pattern: tuple[int | None, ...] = stream.value
    assert len(index) == pattern.count(None), f"{stream} has {pattern.count(None)} indices, got {len(index)}"
    assert all(0 <= one < 2**_WORD for one in index)
    indices = iter(index)
    words = [seed % 2**_WORD, *(next(indices) if word is None else word for word in pattern)]
    if not 0 <= seed < 2**_WORD:  # its further words come last, so that they cannot coincide with those of a stream
        words += [0] * (_LONGEST - len(words)) + [seed >> _WORD]
    return np.random.SeedSequence(words)


def random_state_of(random_state: Any) -> np.random.RandomState:
    """Return what a parameter ``random_state`` means: as in scikit-learn, and NumPy's newer `Generator` as well.

    A Generator or RandomState is drawn from, so that two uses of it differ.
    """
    from sklearn.utils import check_random_state

    if isinstance(random_state, np.random.Generator):
        return np.random.RandomState(int(random_state.integers(2**32)))
    state: np.random.RandomState = check_random_state(random_state)
    return state


def drawn_seed(random_state: Any) -> int:
    """Return a seed drawn from a parameter ``random_state``."""
    return int(random_state_of(random_state).randint(2**31 - 1))


def reseed(generator: torch.Generator, seed: int) -> None:
    """Seed an existing generator, such as a global one of PyTorch."""
    generator.manual_seed(seed)
