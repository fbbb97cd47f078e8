"""Terminology and colour of a structure by its name, so that a result opens in Slicer with meaning."""

from __future__ import annotations

import colorsys
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

_CONTEXTS = {
    "general": "Segmentation category and type - 3D Slicer General Anatomy list",
    "dicom": "Segmentation category and type - DICOM master list",
}
_REGIONS = "Anatomic codes - DICOM master list"
_SIDES = {
    "left": ("SCT", "7771000", "Left"),
    "right": ("SCT", "24028007", "Right"),
}
_SIDE_WORDS = {"left": "left", "lt": "left", "l": "left", "right": "right", "rt": "right", "r": "right"}

Code = tuple[str, str, str]
"""Coding scheme, code value, code meaning."""

_NOTHING: Code = ("", "", "")
_ANATOMICAL: Code = ("SCT", "123037004", "Anatomical Structure")


@dataclass(frozen=True)
class _Entry:
    """One row of the table.

    Attributes:
        context: Key of the terminology that lists the type.
        category: What kind of thing it is.
        type: What it is.
        region: Where it is, or ``None``.
        color: Red, green, blue, each 0..255.
        paired: Whether left and right exist.
    """

    context: str
    category: Code
    type: Code
    region: Code | None
    color: tuple[int, int, int]
    paired: bool


def terminology_of(name: str) -> str | None:
    """Return Slicer's serialised terminology entry of a structure.

    Case, punctuation and the place of "left" and "right" do not matter.

    Args:
        name: For example ``"Kidney, left"`` or ``"kidney_left"``.

    Returns:
        The entry, or ``None`` where the table does not know the name.

    Example:
        >>> terminology_of("left kidney").split("~")[2:4]
        ['SCT^64033007^Kidney', 'SCT^7771000^Left']
    """
    entry, side = _find(name)
    if entry is None:
        return None
    modifier = _SIDES[side] if side and entry.paired else _NOTHING
    in_type, in_region = (_NOTHING, modifier) if entry.region else (modifier, _NOTHING)
    return _serialised(_CONTEXTS[entry.context], entry.category, entry.type, in_type, entry.region, in_region)


def anatomical(context: str, code: Code, side: str = "") -> str:
    """Return Slicer's serialised terminology entry of an anatomical structure by its code.

    Args:
        context: The terminology that lists it.
        code: Its code.
        side: ``left``, ``right`` or nothing.
    """
    return _serialised(context, _ANATOMICAL, code, _SIDES.get(side, _NOTHING))


def color_of(name: str) -> tuple[int, int, int]:
    """Return the colour of a structure: from the table, else one that its name always gives.

    Args:
        name: The structure's name.

    Returns:
        Red, green, blue, each 0..255.
    """
    entry, _ = _find(name)
    if entry is not None:
        return entry.color
    words, _ = _words(name)
    digest = hashlib.sha256(" ".join(words).encode()).digest()
    # Bright and saturated enough to be seen as a thin contour on grey, in 24 hues.
    hue, saturation, value = digest[0] % 24 / 24, 0.55 + digest[1] % 4 * 0.1, 0.75 + digest[2] % 3 * 0.1
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def known_names() -> list[str]:
    """Return the names in the table, without sides, in its order."""
    return list(_table())


def _serialised(
    context: str,
    category: Code,
    kind: Code,
    modifier: Code,
    region: Code | None = None,
    region_modifier: Code = _NOTHING,
) -> str:
    codes = [context, *("^".join(code) for code in (category, kind, modifier))]
    return "~".join([*codes, _REGIONS, *("^".join(code) for code in (region or _NOTHING, region_modifier))])


def _find(name: str) -> tuple[_Entry | None, str]:
    """Return the row of a name, and ``"left"``, ``"right"`` or nothing."""
    words, side = _words(name)
    table = _table()
    entry = table.get(" ".join(words))
    if entry is None and len(words) > 1:
        # "vertebrae L5", "rib left 4": the level says which one, the row says what.
        entry = table.get(" ".join(word for word in words if not re.fullmatch(r"[ctls]?\d{1,2}", word)))
    if entry is None:
        entry = table.get(" ".join(_words(name, sided=False)[0]))
    return entry, side


def _words(name: str, sided: bool = True) -> tuple[list[str], str]:
    """Split a name into lower-case words without the side, and the side."""
    words = re.findall(r"[^\W_]+", name.casefold())
    sides = [_SIDE_WORDS[word] for word in words if word in _SIDE_WORDS] if sided and len(words) > 1 else []
    if len(sides) != 1:
        return words, ""
    return [word for word in words if word not in _SIDE_WORDS], sides[0]


@cache
def _table() -> dict[str, _Entry]:
    text = resources.files("IncrementalSegLib").joinpath("terminology.json").read_text(encoding="utf-8")
    table: dict[str, _Entry] = {}
    data = json.loads(text)
    for row in data["structures"]:
        red, green, blue = row["color"]
        entry = _Entry(
            context=row.get("context", "general"),
            category=_code(data["categories"][row.get("category", "structure")]),
            type=_code(row["type"]),
            region=_code(row["region"]) if "region" in row else None,
            color=(red, green, blue),
            paired=row.get("paired", False),
        )
        for name in row["names"]:
            table[" ".join(_words(name, sided=False)[0])] = entry
    return table


def _code(parts: Sequence[str]) -> Code:
    scheme, value, meaning = parts
    return scheme, value, meaning
