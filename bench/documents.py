"""Draw the pictures of the documentation, and write the measured numbers into README and docs.

    python bench/documents.py              pictures and numbers
    python bench/documents.py --numbers    numbers only

Takes the models that bench/recipes.py left in bench/models, and trains the one that only a picture needs; the pictures
of denoising filters are bench/classics.py's, others of classics bench/gallery.py's, that of restored digits is what
`narrows denoise` draws, and those of new records are bench/generation.py's. Numbers stand between markers,
``<!--recipe:number-->13.47<!--/-->``; a test checks that they are those of the results.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parent
PICTURES = ROOT / "docs" / "pictures"
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh-CN.md",
    *sorted((ROOT / "docs").glob("*.md")),
]

TWO = {"n_latent": 2, "network": "dense", "network__widths": (512, 256, 128), "network__activation": "tanh"}


# What the README shows of bench/codec.json, by the methods' names there.
METHODS = (
    "narrows",
    "AVIF, sheet",
    "WebP, sheet",
    "JPEG XL, sheet",
    "JPEG, sheet",
    "PQ",
    "OPQ",
    "PCA + range coder",
)
EXACT = ("zstd, whole", "xz, whole")
QUALITIES = (23.5, 26.5, 29.5)

# What docs/classics.md shows of bench/gallery.json: by section the columns, how they are written, and what they say.
_ERROR, _SSE = ("error", ".1f", "classifier, % wrong"), ("sse", ".2f", "squared error")
GALLERY = {
    "corruptions": [
        _ERROR,
        ("sse", ".1f", "error, clean"),
        ("sse_masking", ".1f", "masking 0.3"),
        ("sse_gaussian", ".1f", "gaussian 0.5"),
        ("sse_salt-and-pepper", ".1f", "salt-and-pepper 0.3"),
    ],
    "overcomplete": [
        _ERROR,
        ("sse", ".2f", "error, digits"),
        ("sse_shuffled", ".1f", "error, shuffled pixels"),
        ("pca_sse", ".2f", "PCA, digits"),
        ("pca_sse_shuffled", ".1f", "PCA, shuffled pixels"),
    ],
    "stopping": [
        ("epochs", "d", "epochs"),
        ("best_epoch", "d", "best epoch"),
        ("training_loss", ".1f", "training loss"),
        ("validation_loss", ".1f", "validation loss"),
        ("test_loss", ".1f", "test loss"),
        ("sse", ".2f", "squared error, test"),
    ],
    "sparse": [
        ("mean_activity", ".3f", "mean activity"),
        ("active_percent", ".1f", "units active, %"),
        ("rare_percent", ".1f", "units rarely active, %"),
        _ERROR,
        _SSE,
    ],
    "contractive": [
        ("norm", ".1f", "mean ‖∂h/∂x‖_F"),
        _ERROR,
        _SSE,
        ("sse_gaussian", ".1f", "restored from gaussian 0.5"),
    ],
    "unpooling": [_SSE],
}
LEAST_IS_BOLD = {"corruptions"}
DATA = {"digits": "digits", "mnist": "MNIST"}


def numbers(results: dict[str, Any]) -> dict[str, str]:
    """Return what belongs between the markers, by their names."""
    filled = {"table": (HERE / "recipes.md").read_text().strip()}
    for name, result in results.items():
        metrics = result["metrics"]
        filled[f"{name}:sse"] = f"{metrics['sse_per_record']:.2f}"
        filled[f"{name}:ce"] = f"{metrics['cross_entropy_per_value']:.4f}"
        filled[f"{name}:pca"] = f"{metrics['pca_sse_per_record']:.2f}"
    return filled


def costs(classics: dict[str, Any]) -> dict[str, str]:
    """Return the training costs of the classics by ``name:epoch``."""
    return {
        f"{name}:{epoch}": f"{cost:.3f}"
        for name, result in classics.items()
        for epoch, cost in enumerate(result["cost_by_epoch"], start=1)
    }


def at_qualities(rows: list[dict[str, Any]]) -> tuple[dict[str, list[Any]], str]:
    """Return what each method of the README needs at its three qualities, and the sentence on lossless sizes."""
    sys.path.insert(0, str(HERE / "codec"))
    from rate_at_quality import curves

    curve_of = {curve.method: curve for curve in curves(row for row in rows if row["dataset"] == "mnist")}
    needed = {
        method: [curve_of[method].rate_at(psnr) for psnr in QUALITIES] for method in METHODS if method in curve_of
    }
    typed = {row["setting"]: row["bytes_per_record"] for row in curve_of["narrows"].rows}
    needed["narrows"] = [
        replace(cell, n_bytes=typed[f"mnist-{psnr}, psnr={psnr}"])  # what the commands give, not between two of them
        for cell, psnr in zip(needed["narrows"], QUALITIES, strict=True)
    ]
    exact = " and ".join(
        f"{curve_of[name].rows[0]['bytes_per_record']:.0f} bytes each with {name.removesuffix(', whole')}"
        for name in EXACT
    )
    return needed, f"Lossless, the images take {exact}, applied to all images as one file."


def compared(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return the cells of the README's table of archives, from bench/codec.json, and the table under ``codec``."""
    needed, exact = at_qualities(rows)
    lines = ["| MNIST, bytes an image | 23.5 dB | 26.5 dB | 29.5 dB |", "| --- | --- | --- | --- |"]
    least = [min(cell.n_bytes or math.inf for cell in column) for column in zip(*needed.values(), strict=True)]
    filled = {}
    for method, cells in needed.items():
        shown = [f"**{cell}**" if cell.n_bytes == best else str(cell) for cell, best in zip(cells, least, strict=True)]
        lines.append(f"| {method} | {' | '.join(shown)} |")
        filled |= {f"codec:{method}:{psnr}": str(cell) for psnr, cell in zip(QUALITIES, cells, strict=True)}
    return {**filled, "codec": "\n".join([*lines, "", exact])}


