"""The scans of a session: their strokes, their outlines, and the pieces around the strokes that teach."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from IncrementalSegLib.correction.strokes import Strokes
from IncrementalSegLib.engine.sources import ScanSource
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.types import Json, StructureId
from IncrementalSegLib.volumes.labels import Mask

Masks = dict[StructureId, Mask]

Box = tuple[slice, ...]
"""Rows of D, H, W."""

MOST_PIECES = 64
"""Pieces of a scan at most; strokes beyond them teach nothing."""


@dataclass(frozen=True)
class CorrectedScan:
    """A scan of a session.

    Attributes:
        source: The scan.
        sha256: Fingerprint of its files.
        rounds: Rounds so far.
        strokes: All strokes, on the scan's grid.
        first: Outlines before any stroke.
        last: Outlines after the last round.
        pieces: What teaches: crops around the strokes, in which all but the partial labels is ignored.
    """

    source: ScanSource
    sha256: str
    rounds: int
    strokes: Strokes
    first: Masks
    last: Masks
    pieces: tuple[PreparedCase, ...]

    def with_strokes(self, strokes: Strokes) -> CorrectedScan:
        """Return the scan with more strokes; where they contradict earlier ones they replace them."""
        old = self.strokes
        return replace(self, strokes=Strokes(strokes.imposed(old.painted), old.known | strokes.known))

    @property
    def case(self) -> Case:
        """The scan as a case, in which all structures with an outline were looked for."""
        return Case(self.source.name, self.source.name, self.source.paths, frozenset(self.first))

    def agreement(self, structure: StructureId) -> float | None:
        """Return the Dice of the first and the last outline of a structure; ``None`` where both are empty."""
        one, two = self.first[structure], self.last[structure]
        size = int(one.sum()) + int(two.sum())
        return 2 * int((one & two).sum()) / size if size else None

    def to_files(self) -> tuple[Json, dict[str, Tensor]]:
        """Return everything as a JSON object and named tensors."""
        tensors = {"known": _packed(self.strokes.known)}
        for kind, masks in (("painted", self.strokes.painted), ("first", self.first), ("last", self.last)):
            tensors |= {f"{kind}/{item}": _packed(mask) for item, mask in masks.items()}
        for index, piece in enumerate(self.pieces):
            assert piece.ignore is not None
            found = {"image": piece.image, "masks": piece.masks, "ignore": piece.ignore}
            tensors |= {f"piece/{index}/{name}": tensor for name, tensor in found.items()}
        return {
            "scan": self.source.name,
            "paths": [str(path.absolute()) for path in self.source.paths],
            "sha256": self.sha256,
            "rounds": self.rounds,
            "shape": list(self.strokes.known.shape),
            "pieces": len(self.pieces),
            "structures": list(self.first),
        }, tensors

    @classmethod
    def from_files(cls, document: Json, tensors: Mapping[str, Tensor]) -> CorrectedScan:
        """Rebuild a scan from :meth:`to_files`."""
        shape, structures = tuple(document["shape"]), tuple(document["structures"])

        def masks(kind: str) -> Masks:
            return {item: _unpacked(tensors[f"{kind}/{item}"], shape) for item in structures}

        name = document["scan"]
        return cls(
            source=ScanSource(name, tuple(map(Path, document["paths"]))),
            sha256=document["sha256"],
            rounds=document["rounds"],
            strokes=Strokes(masks("painted"), _unpacked(tensors["known"], shape)),
            first=masks("first"),
            last=masks("last"),
            pieces=tuple(
                PreparedCase(
                    id=name,
                    patient=name,
                    structures=structures,
                    image=tensors[f"piece/{index}/image"],
                    masks=tensors[f"piece/{index}/masks"],
                    ignore=tensors[f"piece/{index}/ignore"],
                )
                for index in range(document["pieces"])
            ),
        )


def cut_pieces(case: PreparedCase, boxes: Iterable[Box]) -> tuple[PreparedCase, ...]:
    """Return crops of a case.

    Args:
        case: The scan with its partial labels; what is not known is ignored.
        boxes: Of :func:`boxes_around`.
    """
    assert case.ignore is not None
    return tuple(
        replace(
            case,
            image=case.image[(slice(None), *box)].clone(),
            masks=case.masks[(slice(None), *box)].clone(),
            ignore=case.ignore[box].clone(),
            place=None,
        )
        for box in boxes
    )


def boxes_around(strokes: Tensor, patch: Sequence[int]) -> list[Box]:
    """Return boxes of the size of a patch that hold every stroke, at most :data:`MOST_PIECES`.

    Args:
        strokes: ``(D, H, W)`` bool, True under a stroke.
        patch: Size (D, H, W) of a box; 1 along D for a 2-D network.
    """
    left, found = strokes.clone(), list[Box]()
    while bool(left.any()) and len(found) < MOST_PIECES:
        voxel = left.nonzero()[0].tolist()
        starts = [
            min(max(centre - size // 2, 0), max(0, length - size))
            for centre, size, length in zip(voxel, patch, left.shape, strict=True)
        ]
        box = tuple(slice(start, start + size) for start, size in zip(starts, patch, strict=True))
        left[box] = False
        found.append(box)
    return found


def _packed(mask: Mask) -> Tensor:
    return torch.from_numpy(np.packbits(mask))


def _unpacked(bits: Tensor, shape: tuple[int, ...]) -> Mask:
    return np.unpackbits(bits.numpy(), count=int(np.prod(shape))).reshape(shape).astype(bool)
