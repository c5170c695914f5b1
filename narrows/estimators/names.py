"""The names of an estimator: parameters, with suggestions for their names in other libraries, and tab completion."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any, Self

from sklearn.base import BaseEstimator

from narrows.errors import UnknownParameterError
from narrows.estimators.parameters import with_options
from narrows.parts.part import split_nested

__all__ = ["NamedParameters"]

_ELSEWHERE = {
    **dict.fromkeys(("n_components", "latent_dim", "n_latents", "encoding_dim", "code_size", "n_codes"), "n_latent"),
    **dict.fromkeys(("epochs", "n_epochs", "max_iter", "max_epochs", "n_iter"), "training__epochs"),
    "batch_size": "training__batch_size",
    **dict.fromkeys(("optimizer", "optimiser", "solver"), "training__optimiser"),
    **dict.fromkeys(("lr", "learning_rate", "learning_rate_init"), "training__optimiser__learning_rate"),
    **dict.fromkeys(("scheduler", "schedule", "lr_scheduler"), "training__schedule"),
    **dict.fromkeys(("device", "cuda", "gpu"), "training__device"),
    **dict.fromkeys(("precision", "dtype"), "training__precision"),
    **dict.fromkeys(("patience", "early_stopping", "n_iter_no_change"), "training__patience"),
    **dict.fromkeys(("validation", "validation_fraction", "validation_split"), "training__validation"),
    **dict.fromkeys(("loss", "criterion", "reconstruction_loss"), "likelihood"),
    **dict.fromkeys(("noise", "denoise", "dropout"), "corruption"),
    **dict.fromkeys(("hidden_layer_sizes", "hidden_dims", "layers", "encoder", "decoder", "model"), "network"),
    **dict.fromkeys(("seed", "random_seed"), "random_state"),
    **dict.fromkeys(("missing_values", "nan"), "fill_value"),
    **dict.fromkeys(("scaler", "normalize", "transform"), "preprocessing"),
}
"""Names that other libraries give to a parameter, and ours."""

_INTERNAL = frozenset({"classes_for", "classes_of", "kind", "records_of", "refuse_while_trained", "take_model"})
"""Public names that other modules of narrows use."""


class NamedParameters(BaseEstimator):  # type: ignore[misc]
    """A scikit-learn estimator whose errors suggest the name of a parameter."""

    def __new__(cls, *args: Any, **params: Any) -> Self:
        """Refuse unknown parameters before Python does, to suggest the right ones."""
        known = cls._get_param_names()
        for name in params:
            if name not in known:
                raise _unknown(cls.__name__, name, known, in_constructor=True)
        estimator: Self = super().__new__(cls)
        return estimator

    @classmethod
    @cache
    def _get_param_names(cls) -> list[str]:
        """Return the names of the parameters; scikit-learn inspects the constructor's signature for each call."""
        names: list[str] = super()._get_param_names()
        return names

    def set_params(self, **params: Any) -> Self:
        """Change parameters, nested ones as ``part__option``; a part given by name is created first.

        Raises
        ------
        UnknownNameError
            If there is no such parameter or option; the nearest is suggested.
        InvalidParameterError
            If an option's value is not allowed. Nothing is changed in that case.
        """
        changed = self.get_params(deep=False)
        whole, nested = split_nested(params)
        for name in [*whole, *nested]:
            if name not in changed:
                raise _unknown(type(self).__name__, name, changed)
        # Whole parts first, so that their own settings apply to the new part.
        changed |= whole
        changed |= {name: self._with_options(name, changed[name], inner) for name, inner in nested.items()}
        self.__dict__.update(changed)
        return self

    def _with_options(self, parameter: str, current: Any, options: dict[str, Any]) -> Any:
        """Return a parameter's value with some of the options inside it changed."""
        return with_options(parameter, current, options)

    def __dir__(self) -> Iterable[str]:
        """Return the names for tab completion: attributes that `fit` sets only once they are there."""
        is_fitted = hasattr(self, "model_")
        return [
            name
            for name in super().__dir__()
            if name not in _INTERNAL and (is_fitted or not name.endswith("_") or name.startswith("_"))
        ]


def _unknown(owner: str, name: str, known: Iterable[str], *, in_constructor: bool = False) -> UnknownParameterError:
    """Return the error for a parameter that does not exist, with advice where its name or its place is another."""
    outer, is_nested, _ = name.partition("__")
    ours = name if is_nested and outer in known else _ELSEWHERE.get(name)
    if ours is None or ours.partition("__")[0] not in known:
        return UnknownParameterError(f"parameter of {owner}", name, known)
    hint = f"Did you mean '{ours}'?" if ours != name else "Parameters inside parameters are not taken here."
    parameter, is_inside, option = ours.partition("__")
    if is_inside and in_constructor:
        ways = [f"{owner}(...).set_params({ours}=...)"]
        if parameter == "training" and "__" not in option:
            ways.insert(0, f"training=narrows.Training({option}=...)")
        if owner == "Autoencoder":
            ways.append(f'narrows.recipe("auto", {ours}=...)')
        hint += f" Write {' or '.join(ways)}."
    return UnknownParameterError(f"parameter of {owner}", name, known, hint=hint)
