"""``python -m narrows`` is the command ``narrows``."""

import os
import sys


def main() -> None:
    """Call the command line; an interruption while it is still being imported is said as any other is.

    This process is ours, so that training may tell the C library to keep its memory; see `narrows.training.memory`.
    """
    os.environ.setdefault("NARROWS_KEEP_MEMORY", "1")
    try:
        from narrows.cli import main as call

        call()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
