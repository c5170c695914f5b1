"""``python -m narrows`` is the command ``narrows``."""

import os
import sys


def main() -> None:
    """Call the command line; Ctrl-C during the imports ends it with the same message as later.

    This process is ours, so training may set the C library to keep freed memory; see `narrows.training.memory`.
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
