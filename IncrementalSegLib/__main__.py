"""``python -m IncrementalSegLib`` is the command ``incrementalseg``."""

from IncrementalSegLib.cli.app import main

main()
