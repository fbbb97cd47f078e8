"""A session that corrects a scan, and what its worker answers; outlines are real files."""

from pathlib import Path

import slicer

from IncrementalSegLib.structures import Structure, StructureList
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd
from IncrementalSegLib.wire import events

METHODS = {
    "methods": [
        {"name": "aeiseg", "output": "heads", "needs": ["exemplars", "teacher"]},
        {"name": "finetune", "output": "heads", "needs": []},
        {"name": "lwfseg", "output": "heads", "needs": ["teacher"]},
        {"name": "mib", "output": "classes", "needs": ["teacher"]},
        {"name": "reseg", "output": "heads", "needs": ["teacher"]},
    ]
}
NO_SESSION = {"parent": 3, "method": None, "rounds": 0, "undoable": 0, "scans": []}
PLACES = ((5.0, -20.0, 3.0), (-11.5, 4.0, 1.0))


def status(rounds=1, *scans):
    """Return what a session says of itself: name, rounds and Dice of each scan."""
    listed = [
        {"scan": name, "rounds": own, "voxels": 40 * own, "agreement": {"humerus": dice, "scapula": None}}
        for name, own, dice in (scans or (("MR_12", rounds, 0.8),))
    ]
    return {"parent": 3, "method": "lwfseg", "rounds": rounds, "undoable": rounds, "scans": listed}


def spots(*centres):
    """Return uncertain places in the scan."""
    shares = {"humerus": 0.55, "background": 0.4}
    return [
        {"centre": list(centre), "size": 0.4 / number, "unit": "ml", "uncertainty": 0.9, "structures": shares}
        for number, centre in enumerate(centres, 1)
    ]


class Hand:
    """The worker's answers.

    Args:
        session: Of a model that is open.
        known: Its summary.
    """

    def __init__(self, session, known):
        self.session = session
        self.structures = StructureList(tuple(Structure.from_json(item) for item in known["structures"]))

    def settle(self):
        """Let files be written and read."""
        self.session.defer.run()

    def last(self, verb):
        return self.session.worker.last(verb)

    def introduce(self, session=None):
        """Answer what a page asks when it is opened."""
        self.last("corrections").finish(**(session or NO_SESSION))
        self.last("methods").finish(**METHODS)
        self.settle()

    def outlined(self, above=500, rounds=0, centres=PLACES, warnings=()):
        """Answer ``outline``: all structures where the scan is brighter than a value."""
        asked = self.last("outline")
        path = self._outlines(asked.arguments["output"], asked.arguments["scan"], above)
        asked.finish(
            scan="MR_12",
            outputs=[str(path), str(path.with_name("scan-uncertainty.nrrd"))],
            structures={item.name: {"ml": 1.0} for item in self.structures},
            spots=spots(*centres),
            warnings=list(warnings),
            rounds=rounds,
        )
        self.settle()

    def refined(self, above=600, session=None, warnings=()):
        """Answer ``correct``."""
        asked = self.last("correct")
        path = self._outlines(asked.arguments["output"], asked.arguments["scan"], above)
        outlines = {item.name: {"ml": 1.0} for item in self.structures}
        asked.finish(
            scan="MR_12", outputs=[str(path)], structures=outlines, warnings=list(warnings), session=session
        )  # fmt: skip
        self.settle()

    def giveUp(self):
        """Let the search for spots end, where it is under way."""
        asked = self.last("outline")
        if asked.job.end is None:
            asked.say(events.Cancelled("", kept=False))
        self.settle()

    def paint(self, name="humerus", where=(slice(1, 2), slice(2, 5), slice(2, 5))):
        """Paint a stroke as an editor does."""
        flow = self.session.correcting
        found = next(
            item
            for item in flow.strokes.GetSegmentation().GetSegmentIDs()
            if flow.strokes.GetSegmentation().GetSegment(item).GetName() == name
        )
        array = slicer.util.arrayFromSegmentBinaryLabelmap(flow.strokes, found, flow.volume).copy()
        array[where] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(array, flow.strokes, found, flow.volume)

    def _outlines(self, output, scan, above):
        volume, path = read_volume([Path(scan)]), Path(output) / "scan.seg.nrrd"
        path.parent.mkdir(parents=True)
        masks = {item.id: volume.array[0] > above for item in self.structures}
        write_seg_nrrd(path, masks, volume.grid, self.structures)
        return path
