"""Equal training time: the table, our side on phantoms, and nnU-Net's where it is installed."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest
from tiny import small_quick

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from Testing.benchmarks.archive import read_archive
from Testing.benchmarks.equal_time import RACES, THEIRS, _ours, _steps, rows, run_races
from Testing.benchmarks.original import Original


def result(who, seed, dice, **more):
    """Return a result with five test cases of two structures."""
    scores = {name: {f"case {number}": dice for number in range(5)} for name in ("discs", "canal")}
    sizes = {"steps": 100, "a_scan": 1.0, "peak_bytes": 2e9}
    return {"data": "spine", "minutes": 5, "who": who, "seed": seed, "dice": scores} | sizes | more


def test_a_row_says_how_far_ours_is_above_the_mirrored_prediction_of_nnunet():
    found = [result("unet2d", seed, 0.8) for seed in range(3)]
    better = result("", 0, 0.75)["dice"]
    found += [result(THEIRS, seed, 0.7, mirrored=better) for seed in range(3)]
    assert rows(found) == [
        ("spine", "5", THEIRS, "70.0", "75.0", "", "100", "1.0", "2.0", "3"),
        ("spine", "5", "unet2d", "80.0", "", "+5.0 [+5.0, +5.0]", "100", "1.0", "2.0", "3"),
    ]


def test_the_time_before_the_first_step_is_none_of_the_steps():
    assert _steps(300, (2, 10.0), (6, 20.0)) == 120
    assert _steps(300, (2, 10.0), (6, 10.0)) == 600  # never faster than 0.3 of the mean


def test_ours_trains_as_long_as_it_may_and_is_scored_by_label_map(tmp_path):
    write_phantom_dataset(tmp_path / "data", 4, scanner="A", structures=["humerus"], seed=1, size=(12, 32, 32))
    scans = open_data(tmp_path / "data")
    with small_quick():
        found = _ours(tmp_path, "unet2d", replace(scans, cases=scans.cases[1:]), scans.cases[:1], 0, 1.0)
    assert found["steps"] > 4
    assert 0.1 < found["seconds"] < 10
    assert list(found["dice"]) == ["humerus"]
    assert 0 <= found["dice"]["humerus"][scans.cases[0].id] <= 1


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
