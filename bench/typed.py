"""Commands of narrows as they are typed, in a folder for models and indexes, with their CPU seconds and memory."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Commands do not share the memory of this process when they start, or its peak would count as theirs.
subprocess._USE_VFORK = False


class Folder:
    """A folder in which commands are run, unless their output is there; which they are is kept.

    Parameters
    ----------
    path : Path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commands: list[str] = []

    def made(self, output: str, command: str) -> Path:
        """Return the path of an output of `narrows COMMAND -o OUTPUT`."""
        full = f"{command} -o {output}"
        self.commands.append(f"narrows {full}")
        if not (self.path / output).exists():
            self.run(full)
        return self.path / output

    def run(self, command: str) -> dict[str, float]:
        """Run `narrows COMMAND`, and return its CPU seconds and the most memory that it had."""
        surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        arguments = [sys.executable, "-m", "narrows", *shlex.split(command)]
        process = subprocess.Popen(arguments, cwd=self.path, env=surroundings, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"narrows {command} ended with {os.waitstatus_to_exitcode(status)}")
        return {"cpu_s": used.ru_utime + used.ru_stime, "peak_mib": used.ru_maxrss / 1024}
