"""Networks from code of users: a pair of modules, or a function that builds one."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Generator, Tensor, nn
from torch.nn.parameter import is_lazy

from narrows.errors import InvalidParameterError
from narrows.networks.contract import Network
from narrows.networks.layer_sequence import layer_sequence
from narrows.networks.module_trees import check_describable, describe_module, module_from
from narrows.networks.modules import Decoder, Encoder, Sizes, Switches
from narrows.numerics.foreign_draws import NoDrawsWithoutMemory, draws_from
from narrows.parts.options import Choice, Constraint, option
from narrows.parts.user_code import check_arguments, check_registered, is_code, reference, registered

__all__ = ["CustomNetwork"]

_N_TRIED = 2  # records of the forward pass that checks shapes
_INPUTS = {"encoder": "two preprocessed records", "decoder": "two codes"}

Pair = tuple[nn.Module, nn.Module]


class _Modules(Constraint):
    """A pair of modules, or a function that returns one."""

    def accepts(self, value: object) -> bool:
        return _is_pair(value) or (is_code(value) and not isinstance(value, nn.Module))

    def convert(self, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    def __str__(self) -> str:
        return "a pair (encoder, decoder) of torch.nn.Module, or a function (shape, n_latent) that returns one"


class CustomNetwork(Network, name="custom", of_user=True):
    """An encoder and a decoder of the user.

    The encoder maps preprocessed records, Tensor (n, *shape), to the input of the bottleneck: (n, n_latent) for most
    bottlenecks, (n, 2 n_latent) for 'gaussian', means before log-variances. The decoder maps codes to the likelihood's
    parameters, (n, *shape) for likelihoods with one parameter for each value. Codes may also be maps, (n, channels, H,
    W). A forward pass of two records checks all shapes before training. `Autoencoder` takes the pair, or the function
    itself: ``network=(encoder, decoder)``.

    Training changes copies of the modules. With ``weights="given"`` it starts from the weights that they have, such as
    pretrained ones; with "drawn" from new ones, which depend on ``random_state`` alone. A function is called with
    PyTorch's generator seeded by ``random_state``. Modules that share weights need a function, or this class, since
    scikit-learn copies the modules of a plain pair one by one.

    Examples
    --------
    >>> network = CustomNetwork(modules=(nn.Linear(8, 3), nn.Linear(3, 8)))
    >>> network.n_outputs((8,))
    3
    """

    code: ClassVar[str] = "a pair (encoder, decoder) of torch.nn.Module, or a function that returns one"
    couples_records: ClassVar[bool] = True  # modules may, as batch normalisation does

    modules: Pair | Callable[[tuple[int, ...], int], Pair] = option(
        _Modules(), "encoder and decoder, or a function (shape, n_latent) that returns them"
    )
    weights: str = option(
        Choice("given", "drawn"), "initial weights: those of the modules, or drawn by 'random_state'", default="given"
    )

    @classmethod
    def stands_for(cls, value: object) -> bool:
        """Return whether a value is meant as modules, or as a function that returns some."""
        return isinstance(value, (tuple, list)) or is_code(value)

    @classmethod
    def of(cls, value: Any) -> Self:
        """Return the network of a pair or a function."""
        return cls(modules=value)

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Self:
        """Return the network that `to_json` has described; modules have no weights (they are on the meta device)."""
        given = dict(settings)
        weights, code_shape = given.pop("weights", "given"), given.pop("code_shape", None)
        network = cls(modules=cls._modules_from(given), weights=weights)
        network._code_shape = None if code_shape is None else tuple(code_shape)
        return network

    @classmethod
    def _modules_from(cls, given: dict[str, Any]) -> Pair | Callable[..., Any]:
        if set(given) == {"function"}:
            return registered(given["function"])
        if set(given) != {"encoder", "decoder"}:
            raise InvalidParameterError(
                f"A network of a user must have the entries 'encoder' and 'decoder', or 'function'. Got {given!r}."
            )
        with torch.device("meta"), NoDrawsWithoutMemory():
            return module_from(given["encoder"]), module_from(given["decoder"])

    def to_json(self) -> dict[str, Any]:
        described: dict[str, Any] = {"axis": self.axis, "name": self.name, "weights": self.weights}
        if self._code_shape is not None:
            described["code_shape"] = list(self._code_shape)
        if not isinstance(self.modules, tuple):
            return {**described, "function": reference(self.modules)}
        encoder, decoder = self.modules
        return {**described, "encoder": describe_module(encoder), "decoder": describe_module(decoder)}

    def check_savable(self) -> None:
        if not isinstance(self.modules, tuple):
            check_registered(self.modules, "The function that builds the network of the model")
            return
        for module, what in zip(self.modules, ("encoder", "decoder"), strict=True):
            check_describable(module, f"The {what} of the model")

    def __repr__(self) -> str:
        shown = self.modules if isinstance(self.modules, tuple) else reference(self.modules)
        return f"{type(self).__name__}(modules={shown}, weights={self.weights!r})"

    def __post_init__(self) -> None:
        self._code_shape: tuple[int, ...] | None = None  # of the last chain, for a copy of it without memory
        super().__post_init__()

    def _check(self) -> None:
        super()._check()
        if not isinstance(self.modules, tuple):
            check_arguments(self.modules, "shape, n_latent", "the network")
        for name in ("linear_path", "start_at_mean"):
            if getattr(self, name):
                raise InvalidParameterError(
                    f"The '{name}' of CustomNetwork must be False, since the modules are used as they are. "
                    f"Set {name}=False."
                )

    def n_outputs(self, shape: tuple[int, ...]) -> int | None:
        return math.prod(self._h_shape(shape, None)) if isinstance(self.modules, tuple) else None

    def code_shape(self, shape: tuple[int, ...], n_latent: int | None) -> tuple[int, ...]:
        if self._code_shape is not None and _is_without_memory():
            return self._code_shape
        _, *grid = self._h_shape(shape, n_latent)
        if n_latent is None:
            raise InvalidParameterError("CustomNetwork needs 'n_latent'. Give the number of values of a code.")
        channels, rest = divmod(n_latent, math.prod(grid))
        if rest:
            places = "×".join(map(str, grid))
            raise InvalidParameterError(
                f"The encoder outputs maps of {places} places, so 'n_latent' must be a multiple of {math.prod(grid)}. "
                f"Got {n_latent}. Leave n_latent unset, or change the encoder."
            )
        self._code_shape = (channels, *grid)
        return self._code_shape

    def connect(self, sizes: Sizes, generator: Generator) -> tuple[Encoder, Decoder]:
        if sizes.n_condition:
            raise InvalidParameterError(
                "A network of plain modules cannot be conditional, since modules have one input. Set "
                "conditional=False, or define a part of your own, see docs/extending.md."
            )
        with draws_from(generator):
            encoder, decoder = self._pair(sizes.shape, math.prod(sizes.z_shape))
            if _is_without_memory() and not _has_lazy_weights(encoder, decoder):
                return _CustomEncoder(encoder), _CustomDecoder(
                    decoder, sizes.z_shape
                )  # PyTorch takes seconds to run them
            h = _try("encoder", encoder, sizes.shape)
            _check("encoder", "the bottleneck's input", h, sizes.h_shape)
            y = _try("decoder", decoder, sizes.z_shape)
            _check("decoder", "the likelihood's parameters", y, sizes.out_shape)
        return _CustomEncoder(encoder), _CustomDecoder(decoder, sizes.z_shape)

    def materialise(self) -> None:
        """Give modules that `from_settings` has built weights, so that they can be used."""
        if isinstance(self.modules, tuple):
            encoder, decoder = map(describe_module, self.modules)
            with draws_from(Generator()):
                self.modules = module_from(encoder), module_from(decoder)

    def start_from(self, encoder: nn.Module, decoder: nn.Module) -> None:
        """Make the weights of trained networks those that training starts from; a function draws its own."""
        if isinstance(self.modules, tuple) and isinstance(encoder, _CustomEncoder):
            assert isinstance(decoder, _CustomDecoder)
            self.modules = copy.deepcopy((encoder.module, decoder.module))

    def _h_shape(self, shape: tuple[int, ...], n_latent: int | None) -> tuple[int, ...]:
        """Return the shape of the encoder's output for one record."""
        with draws_from(Generator()):
            encoder, _ = self._pair(shape, n_latent)
            output = _try("encoder", encoder, shape)
        if output.ndim < 2 or len(output) != _N_TRIED:
            raise InvalidParameterError(
                f"The encoder must map {_N_TRIED} preprocessed records, Tensor {(_N_TRIED, *shape)}, to a Tensor of "
                f"shape ({_N_TRIED}, n_latent). Got {tuple(output.shape)}. Change its last layer."
            )
        return tuple(output.shape[1:])

    def _pair(self, shape: tuple[int, ...], n_latent: int | None) -> Pair:
        """Return copies of encoder and decoder, on the CPU; weights that are drawn follow from PyTorch's generator."""
        modules: Any = self.modules
        if not isinstance(modules, tuple):
            with NoDrawsWithoutMemory():
                modules = modules(shape, n_latent)
            if not _is_pair(modules):
                raise InvalidParameterError(
                    f"The function {reference(self.modules)} must return a pair (encoder, decoder) of torch.nn.Module. "
                    f"Got {modules!r}."
                )
        pair: Pair = copy.deepcopy(tuple(modules))
        for module, half in zip(pair, _INPUTS, strict=True):
            _check_state(module, half)
            if any(weight.device.type not in ("cpu", "meta") for weight in module.parameters()):
                module.cpu()
            if self.weights == "drawn":
                _draw(module)
        return pair


