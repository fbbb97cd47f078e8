"""A structure in each case of a data set, as pictures to choose training examples from."""

from __future__ import annotations

from pathlib import Path

from IncrementalSegLib.engine.scores.views import view
from IncrementalSegLib.errors import DataError, UnknownNameError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.preprocessing.plan import plan_for
from IncrementalSegLib.progress import Phase, Progress, silent
from IncrementalSegLib.reports.pictures import TRUTH, Contour, outline_picture, write_png
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.types import Json

_SIDE = 160
"""Longer side of a picture in pixels."""


def examples(data: str | Path, label: str, output: str | Path, progress: Progress = silent) -> Json:
    """Measure a structure in each case, and draw the slice in which it is largest.

    Args:
        data: The data set.
        label: What the structure is called in it.
        output: Folder of the pictures; they show patients.
        progress: Receives progress.

    Returns:
        ``examples``: case -> ``ml``, and ``picture``, the path of a PNG or null where nothing is outlined.  Cases that
        cannot be read, or in which nobody looked for it, are left out: ``check`` says why.

    Raises:
        DataError: The data set cannot be opened.
        UnknownNameError: It has no such label.
        ModelError: A picture cannot be written.
    """
    dataset = open_data(data)
    name = next((known for known in dataset.names if name_key(known) == name_key(label)), None)
    if name is None:
        raise UnknownNameError("label", label, dataset.names)
    found: dict[str, Json] = {}
    for number, case in enumerate(dataset.cases):
        progress(Phase.DRAWING, number / len(dataset.cases))
        if name not in case.looked_for:
            continue
        try:
            volume, masks = read_case(case, [])
        except DataError:
            continue
        picture = None
        if masks[name].any():
            plan = plan_for(
                [volume.grid], volume.channels, dimension=2, multiple=1, side=_SIDE, patch_side=_SIDE
            )  # for its orientation
            row = view(case.id, volume, masks[name], [], plan)
            picture = Path(output).absolute() / f"{number}.png"
            write_png(picture, outline_picture(row.image, [Contour(row.truth, TRUTH)], row.aspect, _SIDE))
        millilitres = round(int(masks[name].sum()) * volume.grid.voxel_ml, 3)
        found[case.id] = {"ml": millilitres, "picture": None if picture is None else str(picture)}
    return {"examples": found}
