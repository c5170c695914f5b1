"""The number of CPUs that the process may use, which can be lower than that of the machine."""

from __future__ import annotations

import math
import os
from pathlib import Path

from narrows.numerics.control_groups import control_groups

__all__ = ["usable_cpus"]


def usable_cpus() -> int:
    """Return how many CPUs the process may use: the size of its affinity, limited by its control groups.

    A fraction of a CPU is rounded up.
    """
    n_cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([n_cpus, *(math.ceil(quota) for quota in _quotas())]))


def _quotas() -> list[float]:
    """Return the quotas, in CPUs, of the process's control groups and of the groups that contain them."""
    of_version = {1: _quota_of_version_1, 2: _quota_of_version_2}
    found = [of_version[version](group) for version, group in control_groups("cpu")]
    return [quota for quota in found if quota is not None]


def _quota_of_version_2(group: Path) -> float | None:
    quota, _, period = _read(group / "cpu.max").partition(" ")
    return _ratio(quota, period)


def _quota_of_version_1(group: Path) -> float | None:
    return _ratio(_read(group / "cpu.cfs_quota_us"), _read(group / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    """Return a quota in CPUs; None if there is none: the file contains 'max' or -1, or does not exist."""
    try:
        return int(quota) / int(period) if int(quota) > 0 and int(period) > 0 else None
    except ValueError:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
