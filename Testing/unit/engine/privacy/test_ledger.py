"""What of patients a model holds is told, and goes when it is asked to go."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from tiny import tree

from IncrementalSegLib.engine.exemplars import pin
from IncrementalSegLib.engine.gate.scans import KIND, RetentionCopies
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.privacy import ledger as privacy
from IncrementalSegLib.engine.remember import remember_again
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.request import resolve
from IncrementalSegLib.errors import DataError, ModelError, UnknownNameError
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import open_model


@pytest.fixture(scope="session")
def grown(taught, data, tmp_path_factory):
    """A model of three versions that share files, with a copied scan; do not write to it."""
    model = tmp_path_factory.mktemp("grown") / "model"
    shutil.copytree(taught, model)
    folder = open_model(model)
    pin(model, folder.document("exemplars")["exemplars"][0]["id"])
    case = open_data(data / "humerus").cases[0]
    copies = RetentionCopies().with_case(case, {"humerus": folder.record().structures.ids[0]})
    document, tensors = copies.to_files()
    report = {"rows": [{"note": f"{case.id} is not where it was", "before": [{"case": case.id, "patient": case.id}]}]}
    folder.edit({"action": "copy"}, documents={KIND: document, "retention": report}, tensors={KIND: tensors})
    return model


@pytest.fixture
def model(grown, tmp_path):
    """A copy of it that may be changed."""
    return shutil.copytree(grown, tmp_path / "model")


@pytest.fixture
def case(grown):
    """A case that trained, has exemplars and is kept as a copy."""
    return privacy.ledger(grown, 3)["versions"][0]["copied_scans"]["cases"][0]


def test_the_ledger_counts_what_there_is(grown, case):
    before = tree(grown)
    ledger = privacy.ledger(grown)
    assert tree(grown) == before
    assert [item["version"] for item in ledger["versions"]] == [1, 2, 3]
    first, last = ledger["versions"][0], ledger["versions"][2]
    exemplars = open_model(grown).document("exemplars")["exemplars"]
    assert first["exemplars"]["count"] == len(exemplars) == sum(first["exemplars"]["cases"].values())
    assert first["exemplars"]["bytes"] > 1000
    assert (first["copied_scans"]["count"], last["copied_scans"]["count"]) == (0, 1)
    assert last["copied_scans"]["cases"] == [case]
    assert {item["structure"]: item["few_patients"] for item in first["prototypes"]}["humerus"] is True
    assert last["domains"] == [{"structures": ["humerus"], "scans": 3, "few_patients": True}]
    assert case in first["cases"]
    assert (ledger["unfinished_step"], ledger["left_over"]) == (False, [])
    assert ledger["open_to_others"] is False
    assert privacy.ledger(grown, 2)["versions"] == ledger["versions"][1:2]


def test_strip_takes_all_pieces_of_scans_out_of_every_version(model):
    pixels = list(model.rglob("exemplars*.safetensors"))
    assert pixels
    done = privacy.strip(model)
    assert (done["versions"], done["copied_scans"], len(done["costs"])) == ([1, 2, 3], 1, 3)
    folder = open_model(model)
    for number in folder.numbers():
        folder.verify(number)
        assert folder.tensors("exemplars", number) == folder.tensors(KIND, number) == {}
    assert list(model.rglob("exemplars*.safetensors")) == list(model.rglob(f"{KIND}*")) == []
    assert privacy.strip(model) == {"versions": [], "exemplars": 0, "copied_scans": 0, "costs": []}


def test_a_stripped_model_learns_on(model, data, teach):
    privacy.strip(model)
    teach(model, data / "scapula", "scapula", method="lwfseg")
    assert open_model(model).record().structures.names == ("humerus", "scapula")


def test_forget_leaves_neither_name_nor_pixels_nor_path(model, case):
    before = privacy.ledger(model)["versions"]
    done = privacy.forget(model, case)
    assert [row["structures"] for row in done["versions"]] == [["humerus"]] * 3
    assert [row["exemplars"] for row in done["versions"]] == [before[0]["exemplars"]["cases"][case]] * 3
    assert [row["copied_scans"] for row in done["versions"]] == [0, 0, 1]
    assert done["scans"] == 1
    for name, content in tree(model).items():
        assert case.encode() not in content, name
    after = privacy.ledger(model)["versions"]
    folder = open_model(model)
    for number, old, new in zip((1, 2, 3), before, after, strict=True):
        folder.verify(number)
        assert case not in new["exemplars"]["cases"]
        assert set(new["cases"]) == {*old["cases"]} - {case}
        assert (old["forgotten_scans"], new["forgotten_scans"]) == (0, 1)
        assert new["prototypes"] == new["domains"] == []
        assert new["copied_scans"]["count"] == 0
    others = [name for name in before[0]["exemplars"]["cases"] if name != case]
    assert list(after[0]["exemplars"]["cases"]) == others


def test_the_place_of_a_case_that_was_held_out_is_forgotten(model):
    folder = open_model(model)
    history = folder.document("history")
    others = history["steps"][0]["training"]
    entry = others.pop()
    history["steps"][0]["held_out"].append(
        entry | {"images": ["there/1.nii.gz"], "label": "there/2.nii.gz", "masks": {}}
    )
    folder.edit({"action": "x"}, documents={"history": history})
    trained = {path for item in others for path in item["images"]}
    assert set(privacy.ledger(model, 4)["versions"][0]["paths"]) == {"there/1.nii.gz", "there/2.nii.gz", *trained}
    privacy.forget(model, entry["case"])
    assert set(privacy.ledger(model, 4)["versions"][0]["paths"]) == trained
    for path in ("there/", *entry["images"]):
        assert all(path.encode() not in content for content in tree(model).values())


def test_what_was_forgotten_still_may_not_test_the_model(model, case, data):
    prints = [entry["sha256"] for entry in open_model(model).document("history")["steps"][0]["training"]]
    privacy.forget(model, case)
    assert [entry["sha256"] for entry in open_model(model).document("history")["steps"][0]["training"]] == prints


def test_what_was_forgotten_is_not_taken_back(model, case, data, caplog):
    privacy.forget(model, case)
    remember_again(model, data / "humerus", method="lwfseg", device="cpu")
    assert f"told to forget {case}, which is left out" in caplog.text
    assert case not in {item["case"] for item in open_model(model).document("exemplars")["exemplars"]}
    request = resolve(model, data / "humerus", "humerus", StepSettings(improve=True))
    assert case not in {item.id for item in request.cases.cases}
    with pytest.raises(DataError, match=f"told to forget {case}. Choose other cases"):
        remember_again(model, data / "humerus", method="lwfseg", cases=case, device="cpu")


def test_a_case_that_is_only_called_so_was_not_forgotten():
    known = {"case": "forgotten", "patient": "forgotten", "sha256": "1"}
    steps = ({"training": [known | {"images": ["a"]}, known | {"sha256": "2"}], "held_out": []},)
    assert History(steps).forgotten == {"2"}


def test_the_weights_are_left_alone(model, case):
    before = open_model(model).tensors("weights")
    privacy.forget(model, case)
    after = open_model(model).tensors("weights")
    assert all(torch.equal(item, after[name]) for name, item in before.items())


def test_a_killed_forget_is_finished_by_the_next(model, case, monkeypatch):
    rewrite, calls = privacy.rewrite, []

    def dies(folder, changes):
        calls.append(folder)
        if len(calls) == 2:
            raise KeyboardInterrupt
        rewrite(folder, changes)

    with monkeypatch.context() as patch:
        patch.setattr(privacy, "rewrite", dies)
        with pytest.raises(KeyboardInterrupt):
            privacy.forget(model, case)
    done = privacy.forget(model, case)
    assert [row["structures"] for row in done["versions"]] == [["humerus"]] * 3  # known by the sha256 of its files
    assert [row["exemplars"] > 0 for row in done["versions"]] == [False, True, True]
    assert all(case.encode() not in content for content in tree(model).values())


def test_an_unknown_case_is_refused_with_the_known_ones(model, case):
    before = tree(model)
    with pytest.raises(UnknownNameError, match=case):
        privacy.forget(model, "shoulder")
    assert tree(model) == before


def test_whoever_was_forgotten_is_no_case(model, case):
    privacy.forget(model, case)
    before = tree(model)
    with pytest.raises(UnknownNameError) as refusal:
        privacy.forget(model, "forgotten")
    assert "forgotten" not in refusal.value.todo
    assert tree(model) == before


@pytest.mark.parametrize("act", [privacy.strip, lambda model: privacy.forget(model, "x")])
def test_an_unfinished_step_comes_first(act, model):
    unfinished = Unfinished(model)
    unfinished.write({}, {}, {"weights": torch.zeros(1)})
    assert privacy.ledger(model)["unfinished_step"] is True
    with pytest.raises(ModelError, match="unfinished step"):
        act(model)
    assert unfinished.exists


def test_a_patient_with_several_cases_goes_with_all_of_them(model):
    folder = open_model(model)
    history = folder.document("history")
    for entry in history["steps"][0]["training"]:
        entry["patient"] = "Anna"
    folder.edit({"action": "x"}, documents={"history": history})
    done = privacy.forget(model, "Anna")
    assert done["scans"] == 3
    assert privacy.ledger(model, 4)["versions"][0]["exemplars"]["count"] == 0
    assert "Anna" not in json.dumps(privacy.ledger(model))
