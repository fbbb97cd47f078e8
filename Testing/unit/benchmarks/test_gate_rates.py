"""The gate's error rates: what counts as an error, worked out on scores made up for it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.verdicts import Witnesses
from Testing.benchmarks.archive import add_result
from Testing.benchmarks.gate import count_errors
from Testing.benchmarks.gate_rates import Subject, error_rates, held_back, subjects

KEPT, LOST = Witnesses(0.5, 5.0), Witnesses(9.0, 30.0)


def subject(drops, witnesses=KEPT, chain="spine-heads-0"):
    pairs = {f"c{row:02d}": (0.8, 0.8 - drop / 100) for row, drop in enumerate(drops)}
    return Subject(chain, ("all", "heads"), pairs, witnesses)


def rates(found, sizes, draws):
    return error_rates(found, held_back(found, sizes, draws))


def rate(found, kind, size, rule="witnesses"):
    return found[kind][str(size)][rule]["rate"]


def test_one_patient_in_sixteen_makes_false_alarms_that_witnesses_end():
    found = rates([subject([7.5] + [0.4] * 15)], (2, 3), 600)  # 0.84 points on average
    assert found["false alarms"]["2"]["subjects"] == 1
    assert rate(found, "false alarms", 2, "alone") == pytest.approx(2 / 16, abs=0.04)
    assert rate(found, "false alarms", 3, "alone") == 0  # 7.5 + 0.4 + 0.4 are less than 9 points
    assert rate(found, "false alarms", 2) == 0
    assert found["misses > 3"]["2"] == {
        "subjects": 0, "alone": {"rate": None, "interval": None}, "witnesses": {"rate": None, "interval": None},
    }  # fmt: skip


def test_what_is_lost_everywhere_is_never_missed():
    found = rates([subject([12] * 8, LOST)], (1, 2, 4, 6), 50)
    for kind in ("misses > 3", "misses > 5", "misses > 10"):
        assert [rate(found, kind, size) for size in (1, 2, 4, 6)] == [0] * 4


def test_witnesses_find_what_lucky_scans_hide():
    spread = [2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 30.0, 30.0]  # 9 points
    found = rates([subject(spread, LOST)], (2,), 1000)
    assert rate(found, "misses > 5", 2, "alone") == pytest.approx((6 * 5) / (8 * 7), abs=0.04)
    assert rate(found, "misses > 5", 2) == 0
    assert found["misses > 10"]["2"]["subjects"] == 0


def test_between_one_and_three_points_nothing_is_an_error():
    found = rates([subject([2.0] * 9)], (2,), 10)
    assert {kind: found[kind]["2"]["subjects"] for kind in found} == dict.fromkeys(found, 0)


def test_the_interval_is_over_models():
    several = [subject([0.0] * 9, chain=f"spine-heads-{number}") for number in range(5)]
    assert rates(several, (2,), 5)["false alarms"]["2"]["witnesses"]["interval"] == [0.0, 0.0]
    assert rates(several[:4], (2,), 5)["false alarms"]["2"]["witnesses"]["interval"] is None


def chain(drops, seed=0):
    own = {f"c{row}": [0.8, 0.8 - drop / 100] for row, drop in enumerate(drops)}
    scores = {"patients": own | {"absent": [None, None]}, "exemplars": {"e": [0.9, 0.8]}, "agreement": {}}
    candidate = {"name": "lwfseg-50", "structures": {"discs": scores}}
    return {"dataset": "spine", "family": "heads", "seed": seed, "candidates": [candidate]}


def test_results_are_counted_again_without_data(tmp_path):
    for seed in range(2):
        add_result(tmp_path, f"spine-heads-{seed}", chain([0.1] * 7, seed))
    found = count_errors(tmp_path, draws=3)
    assert found["chains"] == ["spine-heads-0", "spine-heads-1"]
    assert set(found["rates"]) == {"all", "heads", "spine", "seed 0", "seed 1"}
    assert rate(found["rates"]["all"], "false alarms", 2) == 0
    assert json.loads((tmp_path / "gate-errors.json").read_text("utf-8")) == found
    assert "| false alarms | 2 | 0.0 | 0.0 | 0.0 |" in (tmp_path / "gate-errors.md").read_text("utf-8")
    (one, _) = subjects([chain([1] * 7), chain([1] * 7, 1)])
    assert np.isclose(one.witnesses.exemplars, 10)
    assert (one.witnesses.differ, len(one.patients), round(one.drop, 6)) == (None, 7, 1.0)


def test_nothing_to_count_is_said(tmp_path):
    with pytest.raises(DataError, match="holds no results"):
        count_errors(tmp_path)
