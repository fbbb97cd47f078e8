"""A step that is interrupted anywhere goes on to the same bits; what a person wishes when stopping is done."""

import itertools
import shutil
from pathlib import Path

import pytest
import torch
from tiny import FEW, changed, spelled, tree

from IncrementalSegLib.engine.learn import learn, resume
from IncrementalSegLib.engine.step import trainer as trainer_module
from IncrementalSegLib.engine.step.checkpoints import Checkpoints
from IncrementalSegLib.errors import IncrementalSegError, ModelError, OptionError
from IncrementalSegLib.progress import Stop
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.unfinished import UNFINISHED, Unfinished
from IncrementalSegLib.store.versions import ModelFolder, open_model

STEP = {"method": "lwfseg", "options": FEW, "preset": "quick", "steps": 7, "seed": 3, "device": "cpu"}


class Raises:
    """A progress that raises at its n-th call, or at the n-th of one phase."""

    def __init__(self, error, at, only=None):
        self.error, self.at, self.only, self.calls = error, at, only, []

    def __call__(self, phase, fraction, numbers=None):
        if self.only in (None, phase):
            self.calls.append(phase)
            if len(self.calls) == self.at:
                raise self.error


def content(model):
    """Return all tensors of the current version, with names for uuids."""
    folder = open_model(model)
    kinds = ("weights", "exemplars", "prototypes", "memory")
    return {
        f"{kind}/{key}": item for kind in kinds for key, item in spelled(folder.tensors(kind), folder.record()).items()
    }


@pytest.fixture(autouse=True)
def often(monkeypatch):
    """A checkpoint after every optimiser step."""
    monkeypatch.setattr(trainer_module, "CHECKPOINT_SECONDS", -1.0)


@pytest.fixture(scope="module")
def whole(small_presets, data, taught, tmp_path_factory):
    """The same step, never interrupted."""
    model = Path(shutil.copytree(taught, tmp_path_factory.mktemp("whole") / "model"))
    seen = Raises(RuntimeError("never"), 0)
    learn(model, data / "both", "scapula", **STEP, progress=seen)
    assert not (model / UNFINISHED).exists()
    return content(model), seen.calls, open_model(model).document("curve")


def interrupt(model, data, error, at, only=None, name="both"):
    with pytest.raises(type(error)):
        learn(model, data / name, "scapula", **STEP, progress=Raises(error, at, only))


def test_wherever_it_is_interrupted_the_resumed_step_has_the_same_bits(whole, model, data):
    expected, calls, curve = whole
    first = calls.index("training") + 1
    stops = [first, first + 1, first + 4, calls.index("remembering") + 1, calls.index("saving") + 1]
    versions = tree(model / "versions")
    for stop in stops:
        interrupt(model, data, KeyboardInterrupt(), stop)
        assert tree(model / "versions") == versions
        assert open_model(model).current == 1
        with pytest.raises(KeyboardInterrupt):  # and once more, on the way
            resume(
                model, device="cpu", progress=Raises(KeyboardInterrupt(), 3, "training" if stop < first + 4 else None)
            )
        result = resume(model, device="cpu")
        assert result.record.number == 2
        assert (result.curve.steps, result.curve.planned) == (7, 7)
        assert changed(expected, content(model)) == set(), calls[stop - 1]
        assert open_model(model).document("curve") == curve
        assert not (model / UNFINISHED).exists()
        shutil.rmtree(model / "versions" / "0002")
        state = (model / "model.json").read_text().replace('"current": 2', '"current": 1')
        (model / "model.json").write_text(state)


def test_before_training_there_is_nothing_to_go_on_with(model, data):
    before = tree(model)
    interrupt(model, data, KeyboardInterrupt(), 1, "reading")
    assert tree(model) == before
    with pytest.raises(ModelError, match=r"No step of .* is unfinished"):
        resume(model, device="cpu")


def test_an_interrupted_first_step_goes_on(tmp_path, data):
    model = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt):
        learn(
            model,
            data / "both",
            "scapula",
            **STEP | {"method": None},
            progress=Raises(KeyboardInterrupt(), 3, "training"),
        )
    assert sorted(item.name for item in model.iterdir() if item.name != ".lock") == [UNFINISHED]
    with pytest.raises(ModelError, match=r"resume\("):
        open_model(model)
    assert resume(model, device="cpu").record.structures.names == ("scapula",)


