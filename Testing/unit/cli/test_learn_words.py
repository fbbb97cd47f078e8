"""What `learn` tells people about the step that it made."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from IncrementalSegLib.cli.learn import _show
from IncrementalSegLib.engine.step.state import TrainingCurve
from IncrementalSegLib.structures import Structure, StructureList


def said(
    capsys: pytest.CaptureFixture[str],
    dice: float | None,
    curve: TrainingCurve,
    parent: int | None = 1,
    normalisation: str = "zscore",
    cases: int = 1,
    asked: Path | None = None,
    unjudged: tuple[str, ...] = (),
    accepted: bool = True,
    model: str = "shoulder",
    devices: int = 1,
) -> str:
    record = SimpleNamespace(
        number=2, parent=parent, preprocessing={"normalisation": normalisation},
        structures=StructureList((Structure.create("humerus", 1), Structure.create("scapula", 2))),
        seconds=9.0, accepted=accepted,
        architecture={},
        step={"method": "pcdd", "held_out": [], "batch": 8, "devices": devices},
    )  # fmt: skip
    made = {
        "hardly_learned": ["scapula"] if dice == 0.0 else [],
        "unjudged": list(unjudged),
        "validation": {"scapula": {"validation_dice": dice, "cases": 0 if dice is None else cases}},
    }
    report = SimpleNamespace(rows=(), held_back_by=(), guaranteed=False)
    result: Any = SimpleNamespace(record=record, curve=curve, report=report, page=None, to_json=lambda: made)
    _show(result, Path(model), asked)
    return capsys.readouterr().out


def test_a_structure_that_was_hardly_learned_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The gate does not see it: a version whose new structure is found nowhere harms no older one."""
    text = said(capsys, 0.0, TrainingCurve(200, 170, best_step=34))
    last = text.splitlines()[-1]
    assert last.startswith("Hardly learned: scapula (Dice 0.00) on one case, which may be unusual. Version 2 is in use")
    assert "weights of optimiser step 34, ended early after 170 of 200" in text


@pytest.mark.parametrize("dice", [0.8, None])
def test_one_that_was_learned_or_has_no_score_is_not(capsys: pytest.CaptureFixture[str], dice: float | None) -> None:
    text = said(capsys, dice, TrainingCurve(200, 200, best_step=180))
    assert "Hardly" not in text
    assert "weights of optimiser step 180 of 200" in text
    assert "early" not in text


def test_several_devices_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    curve = TrainingCurve(200, 200, best_step=180)
    assert "of 200, on 4 devices, in batches of 8, " in said(capsys, 0.8, curve, devices=4)
    assert "device" not in said(capsys, 0.8, curve)


@pytest.mark.parametrize(("normalisation", "words"), [("ct", "Hounsfield units"), ("zscore", "scan by scan")])
def test_the_first_step_says_how_intensities_are_normalised(
    capsys: pytest.CaptureFixture[str], normalisation: str, words: str
) -> None:
    curve = TrainingCurve(200, 200, best_step=180)
    assert words in said(capsys, 0.8, curve, None, normalisation)
    assert "Intensities" not in said(capsys, 0.8, curve, 1, normalisation)


@pytest.mark.parametrize("cases", [1, 2])
def test_a_single_case_is_said_to_be_a_weak_witness(capsys: pytest.CaptureFixture[str], cases: int) -> None:
    text = said(capsys, 0.0, TrainingCurve(200, 200, best_step=200), cases=cases)
    assert ("on one case, which may be unusual" in text) == (cases == 1)


@pytest.mark.parametrize(("parent", "asked"), [(None, Path("page")), (None, None), (1, Path("page"))])
def test_a_first_step_says_that_it_writes_no_page(
    capsys: pytest.CaptureFixture[str], parent: int | None, asked: Path | None
) -> None:
    text = said(capsys, 0.8, TrainingCurve(200, 200, best_step=180), parent, asked=asked)
    assert ("No report: a first step" in text) == (parent is None and asked is not None)


def test_the_command_that_accepts_a_candidate_can_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, 0.8, TrainingCurve(200, 200, best_step=200), accepted=False, model="my model")
    assert "`incrementalseg accept 'my model' 2`" in text


def test_structures_that_no_scan_held_out_shows_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    curve = TrainingCurve(200, 200, best_step=180)
    text = said(capsys, None, curve, unjudged=("scapula",))
    assert "No held-out scan shows scapula: no later step can measure whether it is kept." in text
    assert "No held-out scan" not in said(capsys, 0.8, curve)
