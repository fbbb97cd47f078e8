"""A folder is recognised, described before anything is written, and adopted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bundle_folders import write_bundle
from nnunet_folders import REGIONS, configuration, dataset, read_here, write_trained

from IncrementalSegLib.engine.adoption import checkpoint
from IncrementalSegLib.engine.adoption.found import adopt, adoptable
from IncrementalSegLib.engine.adoption.totalsegmentator import code_of
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.progress import Stop
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.worker import verbs

TRAINED = "nnUNetTrainer__nnUNetPlans__3d_fullres"
RIBS = "Dataset295_TotalSegmentator_part5_ribs_1559subj"


@pytest.fixture
def here(monkeypatch):
    monkeypatch.setattr(checkpoint, "_in_child", read_here)


@pytest.mark.usefixtures("here")
def test_what_is_described_is_what_is_adopted(tmp_path):
    described = dataset(REGIONS, channels=("T1",), licence="CC BY 4.0")
    folder = write_trained(tmp_path / "Dataset012_Knee" / TRAINED, described=described, folds=(0, 1))
    found = json.loads(json.dumps(adoptable(folder)))
    assert [item for item in tmp_path.iterdir() if item.name != "Dataset012_Knee"] == []
    assert (found["program"], found["networks"]) == ("nnU-Net v2", [{"name": "Knee", "folder": str(folder)}])
    network = found["network"]
    record = adopt(folder, tmp_path / "model")
    assert [item["name"] for item in network["structures"]] == list(record.structures.names) == ["whole", "core"]
    assert (network["overlapping"], network["dimension"], network["mirrors"]) == (True, 3, True)
    assert network["spacing"] == record.preprocessing["spacing"]
    told, kept = network["origin"], open_model(tmp_path / "model").record(1).step["origin"]
    assert {key: told[key] for key in told if key != "regions"} == {key: kept[key] for key in told if key != "regions"}


@pytest.mark.usefixtures("here")
def test_several_networks_are_named_and_one_is_chosen(tmp_path):
    around = tmp_path / "Dataset012_Knee"
    write_trained(around / TRAINED)
    assert adoptable(around)["networks"][0]["name"] == "Knee"
    write_trained(around / "nnUNetTrainer__nnUNetPlans__2d", configuration(2))
    found = adoptable(around)
    assert found["network"] is None
    assert [Path(item["folder"]).name for item in found["networks"]] == ["nnUNetTrainer__nnUNetPlans__2d", TRAINED]
    with pytest.raises(ModelError, match="holds 2 networks"):
        adopt(around, tmp_path / "model")
    assert adoptable(Path(found["networks"][0]["folder"]))["network"]["dimension"] == 2


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("inside", ["", RIBS, f"{RIBS}/{TRAINED}"])
def test_totalsegmentator_is_recognised_from_any_of_its_folders(inside, tmp_path):
    labels = {"background": 0, "rib_left_4": 1}
    write_trained(tmp_path / "results" / RIBS / TRAINED, described=dataset(labels))
    folder = tmp_path / "results" / inside
    found = adoptable(folder)
    assert (found["program"], found["networks"][0]["name"]) == ("TotalSegmentator", "TotalSegmentator ribs")
    (rib,) = found["network"]["structures"]
    assert rib["terminology"] == code_of("rib_left_4")
    assert adopt(folder, tmp_path / "model").structures.items[0].terminology == rib["terminology"]


@pytest.mark.usefixtures("here")
def test_a_bundle_is_recognised_and_adopted(tmp_path):
    folder = write_bundle(tmp_path / "tiny_ct")
    found = json.loads(json.dumps(adoptable(folder)))
    assert (found["program"], found["networks"]) == ("MONAI bundle", [{"name": "tiny_ct", "folder": str(folder)}])
    network = found["network"]
    record = adopt(folder, tmp_path / "model")
    assert [item["name"] for item in network["structures"]] == list(record.structures.names) == ["liver", "spleen"]
    assert network["spacing"] == record.preprocessing["spacing"] == [1.5, 1.5, 2.0]
    assert (network["overlapping"], network["mirrors"], network["origin"]["folds"]) == (False, False, [])


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (None, "There is no folder"),
        ("notes.txt", "holds no plans.json"),
        ("configs/metadata.json", "network_data_format#outputs#pred: field required"),
        ("plans.pkl", "nnU-Net v1"),
    ],
)
def test_what_is_not_known_is_refused_by_name(made, reason, tmp_path):
    folder = tmp_path / "folder"
    if made is not None:
        (folder / made).parent.mkdir(parents=True)
        (folder / made).write_text("{}")
    for act in (adoptable, lambda folder: adopt(folder, tmp_path / "model")):
        with pytest.raises(ModelError, match=reason):
            act(folder)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("verb", ["adoptable", "adopt"])
def test_a_wish_ends_the_child_and_leaves_nothing(verb, tmp_path, monkeypatch):
    children = []
    start = checkpoint.subprocess.Popen

    def popen(*given, **more):
        children.append(start(*given, **more))
        return children[-1]

    monkeypatch.setattr(checkpoint.subprocess, "Popen", popen)

    def stop(phase, fraction, numbers=None):
        raise Stop("discard")

    target = {"model": str(tmp_path / "model")} if verb == "adopt" else {}
    with pytest.raises(Stop):
        verbs.call(verb, {"folder": str(write_trained(tmp_path / "trained"))} | target, {"progress": stop})
    (child,) = children
    assert child.returncode
    assert [item.name for item in tmp_path.iterdir()] == ["trained"]


@pytest.mark.usefixtures("here")
def test_the_request_answers_with_the_summary_of_the_new_model(tmp_path):
    folder = write_trained(tmp_path / "trained")
    result = verbs.call("adopt", {"folder": str(folder), "model": str(tmp_path / "model")}, {})
    assert (result["version"], result["origin"]["program"]) == (1, "nnU-Net v2")
