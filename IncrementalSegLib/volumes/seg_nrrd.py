"""Masks into a segmentation of 3D Slicer, slab by slab.

ITK needs all layers at once, four times over.  For ten overlapping structures of a large scan that is more memory than
segmenting takes, so the file, a short text and one gzip stream, is written here.
"""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.io import write_atomically
from IncrementalSegLib.volumes.labels import Labels, Mask
from IncrementalSegLib.volumes.volume import Grid

_REPRESENTATION = "Binary labelmap"
_SLAB = 1 << 24
"""Labels that are packed at a time."""

_LEVEL = 4  # of gzip: half the time of 6, for files that are at most half as large again


@dataclass(frozen=True)
class _Place:
    """Where a mask goes: its layer, its value there, and its box as slices along D, H, W."""

    layer: int
    value: int
    box: tuple[slice, slice, slice]

    @property
    def extent(self) -> str:
        """First and last voxel along x, y, z, as Slicer writes them."""
        return " ".join(f"{part.start} {part.stop - 1}" for part in reversed(self.box))


def write_seg_nrrd(path: Path | str, masks: Mapping[str, Mask], grid: Grid, structures: Iterable[Structure]) -> None:
    """Write masks as a segmentation of 3D Slicer; structures that overlap go to different layers.

    Each segment carries the structure's uuid as its ID, its name, colour and terminology.

    Args:
        path: File that ends in ``.seg.nrrd``.
        masks: Structure id (or name) -> ``(D, H, W)`` mask on ``grid``.
        grid: The grid of the scan.
        structures: The structures to write, in the order in which Slicer lists them.

    Raises:
        DataError: Another ending, a mask that is missing or of another size, or a disk that cannot take the file.
    """
    path = Path(path)
    if not path.name.lower().endswith(".seg.nrrd"):
        raise DataError(f"{path.name!r} does not end in .seg.nrrd.", todo="Choose such a name, or write a label map.")
    structures = list(structures)
    outlines = [mask_of(masks, structure, grid) for structure in structures]
    places = _places(outlines)
    head = "\n".join([*_geometry(grid, places), *_segments(grid, structures, places), "", ""])

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            file.write(head.encode("utf-8"))
            # Without a name and a time, so that the same masks give the same file.
            with gzip.GzipFile("", "wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as packed:
                for slab in _slabs(outlines, places, grid):
                    packed.write(np.ascontiguousarray(slab).data)

    write_atomically(path, write)


def mask_of(masks: Mapping[str, Mask], structure: Structure, grid: Grid) -> Mask:
    """Return the mask of a structure by its id or name.

    Raises:
        DataError: There is none, or it is of another size than the grid.
    """
    mask = masks.get(structure.id, masks.get(structure.name))
    if mask is None or tuple(mask.shape) != grid.shape:
        size = "no mask" if mask is None else f"a mask of the size {tuple(mask.shape)}"
        raise DataError(f"There is {size} for {structure.name!r} on the grid {grid.shape}.", todo="Report this.")
    return np.asarray(mask, dtype=np.bool_)


def _places(masks: Sequence[Mask]) -> list[_Place]:
    """Put each mask into the first layer where it touches no other."""
    boxes = [_box(mask) for mask in masks]
    layers: list[list[int]] = []
    places = []
    for number, box in enumerate(boxes):
        free = (
            layer
            for layer, others in enumerate(layers)
            if not any(_overlap(masks[number], masks[other], box, boxes[other]) for other in others)
        )
        layer = next(free, len(layers))
        if layer == len(layers):
            layers.append([])
        layers[layer].append(number)
        places.append(_Place(layer, len(layers[layer]), box))
    return places


def _box(mask: Mask) -> tuple[slice, slice, slice]:
    """Return the box around a mask; empty slices where the mask is empty."""
    ends = []
    for axis in range(3):
        filled = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        ends.append(slice(int(filled[0]), int(filled[-1]) + 1) if len(filled) else slice(0, 0))
    return ends[0], ends[1], ends[2]


def _overlap(one: Mask, other: Mask, box: Sequence[slice], other_box: Sequence[slice]) -> bool:
    pairs = zip(box, other_box, strict=True)
    common = tuple(slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in pairs)
    if any(part.stop <= part.start for part in common):
        return False
    return any((here & there).any() for here, there in zip(one[common], other[common], strict=True))


def _slabs(masks: Sequence[Mask], places: Sequence[_Place], grid: Grid) -> Iterator[Labels]:
    """Yield the labels of a few slices at a time, ``(n, H, W, layers)``."""
    layers = _layers(places)
    count = max(1, _SLAB // (layers * grid.shape[1] * grid.shape[2]))
    for start in range(0, grid.shape[0], count):
        rows = slice(start, min(start + count, grid.shape[0]))
        slab = np.zeros((rows.stop - start, *grid.shape[1:], layers), dtype=_type(places))
        for mask, place in zip(masks, places, strict=True):
            slab[..., place.layer][mask[rows]] = place.value
        yield slab


def _layers(places: Sequence[_Place]) -> int:
    return max((place.layer for place in places), default=0) + 1


def _type(places: Sequence[_Place]) -> np.dtype[np.unsignedinteger]:
    return np.dtype("<u1" if max((place.value for place in places), default=0) < 256 else "<u2")


def _geometry(grid: Grid, places: Sequence[_Place]) -> list[str]:
    """Return the fields of the header; a picture gets three axes too, which Slicer wants."""
    layers, sizes = _layers(places), [*reversed(grid.shape)]
    columns = [_vector(column) for column in (grid.matrix * grid.spacing).T]
    several = layers > 1
    return [
        "NRRD0004",
        f"type: {'unsigned char' if _type(places).itemsize == 1 else 'unsigned short'}",
        f"dimension: {3 + several}",
        "space: left-posterior-superior",
        "sizes: " + " ".join(map(str, [layers, *sizes] if several else sizes)),
        "space directions: " + " ".join(["none", *columns] if several else columns),
        "kinds: " + " ".join([*["list"] * several, "domain", "domain", "domain"]),
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(grid.origin)}",
    ]


def _segments(grid: Grid, structures: Sequence[Structure], places: Sequence[_Place]) -> list[str]:
    """Return what Slicer adds to the header: the representation, and what each segment is."""
    fields = {
        "Segmentation_MasterRepresentation": _REPRESENTATION,
        "Segmentation_ContainedRepresentationNames": f"{_REPRESENTATION}|",
        "Segmentation_ReferenceImageExtentOffset": "0 0 0",
        "Segmentation_ConversionParameters": _reference_geometry(grid),
    }
    for index, (structure, place) in enumerate(zip(structures, places, strict=True)):
        fields |= {
            f"Segment{index}_{key}": text
            for key, text in {
                "ID": structure.id,
                "Name": " ".join(structure.name.split()),
                "NameAutoGenerated": "0",
                "Color": " ".join(f"{part / 255:.6g}" for part in structure.color),
                "ColorAutoGenerated": "0",
                "Extent": place.extent,
                "LabelValue": str(place.value),
                "Layer": str(place.layer),
                "Tags": f"TerminologyEntry:{structure.terminology}|" if structure.terminology else "",
            }.items()
        }
    return [f"{key}:={_escaped(text)}" for key, text in fields.items()]


def _escaped(text: str) -> str:
    r"""Write a backslash and a line break as the NRRD format does: ``\\`` and ``\n``."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _vector(numbers: Iterable[float]) -> str:
    return "(" + ",".join(f"{float(number) + 0.0:.17g}" for number in numbers) + ")"


def _reference_geometry(grid: Grid) -> str:
    """Return the scan's grid as Slicer writes it: 4x4 matrix to RAS, then the extent."""
    matrix = np.eye(4)
    matrix[:3, :3] = grid.matrix * grid.spacing
    matrix[:3, 3] = grid.origin
    matrix[:2] *= -1
    extent = itertools.chain.from_iterable((0, size - 1) for size in reversed(grid.shape))
    numbers = ";".join(f"{value + 0.0:.17g}" for value in (*matrix.ravel(), *extent))
    return f"Reference image geometry|{numbers};|Grid of the scan that was segmented.&"
