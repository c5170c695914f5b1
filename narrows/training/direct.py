"""Training steps of plain dense networks without autograd.

A step of a small network takes longer to record and to allocate than to compute. Of a chain of affine layers all
gradients are known: they are written here into the same memory at each step. They are those of autograd except for
the last bits of the loss; `tests/training/test_direct.py` compares both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor, nn

from narrows.chain import Chain
from narrows.likelihoods.squares import squares
from narrows.networks.contract import Affine
from narrows.training.learner import Learner
from narrows.training.records import Records, RecordSource
from narrows.training.squared_errors import SquaredErrors

__all__ = ["DirectStep", "direct_step"]

_backward = torch.ops.aten
# What an activation does to its input in place, and to the gradient of its output y in place.
_IN_PLACE: dict[type[nn.Module], tuple[Callable[[Tensor], Any], Callable[[Tensor, Tensor], Any]]] = {
    nn.Identity: (lambda y: y, lambda gradient, y: gradient),
    nn.ReLU: (
        torch.relu_,
        lambda gradient, y: _backward.threshold_backward.grad_input(gradient, y, 0, grad_input=gradient),
    ),
    nn.Sigmoid: (
        torch.sigmoid_,
        lambda gradient, y: _backward.sigmoid_backward.grad_input(gradient, y, grad_input=gradient),
    ),
    nn.Tanh: (torch.tanh_, lambda gradient, y: _backward.tanh_backward.grad_input(gradient, y, grad_input=gradient)),
}


def direct_step(learner: Learner, records: RecordSource) -> DirectStep | None:
    """Return how a learner's gradients are computed without autograd; None if autograd computes them.

    That is possible for chains of affine layers on a CPU whose loss is that of the likelihood alone, for records
    without labels, weights or missing values.
    """
    if type(learner) is not Chain or type(records) is not Records or records.weights is not None:
        return None
    parts = learner.parts
    if (
        records.device.type != "cpu"
        or learner.missing is not None
        or learner.user_code
        or parts.n_classes
        or parts.adversary
    ):
        return None
    is_plain = learner.bottleneck.is_identity and learner.likelihood.has_gradient
    if not is_plain or learner.penalties or learner.likelihood.draws or learner.likelihood.n_parameters > 1:
        return None
    encoding, decoding = learner.encoder.affine_layers, learner.decoder.affine_layers
    layers = encoding + decoding
    if not encoding or not decoding or any(type(layer.activation) not in _IN_PLACE for layer in layers):
        return None
    weights = {id(weight) for layer in layers for weight in (layer.weight, layer.bias)}
    if any(id(weight) not in weights or not weight.requires_grad for weight in learner.parameters()):
        return None
    return DirectStep(learner, layers)


class DirectStep:
    """The gradients of a chain of affine layers.

    Attributes
    ----------
    chain : Chain
        The learner.
    layers : tuple of Affine
        All layers of encoder and decoder, in order.
    """

    def __init__(self, chain: Chain, layers: tuple[Affine, ...]) -> None:
        self.chain, self.layers = chain, layers
        self._matrices = [one.weight.detach() if one.is_transposed else one.weight.detach().t() for one in layers]
        self._biases = [one.bias.detach() for one in layers]
        self._gradients = {id(weight): torch.empty_like(weight) for weight in chain.parameters()}
        self._outputs: dict[int, list[Tensor]] = {}  # of the layers, for each size of a batch

    @torch.no_grad()
    def backward(self, records: Tensor, noise: Generator, errors: SquaredErrors | None = None) -> Tensor:
        """Set the ``grad`` of all weights to the gradient of the mean loss of a batch, and return that loss.

        Parameters
        ----------
        records : Tensor of shape (n, *shape)
            Records in their stored dtype.
        noise : Generator
            Source of the corruption.
        errors : SquaredErrors, optional
            Receives the squared errors of the batch.
        """
        chain = self.chain
        x = chain.prepare(records)
        flat = x.flatten(1)
        inputs, outputs = chain.corrupt(x, noise).flatten(1), self._outputs_of(len(x))
        given = [inputs, *outputs[:-1]]
        for layer, y, matrix, bias, out in zip(self.layers, given, self._matrices, self._biases, outputs, strict=True):
            torch.addmm(bias, y, matrix, out=out)
            _IN_PLACE[type(layer.activation)][0](out)
        if errors is not None:
            errors.add(squares(chain.likelihood, outputs[-1], flat, None))
        y_last = outputs[-1] if type(self.layers[-1].activation) is nn.Identity else outputs[-1].clone()
        loss, gradient = chain.likelihood.loss_and_gradient(y_last, flat)
        known: set[int] = set()
        for at in range(len(self.layers) - 1, -1, -1):
            layer = self.layers[at]
            _IN_PLACE[type(layer.activation)][1](gradient, outputs[at])
            self._set_gradients(layer, given[at], gradient, known)
            if at:
                gradient = torch.mm(gradient, self._matrices[at].t())
        return loss

    def _set_gradients(self, layer: Affine, y: Tensor, gradient: Tensor, known: set[int]) -> None:
        """Set the gradients of a layer with inputs y and gradients (n, out) before its activation.

        Those that are ``known`` already, of a matrix that an earlier layer has transposed, are added to.
        """
        of_matrix, of_bias = self._gradients[id(layer.weight)], self._gradients[id(layer.bias)]
        product = (y.t(), gradient) if layer.is_transposed else (gradient.t(), y)
        if id(layer.weight) in known:
            of_matrix.addmm_(*product)
        else:
            torch.mm(*product, out=of_matrix)
            known.add(id(layer.weight))
        torch.sum(gradient, 0, out=of_bias)
        layer.weight.grad, layer.bias.grad = of_matrix, of_bias

    def _outputs_of(self, n: int) -> list[Tensor]:
        if n not in self._outputs:
            self._outputs[n] = [bias.new_empty(n, len(bias)) for bias in self._biases]
        return self._outputs[n]
