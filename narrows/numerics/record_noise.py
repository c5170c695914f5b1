"""Random numbers that belong to records, so that a measurement of a record does not depend on its batch.

A generator returns its numbers in order, so the noise of a record depends on its position in the batch and on the size
of the batch. Here the numbers of a record are computed from its values, the seed and the stream: its noise is the same
alone, in any batch and in any order.

The alternative, one draw for all records, does not depend on the batch either and is as unbiased, but its errors do not
average out over records. The mean loss of 360 test digits under a variational model of 8 numbers, over 200 seeds, has a
standard deviation of 0.009 nats with each record's own draw and 0.016 with one for all; with `Bernoulli(dynamic=True)`
0.17 and 1.9. Draws from a generator have 0.010 and 0.16: nothing is lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from narrows.numerics.floats import has_float64, wide
from narrows.numerics.randomness import Stream, generator

__all__ = ["Noise", "RecordNoise", "is_training_step", "normal_like", "uniform_like"]

# The constants of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators"), whose
# numbers are mixed from a counter; as signed numbers, whose sums and products wrap around alike.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FIRST = 0xBF58476D1CE4E5B9 - 2**64
_SECOND = 0x94D049BB133111EB - 2**64
_UNIFORM_BITS = 24  # which float32 holds exactly, so that no number rounds to 1
_NORMAL_BITS = 52


@dataclass(frozen=True)
class RecordNoise:
    """The random numbers of n records.

    Attributes
    ----------
    keys : Tensor of shape (n,), int64
        Keys from which the numbers of each record are computed.
    seed : int
        Seed of all numbers.
    """

    keys: Tensor
    seed: int = 0

    @classmethod
    def of(cls, records: Tensor, seed: int = 0) -> Self:
        """Return the noise of records (n, *shape); equal values of any dtype have equal noise.

        Values that are equal in float32 count as equal.
        """
        values = records.detach().flatten(1).float() + 0.0
        words = functional.pad(values, (0, values.shape[1] % 2)).view(torch.int64)
        # Each word is mixed with its position before the sum, so that permuted values give other keys.
        mixed = _mix(words + _counter(words.shape[1], words.device))
        return cls(_mix(mixed.sum(1)), seed)

    def stream(self, stream: Stream, *index: int) -> Self:
        """Return the noise of the same records for a stream, independent of that for other streams and indices."""
        word = generator(self.seed, stream, *index).initial_seed()
        return type(self)(_mix(self.keys + word), self.seed)

    def streams(self, stream: Stream, first: int, n: int) -> Self:
        """Return the noise for n indices of a stream, (len · n,): the n of record 0 first, then those of record 1."""
        several = [self.stream(stream, index).keys for index in range(first, first + n)]
        return type(self)(torch.stack(several, 1).flatten(), self.seed)

    def uniform_like(self, x: Tensor) -> Tensor:
        """Return draws from U[0, 1) of the shape and dtype of x (n, *shape)."""
        return (wide(self._bits_like(x, _UNIFORM_BITS)) * 2.0**-_UNIFORM_BITS).to(x.dtype)

    def normal_like(self, x: Tensor) -> Tensor:
        """Return draws from N(0, 1) of the shape and dtype of x (n, *shape)."""
        n_bits = _NORMAL_BITS if has_float64(x.device) else _UNIFORM_BITS - 1  # as many as its floats hold beside the ½
        centred = (wide(self._bits_like(x, n_bits)) + 0.5) * 2.0 ** (1 - n_bits) - 1
        return (math.sqrt(2) * centred.erfinv()).to(x.dtype)

    def _bits_like(self, x: Tensor, n_bits: int) -> Tensor:
        """Return whole numbers of ``n_bits`` random bits, int64 of the shape of x (n, *shape)."""
        assert len(x) == len(self.keys)
        n_values = math.prod(x.shape[1:])
        mixed = _mix(self.keys[:, None] + _counter(n_values, self.keys.device))
        return _shifted(mixed, 64 - n_bits).reshape(x.shape)


Noise = Generator | RecordNoise
"""Source of random numbers: a generator in training, the records themselves in measurements."""


def normal_like(x: Tensor, noise: Noise) -> Tensor:
    """Return draws from N(0, 1) of the shape and dtype of x (n, *shape)."""
    if isinstance(noise, RecordNoise):
        return noise.normal_like(x)
    return torch.randn(x.shape, generator=noise, dtype=x.dtype, device=x.device)


def uniform_like(x: Tensor, noise: Noise) -> Tensor:
    """Return draws from U[0, 1) of the shape and dtype of x (n, *shape)."""
    if isinstance(noise, RecordNoise):
        return noise.uniform_like(x)
    return torch.rand(x.shape, generator=noise, dtype=x.dtype, device=x.device)


def _counter(n: int, device: torch.device) -> Tensor:
    """Return n steps of SplitMix64's counter, shape (n,)."""
    return torch.arange(1, n + 1, device=device) * _GOLDEN


def _mix(z: Tensor) -> Tensor:
    """Return whole numbers whose every bit depends on every bit of z, one to one: SplitMix64's output function."""
    z = (z ^ _shifted(z, 30)) * _FIRST
    z = (z ^ _shifted(z, 27)) * _SECOND
    return z ^ _shifted(z, 31)


def _shifted(z: Tensor, n_bits: int) -> Tensor:
    """Return z shifted to the right with zeros from the left, which PyTorch lacks for signed numbers."""
    shifted: Tensor = (z >> n_bits) & (2 ** (64 - n_bits) - 1)
    return shifted


def is_training_step(module: nn.Module, noise: Noise | None) -> bool:
    """Return whether a module computes a step of training, from which it may also learn without gradients.

    There are three ways to compute: a step of training is in train mode, with gradients and the noise of a generator. A
    measurement of the loss is in eval mode; what is defined by draws takes them from `RecordNoise`. Any other use is
    in eval mode without noise.
    """
    return isinstance(noise, Generator) and module.training and torch.is_grad_enabled()
