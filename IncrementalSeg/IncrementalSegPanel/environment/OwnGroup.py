"""Run a module of Python as the head of a group of processes; a script, so that all of them can be ended together.

``python OwnGroup.py MODULE ARGUMENT ...`` says its process id on the first line. On Windows the tree below this id
is ended instead of a group.
"""

import os
import runpy
import sys


def main(module: str, arguments: list[str]) -> None:
    """Run a module as ``python -m`` does.

    Args:
        module: Name of the module.
        arguments: What it finds in ``sys.argv``.
    """
    if hasattr(os, "setsid"):
        os.setsid()
    sys.path.pop(0)  # the folder of this file
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
