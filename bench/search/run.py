"""Search by codes, beside pixels, PCA, ITQ, PQ and OPQ at the same number of bits.

::

    python bench/search/run.py MODELS [mnist] [fashion-mnist] [ecg5000] [names] [million]

MODELS is a folder for models, which are trained where they are missing (minutes each). All sets by default. ITQ, PQ and
OPQ are those of faiss; without it their rows are missing. Results are added to bench/search.json, and the table in
bench/search.md is written anew.

Precision is the mean share, among the ten nearest training records of a query, of those with its label. Mean average
precision (mAP) ranks all training records: the average precision of a query is the mean, over the training records with
its label, of the share of such records among those at least as near; of the first 300 queries. Settings are chosen on
training records. Times are CPU seconds of one core.
"""

from __future__ import annotations

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import narrows
import narrows.data
from narrows.data import Source
from narrows.evaluation.denoising import add_noise
from narrows.model.artefacts import PrincipalComponents, SearchMetric
from narrows.model.precision import in_float64
from narrows.model.search_codes import code_numbers
from narrows.numerics.nearest import Points
from narrows.uses import SearchIndex

ROOT = Path(os.environ.get("NARROWS_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
OUT = Path(__file__).resolve().parents[1] / "search.json"
QUERIES, RANKED, K = 1000, 300, 10
NOISES = (0.0, 0.3, 0.5)
BITS = 96
Array = NDArray[Any]
Rows = dict[str, dict[str, Any]]


# ---------------------------------------------------------------------------------------------------------- measures


def nearest(points: Array, queries: Array, k: int = K) -> Array:
    """Return the k nearest points (m, k) by Euclidean distance in float32."""
    points, queries = (np.asarray(x, np.float32).reshape(len(x), -1) for x in (points, queries))
    squares, found = np.square(points).sum(1), []
    for start in range(0, len(queries), 100):
        away = squares - 2 * queries[start : start + 100] @ points.T
        some = np.argpartition(away, k - 1, axis=1)[:, :k]
        order = np.take_along_axis(away, some, 1).argsort(1)
        found.append(np.take_along_axis(some, order, 1))
    return np.concatenate(found)


def precision(indices: Array, labels: Array, of_queries: Array) -> float:
    return float((labels[indices] == of_queries[:, None]).mean())


def average_precision(distances: Iterator[Array], labels: Array, of_queries: Array) -> float:
    """Return the mean average precision of rankings by distances, an array (n,) for each query."""
    found = []
    for away, label in zip(distances, of_queries, strict=False):
        ranks = np.flatnonzero(labels[away.argsort(kind="stable")] == label) + 1
        found.append(float((np.arange(1, len(ranks) + 1) / ranks).mean()))
    return float(np.mean(found))


def euclidean(points: Array, queries: Array) -> Iterator[Array]:
    points, queries = (np.asarray(x, np.float32).reshape(len(x), -1) for x in (points, queries))
    squares = np.square(points).sum(1)
    return (squares - 2 * points @ query for query in queries)


def of_vectors(points: Array, queries: Array, train: Source, test: Source, *, ranked: bool = True) -> dict[str, Any]:
    """Return the measures of vectors that are compared by their Euclidean distances."""
    row = {"precision": precision(nearest(points, queries), train.labels, test.labels)}
    if ranked:
        row["map"] = average_precision(euclidean(points, queries[:RANKED]), train.labels, test.labels)
    return row


def of_index(index: SearchIndex, train: Source, test: Source, values: Array, *, ranked: bool = True) -> dict[str, Any]:
    """Return the measures of an index."""
    coordinates = index.metric.coordinates(queries_of(index, values))
    _, indices = Points(index.coordinates).nearest(coordinates, K)
    row = {"precision": precision(indices, train.labels, test.labels), "weights": index.metric.weights}
    if ranked:
        row["map"] = average_precision(euclidean(index.coordinates, coordinates[:RANKED]), train.labels, test.labels)
    return row


def queries_of(index: SearchIndex, values: Array) -> Array:
    return code_numbers(in_float64(index.needed_model().chain_), values)


# -------------------------------------------------------------------------------------------------------------- peers


def quantisers(train: Source, test: Source, bits: int = BITS) -> Rows:
    """Return ITQ, PQ and OPQ by faiss, at a number of bits for a record; records are filled up with zeros."""
    try:
        import faiss
    except ImportError:
        return {}
    faiss.omp_set_num_threads(1)
    n_bytes = bits // 8
    x, q = (flat(source.values).astype(np.float32) for source in (train, test))
    wide = -(-x.shape[1] // n_bytes) * n_bytes
    x, q = (np.ascontiguousarray(np.pad(one, ((0, 0), (0, wide - one.shape[1])))) for one in (x, q))
    rows: Rows = {}
    itq = faiss.ITQTransform(wide, bits, True)
    itq.train(x)
    signs = [np.where(itq.apply(one) > 0, 1, -1).astype(np.float32) for one in (x, q)]
    rows["ITQ"] = of_vectors(*signs, train, test)
    for name in ("PQ", "OPQ"):
        given = [x, q]
        if name == "OPQ":
            rotation = faiss.OPQMatrix(wide, n_bytes)
            rotation.niter = 10
            rotation.train(x[:: max(1, len(x) // 20_000)])
            given = [rotation.apply(one) for one in given]
        pq = faiss.ProductQuantizer(wide, n_bytes, 8)
        pq.train(given[0])
        rows[name] = of_vectors(pq.decode(pq.compute_codes(given[0])), given[1], train, test)
    return {name: {**row, "bytes": float(n_bytes)} for name, row in rows.items()}


def flat(values: Array) -> Array:
    return values.reshape(len(values), -1)


# ---------------------------------------------------------------------------------------------------------------- sets


def model_of(folder: Path, name: str, train: Source, recipe: str, **changes: Any) -> narrows.Autoencoder:
    """Return the model in a file, trained if there is none; it gets a metric of search if it has none."""
    path = folder / f"{name}.safetensors"
    if path.exists():
        model = narrows.load(path)
        if not model.model_.has(SearchMetric.name):
            model.measure(train)
            model.save(path, force=True)
        return model
    model = narrows.recipe(recipe, **changes, random_state=0).fit(train)
    model.save(path)
    return model


def images(name: str, folder: Path, psnr: float) -> Rows:
    train, test = narrows.data.open(f"{name}:train"), narrows.data.open(f"{name}:test").limit(QUERIES)
    auto = model_of(folder, f"{name}-auto", train, "auto")
    n, pixels = auto.n_latent_, (flat(train.values) / 255).astype(np.float32)
    rows: Rows = {"pixels": of_vectors(pixels, flat(test.values) / 255, train, test)}
    pca = PrincipalComponents.fit(train.values, n, 0)
    rows[f"PCA, {n} numbers"] = of_vectors(pca.encode(train.values), pca.encode(test.values), train, test)
    build_s, of_auto = timed(lambda: SearchIndex.build(train, auto))
    rows[f"auto, {n} numbers"] = of_index(of_auto, train, test, test.values)
    codec = model_of(folder, f"{name}-codec", train, "codec", likelihood__psnr=psnr)
    path = folder / f"{name}.narrows"
    narrows.compress(train, path, model=codec, bytes_per_record=BITS / 8 - 0.5, force=True, labels="auto")
    archive = {"bytes": path.stat().st_size / len(train)}
    rows["archive of codec"] = {**of_index(SearchIndex.load(path, codec), train, test, test.values), **archive}
    rows |= {f"{one}, {BITS} bits": row for one, row in quantisers(train, test).items()}
    search = model_of(folder, f"{name}-search", train, "search")
    of_search = SearchIndex.build(train, search)
    for noise in NOISES:
        noisy = add_noise(search, test.values, noise, 0)
        which = f"noise {noise:g}"
        rows[f"search, {which}"] = of_index(of_search, train, test, noisy, ranked=noise == 0)
        if noise:
            rows[f"pixels, {which}"] = of_vectors(pixels, flat(noisy) / 255, train, test, ranked=False)
            rows[f"auto, {which}"] = of_index(of_auto, train, test, noisy, ranked=False)
    of_auto.save(folder / f"{name}.index", force=True)
    rows["times"] = {"build_s": build_s, **times(folder / f"{name}.index", of_auto, path, codec, test)}
    return rows


def times(path: Path, index: SearchIndex, archive: Path, codec: Any, test: Source) -> dict[str, Any]:
    """Return CPU seconds of opening and querying, with PyTorch imported and models loaded."""
    row: dict[str, Any] = {"index_bytes": path.stat().st_size / len(index)}
    row["first_answer_s"], _ = timed(lambda: SearchIndex.load(path, index.model).query(test.values[:1], K))
    row["first_answer_of_archive_s"], _ = timed(lambda: SearchIndex.load(archive, codec).query(test.values[:1], K))
    seconds, _ = timed(lambda: index.query(test.values, K))
    row["query_of_many_ms"] = 1e3 * seconds / len(test)
    alone = [timed(lambda i=i: index.query(test.values[i : i + 1], K))[0] for i in range(20)]
    row["query_alone_ms"] = 1e3 * float(np.median(alone))
    return row


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    result = function()
    return time.process_time() - began, result


def ecg5000(folder: Path) -> Rows:
    """Heartbeats: 500 to search, the first 1,000 others as queries, of five kinds."""
    train, test = (_ecg(one) for one in ("ECG5000_TRAIN.txt", "ECG5000_TEST.txt.gz"))
    test = test.limit(QUERIES)
    auto = model_of(folder, "ecg5000-auto", train, "auto", record="series")
    n = auto.n_latent_
    pca = PrincipalComponents.fit(train.values, n, 0)
    return {
        "values": of_vectors(train.values, test.values, train, test),
        f"PCA, {n} numbers": of_vectors(pca.encode(train.values), pca.encode(test.values), train, test),
        f"auto, {n} numbers": of_index(SearchIndex.build(train, auto), train, test, test.values),
    }


def _ecg(name: str) -> Source:
    table = np.loadtxt(ROOT / "ecg5000" / name)
    return Source(table[:, 1:].astype(np.float32), table[:, 0].astype(int), name=name, record="series")


def names(folder: Path) -> Rows:
    """Names: precision is the share of the ten nearest names within two edits of the query, a name that is left out."""
    words = (ROOT / "text" / "names.txt").read_text().split()
    queries, known = words[5::100][:QUERIES], [word for i, word in enumerate(words) if i % 100 != 5]
    model = model_of(folder, "names-text", narrows.data.open(known), "text")
    index = SearchIndex.build(known, model)
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


def million(folder: Path) -> Rows:
    """A million codes of 32 numbers: those of MNIST, 17 times, each time with other noise."""
    index = SearchIndex.load(folder / "mnist.index")
    rng, spread = np.random.default_rng(0), index.coordinates.std(0) * 0.2
    many = np.concatenate([index.coordinates + rng.normal(0, spread, index.coordinates.shape) for _ in range(17)])
    limit = index.metric.limits if not index.metric.length else 300
    points = np.clip(np.rint(many), -limit, limit).astype(np.int16)[:1_000_000]
    queries = points[::1000]
    build, exact = timed(lambda: Points(points))
    seconds, _ = timed(lambda: exact.nearest(queries, K))
    alone, _ = timed(lambda: exact.nearest(queries[:1], K))
    row = {"build_s": build, "query_of_many_ms": seconds, "query_alone_ms": 1e3 * alone, "bytes": points.nbytes}
    return {"exact": row}


SETS: dict[str, Callable[[Path], Rows]] = {
    "mnist": lambda folder: images("mnist", folder, 23.5),
    "fashion-mnist": lambda folder: images("fashion-mnist", folder, 23.5),
    "ecg5000": ecg5000,
    "names": names,
    "million": million,
}


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    done = json.loads(OUT.read_text()) if OUT.exists() else {}
    for name in sys.argv[2:] or SETS:
        print(name, flush=True)
        done[name] = SETS[name](folder)
        done |= {"date": date.today().isoformat(), "machine": platform.processor() or platform.machine()}
        done |= {"narrows": narrows.__version__, "numpy": np.__version__}
        OUT.write_text(json.dumps(done, indent=2) + "\n")
        OUT.with_suffix(".md").write_text(table(done))
        print(json.dumps(done[name], indent=1), flush=True)


def table(done: dict[str, Any]) -> str:
    """Return the precisions as a table."""
    lines = ["# Search by codes", "", "Made by `python bench/search/run.py`; see there for what is measured.", ""]
    for name in (one for one in SETS if one in done and one != "million"):
        lines += [f"## {name}", "", "| what | bytes a record | precision@10 | mAP |", "| --- | --- | --- | --- |"]
        for what, row in done[name].items():
            if what != "times":
                n_bytes = f"{row['bytes']:.1f}" if "bytes" in row else ""
                ranked = f"{row['map']:.3f}" if "map" in row else ""
                lines.append(f"| {what} | {n_bytes} | {row['precision']:.3f} | {ranked} |")
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
