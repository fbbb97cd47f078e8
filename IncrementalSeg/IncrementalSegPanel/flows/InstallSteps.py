"""The steps of one installation: what each runs, and whether it has really brought what it should."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from IncrementalSegPanel.environment.Environment import SLICERS_OWN, TORCH, EnvironmentReport, fits
from IncrementalSegPanel.environment.Machine import Machine
from IncrementalSegPanel.environment.Torch import Way, ways
from IncrementalSegPanel.Protocols import InstallerProtocol
from IncrementalSegPanel.Translation import _

Done = Callable[[int], None]

_MODULES = {"scikit-image": "skimage"}
"""Modules that are not called like their packages."""


class InstallSteps:
    """Install PyTorch and the other libraries.

    Args:
        installer: Runs and looks.
        machine: The computer.
        report: What is missing.
        constraints: Writes the file of versions that must not change now, and returns its path.
        packages: Returns the version of every package.
        log: Receives lines.

    Attributes:
        said: Lines of the step that runs.
        cancelled: No further step is begun.
    """

    def __init__(
        self,
        installer: InstallerProtocol,
        machine: Machine,
        report: EnvironmentReport,
        constraints: Callable[[], Path],
        packages: Callable[[], dict[str, str]],
        log: Callable[[str], None],
    ) -> None:
        self._installer, self._machine, self._report = installer, machine, report
        self._constraints, self._packages, self._log = constraints, packages, log
        self._before = self._packages()
        self.said: list[str] = []
        self.cancelled = False

    def installTorch(self, done: Done) -> None:
        """Try the ways to PyTorch until one has really brought it: a program that ends well may have done nothing."""
        self._try(ways(self._machine, self._constraints()), done)

    def install(self, wanted: list[str], done: Done, bringsTorch: bool = False) -> None:
        """Install libraries; PyTorch stays the build that it is, unless it comes with them.

        Args:
            wanted: Requirements and options of pip.
            done: Receives 0 where everything is there afterwards.
            bringsTorch: Whether PyTorch is among them.
        """
        modules = [_MODULES.get(one.name, one.name.replace("-", "_")) for one in self._report.packages]
        arguments = ["install", *wanted, "--constraint", str(self._constraints())]
        known = None if bringsTorch else self._packages().get("torch")

        def ran(code: int) -> None:
            if code != 0 or self.cancelled:
                done(code)
            elif known is not None and self._packages().get("torch") != known:
                self._log(_("PyTorch {version} was replaced by another build.").format(version=known))
                done(1)
            else:
                self._verify(["torch", *modules], done)

        self._installer.run("pip", arguments, self._log, ran)

    def _try(self, left: list[Way], done: Done) -> None:
        (module, arguments), *others = left

        def ran(code: int) -> None:
            if code == 0 and not self.cancelled:
                self._verify(["torch"], looked)
            else:
                looked(code)

        def looked(code: int) -> None:
            another = module != "pip" or any("No matching distribution" in line for line in self.said)
            if code != 0 and others and another and not self.cancelled:
                self.said = []
                self._try(others, done)
            else:
                done(code)

        self._installer.run(module, arguments, self._log, ran)

    def _verify(self, modules: list[str], done: Done) -> None:
        """Look for modules, and that Slicer's own packages were left alone."""

        def looked(there: dict[str, str], why: str) -> None:
            self._log(why)
            now = self._packages()
            own = [name for name in sorted(SLICERS_OWN) if now.get(name) != self._before.get(name)]
            if own:
                self._log(_("Slicer's own packages were changed: {names}.").format(names=", ".join(own)))
            lacking = [name for name in modules if name not in there or (name == "torch" and not fits(TORCH, now))]
            if lacking:
                self._log(_("After this step these cannot be used: {names}.").format(names=", ".join(lacking)))
            done(1 if own or lacking else 0)

        self._installer.look(modules, looked)
