"""Teach a model one more structure in Slicer, without a window.

Slicer --no-main-window --python-script teach_a_structure.py MODEL STRUCTURE FOLDER

MODEL is the folder of a model, or a name: of a folder here, else of one in the panel's folder of models. It is made if
it is not there. FOLDER holds scans, NAME.nrrd, and their outlines, NAME.seg.nrrd, with a segment called STRUCTURE. The
new version comes into use unless an older structure was harmed.
"""

import sys
from pathlib import Path
from typing import Any

import slicer


def main(model: str, structure: str, folder: str, **options: Any) -> dict[str, Any]:
    """Teach, and say whether the older structures were kept.

    Args:
        model: Folder of the model, or its name.
        structure: Name.
        folder: Scans and outlines.
        options: Whatever else ``teach`` takes, for example ``steps`` or ``method``.
    """
    from IncrementalSeg import IncrementalSegLogic  # here, so that Slicer ends where the module is missing

    outlines = []
    for path in sorted(Path(folder).glob("*.seg.nrrd")):
        scan = slicer.util.loadVolume(str(path).replace(".seg.nrrd", ".nrrd"))
        outlines.append(slicer.util.loadSegmentation(str(path)))
        outlines[-1].SetReferenceImageGeometryParameterFromVolumeNode(scan)
    logic = IncrementalSegLogic()
    logic.onProgress = lambda event: print(f"{event.phase} {event.fraction:.0%}")
    result = logic.teach(structure, outlines, model=model, **options)
    logic.close()
    print(f"Version {result['version']}: {result['verdict']}")
    if not result["accepted"]:
        print("It is not in use yet. To use it anyway: logic.openModel(MODEL), then logic.accept(VERSION).")
    return result


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
        slicer.util.exit()
    except Exception as error:
        print(f"{error}\n{__doc__}", file=sys.stderr)
        slicer.util.exit(1)
