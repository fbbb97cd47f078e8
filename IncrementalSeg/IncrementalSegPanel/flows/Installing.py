"""Making the worker able to run: look, install at the click, check, and say what has changed."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from IncrementalSegPanel.environment.Changes import Changes, installedPackages
from IncrementalSegPanel.environment.Environment import (
    BUILDS,
    TORCH,
    EnvironmentReport,
    constraints,
    examine,
    requirements,
)
from IncrementalSegPanel.environment.Machine import Machine
from IncrementalSegPanel.environment.PipErrors import explainPip
from IncrementalSegPanel.environment.Torch import builds
from IncrementalSegPanel.Failure import Failure, Remedy
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.InstallSteps import InstallSteps
from IncrementalSegPanel.Protocols import InstallerProtocol
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Translation import _

OPEN_AT_START = "IncrementalSeg/openAtStart"
"""Setting: whether Slicer shows the panel when it starts the next time."""

LOADED = sys.modules
"""Packages that Slicer has loaded."""

_ENVIRONMENT = (State.NOTHING_INSTALLED, State.RESTART_NEEDED, State.UNSUPPORTED)
_MOST_LINES = 2000

Step = tuple[str, Callable[[Callable[[int], None]], None]]


class Installing:
    """Content and actions of the environment page.

    Args:
        context: Whose worker needs the libraries.
        leave: Gives up what is not begun yet.

    Attributes:
        installer: What installs; given where the panel is put together, ``None`` where nothing is to be looked at.
        report: What was found when it was last looked.
        phase: What is being done, in words; empty while nothing runs.
        step: Its number and the number of all.
        lines: What pip said.
        changes: What the last installation changed.
        cancelled: Whether a person has cancelled what runs.
        stale: Packages whose former version stays in Slicer's memory until it starts again.
    """

    def __init__(self, context: Context, leave: Callable[[], None]) -> None:
        self._context, self._leave = context, leave
        context.environment = self
        self.installer: InstallerProtocol | None = None
        self.report: EnvironmentReport | None = None
        self.phase = ""
        self.step = (0, 0)
        self.lines: list[str] = []
        self.changes: Changes | None = None
        self.stale: list[str] = []
        self._machine: Machine | None = None
        self._steps: list[Step] = []
        self._before: dict[str, str] = {}
        self._again: Callable[[], None] = self.install
        self._skipped = False
        self.cancelled = False
        self._work: InstallSteps | None = None

    @property
    def obstacle(self) -> str:
        """Why the worker cannot compute, one sentence; empty where it can."""
        if self.report is None or self.report.state is State.READY:
            return ""
        return f"{self.report.title}."

    def look(self) -> None:
        """Look at what is there, and go to the environment page where something is missing."""
        if self.installer is None or self.phase or self._context.state is State.RESTART_NEEDED:
            return
        gpus = self._machine.gpus if self._machine is not None else None
        machine = self.installer.machine()
        self._judge(replace(machine, gpus=() if machine.system == "Darwin" else gpus))
        if self._computer.gpus is None and self._judged.torch:
            self.installer.findGpus(lambda found: self._judge(replace(self._computer, gpus=found)))

    def open(self) -> None:
        """Go to the environment page; for buttons of other pages that need the worker."""
        self._skipped = False
        if self._context.state not in _ENVIRONMENT and not self._context.state.busy:
            self._leave()
            self._context.home()
        self.look()

    def skip(self) -> None:
        """Go on without the libraries: models can be looked at."""
        self._skipped = True
        self._context.home()

    def install(self) -> None:
        """Download and install what is missing; PyTorch first, because others would bring a PyTorch of their own."""
        steps: list[Step] = []
        if self._judged.torch:
            steps.append((_("Installing PyTorch"), self._installTorch))
        if self._judged.packages:
            wanted = [str(one) for one in self._judged.packages]
            steps.append((_("Installing the other libraries"), lambda done: self._running.install(wanted, done)))
        self._start(steps, self.install)

    def installFromFolder(self, folder: Path) -> None:
        """Install everything from files in a folder, without a network."""
        arguments = ["--no-index", "--find-links", str(folder), *self._missing()]

        def install(done: Callable[[int], None]) -> None:
            self._running.install(arguments, done, bringsTorch=self._judged.torch)

        self._start([(_("Installing from the folder"), install)], lambda: self.installFromFolder(folder))

    def restart(self) -> None:
        """Start Slicer again, which then shows the panel by itself."""
        self._context.settings.setValue(OPEN_AT_START, True)
        self._tool.restart()

    def postpone(self) -> None:
        """Go on without starting Slicer again."""
        self._context.home()

    def cancel(self) -> None:
        """End the installation; what is there by then stays, and it can be begun again at any time."""
        if self.phase and not self.cancelled:
            self.cancelled = self._running.cancelled = True
            self._tool.cancel()
            self._context.changed()

    def downloadCommand(self) -> str:
        """Return the command that fills a folder of wheels on a computer with internet and the same Slicer."""
        build = builds(self._computer)[0]
        wanted = " ".join(f'"{one}"' for one in self._missing())
        return f"PythonSlicer -m pip download --dest wheels --extra-index-url {BUILDS}/{build} {wanted}"

    def _missing(self) -> list[str]:
        return [*([str(TORCH)] if self._judged.torch else []), *(str(one) for one in self._judged.packages)]

    @property
    def _tool(self) -> InstallerProtocol:
        assert self.installer is not None
        return self.installer

    @property
    def _computer(self) -> Machine:
        assert self._machine is not None, "look first"
        return self._machine

    @property
    def _judged(self) -> EnvironmentReport:
        assert self.report is not None, "look first"
        return self.report

    @property
    def _running(self) -> InstallSteps:
        assert self._work is not None, "nothing is being installed"
        return self._work

    def _judge(self, machine: Machine) -> None:
        self._machine = machine
        self.report = examine(machine, installedPackages())
        state, here = self.report.state, self._context.state
        if state is State.READY:
            if here in _ENVIRONMENT:
                self._context.home()
        elif here in _ENVIRONMENT or (here in (State.NO_MODEL, State.READY) and not self._skipped):
            self._context.go(state)
        self._context.changed()

    def _start(self, steps: list[Step], again: Callable[[], None]) -> None:
        if self.phase:
            return
        self._again = again
        self.cancelled = False
        self._tool.discard({canonicalize_name(one.name) for one in (TORCH, *requirements())})
        self._before = installedPackages()
        self._work = InstallSteps(
            self._tool, self._computer, self._judged, self._constraints, installedPackages, self._log
        )
        self._steps = [*steps, (_("Checking that everything works"), self._check)]
        self.step, self.lines = (0, len(self._steps)), []
        self._context.dismiss()
        self._next(0)

    def _next(self, code: int) -> None:
        """Do the next step, unless the last one has failed."""
        if self.cancelled:
            self._stopped()
            return
        if code != 0:
            self._failed()
            return
        if not self._steps:
            self._succeeded()
            return
        self.phase, act = self._steps.pop(0)
        self.step = (self.step[0] + 1, self.step[1])
        self._running.said = []
        self._context.changed()
        try:
            act(self._next)
        except Exception as error:  # whatever Slicer or the extension raises belongs on the page
            self._log(str(error))
            self._failed()

    def _installTorch(self, done: Callable[[int], None]) -> None:
        self._running.installTorch(done)

    def _check(self, done: Callable[[int], None]) -> None:
        def checked(code: int, output: str, errors: str) -> None:
            self._log(errors)
            found = _readDoctor(output) if code == 0 else {}
            broken = found.get("broken", {})
            for file, why in broken.items():
                self._log(f"{file}: {why}")
            self._context.device = found.get("device", "")
            done(0 if self._context.device and not broken else 1)

        self._tool.check(checked)

    def _succeeded(self) -> None:
        changes = self._finish()
        self.report = replace(self._judged, state=State.READY)
        self.stale = changes.loaded(LOADED)
        if self._context.state not in _ENVIRONMENT:  # a person has gone on to look at a model
            self._context.changed()
        elif self.stale:
            self._context.go(State.RESTART_NEEDED)
        else:
            self._context.home()

    def _stopped(self) -> None:
        self._discardUnfinished()
        self._finish()
        self.cancelled = False
        self._context.warn(_("The installation was cancelled. “Install” installs what is still missing."))
        self.look()

    def _discardUnfinished(self) -> None:
        after = installedPackages()
        self._tool.discard({name for name, version in after.items() if self._before.get(name) != version})

    def _failed(self) -> None:
        during = self.phase
        self._discardUnfinished()
        changes = self._finish()
        what = _("{phase} has failed.").format(phase=during)
        why, todo = explainPip(self._running.said)
        report = "\n".join([*self.lines[-200:], "", changes.describe(self._computer.python)])
        self._context.failure = Failure(what, why, todo, report, Remedy(_("Try again"), self._again))
        self._context.changed()

    def _finish(self) -> Changes:
        """Write down what has changed, and return it."""
        self.phase, self._steps = "", []
        self.changes = Changes.between(self._before, installedPackages())
        logging.getLogger(__name__).info("Installation: %s", self.changes.describe(self._computer.python))
        return self.changes

    def _constraints(self) -> Path:
        """Write what must not change now; a PyTorch of the step before is part of it."""
        path = self._context.folders.temporary / "constraints.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(constraints(installedPackages())) + "\n", encoding="utf-8")
        return path

    def _log(self, text: str) -> None:
        if self._work is not None:
            self._work.said += text.splitlines()
        self.lines = [*self.lines, *text.splitlines()][-_MOST_LINES:]
        self._context.changed()


def _readDoctor(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}
