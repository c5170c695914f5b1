"""A penalty from code of a user."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Generator, Tensor

from narrows.errors import InvalidParameterError
from narrows.numerics.gradients import lacks_gradient
from narrows.parts.function_part import Function, FunctionPart
from narrows.parts.options import option
from narrows.parts.user_code import signature_of
from narrows.penalties.contract import Penalty

if TYPE_CHECKING:
    from narrows.bottlenecks.contract import Code
    from narrows.chain import Chain

__all__ = ["CustomPenalty"]


class CustomPenalty(FunctionPart, Penalty, name="custom", of_user=True):
    """A function of codes: penalty(z), or penalty(z, x), in nats.

    z is the codes, Tensor (n, *z_shape), and x the encoder's input, Tensor (n, *shape). The result is a cost for each
    record, shape (n,), or one number, which counts for each record of the batch. A function that needs more, such as
    the weights, is a part of its own; see `Penalty`. `Autoencoder` takes the functions themselves:
    ``penalties=[my_penalty]``.

    Examples
    --------
    >>> CustomPenalty(function=lambda z: z.abs().sum(1)).n_arguments
    1
    """

    role: ClassVar[str] = "penalty"
    function: Callable[..., Tensor] = option(Function(), "function (z) or (z, x) -> (n,) or one number, in nats")

    @property
    def couples_records(self) -> bool:
        return True  # the function may, and it may draw from PyTorch's generator, which threads share

    def _check(self) -> None:
        super()._check()
        if self.n_arguments not in (1, 2):
            raise InvalidParameterError(
                f"The penalty {self.label} must be a function of the codes, penalty(z), or of codes and input, "
                f"penalty(z, x). Got a function with the arguments {signature_of(self.function)}."
            )
        self._check_arguments(("z", "z, x")[self.n_arguments - 1])

    @property
    def n_arguments(self) -> int:
        """The number of arguments without defaults that the function takes: those that it is called with."""
        signature = signature_of(self.function)
        if signature is None:
            return 1
        parameters = signature.parameters.values()
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        needed = [one for one in parameters if one.kind in positional and one.default is one.empty]
        return len(needed) or int(
            any(one.kind in (*positional, inspect.Parameter.VAR_POSITIONAL) for one in parameters)
        )

    def cost(self, chain: Chain, x: Tensor, h: Tensor, code: Code, generator: Generator | None = None) -> Tensor:
        cost: Any = self._of(code.z, x)
        if not isinstance(cost, Tensor) or cost.shape not in ((), (len(x),)):
            got = f"the shape {tuple(cost.shape)}" if isinstance(cost, Tensor) else repr(cost)
            raise InvalidParameterError(
                f"The penalty {self.label} must return one number for each record, a Tensor of shape ({len(x)},), or "
                f"one number for the batch, for codes of shape {tuple(code.z.shape)}. Got {got}. Sum over the numbers "
                "of each code, for example with '.flatten(1).sum(1)'."
            )
        if lacks_gradient(cost, code.z) and self._depends_on(code.z, x, cost):
            raise InvalidParameterError(
                f"The penalty {self.label} must be differentiable with respect to its first argument, z. Got a Tensor "
                "without a gradient to it, which would not change the codes. Compute it with operations of PyTorch, "
                "without '.detach()', '.item()', NumPy, comparisons and torch.no_grad()."
            )
        return cost.expand(len(x))

    def _of(self, z: Tensor, x: Tensor) -> Any:
        return self.function(*(z, x)[: self.n_arguments])

    def _depends_on(self, z: Tensor, x: Tensor, cost: Tensor) -> bool:
        """Return whether other codes have another cost, so that the function is not a constant."""
        return not torch.equal(self._of(-2 * z - 1, x), cost)