class _CustomEncoder(Encoder):
    """x (n, *shape) → h (n, *h_shape) by a module of the user."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.module(x)  # type: ignore[no-any-return]


class _CustomDecoder(Decoder):
    """z (n, *z_shape) → the likelihood's parameters (n, *out_shape) by a module of the user."""

    def __init__(self, module: nn.Module, z_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.module, self.z_shape = module, z_shape

    def forward(self, z: Tensor, switches: Switches = (), condition: Tensor | None = None) -> Tensor:
        return self.module(z)  # type: ignore[no-any-return]

    def as_sequence(self) -> list[nn.Module]:
        own = getattr(self.module, "as_sequence", None)
        if own is not None:
            return list(own())
        weight = next(self.module.parameters(), torch.empty(0))
        return layer_sequence(self.module, torch.zeros(1, *self.z_shape, dtype=weight.dtype, device=weight.device))


def _is_without_memory() -> bool:
    """Return whether modules are built on the meta device now."""
    return torch.empty(0).is_meta


def _has_lazy_weights(*modules: nn.Module) -> bool:
    """Return whether some weights get their shapes in the first forward pass."""
    return any(is_lazy(weight) for module in modules for weight in module.parameters())


def _is_pair(value: object) -> bool:
    is_two = isinstance(value, (tuple, list)) and len(value) == 2
    return is_two and all(isinstance(one, nn.Module) for one in value)  # type: ignore[attr-defined]


def _check_state(module: nn.Module, half: str) -> None:
    """Refuse an encoder or a decoder whose state is not made of tensors, which model files and checkpoints hold.

    Raises
    ------
    InvalidParameterError
        If ``get_extra_state`` of a module returns something else; names the module.
    """
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor):
            label = type(module.get_submodule(name.rpartition(".")[0])).__name__
            raise InvalidParameterError(
                f"The {half} must have a state of tensors, since model files hold nothing else. Got "
                f"{type(value).__name__} from 'get_extra_state' of {label}. Return a Tensor there, or store the "
                "values with 'register_buffer' instead."
            )


