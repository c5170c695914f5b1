"""Train the models that the benchmark of archives needs, into bench/models/codec.

    python bench/codec/train.py                     all of them, one after the other; hours on two cores
    python bench/codec/train.py --only mnist-23     some of them

Each is one `narrows train`, with the data set's training records. Models that are there stay.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from records import open_records

MODELS = Path(__file__).parents[1] / "models" / "codec"
# The networks that MNIST's models had, given in full so that they stay what they were when "auto" learns better.
_OUTPUT = ("network__activation=silu", "network__output_activation=sigmoid", "network__start_at_mean=true")
STRIDED = ("network=strided", *_OUTPUT)
DENSE = ("network=dense", "network__widths=512,512", *_OUTPUT)
WIDE = (  # for qualities that a code of 8 channels cannot hold
    "network=strided",
    "network__channels=32,64",
    "network__code_channels=16",
    "network__activation=silu",
    "network__output_activation=sigmoid",
    "network__start_at_mean=true",
    "network__initialisation=he",
)
MAP = (*STRIDED, "network__code_channels=8")


def settings(*of: str) -> tuple[str, ...]:
    return tuple(part for setting in of for part in ("--set", setting))


FINE = settings("bottleneck__unit=0.125")

# Quality in dB, epochs, further arguments. A little more is asked of the training data than is wanted of others.
RUNS: dict[str, tuple[float, int, tuple[str, ...]]] = {
    "mnist-23": (23.7, 10, ("--latent", "32", *settings(*STRIDED))),
    "mnist-26": (26.7, 8, settings(*MAP)),
    "mnist-29": (29.7, 8, settings(*MAP)),
    "mnist-dense": (23.3, 8, ("--latent", "32", *settings(*DENSE))),
    "fashion-mnist-23": (23.8, 10, FINE),
    "fashion-mnist-26": (26.9, 10, FINE),
    "fashion-mnist-29": (29.9, 10, (*FINE, *settings(*WIDE))),
    "cifar10-24": (24.2, 24, ("--batch-size", "16", *FINE)),
    "cifar10-27": (27.0, 24, ("--batch-size", "16", *FINE, *settings(*WIDE))),
    "cifar10-30": (30.0, 24, ("--batch-size", "16", *FINE, *settings(*WIDE))),
}


# For exact.py: what counts is the network of residuals, so the codec has one epoch.
RESIDUAL = ("residual__n_hidden=128", "residual__n_components=10", "residual__learning_rate=3e-3")
LOSSLESS: dict[str, tuple[str, ...]] = {
    "mnist-lossless": settings(*RESIDUAL, "residual__reach=6", "residual__epochs=20"),
    "fashion-mnist-lossless": settings(*RESIDUAL, "residual__reach=6", "residual__epochs=12"),
    "cifar10-lossless": settings(*RESIDUAL, "residual__reach=3", "residual__epochs=40"),
}


def arguments(name: str) -> list[str]:
    """Return what `narrows train` is called with besides data and output."""
    if name in LOSSLESS:
        more = ("--latent", "16", *settings("network=dense"), *LOSSLESS[name])
        return ["--recipe", "lossless", "--epochs", "1", *more]
    psnr, epochs, more = RUNS[name]
    return ["--recipe", "codec", "--psnr", str(psnr), "--epochs", str(epochs), *more]


def train(name: str, data: str) -> None:
    model = MODELS / f"{name}.safetensors"
    if model.exists():
        print(f"{model} is there")
        return
    command = ["train", data, *arguments(name), "-o", str(model)]
    print("narrows", *command, flush=True)
    subprocess.run([sys.executable, "-m", "narrows", *command], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=[*RUNS, *LOSSLESS], default=[*RUNS, *LOSSLESS])
    names = parser.parse_args().only
    MODELS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            data = name.rpartition("-")[0]
            if data == "cifar10":
                data = f"{folder}/cifar10.npy"
                np.save(data, open_records("cifar10").train)
            train(name, data)


if __name__ == "__main__":
    main()
