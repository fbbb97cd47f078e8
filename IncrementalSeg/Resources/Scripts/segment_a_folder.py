"""Segment every scan of a folder in Slicer, without a window.

Slicer --no-main-window --python-script segment_a_folder.py MODEL SCANS OUTPUT

MODEL is the folder of a model, or a name: of a folder here, else of one in the panel's folder of models. One .seg.nrrd
per scan is written to OUTPUT, which is not SCANS. A file that exists is never replaced: its scan is skipped.
"""

import sys
from pathlib import Path

import slicer

SCANS = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha")


def main(model: str, scans: str, output: str) -> None:
    """Segment the scans, one after the other; what is loaded stays loaded."""
    if Path(output).resolve() == Path(scans).resolve():
        raise ValueError(f"OUTPUT and SCANS are both {scans}. Outlines that lie there could be overwritten.")
    from IncrementalSeg import IncrementalSegLogic  # here, so that Slicer ends where the module is missing

    logic = IncrementalSegLogic()
    logic.openModel(model)
    Path(output).mkdir(parents=True, exist_ok=True)
    written = set()
    for path in sorted(Path(scans).iterdir()):
        if path.name.endswith(SCANS) and not path.name.endswith(".seg.nrrd"):
            volume = slicer.util.loadVolume(str(path))
            target = Path(output) / f"{volume.GetName()}.seg.nrrd"
            if target in written:  # a.nrrd beside a.nii.gz
                target = target.with_name(f"{path.name}.seg.nrrd")
            if target.exists():
                print(f"{path.name}: skipped, because {target} already exists.")
                continue
            written.add(target)
            segmentation = logic.segment(volume)
            if not slicer.util.saveNode(segmentation, str(target)):
                raise OSError(f"{target} cannot be written.")
            print(f"{path.name}: {segmentation.GetSegmentation().GetNumberOfSegments()} structures in {target.name}")
            slicer.mrmlScene.Clear()
    logic.close()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
        slicer.util.exit()
    except Exception as error:
        print(f"{error}\n{__doc__}", file=sys.stderr)
        slicer.util.exit(1)
