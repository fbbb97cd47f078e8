"""What a front end shows of a model, with nothing installed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import FEW

from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.packages.transfer import export_package, import_package
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.progress import Stop
from IncrementalSegLib.store.edits import rename_structure
from IncrementalSegLib.store.reader import ModelReader
from IncrementalSegLib.store.summary import read_summary, read_unfinished
from IncrementalSegLib.store.versions import open_model

STEP = {"options": FEW, "preset": "quick", "device": "cpu", "seed": 1}
BARE = """
import json, sys
blocked = ["torch", "monai", "numpy", "pydantic", "safetensors", "filelock", "SimpleITK", "scipy", "lightning_fabric"]
sys.modules |= dict.fromkeys(blocked)
from IncrementalSegLib.store.summary import read_summary
print(json.dumps(read_summary(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def lived(small_presets, data, tmp_path_factory):
    """A model of two steps; one scan judges the humerus, none the scapula."""
    model = tmp_path_factory.mktemp("lived") / "model"
    learn(model, data / "both", "humerus", **STEP, steps=40)
    learn(model, data / "scapula", "scapula", **STEP, method="lwfseg", steps=2, accept="always")
    return model


@pytest.fixture
def model(lived, tmp_path):
    return Path(shutil.copytree(lived, tmp_path / "model"))


def structures(model, version=None):
    return {item["name"]: item for item in read_summary(model, version)["structures"]}


def test_a_python_with_nothing_installed_reads_it(lived):
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", BARE, str(lived)], cwd=root, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == json.loads(json.dumps(read_summary(lived), allow_nan=False))


def test_a_structure_says_how_good_it_is_and_how_it_was_taught(lived):
    folder = open_model(lived)
    found = structures(lived)
    (row,) = folder.document("retention", 2)["structures"]
    assert (found["humerus"]["dice"], found["humerus"]["scans"]) == (row["after"][0]["dice"], 1)
    first = structures(lived, 1)["humerus"]
    (score,) = folder.record(1).scores.values()
    assert first["dice"] == score["validation_dice"] != found["humerus"]["dice"]
    assert (found["scapula"]["dice"], found["scapula"]["scans"]) == (None, 0)
    told = [(item["step"], item["method"], item["taught"]) for item in found.values()]
    assert told == [(1, "finetune", folder.record(1).created), (2, "lwfseg", folder.record(2).created)]
    assert found["humerus"]["domain"].startswith("4 scans, spacing ")
    assert found["humerus"]["domain"].endswith(" mm")
    assert found["scapula"]["domain"].startswith("3 scans, spacing ")
    assert found["humerus"]["terminology"]


def test_an_edit_changes_no_score(model):
    before = structures(model)
    rename_structure(open_model(model), "humerus", "Arm")
    after = structures(model)
    assert {key: after["Arm"][key] for key in ("dice", "scans", "taught")} == {
        key: before["humerus"][key] for key in ("dice", "scans", "taught")
    }
    assert after["scapula"] == before["scapula"]


def test_versions_candidates_and_a_step_that_waits_are_told(model, data):
    assert (read_summary(model)["candidates"], read_summary(model)["unfinished"]) == ([], None)
    learn(model, data / "scapula", "deltoid=scapula", **STEP, method="finetune", steps=1, accept="never")

    def stop(phase, fraction, numbers=None):
        if fraction >= 0.5 and phase == "training":
            raise Stop("pause")

    with pytest.raises(Stop):
        learn(model, data / "scapula", "blade=scapula", **STEP, steps=8, progress=stop)
    summary = read_summary(model)
    assert summary["candidates"] == [3]
    assert [line["status"] for line in summary["versions"]] == ["accepted", "current", "candidate"]
    assert summary["unfinished"] == {"structures": ["blade"], "fraction": 0.5}


def test_a_step_whose_version_was_written_does_not_wait(model, data, monkeypatch):
    monkeypatch.setattr("IncrementalSegLib.engine.step.checkpoints.Checkpoints.remove", lambda self: None)
    learn(model, data / "scapula", "blade=scapula", **STEP, steps=1, accept="never")
    assert (model / "unfinished").is_dir()
    assert read_summary(model)["unfinished"] is None


def test_a_first_step_that_waits_can_be_offered(small_presets, data, tmp_path):
    def stop(phase, fraction, numbers=None):
        if fraction >= 0.5 and phase == "training":
            raise Stop("pause")

    with pytest.raises(Stop):
        learn(tmp_path / "new", data / "scapula", "scapula", **STEP, steps=4, progress=stop)
    assert read_unfinished(tmp_path / "new") == {"structures": ["scapula"], "fraction": 0.5}
    with pytest.raises(ModelError, match="never finished"):
        read_summary(tmp_path / "new")


def test_an_imported_model_has_a_summary(model, tmp_path):
    export_package(model, tmp_path / "model.iseg")
    import_package(tmp_path / "model.iseg", tmp_path / "new")
    found = structures(tmp_path / "new")
    assert found["humerus"]["method"] == "finetune"
    assert found["humerus"]["taught"] is None


def test_what_is_no_model_is_said(tmp_path):
    with pytest.raises(ModelError, match="no model folder"):
        read_summary(tmp_path / "nothing")


def test_a_summary_of_many_versions_looks_at_each_once(model, monkeypatch):
    folder = open_model(model)
    for _ in range(20):
        folder.edit({"action": "nothing"})
    seen = []
    monkeypatch.setattr(ModelReader, "_numbered", _counting(ModelReader._numbered, seen))
    assert len(read_summary(model)["versions"]) > 20
    assert len(seen) <= 5  # every time it lists all versions


def _counting(act, seen):
    def counted(self):
        seen.append(self)
        return act(self)

    return counted
