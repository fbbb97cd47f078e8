from __future__ import annotations

import numpy as np
import pytest

from IncrementalSegLib.evaluation.metrics import CaseScore, summarise
from IncrementalSegLib.reports.changes import Change, verdict

RNG = np.random.default_rng
SPREAD = np.linspace(-1, 1, 6)


def scored(values):
    cases = [CaseScore(f"c{index}", f"c{index}", value, 1.0, 2.0, 9, 9) for index, value in enumerate(values)]
    return summarise(cases, RNG(0))


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        (None, [0.9], "new"),
        (None, None, "unknown"),
        ([0.9], None, "unknown"),
        ([None], [0.9], "unknown"),
        (0.8 + 0 * SPREAD, 0.9 + 0.01 * SPREAD, "higher"),
        (0.8 + 0 * SPREAD, 0.79 + 0.001 * SPREAD, "kept"),  # surely lower, but by less than 2 points
        (0.8 + 0 * SPREAD, 0.5 + 0.1 * SPREAD, "lower"),
        (0.8 + 0 * SPREAD, 0.8 + 0.2 * SPREAD, "unclear"),
        ([0.8, 0.8], [0.79, 0.79], "kept"),
        ([0.8, 0.8], [0.70, 0.79], "lower"),
        ([0.0, 0.0], [0.0, 0.0], "not learned"),
        ([0.05, 0.0], [0.0, 0.08], "not learned"),
        (0.0 * SPREAD, 0.0 * SPREAD, "not learned"),
        (None, [0.02], "not learned"),
        ([0.0, 0.0], [0.5, 0.5], "kept"),
        ([0.9, 0.9], [0.0, 0.0], "lower"),
    ],
)
def test_state(before, after, state):
    sides = [None if side is None else scored(side) for side in (before, after)]
    assert Change.of("femur", "lwfseg", *sides, RNG(0)).state == state


def test_change_is_paired_by_case():
    change = Change.of("femur", "", scored([0.9, 0.5, None]), scored([0.8, None, 0.1]), RNG(0))
    assert change.points == pytest.approx(-10.0)
    assert change.comparison is not None
    assert change.comparison.left_out == 2


def level(mean, count=6):
    return scored([mean] * count)


def change(structure, method, before, after, count=6):
    sides = (None if before is None else level(before, count), level(after, count))
    return Change.of(structure, method, *sides, RNG(0))


def test_verdict_in_plain_words():
    many = (
        change("femur", "finetune", 0.9, 0.1),
        change("femur", "lwfseg", 0.9, 0.9),
        change("femur", "reseg", 0.9, 0.8),
        change("tibia", "finetune", None, 0.8),
        change("tibia", "lwfseg", None, 0.7),
    )
    assert verdict(many) == (
        "Femur, Dice 0.90 before: forgotten by finetune (0.10); kept by lwfseg (0.90); lower with reseg (0.80).",
        "Tibia was learned: Dice finetune 0.80, lwfseg 0.70.",
    )
    never = (
        change("femur", "", 0.0, 0.0, count=3),
        change("tibia", "a", None, 0.8),
        change("tibia", "b", None, 0.02),
        change("fibula", "", None, 0.0),
    )
    assert verdict(never) == (
        "Femur is not learned: Dice 0.00 → 0.00 (too few cases for an interval).",
        "Tibia was learned: Dice a 0.80; was not learned: Dice b 0.02.",
        "Fibula was not learned: Dice 0.00.",
    )
    one = (change("femur", "", 0.9, 0.6, count=3),)
    assert verdict(one) == ("Femur lost ground: Dice 0.90 → 0.60 (too few cases for an interval).",)
    assert verdict((Change("femur", "", level(0.9), None),)) == ()


def test_what_another_rule_judged_is_not_judged_again():
    agreement = Change("femur", "", None, level(0.02), judged="unsure")  # no Dice with a truth
    assert agreement.state == "unsure"
