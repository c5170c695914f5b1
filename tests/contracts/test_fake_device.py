"""The fake device refuses what CUDA refuses, allows what CUDA allows, and counts what it holds and copies."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from narrows.training import Optimiser

pytestmark = pytest.mark.usefixtures("cuda")

TWO_DEVICES = "Expected all tensors to be on the same device, but "  # how it goes on depends on the operation


def there(*values):
    return torch.tensor(values, device="cuda")


def here(*values):
    return torch.tensor(values)


def test_tensors_say_where_they_are():
    x = there(1.0, 2.0)
    assert x.device == torch.device("cuda", 0)
    assert x.is_cuda
    assert not x.is_cpu
    assert not x.is_meta
    assert not here(1.0).is_cuda
    assert torch.cuda.is_available()


MADE = {
    "a factory": lambda: torch.zeros(2, device="cuda"),
    "a factory of ints": lambda: torch.arange(2, device=torch.device("cuda")),
    "a tensor of data": lambda: torch.tensor([1.0, 2.0], device="cuda:0"),
    "an array": lambda: torch.as_tensor(np.ones(2), device="cuda"),
    "to": lambda: here(1.0, 2.0).to("cuda"),
    "to by keyword": lambda: here(1.0, 2.0).to(device="cuda", dtype=torch.float64),
    "to another": lambda: here(1.0, 2.0).to(there(1.0)),
    "cuda": lambda: here(1.0, 2.0).cuda(),
    "like": lambda: torch.ones_like(there(1.0, 2.0)),
    "like one elsewhere": lambda: torch.ones_like(here(1.0, 2.0), device="cuda"),
    "new zeros": lambda: there(1.0).new_zeros(2),
    "new data": lambda: there(1.0).new_tensor([1.0, 2.0]),
    "a view": lambda: there(1.0, 2.0, 3.0)[1:],
    "a parameter": lambda: nn.Parameter(there(1.0, 2.0)),
    "a module's": lambda: nn.Linear(1, 2).to("cuda").bias,
    "a sum of two": lambda: there(1.0, 2.0) + there(1.0, 1.0),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_what_is_made_there_stays_there(make):
    x = make()
    assert x.is_cuda
    assert x.shape == (2,)
    assert not x.cpu().is_cuda
    assert not x.to("cpu").is_cuda


REFUSED = {
    "a sum": lambda: there(1.0, 2.0) + here(1.0, 2.0),
    "the other way round": lambda: here(1.0, 2.0) + there(1.0, 2.0),
    "a sum with one that has an axis": lambda: there(1.0, 2.0) + here(1.0),
    "a matrix product": lambda: there(1.0) @ here(1.0),
    "a layer": lambda: nn.Linear(1, 1).to("cuda")(here(1.0)),
    "a layer here": lambda: nn.Linear(1, 1)(there(1.0)),
    "a concatenation": lambda: torch.cat([there(1.0), here(1.0)]),
    "a stack of numbers": lambda: torch.stack([there(1.0)[0], here(1.0)[0]]),
    "a choice": lambda: torch.where(here(True, False), there(1.0, 2.0), 0.0),
    "index_select by CPU indices": lambda: there(1.0, 2.0).index_select(0, here(1)),
    "gather by CPU indices": lambda: there(1.0, 2.0).gather(0, here(1)),
    "CPU values at indices there": lambda: here(1.0, 2.0)[there(1)],
    "in place, a number here and values there": lambda: here(1.0)[0].add_(there(1.0, 2.0)[0]),
    "assigned values": lambda: there(1.0, 2.0).index_put_((there(0, 1),), here(1.0, 2.0)),
    "a comparison as a whole": lambda: torch.equal(there(1.0), here(1.0)),
    "a CPU generator": lambda: torch.rand(2, generator=torch.Generator(), device="cuda"),
    "a CPU generator, in place": lambda: there(1.0).normal_(generator=torch.Generator()),
    "a generator there for what is here": lambda: torch.randperm(2, generator=torch.Generator("cuda")),
    "a weight drawn from one": lambda: nn.init.normal_(there(1.0), generator=torch.Generator()),
}


@pytest.mark.parametrize("mixture", REFUSED.values(), ids=REFUSED)
def test_two_devices_are_not_mixed(mixture):
    with pytest.raises(
        RuntimeError, match=f"{TWO_DEVICES}|indices should be|Expected a '.*' device type for generator"
    ):
        mixture()


@pytest.mark.parametrize("leave", [lambda x: x.numpy(), np.asarray, np.sqrt], ids=["numpy", "asarray", "a ufunc"])
def test_values_do_not_leave_as_an_array(leave):
    with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
        leave(there(1.0))


ALLOWED = {
    "a CPU number": (lambda: there(1.0, 2.0) * here(3.0)[0], [3.0, 6.0]),
    "a CPU number first": (lambda: here(3.0)[0] * there(1.0, 2.0), [3.0, 6.0]),
    "a CPU number as a choice": (lambda: torch.where(there(True, False), there(1.0, 2.0), here(5.0)[0]), [1.0, 5.0]),
    "a number of Python": (lambda: 1 - there(1.0, 2.0), [0.0, -1.0]),
    "CPU indices": (lambda: there(1.0, 2.0)[here(1, 0)], [2.0, 1.0]),
    "a CPU mask": (lambda: there(1.0, 2.0)[here(False, True)], [2.0]),
    "a list of indices": (lambda: there(1.0, 2.0)[[1, 0]], [2.0, 1.0]),
    "a copy in": (lambda: torch.zeros(2, device="cuda").copy_(here(1.0, 2.0)), [1.0, 2.0]),
    "a copy out": (lambda: torch.zeros(2).copy_(there(1.0, 2.0)), [1.0, 2.0]),
    "a generator of its own": (
        lambda: torch.rand(2, generator=torch.Generator("cuda").manual_seed(0), device="cuda").floor(),
        [0.0, 0.0],
    ),
}


@pytest.mark.parametrize(("mixture", "result"), ALLOWED.values(), ids=ALLOWED)
def test_what_cuda_allows_is_allowed(mixture, result):
    assert mixture().tolist() == result


def test_a_gradient_goes_to_the_device_and_back():
    here_w, w = torch.ones(2, requires_grad=True), torch.ones(2, device="cuda", requires_grad=True)
    (here_w.to("cuda") * w * 3).sum().backward()
    assert (here_w.grad.is_cuda, w.grad.is_cuda) == (False, True)
    assert here_w.grad.tolist() == w.grad.tolist() == [3.0, 3.0]


def test_a_module_that_goes_there_keeps_its_parameters():
    layer = nn.Linear(2, 3)
    weight = layer.weight
    assert layer.to("cuda").weight is weight
    assert weight.is_cuda
    assert isinstance(weight, nn.Parameter)


@pytest.mark.parametrize(
    "twin_of", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))], ids=["copy", "pickle"]
)
def test_a_module_there_is_copied_and_pickled(twin_of):
    layer = nn.Linear(2, 3).to("cuda")
    twin = twin_of(layer)
    assert twin.weight.is_cuda
    assert isinstance(twin.weight, nn.Parameter)
    assert twin.weight.tolist() == layer.weight.tolist()
    with torch.no_grad():
        twin.weight.zero_()
    assert layer.weight.abs().sum().item() > 0


def test_fused_and_foreach_optimisers_step_there():
    for kind in Optimiser.registry.values():
        layer = nn.Linear(2, 1).to("cuda")
        before = layer.weight.tolist()
        optimiser = kind(learning_rate=0.1).build(layer.parameters())
        layer(there(1.0, 2.0)).sum().backward()
        optimiser.step()
        assert layer.weight.tolist() != before


def test_the_ordinary_meta_device_is_left_alone():
    with torch.device("meta"):
        layer = nn.Linear(2, 3)
    assert layer.weight.is_meta
    assert not layer.weight.is_cuda


def test_copies_are_counted_and_views_are_not(cuda):
    x = torch.ones(1000).to("cuda")
    assert (cuda.uploads, cuda.downloads, cuda.bytes_held) == ([4000], [], 4000)
    view = x[10:]
    assert cuda.bytes_held == 4000
    assert view.cpu().sum() == 990
    assert cuda.downloads == [990 * 4]
    assert x.sum().item() == 1000
    assert (cuda.downloads, cuda.n_numbers_read) == ([990 * 4], 1)


def test_memory_is_held_as_long_as_something_needs_it(cuda):
    x = torch.ones(1000, device="cuda")
    y = x + 1
    assert cuda.bytes_held == 8000
    del x
    assert (cuda.bytes_held, cuda.peak_bytes) == (4000, 8000)
    y.requires_grad_()
    z = y.square()  # of which the gradient needs y
    del y
    assert cuda.bytes_held == 8000
    del z
    assert cuda.bytes_held == 0
    cuda.forget_peak()
    assert cuda.peak_bytes == 0
