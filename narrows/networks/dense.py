"""Dense networks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from narrows.errors import InvalidParameterError
from narrows.networks.activations import ACTIVATIONS, activation, inverse_activation
from narrows.networks.cells import CellInput, input_of
from narrows.networks.conditions import join
from narrows.networks.contract import Affine, Decoder, Encoder, LayerPair, Network, Sizes, Switches
from narrows.networks.embedding import Embedding, embedding_option
from narrows.networks.images import Reshape
from narrows.networks.initialisation import INITIALISATIONS, initialise, theano_generator, undrawn
from narrows.numerics.absent import is_absent
from narrows.numerics.column_scales import Levels
from narrows.parts.options import Boolean, Integer, Real, SequenceOf, option, optional

__all__ = ["Dense"]


class Dense(Network, name="dense"):
    """Fully connected layers; the decoder mirrors the encoder.

    With ``tied`` weights the decoder uses the transposed matrices of the encoder and its own biases, which halves the
    number of weights (Vincent et al. 2008; document 0).

    Examples
    --------
    Document 0's 784-256-256-64-32, tanh everywhere:

    >>> Dense(widths=(256, 256, 64), activation="tanh", code_activation="tanh", tied=True).widths
    (256, 256, 64)
    """

    widths: tuple[int, ...] = option(
        SequenceOf(Integer(1)), "units of the hidden layers, from the input to the code", default=(512,)
    )
    activation: str = option(ACTIVATIONS, "activation of the hidden layers", default="relu")
    code_activation: str = option(ACTIVATIONS, "activation of the encoder's last layer", default="identity")
    output_activation: str = option(ACTIVATIONS, "activation of the decoder's last layer", default="identity")
    tied: bool = option(Boolean(), "decode with the transposed matrices of the encoder", default=False)
    decoder_widths: tuple[int, ...] | None = option(
        optional(SequenceOf(Integer(1))),
        "units of the decoder's hidden layers, from the code on; None mirrors",
        default=None,
    )
    initialisation: str = option(INITIALISATIONS, "initial weights; hidden biases start at zero", default="glorot")
    theano_seed: int | None = option(
        optional(Integer(0, 2**32 - 1)),
        "draw weights like the Theano tutorials, from NumPy's RandomState with this seed; None: from random_state",
        default=None,
    )
    code_bias: float = option(
        Real(), "initial bias of the encoder's last layer; above 0 it keeps relu codes alive", default=0.0
    )
    embedding: int | None = embedding_option()
    missing_to_decoder: bool = option(
        Boolean(),
        "for rows of a table: tell the decoder which cells are missing, in training and to predict cells from others",
        default=False,
    )

    def _check(self) -> None:
        super()._check()
        if self.linear_path and self.tied and float(activation(self.activation)(torch.zeros(()))) != 0:
            raise InvalidParameterError(
                "The 'activation' of Dense must be 0 at 0 with linear_path=True and tied=True, as 'relu' and 'tanh' "
                f"are. Got {self.activation!r}. Change it, or set tied=False."
            )
        if self.linear_path and self.tied and self.is_linear:
            raise InvalidParameterError(
                "The 'tied' of Dense must be False with linear_path=True and without hidden layers: a linear path has "
                "a matrix for each direction. Set tied=False, or give widths."
            )
        if self.embedding is not None and (self.tied or self.linear_path):
            other = "tied" if self.tied else "linear_path"
            raise InvalidParameterError(
                f"The '{other}' of Dense must be False with an 'embedding', since vectors of categories are not what "
                f"the decoder outputs. Set {other}=False, or embedding=None."
            )
        if self.missing_to_decoder and self.tied:
            raise InvalidParameterError(
                "The 'tied' of Dense must be False with missing_to_decoder=True: the decoder has more inputs than the "
                "encoder has outputs. Set tied=False, or missing_to_decoder=False."
            )
        if self.linear_path and self.code_bias != 0:
            raise InvalidParameterError(
                "The 'code_bias' of Dense must be 0 with linear_path=True: untrained, the network outputs zeros. "
                f"Got {self.code_bias:g}. Set code_bias=0."
            )

    @property
    def is_linear(self) -> bool:
        return not self.widths and not self.decoder_widths

    def connect(self, sizes: Sizes, generator: Generator) -> tuple[Encoder, Decoder]:
        n_in = math.prod(sizes.shape)
        n_h, n_z = math.prod(sizes.h_shape), math.prod(sizes.z_shape)
        n_out = math.prod(sizes.out_shape)
        back = self.widths[::-1] if self.decoder_widths is None else self.decoder_widths

        k = sizes.n_condition
        embedding = input_of(self.embedding, sizes, type(self).__name__)
        n_in = n_in if embedding is None else embedding.n_out(n_in)
        widths = [n_in + k, *self.widths, n_h]
        n_marks = len(sizes.columns) if self.missing_to_decoder and sizes.columns is not None else 0
        kind = _RowEncoder if n_marks else _DenseEncoder
        encoder = kind(widths, self.activation, self.code_activation, sizes.h_shape, embedding)
        decoder: Decoder
        if self.tied:
            if k:
                raise InvalidParameterError(
                    "Tied weights cannot be combined with labels, which are inputs of both encoder and decoder. "
                    "Set tied=False."
                )
            self._check_tied(n_in, n_h, n_z, n_out, back)
            decoder = _TiedDecoder(encoder, self.activation, self.output_activation, sizes.out_shape)
        else:
            to_out = (self.activation, self.output_activation, sizes.out_shape)
            decoder = _FreeDecoder([n_z + k + n_marks, *back, n_out], *to_out, n_marks)
        draws = generator if self.theano_seed is None else theano_generator(self.theano_seed)
        initialise(encoder, self.initialisation, draws)
        initialise(decoder, self.initialisation, draws)
        if embedding is not None:
            embedding.draw(generator)
        with torch.no_grad():
            encoder.layers[-1].get_parameter("bias").fill_(self.code_bias)
        return encoder, decoder

    def layer_pairs(self, encoder: Encoder, decoder: Decoder) -> list[LayerPair]:
        if self.embedding is not None:
            raise InvalidParameterError("Layer-wise pretraining does not support an embedding. Set embedding=None.")
        if self.linear_path:
            raise InvalidParameterError("Layer-wise pretraining does not support a linear path. Set linear_path=False.")
        assert isinstance(encoder, _DenseEncoder)
        assert isinstance(decoder, _FreeDecoder | _TiedDecoder)
        if self.decoder_widths is not None and self.decoder_widths != self.widths[::-1]:
            raise InvalidParameterError(
                "Layer-wise pretraining needs a decoder whose widths mirror the encoder's. Got the encoder "
                f"{'-'.join(map(str, self.widths))} and the decoder {'-'.join(map(str, self.decoder_widths))}. "
                "Set decoder_widths=None, or pretraining=None."
            )
        encode = [nn.Sequential(layer, encoder.hidden) for layer in encoder.layers]
        encode[-1] = nn.Sequential(encoder.layers[-1], encoder.last)
        encode[0] = nn.Sequential(nn.Flatten(), *encode[0])
        activations = [nn.Sequential(decoder.last, decoder.to_records), *[decoder.hidden] * (len(encode) - 1)]
        return [LayerPair(*parts) for parts in zip(encode, decoder.affine()[::-1], activations, strict=True)]

    def _check_tied(self, n_in: int, n_h: int, n_z: int, n_out: int, back: tuple[int, ...]) -> None:
        there, and_back = (n_in, *self.widths, n_h), (n_z, *back, n_out)
        if there != and_back[::-1]:
            raise InvalidParameterError(
                "Tied weights need a decoder that mirrors the encoder. "
                f"Got the encoder {'-'.join(map(str, there))} and the decoder {'-'.join(map(str, and_back))}. "
                "Set tied=False, or choose parts with the same widths in both directions."
            )


def _layers(widths: Sequence[int]) -> nn.ModuleList:
    return nn.ModuleList(undrawn(nn.Linear, n_in, n_out) for n_in, n_out in pairwise(widths))


def _affine_layers(layers: Sequence[nn.Module], hidden: nn.Module, last: nn.Module) -> tuple[Affine, ...]:
    activations = [*[hidden] * (len(layers) - 1), last]
    return tuple(
        Affine(one.get_parameter("weight"), one.get_parameter("bias"), act)
        for one, act in zip(layers, activations, strict=True)
    )


def _set_bias(bias: Tensor, output_activation: str, parameters: Tensor) -> None:
    with torch.no_grad():
        bias.copy_(inverse_activation(output_activation, parameters).flatten())


class _DenseEncoder(Encoder):
    """x (n, *shape) → h (n, *h_shape)."""

    def __init__(
        self,
        widths: Sequence[int],
        hidden: str,
        last: str,
        h_shape: tuple[int, ...],
        embedding: Embedding | CellInput | None = None,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.layers = _layers(widths)
        self.hidden, self.last, self.h_shape = activation(hidden), activation(last), h_shape

    @property
    def last_layer(self) -> nn.Module:
        return self.layers[-1]

    @property
    def single_layer(self) -> tuple[nn.Linear, nn.Module] | None:
        layer = self.layers[0]
        is_single = len(self.layers) == 1 and self.embedding is None
        return (layer, self.last) if is_single and isinstance(layer, nn.Linear) else None

    @property
    def affine_layers(self) -> tuple[Affine, ...]:
        return () if self.embedding is not None else _affine_layers(list(self.layers), self.hidden, self.last)

    def set_levels(self, levels: Levels | None) -> None:
        if levels is not None and isinstance(self.embedding, CellInput):
            self.embedding.set_levels(levels)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        x = x if self.embedding is None else self.embedding(x)
        y = join(x.flatten(1), condition)
        *inner, last = self.layers  # a slice of them would be a new module
        for layer in inner:
            y = self.hidden(layer(y))
        return self.last(last(y)).reshape(-1, *self.h_shape)  # type: ignore[no-any-return]


class _RowEncoder(_DenseEncoder):
    """The encoder of rows of a table whose decoder gets marks of the cells that are missing."""

    def with_pool_indices(self, x: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Switches]:
        return self(x, condition), self.missing_cells(x) if self.training else ()

    def missing_cells(self, x: Tensor) -> Switches:
        return (is_absent(x.flatten(1)).to(self.layers[0].get_parameter("weight").dtype),)


class _FreeDecoder(Decoder):
    """z (n, *z_shape) → the likelihood's parameters (n, *out_shape).

    With ``n_marks``, the inputs are z and marks of the missing cells of a row (n, n_marks): zeros without switches.
    """

    def __init__(
        self, widths: Sequence[int], hidden: str, last: str, out_shape: tuple[int, ...], n_marks: int = 0
    ) -> None:
        super().__init__()
        self.no_marks = nn.ConstantPad1d((0, n_marks), 0.0) if n_marks else None
        self.layers = _layers(widths)
        self.flatten, self.to_records = nn.Flatten(), Reshape(out_shape)
        self.hidden, self.last = activation(hidden), activation(last)
        self.output_activation = last

    @property
    def last_layer(self) -> nn.Module:
        return self.layers[-1]

    @property
    def affine_layers(self) -> tuple[Affine, ...]:
        return _affine_layers(list(self.layers), self.hidden, self.last)

    def affine(self) -> list[nn.Module]:
        """Return the layers without activations, from the code on."""
        return list(self.layers)

    def init_output_bias(self, parameters: Tensor) -> None:
        _set_bias(self.layers[-1].get_parameter("bias"), self.output_activation, parameters)

    def as_sequence(self) -> list[nn.Module]:
        return [self.flatten, *([] if self.no_marks is None else [self.no_marks]), *self._after_input()]

    def _after_input(self) -> list[nn.Module]:
        *inner, last = self.layers
        hidden = [stage for layer in inner for stage in (layer, self.hidden)]
        return [*hidden, last, self.last, self.to_records]

    def forward(self, z: Tensor, switches: Switches = (), condition: Tensor | None = None) -> Tensor:
        if self.no_marks is None or not switches:
            return super().forward(z, switches, condition)
        y = torch.cat([z.flatten(1), *switches], 1)
        for stage in self._after_input():
            y = stage(y)
        return y


class _TiedDecoder(Decoder):
    """Like `_FreeDecoder`, but with the transposed matrices of an encoder and its own biases."""

    def __init__(self, encoder: _DenseEncoder, hidden: str, last: str, out_shape: tuple[int, ...]) -> None:
        super().__init__()
        layers = [layer for layer in reversed(encoder.layers) if isinstance(layer, nn.Linear)]
        # In a tuple, so that the matrices belong to the encoder: they are moved, saved and counted once.
        self.mirrored = tuple(layers)
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(layer.in_features)) for layer in layers)
        self.flatten, self.to_records = nn.Flatten(), Reshape(out_shape)
        self.hidden, self.last = activation(hidden), activation(last)
        self.output_activation = last

    @property
    def affine_layers(self) -> tuple[Affine, ...]:
        free = _affine_layers(self.mirrored, self.hidden, self.last)
        return tuple(
            Affine(one.weight, bias, one.activation, True) for one, bias in zip(free, self.biases, strict=True)
        )

    def affine(self) -> list[nn.Module]:
        """Return the layers without activations, from the code on."""
        return [_Transposed(layer, bias) for layer, bias in zip(self.mirrored, self.biases, strict=True)]

    def init_output_bias(self, parameters: Tensor) -> None:
        _set_bias(self.biases[-1], self.output_activation, parameters)

    def as_sequence(self) -> list[nn.Module]:
        mirrored = [_mirrored(layer, bias) for layer, bias in zip(self.mirrored, self.biases, strict=True)]
        hidden = [stage for layer in mirrored[:-1] for stage in (layer, self.hidden)]
        return [self.flatten, *hidden, mirrored[-1], self.last, self.to_records]

    def forward(self, z: Tensor, switches: Switches = (), condition: Tensor | None = None) -> Tensor:
        y = join(z.flatten(1), condition)
        depth = len(self.mirrored)
        for position, (layer, bias) in enumerate(zip(self.mirrored, self.biases, strict=True), start=1):
            y = torch.addmm(bias, y, layer.weight)
            y = self.hidden(y) if position < depth else self.last(y)
        return self.to_records(y)  # type: ignore[no-any-return]


class _Transposed(nn.Module):
    """Multiplies by the transposed matrix of another layer, and adds a bias."""

    def __init__(self, layer: nn.Linear, bias: nn.Parameter) -> None:
        super().__init__()
        self.layer, self.bias = layer, bias

    def forward(self, y: Tensor) -> Tensor:
        return torch.addmm(self.bias, y, self.layer.weight)


def _mirrored(layer: nn.Linear, bias: Tensor) -> nn.Linear:
    """Return an independent layer with the transposed matrix of another one."""
    made = nn.Linear(layer.out_features, layer.in_features, device="meta")
    made.weight, made.bias = nn.Parameter(layer.weight.detach().T), nn.Parameter(bias.detach())
    return made
