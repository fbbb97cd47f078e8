import json
import shutil

import pytest
from tiny import FEW

from IncrementalSegLib.engine.learn import learn, resume
from IncrementalSegLib.engine.planning.advice import advise
from IncrementalSegLib.engine.planning.estimate import estimate
from IncrementalSegLib.errors import UnknownNameError
from IncrementalSegLib.progress import Phase, Stop
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume, write_volume
from IncrementalSegLib.volumes.volume import Grid, Volume

SIZE = (6, 32, 32)


@pytest.fixture(scope="module")
def same(tmp_path_factory):
    return write_phantom_dataset(
        tmp_path_factory.mktemp("same") / "data", 4, scanner="A", structures=["scapula"], seed=21, size=SIZE
    )


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return write_phantom_dataset(
        tmp_path_factory.mktemp("other") / "data", 3, scanner="C", structures=["scapula"], seed=22, size=SIZE
    )


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return write_phantom_dataset(
        tmp_path_factory.mktemp("people") / "data", 10, scanner="A", structures=["humerus"], seed=20, size=SIZE
    )


@pytest.fixture(scope="module")
def taught(small_presets, people, tmp_path_factory):
    """A model that knows the humerus of eight people."""
    model = tmp_path_factory.mktemp("advice") / "model"
    learn(model, people, "humerus", options=FEW, preset="quick", steps=2, device="cpu")
    return model


@pytest.fixture
def bare(teach, people, tmp_path):
    """A model that was to keep no scan."""
    teach(tmp_path / "bare", people, "humerus", exemplars="none")
    return tmp_path / "bare"


def test_scans_of_the_same_kind_need_no_old_ones(taught, same):
    advice = advise(taught, same, "scapula")
    assert advice.method == "lwfseg"
    assert advice.scans == 4
    (standing,) = advice.structures
    assert standing.name == "humerus"
    assert standing.exemplars > 0
    assert "similar to the training scans" in advice.reasons[0]


def test_scans_of_another_kind_ask_for_rehearsal(taught, other):
    advice = advise(taught, other)
    assert advice.method == "aeiseg"
    assert "unlike the training scans of humerus" in advice.reasons[0]
    assert any("none is held out" in text for text in advice.cautions)  # three cases


def test_another_kind_and_no_old_scans_is_warned_of(bare, other):
    advice = advise(bare, other, "scapula", exemplars="none")
    assert advice.method == "lwfseg"
    assert any("a third of the old structure's Dice" in text for text in advice.cautions)
    assert any("No exemplars of this step are kept" in text for text in advice.cautions)
    assert any("humerus need not be outlined" in text for text in advice.cautions)


def test_the_class_family_is_told_of_nothing_that_it_cannot_do(teach, people, other, tmp_path):
    for kept, method in (("keep", "replay"), ("none", "pcdd")):
        teach(tmp_path / kept, people, "humerus", method="mib", exemplars=kept)
        advice = advise(tmp_path / kept, other, "scapula")
        assert advice.method == method
        assert "exemplars" in advice.reasons[1]
        assert not any("separate" in text for text in advice.cautions)


def test_a_family_that_was_not_compared_is_not_praised(teach, people, same, other, tmp_path):
    teach(tmp_path / "model", people, "humerus", method="cfil")
    near, far = advise(tmp_path / "model", same, "scapula"), advise(tmp_path / "model", other, "scapula")
    for advice in (near, far):
        assert advice.method == "cfil"
        assert "It is the only method of this model's family" in advice.reasons[1]
        assert "keeps the older" not in advice.reasons[1]
        assert "keeps most" not in advice.reasons[1]
    assert any("unlabelled scans of the earlier kind" in text for text in far.cautions)
    assert not any("unlabelled" in text for text in near.cautions)


def stretched(folder, factor):
    """Write scans whose header says that they are ``factor`` times as large."""
    write_phantom_dataset(folder, 2, scanner="A", structures=["scapula"], seed=24, size=SIZE)
    for case in open_data(folder).cases:
        volume = read_volume(case.images)
        grid = Grid(volume.grid.shape, tuple(factor * step for step in volume.grid.spacing))
        write_volume(case.images[0], Volume(volume.array, grid))
    return folder


def test_scans_of_another_world_ask_for_a_trunk_of_their_own(taught, tmp_path):
    advice = advise(taught, stretched(tmp_path / "large", 2.5))
    assert advice.method == "separate"
    assert advice.to_json()["structures"]["humerus"]["spacing"]["word"] == "unlike"


