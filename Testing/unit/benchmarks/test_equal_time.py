"""Equal training time: the table, our side on phantoms, and nnU-Net's where it is installed."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest
from tiny import small_quick

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from Testing.benchmarks import original
from Testing.benchmarks.archive import read_archive
from Testing.benchmarks.equal_time import RACES, THEIRS, _ours, rows, run_races
from Testing.benchmarks.original import Original


def result(who, seed, dice, **more):
    """Return a result with five test cases of two structures."""
    scores = {name: {f"case {number}": dice for number in range(5)} for name in ("discs", "canal")}
    sizes = {"steps": 100, "seconds": 288, "a_scan": 1.0, "peak_bytes": 2e9}
    return {"data": "spine", "minutes": 5, "who": who, "seed": seed, "dice": scores} | sizes | more


def test_a_row_says_how_far_ours_is_above_the_mirrored_prediction_of_nnunet():
    found = [result("unet2d", seed, 0.8) for seed in range(3)]
    better = result("", 0, 0.75)["dice"]
    found += [result(THEIRS, seed, 0.7, mirrored=better) for seed in range(3)]
    assert rows(found) == [
        ("spine", "5 (4.8)", THEIRS, "70.0", "75.0", "", "100", "1.0", "2.0", "3"),
        ("spine", "5 (4.8)", "unet2d", "80.0", "", "+5.0 [+5.0, +5.0]", "100", "1.0", "2.0", "3"),
    ]


def test_ours_trains_as_long_as_it_may_and_is_scored_by_label_map(tmp_path):
    write_phantom_dataset(tmp_path / "data", 4, scanner="A", structures=["humerus"], seed=1, size=(12, 32, 32))
    scans = open_data(tmp_path / "data")
    with small_quick():
        found = _ours(tmp_path, "unet2d", replace(scans, cases=scans.cases[1:]), scans.cases[:1], 0, 3.0)
    assert found["planned_steps"] >= found["steps"] > 12
    assert found["seconds"] < 10
    assert list(found["dice"]) == ["humerus"]
    assert 0 <= found["dice"]["humerus"][scans.cases[0].id] <= 1


def test_the_epochs_of_nnunet_fill_the_time(monkeypatch):
    now = 100.0
    monkeypatch.setattr(original.time, "process_time", lambda: now)
    pace = original.TimedPace(60.0)
    for epoch in range(10):
        now += (2.0 if epoch else 5.0) * pace.steps_of(epoch)  # the first step is slow
    assert pace.spent == pytest.approx(60.0, abs=2.0)
    assert pace.steps == 28


def test_the_epochs_of_nnunet_share_out_its_steps():
    pace = original.Pace(25)
    shares = [pace.steps_of(epoch) for epoch in range(10)]
    assert (sum(shares), pace.steps, max(shares), min(shares)) == (25, 25, 3, 2)


@pytest.mark.skipif(find_spec("nnunetv2") is not None, reason="nnU-Net is installed")
def test_without_nnunet_the_way_out_is_said(tmp_path):
    with pytest.raises(OptionError, match="nnU-Net is not installed"):
        Original(tmp_path, (), ("humerus",), "2d")


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nnunet_itself_is_trained_and_scored(tmp_path, shared_data):
    pytest.importorskip("nnunetv2", reason="nnU-Net is not installed")
    if not (shared_data / "hippocampus-mr").is_dir():
        pytest.skip("the data set is not there")
    race = replace(RACES[0], scans=5, networks=())
    run_races(tmp_path, shared_data, minutes=0.05, seeds=1, races=[race])
    (row,) = rows(read_archive(tmp_path).values())
    assert (row[2], row[-1]) == (THEIRS, "1")
