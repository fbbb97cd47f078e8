"""Adopt the networks of TotalSegmentator: trained folders of nnU-Net, one for each part of the body.

After its public repository (https://github.com/wasserth/TotalSegmentator): names of the folders, structures, and their
SNOMED CT codes.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from pathlib import Path

from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.adoption.refusal import NOTHING, refused
from IncrementalSegLib.errors import ModelError, UnknownNameError
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.terminology import anatomical, terminology_of

_FOLDER = re.compile(r"Dataset\d{3}_TotalSeg(?:mentator|MRI)_(?:part\d+_)?(?P<part>\w+?)_\d+subj\w*")
_CONTEXT = "Segmentation category and type - Total Segmentator"
_SIDE = re.compile("_(left|right)")


def adopt_totalsegmentator(
    folder: str | Path, model: str | Path, *, part: str | None = None
) -> list[tuple[Path, VersionRecord]]:
    """Make a new model of each part of TotalSegmentator that is there; see :func:`~.adopt.adopt_nnunet`.

    Args:
        folder: The folder with ``Dataset291_TotalSegmentator_part1_organs_1559subj`` and the like, or one of these.
        model: Folder of the new model; of several parts each is called ``MODEL-PART``.
        part: The only part to adopt, such as ``organs`` or ``ribs``.

    Returns:
        Folder and record of each model.

    Raises:
        UnknownNameError: There is no such part.
        ModelError: No part is there, two have the same name, or one is refused; parts before it are adopted.
    """
    parts = parts_of(Path(folder))
    if not parts:
        raise refused(
            Path(folder),
            "it holds no network of TotalSegmentator",
            "Its folders are called as Dataset291_TotalSegmentator_part1_organs_1559subj.",
            "Name the folder nnunet/results of TotalSegmentator.",
        )
    if part is not None:
        if part not in parts:
            raise UnknownNameError("part", part, sorted(parts))
        parts = {part: parts[part]}
    target = Path(model)
    places = {name: target if len(parts) == 1 else target.with_name(f"{target.name}-{name}") for name in parts}
    for place in places.values():
        if place.exists():
            raise ModelError(f"{place} is already there.", todo=f"Choose another name. {NOTHING}")
    made: list[tuple[Path, VersionRecord]] = []
    for name, path in parts.items():
        try:
            made.append((places[name], adopt_nnunet(path, places[name], codes=code_of)))
        except ModelError as error:
            if not made:
                raise
            raise ModelError(
                f"{', '.join(str(place) for place, _ in made)} {'is' if len(made) == 1 else 'are'} written, and then "
                f"the part {name} was refused. {error.what}",
                error.why,
                str(error.todo).removesuffix(NOTHING) + "Adopt the other parts one by one.",
            ) from error
    return made


def code_of(name: str) -> str | None:
    """Return the terminology entry of a structure of TotalSegmentator.

    Example:
        >>> code_of("rib_left_4").split("~")[2:4]
        ['SCT^25523003^Fourth rib', 'SCT^7771000^Left']
    """
    found = _types().get(_SIDE.sub("", name))
    if found is None:
        return terminology_of(name)
    side = _SIDE.search(name)
    return anatomical(_CONTEXT, ("SCT", found[0], found[1]), side[1] if side else "")


def parts_of(folder: Path) -> dict[str, Path]:
    """Return the folder of each part that lies in a folder, or that it is or belongs to, by the name of the part.

    Raises:
        ModelError: Two have the same name.
    """
    folder, found = folder.absolute(), dict[str, Path]()
    if match := _FOLDER.fullmatch(folder.parent.name):
        return {match["part"]: folder}
    for path in [folder, *(sorted(folder.iterdir()) if folder.is_dir() else ())]:
        if (match := _FOLDER.fullmatch(path.name)) and path.is_dir():
            if match["part"] in found:
                raise refused(
                    folder,
                    f"{found[match['part']].name} and {path.name} are the same part",
                    "They are of different versions of TotalSegmentator.",
                    "Name one of these folders.",
                )
            found[match["part"]] = path
    return found


@cache
def _types() -> dict[str, tuple[str, str]]:
    text = resources.files(__package__).joinpath("totalsegmentator.json").read_text(encoding="utf-8")
    return {name: (value, meaning) for name, (value, meaning) in json.loads(text)["types"].items()}
