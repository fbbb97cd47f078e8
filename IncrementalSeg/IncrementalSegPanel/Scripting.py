"""The verbs of the command line for scripts in Slicer: each waits for its end while Slicer stays alive."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer

from IncrementalSegLib.errors import DataError, Hint, IncrementalSegError, ModelError, phrased
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire import events
from IncrementalSegPanel.scene.Examples import Example
from IncrementalSegPanel.scene.ScriptExamples import chosenExamples
from IncrementalSegPanel.ScriptWords import checkScan, scriptWords, structuresOf
from IncrementalSegPanel.Start import Tools, defer, makeTools
from IncrementalSegPanel.Translation import _

_log = logging.getLogger("IncrementalSeg")


class Scripting:
    """Segment, teach and manage models without a panel; nothing opens a dialog, everything that fails raises.

    Args:
        tools: Worker, bridge and folders; by default its own.

    Attributes:
        folder: The model that is worked with where no other is named, or ``None``.
        onProgress: Receives the progress of what is being done: ``phase``, ``fraction``, ``eta``.
    """

    def __init__(self, tools: Tools | None = None) -> None:
        super().__init__()
        self.tools = tools or makeTools()
        self.folder: Path | None = None
        self.onProgress: Callable[[events.Progressed], None] | None = None

    def models(self) -> list[Path]:
        """Return the folders of the models that are kept in the usual place."""
        return sorted(path.parent for path in self.tools.folders.models.glob("*/model.json"))

    def openModel(self, model: str | Path) -> Json:
        """Work with a model from now on, and return its summary.

        Args:
            model: Its folder, or the name of one in the usual place.

        Raises:
            ModelError: There is no such model.
        """
        folder = self._path(model)
        try:
            summary = read_summary(folder)
        except ModelError as error:
            raise ModelError(error.what, error.why, phrased(error.todo, scriptWords)) from error
        self.folder = folder
        return summary

    def segment(
        self,
        volumeNode: Any,
        structures: Sequence[str] | None = None,
        model: str | Path | None = None,
        segmentationNode: Any = None,
        uncertainty: bool = False,
        similarity: str | None = None,
    ) -> Any:
        """Segment a scan of the scene.

        Args:
            volumeNode: The scan.
            structures: Names; by default all that the model knows.
            model: Folder or name; by default the open one.
            segmentationNode: Where the segments are put; by default the result of that scan, or a new one.
            uncertainty: Also show a map of uncertainty.
            similarity: Name of a structure: also show how similar each voxel is to it, in place of the uncertainty
                (models of the method ``cfil``).

        Returns:
            The segmentation node.

        Raises:
            IncrementalSegError: The scan or the model cannot be used.
        """
        checkScan(volumeNode)
        folder = self._model(model)
        with tempfile.TemporaryDirectory(prefix="segment-", dir=self.tools.folders.temporary) as work:
            scan = self._written(lambda: self.tools.bridge.exportVolume(volumeNode, Path(work), defer))
            wanted: Json = {"model": str(folder), "scans": str(scan), "output": str(Path(work) / "result")}
            if similarity is not None:
                wanted["similarity"] = similarity
            if structures is not None:
                wanted["structures"] = ", ".join(structures)
            result = self.do("segment", **wanted, uncertainty=uncertainty)
            for text in result["warnings"]:
                _log.warning(text)
            output, *maps = result["outputs"]
            found = [item for item in structuresOf(folder) if item.name in result["structures"]]
            node = self.tools.bridge.showSegmentation(output, volumeNode, found, segmentationNode)
            if maps:
                shown = _("uncertainty") if similarity is None else _("similarity to {name}").format(name=similarity)
                self.tools.bridge.showMap(maps[-1], volumeNode, shown)
        return node

    def correct(
        self,
        volumeNode: Any,
        strokesNode: Any,
        model: str | Path | None = None,
        method: str | None = None,
        segmentationNode: Any = None,
        **options: Any,
    ) -> Any:
        """Correct a scan by strokes: a round, as on the page *Correct and learn*.

        Args:
            volumeNode: The scan.
            strokesNode: A segmentation node with segments named like structures of the model, and ``background``.
            model: Folder or name; by default the open one.
            method: How a copy of the model learns from the strokes; by default as in the session that is open, else
                not at all (``propagate-only``).
            segmentationNode: Where the segments are put; by default the result of that scan, or a new one.
            options: Whatever else ``correct`` takes: ``steps``, ``seed``, ``options`` of the method ...

        Returns:
            The segmentation node; :meth:`corrections` tells of the session.

        Raises:
            IncrementalSegError: Scan, strokes or model cannot be used; the session is as before.
        """
        checkScan(volumeNode)
        if not isinstance(strokesNode, slicer.vtkMRMLSegmentationNode):
            raise DataError(
                _("{value} holds no strokes.").format(value=repr(strokesNode)),
                _("Strokes are a segmentation node with segments named like structures, and one named background."),
            )
        folder, bridge = self._model(model), self.tools.bridge
        kept = Path(tempfile.mkdtemp(prefix="correct-", dir=self.tools.folders.temporary))  # the session looks back
        with tempfile.TemporaryDirectory(prefix="round-", dir=self.tools.folders.temporary) as work:
            scan = self._written(lambda: bridge.exportVolume(volumeNode, kept, defer))
            path = Path(work) / "strokes.seg.nrrd"
            strokes = self._written(lambda: bridge.strokes.export(strokesNode, volumeNode, path, defer))
            wanted = {"method": method, "output": str(Path(work) / "result")} | options
            result = self.do("correct", model=str(folder), scan=str(scan), strokes=str(strokes), **wanted)
            for text in result["warnings"]:
                _log.warning(text)
            return bridge.showSegmentation(result["outputs"][0], volumeNode, structuresOf(folder), segmentationNode)

    def corrections(self) -> Json:
        """Return the rounds and scans of the correction session of the open model."""
        return self._ask("corrections")

    def undoCorrection(self) -> Json:
        """Take back the last round of the session, and return what is left; outlines of the scene stay."""
        return self._ask("undo_correction")

    def keepCorrections(self, accept: str = "gate") -> Json:
        """Make a version of what the session has learned; return what :meth:`teach` returns of it."""
        result = self._ask("keep_corrections", accept=accept)
        return result | {"verdict": result["retention"]["sentence"], "report": result["retention"]}

    def discardCorrections(self) -> Json:
        """Forget what the session has learned."""
        return self._ask("discard_corrections")

    def teach(
        self,
        name: str,
        examples: str | Path | Sequence[Any],
        model: str | Path | None = None,
        method: str | None = None,
        steps: int | None = None,
        accept: str = "gate",
        **options: Any,
    ) -> Json:
        """Teach a structure and judge the older ones.

        Args:
            name: Of the structure; a model that does not exist yet is created.
            examples: Segmentation nodes that show it in segments of that name, or pairs of such a node and the name
                of a segment; or a data set on the disk. What a model made and nobody corrected teaches only where
                a pair names it.
            model: Folder or name; by default the open one.
            method: How old structures are kept; by default as ``learn`` does, which is not always what
                ``do("advise", ...)`` recommends.
            steps: Optimiser steps at most.
            accept: The new version comes into use: ``gate``, unless the gate holds it back; ``always``; ``never``.
            options: Whatever else ``learn`` takes: ``improve``, ``preset``, ``seed``, ``options`` of the method ...

        Returns:
            ``version``; ``accepted``; ``verdict``, a sentence; ``report``, of the gate; ``curve``; ``scans``, where
            the examples were written: they judge later steps and should stay there; ``warnings``, sentences on
            what was left out.

        Raises:
            IncrementalSegError: Something cannot be used; no version has changed.
        """
        folder = self._model(model)
        warnings: list[str] = []
        if isinstance(examples, str | Path):
            data = Path(examples)
        else:
            chosen, warnings = chosenExamples(self.tools.bridge.candidates(name), name, examples)
            for text in warnings:
                _log.warning(text)
            data = self._exported(chosen, name, folder)
        choices = {"method": method, "steps": steps} | options
        wanted = {key: value for key, value in choices.items() if value is not None}
        result = self.do("learn", model=str(folder), data=str(data), structures=name, accept=accept, **wanted)
        self.folder = folder
        return result | {
            "verdict": result["retention"]["sentence"],
            "report": result["retention"],
            "scans": str(data),
            "warnings": warnings,
        }

    def resume(self) -> Json:
        """Resume the unfinished step of the open model, and return what :meth:`teach` returns of it."""
        result = self.do("resume", model=str(self._model(None)))
        return result | {"verdict": result["retention"]["sentence"], "report": result["retention"]}

    def summary(self) -> Json:
        """Return what is known of the open model."""
        return self._ask("summary")

    def versions(self) -> Json:
        """Return the records of all versions of the open model."""
        return self._ask("versions")

    def exemplars(self) -> Json:
        """Return which exemplars the open model keeps, and why."""
        return self._ask("exemplars")

    def gate(self, version: int) -> Json:
        """Judge a version of the open model again, and return the report."""
        return self._ask("gate", version=version)

    def accept(self, version: int) -> Json:
        """Take a version of the open model into use, and return its summary."""
        return self._ask("accept", version=version)

    def reject(self, version: int) -> Json:
        """Mark a version of the open model as rejected, and return the summary of the one in use."""
        return self._ask("reject", version=version)

    def rollBack(self, version: int | None = None) -> Json:
        """Go back to a version that was in use, by default the one before; return its summary."""
        return self._ask("rollback", version=version)

    def methods(self) -> Json:
        """Return the methods and their options."""
        return self.do("methods")

    def doctor(self) -> Json:
        """Return what this computer can do."""
        return self.do("doctor")

    def do(self, verb: str, **arguments: Any) -> Json:
        """Let the worker do anything that it can do, and wait for the end while Slicer stays alive.

        Args:
            verb: What to do (docs/wire.md).
            arguments: By name.

        Returns:
            The result, as the command of that name prints it with ``--json``.

        Raises:
            IncrementalSegError: It failed: what happened, why, and what to do.
        """
        loop = qt.QEventLoop()

        def listen(event: events.Event) -> None:
            match event:
                case events.Progressed() if self.onProgress is not None:
                    self.onProgress(event)
                case events.Warned():
                    _log.warning(event.text)
                case events.Finished() | events.Failed() | events.Cancelled():
                    loop.quit()

        job = self.tools.worker.submit(verb, arguments, listen)
        if job.end is None:
            loop.exec_()
        match job.end:
            case events.Finished():
                return job.end.result
            case events.Failed():
                end = job.end
                todo = Hint.from_json(end.hint).phrased(scriptWords) if end.hint else end.todo
                raise IncrementalSegError(end.what, end.why, todo)
        raise IncrementalSegError(_("{verb} was cancelled.").format(verb=verb))

    def close(self) -> None:
        """End the worker; the next request starts another one."""
        self.tools.worker.shutdown()

    def _ask(self, verb: str, **arguments: Any) -> Json:
        return self.do(verb, model=str(self._model(None)), **arguments)

    def _path(self, model: str | Path) -> Path:
        """Return a folder as it is, and the name of a model as its folder."""
        path = Path(model)
        return self.tools.folders.models / path if len(path.parts) == 1 and not path.exists() else path.absolute()

    def _model(self, model: str | Path | None) -> Path:
        if model is not None:
            return self._path(model)
        if self.folder is None:
            raise ModelError(_("No model is open."), todo=_("Call openModel, or name the model."))
        return self.folder

    def _exported(self, chosen: Sequence[Example], name: str, model: Path) -> Path:
        """Write examples of the scene beside the model, where they can judge later steps."""
        folder = self.tools.folders.newScans(model, name)
        return self._written(lambda: self.tools.bridge.exportExamples(chosen, name, folder, defer))

    def _written(self, begin: Callable[[], Any]) -> Path:
        """Wait until an export is complete."""
        loop = qt.QEventLoop()
        export = begin()
        if not export.done:
            export.listen(lambda: loop.quit() if export.done else None)
            loop.exec_()
        if export.error is not None:
            raise export.error
        return export.path
