"""A release and its notes: the card of the model, and a page for who receives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from IncrementalSegLib.engine.models import LoadedModel
from IncrementalSegLib.engine.packages.card import card_of, card_page, escaped
from IncrementalSegLib.engine.packages.schema import plain_texts
from IncrementalSegLib.engine.quality import newest_record_scores, quality_warnings
from IncrementalSegLib.names import plain, tame
from IncrementalSegLib.types import Json

_OVERLAPPING = (
    "Structures may overlap. Each has a probability of its own; in a label map, which holds one value for a voxel, "
    "later ones are painted over earlier ones."
)


@dataclass(frozen=True)
class Release:
    """A model in the form of another program.

    Attributes:
        folder: The folder with ``plans.json`` or ``plan.json``, or that of the bundle.
        version: The version.
        labels: Value of each structure in label maps; the channel of one that may overlap others in a bundle.
        overlapping: Structures may overlap; in a label map later ones are painted over earlier ones.
        folds: Number of folds.
        command: The command that segments with it; empty where a program is to be written around it.
        license: Terms of use; may be empty.
        warnings: What speaks against passing the version on.
    """

    folder: Path
    version: int
    labels: Mapping[str, int]
    overlapping: bool
    folds: int
    command: str
    license: str
    warnings: tuple[str, ...]


def card_for(found: LoadedModel, license_text: str) -> Json:
    """Return the card of a version of which weights alone are passed on.

    Args:
        found: The version.
        license_text: On what terms it may be used; by default as its own card states.

    Raises:
        ModelError: A document of the version is missing or damaged.
    """
    folder, number = found.folder, found.record.number
    documents = {
        "record": found.record.to_json() | {"scores": newest_record_scores(folder, found.record)},
        "history": folder.document("history", number),
        "prototypes": {},
        "exemplars": {},
    }
    tensors = {"weights": dict(found.segmenter.state_dict()), "exemplars": {}}
    terms = plain(license_text) or folder.document("card", number).get("license", "")
    card = card_of(tame(folder.name), plain_texts(documents), tensors, terms)
    return card | {"patient_data": card["patient_data"] | {"fingerprints": 0}}


def doubts(found: LoadedModel) -> tuple[str, ...]:
    """Return what speaks against passing a version on, sentence by sentence."""
    record, said = found.record, list[str]()
    status = found.folder.status(record.number)
    if status in ("candidate", "rejected"):
        standing = "is a candidate" if status == "candidate" else "was rejected"
        said.append(f"Version {record.number} is not in use: it {standing}.")
    if record.held_back_by:
        said.append(f"The retention gate found that it harms older structures: {', '.join(record.held_back_by)}.")
    return (*said, *quality_warnings(found.folder, record.number, record.structures))


def readme(
    release: Release, card: Json, origin: Json, form: tuple[str, str], notes: Sequence[str], use: str = ""
) -> str:
    """Return the page of a release, in Markdown.

    Args:
        release: The release.
        card: Its card.
        origin: Where an adopted model comes from; may be empty.
        form: What it is for and what it is, as ends of sentences.
        notes: What a person should know of it besides.
        use: How to run it, in Markdown; by default the command.
    """
    values = [f"| {value} | {escaped(name)} |" for name, value in release.labels.items()]
    said = [f"**{escaped(warning)}**" for warning in release.warnings]
    said += [_OVERLAPPING if release.overlapping else "Structures exclude each other.", *notes]
    if origin:
        said.append(
            f"The network was adopted from {escaped(origin['folder'])} ({origin['program']})"
            + (" and may have learned since." if release.version > 1 else ".")
        )
    return "\n".join(
        [
            f"# {escaped(card['name'])} {form[0]}\n",
            f"Version {release.version} of a model of IncrementalSeg, {form[1]}.\n",
            use or f"    {release.command}\n",
            "| value | structure |\n|---|---|",
            *values,
            "",
            *(f"- {note}" for note in said),
            "",
            card_page(card).partition("\n")[2].strip(),
            "",
        ]
    )
