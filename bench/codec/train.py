"""Train the models that the benchmark of archives needs, into bench/models/codec.

    python bench/codec/train.py                       all of them, one after the other; hours on two cores
    python bench/codec/train.py --only mnist-23.5     some of them

Each is one `narrows train` with the data set's training records and, but for the dense one, nothing besides the recipe
and the wanted quality. Models that are there stay.
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
SETS = ("mnist", "fashion-mnist", "cifar10")
QUALITIES = (23.5, 26.5, 29.5)  # dB
RUNS = [f"{name}-{psnr}" for name in SETS for psnr in QUALITIES]
LOSSLESS = [f"{name}-lossless" for name in SETS]
NAMES = [*RUNS, "mnist-dense", *LOSSLESS]
# A small dense network, whose archives are written and read faster.
DENSE = ("--latent", "32", "--set", "network=dense", "--set", "network__widths=512,512")


def arguments(name: str) -> list[str]:
    """Return what `narrows train` is called with besides data and output."""
    if name == "mnist-dense":
        return ["--recipe", "codec", "--psnr", str(QUALITIES[0]), "--epochs", "8", *DENSE]
    wanted = name.rpartition("-")[2]
    return ["--recipe", "lossless"] if wanted == "lossless" else ["--recipe", "codec", "--psnr", wanted]


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
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES)
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
