"""Strokes: voxels in which a person says what lies there, read from a segmentation of 3D Slicer."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from IncrementalSegLib.errors import DataError, GeometryError, UnknownNameError
from IncrementalSegLib.names import name_key
from IncrementalSegLib.structures import BACKGROUND, StructureList
from IncrementalSegLib.types import StructureId
from IncrementalSegLib.volumes.grids import beyond, difference, moved, same_lattice
from IncrementalSegLib.volumes.labels import Labels, Mask, read_label
from IncrementalSegLib.volumes.volume import Grid


@dataclass(frozen=True)
class Strokes:
    """Knowledge of a person about a scan, voxel by voxel.

    A stroke tells the whole truth of its voxels: the structures painted there lie there, and no other does.

    Attributes:
        painted: Structure -> ``(D, H, W)`` bool, True where it was painted.
        known: ``(D, H, W)`` bool, True under any stroke, that of the background included.
    """

    painted: dict[StructureId, Mask]
    known: Mask

    @property
    def background(self) -> Mask:
        """``(D, H, W)`` bool, True where it is known that no structure lies."""
        return np.asarray(self.known & ~np.logical_or.reduce([*self.painted.values()]))

    def imposed(self, masks: dict[StructureId, Mask]) -> dict[StructureId, Mask]:
        """Return masks that agree with the strokes.

        Args:
            masks: Structure -> ``(D, H, W)`` bool; those without an entry in :attr:`painted` stay as they are.
        """
        return {
            item: (mask & ~self.known) | self.painted[item] if item in self.painted else mask
            for item, mask in masks.items()
        }


def read_strokes(path: Path, grid: Grid, structures: StructureList, exclusive: Collection[StructureId]) -> Strokes:
    """Read strokes: one segment per structure, named like it, and one named ``background``.

    Args:
        path: A ``.seg.nrrd`` on the grid of the scan, cropped from it as 3D Slicer saves it, or larger.
        grid: The grid of the scan.
        structures: The structures of the model.
        exclusive: The structures of which at most one can lie at a voxel.

    Raises:
        DataError: Unreadable, without segments, without a painted voxel, or two strokes contradict each other.
        GeometryError: The strokes are on another grid, or painted beyond the scan.
        UnknownNameError: A painted segment is neither a structure of the model nor the background.
    """
    content = read_label(path, grid, examine=lambda layers, own: _check_grid(path, layers, own, grid))
    if not content.segments:
        raise DataError(
            f"The strokes {path.name} hold no segments.",
            "Without their names it is not known of which structure a stroke is.",
            "Save them from the Segment Editor as .seg.nrrd.",
        )
    spelled = {name_key(name): name for name, _, _ in content.segments}
    masks = {name: content.segment(name) for name in spelled.values()}
    masks = {name: mask for name, mask in masks.items() if mask.any()}
    if not masks:
        raise DataError(
            f"The strokes {path.name} are empty.", todo="Paint at least one voxel of a structure or of the background."
        )
    known_names = {name_key(name) for name in (*structures.names, BACKGROUND)}
    for name in masks:
        if name_key(name) not in known_names:
            raise UnknownNameError(
                "structure", name, (*structures.names, BACKGROUND), f"It is a segment of {path.name}."
            )
    apart = {name_key(item.name) for item in structures if item.id in exclusive}
    _refuse_contradictions(path, masks, grid, apart)
    return Strokes(
        {item.id: content.segment(item.name) for item in structures}, np.logical_or.reduce([*masks.values()])
    )


def _check_grid(path: Path, layers: Labels, own: Grid, grid: Grid) -> None:
    """Refuse strokes that would have to be resampled, or cut where something is painted."""
    found = difference(own, grid)
    if not found:
        return
    if not same_lattice(own, grid) or moved(own, grid):
        raise GeometryError(
            f"The strokes {path.name} are on another grid than the scan: {moved(own, grid) or found}.",
            "Resampled, they would not hold the voxels that were painted.",
            "Draw them in the Segment Editor with the scan as source geometry.",
        )
    painted = np.argwhere(layers.any(axis=0))
    outside = painted[beyond(painted, own, grid)]
    if len(outside):
        x, y, z = own.position(outside[0])
        raise GeometryError(
            f"The strokes {path.name} lie beyond the scan in {len(outside)} of their voxels, for example at "
            f"{x:.1f}, {y:.1f}, {z:.1f} mm (LPS).",
            "They may belong to another scan.",
            "Check the pair, or erase what lies outside.",
        )


def _refuse_contradictions(path: Path, masks: dict[str, Mask], grid: Grid, exclusive: Collection[str]) -> None:
    """Refuse voxels that hold the background and a structure, or two structures that exclude each other."""
    for one, two in itertools.combinations(masks, 2):
        pair = {name_key(one), name_key(two)}
        if name_key(BACKGROUND) not in pair and not pair <= set(exclusive):
            continue
        both = masks[one] & masks[two]
        if both.any():
            x, y, z = grid.position(np.argwhere(both)[0])
            raise DataError(
                f"The strokes {path.name} are both {one} and {two} in {np.count_nonzero(both)} of their voxels, "
                f"for example at {x:.1f}, {y:.1f}, {z:.1f} mm (LPS).",
                "Only one of them can be right.",
                "Erase the wrong stroke there.",
            )
