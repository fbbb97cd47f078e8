"""The axes of a NRRD file: which are space, which one is channels or time, and where the samples lie."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, GeometryError

_AGAIN = "The file is damaged: copy or export it again."
_VECTOR = re.compile(r"none|\([^()]{1,200}\)")
_SPACE_SIGNS = {"lps": (1, 1, 1), "ras": (-1, -1, 1), "las": (1, -1, 1)}
"""Space -> signs that bring its axes to LPS."""
_LONG_NAMES = {"left": "l", "right": "r", "posterior": "p", "anterior": "a", "superior": "s", "inferior": "i"}
_AS_THEY_ARE = ("scanner-xyz", "3d-right-handed", "3d-left-handed", "")
_SPATIAL = ("domain", "space", "???", "none")
_COMPONENTS = re.compile(
    r"(\d-|rgb-|rgba-|hsv-|xyz-)?(color|vector|gradient|normal|point)|covariant-vector|scalar|stub"
)
_MM = {"": 1.0, "mm": 1.0, "millimeter": 1.0, "millimeters": 1.0, "um": 0.001, "µm": 0.001, "cm": 10.0, "m": 1000.0}
_TIMES = ("s", "ms", "us", "sec", "msec", "second", "seconds", "time", "frame", "frames", "phase", "temporal")


@dataclass(frozen=True)
class Axes:
    """The axes of a file, the fastest first.

    Attributes:
        sizes: Samples along each axis.
        spatial: The two or three axes of space.
        other: The axis that is none of space; ``None`` where there is none.
        components: The header says that ``other`` is channels.
        time: What in the header says that ``other`` is time; empty where nothing does.
        spacing: Millimetres along the axes of space.
        origin: Position of the first sample, LPS.
        direction: Matrix whose columns are the axes of space.
    """

    sizes: tuple[int, ...]
    spatial: tuple[int, ...]
    other: int | None
    components: bool
    time: str
    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: NDArray[np.float64]


def read_axes(fields: Mapping[str, str], pairs: Mapping[str, str], name: str) -> Axes:
    """Understand the axes of a header.

    Args:
        fields: The fields of the format.
        pairs: The free keys and values.
        name: Name of the file, for messages.

    Raises:
        DataError: Sizes that are none, too many axes, or complex numbers.
        GeometryError: Directions or units that cannot be understood.
    """
    sizes = _sizes(fields, name)
    count = len(sizes)
    kinds = [kind.lower() for kind in fields.get("kinds", "").split()] or [""] * count
    directions = _vectors(fields["space directions"], name) if "space directions" in fields else None
    if len(kinds) != count or (directions is not None and len(directions) != count):
        raise DataError(f"{name} has {count} axes and describes another number of them.", todo=_AGAIN)
    if "complex" in kinds:
        raise DataError(f"{name} holds complex numbers.", todo="Export magnitude images.")
    others = [
        axis
        for axis, kind in enumerate(kinds)
        if (kind and kind not in _SPATIAL) or (directions is not None and directions[axis] is None)
    ]
    if not others and count == 4:
        others = [3]
    spatial = tuple(axis for axis in range(count) if axis not in others)
    if len(others) > 1 or len(spatial) not in (2, 3):
        raise DataError(
            f"{name} has {count} axes, {len(spatial)} of them in space.",
            todo="Give a 2-D picture, a 3-D scan, or a 4-D file whose fourth axis is the channel.",
        )
    other = others[0] if others else None
    spacing, origin, direction = _place(fields, directions, spatial, name)
    return Axes(
        sizes,
        spatial,
        other,
        other is not None and bool(_COMPONENTS.fullmatch(kinds[other])),
        "" if other is None else _time(fields, pairs, kinds[other], other, count),
        spacing,
        origin,
        direction,
    )


def _sizes(fields: Mapping[str, str], name: str) -> tuple[int, ...]:
    words = fields.get("sizes", "").split()
    if not re.fullmatch(r"\d{1,2}", fields.get("dimension", "")) or int(fields["dimension"]) != len(words):
        dimension = fields.get("dimension", "")[:20]
        raise DataError(f"{name} says that it has {dimension!r} axes and {len(words)} sizes.", todo=_AGAIN)
    if len(words) > 4:
        raise DataError(f"{name} has {len(words)} axes.", todo="Give a 2-D picture or a 3-D scan.")
    if not all(re.fullmatch(r"\d{1,12}", word) for word in words):
        raise DataError(f"{name} has the sizes {' x '.join(words)[:80]!r}.", todo=_AGAIN)
    sizes = tuple(int(word) for word in words)
    if 0 in sizes:
        raise DataError(f"{name} holds no voxel.", todo="Export the file again.")
    return sizes


def _place(
    fields: Mapping[str, str], directions: list[tuple[float, ...] | None] | None, spatial: tuple[int, ...], name: str
) -> tuple[tuple[float, ...], tuple[float, ...], NDArray[np.float64]]:
    """Return spacing, origin and directions of the axes of space."""
    axes = len(spatial)
    if directions is None:
        words = fields.get("spacings", "").split()
        units = re.findall(r'"[^"]*"|\S+', fields.get("units", ""))
        scale = _scale([units[axis] for axis in spatial], name) if len(units) > max(spatial) else 1.0
        spacing = tuple(_number(words[axis], name) * scale for axis in spatial) if words else (1.0,) * axes
        return spacing, (0.0,) * axes, np.eye(axes)
    signs = _signs(fields, name)
    scale = _scale(re.findall(r'"[^"]*"|\S+', fields.get("space units", "")), name)
    vectors = [directions[axis] or () for axis in spatial]
    places = _vectors(fields["space origin"], name) if "space origin" in fields else [(0.0,) * len(vectors[0])]
    origin = (places[0] if len(places) == 1 else None) or ()
    if min(map(len, [*vectors, origin])) < axes:
        raise GeometryError(f"{name} gives its axes fewer numbers than it has axes.", todo=_AGAIN)
    matrix = np.array([vector[:axes] for vector in vectors]).T * np.array(signs[:axes])[:, np.newaxis]
    lengths = np.linalg.norm(matrix, axis=0)
    if not (np.isfinite(lengths).all() and lengths.all()):
        raise GeometryError(f"{name} gives its voxels an impossible size.", todo="Export the scan again.")
    place = np.array(origin[:axes]) * signs[:axes] * scale
    return tuple((lengths * scale).tolist()), tuple(place.tolist()), matrix / lengths


def _signs(fields: Mapping[str, str], name: str) -> tuple[int, ...]:
    space = fields.get("space", "").lower().removesuffix("-time")
    if space in _AS_THEY_ARE:
        return (1, 1, 1)
    letters = "".join(_LONG_NAMES.get(word, word) for word in space.split("-"))
    letters = letters[:3] if letters[3:] == "t" else letters
    if letters not in _SPACE_SIGNS:
        raise GeometryError(f"{name} is in the space {space[:40]!r}.", todo="Export it in LPS or RAS.")
    return _SPACE_SIGNS[letters]


def _scale(words: Sequence[str], name: str) -> float:
    """Return the millimetres of the unit of the axes."""
    units = [word.strip('" ').lower() for word in words] or [""]
    scales = {_MM.get(unit) for unit in units if unit not in _TIMES}
    scale = scales.pop() if len(scales) == 1 else None
    if scale is None:
        raise GeometryError(f"{name} has the units {' '.join(words)[:40]}.", todo="Export it in millimetres.")
    return scale


def _time(fields: Mapping[str, str], pairs: Mapping[str, str], kind: str, axis: int, count: int) -> str:
    """Return what in the header says that an axis is time; empty where nothing does."""
    if kind == "time":
        return "an axis of the kind time"
    words = []
    for field in ("labels", "units"):
        found = re.findall(r'"[^"]*"|\S+', fields.get(field, ""))
        words += [found[axis]] if len(found) == count else []
    words += [value for key, value in pairs.items() if key.startswith(f"axis {axis} index")]
    return next((f"{word.strip()[:40]} for it" for word in words if word.strip('" ').lower() in _TIMES), "")


def _vectors(text: str, name: str) -> list[tuple[float, ...] | None]:
    """Return the vectors of a field; ``None`` for the word ``none``."""
    found = _VECTOR.findall(text)
    if _VECTOR.sub("", text).strip():
        raise GeometryError(f"{name} has directions that cannot be understood ({text[:40]!r}).", todo=_AGAIN)
    return [
        None if word == "none" else tuple(_number(part, name) for part in word.strip("()").split(",")) for word in found
    ]


def _number(text: str, name: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise GeometryError(f"{name} has the number {text[:40]!r} in its place.", todo=_AGAIN) from error
