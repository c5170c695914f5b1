"""Search by codes, beside pixels, PCA, ITQ, PQ and OPQ at the same number of bits.

::

    python bench/search/run.py MODELS [mnist] [fashion-mnist] [ecg5000] [names] [million]

MODELS is a folder for models, indexes and archives, which are made where they are missing (minutes each), by the
commands that bench/search.md shows. All sets by default. ITQ, PQ and OPQ are those of faiss; without it their rows are
missing. Results are added to bench/search.json, and bench/search.md is written anew.

Precision is the mean share, among the ten nearest training records of a query, of those with its label. Mean average
precision (mAP) ranks all training records: the average precision of a query is the mean, over the training records with
its label, of the share of such records among those at least as near; of the first 300 queries. No
setting is given but those in the commands. Times are CPU seconds of one core.
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import json
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from measures import Array, K, Rows, flat, nearest, of_index, of_vectors
from peers import quantisers

import narrows
import narrows.data
from narrows.data import Source
from narrows.evaluation.denoising import add_noise
from narrows.model.artefacts import PrincipalComponents
from narrows.uses import SearchIndex

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from typed import Folder

ROOT = Path(os.environ.get("NARROWS_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
OUT = Path(__file__).resolve().parents[1] / "search.json"
QUERIES = 1000
NOISES = (0.0, 0.3, 0.5)
BITS = 96
MILLION = 1_000_000


def images(name: str, folder: Folder, *, has_archive: bool) -> Rows:
    """Images beside pixels, PCA and quantisers, with noise in the queries.

    The archive is written for MNIST alone: the codec of Fashion-MNIST predicts pixels, and 60,000 images take it long.
    """
    train, test = narrows.data.open(f"{name}:train"), narrows.data.open(f"{name}:test").limit(QUERIES)
    model = folder.made(f"{name}-auto.safetensors", f"train {name}")
    path = folder.made(f"{name}-auto.index", f"index {name} -m {name}-auto.safetensors")
    of_auto = SearchIndex.load(path, model)
    n, pixels = of_auto.metric.n_numbers, (flat(train.values) / 255).astype(np.float32)
    of_pixels = of_vectors(pixels, flat(test.values) / 255, train, test)
    rows: Rows = {"pixels": {**of_pixels, "bytes": train.values[0].nbytes}}
    rows[f"PCA, {n} numbers"] = of_pca(n, train, test)
    n_bytes = path.stat().st_size / len(train)
    rows[f"auto, {n} numbers"] = {**of_index(of_auto, train, test, test.values), "bytes": n_bytes}
    of_archive = archived(name, folder) if has_archive else None
    if of_archive is not None:
        measured = of_index(of_archive, train, test, test.values)
        n_bytes = os.path.getsize(of_archive.path or "") / len(train)
        rows["archive of codec"] = {**measured, "bytes": n_bytes}
    rows |= {f"{one}, {BITS} bits": row for one, row in quantisers(train, test, BITS).items()}
    search = folder.made(f"{name}-search.safetensors", f"train {name} --recipe search")
    path_of_search = folder.made(f"{name}-search.index", f"index {name} -m {name}-search.safetensors")
    of_search = SearchIndex.load(path_of_search, search)
    for noise in NOISES:
        noisy = add_noise(of_search.needed_model(), test.values, noise, 0)
        which = f"noise {noise:g}"
        rows[f"search, {which}"] = of_index(of_search, train, test, noisy, ranked=noise == 0)
        if noise:
            rows[f"pixels, {which}"] = of_vectors(pixels, flat(noisy) / 255, train, test, ranked=False)
            rows[f"auto, {which}"] = of_index(of_auto, train, test, noisy, ranked=False)
    rows["times"] = times(of_auto, of_archive, train, test)
    return rows


def of_pca(n: int, train: Source, test: Source) -> dict[str, Any]:
    """Return the measures of n principal components in float32."""
    pca = PrincipalComponents.fit(train.values, n, 0)
    return {**of_vectors(pca.encode(train.values), pca.encode(test.values), train, test), "bytes": 4 * n}


def archived(name: str, folder: Folder) -> SearchIndex:
    """Return the archive of the training records as an index."""
    codec = folder.made(f"{name}-codec.safetensors", f"train {name} --recipe codec --psnr 23.5")
    given = f"-m {name}-codec.safetensors --labels auto --bytes-per-record {BITS / 8 - 0.5:g}"
    return SearchIndex.load(folder.made(f"{name}.narrows", f"compress {name} {given}"), codec)


def times(index: SearchIndex, archive: SearchIndex | None, train: Source, test: Source) -> dict[str, Any]:
    """Return CPU seconds of building, opening and querying, with PyTorch imported and models loaded."""
    model, path = index.needed_model(), index.path or ""
    row: dict[str, Any] = {"build_s": timed(lambda: SearchIndex.build(train, model))}
    row["first_answer_s"] = timed(lambda: SearchIndex.load(path, model).query(test.values[:1], K))
    if archive is not None:
        where, codec = archive.path or "", archive.needed_model()
        row["first_answer_of_archive_s"] = timed(lambda: SearchIndex.load(where, codec).query(test.values[:1], K))
    row["query_of_many_ms"] = 1e3 * timed(lambda: index.query(test.values, K)) / len(test)
    alone = [timed(lambda i=i: index.query(test.values[i : i + 1], K)) for i in range(200)]
    row["query_alone_ms"] = 1e3 * float(np.median(alone))
    return row


def timed(function: Callable[[], Any]) -> float:
    began = time.process_time()
    function()
    return time.process_time() - began


def ecg5000(folder: Folder) -> Rows:
    """Heartbeats: 500 to search, the first 1,000 others as queries, of five kinds."""
    train, test = _ecg("ECG5000_TRAIN.txt"), _ecg("ECG5000_TEST.txt.gz").limit(QUERIES)
    if not (folder.path / "ecg-train.npz").exists():
        np.savez(folder.path / "ecg-train.npz", x=train.values, y=train.labels)
    model = folder.made("ecg5000-auto.safetensors", "train ecg-train.npz --as series")
    index = SearchIndex.load(folder.made("ecg5000.index", f"index ecg-train.npz -m {model.name}"), model)
    n, n_bytes = index.metric.n_numbers, os.path.getsize(index.path or "") / len(train)
    return {
        "values": {**of_vectors(train.values, test.values, train, test), "bytes": train.values[0].nbytes},
        f"PCA, {n} numbers": of_pca(n, train, test),
        f"auto, {n} numbers": {**of_index(index, train, test, test.values), "bytes": n_bytes},
    }


def _ecg(name: str) -> Source:
    table = np.loadtxt(ROOT / "ecg5000" / name)
    return Source(table[:, 1:].astype(np.float32), table[:, 0].astype(int), name=name, record="series")


def names(folder: Folder) -> Rows:
    """Names: precision is the share of the ten nearest names within two edits of the query, a name that is left out."""
    words = (ROOT / "text" / "names.txt").read_text().split()
    queries, known = words[5::100][:QUERIES], [word for i, word in enumerate(words) if i % 100 != 5]
    (folder.path / "names.txt").write_text("\n".join(known) + "\n")
    path = folder.made("names.safetensors", "train names.txt --recipe text")
    index = SearchIndex.load(folder.made("names.index", f"index names.txt -m {path.name}"), path)
    model = index.needed_model()
    _, found = index.query(queries, K)
    symbols, of_queries = (model.records_of(narrows.data.open(one)).values for one in (known, queries))
    away = np.stack([(symbols != query).sum(1) for query in of_queries])
    hamming = away.argsort(axis=1, kind="stable")[:, :K]
    unit = np.eye(int(symbols.max()) + 1, dtype=np.float32)
    one_hot = [unit[one].reshape(len(one), -1) for one in (symbols, of_queries)]
    n = model.n_latent_
    pca = PrincipalComponents.fit(one_hot[0], n, 0)
    by_pca = nearest(pca.encode(one_hot[0]), pca.encode(one_hot[1]))
    rows = {"letters that differ": hamming, f"PCA, {n} numbers": by_pca, f"text, {n} numbers": found}

    def share(indices: Array) -> float:
        each = zip(queries, indices, strict=True)
        return float(np.mean([[edits(query, known[i]) <= 2 for i in row] for query, row in each]))

    return {name: {"precision": share(indices)} for name, indices in rows.items()}


def edits(a: str, b: str) -> int:
    """Return the number of letters to insert, delete or replace."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def million(folder: Folder) -> Rows:
    """A million images: those of MNIST 17 times, moved by up to two pixels and with noise."""
    if not (folder.path / "million.npy").exists():
        write_million(folder.path / "million.npy")
    model = folder.made("mnist-auto.safetensors", "train mnist")
    rows: Rows = {}
    test = narrows.data.open("mnist:test").limit(QUERIES)
    for name, option in (("exact", "--exact"), ("graph", "--approximate")):
        if name == "graph" and find_spec("usearch") is None:
            continue
        command = f"index million.npy -m {model.name} {option} --force -o million-{name}.index"
        folder.commands.append(f"narrows {command}")
        made = folder.run(command)
        row: dict[str, Any] = {"build_s": made["cpu_s"], "build_peak_mib": made["peak_mib"]}
        path = folder.path / f"million-{name}.index"
        row["bytes"] = path.stat().st_size / MILLION
        asked = folder.run(f"search mnist:test#0 -i {path.name} -m {model.name}")
        row |= {"first_answer_command_s": asked["cpu_s"], "first_answer_peak_mib": asked["peak_mib"]}
        index = SearchIndex.load(path, model)
        index.query(test.values[:1], K)
        row["query_of_many_ms"] = 1e3 * timed(lambda index=index: index.query(test.values, K)) / len(test)
        alone = [timed(lambda i=i, index=index: index.query(test.values[i : i + 1], K)) for i in range(20)]
        row["query_alone_ms"] = 1e3 * float(np.median(alone))
        exact, found = (index.query(test.values, K, exact=is_exact)[1] for is_exact in (True, False))
        shared = [len(set(a) & set(b)) for a, b in zip(exact.tolist(), found.tolist(), strict=True)]
        rows[name] = {**row, "recall": float(np.mean(shared)) / K}
    return rows


