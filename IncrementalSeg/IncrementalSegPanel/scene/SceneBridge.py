"""The one object through which the panel reads and changes the scene; it holds ids, so that nodes may vanish."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import slicer

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.structures import Structure
from IncrementalSegPanel.Protocols import Defer
from IncrementalSegPanel.scene.Application import Application
from IncrementalSegPanel.scene.ExampleFiles import examplePieces
from IncrementalSegPanel.scene.ExamplePictures import pictureOf
from IncrementalSegPanel.scene.Examples import Example, Measures, findExamples
from IncrementalSegPanel.scene.Exports import Export, atOnce
from IncrementalSegPanel.scene.Geometry import parentToWorld
from IncrementalSegPanel.scene.Looks import looksOf, restoreLooks
from IncrementalSegPanel.scene.Overlays import Shown, addMap, hide, show
from IncrementalSegPanel.scene.Pseudonyms import bears
from IncrementalSegPanel.scene.ResultFiles import Outlines, mapPieces, outlinePieces
from IncrementalSegPanel.scene.Results import Before, createResult, putResult, resultOf, undoPieces
from IncrementalSegPanel.scene.ScanFiles import scanPieces, volume
from IncrementalSegPanel.scene.SpotPictures import SPOT, spotPicture
from IncrementalSegPanel.scene.Strokes import Strokes
from IncrementalSegPanel.scene.Thumbnails import write
from IncrementalSegPanel.scene.Views import scans, sceneBusy, shownIds, shownScan, showScan
from IncrementalSegPanel.scene.Visibility import follow, reveal
from IncrementalSegPanel.scene.Watch import Watch
from IncrementalSegPanel.Translation import _

_LETTERS = 60
"""Of a scan's name in that of its file, by which the worker's sentences call it; the system takes 255 bytes."""


class SceneBridge:
    """Read scans and segments, show results.

    Args:
        application: The windows of Slicer.

    Attributes:
        strokes: The strokes of the scene.
    """

    def __init__(self, application: Application | None = None) -> None:
        self._application = application or Application()
        self._exports: list[Export] = []
        self._measures = Measures()
        self._before: Before | None = None
        self._map: tuple[str, list[Shown]] | None = None
        self._watch: Watch | None = None
        self.strokes = Strokes(self._start)

    def shownVolume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """Return the scan that the slice views show, or the one that was loaded last; ``None`` where there is none."""
        return shownScan()

    def scans(self) -> list[slicer.vtkMRMLScalarVolumeNode]:
        """Return the scans of the scene, in its order, without the map that lies over one."""
        return [node for node in scans() if self._map is None or node.GetID() != self._map[0]]

    def nameOf(self, volumeNode: slicer.vtkMRMLVolumeNode) -> str:
        """Return the name of a scan."""
        return str(volumeNode.GetName())

    def sceneBusy(self) -> bool:
        """Return whether the scene is being loaded or closed, so that nothing in it was chosen by a person."""
        return sceneBusy()

    def watch(self, changed: Callable[[], None]) -> None:
        """Let only results of the scans be visible that the slice views show, and tell whenever others are shown."""
        self.unwatch()

        def heard(shown: list[str]) -> None:
            follow(shown)
            changed()

        self._watch = Watch(heard)

    def unwatch(self) -> None:
        """Follow the slice views no longer."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def showScan(self, volumeNode: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Show a scan in the slice views, and of all results only those of scans that they show.

        A view that shows it already, and the place that a view looks at, stay; only a view that would look past the
        scan is fitted to it. Where undo is switched on for the scene, this is one state of it.
        """
        slicer.mrmlScene.SaveStateForUndo()
        with self._application.pausedRendering():
            self._show(volumeNode)

    def openStrokes(
        self, volumeNode: slicer.vtkMRMLScalarVolumeNode, structures: Iterable[Structure], defer: Defer
    ) -> Export:
        """Show a scan, and then the strokes on it; the result is their segmentation, made on first use.

        Args:
            volumeNode: The scan.
            structures: What can be painted.
            defer: Does the next piece soon.
        """
        return self._start(self._openStrokes(volumeNode.GetID(), tuple(structures)), defer)

    def exportVolume(self, volumeNode: slicer.vtkMRMLScalarVolumeNode, folder: Path, defer: Defer) -> Export:
        """Give the worker a scan to read: the file that it was loaded from if that will do, else one in ``folder``.

        Args:
            volumeNode: The scan; linear transforms above it are part of where it lies.
            folder: For the file; made where it is missing.
            defer: Does the next piece soon.

        Returns:
            The export, which may be done already; ``path`` is the file.
        """
        name = re.sub(r"[^\w.-]+", "_", volumeNode.GetName())[:_LETTERS]
        return self._start(scanPieces(volumeNode.GetID(), Path(folder) / f"{name}.nrrd"), defer)

    def readSegmentation(
        self, path: Path | str, defer: Defer, volumeNode: slicer.vtkMRMLScalarVolumeNode | None = None
    ) -> Export:
        """Read what the worker outlined while Slicer stays free; for :meth:`showSegmentation`.

        Args:
            path: The worker's ``.seg.nrrd``.
            defer: Does the next piece soon.
            volumeNode: The scan whose earlier outlines are to be compared meanwhile with what a person has drawn;
                without it they are compared when these are shown.
        """
        return self._start(self._outlines(Path(path), "" if volumeNode is None else volumeNode.GetID()), defer)

    def readMap(self, path: Path | str, defer: Defer) -> Export:
        """Read a map that the worker wrote while Slicer stays free; for :meth:`showMap`.

        Args:
            path: The worker's map.
            defer: Does the next piece soon.
        """
        return self._start(mapPieces(Path(path)), defer)

    def showSegmentation(
        self,
        source: Path | str | Export,
        volumeNode: slicer.vtkMRMLScalarVolumeNode,
        structures: Iterable[Structure],
        segmentationNode: slicer.vtkMRMLSegmentationNode | None = None,
    ) -> slicer.vtkMRMLSegmentationNode:
        """Show what the worker outlined over its scan; segments that a person drew or changed stay as they are.

        The slice views show the scan afterwards, and of all results only those of scans that they show are visible.

        Args:
            source: What :meth:`readSegmentation` read, to be shown once; or the worker's ``.seg.nrrd``.
            volumeNode: The scan.
            structures: What was segmented; segment ids are their uuids.
            segmentationNode: Where to put it; by default the segmentation that holds earlier results of that scan,
                else a new one.

        Returns:
            The segmentation.

        Raises:
            DataError: The scan is not in the scene any more, or the file cannot be read; the scene is as it was.
            GeometryError: The segmentation is under a transform that bends space.
        """
        volume(volumeNode.GetID())
        result = source.result if isinstance(source, Export) else atOnce(outlinePieces(Path(source)))
        earlier = segmentationNode or resultOf(volumeNode)
        parentToWorld(earlier or volumeNode)  # refuses before anything is changed
        with self._application.pausedRendering():
            node = earlier or createResult(volumeNode)
            if earlier is not None:
                self._application.saveUndoState(node)
            self._before = Before(node.GetID(), created=earlier is None)
            with slicer.util.NodeModify(node):
                if node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is None:
                    node.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
                putResult(result, node, structures, self._before, self._measures)
                looks = looksOf(node.GetSegmentation())
            restoreLooks(node.GetSegmentation(), looks)
            reveal(node, [found for found in result if node.GetSegmentation().GetSegment(found) is not None])
            self._show(volumeNode)
        return node

    def undoSegmentation(self, defer: Defer) -> Export:
        """Take back what was shown last; what a person has changed since stays.

        Args:
            defer: Does the next piece soon.

        Returns:
            Follows it; its result is :class:`~IncrementalSegPanel.scene.Results.Undone`.
        """
        before, self._before = self._before, None
        return self._start(undoPieces(before, self._measures, self._application), defer)

    def showMap(
        self, source: Path | str | Export, volumeNode: slicer.vtkMRMLScalarVolumeNode, title: str
    ) -> slicer.vtkMRMLScalarVolumeNode:
        """Show a map of uncertainty or similarity over its scan in the slice views, in place of an earlier one.

        Args:
            source: What :meth:`readMap` read; or the worker's map. Values above 0 are drawn, up to 1.
            volumeNode: The scan.
            title: What the map shows; the node is called after the scan and this.

        Returns:
            The map.

        Raises:
            DataError: The scan is not in the scene any more, or the file cannot be read.
        """
        volume(volumeNode.GetID())
        self.hideMap()
        found = source.result if isinstance(source, Export) else atOnce(mapPieces(Path(source)))
        with self._application.pausedRendering():
            node = addMap(found, volumeNode, title)
            self._map = node.GetID(), show(node, volumeNode)
        return node

    def hideMap(self) -> None:
        """Remove the map and show in the slice views what they showed before."""
        found, self._map = self._map, None
        if found is not None:
            with self._application.pausedRendering():
                hide(*found)

    def candidates(self, structureName: str | None = None) -> list[Example]:
        """Return the segments of the scene that could teach; those that are likely to be meant come first.

        Args:
            structureName: The structure to be taught.
        """
        return findExamples(self._measures, structureName)

    def exportExamples(self, examples: Sequence[Example], structureName: str, folder: Path, defer: Defer) -> Export:
        """Write examples as a data set; a folder that is not complete is none.

        Args:
            examples: What to write.
            structureName: What the examples are taught as.
            folder: For the data set; not there yet, or empty.
            defer: Does the next piece soon.

        Returns:
            The export; ``path`` is the folder.
        """
        return self._start(examplePieces(examples, structureName, Path(folder)), defer)

    def thumbnail(self, example: Example, path: Path | str, size: int = 96) -> None:
        """Draw the slice in which an example is largest as a PNG.

        Raises:
            DataError: The example or its scan is not in the scene any more, or cannot be drawn.
            GeometryError: The scan lies on no rectangular grid.
            OSError: The file cannot be written.
        """
        write(Path(path), pictureOf(self._measures, example, size))

    def spotPicture(self, volumeNode: slicer.vtkMRMLScalarVolumeNode, ras: Sequence[float], path: Path) -> None:
        """Draw a place of a scan as a PNG; errors are those of :meth:`thumbnail`."""
        write(path, spotPicture(volumeNode, ras, SPOT))

    def openInSegmentEditor(
        self,
        segmentationNode: slicer.vtkMRMLSegmentationNode,
        segmentId: str,
        volumeNode: slicer.vtkMRMLScalarVolumeNode | None = None,
    ) -> None:
        """Open the Segment Editor on a segment; without windows nothing happens."""
        self._application.openSegmentEditor(segmentationNode, segmentId, volumeNode)

    def jumpTo(self, volumeNode: slicer.vtkMRMLVolumeNode | None, ras: Sequence[float]) -> None:
        """Show a place in all slice views, and the scan where it is not shown.

        Args:
            volumeNode: The scan, or ``None``: what is shown stays.
            ras: The place in mm.
        """
        for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode") if volumeNode is not None else ():
            if volumeNode.GetID() not in (view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()):
                view.SetBackgroundVolumeID(volumeNode.GetID())
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            view.JumpSliceByCentering(*(float(part) for part in ras))

    def volumeOf(self, case: str) -> slicer.vtkMRMLScalarVolumeNode | None:
        """Return the scan that an exported case came from, where it is in the scene."""
        scans = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        return next((scan for scan in scans if bears(scan, case)), None)

    def openScan(self, path: Path) -> slicer.vtkMRMLScalarVolumeNode:
        """Return the scan that was loaded from a file; it is loaded where it is not in the scene.

        Raises:
            DataError: The file cannot be read.
        """
        for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
            storage = node.GetStorageNode()
            if storage is not None and storage.GetFileName() and Path(storage.GetFileName()) == path:
                return node
        name = path.name.partition(".")[0]
        node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name, 0) if path.is_file() else None
        if node is None:
            raise DataError(
                _("{path} cannot be loaded.").format(path=path), todo=_("Check whether the file is still there.")
            )
        return node

    def endScene(self) -> None:
        """Let go of a scene that is being closed: exports end with a sentence, nothing can be undone."""
        for export in self._exports:
            export.fail(DataError(_("The scene was closed while it was read."), todo=_("Load the scan again.")))
        self._exports.clear()
        self._measures = Measures()
        self._before = self._map = None

    def _show(self, volumeNode: slicer.vtkMRMLScalarVolumeNode) -> None:
        self._application.fitViews(showScan(volumeNode))
        follow(shownIds() or [volumeNode.GetID()])

    def _openStrokes(self, volumeId: str, structures: Sequence[Structure]) -> Generator[float, None, Any]:
        yield 0.0  # a click is answered before anything is done
        self.showScan(volume(volumeId))
        yield 0.5
        return self.strokes.prepare(volume(volumeId), structures)

    def _outlines(self, path: Path, volumeId: str) -> Generator[float, None, Outlines]:
        """Read outlines, and then look one by one for those that a person has changed."""
        found = yield from outlinePieces(path)
        for segmentId in found:
            volumeNode = slicer.mrmlScene.GetNodeByID(volumeId) if volumeId else None  # it may vanish at any time
            self._measures.look(None if volumeNode is None else resultOf(volumeNode), segmentId)
            yield 1.0
        return found

    def _start(self, pieces: Generator[float, None, Any], defer: Defer) -> Export:
        export = Export(pieces, defer)
        self._exports = [other for other in (*self._exports, export) if not other.done]
        return export
