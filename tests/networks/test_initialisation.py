"""How weights start: every parameter of a network is drawn or set, and none is passed over."""

import pytest
import torch
from torch import nn

from narrows import Autoencoder
from narrows.errors import InvalidParameterError
from narrows.networks import Dense, Network, Sizes
from narrows.networks.contract import Encoder
from narrows.networks.initialisation import initialise, undrawn


class WithMemory(nn.Module):
    """A GRU, made by `undrawn` as all layers are: its weights are memory that nobody has written to."""

    def __init__(self):
        super().__init__()
        self.first = undrawn(nn.Linear, 3, 4)
        self.memory = nn.Sequential(undrawn(nn.GRU, 4, 2))


class WithScale(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([undrawn(nn.Linear, 3, 4)])
        self.layers[0].scale = nn.Parameter(torch.full((4,), 7.0))


class WithNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = undrawn(nn.LayerNorm, 3)


class WithLists(nn.Module):
    def __init__(self):
        super().__init__()
        self.weights = nn.ParameterList([torch.full((4, 3), 7.0), torch.full((2, 4), 7.0)])
        self.biases = nn.ParameterList([torch.full((4,), 7.0), torch.full((2,), 7.0)])


@pytest.mark.parametrize(
    ("made", "name"),
    [(WithMemory, "memory.0.weight_ih_l0"), (WithScale, "layers.0.scale"), (WithNorm, "norm.weight")],
)
def test_a_parameter_that_nobody_knows_how_to_start_is_refused_by_name(made, name):
    with pytest.raises(InvalidParameterError, match=f"'{name}' of {made.__name__}"):
        initialise(made(), "glorot", torch.Generator())


def test_a_parameter_that_the_module_sets_itself_is_kept():
    module = WithScale()
    initialise(module, "glorot", torch.Generator(), keep=("layers.0.scale",))
    assert (module.layers[0].scale == 7).all()


def test_parameters_in_lists_start_like_those_of_layers():
    module = WithLists()
    initialise(module, "fan-in", torch.Generator())
    assert all((bias == 0).all() for bias in module.biases)
    assert all(0 < weight.abs().max() <= weight.shape[1] ** -0.5 for weight in module.weights)


def test_the_biases_of_a_tied_decoder_start_at_zero_whatever_they_were():
    _, decoder = Dense(widths=(4,), tied=True).build(Sizes((6,), (2,), (2,)), torch.Generator())
    with torch.no_grad():
        for bias in decoder.biases:
            bias.fill_(7)
    initialise(decoder, "glorot", torch.Generator())
    assert len(decoder.biases) == 2
    assert all((bias == 0).all() for bias in decoder.biases)


def test_a_network_with_a_gru_is_refused_at_fit():
    class Recurrent(Network):
        def connect(self, sizes, generator):
            class GRUEncoder(Encoder):
                def __init__(self):
                    super().__init__()
                    self.gru = undrawn(nn.GRU, sizes.shape[-1], sizes.h_shape[0], batch_first=True)

                def forward(self, x, condition=None):
                    return self.gru(x)[1][0]

            encoder = GRUEncoder()
            initialise(encoder, "glorot", generator)
            _, decoder = Dense().build(sizes, generator)
            return encoder, decoder

    with pytest.raises(InvalidParameterError, match=r"'gru\.weight_ih_l0' of GRUEncoder"):
        Autoencoder(2, network=Recurrent()).fit(torch.rand(10, 5, 3).numpy())
