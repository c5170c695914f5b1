"""Recurrent networks, for series."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from narrows.errors import InvalidParameterError
from narrows.networks.conditions import join
from narrows.networks.contract import Decoder, Encoder, Network, Sizes, Switches
from narrows.networks.embedding import Embedding, embedding_of, embedding_option
from narrows.networks.images import Reshape
from narrows.networks.initialisation import INITIALISATIONS, initialise, undrawn
from narrows.networks.recurrence import CELLS, RecurrentMaps, with_feedback
from narrows.networks.steps import Patches, SeriesDecoder, embedded_maps, series_layout, to_maps
from narrows.parts.options import Boolean, Choice, Integer, option
from narrows.records import ImageLayout

__all__ = ["Recurrent"]


class Recurrent(Network, name="recurrent"):
    """A recurrent layer that reads a series, and another one that restores it from the code.

    Both proceed by ``patch`` steps at a time. The encoder's states become a code of ``n_latent`` numbers by a dense
    layer. From the code a dense layer computes what the decoder receives at each patch, and a linear layer restores the
    steps from its states. The time for a record is proportional to its length.

    With ``teacher_forcing`` the decoder also receives the patch before: that of the record in training, and otherwise
    the one that it has restored itself (Williams and Zipser 1989). It then learns to predict, and relies less on the
    code.

    Examples
    --------
    >>> Recurrent(width=32).code_shape((140, 3), 8)
    (8,)
    """

    for_series: ClassVar[bool] = True

    width: int = option(Integer(1), "units of the recurrent layers", default=64)
    cell: str = option(Choice(*CELLS), "gated recurrent units, or long short-term memory", default="gru")
    patch: int = option(Integer(1, 16), "steps that are read and restored at once", default=4)
    code_input: str = option(
        Choice("steps", "repeated"),
        "what the decoder receives from the code: numbers of their own at each patch, or the same ones at all",
        default="steps",
    )
    input_width: int = option(Integer(1), "how many numbers the decoder receives at each patch", default=8)
    teacher_forcing: bool = option(
        Boolean(),
        "the decoder also receives the steps before, in training those of the record, otherwise those it restored",
        default=False,
    )
    embedding: int | None = embedding_option()
    initialisation: str = option(INITIALISATIONS, "initial weights; biases start at zero", default="fan-in")

    def _check(self) -> None:
        super()._check()
        if self.teacher_forcing and self.linear_path:
            raise InvalidParameterError(
                "The 'teacher_forcing' of Recurrent must be False with linear_path=True, with which the network "
                "restores only what the linear path does not. Set linear_path=False, or teacher_forcing=False."
            )
        if self.teacher_forcing and self.embedding is not None:
            raise InvalidParameterError(
                "The 'teacher_forcing' of Recurrent must be False with an 'embedding': the decoder is fed back "
                "numbers. Set teacher_forcing=False, or embedding=None."
            )

    def connect(self, sizes: Sizes, generator: Generator) -> tuple[Encoder, Decoder]:
        layout = series_layout(sizes.shape, type(self).__name__)
        embedding = embedding_of(self.embedding, sizes, type(self).__name__)
        encoder = _RecurrentEncoder(self, sizes, layout, embedding)
        decoder = _RecurrentDecoder(self, sizes, layout)
        initialise(encoder, self.initialisation, generator)
        initialise(decoder, self.initialisation, generator)
        if embedding is not None:
            embedding.draw(generator)
        return encoder, decoder


class _RecurrentEncoder(Encoder):
    """x (n, *shape) → h (n, *h_shape)."""

    def __init__(self, part: Recurrent, sizes: Sizes, layout: ImageLayout, embedding: Embedding | None) -> None:
        super().__init__()
        self.embedding, channels = embedding, layout.channels * (part.embedding or 1)
        self.layout, self.h_shape, self.shows_steps = (
            replace(layout, channels=channels),
            sizes.h_shape,
            part.teacher_forcing,
        )
        self.patches = Patches(layout.width, part.patch)
        n_in = (channels + sizes.n_condition) * part.patch
        self.inputs = undrawn(nn.Conv2d, n_in, CELLS[part.cell] * part.width, 1)
        self.recurrence = RecurrentMaps(part.cell, part.width)
        self.head = undrawn(nn.Linear, part.width * self.patches.count, math.prod(sizes.h_shape))

    @property
    def last_layer(self) -> nn.Module:
        return self.head

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        patches = self.patches(join(embedded_maps(self.layout, self.embedding, x), condition))
        states = self.recurrence(self.inputs(patches))
        return self.head(states.flatten(1)).reshape(-1, *self.h_shape)  # type: ignore[no-any-return]

    def with_pool_indices(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Switches]:
        """Return h, and in training with teacher forcing the records, which the decoder receives step by step."""
        return self(x, condition), (x,) if self.shows_steps and self.training else ()


class _RecurrentDecoder(SeriesDecoder):
    """z (n, *z_shape) → the likelihood's parameters, (n, *out_shape)."""

    def __init__(self, part: Recurrent, sizes: Sizes, layout: ImageLayout) -> None:
        super().__init__(layout, sizes, "identity")
        self.patches = Patches(layout.width, part.patch)
        n_gates, count = CELLS[part.cell] * part.width, self.patches.count
        n_own = count if part.code_input == "steps" else 1
        n_z = math.prod(sizes.z_shape) + sizes.n_condition
        self.flatten, self.activation = nn.Flatten(), nn.Tanh()
        self.head = undrawn(nn.Linear, n_z, n_own * part.input_width)
        self.to_maps = Reshape((part.input_width, 1, n_own))
        self.repeat = None if n_own == count else nn.Upsample(size=(1, count), mode="nearest")
        self.inputs = undrawn(nn.Conv2d, part.input_width, n_gates, 1)
        self.recurrence = RecurrentMaps(part.cell, part.width)
        n_patch = layout.channels * part.patch
        self.feedback = undrawn(nn.Linear, n_patch, n_gates, bias=False) if part.teacher_forcing else None
        self.back = self.patches.back(part.width, layout.channels * sizes.n_parameters)

    @property
    def last_layer(self) -> nn.Module:
        return self.back

    def forward(self, z: Tensor, switches: Switches = (), condition: Tensor | None = None) -> Tensor:
        if self.feedback is None or not switches:
            return super().forward(z, (), condition)
        y: Tensor = join(z, condition)
        for stage in self._before():
            y = stage(y)
        y = self.recurrence(y + self._of_steps_before(switches[0]))
        for stage in self._after():
            y = stage(y)
        return y

    def as_sequence(self) -> list[nn.Module]:
        if self.feedback is None:
            return [*self._before(), self.recurrence, *self._after()]
        weight, bias = self._restoring()
        recurrence = with_feedback(self.recurrence, self.feedback.get_parameter("weight"), weight, bias)
        return [*self._before(), recurrence, *self._after()]

    def _before(self) -> list[nn.Module]:
        repeat = [] if self.repeat is None else [self.repeat]
        return [self.flatten, self.head, self.activation, self.to_maps, *repeat, self.inputs]

    def _after(self) -> list[nn.Module]:
        return [self.back, self.to_steps, self.to_records]

    def _restoring(self) -> tuple[Tensor, Tensor]:
        """Return the weights (channels · patch, H) and biases of the first parameter of each value of a patch."""
        n_parameters, n_steps = self.to_steps.n_parameters, self.patches.length
        weight, bias = (self.back.get_parameter(name) for name in ("weight", "bias"))
        first = weight[:, ::n_parameters].flatten(1).t()  # (H, channels, 1, patch) before
        return first, bias[::n_parameters].repeat_interleave(n_steps)

    def _of_steps_before(self, x: Tensor) -> Tensor:
        """Return what the gates receive from the patches before, (n, k H, 1, patches); before the first, of state 0."""
        assert self.feedback is not None
        patches = self.patches(to_maps(self.layout, x))
        start = self._restoring()[1][None, :, None, None].expand(len(x), -1, -1, -1)
        before = torch.cat([start, patches[:, :, :, :-1]], dim=3)
        received: Tensor = self.feedback(before.movedim(1, 3)).movedim(3, 1)
        return received