class TestStop:
    def test_discard_leaves_nothing(self, model, data):
        before = tree(model)
        interrupt(model, data, Stop("discard"), 4, "training")
        assert tree(model) == before

    def test_pause_keeps_the_very_step(self, model, data, monkeypatch, whole):
        monkeypatch.setattr(trainer_module, "CHECKPOINT_SECONDS", 1e9)
        interrupt(model, data, Stop("pause"), 5, "training")
        state, _ = Unfinished(model).training()
        assert 0 < state["curve"]["steps"] < 7
        resume(model, device="cpu")
        assert changed(whole[0], content(model)) == set()

    def test_discard_while_a_resumed_step_reads_its_scans_leaves_nothing(self, model, data):
        before = tree(model)
        interrupt(model, data, KeyboardInterrupt(), 4, "training")
        with pytest.raises(Stop) as end:
            resume(model, device="cpu", progress=Raises(Stop("discard"), 1, "reading"))
        assert not end.value.kept
        assert tree(model) == before

    @pytest.mark.parametrize(("phase", "kept"), [("reading", False), ("training", True)])
    def test_a_pause_says_whether_there_is_something_to_resume(self, model, data, phase, kept):
        stop = Stop("pause")
        interrupt(model, data, stop, 1, phase)
        assert stop.kept == kept == Unfinished(model).exists

    def test_keep_ends_the_training_and_saves_the_best_so_far(self, model, data):
        result = learn(model, data / "both", "scapula", **STEP, progress=Raises(Stop("keep"), 4, "training"))
        assert result.record.number == 2
        assert 0 < result.curve.steps < 7
        assert result.curve.best_step <= result.curve.steps
        assert open_model(model).record().step["optimiser_steps"] == result.curve.steps

    def test_keep_while_saving_just_goes_on(self, model, data):
        progress = Raises(Stop("keep"), 1, "remembering")
        assert learn(model, data / "both", "scapula", **STEP, progress=progress).record.number == 2


class TestRefused:
    @pytest.fixture
    def half(self, model, data):
        interrupt(model, data, KeyboardInterrupt(), 4, "training")
        return model

    def test_another_step_would_lose_the_unfinished_one(self, half, data):
        with pytest.raises(ModelError, match=r"unfinished: scapula, \d of 7 .*resume\(.*restart=True"):
            learn(half, data / "both", "scapula", **STEP)
        with pytest.raises(IncrementalSegError, match="not there"):
            learn(half, data / "nowhere", "scapula", **STEP, restart=True)
        assert Unfinished(half).exists, "a wrong path costs nothing"
        result = learn(half, data / "both", "scapula", **STEP | {"steps": 2}, restart=True)
        assert (result.record.number, result.curve.planned) == (2, 2)

    def test_other_scans(self, half, data, tmp_path):
        place = tmp_path / "copy"
        shutil.copytree(data / "both", place)
        learn_again = {"data": open_data(place)}
        victim = sorted((place / "labelsTr").iterdir())[0]
        other = sorted((place / "labelsTr").iterdir())[1]
        victim.write_bytes(other.read_bytes())
        with pytest.raises(ModelError, match="scans or labels have changed since it began"):
            resume(half, device="cpu", **learn_again)
        assert Unfinished(half).exists

    def test_a_model_that_has_changed(self, half):
        folder = open_model(half)
        folder.edit({"action": "test"})
        with pytest.raises(ModelError, match="began from version 1, and version 2 is current"):
            resume(half, device="cpu")
        folder.accept(1)
        assert resume(half, device="cpu").record.parent == 1

    def test_a_damaged_older_version_is_no_hindrance(self, model, data):
        open_model(model).edit({"action": "test"})
        interrupt(model, data, KeyboardInterrupt(), 4, "training")
        (model / "versions" / "0001" / "record.json").write_text("{}")
        assert resume(model, device="cpu").record.parent == 2

    def test_a_data_set_in_memory_is_asked_for(self, model, data):
        dataset = open_data(data / "both")
        with pytest.raises(KeyboardInterrupt):
            learn(model, dataset, "scapula", **STEP, progress=Raises(KeyboardInterrupt(), 4, "training"))
        with pytest.raises(OptionError, match="in memory"):
            resume(model, device="cpu")
        assert resume(model, data=dataset, device="cpu").record.number == 2


