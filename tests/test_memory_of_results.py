"""Restoring many records takes little more memory than the records that are returned."""

import sys

import numpy as np
import pytest

SCRIPT = """
import warnings

import numpy as np
from narrows import Autoencoder, Training
from narrows.networks import Dense

warnings.simplefilter("ignore")
x = np.random.default_rng(0).integers(0, 256, (200, 256), dtype=np.uint8).reshape(200, 16, 16)
model = Autoencoder(4, network=Dense(widths=(8,)), training=Training(epochs=1), artefacts=(), random_state=0).fit(x)
many = np.tile(x, (400, 1, 1))  # 80,000 records, 20 MiB
codes = model.transform(many)
model.reconstruct(x)

def at(line):
    return next(int(row.split()[1]) / 1024 for row in open("/proc/self/status") if row.startswith(line))

def peak_of(restore):
    before = at("VmRSS")
    open("/proc/self/clear_refs", "w").write("5")  # the peak is measured from here on
    result = restore()
    assert result.nbytes == many.nbytes
    return at("VmHWM") - before

print(peak_of(lambda: model.reconstruct(many)), peak_of(lambda: model.inverse_transform(codes)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_restored_records_are_converted_batch_by_batch(new_processes, tmp_path):
    """As float64 they would take 160 MiB, and their copies as much again."""
    done = new_processes.run(SCRIPT, tmp_path)
    assert done.returncode == 0, done.stderr
    assert max(np.fromstring(done.stdout, sep=" ")) < 80
