"""The command ``incrementalseg``, also as ``python -m IncrementalSegLib``."""

import sys


def main() -> None:
    """Run the command line; Ctrl+C before it is loaded ends it without a traceback."""
    try:
        from IncrementalSegLib.cli.app import main as run
    except KeyboardInterrupt:
        sys.stderr.write("Cancelled.\n")
        raise SystemExit(130) from None
    run()


if __name__ == "__main__":
    main()
