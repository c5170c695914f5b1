"""Classify MNIST by stacked denoising autoencoders, and by the same network from random weights.

    python bench/sda.py                     all rows, about half an hour on two cores
    python bench/sda.py --only sda-1000     some of them

The recipe `sda`, 784-1000-1000-1000 sigmoid units, masking 0.1, 0.2 and 0.3, learns layer by layer from 50,000 images;
then a softmax is put on top and all of it is trained for labels: for 50,000 of them (`sda`; learning rate and masking
were chosen by the error of the last 10,000 images), or for the first 1,000 (`sda-1000`). Without pretraining
everything else is the same. Errors are those of the 10,000 test images. Writes bench/sda.json; rows of
earlier runs are kept. Needs MNIST.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shlex
import time
from pathlib import Path
from typing import Any

import torch
from recipes import machine

import narrows
import narrows.data
from narrows import AutoencoderClassifier, Training
from narrows.corruptions import Masking
from narrows.training import Adam

RESULTS = Path(__file__).parent / "sda.json"
N_TRAIN, N_FEW = 50_000, 1_000
MASKING = {"sda": 0.3, "sda-1000": 0.25}  # of the input while training for labels

ROWS = {
    "sda": Training(epochs=30, batch_size=100, optimiser=Adam(learning_rate=2e-3)),
    "sda-1000": Training(epochs=50, batch_size=20, optimiser=Adam(learning_rate=5e-4)),
}


def measure(row: str, *, pretrain: bool) -> dict[str, Any]:
    """Train and test one classifier."""
    images, test = narrows.data.open("mnist:train"), narrows.data.open("mnist:test")
    labels = images.labels
    assert labels is not None
    autoencoder = narrows.recipe("sda", corruption=Masking(level=MASKING[row]))
    model = AutoencoderClassifier(autoencoder, pretrain=pretrain, training=ROWS[row].clone(), random_state=0)
    began = time.perf_counter()
    held_out = (images.values[N_TRAIN:], labels[N_TRAIN:])
    if row == "sda":
        model.fit(images.values[:N_TRAIN], labels[:N_TRAIN], validation=held_out)
    else:
        model.fit(images.values[:N_FEW], labels[:N_FEW], unlabelled=images.values[N_FEW:N_TRAIN])
    seconds = time.perf_counter() - began
    history = model.history_
    return {
        "test_error_percent": 100 * (1 - model.score(test)),
        "seconds": seconds,
        "epochs": len(history),
        "validation_error_percent": None if row != "sda" else 100 * (1 - model.score(*held_out)),
        "pretraining_loss": {epoch["stage"]: epoch["loss"] for epoch in model.pretraining_history_},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=list(ROWS))
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for row in arguments.only or ROWS:
        result = {
            "pretrained": measure(row, pretrain=True),
            "random": measure(row, pretrain=False),
            "training": repr(ROWS[row]),
            "masking": MASKING[row],
            "machine": machine(),
            "command": "python " + shlex.join(["bench/sda.py", "--only", row, "--threads", str(arguments.threads)]),
            "date": datetime.date.today().isoformat(),
        }
        before = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps({**before, row: result}, indent=1) + "\n")
        for start in ("pretrained", "random"):
            one = result[start]
            print(f"{row:9} {start:11} {one['test_error_percent']:5.2f} % in {one['seconds']:5.0f} s", flush=True)


if __name__ == "__main__":
    main()