def test_a_version_that_was_written_is_found_though_the_checkpoint_outlived_it(model, data, monkeypatch):
    real = Checkpoints.remove
    monkeypatch.setattr(Checkpoints, "remove", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        learn(model, data / "both", "scapula", **STEP)
    monkeypatch.setattr(Checkpoints, "remove", real)
    assert Unfinished(model).exists
    again = Path(shutil.copytree(model, model.with_name("again")))
    assert resume(model, device="cpu").record.number == 2
    assert not Unfinished(model).exists
    assert learn(again, data / "humerus", "humerus", improve=True, **STEP | {"steps": 1}).record.number == 3


class TestKilledBeforeTheNewVersionIsInUse:
    @pytest.fixture
    def written(self, model, data, monkeypatch):
        """A model whose version 2 was written, and whose model.json does not know it yet."""
        state = (model / "model.json").read_text()
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoints, "remove", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                learn(model, data / "both", "scapula", **STEP)
        (model / "model.json").write_text(state)
        return model

    def test_another_step_does_not_pass_it_over(self, written, data):
        with pytest.raises(ModelError, match="unfinished: scapula"):
            learn(written, data / "both", "scapula", **STEP)
        assert resume(written, device="cpu").record.accepted
        assert open_model(written).current == 2

    def test_what_was_changed_since_is_not_undone(self, written):
        open_model(written).edit({"action": "test"})
        assert not resume(written, device="cpu").record.accepted
        assert (open_model(written).current, open_model(written).status(2)) == (3, "candidate")
        assert not Unfinished(written).exists


def test_a_case_is_found_again_whatever_its_id(model, data, tmp_path):
    place = Path(shutil.copytree(data / "both", tmp_path / "commas"))
    for file in [*(place / "imagesTr").iterdir(), *(place / "labelsTr").iterdir()]:
        file.rename(file.with_name(f"left, {file.name}"))
    listing = place / "dataset.json"
    listing.write_text(listing.read_text().replace("/shoulder", "/left, shoulder"))
    assert all("," in case.id for case in open_data(place).cases)
    interrupt(model, place.parent, KeyboardInterrupt(), 4, "training", name=place.name)
    assert resume(model, device="cpu").record.number == 2


def test_a_failure_after_the_training_says_that_it_is_kept(model, data, monkeypatch, caplog):
    def full(self, *args, **more):
        raise ModelError("Cannot write.", "The disk is full.", "Free some space.")

    with monkeypatch.context() as patch:
        patch.setattr(ModelFolder, "write", full)
        with pytest.raises(ModelError, match="The disk is full"):
            learn(model, data / "both", "scapula", **STEP)
    assert f'7 of 7 optimiser steps are kept. resume(model="{model}") continues' in caplog.text
    assert resume(model, device="cpu").record.number == 2


def test_a_checkpoint_before_the_first_optimiser_step_keeps_no_training(model, data, monkeypatch, caplog):
    def broken(*args, **more):
        raise OSError("The disk is gone.")

    monkeypatch.setattr(trainer_module.Trainer, "step", broken)
    with pytest.raises(OSError, match="gone"):
        learn(model, data / "both", "scapula", **STEP)
    assert f'Nothing was trained yet. resume(model="{model}") continues the step' in caplog.text


def test_training_goes_on_when_no_checkpoint_can_be_written(model, data, monkeypatch, caplog):
    def full(self, *args):
        raise ModelError("Cannot write.", "The disk is full.", "Free some space.")

    monkeypatch.setattr(Unfinished, "write", full)
    assert learn(model, data / "both", "scapula", **STEP).record.number == 2
    assert "The disk is full" in caplog.text


def test_checkpoints_are_at_most_a_minute_apart(model, data, monkeypatch):
    monkeypatch.setattr(trainer_module, "CHECKPOINT_SECONDS", 45.0)
    clock = itertools.count(step=10.0)
    written, real = [], Unfinished.write
    monkeypatch.setattr(trainer_module.time, "monotonic", lambda: next(clock))

    def noted(self, request, training, tensors):
        written.append(training["curve"]["steps"])
        real(self, request, training, tensors)

    monkeypatch.setattr(Unfinished, "write", noted)
    learn(model, data / "humerus", "humerus", improve=True, **STEP | {"steps": 36})
    evaluations = range(6, 37, 6)
    assert set(evaluations) <= set(written)
    assert any(step % 6 for step in written), "between evaluations too"
    assert torch.tensor(written).diff().max() <= 6


def test_what_is_recorded_of_a_scan_is_what_was_read(model, data, tmp_path):
    """A file that changes while the step trains is not recorded with contents that never trained."""
    place = tmp_path / "scans"
    shutil.copytree(data / "both", place)
    before = {fingerprint(case.images) for case in open_data(place).cases}

    def spoil(phase, fraction, numbers=None):
        if phase == "training":
            for file in (place / "imagesTr").iterdir():
                file.write_bytes(b"changed meanwhile")

    record = learn(model, place, "scapula", **STEP, progress=spoil).record
    assert {entry["sha256"] for pool in ("training", "held_out") for entry in record.step[pool]} == before
