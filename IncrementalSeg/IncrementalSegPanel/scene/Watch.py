"""Notice which scans the slice views show, whoever has changed that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
import vtk
from slicer.util import VTKObservationMixin

from IncrementalSegPanel.scene.Views import sceneBusy, shownIds


class Watch(VTKObservationMixin):
    """Watch the slice views of the scene.

    While a scene is loaded, closed or changed at many places nothing is said; afterwards once, where something changed.

    Args:
        changed: Receives the ids of the volumes that are shown now.
    """

    def __init__(self, changed: Callable[[list[str]], None]) -> None:
        VTKObservationMixin.__init__(self)
        self._changed = changed
        self._shown = shownIds()
        scene = slicer.mrmlScene
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent):
            self.addObserver(scene, event, self._countViews)
        for event in (scene.EndImportEvent, scene.EndCloseEvent, scene.EndRestoreEvent, scene.EndBatchProcessEvent):
            self.addObserver(scene, event, self._restart)
        self._observeViews()

    def stop(self) -> None:
        """Watch no longer."""
        self.removeObservers()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _countViews(self, _scene: Any, _event: str, node: Any) -> None:
        if node.IsA("vtkMRMLSliceCompositeNode") or node.IsA("vtkMRMLVolumeNode"):
            self._restart()

    def _restart(self, *_event: object) -> None:
        self._observeViews()
        self._look()

    def _observeViews(self) -> None:
        self.removeObservers(self._look)
        for kind in ("vtkMRMLSliceCompositeNode", "vtkMRMLSelectionNode", "vtkMRMLLayoutNode"):
            for node in slicer.util.getNodesByClass(kind):
                self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._look)

    def _look(self, *_event: object) -> None:
        if sceneBusy() or (shown := shownIds()) == self._shown:
            return
        self._shown = shown
        self._changed(shown)
