"""Starts the stand-in: real MRML by slicer-core, with what Slicer's application adds to the package ``slicer``."""

import atexit
import functools
import os
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pytest

NEEDED = {"PySide6": "PySide6-Essentials", "slicer": "slicer-core", "vtk": "vtk"}
_ENUMS_ARE_NUMBERS = "0x02"  # PythonQt's enums are numbers; PySide reads this once, when it is imported


def missing():
    """Return what has to be installed before the stand-in can start."""
    return sorted(package for module, package in NEEDED.items() if find_spec(module) is None)


@functools.cache
def boot():
    """Prepare ``slicer``, ``qt`` and ``ctk``, once; where packages are missing, a test that imports them is skipped.

    Returns:
        The package ``slicer``, or None where packages are missing.
    """
    absent = missing()
    if absent:
        sys.meta_path.insert(0, _Skip(absent))
        return None
    folder = Path(tempfile.mkdtemp(prefix="standin-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    _offer_python_slicer(folder)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("PYSIDE6_OPTION_PYTHON_ENUM", _ENUMS_ARE_NUMBERS)
    import slicer
    import standin.qt as qt
    from standin.qt import binding

    binding.start()
    sys.modules["qt"] = qt
    from standin import application, scene

    scene.start(slicer, folder)
    application.start(slicer, folder)
    import standin.ctk as ctk

    sys.modules["ctk"] = ctk
    from standin import modules

    modules.start(slicer)
    return slicer


def _offer_python_slicer(folder):
    """Put a program PythonSlicer on the path that runs this Python, as Slicer does."""
    program = folder / "PythonSlicer"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


class _Skip:
    """Skips the test that imports what is not there."""

    def __init__(self, absent):
        self._absent = absent

    def find_spec(self, name, _path=None, _target=None):
        """Skip at the names that the stand-in would have given."""
        if name.partition(".")[0] in {"qt", "ctk", "slicer", "vtk"}:
            pytest.skip(f"not installed: {', '.join(self._absent)}", allow_module_level=True)
