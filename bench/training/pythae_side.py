"""Time pythae on the workloads of which it has the model: its trainer, with the documents' layers.

    python bench/training/pythae_side.py WORKLOAD FOLDER --steps N --threads T

Prints JSON. pythae has autoencoders with squared errors and variational ones, so the three dense workloads are its AE
with these layers, and the convolutional VAE its VAE. Runs with pythae on the path.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import tempfile
import time
from pathlib import Path

import torch
from pythae.data.datasets import BaseDataset
from pythae.models import AE, VAE, AEConfig, VAEConfig
from pythae.models.base.base_utils import ModelOutput
from pythae.models.nn import BaseDecoder, BaseEncoder
from pythae.trainers import BaseTrainer, BaseTrainerConfig
from torch import Tensor, nn
from torch_side import WIDTHS, Convolutions
from workloads import WORKLOADS, load

logging.disable(logging.WARNING)


class Encoder(BaseEncoder):
    """Layers that return what pythae expects."""

    def __init__(self, layers: nn.Module, *, is_variational: bool = False) -> None:
        super().__init__()
        self.layers, self.is_variational = layers, is_variational

    def forward(self, x: Tensor) -> ModelOutput:
        h = self.layers(x)
        if not self.is_variational:
            return ModelOutput(embedding=h)
        mean, log_variance = h.chunk(2, 1)
        return ModelOutput(embedding=mean, log_covariance=log_variance)


class Decoder(BaseDecoder):
    """Layers that return what pythae expects."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, z: Tensor) -> ModelOutput:
        return ModelOutput(reconstruction=self.layers(z))


def build(recipe: str) -> AE | VAE:
    """Return pythae's model with the layers of a document."""
    if recipe == "cvae":
        parts = Convolutions()
        config = VAEConfig(input_dim=(1, 28, 28), latent_dim=2, reconstruction_loss="bce")
        decoder = nn.Sequential(parts.decoder, nn.Sigmoid())
        return VAE(config, Encoder(parts.encoder, is_variational=True), Decoder(decoder))
    widths, activation = WIDTHS[recipe], nn.Tanh if recipe == "deep-tied" else nn.ReLU
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), activation()]
    half = len(layers) // 2
    config = AEConfig(input_dim=(784,), latent_dim=32)
    return AE(config, Encoder(nn.Sequential(*layers[:half])), Decoder(nn.Sequential(*layers[half:-1], nn.Sigmoid())))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=[name for name in WORKLOADS if name != "conv-denoising"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    workload = WORKLOADS[arguments.workload]
    train = torch.from_numpy(load(arguments.folder)[0][: workload.batch_size * arguments.steps])
    if workload.recipe == "cvae":
        train = (train > 0.5).float().view(-1, 1, 28, 28)
    with tempfile.TemporaryDirectory() as folder:
        config = BaseTrainerConfig(
            output_dir=folder, num_epochs=1, per_device_train_batch_size=workload.batch_size, no_cuda=True
        )
        dataset = BaseDataset(train, torch.zeros(len(train)))
        trainer = BaseTrainer(build(workload.recipe), dataset, training_config=config)
        trainer.prepare_training()
        trainer.train_step(1)
        began = time.perf_counter()
        trainer.train_step(2)
        seconds = time.perf_counter() - began
    print(json.dumps({"steps_per_second": -(-len(train) // workload.batch_size) / seconds}))


if __name__ == "__main__":
    main()
