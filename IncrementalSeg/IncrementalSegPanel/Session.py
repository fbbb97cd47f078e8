"""The state and the flows of the panel, without a widget: flows change it, pages show it."""

from __future__ import annotations

from pathlib import Path

from IncrementalSegLib.types import Json
from IncrementalSegPanel.flows.Adopting import Adopting
from IncrementalSegPanel.flows.Comparing import Comparing
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.Correcting import Correcting
from IncrementalSegPanel.flows.Installing import Installing
from IncrementalSegPanel.flows.Opening import Opening
from IncrementalSegPanel.flows.Reviewing import Reviewing
from IncrementalSegPanel.flows.Segmenting import Segmenting
from IncrementalSegPanel.flows.Teaching import Teaching
from IncrementalSegPanel.Folders import Folders
from IncrementalSegPanel.Protocols import Bridge, Defer, Settings, WorkerProtocol


class Session(Context):
    """The context of one panel, and the flows that work with it.

    Attributes:
        installing, opening, adopting, segmenting, correcting, teaching, comparing, reviewing: The flows.
    """

    def __init__(
        self, worker: WorkerProtocol, bridge: Bridge, settings: Settings, folders: Folders, defer: Defer
    ) -> None:
        super().__init__(worker, bridge, settings, folders, defer)
        self.segmenting = Segmenting(self)
        self.reviewing = Reviewing(self)
        self.teaching = Teaching(self, self._compare)
        self.comparing = Comparing(self, self.teaching, self.reviewing)
        self.correcting = Correcting(self, self.comparing.show)
        self.opening = Opening(self, self.teaching.begin, self.teaching.resume, self.comparing.show, self._adopt)
        self.adopting = Adopting(self, self.opening)
        self.installing = Installing(self, self.teaching.leave)

    def close(self) -> None:
        """Let go of the scene, and of what is not begun yet; a step that runs is paused when the worker ends."""
        self.teaching.leave()
        self.segmenting.forget()
        self.correcting.leave()
        self.bridge.endScene()

    def _adopt(self, folder: Path) -> None:
        self.adopting.begin(folder)

    def _compare(self, number: int, result: Json) -> None:
        self.comparing.show(number, result)
