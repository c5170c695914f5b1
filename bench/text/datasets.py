"""Lines of text for the benchmark: names, logs, verses, and JSON lines.

Names and logs lie in ``$NARROWS_DATA`` or in ``../shared/data`` beside the project. Verses are printed by Debian's
package ``bible-kjv``; JSON lines are made of the package ``airportsdata``. Sets whose package is missing are skipped.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["LOGS", "datasets"]

ROOT = Path(os.environ.get("NARROWS_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")) / "text"
LOGS = ("Android", "Apache", "HPC", "Hadoop", "Linux", "Spark", "Windows", "Zookeeper")


def _lines(data: bytes) -> list[bytes]:
    """Return lines, without carriage returns, which the last line of some logs lacks."""
    return data.replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")


def _names() -> list[bytes]:
    return list(dict.fromkeys(_lines((ROOT / "names.txt").read_bytes())))  # without repeated ones


def _verses() -> list[bytes] | None:
    """Return the verses without their numbers; None without the command (``BIBLE`` may name it, with options)."""
    command = os.environ.get("BIBLE", "bible").split()
    if shutil.which(command[0]) is None:
        return None
    printed = subprocess.run(
        [*command, "-f", "gen1:1-rev22:21"], capture_output=True, check=True, stdin=subprocess.DEVNULL
    )
    return [line.partition(b" ")[2] for line in _lines(printed.stdout)]


def _airports() -> list[bytes] | None:
    try:
        import airportsdata
    except ImportError:
        return None
    return [json.dumps(one, ensure_ascii=False).encode() for one in airportsdata.load("ICAO").values()]


def datasets() -> Iterator[tuple[str, list[bytes] | None]]:
    """Yield the name and the lines of each set; None if it is missing."""
    for log in LOGS:
        yield log, _lines((ROOT / f"{log}_2k.log").read_bytes())
    others: dict[str, Callable[[], list[bytes] | None]] = {"names": _names, "verses": _verses, "JSON": _airports}
    for name, load in others.items():
        yield name, load()
