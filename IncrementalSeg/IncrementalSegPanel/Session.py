"""What the panel knows and does, without a widget: flows change it, pages show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from IncrementalSegLib.errors import IncrementalSegError, explain
from IncrementalSegLib.jobs import events
from IncrementalSegLib.jobs.client import Job
from IncrementalSegLib.jobs.events import Event, Failed
from IncrementalSegLib.types import Json
from IncrementalSegPanel.Failure import Failure, Mend
from IncrementalSegPanel.flows.Comparing import Comparing
from IncrementalSegPanel.flows.Installing import Installing
from IncrementalSegPanel.flows.Opening import Opening
from IncrementalSegPanel.flows.Reviewing import Reviewing
from IncrementalSegPanel.flows.Segmenting import Segmenting
from IncrementalSegPanel.flows.Teaching import Teaching
from IncrementalSegPanel.Seams import Later, Places, Settings, Worker
from IncrementalSegPanel.State import State, allowed

if TYPE_CHECKING:
    from IncrementalSegPanel.scene.SceneBridge import SceneBridge


class Session:
    """One panel's model, work and state.

    Args:
        worker: The process that computes.
        bridge: The only writer to the scene.
        settings: What is remembered between two starts.
        places: Folders.
        later: Does something soon.

    Attributes:
        state: What the panel is doing.
        parameters: The panel's parameter node (see ``Parameters``), or ``None`` while there is no scene.
        failure: What went wrong last, until it is dismissed or something new is begun.
        warnings: What a person should know about what is shown now.
        device: What the worker computes on, one sentence; empty while unknown.
        installing, opening, segmenting, teaching, comparing, reviewing: The flows.
    """

    def __init__(self, worker: Worker, bridge: SceneBridge, settings: Settings, places: Places, later: Later) -> None:
        self.worker, self.bridge, self.settings, self.places, self.later = worker, bridge, settings, places, later
        self.state = State.NO_MODEL
        self.parameters: Any = None
        self.failure: Failure | None = None
        self.warnings: list[str] = []
        self.device = ""
        self._listeners: list[Callable[[], None]] = []
        self.installing = Installing(self)
        self.opening = Opening(self)
        self.segmenting = Segmenting(self)
        self.teaching = Teaching(self)
        self.comparing = Comparing(self)
        self.reviewing = Reviewing(self)

    def close(self) -> None:
        """Let go of the scene, and of what is not begun yet; a step that runs is paused when the worker ends."""
        self.teaching.leave()
        self.segmenting.forget()
        self.bridge.endScene()

    def listen(self, listener: Callable[[], None]) -> None:
        """Call the listener whenever something that is shown may have changed."""
        self._listeners.append(listener)

    def changed(self) -> None:
        """Tell all listeners."""
        for listener in self._listeners:
            listener()

    def go(self, state: State) -> None:
        """Go to another state; what was said about the one before is cleared.

        Raises:
            ValueError: No way leads there from here; a fault of the program.
        """
        if not allowed(self.state, state):
            raise ValueError(f"No way leads from {self.state.name} to {state.name}.")
        if self.state is State.DONE and state is not State.DONE:
            self.segmenting.forget()
        if state is not self.state:
            self.failure, self.warnings = None, []
        self.state = state
        self.changed()

    def may(self, state: State) -> bool:
        """Return whether a way leads there; a click may come late, when its page has gone already."""
        return allowed(self.state, state)

    def home(self) -> None:
        """Go to the state to begin from: ready, or no model."""
        self.go(State.NO_MODEL if self.opening.card is None else State.READY)

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
            self.installing.require()
            return self.worker.submit(verb, arguments, listen, expected)
        except IncrementalSegError as error:
            (failed or self.fail)(Failed.of(None, error))
            self.changed()
            return None

    def fail(self, error: Failed | BaseException, mend: Mend | None = None) -> None:
        """Show what went wrong; where libraries are missing, the button installs them."""
        self.failure = Failure.of(error, mend or self.installing.mend)
        self.changed()

    def warn(self, text: str) -> None:
        """Show a sentence beside what is done."""
        if text not in self.warnings:
            self.warnings.append(text)
        self.changed()

    def dismiss(self) -> None:
        """Show the failure no longer."""
        self.failure = None
        self.changed()
