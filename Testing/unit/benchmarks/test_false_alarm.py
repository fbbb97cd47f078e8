"""The rate of false alarms: what is counted, and that finished candidates are not made again."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny import WIDTHS

from IncrementalSegLib.engine.step import presets
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.evaluation.limits import Limits
from IncrementalSegLib.evaluation.metrics import CaseScore
from IncrementalSegLib.evaluation.retention import RetentionReport, StructureRow
from IncrementalSegLib.store.versions import open_model
from Testing.benchmarks.archive import read_archive
from Testing.benchmarks.false_alarm import SUMMARY, Scale, run_false_alarm, summarise

TINY = Scale(people=5, size=(4, 32, 32), first=2, again=1)


def candidate(*drops):
    """Return the result of a candidate that lost ``drops`` points of one structure, scan by scan."""
    rng, limits = np.random.default_rng(0), Limits()
    sides = [
        [CaseScore(f"c{number}", "p", 0.8 - drop / 100, 1.0, 1.0, 9, 9) for number, drop in enumerate(values)]
        for values in ([0] * len(drops), drops)
    ]
    row = StructureRow.of("humerus", "h", *sides, limits, rng)
    return {"report": RetentionReport.of([row], limits, rng).to_json()}


def test_false_alarms_are_counted_between_candidates_and_by_number_of_scans():
    same, worse, partly = candidate(0, 0, 0, 0, 0), candidate(5, 5, 5, 5, 5), candidate(5, 0, 0, 0, 0)
    found = summarise([same, same, worse])  # worse -> same gains, same -> same, same -> worse loses 5 points
    assert (found["repeats"], found["scans"], found["pairs"]) == (3, 5, 6)
    assert found["rate"] == pytest.approx(1 / 3)
    assert found["rate_by_scans"] == pytest.approx(dict.fromkeys("12345", 2 / 6))
    assert found["drops"]["humerus"] == pytest.approx([-5.0, 0.0, 5.0])
    found = summarise([same, same, partly])
    assert found["rate"] == 0
    assert found["rate_by_scans"] == pytest.approx(dict.fromkeys("12345", 0.0) | {"1": 2 / 6})


def test_candidates_are_made_once_and_never_used(tmp_path, monkeypatch):
    known = presets._PRESETS["quick", 2]
    monkeypatch.setitem(presets._PRESETS, ("quick", 2), replace(known, widths=WIDTHS, batch=2))
    found = run_false_alarm(tmp_path, repeats=2, device="cpu", scale=TINY)
    assert found["repeats"] == 2
    written = read_archive(tmp_path)["candidate-001"]
    again = run_false_alarm(tmp_path, repeats=3, device="cpu", scale=TINY)
    assert read_archive(tmp_path)["candidate-001"] == written
    assert json.loads((tmp_path / SUMMARY).read_text("utf-8")) == json.loads(json.dumps(again))
    folder = open_model(tmp_path / "model")
    assert [folder.status(number) for number in folder.numbers()] == ["current", "candidate", "candidate", "candidate"]
    assert [folder.record(number).parent for number in folder.numbers()] == [None, 1, 1, 1]
    with pytest.raises(OptionError, match="other settings"):
        run_false_alarm(tmp_path, repeats=1, device="cpu", scale=replace(TINY, people=6))
