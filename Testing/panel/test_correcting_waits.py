"""Correcting a scan of a usual size: no callback of the page takes long, or waits for the disk."""

import gc
import os
import threading
import time
from pathlib import Path

import numpy as np
import slicer
from IncrementalSegPanel.scene.Files import Nrrd
from panel.correcting_tasks import METHODS, NO_SESSION, Hand, spots, status
from panel.shoulders import summary
from scripted_worker import open_model
from standin.events import settle

SIZE = (200, 512, 512)
"""Of a CT scan of the trunk."""

LONGEST = 50
"""Milliseconds of the processor: how long other programs keep it is not ours."""

MATRIX = np.diag([-0.8, -0.8, 1.5, 1.0])
STRUCTURES = [
    {"id": f"{number:032x}", "name": f"organ {number}", "step": 1, "color": [20 * number, 90, 150], "terminology": None}
    for number in range(8)
]


class Stopwatch:
    """Times what the main thread does, one thing after the other.

    Attributes:
        slow: What took too long, with its milliseconds.
        synced: What waited for the disk.
    """

    def __init__(self, monkeypatch):
        self.slow, self.synced, self._real, self._doing = {}, [], os.fsync, ""
        monkeypatch.setattr(os, "fsync", self._sync)

    def __call__(self, what, act, *arguments):
        gc.disable()  # the tests' own objects are not what is timed
        self._doing, began = what, time.thread_time()
        result = act(*arguments)
        taken = 1000 * (time.thread_time() - began)
        if taken > LONGEST:
            self.slow[what] = taken
        self._doing = ""
        gc.enable()
        return result

    def _sync(self, descriptor):
        if self._doing and threading.current_thread() is threading.main_thread():
            self.synced.append(self._doing)
        self._real(descriptor)


class Clinic:
    """A person who corrects scans of a usual size, and the worker's answers."""

    def __init__(self, session, panel, timed):
        self.session, self.panel, self.timed, self.flow = session, panel, timed, session.correcting

    def turn(self, what):
        """Let the event loop do what waits, and draw the page."""
        waiting, number = self.session.defer._waiting, 0
        while waiting:
            self.timed(f"{what}, turn {number}", waiting.popleft())
            number += 1
        self.timed(f"{what}, drawn", self.panel.render)
        self.timed(f"{what}, laid out", settle)

    def click(self, what, act, *arguments):
        self.timed(what, act, *arguments)
        self.turn(what)

    def answer(self, verb, **result):
        self.click(f"{verb} answered", lambda: self.session.worker.last(verb).finish(**result))

    def introduce(self):
        self.answer("corrections", **NO_SESSION)
        self.answer("methods", **METHODS)

    def outlined(self, reach, map_too=False):
        asked = self.session.worker.last("outline")
        places = [(4.0 * number, 9.0 * number, 12.0 * number) for number in range(16)]
        chart = uncertainty(asked) if map_too else asked.arguments["output"] + "/map.nrrd"  # read when it is shown
        outputs, found = [outlines(asked, reach), chart], spots(*places)
        self.answer("outline", scan="CT", outputs=outputs, structures={}, spots=found, warnings=[], rounds=0)


def outlines(asked, reach):
    """Write outlines as the worker does: eight blocks in one layer."""
    path = Path(asked.arguments["output"]) / "scan.seg.nrrd"
    fields = {}
    for number, item in enumerate(STRUCTURES):
        found = {
            "ID": item["id"],
            "Name": item["name"],
            "Layer": "0",
            "LabelValue": str(number + 1),
            "Extent": f"50 {399 + reach} {50 * number} {50 * number + 39} 20 179",
        }
        fields |= {f"Segment{number}_{key}": text for key, text in found.items()}
    plane = np.zeros(SIZE[1:], np.uint8)
    for number in range(8):
        plane[50 * number : 50 * number + 40, 50 : 400 + reach] = number + 1
    empty = np.zeros_like(plane)
    with Nrrd(path, SIZE[::-1], plane.dtype, MATRIX, packed=True, fields=fields) as file:
        for k in range(SIZE[0]):
            file.writeVoxels(plane if 20 <= k < 180 else empty)
        file.complete()
    return str(path)


def uncertainty(asked):
    path = Path(asked.arguments["output"]) / "scan-uncertainty.nrrd"
    plane = np.linspace(0, 1, SIZE[2], dtype=np.float32) * np.ones((SIZE[1], 1), np.float32)
    with Nrrd(path, SIZE[::-1], plane.dtype, MATRIX, packed=True) as file:
        for _k in range(SIZE[0]):
            file.writeVoxels(plane)
        file.complete()
    return str(path)


def correct_two_scans(session, panel, known, scan, timed):
    clinic, hand, flow = Clinic(session, panel, timed), Hand(session, known), session.correcting
    clinic.click("opening", flow.begin, scan)
    clinic.introduce()
    clinic.outlined(0, map_too=True)
    assert len(flow.spots.pictures) == 16
    clinic.click("next spot", flow.spots.next)
    clinic.click("map", flow.spots.showMap, True)
    assert flow.spots.overlay.shown
    clinic.click("no map", flow.spots.showMap, False)
    hand.paint("organ 1", (slice(2, 4), slice(5, 40), slice(5, 40)))
    hand.paint("organ 2", (slice(190, 192), slice(400, 440), slice(400, 440)))
    clinic.click("refining", flow.refine)
    asked = session.worker.last("correct")
    clinic.answer("correct", outputs=[outlines(asked, 50)], structures={}, warnings=[], session=status())
    clinic.outlined(50)
    clinic.click("undoing", flow.undo)
    clinic.answer("undo_correction", **NO_SESSION)
    clinic.outlined(0)
    clinic.click("next scan", flow.done)
    clinic.outlined(0)
    assert slicer.util.getNode("CT 2 structures").GetSegmentation().GetNumberOfSegments() == 8
    clinic.click("leaving", flow.leave)


def test_the_main_thread_never_waits_while_scans_of_a_usual_size_are_corrected(session, panel, tmp_path, monkeypatch):
    voxels = np.zeros(SIZE, np.int16)
    voxels[:, ::2] = 100
    one, _two = (slicer.util.addVolumeFromArray(voxels, ijkToRAS=MATRIX, name=name) for name in ("CT 1", "CT 2"))
    for scan in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        scan.CreateDefaultDisplayNodes()
    for name in ("Red", "Green", "Yellow"):
        for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode"):
            slicer.mrmlScene.AddNewNodeByClass(kind, name).SetLayoutName(name)
    known = summary(structures=STRUCTURES)
    session.model, session.folder = open_model(known), tmp_path / "models" / "Trunk"
    session.home()
    session.correcting.begin(None)
    panel.render()  # the page itself is made once, by Qt
    session.home()
    panel.render()

    always_slow = None
    for _attempt in range(3):  # a busy computer makes one callback or another look slow, but not always the same
        timed = Stopwatch(monkeypatch)
        correct_two_scans(session, panel, known, one, timed)
        assert session.failure is None
        assert timed.synced == []
        always_slow = {what: took for what, took in timed.slow.items() if always_slow is None or what in always_slow}
        if not always_slow:
            break
    assert not always_slow
