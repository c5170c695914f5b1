"""Time the five workloads as plain PyTorch loops over a DataLoader, and their matrix products alone.

    python bench/training/torch_side.py WORKLOAD FOLDER --steps N --threads T
    python bench/training/torch_side.py WORKLOAD FOLDER --steps N --threads T --products

Prints JSON. ``--products`` computes what the dense workloads multiply in a step, forward and backward, in float32, and
nothing else: no step can be faster.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset
from workloads import WORKLOADS, load

WIDTHS = {
    "deep-tied": (784, 256, 256, 64, 32, 64, 256, 256, 784),
    "dense": (784, 128, 64, 32, 64, 128, 784),
    "simple": (784, 32, 784),
}


class DeepTied(nn.Module):
    """784-256-256-64-32 with tied matrices and tanh."""

    def __init__(self) -> None:
        super().__init__()
        widths = WIDTHS["deep-tied"][:5]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))
        self.back = nn.ParameterList(torch.zeros(a) for a in widths[:-1][::-1])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        for layer, bias in zip(list(self.layers)[::-1], self.back, strict=True):
            x = torch.tanh(torch.addmm(bias, x, layer.weight))
        return x


class Convolutions(nn.Module):
    """The convolutional variational autoencoder of document 3."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, stride=2), nn.ReLU(), nn.Conv2d(32, 64, 3, stride=2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(64 * 6 * 6, 4)),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(2, 7 * 7 * 32), nn.ReLU(), nn.Unflatten(1, (32, 7, 7))),
            *(nn.ConvTranspose2d(32, 64, 3, 2, 1, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 3, 2, 1, 1), nn.ReLU()),
            nn.ConvTranspose2d(32, 1, 3, 1, 1),
        )

    def loss(self, x: Tensor) -> Tensor:
        x = (x > 0.5).float().view(-1, 1, 28, 28)
        mean, log_variance = self.encoder(x).chunk(2, 1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        crossed = functional.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="none").flatten(1).sum(1)
        return (crossed + 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)).mean()


def _stack(widths: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def build(recipe: str, mean: Tensor) -> tuple[nn.Module, Callable[[Tensor], Tensor], torch.optim.Optimizer]:
    """Return a module, its loss of a batch and its optimiser."""
    if recipe == "deep-tied":
        tied = DeepTied()
        return tied, lambda x: (tied(x - mean) - (x - mean)).square().sum(1).mean(), torch.optim.Adam(tied.parameters())
    if recipe == "cvae":
        vae = Convolutions()
        return vae, vae.loss, torch.optim.Adam(vae.parameters(), 1e-4)
    if recipe == "conv-denoising":
        conv = [nn.Conv2d(1 if i == 0 else 32, 32, 3, padding=1) for i in range(4)]
        between = [nn.MaxPool2d(2), nn.MaxPool2d(2), nn.Upsample(scale_factor=2), nn.Upsample(scale_factor=2)]
        stages = [stage for layer, other in zip(conv, between, strict=True) for stage in (layer, nn.ReLU(), other)]
        net = nn.Sequential(*stages, nn.Conv2d(32, 1, 3, padding=1))

        def noisy(x: Tensor) -> Tensor:
            x = x.view(-1, 1, 28, 28)
            seen = (x + 0.5 * torch.randn_like(x)).clamp(0, 1)
            return functional.binary_cross_entropy_with_logits(net(seen), x)

        return net, noisy, torch.optim.Adadelta(net.parameters(), 1.0)
    stack = _stack(WIDTHS[recipe])
    adam = recipe == "dense"
    optimiser = torch.optim.Adam(stack.parameters()) if adam else torch.optim.Adadelta(stack.parameters(), 1.0)
    return stack, lambda x: functional.binary_cross_entropy_with_logits(stack(x), x), optimiser


def steps_of(recipe: str, images: Tensor, batch_size: int, n_steps: int) -> float:
    """Return the steps per second of a plain loop."""
    torch.manual_seed(0)
    _, loss_of, optimiser = build(recipe, images.mean(0))
    loader = DataLoader(TensorDataset(images), batch_size=batch_size, shuffle=True)

    def run(most: int) -> None:
        for step, (x,) in enumerate(loader):
            if step == most:
                break
            optimiser.zero_grad()
            loss_of(x).backward()
            optimiser.step()

    run(5)
    began = time.perf_counter()
    run(n_steps)
    return n_steps / (time.perf_counter() - began)


def products(recipe: str, batch_size: int, n_steps: int) -> float:
    """Return the steps per second of the products of a step alone."""
    widths = WIDTHS[recipe]
    weights = [torch.randn(b, a) for a, b in itertools.pairwise(widths)]
    inputs = [torch.randn(batch_size, a) for a in widths]

    def step() -> None:
        for index, weight in enumerate(weights):
            torch.mm(inputs[index], weight.t())
        for index, weight in reversed(list(enumerate(weights))):
            torch.mm(inputs[index + 1].t(), inputs[index])
            if index:
                torch.mm(inputs[index + 1], weight)

    for _ in range(5):
        step()
    began = time.perf_counter()
    for _ in range(n_steps):
        step()
    return n_steps / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--products", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    workload = WORKLOADS[arguments.workload]
    if arguments.products:
        speed = products(workload.recipe, workload.batch_size, arguments.steps)
    else:
        train: Any = torch.from_numpy(load(arguments.folder)[0])
        speed = steps_of(workload.recipe, train, workload.batch_size, arguments.steps)
    print(json.dumps({"steps_per_second": speed, "version": torch.__version__}))


if __name__ == "__main__":
    main()
