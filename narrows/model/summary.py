"""The layers of a model as a table: their outputs and the numbers that they hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from narrows.chain import Chain
from narrows.numerics.eval_mode import in_eval_mode
from narrows.numerics.surroundings import usual_settings

__all__ = ["Layer", "Summary", "summarise"]

_HEADINGS = ("layer (type)", "output shape", "parameters")


@dataclass(frozen=True)
class Layer:
    """A layer of a model.

    Attributes
    ----------
    name : str
        Name of the module in the chain.
    kind : str
        Its class, or the name of the part.
    shape : tuple of int
        Shape of its output for one record.
    n_parameters : int
        How many numbers it holds, with those that no gradient changes, such as means of the data. Numbers that several
        layers share count at the first of them.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    n_parameters: int


@dataclass(frozen=True, repr=False)
class Summary:
    """The layers of a model, from records to restored records. As text it is a table.

    Attributes
    ----------
    layers : tuple of Layer
        In the order of computation.
    n_parameters, n_trainable : int
        How many numbers the model holds, and how many of these training changes by gradients.
    n_bytes : int
        Memory of all numbers.
    """

    layers: tuple[Layer, ...]
    n_parameters: int
    n_trainable: int
    n_bytes: int

    def __str__(self) -> str:
        rows = [
            (f"{one.name} ({one.kind})", f"({', '.join(map(str, ('n', *one.shape)))})", f"{one.n_parameters:,}")
            for one in self.layers
        ]
        widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
        lines = [
            f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}"
            for name, shape, count in [_HEADINGS, *rows]
        ]
        rule = "─" * len(lines[0])
        fixed = self.n_parameters - self.n_trainable
        totals = [
            f"parameters: {self.n_parameters:,} ({self.n_bytes:,} bytes)",
            f"trainable: {self.n_trainable:,}",
            f"not trainable: {fixed:,}",
        ]
        return "\n".join([lines[0], rule, *lines[1:], rule, *totals])

    def __repr__(self) -> str:
        return str(self)

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        layers = [
            {"name": one.name, "type": one.kind, "output_shape": list(one.shape), "parameters": one.n_parameters}
            for one in self.layers
        ]
        totals = {"parameters": self.n_parameters, "trainable": self.n_trainable, "n_bytes": self.n_bytes}
        return {"layers": layers, **totals}


@dataclass
class _Table:
    """Collects layers.

    Attributes
    ----------
    names : dict of Module to str
        The names of the modules.
    layers : list of Layer
        The layers so far.
    counted : set of int
        Identities of the tensors that have been counted.
    """

    names: dict[nn.Module, str]
    layers: list[Layer] = field(default_factory=list)
    counted: set[int] = field(default_factory=set)

    def add(self, name: str, kind: str, output: Tensor, module: nn.Module | None = None) -> None:
        """Add a layer that holds all numbers of a module."""
        count = 0 if module is None else self._count([*module.parameters(), *module.buffers()])
        self.layers.append(Layer(name, kind, tuple(output.shape[1:]), count))

    def add_rest(self, network: nn.Module, output: Tensor) -> None:
        """Add a row for the numbers of a network that belong to no layer."""
        count = self._count([*network.parameters(), *network.buffers()])
        if count:
            self.layers.append(Layer(self.names[network], _kind(network), tuple(output.shape[1:]), count))

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[None]:
        """Add the layers of a network that are called in the block."""
        layers = [module for module in network.modules() if not list(module.children())]
        handles = [layer.register_forward_hook(self._called) for layer in layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _called(self, layer: nn.Module, _inputs: Any, output: Any) -> None:
        while isinstance(output, tuple | list) and output:  # recurrent layers also return their states
            output = output[0]
        if isinstance(output, Tensor):
            self.add(self.names[layer], _kind(layer), output, layer)

    def _count(self, tensors: list[Tensor]) -> int:
        """Return how many numbers some tensors have, without those that were counted before."""
        new = [one for one in tensors if id(one) not in self.counted]
        self.counted.update(map(id, new))
        return sum(one.numel() for one in new)


def _kind(module: nn.Module) -> str:
    return type(module).__name__.lstrip("_")


@usual_settings()
def summarise(chain: Chain, dtype: np.dtype[Any]) -> Summary:
    """Return the layers of a chain, found by sending one record through it.

    Parameters
    ----------
    chain : Chain
        The chain.
    dtype : numpy.dtype
        Dtype of the records.
    """
    table = _Table({module: name for name, module in chain.named_modules()})
    record = torch.from_numpy(np.zeros((1, *chain.shape), dtype)).to(chain.device)
    condition = chain.condition(torch.zeros(1, dtype=torch.int64).to(chain.device)) if chain.parts.n_classes else None
    with torch.no_grad(), in_eval_mode(chain):
        table.add("records", dtype.name, record)
        x = chain.prepare(record)
        for part, step in zip(chain.parts.preprocessing, chain.preprocessor.steps, strict=True):
            table.add(table.names[step], part.name, x, step)
        if chain.missing is not None:
            table.add("missing", "fill value", x, chain.missing)
        with table.watching(chain.encoder):
            h = chain.encoder(x, condition)
        table.add_rest(chain.encoder, h)
        z = chain.bottleneck(h).z
        table.add("bottleneck", chain.parts.bottleneck.name, z, chain.bottleneck)
        _, switches = chain.encoder.with_pool_indices(x, condition)
        with table.watching(chain.decoder):
            parameters = chain.decode(z, switches, condition)
        table.add_rest(chain.decoder, parameters)
        table.add("likelihood", chain.parts.likelihood.name, chain.likelihood.mean(parameters), chain.likelihood)
    numbers = [*chain.parameters(), *chain.buffers()]
    return Summary(
        tuple(table.layers),
        sum(one.numel() for one in numbers),
        sum(one.numel() for one in chain.parameters() if one.requires_grad),
        sum(one.numel() * one.element_size() for one in numbers),
    )
