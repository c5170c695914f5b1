"""Verbs read and write URLs."""

import json
import os

import fsspec
import numpy as np

MEMORY = fsspec.filesystem("memory")


def test_verbs_read_and_write_urls(narrows, digits):
    np.save("x.npy", digits[0][:50])
    MEMORY.makedirs("/verbs", exist_ok=True)
    MEMORY.put_file("x.npy", "/verbs/x.npy")
    place = "memory://verbs"
    narrows("train", f"{place}/x.npy", "-o", f"{place}/m.safetensors", "--epochs", "1", "-q")
    with_model = ["-m", f"{place}/m.safetensors", "--embed-model", "--json"]
    told = narrows("compress", f"{place}/x.npy", "-o", f"{place}/a.narrows", *with_model)
    assert json.loads(told.stdout)["path"] == f"{place}/a.narrows"
    told = narrows("restore", f"{place}/a.narrows", "-o", f"{place}/y.npy")
    assert told.stdout.startswith(f"{place}/y.npy  50 records")
    assert {path for path in os.listdir() if not path.startswith(".")} == {"x.npy"}
    MEMORY.get_file("/verbs/y.npy", "y.npy")
    assert np.load("y.npy").shape == (50, 8, 8)
    MEMORY.rm("/verbs", recursive=True)
