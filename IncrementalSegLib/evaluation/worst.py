"""Where it changed most: of each structure the cases that lost most, as slices side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from IncrementalSegLib.evaluation.content import Change, SliceGrid, SliceRow
from IncrementalSegLib.types import StructureId

SHOWN = 3
"""Cases shown of each structure."""


def worst_slices(
    changes: Sequence[Change], ids: Mapping[str, StructureId], rows: Mapping[tuple[StructureId, str], SliceRow]
) -> SliceGrid:
    """Choose the slices to show, in the order of the changes.

    Args:
        changes: Structures with their scores.
        ids: Structure name -> uuid.
        rows: Structure and case -> slice with the mask before and the mask after.
    """
    shown = []
    for change in changes:
        before, after = (
            {} if side is None else {item.case: item.dice for item in side.scores}
            for side in (change.before, change.after)
        )
        loss = {case: (before.get(case) or 0.0) - (dice or 0.0) for case, dice in after.items()}
        for case in sorted(loss, key=lambda case: -loss[case])[:SHOWN]:
            row = rows.get((ids[change.structure], case))
            if row is not None:
                notes = tuple("" if dice is None else f"{dice:.2f}" for dice in (before.get(case), after.get(case)))
                shown.append(replace(row, title=f"{change.structure}, {case}", notes=notes))
    return SliceGrid(("before", "after"), tuple(shown))
