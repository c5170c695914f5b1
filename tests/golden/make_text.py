"""Make the golden archives of texts of this format version: to be decoded for ever.

They are made once, by hand, as those of `make.py`. Without a flag nothing happens; it makes only what is not there::

    python tests/golden/make_text.py --add
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch

import narrows
from narrows.data.text.texts import encoded
from narrows.networks import Dense, Recurrent

FOLDER = Path(__file__).parent / "text"
HASHES = FOLDER / "hashes.json"
NAMES = ["emma", "olivia", "ava", "noah", "liam", "mia", "zoe", "lucas"]
SHORT = [f"n{k % 5}{k % 7}" for k in range(34)]  # the second block of 32 is learned from alone
LINES = ["2024-03-01 GET /index.html 200", "", "zoë\0\t", "a line that is longer than a record of forty bytes", "x"]

ARCHIVES = {
    "names-code": (NAMES, {}, "dense"),
    "names-exact": (NAMES, {"lossless": True}, "dense"),
    "lines-code": (LINES, {}, "recurrent"),
    "lines-exact": (LINES, {"lossless": True}, "recurrent"),
    "bytes-exact": (LINES, {}, None),
    "model-groups-exact": ([*SHORT[:9], "", "zoë\0"], {}, "bytes"),
    "model-alone-exact": ([*SHORT[:9], "", "zoë\0"], {"chunk_records": 1}, "bytes"),
    "model-2-alone-exact": ([*SHORT[:9], "", "zoë\0"], {"chunk_records": 1}, "bytes"),
    "model-3-groups-exact": ([*SHORT[:9], "", "zoë: k=\0", "k=n1"], {}, "bytes"),
    "model-3-alone-exact": ([*SHORT[:9], "", "zoë: k=\0", "k=n1"], {"chunk_records": 1}, "bytes"),
    "model-4-groups-exact": ([*SHORT[:9], "", "zoë: k=\0", "k=n1"], {}, "bytes"),
    "model-4-alone-exact": ([*SHORT[:9], "", "zoë: k=\0", "k=n1"], {"chunk_records": 1}, "bytes"),
}


def hash_of(path: Path) -> str:
    """Return a hash of the texts that are restored."""
    return hash_of_texts(narrows.restore(path))


def hash_of_texts(texts) -> str:
    return hashlib.sha256(b"\n".join(map(encoded, texts))).hexdigest()


def add() -> None:
    """Write those archives that are not there yet, and their hashes."""
    torch.set_num_threads(1)
    FOLDER.mkdir(exist_ok=True)
    described = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    networks = {
        "dense": Dense(widths=(12,), embedding=4),
        "recurrent": Recurrent(width=6, patch=1, input_width=3, embedding=4),
    }
    for name, (texts, how, network) in ARCHIVES.items():
        path = FOLDER / f"{name}.narrows"
        if path.exists():
            continue
        if network is None:
            narrows.compress(texts, path)
            described[path.name] = hash_of(path)
            continue
        if network == "bytes":
            model = narrows.ByteModel().fit(SHORT)
            narrows.compress(texts, path, model=model, embed_model=True, **how)
            described[path.name] = hash_of(path)
            continue
        settings = {"training__epochs": 20, "training__batch_size": 8, "random_state": 0}
        source = narrows.data.open(texts * 4, length=min(40, max(map(len, texts))))
        model = narrows.recipe("text", n_latent=3, network=networks[network], **settings).fit(source)
        narrows.compress(texts, path, model=model, embed_model=True, **how)
        described[path.name] = hash_of(path)
    HASHES.write_text(json.dumps(described, indent=2) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--add", action="store_true", help="make the archives that are not there")
    if parser.parse_args().add:
        add()
