"""Segment every scan of a folder in Slicer, without a window.

Slicer --no-main-window --python-script segment_a_folder.py MODEL SCANS OUTPUT

MODEL is the folder of a model, or the name of one that the panel has made. One .seg.nrrd per scan lies in OUTPUT.
"""

import sys
from pathlib import Path

import slicer

from IncrementalSeg import IncrementalSegLogic

SCANS = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha")


def main(model: str, scans: str, output: str) -> None:
    """Segment the scans, one after the other; what is loaded stays loaded."""
    logic = IncrementalSegLogic()
    logic.openModel(model)
    Path(output).mkdir(parents=True, exist_ok=True)
    for path in sorted(Path(scans).iterdir()):
        if path.name.endswith(SCANS) and not path.name.endswith(".seg.nrrd"):
            volume = slicer.util.loadVolume(str(path))
            segmentation = logic.segment(volume)
            slicer.util.saveNode(segmentation, str(Path(output) / f"{volume.GetName()}.seg.nrrd"))
            print(f"{path.name}: {segmentation.GetSegmentation().GetNumberOfSegments()} structures")
            slicer.mrmlScene.Clear()
    logic.close()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
        slicer.util.exit()
    except Exception as error:
        print(f"{error}\n{__doc__}", file=sys.stderr)
        slicer.util.exit(1)
