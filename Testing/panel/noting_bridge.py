"""A bridge that notes what a flow does to the scene."""

from pathlib import Path
from types import SimpleNamespace

from IncrementalSegPanel.scene.Exports import Export

SCAN = SimpleNamespace(name="scan")


class NotingBridge:
    """Notes what a flow does to the scene; the scan is written in three pieces."""

    def __init__(self):
        self.done, self.refusal, self.exports = [], None, []
        self.undone = SimpleNamespace(taken=True, kept=())

    def shownVolume(self):
        return SCAN

    def sceneBusy(self):
        return False

    def exportVolume(self, volume, folder, defer):
        if self.refusal is not None:
            raise self.refusal
        self.exports.append(Export(self._pieces(folder / "scan.nrrd"), defer))
        return self.exports[-1]

    def _pieces(self, path):
        yield 0.25
        yield 0.75
        path.write_text("voxels")
        return path

    def readSegmentation(self, path, defer, volume=None):
        self.exports.append(Export(self._contents(path), defer))
        return self.exports[-1]

    readMap = readSegmentation

    def _contents(self, path):
        yield 0.5
        return path

    def showMap(self, reading, volume, title):
        if self.refusal is not None:
            raise self.refusal
        self.done.append(("showMap", reading.result, volume, title))

    def showSegmentation(self, reading, volume, structures):
        if self.refusal is not None:
            raise self.refusal
        self.done.append(("show", Path(reading.result).name, volume, [item.name for item in structures]))
        return "node"

    def undoSegmentation(self, defer):
        self.done.append(("undoSegmentation",))
        return Export(self._contents(self.undone), defer)

    def __getattr__(self, name):
        return lambda *arguments: self.done.append((name, *arguments))
