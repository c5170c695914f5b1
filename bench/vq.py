"""Train the recipe vq-vae on MNIST; measure its error, how it uses its codebook, and its indices in an archive.

    python bench/vq.py              some six minutes on one core

Writes bench/vq.json. The archive holds the 10,000 test images, without the model; every byte of it is counted, and it
is restored and compared before it is. The model goes to bench/models, where bench/generation.py takes it from. Needs
MNIST: see `narrows train --help`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recipes import MODELS, machine, path_of

import narrows
import narrows.data

RESULTS = Path(__file__).parent / "vq.json"
MOST_ERROR, MOST_BYTES = 3.3, 35.0  # squared error and bytes of an image, pixels in [0, 1]


def measure(threads: int) -> dict[str, Any]:
    """Train, measure, compress and restore."""
    train, test = (narrows.data.open(f"mnist:{split}") for split in ("train", "test"))
    began, began_cpu = time.perf_counter(), time.process_time()
    model = narrows.recipe("vq-vae", random_state=0).fit(train)
    fitted, fitted_cpu = time.perf_counter() - began, time.process_time() - began_cpu
    MODELS.mkdir(exist_ok=True)
    model.save(path_of("vq-vae"), force=True)
    measured = narrows.evaluate(model, test)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "test.narrows"
        narrows.compress(test, archive, model=model)
        restored = narrows.restore(archive, model=model)
        n_bytes = archive.stat().st_size
    expected = model.codec_.decode(model.quantise(test), 0)
    if not np.array_equal(restored, expected):
        raise SystemExit("The archive does not restore what its indices stand for.")
    errors = np.square((restored.astype(np.float64) - test.values) / 255).reshape(len(test.values), -1).sum(1)
    return {
        "recipe": "vq-vae",
        "settings": repr(narrows.recipe("vq-vae")),
        "code": list(model.chain_.bottleneck.symbols_shape),
        "metrics": measured,
        "archive_bytes": n_bytes,
        "archive_bytes_per_image": n_bytes / len(test),
        "archive_sse_per_image": float(errors.mean()),
        "model_bytes": len(model.codec_.only(0).blob),
        "epochs": len(model.history_),
        "training_seconds": sum(epoch["seconds"] for epoch in model.history_),
        "fit_seconds": fitted,
        "fit_cpu_seconds": fitted_cpu,  # of all threads: what other programs on the machine don't change much
        "loss_by_epoch": [epoch["loss"] for epoch in model.history_],
        "wanted": {"archive_sse_per_image": MOST_ERROR, "archive_bytes_per_image": MOST_BYTES},
        "machine": machine(),
        "command": f"python bench/vq.py --threads {threads}",
        "date": datetime.date.today().isoformat(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result = measure(arguments.threads)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    for name, most in result["wanted"].items():
        print(f"{name:25} {result[name]:.3f}, at most {most}: {'reached' if result[name] <= most else 'MISSED'}")
    metrics = result["metrics"]
    print(f"codebook_perplexity       {metrics['codebook_perplexity']:.1f} of 128, {metrics['codewords_in_use']} used")
    print(f"training                  {result['training_seconds']:.0f} s, {result['epochs']} epochs; with all that")
    print(f"                          comes after it {result['fit_cpu_seconds']:.0f} s of one core")


if __name__ == "__main__":
    main()
