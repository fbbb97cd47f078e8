"""Teach a structure: collect examples, summarise the step, learn; this flow leads from one to the next."""

from __future__ import annotations

from collections.abc import Callable

from IncrementalSegLib.types import Json
from IncrementalSegPanel.flows.Collecting import Collecting
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.Learning import Learning
from IncrementalSegPanel.flows.Summary import Summary
from IncrementalSegPanel.State import State


class Teaching:
    """The way from a name to a candidate.

    Args:
        context: Whose model is taught.
        compare: Shows a version with what ``learn`` answered.

    Attributes:
        collecting: The name, and the examples that show it.
        summary: What it will take, and how it is done.
        learning: What happens while the worker learns.
    """

    def __init__(self, context: Context, compare: Callable[[int, Json], None]) -> None:
        self._context = context
        self.collecting = Collecting(context)
        self.summary = Summary(context, self.toExamples)
        self.learning = Learning(context, self.summary, self.teach, compare)

    def begin(self, name: str = "", improve: bool = False, first: str = "") -> None:
        """Begin to collect examples.

        Args:
            name: Of the structure, where it is clear already.
            improve: It is known, and is to be improved.
            first: Id of the segmentation that is listed first.
        """
        if self._context.may(State.COLLECTING):
            self._context.go(State.COLLECTING)
            self.collecting.begin(name, improve, first)

    def toSummary(self) -> None:
        """Go on to the summary with the examples that are chosen."""
        if self._context.state is not State.COLLECTING or self.collecting.obstacle:
            return
        task = self.collecting.task()
        self.collecting.rest()
        self._context.go(State.SUMMARY)
        self.summary.prepare(task, self.collecting.chosen)

    def toExamples(self) -> None:
        """Go back from the summary and choose others."""
        if self._context.state is State.SUMMARY:
            self.summary.leave()
            self._context.go(State.COLLECTING)
            self.collecting.look()

    def teach(self) -> None:
        """Learn, as soon as the worker has stopped to measure it."""
        if self._context.state is State.SUMMARY and self._context.refresh():
            self.summary.start(self.learning.start)

    def leave(self) -> None:
        """Give up what is not begun yet and go back to the beginning."""
        if self._context.state in (State.COLLECTING, State.SUMMARY):
            self.collecting.leave()
            self.summary.leave()
            self._context.home()

    def beginScene(self) -> None:
        """Look at the scene that is there now, where examples of another one were shown."""
        if self._context.state is State.COLLECTING:
            self.collecting.refresh()

    @property
    def canRepeat(self) -> bool:
        """Whether the examples of the last step are still known, so that it can be done again in another way."""
        return self.learning.task is not None

    def again(self, longer: bool = True) -> None:
        """Go back to the summary of the last step; ``longer``: with twice the learning steps."""
        learning = self.learning
        assert learning.task is not None, "ask canRepeat first"
        if longer and learning.planned:
            options = learning.stepOptions
            options.settings = options.settings.changed({"steps": 2 * learning.planned})
        self._context.go(State.SUMMARY)
        self.summary.reopen(learning.task, learning.stepOptions)

    def resume(self) -> None:
        """Resume the unfinished step of the open model."""
        self.learning.resume()
