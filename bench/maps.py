"""Measure maps: how well neighbours stay together, and how fast the page of 70,000 images is.

    python bench/maps.py map                   train the recipe on MNIST, and measure it on the test images
    python bench/maps.py auto hinton2006       the same with two numbers
    python bench/maps.py wide                  codes of auto, projected by PCA, UMAP and t-SNE (narrows[maps])
    python bench/maps.py networks              networks for two numbers, on training images that are held out
    python bench/maps.py page                  the page of all 70,000 images, in headless Chromium
    python bench/maps.py --data digits map auto hinton2006 wide

Each call adds to bench/maps.json. Models go to bench/models and are not trained again while they are there. Accuracy
and trustworthiness are those of `narrows map mnist:test`: the 10 nearest neighbours are among the test images, which no
model has seen. UMAP and t-SNE are fitted to the codes of the test images themselves. `networks` is how the network of
`auto` was chosen: it trains on 50,000 training images, and measures on the other 10,000.
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
from recipes import MODELS, machine
from typed import Folder

import narrows
import narrows.data
from narrows.evaluation.map_drawing import record_map_page
from narrows.networks import Dense
from narrows.uses import map_records
from narrows.uses.record_map import RecordMap

RESULTS = Path(__file__).parent / "maps.json"
TRAINED = ("map", "auto", "hinton2006")
MOST_BYTES, MOST_SECONDS, FEWEST_FRAMES = 30e6, 3.0, 30.0
NETWORKS = (  # layers, whether beside a linear path, epochs of 50,000 images: 391 steps each
    ((512, 256, 128), True, 15),
    ((512, 256, 128), False, 15),
    ((512, 512, 512), False, 15),
    ((512, 512, 512), False, 31),
)
CLOTHES = (((512, 512, 512), True, 6), ((512, 512, 512), False, 6))
"""Of Fashion-MNIST."""
HELD_OUT = 10_000
RUNS = 3  # of which the best counts, since other programs may need the processor
FRAMES = """new Promise((done) => {
  const times = [];
  let step = 0;
  const move = (now) => {
    times.push(now);
    state.camera.zoom = 1.0 + 0.5 * Math.sin(step / 20) ** 2;
    state.camera.x = 0.3 * Math.sin(step++ / 15);
    redraw();
    if (now - times[0] < 3000) requestAnimationFrame(move);
    else done((1000 * (times.length - 1)) / (now - times[0]));
  };
  requestAnimationFrame(move);
})"""
"""Frames in a second while the view moves, with all points on the screen."""
DRAWING = """(() => {
  const times = [];
  for (let step = 0; step < 60; step++) {
    state.camera.zoom = 1.0 + 0.5 * Math.sin(step / 20) ** 2;
    const began = performance.now();
    drawing.draw(state.camera, 1, 3, 0.75, 1);
    drawOverlay(overlay.getContext("2d"), state, line, redraw);
    times.push(performance.now() - began);
  }
  return times.sort((a, b) => a - b)[30];
})()"""
"""Milliseconds to draw a frame of all points, the median of 60, without waiting for the screen."""


def trained(data: str, name: str, n_latent: int | None = 2) -> tuple[narrows.Autoencoder, dict[str, Any]]:
    """Return the model of a recipe, trained if it is not there, and the command."""
    MODELS.mkdir(exist_ok=True)
    folder, recipe = Folder(MODELS), "" if name == "auto" else f" --recipe {name}"
    length = "" if n_latent is None else f" --latent {n_latent}"
    path = folder.made(f"maps-{data}-{name}-{n_latent or 'wide'}.safetensors", f"train {data}{recipe}{length}")
    model = narrows.load(path)
    seconds = sum(epoch["seconds"] for epoch in model.history_)
    return model, {"trained_by": folder.commands[0], "epochs": len(model.history_), "training_seconds": seconds}


def rows_of(found: RecordMap) -> list[dict[str, Any]]:
    return [
        {"map": view.title, "accuracy": view.accuracy, "trustworthiness": view.trustworthiness} for view in found.views
    ]


def measure(data: str, name: str) -> dict[str, Any]:
    """Train a recipe with two numbers, and measure its map of the test images."""
    model, facts = trained(data, name)
    rows = rows_of(map_records(model, f"{data}:test"))
    squared = narrows.evaluate(model, f"{data}:test")["sse_per_record"]
    return {"recipe": name, "settings": repr(model), "sse_per_record": squared, "maps": rows, **facts}


def measure_wide(data: str) -> dict[str, Any]:
    """Project codes as long as `auto` chooses them."""
    model, facts = trained(data, "auto", n_latent=None)
    rows = []
    for by in ("pca", "umap", "tsne"):
        began = time.process_time()
        rows += rows_of(map_records(model, f"{data}:test", by=by))[: 2 if by == "pca" else 1]
        rows[-1]["cpu_seconds"] = time.process_time() - began
    return {"recipe": "auto", "n_latent": model.n_latent_, "maps": rows, **facts}


def measure_networks(data: str) -> dict[str, Any]:
    """Train networks on all but the last training images, and measure their maps of these."""
    source = narrows.data.open(f"{data}:train")
    first, held_out = np.split(np.arange(len(source)), [len(source) - HELD_OUT])
    rows = []
    for widths, has_path, epochs in CLOTHES if data == "fashion-mnist" else NETWORKS:
        output = "soft-clip" if has_path else "sigmoid"
        network = Dense(
            widths=widths,
            activation="silu",
            output_activation=output,
            linear_path=has_path,
            start_at_mean=not has_path,
        )
        training = narrows.Training(epochs=epochs, threads=1)
        model = narrows.Autoencoder(2, network=network, training=training, artefacts=("pca",), random_state=0)
        model.fit(source.take(first))
        view = map_records(model, source.take(held_out)).views[0]
        rows.append(
            {
                "widths": list(widths),
                "linear_path": has_path,
                "steps": epochs * -(-len(first) // training.batch_size),
                "accuracy": view.accuracy,
                "sse_per_record": narrows.evaluate(model, source.take(held_out))["sse_per_record"],
                "training_seconds": sum(epoch["seconds"] for epoch in model.history_),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return {"networks": rows}


def measure_page() -> dict[str, Any]:
    """Measure the page of all images of MNIST; its script is no module here, so that the camera can be reached."""
    from browser import Browser

    from narrows.pictures.map_page import page

    model, _ = trained("mnist", "map")
    found = map_records(model, "mnist:all")
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.html"
        page._KIND = ""
        path.write_text(record_map_page(found), encoding="utf-8")
        made = time.process_time() - began
        with Browser() as browser:
            opened = min(browser.open(path) for _ in range(RUNS))
            frames = max(browser.evaluate(FRAMES) for _ in range(RUNS))
            drawn_in = min(browser.evaluate(DRAWING) for _ in range(RUNS))
            drawn_by = browser.evaluate("drawing.kind")
            requests = [url for url in browser.requests if not url.startswith(("file:", "data:", "about:"))]
            version = browser.evaluate("navigator.userAgent")
        n_bytes = path.stat().st_size
    assert not requests, requests
    return {
        "records": len(found.codes),
        "bytes": n_bytes,
        "page_cpu_seconds": made,
        "opens_in_seconds": opened,
        "frames_per_second": frames,
        "milliseconds_of_drawing": drawn_in,
        "browser": version,
        "drawn_by": drawn_by,
        "maps": rows_of(found),
        "wanted": {"bytes": MOST_BYTES, "opens_in_seconds": MOST_SECONDS, "frames_per_second": FEWEST_FRAMES},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=[*TRAINED, "wide", "networks", "page"])
    parser.add_argument("--data", choices=["mnist", "fashion-mnist", "digits"], default="mnist")
    given = parser.parse_args()
    for what in given.what:
        measures = {"wide": measure_wide, "networks": measure_networks, "page": lambda _: measure_page()}
        row = measures[what](given.data) if what in measures else measure(given.data, what)
        about = {"command": f"python bench/maps.py --data {given.data} {what}", "machine": machine()}
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results[f"{given.data} {what}"] = {**row, **about, "date": datetime.date.today().isoformat()}
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        print(what, json.dumps({name: value for name, value in row.items() if name != "settings"}, indent=1))


if __name__ == "__main__":
    main()
