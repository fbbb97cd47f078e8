import pytest
from tiny import FEW, tree

from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.planning.dry_run import DryRun
from IncrementalSegLib.engine.planning.estimate import estimate
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.wire.timing import PARTS

PLAN = {"options": FEW, "preset": "quick", "steps": 4, "device": "cpu"}


def size_of(model, number):
    folder = model / "versions" / f"{number:04d}"
    return sum(item.stat().st_size for item in folder.iterdir() if item.suffix == ".safetensors")


def test_a_first_step_leaves_no_trace(small_presets, data, tmp_path):
    found = estimate(tmp_path / "new", data / "both", "humerus, scapula", **PLAN)
    assert not (tmp_path / "new").exists()
    assert set(found.seconds) == set(PARTS)
    assert found.method == "finetune"
    assert found.seconds["judging"] == 0
    assert all(found.seconds[name] > 0 for name in set(PARTS) - {"judging"})
    assert found.memory > 50e6


@pytest.mark.parametrize("retention", ["paths", "copy"])
def test_steps_and_disk_are_those_of_the_step(small_presets, data, tmp_path, retention):
    model = tmp_path / "model"
    for number, (name, names) in enumerate((("both", "humerus"), ("both", "scapula")), start=1):
        found = estimate(model, data / name, names, retention=retention, **PLAN)
        record = learn(model, data / name, names, retention=retention, accept="always", **PLAN).record
        assert found.steps == record.step["planned_steps"]
        assert found.method == record.step["method"]
        assert found.disk == pytest.approx(size_of(model, number), rel=0.2)


def test_a_model_is_not_touched_and_the_gate_is_counted(small_presets, data, tmp_path):
    model = tmp_path / "model"
    learn(model, data / "both", "humerus", **PLAN)
    before = tree(model)
    found = estimate(model, data / "scapula", "scapula", **PLAN)
    assert tree(model) == before
    assert found.seconds["judging"] > 0
    assert found.to_json()["minutes"] == pytest.approx(found.total / 60, abs=0.01)


def test_time_grows_with_cases_and_steps(small_presets, data, tmp_path, monkeypatch):
    # One second for whatever is timed, so that only the counting is tested.
    monkeypatch.setattr(DryRun, "_timed", lambda self, work: (1.0, work()))
    monkeypatch.setattr(DryRun, "_step_seconds", lambda self, trainer: 0.5)
    found = estimate(tmp_path / "new", data / "both", "humerus, scapula", **PLAN | {"steps": 60})
    assert found.seconds["learning"] == 30
    assert found.seconds["scoring"] == 6 + 1  # evaluations of the schedule, and one at the end
    assert found.seconds["checkpoints"] == 2 + 6
    assert found.seconds["reading"] == 1 + 3  # splitting; planning, reading and hashing of all five cases
    assert found.seconds["remembering"] == 1


def test_unlabelled_scans_are_read_and_drawn(small_presets, data, tmp_path, monkeypatch):
    model, plan = tmp_path / "model", PLAN | {"method": "cfil"}
    learn(model, data / "humerus", "humerus", **plan)
    drawn = []
    monkeypatch.setattr(DryRun, "_timed", lambda self, work: (1.0, work()))
    monkeypatch.setattr(DryRun, "_step_seconds", lambda self, trainer: drawn.append(set(trainer.pools)) or 0.5)
    without, found = (
        estimate(model, data / "both", "scapula", unlabelled=scans, **plan) for scans in (None, data / "scapula")
    )
    assert drawn == [{"new"}, {"new", "unlabelled"}]
    scans = len(open_data(data / "scapula").cases)
    assert found.seconds["reading"] - without.seconds["reading"] == pytest.approx(scans / min(scans, 4))


def test_what_learn_refuses_is_refused(small_presets, data, taught):
    with pytest.raises(ModelError, match="already knows"):
        estimate(taught, data / "humerus", "humerus", **PLAN)


@pytest.mark.slow
def test_the_time_is_about_right(data, tmp_path):
    plan = {"preset": "quick", "steps": 60, "device": "cpu"}
    found = estimate(tmp_path / "model", data / "both", "humerus", **plan)
    learn(tmp_path / "model", data / "both", "humerus", **plan)
    assert 0.5 < found.total / open_model(tmp_path / "model").record().seconds < 2  # within 20 % on an idle machine
