"""Recurrent layers: the states of a GRU or an LSTM for what its gates receive from outside at each step.

On a CPU, PyTorch computes a GRU and its gradients operator by operator: about thirty for each step. Here the
derivatives of all gates are computed for all steps at once, and a step backwards is one product and four operators,
which takes about a third of the time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function

from narrows.networks.initialisation import undrawn
from narrows.numerics.onnx_export import is_exporting

__all__ = ["CELLS", "RecurrentMaps", "with_feedback"]

CELLS = {"gru": 3, "lstm": 4}
"""The number of gates, candidates included, of each kind of cell."""


class RecurrentMaps(nn.Module):
    """Inputs of the gates (n, k H, 1, steps) → states (n, H, 1, steps), from a state of 0 on.

    With r, u, n (GRU, as cuDNN has it) or i, f, g, o (LSTM) the groups of H inputs x, and of rows of the weights W::

        GRU   r, u = σ(x_r + W_r h + b_r), σ(x_u + W_u h + b_u)      n = tanh(x_n + r (W_n h + b_n))
              h' = n + u (h − n)
        LSTM  i, f, o = σ(x + W h + b)      c' = f c + i tanh(x_g + W_g h + b_g)      h' = o tanh(c')

    Parameters
    ----------
    cell : {"gru", "lstm"}
        The kind of cell.
    n_hidden : int
        H.
    n_groups : int, optional
        Groups of rows, if a GRU has one more than gates, k: W_k h + b_k is then added to the candidate's inputs x_n.
    """

    def __init__(self, cell: str, n_hidden: int, n_groups: int | None = None) -> None:
        super().__init__()
        self.cell, self.n_hidden = cell, n_hidden
        self.hidden = undrawn(nn.Linear, n_hidden, (n_groups or CELLS[cell]) * n_hidden)

    def forward(self, maps: Tensor) -> Tensor:
        weight, bias = (getattr(self.hidden, name) for name in ("weight", "bias"))
        states = _states(self.cell, maps.squeeze(2).transpose(1, 2), weight, bias)
        return states.transpose(1, 2).unsqueeze(2)


def with_feedback(recurrence: RecurrentMaps, feedback: Tensor, weight: Tensor, bias: Tensor) -> RecurrentMaps:
    """Return a recurrence whose gates also receive F (V h + c), of the state h before the step.

    All but the candidate of a GRU add this to products with h, so that weights can be added; the candidate has another
    group of rows.

    Parameters
    ----------
    recurrence : RecurrentMaps
        Not changed.
    feedback : Tensor of shape (k H, m)
        F.
    weight, bias : Tensor of shape (m, H) and (m,)
        V and c.
    """
    n = recurrence.n_hidden
    more, shift = feedback @ weight, feedback @ bias
    weight, bias = (getattr(recurrence.hidden, name) for name in ("weight", "bias"))
    if recurrence.cell == "lstm":
        weight, bias = weight + more, bias + shift
    else:
        weight = torch.cat([weight[: 2 * n] + more[: 2 * n], weight[2 * n :], more[2 * n :]])
        bias = torch.cat([bias[: 2 * n] + shift[: 2 * n], bias[2 * n :], shift[2 * n :]])
    made = RecurrentMaps(recurrence.cell, n, len(weight) // n)
    made.hidden = _Fixed(weight, bias)
    return made


class _Fixed(nn.Module):
    """Weights that are computed from others, with their gradients."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = weight, bias


def _states(cell: str, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the states (n, steps, H) for inputs of the gates (n, steps, k H)."""
    if cell == "lstm":
        return _by_pytorch("lstm", x, weight, bias)
    if len(weight) > x.shape[2]:
        return _gru_with_feedback(x, weight, bias)
    if x.device.type == "cpu" and type(x) is Tensor and not is_exporting():
        states: Tensor = _GRUStates.apply(x, weight, bias)  # type: ignore[no-untyped-call]
        return states
    return _by_pytorch("gru", x, weight, bias)


def _by_pytorch(cell: str, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the states as PyTorch computes them; the inputs of the gates are multiplied by a unit matrix."""
    start = torch.zeros_like(x[:, :1, : weight.shape[1]]).transpose(0, 1)  # of any number of records, in ONNX files
    weights = [torch.eye(x.shape[2], dtype=x.dtype, device=x.device), weight, torch.zeros_like(bias), bias]
    by_step = x.transpose(0, 1)
    if cell == "lstm":
        states = torch.lstm(by_step, (start, start), weights, True, 1, 0.0, False, False, False)[0]
    else:
        states = torch.gru(by_step, start, weights, True, 1, 0.0, False, False, False)[0]
    return states.transpose(0, 1)


def _gru_with_feedback(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the states of a GRU with a fourth group of rows."""
    n, states = weight.shape[1], []
    state = torch.zeros_like(x[:, 0, :n])
    for received in x.unbind(1):
        sums = torch.addmm(bias, state, weight.t())
        gates = (received[:, : 2 * n] + sums[:, : 2 * n]).sigmoid()
        reset, update = gates[:, :n], gates[:, n:]
        candidate = (received[:, 2 * n :] + sums[:, 3 * n :] + reset * sums[:, 2 * n : 3 * n]).tanh()
        state = torch.lerp(candidate, state, update)
        states.append(state)
    return torch.stack(states, 1)


class _GRUStates(Function):
    """The states of a GRU. Time is the first axis of what is computed step by step."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        (n_records, n_steps, _), n = x.shape, weight.shape[1]
        gates = x[:, :, : 2 * n].transpose(0, 1).contiguous()  # (T, n, 2 H), reset and update
        candidates = x[:, :, 2 * n :].transpose(0, 1).contiguous()  # (T, n, H)
        states, sums = x.new_zeros(n_steps + 1, n_records, n), x.new_empty(n_steps, n_records, 3 * n)
        of_gates, hidden = sums[:, :, : 2 * n].unbind(), sums[:, :, 2 * n :].unbind()
        resets, updates = (gates[:, :, part].unbind() for part in (slice(0, n), slice(n, None)))
        turned, state = weight.t(), states[0]
        steps = zip(sums.unbind(), gates.unbind(), candidates.unbind(), states[1:].unbind(), strict=True)
        for t, (total, gate, candidate, after) in enumerate(steps):
            torch.addmm(bias, state, turned, out=total)
            gate.add_(of_gates[t]).sigmoid_()
            candidate.addcmul_(resets[t], hidden[t]).tanh_()
            state = torch.lerp(candidate, state, updates[t], out=after)
        ctx.save_for_backward(x, weight, bias, gates, candidates, sums, states)
        return states[1:].transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        x, weight, bias, gates, candidates, sums, states = ctx.saved_tensors
        if torch.is_grad_enabled():  # gradients of gradients are asked for
            return torch.autograd.grad(
                _by_pytorch("gru", x, weight, bias), (x, weight, bias), gradient, create_graph=True
            )
        n, before = weight.shape[1], states[:-1]
        reset, update = gates.split(n, dim=2)
        # How the sums before the candidate and the gates change the state after their step.
        of_candidate = (1 - update) * (1 - candidates.square())
        factors = x.new_empty(len(gates), x.shape[0], 3, n)
        torch.mul(of_candidate, reset, out=factors[:, :, 2])
        torch.mul(factors[:, :, 2] * sums[:, :, 2 * n :], 1 - reset, out=factors[:, :, 0])
        torch.mul((before - candidates) * update, 1 - update, out=factors[:, :, 1])
        by_step = gradient.transpose(0, 1).clone(memory_format=torch.contiguous_format)
        each, kept, in_sums = by_step.unsqueeze(2).unbind(), update.unbind(), torch.empty_like(factors)
        rows = in_sums.flatten(2)
        steps = list(zip(by_step.unbind(), factors.unbind(), in_sums.unbind(), rows.unbind(), strict=True))
        carried = torch.zeros_like(states[0])
        for t in range(len(steps) - 1, -1, -1):
            arriving, factor, found, flat = steps[t]
            arriving.add_(carried)
            torch.mul(each[t], factor, out=found)
            torch.addmm(torch.mul(arriving, kept[t], out=carried), flat, weight, out=carried)
        of_inputs = torch.cat([rows[:, :, : 2 * n], by_step.mul_(of_candidate)], dim=2).transpose(0, 1)
        rows = rows.flatten(0, 1)
        return of_inputs, rows.t() @ before.flatten(0, 1), rows.sum(0)
