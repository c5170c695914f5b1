"""What holds of every bottleneck."""

import pytest
import torch

from narrows.bottlenecks import Bottleneck, Plain

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
    if code.symbols is not None:
        assert not code.symbols.is_floating_point()
        assert len(code.symbols) == 6
        assert torch.equal(bottleneck.symbols_to_z(code.symbols), code.z)


@pytest.mark.parametrize("z_shape", [(1,), (5,), (3, 4, 2)], ids=str)
def test_bottleneck(part, z_shape):
    check_bottleneck(part, z_shape)


def test_the_plain_one_passes_everything_on_for_nothing():
    bottleneck = Plain().build((4,))
    h = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(bottleneck(h).z, h)
    assert bottleneck(h).cost.tolist() == [0, 0, 0]
