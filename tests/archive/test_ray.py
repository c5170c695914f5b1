"""`examples/ray_compress.py` with two local workers. Skipped without Ray, which `make test-cloud` installs."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from narrows import Autoencoder, Training, compress

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ray_compress.py"


@pytest.mark.slow
def test_two_workers_of_ray_write_the_archive_of_one_process(tmp_path, digits):
    pytest.importorskip("ray", reason="Ray is not installed: make test-cloud")
    images = digits[0]
    np.save(tmp_path / "x.npy", images)
    model = Autoencoder(4, network="dense", training=Training(epochs=2), random_state=0).fit(images)
    model.save(tmp_path / "m.safetensors")
    out = ["--workers", "2", "--shards", "4", "--max-error", "10%"]
    command = [
        sys.executable,
        str(EXAMPLE),
        *(str(tmp_path / name) for name in ("x.npy", "m.safetensors", "a.narrows")),
    ]
    done = subprocess.run([*command, *out], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    alone = tmp_path / "alone.narrows"
    compress(
        tmp_path / "x.npy", alone, model=tmp_path / "m.safetensors", max_error="10%", chunk_records=-(-len(images) // 4)
    )
    assert (tmp_path / "a.narrows").read_bytes() == alone.read_bytes()
