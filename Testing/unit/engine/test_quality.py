"""Warnings of structures that a version hardly or poorly knows."""

from pathlib import Path

import pytest

from IncrementalSegLib.engine.quality import hardly_learned, list_versions, quality_warnings
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.versions import create_or_open, open_model
from IncrementalSegLib.structures import Structure, StructureList

NAMES = ("liver", "spleen", "kidney", "colon")


def version(structures: StructureList, dice: dict[str, float | None], parent: int | None = None) -> VersionRecord:
    """Return a record in which the named structures were validated on two scans."""
    scores = {
        structures.named(name).id: {"validation_dice": value, "cases": 0 if value is None else 2}
        for name, value in dice.items()
    }
    return VersionRecord(
        parent=parent, structures=structures, architecture={}, preprocessing={}, step={"method": "mib"}, scores=scores
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Two steps; the second one teaches the colon, and the gate scores the liver again and doubts the kidney."""
    structures = StructureList(tuple(Structure.create(name, 1) for name in NAMES))
    folder = create_or_open(tmp_path / "model")
    older = structures.select(NAMES[:3])
    folder.write(version(older, {"liver": 0.9, "spleen": 0.49, "kidney": 0.5}), {}, {})
    rows = [
        {"id": structures.named("liver").id, "structure": "liver", "basis": "scans", "verdict": "harmed",
         "after": [{"dice": 0.02}]},
        {"id": structures.named("kidney").id, "structure": "kidney", "basis": "exemplars", "verdict": "unsure",
         "after": [{"dice": 0.2}]},
    ]  # fmt: skip
    folder.write(version(structures, {"colon": 0.0}, parent=1), {}, {"retention": {"structures": rows}})
    return folder.path


def said(model: Path, number: int) -> list[str]:
    folder = open_model(model)
    return quality_warnings(folder, number, folder.record(number).structures)


def test_each_structure_with_a_low_newest_dice_is_said_once(model: Path) -> None:
    spleen = "spleen was poorly learned (Dice 0.49 on 2 held-out scans): do not rely on its outline."
    assert said(model, 1) == [spleen]
    assert said(model, 2) == [
        "liver was hardly learned (Dice 0.02 on 1 held-out scan): do not rely on its outline.",
        spleen,
        "colon was hardly learned (Dice 0.00 on 2 held-out scans): do not rely on its outline.",
    ]


def test_only_the_structures_asked_for_are_said(model: Path) -> None:
    folder = open_model(model)
    assert quality_warnings(folder, 2, folder.record(2).structures.select(["kidney"])) == []


def test_a_structure_without_a_score_is_not_called_unlearned() -> None:
    structures = StructureList((Structure.create("liver", 1),))
    assert hardly_learned(version(structures, {"liver": None})) == []
    assert hardly_learned(version(structures, {"liver": 0.05})) == ["liver"]


def test_the_list_of_versions_names_what_is_in_doubt(model: Path) -> None:
    one, two = list_versions(open_model(model))["versions"]
    assert (one["hardly_learned"], one["unsure"]) == ([], [])
    assert (two["hardly_learned"], two["unsure"]) == (["colon"], ["kidney"])
