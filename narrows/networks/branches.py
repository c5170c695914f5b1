"""Parallel networks: several paths from the same input, whose outputs are added."""

from __future__ import annotations

from torch import Tensor, nn

from narrows.errors import InvalidParameterError

__all__ = ["Branches"]


class Branches(nn.Module):
    """Σ_i f_i(y): the sum of the outputs of several branches with the same input.

    `Decoder.as_sequence` may return it as a stage, for example a linear path beside a network: Q z + b + G(z). It can
    be frozen if there are 2 to 8 branches, all modules in them can be frozen, and none of these is `Branches` again.

    Parameters
    ----------
    *branches : Module
        Each takes the same Tensor (n, ...), and none may change it in place; all return Tensors of one shape. A module
        that is not an ``nn.Sequential`` is put into one, so that the stages of each branch can be listed; an empty
        ``nn.Sequential`` is the identity.

    Raises
    ------
    InvalidParameterError
        If there is no branch.

    Examples
    --------
    >>> import torch
    >>> Branches(nn.Identity(), nn.Sequential(nn.Hardtanh(-1, 1), nn.Flatten()))(torch.tensor([[0.5, 3.0]]))
    tensor([[1., 4.]])
    """

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        if not branches:
            raise InvalidParameterError("'Branches' needs at least one branch. Got none.")
        self.branches = nn.ModuleList(
            branch if isinstance(branch, nn.Sequential) else nn.Sequential(branch) for branch in branches
        )

    def forward(self, y: Tensor) -> Tensor:
        first, *others = self.branches
        total: Tensor = first(y)
        for branch in others:
            total = total + branch(y)
        return total