def denoised(result: dict[str, Any]) -> str:
    """Return the table of what takes noise away, from bench/denoising.json."""
    best = max(result["methods"].values(), key=lambda method: method["psnr_db"])
    lines = ["| | PSNR | gain | settings |", "| --- | --- | --- | --- |"]
    for name, method in result["methods"].items():
        settings = ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in method["settings"].items())
        settings = re.sub(r"^n components (\d+)$", r"\1 components", settings)
        quality = f"{method['psnr_db']:.2f} dB"
        gain = "" if name == "noisy" else f"{method['gain_db']:+.2f} dB"
        lines.append(f"| {name} | {f'**{quality}**' if method is best else quality} | {gain} | {settings} |")
    return "\n".join(lines)


def generated(results: dict[str, Any]) -> str:
    """Return the table of how far samples are from data, from bench/generation.json."""
    lines = ["| | code | epochs | codes drawn from | distance |", "| --- | --- | --- | --- | --- |"]
    for name, row in results.items():
        epochs = row.get("epochs", "")
        recipe, *changed = name.split(", ", 1)
        shown = ", ".join([f"`{recipe}`", *changed]) if "epochs" in row else name
        lines.append(f"| {shown} | {row.get('n_latent', '')} | {epochs} | {row['how']} | {row['frechet']:.2f} |")
    error = next(iter(results.values()))["classifier_test_error"]
    return "\n".join([*lines, "", f"The classifier is wrong on {100 * error:.2f} % of the test images."])


def shown(gallery: dict[str, Any]) -> dict[str, str]:
    """Return the tables of docs/classics.md by ``section``, and each of their numbers by ``section:row:number``."""
    filled = {}
    for section, columns in GALLERY.items():
        rows = gallery[section]["rows"]
        titles = [title for _, _, title in columns]
        lines = [f"| | {' | '.join(titles)} |", f"| {' | '.join(['---'] * (len(columns) + 1))} |"]
        for row, measured in rows.items():
            cells = []
            for key, style, _ in columns:
                cell = format(measured[key], style) if key in measured else ""
                filled[f"{section}:{row}:{key}"] = cell
                is_least = section in LEAST_IS_BOLD and cell == format(_least(rows, key), style)
                cells.append(f"**{cell}**" if is_least else cell)
            lines.append(f"| {row} | {' | '.join(cells)} |")
        filled[section] = "\n".join(lines)
    return filled


def _least(rows: dict[str, dict[str, Any]], key: str) -> float:
    return min(measured[key] for measured in rows.values() if key in measured)


