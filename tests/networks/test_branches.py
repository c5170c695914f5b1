"""Branches: paths from the same input, added up."""

import pytest
import torch
from torch import nn

from narrows.errors import InvalidParameterError
from narrows.networks.branches import Branches


def test_branches_are_added_up():
    linear, network = nn.Linear(3, 2), nn.Sequential(nn.Linear(3, 4), nn.SiLU(), nn.Linear(4, 2))
    y = torch.rand(5, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(Branches(linear, network)(y), linear(y) + network(y))


def test_a_branch_without_modules_is_the_identity():
    y = torch.rand(5, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(Branches(nn.Sequential(), nn.Tanh())(y), y + y.tanh())


def test_one_branch_is_that_branch():
    y = torch.ones(2, 3)
    assert torch.equal(Branches(nn.Flatten())(y), y)


def test_every_branch_can_be_listed():
    stages = nn.Linear(3, 4), nn.SiLU()
    beside = Branches(nn.Linear(3, 4), nn.Sequential(*stages))
    assert [len(branch) for branch in beside.branches] == [1, 2]
    assert list(beside.branches[1]) == list(stages)
    assert len(list(beside.parameters())) == 4


def test_there_must_be_a_branch():
    with pytest.raises(InvalidParameterError, match="at least one branch"):
        Branches()
