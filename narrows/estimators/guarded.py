"""What an estimator refuses: attributes before it is fitted, and changes while a callback has it at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from sklearn.exceptions import NotFittedError

from narrows.errors import InvalidParameterError
from narrows.estimators.names import NamedParameters

__all__ = ["GuardedEstimator"]


class GuardedEstimator(NamedParameters):
    """An estimator that is not changed from outside while it is trained: callbacks get it during the training.

    Copies and pickles of that estimator, and its clones, are usual estimators.
    """

    _is_being_trained: bool = False

    def set_params(self, **params: Any) -> Self:
        """As `NamedParameters.set_params`; refused by the model that a callback has at hand."""
        self.refuse_while_trained("set_params")
        return super().set_params(**params)

    def refuse_while_trained(self, method: str) -> None:
        """Refuse a method that would change the model that a callback has at hand.

        Raises
        ------
        InvalidParameterError
            If this is such a model.
        """
        if self._is_being_trained:
            raise InvalidParameterError(
                f"'{method}' is not allowed on the model that a callback has at hand, since the fit that called the "
                f"callback trains this model. Use sklearn.base.clone(model) or copy.deepcopy(model), or call "
                f"'{method}' of the fitted estimator once its fit has returned."
            )

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_is_being_trained"}

    if not TYPE_CHECKING:  # type checkers would accept any name otherwise

        def __getattr__(self, name: str) -> Any:
            """Raise the error of an attribute that is missing; that of what `fit` learns says so.

            Raises
            ------
            NotFittedError
                If it may be set by `fit`, which was not called. It is an AttributeError.
            """
            if name.endswith("_") and not name.startswith("_") and "model_" not in self.__dict__:
                kind = type(self).__name__
                raise NotFittedError(
                    f"This {kind} instance is not fitted yet, so it has no attribute '{name}'. Call 'fit' first."
                )
            return object.__getattribute__(self, name)  # raises the original error, also that of a property
