"""What holds of every bottleneck."""

import math

import pytest
import torch

from narrows.bottlenecks import Bottleneck, Plain, TopK
from narrows.errors import InvalidParameterError

AXIS = Bottleneck


def check_bottleneck(part, z_shape):
    bottleneck = part.build(z_shape)
    assert bottleneck.z_shape == z_shape
    h = torch.randn(6, *bottleneck.h_shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    code = bottleneck(h)
    assert code.z.shape == (6, *z_shape)
    assert code.z.dtype == h.dtype
    assert code.cost.shape == (6,)
    assert bool(code.cost.isfinite().all())
    (code.z.square().sum() + code.cost.sum()).backward()
    assert h.grad is not None
    assert bool(h.grad.isfinite().all())
    # Of codewords that are all but the same, rounding may choose another.
    torch.testing.assert_close(bottleneck.project(code.z), code.z, atol=1e-3, rtol=0)
    possible = bottleneck.project(torch.randn(6, *z_shape, generator=torch.Generator().manual_seed(1)))
    torch.testing.assert_close(bottleneck.project(possible), possible, atol=1e-3, rtol=0)
    if code.symbols is not None:
        assert not code.symbols.is_floating_point()
        assert len(code.symbols) == 6
        assert torch.equal(bottleneck.symbols_to_z(code.symbols), code.z)


@pytest.mark.parametrize("z_shape", [(1,), (5,), (3, 4, 2)], ids=str)
def test_bottleneck(part, z_shape):
    n_latent = math.prod(z_shape)
    n_channels = z_shape[0] if len(z_shape) == 3 else n_latent
    if n_channels % (getattr(part, "dim", None) or 1):
        with pytest.raises(InvalidParameterError, match=f"The 'dim' of VectorQuantised must divide {n_channels}, the "):
            part.build(z_shape)
    elif (getattr(part, "k", None) or 1) > n_latent:
        with pytest.raises(InvalidParameterError, match=f"The 'k' of TopK must be ≤ {n_latent}, the numbers in the"):
            part.build(z_shape)
    else:
        check_bottleneck(part, z_shape)


def test_the_plain_one_passes_everything_on_for_nothing():
    bottleneck = Plain().build((4,))
    h = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(bottleneck(h).z, h)
    assert bottleneck(h).cost.tolist() == [0, 0, 0]


@pytest.mark.parametrize("z_shape", [(8,), (2, 2, 2)], ids=str)
@pytest.mark.parametrize(("k", "n_kept"), [(1, 1), (3, 3), (8, 8), (None, 2)])
def test_top_k_keeps_the_largest_of_each_record_and_only_they_learn(k, n_kept, z_shape):
    h = torch.randn(50, *z_shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    z = TopK(k=k).build(z_shape)(h).z
    for before, after in zip(h.detach().flatten(1).numpy(), z.detach().flatten(1).numpy(), strict=True):
        largest = sorted(before, reverse=True)[:n_kept]
        assert after.tolist() == [number if number in largest else 0 for number in before]
    z.sum().backward()
    assert torch.equal(h.grad != 0, z != 0)
    assert set(h.grad.unique().tolist()) <= {0, 1}


def test_top_k_passes_on_what_is_not_finite_where_it_is():
    z = TopK(k=1).build((3,))(torch.tensor([[1.0, math.inf, -math.inf]])).z
    assert z.tolist() == [[0, math.inf, 0]]
