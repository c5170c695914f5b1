"""The vector-quantised bottleneck: each vector of the code is replaced by the nearest codeword."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from narrows.bottlenecks.contract import Bottleneck, BottleneckModule, Code
from narrows.bottlenecks.quantisation import Codewords, Distortion, Quantisation
from narrows.bottlenecks.spread import spread
from narrows.codec.entropy_models import Context, EntropyModel, Independent
from narrows.codec.operating_point import to_symbols
from narrows.codec.rans import MAX_PRECISION
from narrows.errors import InvalidParameterError
from narrows.numerics.randomness import Stream, rng
from narrows.numerics.record_noise import Noise, is_training_step
from narrows.parts.options import Integer, Real, option, optional

__all__ = ["MAX_CODES", "VectorQuantised", "VectorQuantisedModule"]

MAX_CODES = 1 << 15
"""Indices of more codewords would not fit into the symbols of archives."""

_USUAL_DIM = 4
_MOST_FAR_APART = 1024  # codewords that are drawn one by one; further ones are drawn at once
_FIRST_DRAW = 16  # candidate vectors of the first batch for each of these codewords
_DISTANCES = 1 << 22  # computed at a time: 16 MiB
_IN_USE = 1e-12  # a codeword used less than this is not moved
_PRECISION = 12
_HELD_OUT = 5  # one record of so many, to compare tables on
_MOST_CODES_IN_CONTEXT = 1024  # of more, a file could hold too few tables for the neighbours to choose from


class VectorQuantised(Bottleneck, name="vector-quantised"):
    """Replace each vector of the code by the nearest codeword, z = e_k, k = argmin_j ‖h − e_j‖², and keep the index k.

    The VQ-VAE (van den Oord, Vinyals and Kavukcuoglu 2017): the gradient is copied from z to h, and
    β ‖h − sg(z)‖² in nats keeps the encoder near the codebook. In a map the channels of each position are a vector; any
    other code is split into vectors of ``dim`` numbers. All vectors share one codebook.

    Codewords are running means of the vectors that chose them (ibid., appendix A.1): with n_k vectors of sum s_k in a
    batch, N_k ← γ N_k + (1 − γ) n_k, m_k ← γ m_k + (1 − γ) s_k, e_k = m_k / N_k. They start at vectors of the first
    batch, drawn as in k-means++ (Arthur and Vassilvitskii 2007); its time grows with the square of their number, so the
    codewords beyond 1,024 are random vectors. A codeword whose N_k falls below a share ``revival`` of the mean is
    replaced by a vector of the batch (Williams et al. 2020; Dhariwal et al. 2020, there by a count). Codewords change
    only in training.

    Examples
    --------
    Sixteen channels at 7×7 places become 49 indices:

    >>> VectorQuantised(n_codes=128).build((16, 7, 7))(torch.zeros(1, 16, 7, 7)).symbols.shape
    torch.Size([1, 7, 7])
    """

    n_codes: int = option(Integer(2, MAX_CODES), "codewords in the codebook", default=512)
    dim: int | None = option(
        optional(Integer(1)),
        "numbers in a codeword; None: the channels of a map, up to four numbers of any other code",
        default=None,
    )
    commitment: float = option(Real(0), "weight β of the distance between code and codeword", default=0.25)
    decay: float = option(Real(0, 1, open_high=True), "decay γ of the running means per step", default=0.99)
    revival: float = option(
        Real(0), "share of the mean usage below which a codeword is replaced by a vector of the batch", default=0.03
    )

    def build(self, z_shape: tuple[int, ...]) -> VectorQuantisedModule:
        n_channels = z_shape[0] if len(z_shape) == 3 else math.prod(z_shape)
        dim = self.dim
        if dim is None:
            dim = n_channels if len(z_shape) == 3 else _largest_divisor(n_channels, _USUAL_DIM)
        if n_channels % dim:
            whole = "channels of the code" if len(z_shape) == 3 else "numbers in the code"
            raise InvalidParameterError(
                f"The 'dim' of VectorQuantised must divide {n_channels}, the {whole}. Got {dim}."
            )
        return VectorQuantisedModule(z_shape, self, dim)


class VectorQuantisedModule(BottleneckModule):
    """h (n, *z_shape) → the nearest codewords, (n, *z_shape), and their indices, (n, *symbols_shape).

    Attributes
    ----------
    symbols_shape : tuple of int
        (H, W) for maps (C, H, W) with the channels as one vector, (G, H, W) with G vectors at a place; else (G,).
    codebook : Tensor of shape (n_codes, dim)
    usage : Tensor of shape (n_codes,)
        N_k, the running mean of the number of vectors of a batch that choose each codeword.
    sums : Tensor of shape (n_codes, dim)
        m_k, the running mean of their sums.
    """

    couples_records = True  # the running means learn from the whole batch
    needs_whole_batch = True  # codewords of two processes would differ from the start

    codebook: Tensor
    usage: Tensor
    sums: Tensor
    is_started: Tensor

    def __init__(self, shape: tuple[int, ...], part: VectorQuantised, dim: int) -> None:
        super().__init__(shape, shape)
        self.commitment, self.decay, self.revival = part.commitment, part.decay, part.revival
        places = shape[1:] if len(shape) == 3 else ()
        self.n_groups, self.n_places = math.prod(shape) // dim // math.prod(places), math.prod(places)
        self.symbols_shape = places if places and self.n_groups == 1 else (self.n_groups, *places)
        self.register_buffer("codebook", spread(part.n_codes, dim))  # until the first batch
        self.register_buffer("usage", torch.ones(part.n_codes))
        self.register_buffer("sums", self.codebook.clone())
        self.register_buffer("is_started", torch.zeros((), dtype=torch.int64))
        self._is_known_to_be_started = False  # avoids waiting for the device

    @property
    def n_symbols(self) -> int:
        return math.prod(self.symbols_shape)

    @property
    def n_codes(self) -> int:
        return len(self.codebook)

    def forward(self, h: Tensor, generator: Noise | None = None) -> Code:
        noise = generator if isinstance(generator, Generator) and is_training_step(self, generator) else None
        vectors = self._to_vectors(h.detach())
        if noise is not None and not self._has_started():
            self._start(vectors, noise)
        indices = self._nearest(vectors)
        z = self._to_code(nn.functional.embedding(indices, self.codebook))
        cost = self.commitment * (h - z).square().flatten(1).sum(1)
        if noise is not None:
            self._learn(vectors, indices, noise)
        symbols = indices.view(len(h), *self.symbols_shape)
        return Code(z + (h - h.detach()), cost, symbols)  # equals z to the bit, with the gradient of h

    def project(self, z: Tensor) -> Tensor:
        return self.symbols_to_z(self._nearest(self._to_vectors(z)))

    def continuous_code(self, h: Tensor) -> Tensor:
        """Return the indices (n, *symbols_shape) as floats, since the code has no finer steps."""
        return self._nearest(self._to_vectors(h)).view(len(h), *self.symbols_shape).to(h.dtype)

    def continuous_to_z(self, code: Tensor) -> Tensor:
        return self.symbols_to_z(code.long())

    def symbols_to_z(self, symbols: Tensor) -> Tensor:
        return self._to_code(nn.functional.embedding(symbols.reshape(-1), self.codebook))

    def quantisations(self, codes: NDArray[np.float64], distortion: Distortion) -> list[Quantisation]:
        """Return the indices as they are."""
        steps = np.ones(codes.shape[1])
        entropy = self._count(to_symbols(codes, steps))
        codebook = self.codebook.detach().double().cpu().numpy()
        return [Codewords(steps=steps, entropy=entropy, codebook=codebook, vectors=(self.n_groups, self.n_places))]

    def metrics(self, codes: Callable[[], NDArray[np.float64]]) -> dict[str, float]:
        """Measure how much of the codebook is used.

        ``codebook_perplexity`` is exp(−Σ_k p_k log p_k) with p_k the share of all vectors that choose codeword k, an
        effective number of codewords; ``codewords_in_use`` is how many codewords are chosen.
        """
        counts = np.bincount(codes().astype(np.int64).ravel())
        p = counts[counts > 0] / counts.sum()
        return {"codebook_perplexity": math.exp(-float((p * np.log(p)).sum())), "codewords_in_use": len(p)}

    def _count(self, symbols: NDArray[np.int32]) -> EntropyModel:
        """Return tables counted on the indices (n, n_symbols) of training records: one for each, or by neighbours.

        The model that codes a held-out fifth of the records in fewer bits is chosen, and its tables are then counted on
        all records. Records that were counted cannot be used for this choice, since they favour the model with more
        tables.
        """
        n_codes = len(self.codebook)
        # As many values as a table has without making any of them rare.
        precision = min(max(_PRECISION, (n_codes - 1).bit_length() + 2), MAX_PRECISION)

        def alone(symbols: NDArray[np.int32]) -> EntropyModel:
            return Independent.fit(symbols, precision=precision)

        def by_context(symbols: NDArray[np.int32]) -> EntropyModel:
            *groups, height, width = (1, *self.symbols_shape)
            return Context.fit(symbols, (groups[-1], height, width), n_codes, precision=precision)

        if self.n_places == 1 or n_codes > _MOST_CODES_IN_CONTEXT or len(symbols) < _HELD_OUT:
            return alone(symbols)
        # Drawn, for records may take turns; by the same numbers each time.
        order = rng(0, Stream.CODEC_HELD_OUT).permutation(len(symbols))
        held_out, counted = np.split(symbols[order], [len(symbols) // _HELD_OUT])
        best = min(by_context, alone, key=lambda count: float(count(counted).bits(held_out).mean()))
        return best(symbols)

    def _to_vectors(self, h: Tensor) -> Tensor:
        """Return the vectors of codes (n, *z_shape), one record's after the other's: (n · groups · places, dim)."""
        dim = self.codebook.shape[1]
        return h.reshape(-1, self.n_groups, dim, self.n_places).transpose(2, 3).reshape(-1, dim)

    def _to_code(self, vectors: Tensor) -> Tensor:
        """Return codes (n, *z_shape) of vectors (n · groups · places, dim)."""
        grouped = vectors.view(-1, self.n_groups, self.n_places, self.codebook.shape[1])
        return grouped.transpose(2, 3).reshape(-1, *self.z_shape)

    @torch.no_grad()
    def _nearest(self, vectors: Tensor) -> Tensor:
        """Return the nearest codeword to each vector, shape (n,): the minimum of (‖h − e‖² − ‖h‖²) / 2."""
        halves = 0.5 * self.codebook.square().sum(1)
        at_once = max(1, _DISTANCES // len(self.codebook))
        # A trace, as for an export, would fix the number of vectors.
        is_traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        parts = (vectors,) if is_traced else torch.split(vectors, at_once)
        return torch.cat([torch.addmm(halves, part, self.codebook.T, alpha=-1).argmin(1) for part in parts])

    def _has_started(self) -> bool:
        self._is_known_to_be_started = self._is_known_to_be_started or bool(self.is_started)
        return self._is_known_to_be_started

    @torch.no_grad()
    def _start(self, vectors: Tensor, generator: Generator) -> None:
        """Set codewords to vectors, without repeats if there are enough: the first ones far apart, others random."""
        n_codes = len(self.codebook)
        order = torch.randperm(len(vectors), generator=generator, device=vectors.device)
        n_first = min(n_codes, len(vectors), _MOST_FAR_APART)
        first = _far_apart(vectors[order[: _FIRST_DRAW * n_first]], n_first, generator)
        is_other = torch.ones_like(order, dtype=torch.bool).index_fill_(0, first, False)
        order = torch.cat([order[first], order[is_other]])
        self.codebook.copy_(vectors[order[torch.arange(n_codes, device=order.device) % len(order)]])
        self.usage.fill_(len(vectors) / len(self.codebook))
        self.sums.copy_(self.codebook * self.usage[:, None])
        self.is_started.fill_(1)

    @torch.no_grad()
    def _learn(self, vectors: Tensor, indices: Tensor, generator: Generator) -> None:
        """Move codewords towards the vectors that chose them, and replace rarely used codewords."""
        counts = torch.bincount(indices, minlength=len(self.usage)).to(self.usage.dtype)
        sums = torch.zeros_like(self.sums).index_add_(0, indices, vectors)
        self.usage.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(sums, 1 - self.decay)
        is_in_use = self.usage > _IN_USE
        means = self.sums / self.usage.clamp_min(_IN_USE)[:, None]
        self.codebook.copy_(torch.where(is_in_use[:, None], means, self.codebook))
        if self.revival == 0:
            return
        mean_usage = self.usage.mean()
        is_dead = self.usage < self.revival * mean_usage
        drawn = vectors[_draw(len(vectors), len(self.usage), generator, vectors.device)]
        self.codebook.copy_(torch.where(is_dead[:, None], drawn, self.codebook))
        self.usage.copy_(torch.where(is_dead, mean_usage, self.usage))
        self.sums.copy_(torch.where(is_dead[:, None], drawn * mean_usage, self.sums))


def _far_apart(vectors: Tensor, n_drawn: int, generator: Generator) -> Tensor:
    """Return which vectors (n, dim) k-means++ draws, shape (n_drawn,), each by its squared distance from those before.

    The first vector is always drawn, since vectors are in random order.
    """
    drawn = torch.zeros(n_drawn, dtype=torch.int64, device=vectors.device)
    distances = torch.full_like(vectors[:, 0], torch.inf)
    for position in range(1, n_drawn):
        distances = torch.minimum(distances, (vectors - vectors[drawn[position - 1]]).square().sum(1))
        weights = distances.nan_to_num(0, 0, 0)
        weights = weights / weights.max().clamp_min(torch.finfo(weights.dtype).tiny)  # the sum of squares may overflow
        # If no different vector is left, any vector is drawn.
        weights = weights + 1e-12 * weights.sum() + 1e-30
        drawn[position] = torch.multinomial(weights, 1, generator=generator)[0]
    return drawn


def _draw(n: int, n_drawn: int, generator: Generator, device: torch.device) -> Tensor:
    """Return indices below n, shape (n_drawn,), with replacement."""
    return torch.randint(n, (n_drawn,), generator=generator, device=device)


def _largest_divisor(n: int, most: int) -> int:
    return max(divisor for divisor in range(1, most + 1) if n % divisor == 0)
