"""The context of every flow: worker, scene, folders, the open model, and what the panel shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from IncrementalSegLib.errors import IncrementalSegError, MissingNeedError, explain
from IncrementalSegLib.store.reader import ModelReader
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire import events
from IncrementalSegLib.wire.client import Job
from IncrementalSegLib.wire.events import Event, Failed
from IncrementalSegPanel.Failure import Failure, Remedy
from IncrementalSegPanel.flows.OpenModel import OpenModel, UnfinishedStep
from IncrementalSegPanel.flows.Recent import Recent
from IncrementalSegPanel.Folders import Folders
from IncrementalSegPanel.Protocols import Bridge, Defer, Environment, Settings, WorkerProtocol
from IncrementalSegPanel.State import State, allowed
from IncrementalSegPanel.Translation import _


class Context:
    """One panel's model, work and state, and its surroundings.

    Args:
        worker: The process that computes.
        bridge: The only writer to the scene.
        settings: Settings that last from one start to the next.
        folders: Folders.
        defer: Does something soon.

    Attributes:
        state: What the panel is doing.
        parameters: The panel's parameter node (see ``Parameters``), or ``None`` while there is no scene.
        folder: Folder of the open model, also of a new one that the first step will make; ``None`` while none is open.
        model: What is known of the open model; ``None`` also while it has no version in use.
        recent: The models opened before.
        failure: What went wrong last, until it is dismissed or something new is begun.
        warnings: What a person should know about what is shown now.
        device: What the worker computes on, one sentence; empty while unknown.
        environment: Knows whether the worker can compute; ``None`` where nobody looks.
    """

    def __init__(
        self, worker: WorkerProtocol, bridge: Bridge, settings: Settings, folders: Folders, defer: Defer
    ) -> None:
        self.worker, self.bridge, self.settings, self.folders, self.defer = worker, bridge, settings, folders, defer
        self.state = State.NO_MODEL
        self.parameters: Any = None
        self.folder: Path | None = None
        self.model: OpenModel | None = None
        self.recent = Recent(settings)
        self.failure: Failure | None = None
        self.warnings: list[str] = []
        self.device = ""
        self.environment: Environment | None = None
        self._listeners: list[Callable[[], None]] = []
        self._leaving: dict[State, Callable[[], None]] = {}

    def listen(self, listener: Callable[[], None]) -> None:
        """Call the listener whenever something that is shown may have changed."""
        self._listeners.append(listener)

    def changed(self) -> None:
        """Tell all listeners."""
        for listener in self._listeners:
            listener()

    def onLeaving(self, state: State, act: Callable[[], None]) -> None:
        """Do something whenever a state is left."""
        self._leaving[state] = act

    def go(self, state: State) -> None:
        """Go to another state; what was said about the one before is cleared.

        Raises:
            ValueError: No way leads there from here; a fault of the program.
        """
        if not allowed(self.state, state):
            raise ValueError(f"No way leads from {self.state.name} to {state.name}.")
        if state is not self.state:
            if self.state in self._leaving:
                self._leaving[self.state]()
            self.failure, self.warnings = None, []
        self.state = state
        self.changed()

    def may(self, state: State) -> bool:
        """Return whether a way leads there; a click may come late, when its page has gone already."""
        return allowed(self.state, state)

    def home(self) -> None:
        """Go to the state to begin from: ready, or no model."""
        self.go(State.NO_MODEL if self.model is None else State.READY)

    def refresh(self) -> bool:
        """Read the open model again after it was changed; what cannot be read is said, and what was known stays.

        Returns:
            Whether the model is as is known.
        """
        if self.folder is None:
            return True
        try:  # a new model can be read only when its first version is in use
            known = self.model is not None or ModelReader(self.folder).current
            self.model = OpenModel.read(self.folder) if known else None
        except (IncrementalSegError, OSError) as error:
            self.fail(error)
            return False
        self.remember(self.folder)
        self.changed()
        return True

    @property
    def unfinished(self) -> UnfinishedStep | None:
        """The step of the open model that can be resumed, or ``None``."""
        if self.model is not None:
            return self.model.unfinished
        return None if self.folder is None else UnfinishedStep.read(self.folder)

    def remember(self, folder: Path) -> None:
        """Remember a model for the next start and with the scene."""
        self.recent.add(folder)
        if self.parameters is not None:
            self.parameters.modelFolder = str(folder)

    def ask(
        self,
        verb: str,
        arguments: Json,
        done: Callable[[Json], None],
        *,
        event: Callable[[Event], None] | None = None,
        failed: Callable[[Failed], None] | None = None,
        cancelled: Callable[[bool], None] | None = None,
        expected: Mapping[str, float] | None = None,
    ) -> Job | None:
        """Let the worker do something, and tell the listeners after each of its events.

        Args:
            verb: What to do (docs/wire.md).
            arguments: By name.
            done: Receives the result.
            event: Receives progress, metrics and previews.
            failed: Receives the failure; by default it is shown.
            cancelled: Receives whether what was done so far is kept.
            expected: Seconds that each part takes, where that was estimated.

        Returns:
            The job, or ``None`` where no worker could be started, which is shown.
        """

        def listen(found: Event) -> None:
            match found:
                case events.Finished():
                    try:
                        done(found.result)
                    except Exception as error:  # whatever it is, a person must hear of it
                        (failed or self.fail)(Failed.of(found.job, explain(error)))
                case events.Failed():
                    (failed or self.fail)(found)
                case events.Cancelled():
                    if cancelled is not None:
                        cancelled(found.kept)
                case events.Warned():
                    self.warn(found.text)
                case _:
                    if event is not None:
                        event(found)
            self.changed()

        try:
            if self._missing:
                raise MissingNeedError(_("Nothing can be computed yet."), self._missing)
            return self.worker.submit(verb, arguments, listen, expected)
        except IncrementalSegError as error:
            (failed or self.fail)(Failed.of(None, error))
            self.changed()
            return None

    def fail(self, error: Failed | BaseException, remedy: Remedy | None = None) -> None:
        """Show what went wrong; where libraries are missing, the button leads to them."""
        if remedy is None and self.environment is not None and self._missing:
            remedy = Remedy(_("Show what is missing"), self.environment.open)
        self.failure = Failure.of(error, remedy)
        self.changed()

    def warn(self, text: str) -> None:
        """Show a notice beside the current page."""
        if text not in self.warnings:
            self.warnings.append(text)
        self.changed()

    def dismiss(self) -> None:
        """Show the failure no longer."""
        self.failure = None
        self.changed()

    @property
    def _missing(self) -> str:
        return "" if self.environment is None else self.environment.obstacle