def likelihoods(results: dict[str, Any]) -> str:
    """Return the table of bounds on the likelihood, from bench/vae.json."""
    lines = [
        "| | code | epochs | training | ELBO | reconstruction | KL | NLL | active units | source |",
        f"| {' | '.join(['---'] * 10)} |",
    ]
    for name, row in results.items():
        recipe, *changed = name.split(", ", 1)
        metrics = row["metrics"]
        bounds = [_minus(metrics[f"{key}_nats_per_record"]) for key in ("elbo", "reconstruction", "kl")]
        nll = f"{metrics['nll_nats_per_record']:.2f}" if row["importance_samples"] else ""
        shown = [
            ", ".join([f"`{recipe}`", *changed]),
            row["n_latent"],
            row["epochs"],
            f"{row['training_seconds']:.0f} s",
        ]
        cells = [*shown, *bounds, nll, metrics["active_units"], row["source"]]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def _minus(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def stacked(results: dict[str, Any]) -> dict[str, str]:
    """Return the test errors of stacked denoising autoencoders by ``row:start``; a dash where none is measured yet."""
    errors = {}
    for row in ("sda", "sda-1000"):
        for start in ("pretrained", "random"):
            measured = results.get(row, {}).get(start)
            errors[f"{row}:{start}"] = f"{measured['test_error_percent']:.2f} %" if measured else "—"
    return errors


def mapped(results: dict[str, Any]) -> str:
    """Return the table of maps, from bench/maps.json: PCA of the records once for each data set."""
    lines = ["| | data | numbers of the code | accuracy | trustworthiness |", "| --- | --- | --- | --- | --- |"]
    seen = set()
    for name, row in results.items():
        data, what = name.split()
        for view in row["maps"] if what != "page" else []:
            is_pca = view["map"].startswith("PCA")
            if is_pca and data in seen:
                continue
            seen |= {data} if is_pca else set()
            length = "" if is_pca else {"wide": row.get("n_latent", "")}.get(what, 2)
            by = view["map"].rpartition(" by ")[2] if what == "wide" and not is_pca else ""
            title = "PCA of the images" if is_pca else f"`{row['recipe']}`{f', projected by {by}' if by else ''}"
            cells = [title, DATA[data], length, f"{view['accuracy']:.3f}", f"{view['trustworthiness']:.3f}"]
            lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


SETS = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST", "ecg5000": "heartbeats", "names": "names"}


def searched(results: dict[str, Any]) -> dict[str, str]:
    """Return the tables and times of search, from bench/search.json."""
    lines = [
        "| | data | bytes a record | precision of ten | mean average precision |",
        "| --- | --- | --- | --- | --- |",
    ]
    noisy = ["| | data | noise 0 | noise 0.3 | noise 0.5 |", "| --- | --- | --- | --- | --- |"]
    for name in (one for one in SETS if one in results):
        rows = results[name]["rows"]
        for what, row in rows.items():
            if "precision" in row and "noise" not in what:
                n_bytes = f"{row['bytes']:.4g}" if "bytes" in row else ""
                ranked = f"{row['map']:.3f}" if "map" in row else ""
                lines.append(f"| {what} | {SETS[name]} | {n_bytes} | {row['precision']:.3f} | {ranked} |")
        for what in ("pixels", "auto", "search") if "search, noise 0" in rows else ():
            clean = next(row for one, row in rows.items() if one.partition(",")[0] == what)
            cells = [clean, *(rows[f"{what}, noise {noise}"] for noise in ("0.3", "0.5"))]
            shares = " | ".join(f"{cell['precision']:.3f}" for cell in cells)
            noisy.append(f"| {what} | {SETS[name]} | {shares} |")
    times = results["mnist"]["rows"]["times"]
    filled = {"search": "\n".join(lines), "search-noise": "\n".join(noisy)}
    filled |= {f"search:{key}": f"{value:.2g}" for key, value in times.items()}
    for what, row in results.get("million", {"rows": {}})["rows"].items():
        filled |= {f"million:{what}:{key}": f"{value:.2g}" for key, value in row.items() if not key.endswith("mib")}
        filled |= {f"million:{what}:{key}": f"{value / 1024:.1f}" for key, value in row.items() if key.endswith("mib")}
        filled[f"million:{what}:recall"] = f"{row['recall']:.3f}"
    return filled


def paged(page: dict[str, Any]) -> dict[str, str]:
    """Return what is measured of the page of a map, from bench/maps.json."""
    return {
        "page:megabytes": f"{page['bytes'] / 1e6:.1f}",
        "page:opens": f"{page['opens_in_seconds']:.1f}",
        "page:draws": f"{page['milliseconds_of_drawing']:.0f}",
        "page:frames": f"{page['frames_per_second']:.0f}",
    }


def all_numbers() -> dict[str, str]:
    """Return what belongs between the markers of all pages."""
    sys.path.insert(0, str(HERE))
    from label_tables import label_numbers
    from outlier_tables import outlier_numbers
    from series_tables import series_numbers
    from single_numbers import single_numbers
    from training_tables import training_tables

    recipes = json.loads((HERE / "recipes.json").read_text())
    codec = json.loads((HERE / "codec.json").read_text())
    classics = json.loads((HERE / "classics.json").read_text())
    denoising = json.loads((HERE / "denoising.json").read_text())
    generation = json.loads((HERE / "generation.json").read_text())
    fashion = json.loads((HERE / "generation-fashion-mnist.json").read_text())
    gallery = json.loads((HERE / "gallery.json").read_text())
    vae = json.loads((HERE / "vae.json").read_text())
    vq = json.loads((HERE / "vq.json").read_text())
    sda = json.loads((HERE / "sda.json").read_text())
    maps = json.loads((HERE / "maps.json").read_text())
    tables = {
        **compared(codec["rows"]),
        **{f"denoising:{name}": f"{method['psnr_db']:.2f} dB" for name, method in denoising["methods"].items()},
        "denoising": denoised(denoising),
        "generation": generated(generation),
        "generation fashion": generated(fashion),
        "likelihoods": likelihoods(vae),
        "maps": mapped(maps),
    }
    single = {
        **{f"{name}:elbo": _minus(row["metrics"]["elbo_nats_per_record"]) for name, row in vae.items()},
        **{
            f"{name}:nll": f"{row['metrics']['nll_nats_per_record']:.2f}"
            for name, row in vae.items()
            if row["importance_samples"]
        },
        "vq:sse": f"{vq['metrics']['sse_per_record']:.2f}",
        "vq:perplexity": f"{vq['metrics']['codebook_perplexity']:.0f}",
        "vq:bytes": f"{vq['archive_bytes_per_image']:.1f}",
    }
    single |= paged(maps["mnist page"])
    search = searched(json.loads((HERE / "search.json").read_text()))
    single |= {f"mnist:{name}:frechet": f"{row['frechet']:.2f}" for name, row in generation.items()}
    single |= {f"fashion:{name}:frechet": f"{row['frechet']:.2f}" for name, row in fashion.items()}
    single |= single_numbers() | training_tables() | label_numbers() | outlier_numbers() | series_numbers()
    return {**numbers(recipes), **costs(classics), **shown(gallery), **stacked(sda), **single, **tables, **search}


def fill(text: str, filled: dict[str, str]) -> str:
    """Return a page with its numbers replaced by the measured ones."""

    def replaced(match: re.Match[str]) -> str:
        value = filled[match[1]]
        value = f"\n{value}\n" if "\n" in value else value
        return f"<!--{match[1]}-->{value}<!--/-->"

    return re.sub(r"<!--([^/>][^>]*?)-->(.*?)<!--/-->", replaced, text, flags=re.DOTALL)


def draw() -> None:
    """Draw every picture of the documentation."""
    import narrows
    import narrows.data
    from narrows import pictures
    from narrows.cli import main as narrows_command

    PICTURES.mkdir(exist_ok=True)
    train, test = narrows.data.open("mnist:train"), narrows.data.open("mnist:test")
    first = test.take(np.array([int(np.flatnonzero(test.labels == digit)[0]) for digit in range(10)]))

    def trained(name: str, **changes: Any) -> narrows.Autoencoder:
        path = HERE / "models" / f"{name}.safetensors"
        if not path.exists():
            narrows.recipe("auto", random_state=0, **changes).fit(train).save(path)
        return narrows.load(path)

    def save(figure: Any, name: str) -> None:
        pictures.save(figure, PICTURES / f"{name}.png", force=True)

    for name, picture in [("deep-tied", "deep-tied"), ("conv", "conv")]:
        save(pictures.reconstructions(first.values, trained(name).reconstruct(first)), picture)
    # The ten records that are drawn get the same noise however many there are.
    denoising = f"-m {HERE / 'models' / 'conv-denoising-10-epochs.safetensors'} -o {PICTURES / 'denoise.png'} --force"
    narrows_command(f"denoise mnist:test {denoising} --demo-noise 0.5 --limit 10".split(), standalone_mode=False)
    two = trained("two", **TWO)
    codes = {"PCA": two.pca_.encode(test.values), "autoencoder": two.transform(test)}
    save(pictures.maps(codes, test.labels), "map")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", action="store_true", help="leave the pictures alone")
    if not parser.parse_args().numbers:
        draw()
    filled = all_numbers()
    for page in PAGES:
        page.write_text(fill(page.read_text(), filled))


if __name__ == "__main__":
    main()
