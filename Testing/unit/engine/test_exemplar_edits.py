"""Changes of what a model remembers: each is a version that shares all weights."""

import json

import pytest
import torch
from tiny import FEW, tree

from IncrementalSegLib.engine.carried import read_carried_state
from IncrementalSegLib.engine.exemplars import ban, budget, overview, pin, remove_structure
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.remember import remember_again
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.request import resolve
from IncrementalSegLib.errors import DataError, ModelError, OptionError, UnknownNameError
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.registry import find
from IncrementalSegLib.store.versions import open_model


def first_id(model):
    return overview(model)["exemplars"][0]["id"]


def test_the_overview_says_what_is_kept_and_why(taught):
    found = json.loads(json.dumps(overview(taught), allow_nan=False))
    memory = read_carried_state(open_model(taught))[1]
    assert (found["version"], found["bytes"]) == (1, memory.storage_bytes)
    assert sorted(item["id"] for item in found["exemplars"]) == sorted(item.id for item in memory)
    for item in found["exemplars"]:
        assert item["structures"] == ["humerus"]
        assert item["mark"] == ""
        assert item["case"].startswith("shoulder_A_1")
        assert item["reason"]
        assert {"abstraction", "content", "random"} & set(next(iter(item["ranks"].values())))


@pytest.mark.parametrize(("action", "mark"), [(pin, "pinned"), (ban, "banned")])
def test_marks_are_versions_that_share_the_weights(model, action, mark):
    before, chosen = tree(model / "versions"), first_id(model)
    record = action(model, chosen)
    assert (record.number, record.parent, record.kind, record.accepted) == (2, 1, "edit", True)
    assert record.step["exemplar"] == chosen
    after = tree(model / "versions")
    assert {name: after[name] for name in before} == before
    weights, shared = (model / "versions" / number / "weights.safetensors" for number in ("0001", "0002"))
    assert shared.samefile(weights)
    assert {item["id"]: item["mark"] for item in overview(model)["exemplars"]}[chosen] == mark
    open_model(model).verify()
    lifted = action(model, chosen, on=False)
    assert lifted.step["action"] == f"un{action.__name__}"
    assert {item["id"]: item["mark"] for item in overview(model)["exemplars"]}[chosen] == ""


def test_a_banned_exemplar_is_not_rehearsed(model, data):
    def rehearsed():
        request = resolve(model, data / "scapula", "scapula", StepSettings(method="reseg"))
        _, exemplars, prototypes, counts = read_carried_state(open_model(model))
        teacher = load(open_model(model), start("cpu")).segmenter
        ctx = StepContext(
            model=None,
            teacher_model=teacher,
            structures=request.structures.ids,
            new=request.taught,
            memory=None,
            exemplars=exemplars,
            prototypes=prototypes,
            cases=(),
            voxel_counts=counts,
            device=torch.device("cpu"),
            step=2,
            seed=0,
            plan=None,
        )
        return {scan.id for scan in request.method.rehearsal(ctx)}

    chosen = sorted(rehearsed())[0]
    ban(model, chosen)
    assert chosen not in rehearsed()
    pin(model, chosen)
    assert chosen in rehearsed()


def test_a_budget_cuts_the_tails_and_keeps_what_is_pinned(model):
    entries = overview(model)["exemplars"]
    last = max(entries, key=lambda item: sum(item["ranks"][item["present"][0]].values()))["id"]
    pin(model, last)
    budget(model, 2)
    kept = [item["id"] for item in overview(model)["exemplars"]]
    assert len(kept) == 2
    assert last in kept
    assert set(open_model(model).tensors("exemplars")) >= {f"{item}.image" for item in kept}
    assert overview(model)["bytes"] == sum(value.nbytes for value in open_model(model).tensors("exemplars").values())


def test_a_budget_below_zero_is_refused(model):
    before = tree(model)
    with pytest.raises(OptionError, match="-1"):
        budget(model, -1)
    assert tree(model) == before


@pytest.mark.parametrize("action", [pin, ban])
def test_an_unknown_exemplar_changes_nothing(model, action):
    before = tree(model)
    with pytest.raises(UnknownNameError, match="exemplar called 'nobody'"):
        action(model, "nobody")
    assert tree(model) == before


