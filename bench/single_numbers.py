"""The numbers that stand alone in a sentence or a cell of a page, by the names that their markers have."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean
from typing import Any

HERE = Path(__file__).parent


def single_numbers() -> dict[str, str]:
    """Return every such number as it is written in a page."""
    return {
        **_claims(_read("claims")),
        **_maps(_read("maps")),
        **_networks(_read("series-networks")["errors"]["8"]),
        **_noisy_queries(_read("search")["mnist"]["rows"]),
        **_samples(_read("generation")),
        **_recipes(_read("recipes")),
        **_scale(_read("processes")),
        **_logs(_read("text")["sets"]),
        **_files(),
    }


def _scale(processes: dict[str, Any]) -> dict[str, str]:
    return {
        "scale:processes": f"{processes['ratio']:.2f}",
        "scale:processes cpu": f"{processes['ratio_of_cpu']:.2f}",
    }


def _read(name: str) -> Any:
    return json.loads((HERE / f"{name}.json").read_text())


def _claims(claims: dict[str, Any]) -> dict[str, str]:
    linear = claims["linear"]
    filled = {
        "linear:sse": f"{linear['sse']:.2f}",
        "linear:pca": f"{linear['pca_sse']:.2f}",
        "linear:cosine": f"{linear['least_cosine']:.3f}",
    }
    for name, row in claims["elsewhere"].items():
        filled |= {f"{name}:sse": f"{row['sse']:.2f}", f"{name}:pca": f"{row['pca_sse']:.2f}"}
    return filled


def _maps(maps: dict[str, Any]) -> dict[str, str]:
    filled = {}
    for name in ("mnist auto", "mnist hinton2006", "mnist map"):
        code, pca = maps[name]["maps"][:2]
        if "training_seconds" in maps[name]:
            filled[f"{name}:training"] = f"{maps[name]['training_seconds'] / 60:.0f} minutes"
        filled |= {f"{name}:accuracy": f"{code['accuracy']:.2f}", f"{name}:pca": f"{pca['accuracy']:.2f}"}
    return filled


def _networks(errors: dict[str, Any]) -> dict[str, str]:
    return {f"heartbeats:{network}": f"{row['mse']:.4f}" for network, row in errors.items()}


def _noisy_queries(rows: dict[str, Any]) -> dict[str, str]:
    n_bytes = {"search:archive": f"{rows['archive of codec']['bytes']:.1f}"}
    of = {name: row["precision"] for name, row in rows.items() if name.endswith(("noise 0", "noise 0.3", "noise 0.5"))}
    return n_bytes | {name: f"{100 * precision:.1f} %" for name, precision in of.items()}


def _samples(rows: dict[str, Any]) -> dict[str, str]:
    return {f"samples:{name}": f"{row['frechet']:.2f}" for name, row in rows.items()}


def _recipes(rows: dict[str, Any]) -> dict[str, str]:
    filled = {}
    for name, row in rows.items():
        filled |= {f"{name}:epochs": str(row["epochs"]), f"{name}:seconds": f"{row['training_seconds']:.0f}"}
    return filled


LOGS = ("Android", "Apache", "HPC", "Hadoop", "Linux", "Spark", "Windows", "Zookeeper")


def _logs(sets: dict[str, Any]) -> dict[str, str]:
    """Return what logs take of the bytes of others, on average."""
    alone = [
        sets[name]["model"]["alone"]["bytes"] / min(one["bytes"] for one in sets[name]["zstd"].values())
        for name in LOGS
    ]
    whole = [sets[name]["whole"]["narrows"] / sets[name]["whole"]["xz"] for name in LOGS]
    return {"logs:dictionary": f"{mean(alone):.2f}", "logs:xz": f"{mean(whole):.2f}"}


def _files() -> dict[str, str]:
    flights = _read("tables")["tables"]["flights"]
    bits = _read("series")["means"]["NAB"]["bits_a_value"]
    return {
        "flights:narrows": f"{flights['narrows']['bytes'] / 1e6:.2f}",
        "flights:others": f"{min(flights['others'].values()) / 1e6:.2f}",
        "nab:narrows": f"{bits['narrows']:.1f}",
        "nab:pcodec": f"{bits['pcodec']:.1f}",
    }
