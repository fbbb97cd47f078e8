"""Pre-flight verdicts of one image and one segmentation: what is wrong with them and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.labels import Mask
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.segmentations import read_masks
from IncrementalSegLib.volumes.volume import Volume


def check_image(paths: Sequence[Path]) -> tuple[Volume | None, list[Note]]:
    """Read a scan and judge it.

    Args:
        paths: One file or folder, or one per channel.

    Returns:
        The volume, ``None`` where it is refused, and the notes; none where nothing is wrong.
    """
    notes: list[Note] = []
    try:
        volume = read_volume(paths, notes)
    except IncrementalSegError as error:
        return None, [Note("refused", one_line(error), "refused")]
    name = Path(paths[0]).name
    array = volume.array
    finite = np.isfinite(array) if array.dtype.kind == "f" else np.ones((), dtype=np.bool_)
    bad = int(array[0].size - finite.all(axis=0).sum()) if finite.ndim else 0
    if bad:
        notes.append(Note("not-finite", f"{name} has {bad} voxels that are NaN or infinite: they are ignored."))
    seen = array[finite] if bad else array
    if seen.min() == seen.max():
        notes.append(Note("constant", f"{name} has the same value everywhere: check that it is the right scan."))
    return volume, notes


def check_segmentation(
    volume: Volume,
    names: Iterable[str],
    label: Path | None = None,
    values: Mapping[str, Sequence[int]] | None = None,
    masks: Mapping[str, Path] | None = None,
) -> list[Note]:
    """Read the labels of a scan and judge them.

    Args:
        volume: The scan.
        names: The structures that were looked for.
        label: Integer label map or ``.seg.nrrd``.
        values: Name -> values in the integer map, for all names that the data set knows.
        masks: Name -> mask file.

    Returns:
        The notes; none where nothing is wrong.
    """
    notes: list[Note] = []
    try:
        found = read_masks(volume.grid, names, label, values, masks, notes)
    except IncrementalSegError as error:
        return [Note("refused", one_line(error), "refused")]
    empty = [name for name, mask in found.items() if not mask.any()]
    if empty and len(empty) == len(found):
        said = "Nothing is annotated: remove the case, unless none of its structures is in the scan."
        notes.append(Note("nothing-annotated", said))
    elif empty:
        listing = ", ".join(empty[:5]) + (f" and {len(empty) - 5} more" if len(empty) > 5 else "")
        said = f"Nothing is annotated for {listing}: right only if the scan does not show it."
        notes.append(Note("not-annotated", said))
    notes += [
        Note(
            "in-the-void", f"Most of {name} lies where the scan shows nothing: check that both are of the same patient."
        )
        for name, mask in found.items()
        if _in_the_void(mask, volume)
    ]
    return notes


def one_line(error: Exception) -> str:
    """Return the message of an error on one line."""
    return " ".join(str(error).split())


def _in_the_void(mask: Mask, volume: Volume) -> bool:
    """Tell whether most of a mask lies where a volume has its lowest value throughout, as around a body."""
    outlined = volume.array[0][mask]
    return not volume.grid.planar and outlined.size > 0 and bool((outlined == volume.array[0].min()).mean() > 0.5)
