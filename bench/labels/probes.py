"""Measure what codes of the recipe auto tell about the labels of MNIST, beside pixels and PCA.

    python bench/labels/probes.py     about four minutes on one idle core

    narrows train mnist -o auto.safetensors
    narrows probe mnist --test mnist:test -m auto.safetensors -o probe.png

Writes bench/probes.json and docs/pictures/probe.png. Needs MNIST.
"""

from __future__ import annotations

import argparse
import datetime
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BENCH = Path(__file__).parents[1]
sys.path.insert(0, str(BENCH))

from recipes import machine  # noqa: E402

RESULTS = BENCH / "probes.json"
PICTURE = BENCH.parent / "docs" / "pictures" / "probe.png"
TRAIN = "train mnist -o auto.safetensors"
PROBE = "probe mnist --test mnist:test -m auto.safetensors -o probe.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for arguments in (f"{TRAIN} --threads 1 -q", f"{PROBE} --json"):
            done = subprocess.run(
                [sys.executable, "-m", "narrows", *arguments.split()], cwd=folder, capture_output=True, check=True
            )
        shutil.copyfile(Path(folder, "probe.png"), PICTURE)
    results = {
        **json.loads(done.stdout),
        "commands": [f"narrows {TRAIN}", f"narrows {PROBE}"],
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