def test_removing_a_structure_removes_what_is_kept_of_it(model, data, teach):
    teach(model, data / "scapula", "scapula")
    gone = open_model(model).record().structures.named("humerus").id
    record = remove_structure(model, "HUMERUS")
    folder = open_model(model)
    assert record.structures.names == ("scapula",)
    assert not any(gone in name for kind in ("weights", "prototypes") for name in folder.tensors(kind))
    assert {tuple(item["structures"]) for item in overview(model)["exemplars"]} == {("scapula",)}
    assert gone not in json.dumps(folder.document("exemplars"))
    before = tree(model)
    with pytest.raises(ModelError):
        remove_structure(model, "scapula")
    with pytest.raises(UnknownNameError, match="clavicle"):
        remove_structure(model, "clavicle")
    assert tree(model) == before


class TestRememberAgain:
    def again(self, model, data, name="aeiseg", **more):
        return remember_again(model, data, name, device="cpu", **({"options": FEW} | more))

    def files(self, model):
        latest = max((model / "versions").iterdir())
        return {name: data for name, data in tree(latest).items() if name not in ("record.json", "manifest.json")}

    def test_it_equals_the_end_of_the_step_where_cases_were_held_out(self, tmp_path, data, teach):
        teach(tmp_path / "m", data / "both", "humerus, scapula", seed=3)
        before = self.files(tmp_path / "m")
        self.again(tmp_path / "m", data / "both")
        assert self.files(tmp_path / "m") == before

    def test_it_equals_the_end_of_an_improvement(self, model, data, teach):
        teach(model, data / "both", "humerus", improve=True, seed=6, method="lwfseg")
        before = self.files(model)
        self.again(model, data / "both")
        assert self.files(model) == before

    def test_old_scans_make_rehearsal_possible(self, tmp_path, data, teach):
        model = tmp_path / "m"
        teach(model, data / "humerus", "humerus", exemplars="none")
        assert overview(model)["exemplars"] == []
        record = self.again(model, data / "humerus", "coriseg")
        assert (record.kind, record.step["method"]) == ("edit", "coriseg")
        assert overview(model)["exemplars"]
        assert teach(model, data / "scapula", "scapula", method="coriseg").record.number == 3

    def test_cases_that_judge_are_never_kept(self, tmp_path, data, teach):
        record = teach(tmp_path / "m", data / "both", "humerus", exemplars="none").record
        (aside,) = record.step["held_out"]
        self.again(tmp_path / "m", data / "both")
        assert aside["case"] not in {item["case"] for item in overview(tmp_path / "m")["exemplars"]}
        before = tree(tmp_path / "m")
        with pytest.raises(DataError, match="held out"):
            self.again(tmp_path / "m", data / "both", cases=aside["case"])
        assert tree(tmp_path / "m") == before

    @pytest.mark.parametrize(
        ("more", "error", "message"),
        [
            ({"name": "aeisge"}, UnknownNameError, "Did you mean 'aeiseg'"),
            ({"structures": "clavicle"}, UnknownNameError, "clavicle"),
            ({"structures": "humerus=scapula", "data": "empty"}, DataError, "not there"),
            ({"data": "scapula"}, DataError, "names none of the model's structures"),
            ({"cases": "nobody"}, UnknownNameError, "nobody"),
            ({"options": {"passes": 0}}, OptionError, "passes=0"),
        ],
    )
    def test_what_cannot_be_done_changes_nothing(self, model, data, more, error, message):
        before = tree(model)
        settings = {key: value for key, value in more.items() if key != "data"}
        with pytest.raises(error, match=message):
            self.again(model, data / more.get("data", "humerus"), **settings)
        assert tree(model) == before

    def test_a_method_of_another_family_is_refused(self, model, data, monkeypatch):
        monkeypatch.setattr(find("method", "lwfseg"), "output", "classes")
        with pytest.raises(OptionError, match="makes classes, the model has heads"):
            self.again(model, data / "humerus", "lwfseg")

    def test_cancelling_changes_nothing(self, model, data):
        before = tree(model)

        def stop(phase, fraction, numbers=None):
            if phase == "remembering":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            self.again(model, data / "humerus", progress=stop)
        assert tree(model) == before
