"""The results as Markdown: for each set, what each method takes at the same PSNRs, and how fast it is."""

from __future__ import annotations

from typing import Any

from rate_at_quality import Curve, curves
from records import SETS

__all__ = ["TARGETS_DB", "markdown"]

TARGETS_DB = (23.5, 26.5, 29.5)
TOTAL_DB, TOTAL_RECORDS = 26.5, 10_000
HEAD = """\
Bytes a record at equal PSNR, on test records that no method has seen in training. PSNR is 10 log₁₀(255² / MSE) over all
values of the set, restored as uint8. Between the measured settings of a method its curve is taken as straight in dB
over log bytes; nothing is said beyond them: *not reached* is above its best setting, *≤* below its smallest. *Exact*
methods restore every byte. What a reader needs besides (dictionary, codebook, model) is not part of the bytes a record
and stands beside them; "10,000 records" is the total of both at {total} dB, and of all bytes for exact methods. Speeds
are MB of raw records a second, one thread, the median over the settings.

All settings and points: `codec.json`. Written by `{command}`.
"""


def markdown(results: dict[str, Any]) -> str:
    """Return the page."""
    parts = [HEAD.format(command=results["runs"][-1]["command"], total=TOTAL_DB)]
    for name, title in SETS.items():
        rows = [row for row in results["rows"] if row["dataset"] == name]
        if rows:
            parts.append(f"## {title}\n\n{table(curves(rows))}\n\n{footnotes(rows)}")
    parts.append("## Measured\n\n" + "\n".join(f"- {_run(run)}" for run in results["runs"]))
    return "\n".join(part if part.endswith("\n") else part + "\n" for part in parts)


def table(its: list[Curve]) -> str:
    """Return the table of one set: a line a method, a column for each target."""
    lines = [
        "| method | "
        + " | ".join(f"{psnr:g} dB" for psnr in TARGETS_DB)
        + " | encode | decode | besides | 10,000 records |",
        "| --- " * (len(TARGETS_DB) + 5) + "|",
    ]
    for curve in its:
        cells = ["exact: " + str(curve.rate_at(0)).removeprefix("≤ ")] + [""] * (len(TARGETS_DB) - 1)
        if not curve.exact:
            cells = [str(curve.rate_at(psnr)) for psnr in TARGETS_DB]
        speeds = [f"{_median(curve, key):.3g}" for key in ("encode_mb_per_s", "decode_mb_per_s")]
        lines.append(f"| {curve.method} | {' | '.join([*cells, *speeds, _besides(curve), _total(curve)])} |")
    return "\n".join(lines)


def footnotes(rows: list[dict[str, Any]]) -> str:
    """Return what is counted, for each method that says so."""
    notes = {row["method"]: row["note"] for row in rows if row["note"]}
    return "\n".join(f"- {method}: {note}." for method, note in notes.items())


def _median(curve: Curve, key: str) -> float:
    values = sorted(row[key] for row in curve.rows)
    return values[len(values) // 2]


def _besides(curve: Curve) -> str:
    sizes = sorted({_size(row["side_bytes"]) for row in (min(curve.rows, key=_side), max(curve.rows, key=_side))})
    return " to ".join(sorted(sizes, key=lambda size: (len(size), size))) if sizes != ["0 kB"] else "none"


def _total(curve: Curve) -> str:
    """Return the size of 10,000 records and of what a reader needs besides."""
    rate = curve.rate_at(0 if curve.exact else TOTAL_DB)
    if rate.n_bytes is None:
        return "not reached"
    besides = min(curve.rows, key=lambda row: abs(row["bytes_per_record"] - rate.n_bytes))["side_bytes"]
    return f"{'≤ ' if rate.at_most and not curve.exact else ''}{_size(rate.n_bytes * TOTAL_RECORDS + besides)}"


def _side(row: dict[str, Any]) -> int:
    return row["side_bytes"]


def _size(n_bytes: float) -> str:
    return f"{n_bytes / 1000:,.0f} kB"


def _run(run: dict[str, Any]) -> str:
    machine = ", ".join(f"{key} {value}" for key, value in run["machine"].items() if value)
    versions = ", ".join(f"{key} {value}" for key, value in run["versions"].items())
    return f"`{run['command']}`, {run['date']}; {machine}; {versions}"
