"""The Linux control groups of this process, which limit the resources of containers and batch jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["control_groups"]

_OF_PROCESS = Path("/proc/self/cgroup")
_MOUNTED = Path("/sys/fs/cgroup")


def control_groups(controller: str) -> Iterator[tuple[int, Path]]:
    """Yield the folders of the control groups of this process, from the innermost to the outermost.

    In a container the container's group may be mounted as the root. Then the folders of its outside path do not exist,
    and the root has the limits.

    Parameters
    ----------
    controller : str
        The limited resource: ``"cpu"`` or ``"memory"``.

    Yields
    ------
    version : int
        1 or 2, which have different file names.
    folder : Path
        Folder of a group; it may not exist.
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