def test_scans_that_the_model_cannot_take_want_their_own_model(taught, tmp_path):
    advice = advise(taught, stretched(tmp_path / "huge", 4))
    assert advice.method is None
    assert "mm" in advice.reasons[0]


def test_the_first_step_has_nothing_to_keep(same, tmp_path):
    advice = advise(tmp_path / "new", same)
    assert advice.method == "finetune"
    assert not (tmp_path / "new").exists()


class TestOneRule:
    """What ``advise`` recommends is what ``learn`` and ``estimate`` do without a method."""

    def agree(self, model, data, tmp_path, exemplars="keep"):
        more = {"options": {"passes": 2}, "preset": "quick", "steps": 1, "device": "cpu"}
        advice = advise(model, data, "scapula", exemplars=exemplars)
        deal = estimate(model, data, "scapula", exemplars=exemplars, **more)
        copied = shutil.copytree(model, tmp_path / "copy")
        result = learn(copied, data, "scapula", exemplars=exemplars, accept="never", **more)
        assert advice.method == deal.method == result.record.step["method"]
        assert list(advice.reasons) == deal.to_json()["why"] == result.to_json()["why"] == result.record.step["why"]
        return advice.method

    def test_scans_of_the_same_kind(self, taught, same, tmp_path):
        assert self.agree(taught, same, tmp_path) == "lwfseg"

    def test_scans_of_another_kind(self, taught, other, tmp_path):
        assert self.agree(taught, other, tmp_path) == "aeiseg"

    def test_scans_of_another_kind_without_old_ones(self, bare, other, tmp_path):
        assert self.agree(bare, other, tmp_path) == "lwfseg"

    def test_every_exemplar_is_banned(self, taught, other, tmp_path):
        folder = open_model(shutil.copytree(taught, tmp_path / "banned"))
        document = folder.document("exemplars")
        for item in document["exemplars"]:
            item["banned"] = True
        folder.edit(
            {"action": "test"}, tensors={"exemplars": folder.tensors("exemplars")}, documents={"exemplars": document}
        )
        assert self.agree(tmp_path / "banned", other, tmp_path) == "lwfseg"

    @pytest.mark.parametrize(("means", "method"), [(True, "pcdd"), (False, "mib")])
    def test_one_softmax(self, teach, people, same, tmp_path, means, method):
        teach(tmp_path / "classes", people, "humerus", method="mib")
        if not means:
            gone = {"prototypes": {"prototypes": {}}}
            open_model(tmp_path / "classes").edit({"action": "test"}, tensors={"prototypes": {}}, documents=gone)
        assert self.agree(tmp_path / "classes", same, tmp_path) == method

    def test_the_first_step(self, same, tmp_path):
        more = {"options": FEW, "preset": "quick", "steps": 1, "device": "cpu"}
        step = learn(tmp_path / "new", same, "scapula", **more).record.step
        assert (step["method"], step["why"]) == ("finetune", list(advise(tmp_path / "other", same).reasons))

    def test_what_a_person_named_needs_no_reason(self, taught, same, tmp_path):
        more = {"options": FEW, "preset": "quick", "steps": 1, "device": "cpu", "accept": "never"}
        copied = shutil.copytree(taught, tmp_path / "copy")
        assert learn(copied, same, "scapula", method="aeiseg", **more).record.step["why"] == []

    def test_a_resumed_step_keeps_its_reasons(self, taught, other, tmp_path):
        copied = shutil.copytree(taught, tmp_path / "copy")
        more = {"options": {"passes": 2}, "preset": "quick", "steps": 2, "device": "cpu", "accept": "never"}

        def stop(phase, fraction, numbers=None):
            if phase == Phase.TRAINING and fraction >= 0.5:
                raise Stop("pause")

        with pytest.raises(Stop):
            learn(copied, other, "scapula", progress=stop, **more)
        step = resume(copied, device="cpu").record.step
        assert (step["method"], step["why"]) == ("aeiseg", list(advise(taught, other, "scapula").reasons))


def test_one_json_object(taught, other):
    found = json.loads(json.dumps(advise(taught, other).to_json(), allow_nan=False))
    assert set(found) == {"method", "reasons", "cautions", "scans", "structures", "improves", "notes"}
    assert found["structures"]["humerus"]["features"]["word"] == "unlike"
    assert set(found["structures"]["humerus"]) == {"features", "intensity", "spacing", "exemplars"}


def test_unknown_names_are_said(taught, same):
    with pytest.raises(UnknownNameError, match="scapula"):
        advise(taught, same, "scapul")
