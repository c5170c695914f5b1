"""``python -m narrows`` is the command ``narrows``."""

import sys


def main() -> None:
    """Call the command line; an interruption while it is still being imported is said as any other is."""
    try:
        from narrows.cli import main as call

        call()
    except KeyboardInterrupt:
        sys.stderr.write("Interrupted.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
