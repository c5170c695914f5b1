"""The elements of a report page: escaped text, tables, bars, boxes and pictures, and their style."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from narrows.io import text
from narrows.io.text import LARGEST_IN_FULL
from narrows.pictures.saving import png_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bars", "boxes", "cell", "figure", "number", "page", "pairs", "section", "table"]

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --card: #f6f7f9; --ink: #1f2430; --muted: #5d6675; --line: #dde1e7;
  --bar: #b9c3d0; --ours: #0173b2; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14171d; --card: #1d2129; --ink: #e8eaee; --muted: #a0a8b6; --line: #333a45; --bar: #566172;
    --ours: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 3rem 1.25rem 4rem; max-width: 60rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.01em; margin: 0 0 1.5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.75rem 0 0.9rem; }
p { margin: 0.5rem 0; } .muted { color: var(--muted); font-size: 0.875rem; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.875em; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 0.9rem 1.1rem; margin: 0;
  white-space: pre-wrap; overflow-wrap: anywhere; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 0.75rem; margin: 0; }
.facts div { background: var(--card); border-radius: 8px; padding: 0.75rem 1rem; min-width: 0; }
.facts dt { color: var(--muted); font-size: 0.8rem; }
.facts dd { margin: 0.1rem 0 0; font-weight: 600; overflow-wrap: anywhere; }
.chain { display: flex; flex-wrap: wrap; gap: 0.6rem 0; list-style: none; margin: 0; padding: 0; }
.chain li { display: flex; align-items: center; min-width: 0; max-width: 100%; }
.chain li:not(:last-child)::after { content: "\\2192"; color: var(--muted); padding: 0 0.6rem; }
.chain div { border: 1px solid var(--line); background: var(--card); border-radius: 8px; padding: 0.5rem 0.85rem;
  min-width: 0; max-width: 22rem; overflow-wrap: anywhere; }
.chain b { display: block; font-size: 0.8rem; font-weight: 400; color: var(--muted); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.55rem 1.5rem 0.55rem 0;
  border-bottom: 1px solid var(--line); }
th { font-size: 0.8rem; font-weight: 600; color: var(--muted); } td:last-child, th:last-child { padding-right: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.number { font-weight: 600; } td.why { color: var(--muted); font-size: 0.9rem; min-width: 16rem; }
td.value { overflow-wrap: anywhere; } td.key { white-space: nowrap; }
.bars { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: 0.5rem 1rem; align-items: center;
  margin: 0.6rem 0 1.4rem; }
.bars .track { display: flex; align-items: center; gap: 0.6rem; font-variant-numeric: tabular-nums; min-width: 0; }
.bars .bar { height: 1.15rem; border-radius: 3px; background: var(--bar); min-width: 2px; flex: none; }
.bars .ours { background: var(--ours); } .bars .name { overflow-wrap: anywhere; }
figure { margin: 0 0 2rem; } figcaption { color: var(--muted); font-size: 0.875rem; margin-top: 0.6rem; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; background: #ffffff; }
.picture { background: #ffffff; border: 1px solid var(--line); border-radius: 8px; padding: 0.25rem; overflow: hidden; }
footer { margin-top: 3rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--muted);
  font-size: 0.8rem; }
@media (max-width: 34rem) { body { padding-top: 1.75rem; } .bars { grid-template-columns: 1fr; gap: 0.15rem; }
  .bars .track { margin-bottom: 0.5rem; } .metrics thead { display: none; }
  .metrics tr { display: grid; grid-template-columns: 1fr auto; border-bottom: 1px solid var(--line);
    padding: 0.5rem 0; } .metrics td { border: 0; padding: 0.1rem 0; } td.why { grid-column: 1 / -1; min-width: 0; } }
@media print { body { max-width: none; padding: 0; } figure, tr, .bars { break-inside: avoid; } }
"""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(title: str, body: Iterable[str]) -> str:
    """Return a page whose content policy forbids loading resources and running scripts."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(part for part in body if part)
        + "\n</body>\n</html>\n"
    )


def section(title: str, *parts: str) -> str:
    """Return a section, or nothing if all its parts are empty."""
    content = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{escape(title)}</h2>\n{content}\n</section>" if content else ""


def pairs(values: Mapping[str, object]) -> str:
    """Return short facts as cards with name and value."""
    cards = (f"<div><dt>{escape(str(name))}</dt><dd>{_text(value)}</dd></div>" for name, value in values.items())
    return f'<dl class="facts">{"".join(cards)}</dl>' if values else ""


def boxes(parts: Sequence[tuple[str, str]]) -> str:
    """Return a chain of parts as boxes with arrows between them."""
    items = (f"<li><div><b>{escape(role)}</b>{_text(part)}</div></li>" for role, part in parts)
    return f'<ol class="chain">{"".join(items)}</ol>' if parts else ""


def cell(text: object, kind: str = "") -> str:
    """Return one cell of a table; `kind` is its class in the style sheet."""
    return f'<td class="{escape(kind)}">{_text(text)}</td>' if kind else f"<td>{_text(text)}</td>"


def _text(value: object) -> str:
    """Return escaped text in which a long path may be broken after a slash."""
    return escape(str(value)).replace("/", "/<wbr>")


def table(head: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]], kind: str = "") -> str:
    """Return a table from its head, pairs of text and class, and rows of results of `cell`."""
    top = "".join(f'<th class="{escape(css)}" scope="col">{escape(text)}</th>' for text, css in head)
    lines = "\n".join(f"<tr>{''.join(row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table class="{escape(kind)}">\n<thead><tr>{top}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody></table></div>"
    )


def bars(values: Sequence[tuple[str, float | None]], ours: int | None) -> str:
    """Return one bar for each value, scaled to the largest; the bar number `ours` is highlighted."""
    longest = max((abs(value) for _, value in values if value is not None), default=0.0) or 1.0
    lines = []
    for i, (name, value) in enumerate(values):
        width = 0 if value is None else 75 * abs(value) / longest
        kind = "bar ours" if i == ours else "bar"
        bar = "" if value is None else f'<span class="{kind}" style="width:{width:.2f}%"></span>'
        lines.append(
            f'<span class="name">{escape(name)}</span><span class="track">{bar}<span>{number(value)}</span></span>'
        )
    return f'<div class="bars">{"".join(lines)}</div>'


def figure(caption: str, picture: Figure) -> str:
    """Return a picture embedded in the page as PNG, with its caption."""
    data = base64.b64encode(png_bytes(picture)).decode("ascii")
    text = escape(caption)
    width = round(float(picture.get_size_inches()[0]) * picture.dpi / 2)
    return (
        f'<figure><div class="picture"><img src="data:image/png;base64,{data}" alt="{text}" width="{width}"></div>'
        f"<figcaption>{text}</figcaption></figure>"
    )


def number(value: float | None) -> str:
    """Return a number with four significant digits, a whole one with all digits, None and NaN as a dash."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if abs(value) >= LARGEST_IN_FULL:
        return _signs(text.number(value))
    if float(value).is_integer():
        return _signs(f"{int(value):,}")
    if abs(value) >= 10_000:
        return _signs(f"{value:,.0f}")
    return _signs(f"{value:.4g}")


def _signs(number: str) -> str:
    return number.replace("-", "−")