def _draw(module: nn.Module) -> None:
    """Draw all weights of a module as its layers do when they are constructed."""
    for layer in module.modules():
        reset = getattr(layer, "reset_parameters", None)
        if callable(reset):
            reset()
        elif any(True for _ in layer.parameters(recurse=False)):
            raise InvalidParameterError(
                f"The weights of {type(layer).__name__} cannot be drawn, since it has no method 'reset_parameters'. "
                "Define it, set weights='given', or give a function (shape, n_latent) that builds the modules."
            )


def _try(half: str, module: nn.Module, shape: tuple[int, ...]) -> Tensor:
    """Return the output of an encoder or a decoder for two inputs of zeros.

    Raises
    ------
    InvalidParameterError
        If it cannot be run, or if its output is no Tensor.
    """
    weight = next((one for one in module.parameters() if one.is_floating_point()), torch.empty(0))
    module.eval()  # batch normalisation does not learn from the zeros
    try:
        with torch.no_grad():
            output: Any = module(torch.zeros(_N_TRIED, *shape, dtype=weight.dtype, device=weight.device))
    except Exception as error:  # of the user's code
        raise InvalidParameterError(
            f"The {half} could not be run on {_INPUTS[half]}, a Tensor of shape {(_N_TRIED, *shape)}. "
            f"{type(error).__name__}: {error}"
        ) from error
    module.train()
    if not isinstance(output, Tensor):
        raise InvalidParameterError(f"The {half} must return a Tensor. Got {type(output).__name__}.")
    return output


def _check(half: str, what: str, output: Tensor, wanted: tuple[int, ...]) -> None:
    """Check the shape of the output of an encoder or a decoder for two inputs.

    Raises
    ------
    InvalidParameterError
        If it is another; gives both.
    """
    got = tuple(output.shape)
    if got == (_N_TRIED, *wanted):
        return
    hint = "Change its last layer, or n_latent." if half == "encoder" else "Change its last layer."
    if len(got) == 2 and got[1] == math.prod(wanted):
        hint = f"Append torch.nn.Unflatten(1, {wanted})."
    raise InvalidParameterError(
        f"The {half} must map {_INPUTS[half]} to {what}, a Tensor of shape {(_N_TRIED, *wanted)}. Got {got}. {hint}"
    )
