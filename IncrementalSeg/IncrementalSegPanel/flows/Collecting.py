"""Collect examples: what the structure is called, and which outlines in the scene or on the disk show it."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from IncrementalSegLib.errors import IncrementalSegError, OptionError
from IncrementalSegLib.structures import check_name
from IncrementalSegLib.terminology import color_of, terminology_of
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire.events import Event, Failed, Progressed
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.Opening import works
from IncrementalSegPanel.flows.Rows import ScanRow, alike, uncorrected
from IncrementalSegPanel.flows.TeachingTask import Color, TeachingTask
from IncrementalSegPanel.flows.WorkerRequest import WorkerRequest
from IncrementalSegPanel.Translation import _

DESCRIPTIONS = ("dataset.json", "manifest.csv", "manifest.json")
"""A folder with one of these files is a data set."""

RECOMMENDED = 5
"""Examples; from so many on one is held out to measure the result and there is still something to learn from."""


class Collecting:
    """A name, and rows of scans of which some are ticked.

    Attributes:
        name: Of the structure.
        improve: The model knows it, and it is to be improved.
        terminology: Slicer's serialised terminology entry, or ``None``.
        color: Its colour.
        fromFolder: Whether the training scans are those of a data set on the disk, not those of the scene.
        source: The data set, or ``None``.
        labels: What the data set has outlines of.
        label: Which of them is the structure; empty while that is unclear.
        rows: The scans.
        fraction: Share of the data set that has been looked at, or ``None`` while none is.
    """

    terminology: str | None
    color: Color
    source: Path | None
    labels: tuple[str, ...]
    rows: list[ScanRow]
    fraction: float | None

    def __init__(self, context: Context) -> None:
        self._context = context
        self._request = WorkerRequest(context)
        self._pictures = 0
        self._forget()

    def begin(self, name: str = "", improve: bool = False, first: str = "") -> None:
        """Begin anew with what the scene holds; ``first``: id of the segmentation that is listed first."""
        self._request.giveUp()
        self._forget()
        self.improve, self._first = improve, first
        self.setName(name)
        self.refresh()

    def leave(self) -> None:
        """Look at nothing any more."""
        self._request.giveUp()
        self._forget()

    @property
    def known(self) -> str:
        """The model's own name of the structure; empty where it does not know it."""
        heads = () if self._context.model is None else self._context.model.heads
        return next((head.name for head in heads if alike(head.name, self.name)), "")

    @property
    def chosen(self) -> tuple[Any, ...]:
        """The outlines of the scene that are chosen for training."""
        return tuple(row.example for row in self.rows if row.ticked and row.example is not None)

    @property
    def count(self) -> int:
        """The number of training scans."""
        return sum(row.ticked for row in self.rows)

    @property
    def obstacle(self) -> str:
        """Why it cannot go on yet; empty where it can."""
        return self._obstacleOfName() or self._obstacleOfScans()

    @property
    def emptiness(self) -> str:
        """Why there is no row, and what to do; empty where there are some."""
        if self.rows or self.fraction is not None:
            return ""
        if self.source is not None:
            return _("This folder is no data set: it holds none of {}.").format(", ".join(DESCRIPTIONS))
        if self.fromFolder:
            return _("Choose the folder of a data set: one that holds {}.").format(_(" or ").join(DESCRIPTIONS))
        return _(
            "There is no outline in the scene. Outline the structure in the Segment Editor, load a segmentation, "
            "or choose a folder of outlined scans."
        )

    def setName(self, name: str) -> None:
        """Call the structure so; code and colour follow where nothing else was chosen for them."""
        self.name = name
        if not self.known:
            self.improve = False
        self.terminology, self.color = terminology_of(name), color_of(name)
        self._guess()
        self._context.changed()
        self._draw()

    def setTerminology(self, name: str, terminology: str, color: Color) -> None:
        """Take name, code and colour from the terminology selector; signs that no name may hold are left out."""
        self.setName(re.sub(r" *[,;=] *", " ", name).strip())
        self.terminology, self.color = terminology, color
        self._context.changed()

    def improveKnown(self) -> None:
        """Improve the structure that the model knows under this name."""
        self.name, self.improve = self.known, True
        self._context.changed()

    def refresh(self) -> None:
        """Look again for segmentations in the scene; what was chosen stays chosen."""
        if self.fromFolder:
            return
        groups: dict[tuple[str, str], list[Any]] = {}
        for example in self._context.bridge.candidates(self.name or None):
            groups.setdefault((example.volumeId, example.segmentationId), []).append(example)
        before = {row.key: row for row in self.rows}
        ordered = sorted(groups.items(), key=lambda group: group[0][1] != self._first)
        self.rows = [ScanRow.ofScene(examples).after(before.get(key)) for key, examples in ordered]
        self._guess()
        self._context.changed()
        self._draw()

    def useScene(self) -> None:
        """Let outlines of the scene teach."""
        self._request.giveUp()
        self._empty(fromFolder=False, source=None)
        self.refresh()

    def useFolder(self, path: Path | None) -> None:
        """Let the scans of a data set teach; ``None`` while none is chosen."""
        if self.fromFolder and path == self.source:
            return
        self._request.giveUp()
        self._empty(fromFolder=True, source=path)
        if path is not None and any(works((path / name).is_file) for name in DESCRIPTIONS):
            self.fraction = 0.0
            self._request.ask("check", {"data": str(path)}, self._checked, self._failed, self._progressed)
        self._context.changed()

    def setLabel(self, label: str) -> None:
        """Say which outline of the data set is the structure."""
        self.label = label
        self.rows = [replace(row, ticked=not self.refusal(row), ml=None, picture=None) for row in self.rows]
        self._context.changed()
        self.look()

    def look(self) -> None:
        """Let the worker measure and draw the structure in the cases of the data set, where that is not known yet."""
        if not self.label or self.source is None or all(row.ml is not None for row in self.rows if row.ticked):
            return
        self._pictures += 1
        output = self._context.folders.temporary / "examples" / str(self._pictures)
        arguments = {"data": str(self.source), "label": self.label, "output": str(output)}
        self._request.ask("examples", arguments, self._looked, lambda _failed: None)  # a row can do without

    def rest(self) -> None:
        """Leave the worker to others; what is known stays."""
        self._request.giveUp()

    def tick(self, number: int, ticked: bool) -> None:
        """Let a scan teach or not."""
        self._change(number, ticked=ticked, decided=True)

    def tickAll(self, ticked: bool) -> None:
        """Let all scans teach that can, or none; what a model made and nobody corrected is ticked one by one only."""
        self.rows = [
            replace(row, ticked=ticked and not self.refusal(row) and not uncorrected(row), decided=True)
            for row in self.rows
        ]
        self._context.changed()

    def choose(self, number: int, choice: int | None) -> None:
        """Say which outline of a scan is the structure."""
        row = replace(self.rows[number], choice=choice, picture=None, decided=True)
        self.rows[number] = replace(row, ticked=choice is not None and not self.refusal(row))
        self._context.changed()
        self._draw()

    def refusal(self, row: ScanRow) -> str:
        """Return why a scan cannot teach; empty where it can."""
        return row.obstacle(self.label)

    def task(self) -> TeachingTask:
        """Return the task; to be asked while there is no obstacle."""
        name = self.name.strip()
        task = TeachingTask(name, self.improve, self.terminology, self.color, label=name)
        if not self.fromFolder:
            return task
        cases = tuple(row.scan for row in self.rows if row.ticked)
        return replace(task, label=self.label, data=self.source, cases=cases)

    def _obstacleOfName(self) -> str:
        if not self.name.strip():
            return _("Enter the name of the structure first.")
        try:
            check_name(self.name)
        except OptionError as error:
            return str(error)
        if self.known and not self.improve:
            return _("The model already knows {}: choose “Improve it”, or another name.").format(self.known)
        return ""

    def _obstacleOfScans(self) -> str:
        name = self.name.strip()
        if self.fraction is not None:
            return _("The scans of the folder are still being checked.")
        if self.labels and not self.label:
            return _("Choose the outline of {} in the data set.").format(name)
        if not self.count:
            return _("Tick at least one scan that shows {}.").format(name)
        unclear = next((row.scan for row in self.rows if row.ticked and row.examples and row.choice is None), None)
        return "" if unclear is None else _("Say which outline of {} is {}.").format(unclear, name)

    def _forget(self) -> None:
        self.name, self.improve, self._first = "", False, ""
        self.terminology, self.color = None, (128, 128, 128)
        self._empty(fromFolder=False, source=None)

    def _empty(self, fromFolder: bool, source: Path | None) -> None:
        self.fromFolder, self.source = fromFolder, source
        self.labels, self.label, self.rows, self.fraction = (), "", [], None

    def _guess(self) -> None:
        """Choose what has the structure's name, where a person has not chosen."""
        if not self.name.strip():
            return
        self.rows = [row.guessed(self.name) for row in self.rows]
        named = next((label for label in self.labels if alike(label, self.name)), "")
        if named and not self.label:
            self.setLabel(named)

    def _change(self, number: int, **changes: Any) -> None:
        self.rows[number] = replace(self.rows[number], **changes)
        self._context.changed()

    def _draw(self) -> None:
        """Draw the thumbnails that are missing, one at a time."""
        waiting = [number for number, row in enumerate(self.rows) if row.pictured is not None and row.picture is None]
        if waiting:
            self._context.defer(partial(self._drawOne, waiting[0], self.rows[waiting[0]].pictured))

    def _drawOne(self, number: int, example: Any) -> None:
        row = self.rows[number] if number < len(self.rows) else None
        if row is None or row.pictured is not example or row.picture is not None:
            return
        self._pictures += 1
        path = self._context.folders.temporary / "examples" / f"{self._pictures}.png"
        with suppress(IncrementalSegError, OSError):  # a row can do without its picture
            path.parent.mkdir(parents=True, exist_ok=True)
            self._context.bridge.thumbnail(example, path)
        self._change(number, picture=path)
        self._draw()

    def _looked(self, result: Json) -> None:
        for number, row in enumerate(self.rows):
            seen = result["examples"].get(row.scan)
            if seen is not None:
                picture = None if seen["picture"] is None else Path(seen["picture"])
                self.rows[number] = replace(row, ml=seen["ml"], picture=picture)

    def _progressed(self, event: Event) -> None:
        if isinstance(event, Progressed):
            self.fraction = event.fraction

    def _checked(self, result: Json) -> None:
        self.fraction = None
        self.rows = [ScanRow.ofCase(item) for item in result["cases"]]
        known = {row.scan for row in self.rows}
        for note in result.get("notes", ()):
            if note["case"] not in known:  # of no row: an image without a label, a table
                self._context.warn(note["text"])
        self.labels = tuple(dict.fromkeys(label for row in self.rows for label in row.labels))
        if len(self.labels) == 1:
            self.setLabel(self.labels[0])
        self._guess()

    def _failed(self, failed: Failed) -> None:
        self.fraction, self.source = None, None
        self._context.fail(failed)
