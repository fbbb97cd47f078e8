"""Installing into Slicer's Python: nothing here waits, and nothing here decides; see ``flows.Installing``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from subprocess import CalledProcessError

import slicer

from IncrementalSegPanel.environment.Machine import GPU_QUERY, Gpu, Machine
from IncrementalSegPanel.environment.Probe import Probe
from IncrementalSegPanel.WorkerProcess import environment, python

_GPU_SECONDS = 20
_CHECK_SECONDS = 300
"""The first import of PyTorch from a slow disk takes minutes."""

Log = Callable[[str], None]
Done = Callable[[int], None]


class Installer:
    """What is asked of Slicer, of the PyTorch extension and of the system.

    Every ``done`` receives an exit status, 0 for success, on the main thread; every ``log`` receives lines.
    """

    def __init__(self) -> None:
        self._probe: Probe | None = None

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

    def install(self, arguments: list[str], constraints: Path, log: Log, done: Done) -> None:
        """Let Slicer install packages.

        Args:
            arguments: Requirements and options of pip.
            constraints: File of versions that must not change.
            log: Receives what pip says.
            done: Receives how it ended.
        """
        import slicer.packaging

        try:
            slicer.packaging.pip_install(
                arguments,
                constraints=constraints,
                blocking=False,
                show_progress=False,
                logCallback=log,
                completedCallback=done,
            )
        except CalledProcessError as error:  # in testing mode Slicer waits, and calls nobody back
            done(error.returncode)
        else:
            if slicer.app.testingEnabled():
                done(0)

    def installTorch(self, requirement: str, constraints: Path, log: Log, done: Done) -> None:
        """Install PyTorch as the PyTorch extension does, in the build that fits this computer.

        The extension's own ``installTorch`` holds Slicer until the download has ended and then loads PyTorch into it;
        the program that it runs, with its arguments, is run here while Slicer stays free.

        Args:
            requirement: Versions that will do, such as ``>=2.8``.
            constraints: File of versions that must not change.
            log: Receives what the installation says.
            done: Receives how it ended.
        """
        from PyTorchUtils import PyTorchUtilsLogic

        choice = getattr(PyTorchUtilsLogic, "_getPipInstallArguments", None)
        if choice is None:  # another version of the extension: better slow than not at all
            PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=requirement)
            done(0)
            return
        arguments = choice(torchVersionRequirement=requirement)

        def lightTheTorch(code: int) -> None:
            if code != 0:
                done(code)
                return
            slicer.util.executePythonModule(
                "light_the_torch",
                [*arguments, "--constraint", str(constraints)],
                blocking=False,
                logCallback=log,
                completedCallback=done,
            )

        self.install(["light-the-torch>=0.5"], constraints, log, lightTheTorch)

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

    def openExtensionsManager(self) -> None:
        """Show Slicer's Extensions Manager."""
        slicer.app.openExtensionsManagerDialog()
