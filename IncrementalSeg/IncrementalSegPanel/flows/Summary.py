"""The summary before a step begins: what it takes, what is kept, and how it is done; nothing is taught yet."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from IncrementalSegLib.types import Json
from IncrementalSegLib.wire.events import Event, Failed, Progressed
from IncrementalSegPanel.Failure import Failure, Remedy
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.StepOptions import StepOptions
from IncrementalSegPanel.flows.TeachingTask import TeachingTask
from IncrementalSegPanel.flows.WorkerRequest import WorkerRequest
from IncrementalSegPanel.Translation import _
from IncrementalSegPanel.Wording import duration


class Summary:
    """Time, memory and disk of a step.

    Args:
        context: Whose model is taught.
        toExamples: Goes back and lets others be chosen.

    Attributes:
        task: The teaching task, or ``None`` while there is none.
        stepOptions: How it is done.
        methods: The catalogue of the worker: name, summary, output, needs, retains, guarantees, schema.
        settings: The JSON schema of the settings that every method shares.
        advice: Which method suits and why, once the worker has looked.
        estimate: What it takes, once the worker has measured it.
        outdated: Whether the options have changed since.
        doing: What is being done now, for people; empty while nothing is.
        fraction: Share of it.
        starting: Whether the step begins as soon as the worker is free.
        givesUp: Whether a step of this model that is unfinished may be given up.
    """

    task: TeachingTask | None
    advice: Json | None
    estimate: Json | None

    def __init__(self, context: Context, toExamples: Callable[[], None]) -> None:
        self._context, self._toExamples = context, toExamples
        self._request = WorkerRequest(context)
        self._export: Any = None
        self._folder = Path()
        self.methods: list[Json] = []
        self.settings: Json = {}
        self._forget()

    @property
    def choices(self) -> list[Json]:
        """The methods that the open model can be taught with."""
        model = self._context.model
        return [item for item in self.methods if model is None or item["output"] in model.outputs]

    @property
    def method(self) -> str | None:
        """The method that a person chose, else the recommended one; ``None`` while unknown."""
        return self.stepOptions.method or (self.advice or {}).get("method")

    @property
    def isFirst(self) -> bool:
        """Whether the model learns its first structure, which decides its network and size."""
        return self._context.model is None

    @property
    def obstacle(self) -> str:
        """Why it cannot begin yet; empty where it can."""
        if self.starting:
            return _("It begins in a moment.")
        if self.task is None or self.task.data is None:
            return _("The examples are still being written.")
        if self.doing and self._request.verb == "check":
            return _("The examples are still being checked.")
        if self.advice is not None and self.method is None:
            return _("A model of their own is advised for these scans; to teach them to this one, choose a method.")
        if self._context.unfinished and not self.givesUp:
            return _("A step of this model is unfinished: press “Resume”, or tick “Discard it and start again”.")
        faults = [*self.stepOptions.settings.faults.values(), *self.stepOptions.options.faults.values()]
        return _("Correct this first: {}").format(faults[0]) if faults else ""

    @property
    def sentences(self) -> list[str]:
        """The summary, in sentences."""
        return [item for item in (self._cost(), self._kept(), _("Nothing leaves this computer.")) if item]

    @property
    def scans(self) -> Path | None:
        """The folder of the scans that judge later steps, once it is there."""
        return None if self.task is None or self.task.data is None else _folderOf(self.task.data)

    @property
    def reasons(self) -> list[str]:
        """Why this method is recommended, and what speaks against it."""
        return [] if self.advice is None else [*self.advice["reasons"], *self.advice["cautions"]]

    def prepare(self, task: TeachingTask, examples: Sequence[Any]) -> None:
        """Write the examples of the scene, unless they lie on the disk; then ask what it takes to learn from them."""
        self._forget()
        self.task = task
        if task.data is not None:
            self._askAll()
            return
        self._say(_("Writing the examples"))
        assert self._context.folder is not None
        self._folder = self._context.folders.newScans(self._context.folder, task.name)
        self._export = self._context.bridge.exportExamples(examples, task.label, self._folder, self._context.defer)
        self._export.listen(lambda: self._written(self._export))

    def reopen(self, task: TeachingTask, stepOptions: StepOptions) -> None:
        """Summarise a step again that was done."""
        self._forget()
        self.task, self.stepOptions = task, stepOptions
        self._askAll()

    def showAgain(self, task: TeachingTask, stepOptions: StepOptions, givesUp: bool) -> None:
        """Show the summary of a step that was begun and has not come to its end; nothing is asked again."""
        self.task, self.stepOptions, self.givesUp = task, stepOptions, givesUp
        self._context.changed()

    def setMethod(self, name: str | None) -> None:
        """Choose a method; ``None``: the recommended one."""
        self.stepOptions.chooseMethod(name)
        self.changed()

    def changed(self) -> None:
        """Take note that the options have changed."""
        self.outdated = self.estimate is not None
        self._context.changed()

    def allowGivingUp(self, allowed: bool) -> None:
        """Say whether the unfinished step of this model may be given up."""
        self.givesUp = allowed
        self._context.changed()

    def measure(self) -> None:
        """Ask again what it takes."""
        if self.task is not None:
            self._request.giveUp(self._askEstimate)

    def start(self, then: Callable[[TeachingTask, StepOptions, bool], None]) -> None:
        """Begin, as soon as the worker has stopped what it does."""
        if self.obstacle:
            return
        self.starting = True
        self._context.changed()
        self._request.giveUp(lambda: self._begin(then))

    def keepScans(self) -> None:
        """Leave the scans that were written where they are: a version or a checkpoint needs them now."""
        self._export = None

    def leave(self) -> None:
        """Give up; what was written of the scans is removed, unless something was taught with it."""
        if self._export is not None:
            self._export.cancel()
            if self._export.path is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            with suppress(OSError):  # others may lie there
                self._folder.parent.rmdir()
        self._request.giveUp()
        self._forget()

    def _forget(self) -> None:
        self.task = None
        self.stepOptions = StepOptions()
        self.advice = self.estimate = None
        self.outdated, self.starting, self.givesUp = False, False, False
        self.doing, self.fraction = "", 0.0
        self._export = None

    def _begin(self, then: Callable[[TeachingTask, StepOptions, bool], None]) -> None:
        assert self.task is not None
        self._say("")
        self.starting = False
        then(self.task, replace(self.stepOptions, method=self.method), self.givesUp)

    def _written(self, export: Any) -> None:
        """Take note of how far the examples are written."""
        if export is None or export is not self._export or self.task is None:
            return
        self.fraction = export.progress
        if export.error is not None:
            self._refuse(Failure.of(export.error))
        elif export.path is not None:
            self.task = replace(self.task, data=Path(export.path))
            self._askAll()
        self._context.changed()

    def _askAll(self) -> None:
        """Ask the worker in turn: are the scans good, which methods are there, which suits, what does it take."""
        self._say(_("Checking the examples"))
        assert self.task is not None
        self._request.ask("check", {"data": str(self.task.data)}, self._checked, self._failed, self._progressed)

    def _checked(self, result: Json) -> None:
        assert self.task is not None
        asked = [item for item in result["cases"] if not self.task.cases or item["case"] in self.task.cases]
        good = tuple(item["case"] for item in asked if item["verdict"] != "refused")
        bad = [f"{item['case']}: {item['message']}" for item in asked if item["verdict"] == "refused"]
        if not good:
            what = _("None of the {} scans can be used for teaching.").format(len(asked))
            self._refuse(Failure(what, bad[0] if bad else "", _("Choose others.")))
            return
        for line in bad:
            self._context.warn(_("Left out: {}").format(line))
        if bad or self.task.cases:
            self.task = replace(self.task, cases=good)
        if self.methods:
            self._askAdvice()
        else:
            self._request.ask("methods", {}, self._listed, self._failed)

    def _listed(self, result: Json) -> None:
        self.methods, self.settings = result["methods"], result["settings"]
        self._askAdvice()

    def _askAdvice(self) -> None:
        self._say(_("Choosing a method"))
        wanted = self._arguments() | {"exemplars": self.stepOptions.exemplars}
        wanted.pop("improve", None)
        self._request.ask("advise", wanted, self._advised, self._failed, self._progressed)

    def _advised(self, result: Json) -> None:
        self.advice = result
        if self.method is None:
            self._say("")
        else:
            self._askEstimate()

    def _askEstimate(self) -> None:
        assert self.task is not None
        self._say(_("Measuring how long it takes"))
        wanted = self._arguments() | self.stepOptions.arguments(self.method)
        self._request.ask("estimate", wanted, self._estimated, self._failed, self._progressed)

    def _estimated(self, result: Json) -> None:
        self.estimate, self.outdated = result, False
        self._say("")

    def _arguments(self) -> Json:
        assert self.task is not None
        assert self._context.folder is not None
        return self.task.arguments(self._context.folder, self._context.folders.temporary)

    def _progressed(self, event: Event) -> None:
        if isinstance(event, Progressed):
            self.fraction = event.fraction

    def _failed(self, failed: Failed) -> None:
        self._say("")
        self._context.fail(failed, Remedy(_("Choose other examples"), self._toExamples))

    def _refuse(self, failure: Failure) -> None:
        """Say before anything begins that these examples cannot teach."""
        self._toExamples()
        self._context.failure = failure
        self._context.changed()

    def _say(self, doing: str) -> None:
        self.doing, self.fraction = doing, 0.0
        self._context.changed()

    def _cost(self) -> str:
        found = self.estimate
        if found is None:
            return ""
        time = duration(60 * found["minutes"])
        if self.outdated:
            return _("Before the change: {} on {}.").format(time, found["device"])
        if found["memory_mb"] is None:
            return _("At most {} on {}.").format(time, found["device"])
        memory = f"{found['memory_mb'] / 1000:.1f}"
        return _("At most {} on {} (peak {} GB).").format(time, found["device"], memory)

    def _kept(self) -> str:
        model = self._context.model
        if model is None or not model.heads:
            return _("It is the first structure of this model.")
        count = len(model.heads) - (self.task is not None and self.task.improve)
        if not count:
            return ""
        chosen = next((item for item in self.choices if item["name"] == self.method), None)
        if chosen is not None and not chosen["retains"]:
            return _("Does not protect the older structures: {} is for comparison only.").format(self.method)
        if chosen is not None and chosen["guarantees"]:
            one = _("The older structure stays exactly as it is.")
            return one if count == 1 else _("The {} older structures stay exactly as they are.").format(count)
        return _("Keeps {} structures.").format(count) if count != 1 else _("Keeps 1 structure.")


def _folderOf(data: Path) -> Path:
    """Return the folder of a data set that was written."""
    return data if data.is_dir() else data.parent
