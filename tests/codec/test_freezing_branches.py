"""Decoders with paths beside each other: as good in whole numbers as in floats, and the same everywhere."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from torch import nn

from narrows.bottlenecks import Plain
from narrows.chain import Chain, Parts
from narrows.codec.freezing.calibration import freeze
from narrows.codec.freezing.decoder import freeze_decoder
from narrows.codec.freezing.ranges import ranged
from narrows.codec.frozen import FrozenCodec
from narrows.codec.operations import Branches as BranchesOperation
from narrows.codec.operations import Clip, Lookup
from narrows.errors import ModelFileError, NotFreezableError
from narrows.likelihoods import Normal
from narrows.networks import Dense
from narrows.networks.activations import SoftClip
from narrows.networks.branches import Branches
from narrows.networks.contract import Decoder
from narrows.networks.images import FromChannelsFirst, Reshape
from narrows.preprocessing import UnitScale
from narrows.records import ImageLayout

BACKENDS = ("float64", "int64", "torch")
SHAPE, N_LATENT = (6, 5), 7


class Stages(Decoder):
    """A decoder that does one stage after the other."""

    def __init__(self, *stages):
        super().__init__()
        self.stages = nn.ModuleList(stages)

    def init_output_bias(self, parameters):
        raise NotImplementedError

    def as_sequence(self):
        return list(self.stages)


def drawn(module, seed=1):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in module.parameters():
            weights.uniform_(-0.5, 0.5, generator=generator)
    return module


def make(*stages):
    """Return a chain with this decoder, its records and their codes."""
    chain = Chain(
        Parts(N_LATENT, Dense(widths=()), Plain(), Normal(), (UnitScale(),)),
        SHAPE,
        np.dtype(np.uint8),
        torch.Generator().manual_seed(1),
    )
    chain.decoder = drawn(Stages(*stages))
    records = np.random.default_rng(1).integers(0, 256, (300, *SHAPE)).astype(np.uint8)
    chain.fit_preprocessing(lambda size: iter([torch.from_numpy(records)]))
    with torch.no_grad():
        chain.encoder.layers[0].weight *= 4  # codes beyond ±5 are clipped beside the linear path
        return chain, records, chain.encode(chain.prepare(torch.from_numpy(records))).z


def beside(limit=5.0):
    network = nn.Sequential(nn.Hardtanh(-limit, limit), nn.Linear(N_LATENT, 24), nn.SiLU(), nn.Linear(24, 30))
    return Branches(nn.Linear(N_LATENT, 30), network)


def deviation_db(chain, codes, frozen):
    z = np.clip(np.rint(np.ldexp(codes.numpy().astype(float), frozen.input_shift)), -32768, 32767).astype(np.int16)
    mean = np.ldexp(frozen.program.run(z).astype(float), -frozen.output_shift)
    with torch.no_grad():
        wanted = chain.decode(codes).numpy()
    assert mean.shape == wanted.shape
    return -10 * math.log10(np.square(mean - wanted).mean() / np.square(wanted).mean())


def test_a_linear_path_beside_a_network():
    chain, _, codes = make(beside(), SoftClip(), Reshape(SHAPE))
    assert float(codes.abs().max()) > 5
    frozen = freeze_decoder(chain, codes)
    assert deviation_db(chain, codes, frozen) > 72
    first, *rest = frozen.program.operations
    assert isinstance(first, BranchesOperation)
    assert isinstance(first.branches[1][0], Clip)
    assert isinstance(rest[0], Lookup)
    z = np.random.default_rng(2).integers(-32768, 32768, (50, N_LATENT)).astype(np.int16)
    wanted = frozen.program.run(z)
    assert len(np.unique(wanted)) > 100
    for backend in BACKENDS:
        np.testing.assert_array_equal(frozen.program.run(z, backend=backend), wanted)


def test_a_codec_with_branches_comes_back_from_its_bytes():
    chain, records, _ = make(beside(), SoftClip(), Reshape(SHAPE))
    codec = freeze(chain, records, 255.0)
    again = FrozenCodec.from_bytes(codec.blob)
    assert again.to_bytes() == codec.blob
    rng = np.random.default_rng(3)
    symbols = np.rint(rng.normal(scale=20, size=(40, codec.n_symbols))).astype(np.int32)
    for quality in range(len(codec.qualities)):
        wanted = codec.decode(symbols, quality)
        for backend in BACKENDS:
            assert again.decode(symbols, quality, backend=backend).tobytes() == wanted.tobytes()


def test_golden_symbols_of_a_codec_with_branches_are_replayed():
    """Shifts are no tensors, so no checksum covers them."""
    chain, records, _ = make(beside(), SoftClip(), Reshape(SHAPE))
    codec = freeze(chain, records, 255.0)
    length = int.from_bytes(codec.blob[:8], "little")
    header = json.loads(json.loads(codec.blob[8 : 8 + length])["__metadata__"]["narrows_codec"])
    joined = save(load(codec.blob), {"narrows_codec": json.dumps(header)})
    assert FrozenCodec.from_bytes(joined).decode(codec.golden, 0).shape == (len(codec.golden), *SHAPE)
    header["decoder"]["operations"][0]["shifts"][0] += 1
    with pytest.raises(ModelFileError, match="does not reproduce its golden vectors"):
        FrozenCodec.from_bytes(save(load(codec.blob), {"narrows_codec": json.dumps(header)}))


@pytest.mark.parametrize("scale", [1e-6, 1e-2, 1e3])
def test_branches_whose_values_are_of_other_sizes(scale):
    chain, _, codes = make(Branches(nn.Linear(N_LATENT, 30), nn.Sequential(nn.Linear(N_LATENT, 30))), Reshape(SHAPE))
    with torch.no_grad():
        for weights in chain.decoder.stages[0].branches[1].parameters():
            weights.mul_(scale)
    assert deviation_db(chain, codes, freeze_decoder(chain, codes)) > 72


@pytest.mark.parametrize("size", [1e-4, 1.0, 1e4])
def test_a_branch_of_zeros_changes_nothing(size):
    """As a network beside a linear path is before it is trained."""
    chain, _, codes = make(beside(), Reshape(SHAPE))
    with torch.no_grad():
        for weights in chain.decoder.stages[0].branches[1][-1].parameters():
            weights.zero_()
        for weights in chain.decoder.stages[0].branches[0].parameters():
            weights.mul_(size)
    assert deviation_db(chain, codes, freeze_decoder(chain, codes)) > 65


def test_branches_that_cancel_each_other():
    chain, _, codes = make(Branches(nn.Linear(N_LATENT, 30), nn.Linear(N_LATENT, 30)), Reshape(SHAPE))
    with torch.no_grad():
        first, second = (branch[0] for branch in chain.decoder.stages[0].branches)
        second.weight.copy_(0.01 * second.weight - first.weight)
    assert deviation_db(chain, codes, freeze_decoder(chain, codes)) > 40


def test_branches_of_maps():
    """One leaves the channels last and one first."""
    convolve = nn.Sequential(Reshape((1, 3, 2)), nn.Upsample((6, 5)), nn.Conv2d(1, 1, 3, padding=1))
    other = nn.Sequential(nn.Linear(6, 30), nn.Tanh(), Reshape((1, 6, 5)))
    chain, _, codes = make(
        nn.Linear(N_LATENT, 6), Branches(convolve, other), nn.ReLU(), FromChannelsFirst(ImageLayout.of(SHAPE))
    )
    assert deviation_db(chain, codes, freeze_decoder(chain, codes)) > 72


def test_what_is_large_within_a_branch_is_seen():
    """Also where nothing of it is left behind the branches."""
    stages = ranged([Branches(nn.Identity(), nn.Sequential(nn.Linear(2, 2), nn.Tanh()))])
    with torch.no_grad():
        stages[0].branches[1][0].module.weight.copy_(torch.tensor([[1000.0, 0.0], [0.0, 1.0]]))
        stages[0].branches[1][0].module.bias.zero_()
        for values in ([3.0, 1.0], [-2.0, 0.0]):
            y = torch.tensor([values])
            torch.testing.assert_close(stages[0].run(y), stages[0].module(y))
    assert stages[0].branches[0][0].largest == 3
    assert stages[0].branches[1][0].largest == 3000
    assert stages[0].branches[1][1].largest == 1
    assert stages[0].largest == 4


@pytest.mark.parametrize("limits", [(-1.0, 1.0), (0.0, 6.0), (-1e30, 1e30), (2.0, 3.0)])
def test_hard_limits(limits):
    chain, _, codes = make(nn.Linear(N_LATENT, 30), nn.Hardtanh(*limits), Reshape(SHAPE))
    assert deviation_db(chain, codes, freeze_decoder(chain, codes)) > 65


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        (Branches(nn.Linear(N_LATENT, 30)), "must have 2 to 8 branches. Got 1"),
        (Branches(*[nn.Linear(N_LATENT, 30) for _ in range(9)]), "must have 2 to 8 branches. Got 9"),
        (Branches(beside(), nn.Linear(N_LATENT, 30)), "cannot be nested"),
        (Branches(nn.Linear(N_LATENT, 30), nn.Linear(N_LATENT, 1)), r"different shapes: \(30,\), \(1,\)"),
        (Branches(nn.Linear(N_LATENT, 30), nn.Sequential(nn.Linear(N_LATENT, 30), nn.Softmax(1))), "for its Softmax"),
    ],
    ids=["one", "nine", "within each other", "other shapes", "no counterpart"],
)
def test_branches_without_a_counterpart(stage, message):
    chain, _, codes = make(stage, Reshape(SHAPE))
    with pytest.raises(NotFreezableError, match=message):
        freeze_decoder(chain, codes)


def test_a_branch_that_is_not_finite():
    chain, _, codes = make(beside(), Reshape(SHAPE))
    with torch.no_grad():
        chain.decoder.stages[0].branches[1][1].weight[0, 0] = math.nan
    with pytest.raises(NotFreezableError, match="the output of its Linear must be finite"):
        freeze_decoder(chain, codes)