def write_million(path: Path) -> None:
    train, rng = narrows.data.open("mnist:train").values, np.random.default_rng(0)
    many = np.lib.format.open_memmap(path, "w+", np.uint8, (MILLION, *train.shape[1:]))
    for start in range(0, MILLION, len(train)):
        moved = np.roll(train, rng.integers(-2, 3, 2), axis=(1, 2))[: MILLION - start]
        many[start : start + len(moved)] = np.clip(moved + rng.normal(0, 10, moved.shape), 0, 255)
    many.flush()


SETS: dict[str, Callable[[Folder], Rows]] = {
    "mnist": lambda folder: images("mnist", folder, has_archive=True),
    "fashion-mnist": lambda folder: images("fashion-mnist", folder, has_archive=False),
    "ecg5000": ecg5000,
    "names": names,
    "million": million,
}


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    for name in sys.argv[2:] or SETS:
        typed = Folder(folder)
        rows = SETS[name](typed)
        about = {"date": date.today().isoformat(), "machine": platform.processor() or platform.machine()}
        versions = {"narrows": narrows.__version__, "numpy": np.__version__}
        done = json.loads(OUT.read_text()) if OUT.exists() else {}
        done[name] = {"commands": typed.commands, **about, **versions, "rows": rows}
        OUT.write_text(json.dumps(done, indent=2) + "\n")
        OUT.with_suffix(".md").write_text(table(done))
        print(name, json.dumps(done[name], indent=1), flush=True)


def table(done: dict[str, Any]) -> str:
    """Return the commands, precisions and times as a page."""
    lines = ["# Search by codes", "", "Made by `python bench/search/run.py`; see there for what is measured.", ""]
    for name in (one for one in SETS if one in done):
        commands = [f"    {command}" for command in done[name]["commands"]]
        lines += [f"## {name}", "", *commands, ""]
        rows = done[name]["rows"]
        measured = {what: row for what, row in rows.items() if "precision" in row}
        if measured:
            lines += ["| what | bytes a record | precision@10 | mAP |", "| --- | --- | --- | --- |"]
        for what, row in measured.items():
            n_bytes = f"{row['bytes']:.1f}" if "bytes" in row else ""
            ranked = f"{row['map']:.3f}" if "map" in row else ""
            lines.append(f"| {what} | {n_bytes} | {row['precision']:.3f} | {ranked} |")
        for what in (one for one in rows if one not in measured):
            values = ", ".join(f"{key.replace('_', ' ')} {value:.4g}" for key, value in rows[what].items())
            lines += ["", f"{what}: {values}"]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
