"""A loss from code of a user, in place of a likelihood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Generator, Tensor

from narrows.errors import InvalidParameterError
from narrows.likelihoods.contract import Likelihood, LikelihoodModule
from narrows.numerics.gradients import lacks_gradient
from narrows.parts.function_part import Function, FunctionPart
from narrows.parts.options import option

__all__ = ["CustomLoss"]


class CustomLoss(FunctionPart, Likelihood, name="custom", of_user=True):
    """A function of restored and original records: loss(x_hat, x) in nats for each record, shape (n,).

    Both arguments are preprocessed records, Tensors (n, *shape). x_hat is the decoder's output, and the restored record
    is x_hat in the units of the data. The loss takes the place of −log p(x | z). It is not a distribution, so no
    records can be drawn from it. `Autoencoder` takes the function itself: ``likelihood=my_loss``.

    Examples
    --------
    >>> def absolute(x_hat, x):
    ...     return (x_hat - x).abs().flatten(1).sum(1)
    >>> CustomLoss(function=absolute).build((3,)).log_prob(Tensor([[1, 2, 3]]), Tensor([[1, 2, 5]]))
    tensor([-2.])
    """

    role: ClassVar[str] = "loss"
    outputs_are_values: ClassVar[bool] = False  # the loss may have another optimum than the squared error has

    function: Callable[[Tensor, Tensor], Tensor] = option(Function(), "function (x_hat, x) -> (n,) nats")

    def _check(self) -> None:
        super()._check()
        self._check_arguments("x_hat, x")

    def build(self, shape: tuple[int, ...]) -> LikelihoodModule:
        return _CustomLossModule(self.function, self.label)


class _CustomLossModule(LikelihoodModule):
    couples_records = True  # the function may, and it may draw from PyTorch's generator, which threads share

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], label: str) -> None:
        super().__init__()
        self.functions = (function,)  # in a tuple, so that the weights of a module are neither trained nor saved
        self.label = label

    def log_prob(self, parameters: Tensor, x: Tensor) -> Tensor:
        loss: Any = self.functions[0](parameters, x)
        if not isinstance(loss, Tensor) or loss.shape != (len(x),):
            got = f"the shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else repr(loss)
            raise InvalidParameterError(
                f"The loss {self.label} must return one number for each record: a Tensor of shape ({len(x)},) for "
                f"arguments of shape {tuple(x.shape)}. Got {got}. Sum over the values of each record, for example with "
                "'.flatten(1).sum(1)', and not over records."
            )
        if lacks_gradient(loss, parameters):
            raise InvalidParameterError(
                f"The loss {self.label} must be differentiable with respect to its first argument, x_hat. Got a Tensor "
                "without a gradient to it. Compute it with operations of PyTorch, without '.detach()', '.item()', "
                "NumPy, comparisons and torch.no_grad()."
            )
        return -loss

    def mean(self, parameters: Tensor) -> Tensor:
        return parameters

    def parameters_of(self, mean: Tensor) -> Tensor:
        return mean

    def sample(self, parameters: Tensor, generator: Generator) -> Tensor:
        raise InvalidParameterError(
            f"Records cannot be drawn from the loss {self.label}, which is a function and not a distribution. Take the "
            "restored records themselves, or train with a likelihood."
        )
