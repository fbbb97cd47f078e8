"""Installing into Slicer's Python: nothing here waits, and nothing here decides; see ``flows.Installing``."""

from __future__ import annotations

import json
from collections.abc import Callable, Container

import slicer
import slicer.packaging

from IncrementalSegPanel.environment.Command import Command
from IncrementalSegPanel.environment.Leftovers import discard
from IncrementalSegPanel.environment.Machine import GPU_QUERY, Gpu, Machine
from IncrementalSegPanel.environment.Probe import FAILED, Probe
from IncrementalSegPanel.Translation import _
from IncrementalSegPanel.WorkerProcess import environment, python

_GPU_SECONDS = 20
_CHECK_SECONDS = 300
"""The first import of PyTorch from a slow disk takes minutes."""

_LOOK = """
import importlib, json, sys
there, why = {}, []
for name in sys.argv[1:]:
    try:
        there[name] = str(getattr(importlib.import_module(name), "__version__", ""))
    except BaseException as error:
        why.append(f"{name}: {type(error).__name__}: {error}")
sys.stdout.write(json.dumps({"there": there, "why": "\\n".join(why)}))
"""
"""A child process that tries which modules can be imported."""

Log = Callable[[str], None]
Done = Callable[[int], None]


class Installer:
    """Questions to Slicer's Python and to the system.

    Every ``done`` receives an exit status, 0 for success, on the main thread; every ``log`` receives lines.
    """

    def __init__(self) -> None:
        self._probe: Probe | None = None
        self._command: Command | None = None

    def machine(self) -> Machine:
        """Look at this computer."""
        return Machine.here()

    def findGpus(self, done: Callable[[tuple[Gpu, ...]], None]) -> None:
        """Ask the NVIDIA driver for its cards; there are none where there is no driver."""
        self._probe = Probe(
            "nvidia-smi",
            GPU_QUERY,
            lambda code, output, _errors: done(Gpu.read(output) if code == 0 else ()),
            _GPU_SECONDS,
        )

    def run(self, module: str, arguments: list[str], log: Log, done: Done) -> None:
        """Run a module of Slicer's Python that installs, while Slicer stays free.

        Slicer's own ``pip_install`` cannot be ended; it is asked whether another extension installs just now.

        Args:
            module: ``pip`` or ``light_the_torch``.
            arguments: Its arguments.
            log: Receives what it says.
            done: Receives how it ended.
        """
        if slicer.packaging.isPipInstallInProgress():
            log(_("Another extension is installing packages; wait until it is done."))
            done(FAILED)
            return
        self._command = Command(module, arguments, log, done)

    def look(self, modules: list[str], done: Callable[[dict[str, str], str], None]) -> None:
        """Look in a child process which modules can really be imported.

        Args:
            modules: Their names.
            done: Receives the version of each that is there, and why others are not.
        """

        def looked(code: int, output: str, errors: str) -> None:
            lines = output.strip().splitlines()
            found = json.loads(lines[-1]) if code == 0 and lines else {"there": {}, "why": errors}
            done(found["there"], found["why"])

        self._probe = Probe(python(), ("-c", _LOOK, *modules), looked, _CHECK_SECONDS, environment())

    def discard(self, names: Container[str]) -> list[str]:
        """Remove what an installation that was ended half-way has left of these packages."""
        return discard(names)

    def cancel(self) -> None:
        """End what is being run, with everything that it has started."""
        for running in (self._command, self._probe):
            if running is not None:
                running.cancel()

    def check(self, done: Callable[[int, str, str], None]) -> None:
        """Let a child process import everything and compute something.

        Args:
            done: Receives the exit status, what ``incrementalseg doctor --json`` prints, and errors.
        """
        arguments = ("-m", "IncrementalSegLib", "doctor", "--json")
        self._probe = Probe(python(), arguments, done, _CHECK_SECONDS, environment())

    def restart(self) -> None:
        """Start Slicer again, after it has offered to save the scene; nothing happens if that is cancelled."""
        unsaved = slicer.util.mainWindow() is not None and slicer.mrmlScene.GetStorableNodesModifiedSinceRead()
        if not unsaved or slicer.app.ioManager().openSaveDataDialog():
            slicer.util.restart()
