"""The control groups of Linux that this process is in, which limit what a container or a batch job may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["control_groups"]

_OF_PROCESS = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")


def control_groups(controller: str) -> Iterator[tuple[int, Path]]:
    """Go through the folders of the control groups that this process is in, from the inside out.

    Within a container its own group may be mounted as the root, whatever its path is outside: then the folders of that
    path do not exist, and the root has the limits.

    Parameters
    ----------
    controller : str
        What the groups limit: ``"cpu"``, ``"memory"``.

    Yields
    ------
    version : int
        1 or 2: the files in the folder have other names.
    folder : Path
        Of a group; may not exist.
    """
    try:
        lines = _OF_PROCESS.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        version, root = (1, _MOUNTED / controller) if controllers else (2, _MOUNTED)
        group = Path(path.lstrip("/"))
        for folder in (group, *group.parents):
            yield version, root / folder
