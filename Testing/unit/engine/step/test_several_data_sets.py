"""A step from several data sets: what each teaches, how they are balanced, and a kill between two batches."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import FEW, changed

from IncrementalSegLib.cli.app import main
from IncrementalSegLib.engine.learn import learn, resume
from IncrementalSegLib.methods.cfil import Cfil
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.store.versions import open_model

STEP = {"method": "cfil", "options": FEW, "preset": "quick", "steps": 3, "device": "cpu"}


def test_two_data_sets_teach_two_structures_at_once(small_presets, data, tmp_path):
    model = tmp_path / "model"
    with pytest.MonkeyPatch.context() as patch:
        groups, real = set(), Cfil.begin_step
        patch.setattr(
            Cfil, "begin_step", lambda method, ctx: groups.update(case.group for case in ctx.cases) or real(method, ctx)
        )
        record = learn(model, [data / "humerus", data / "scapula"], "humerus, scapula", **STEP).record
    assert record.structures.names == ("humerus", "scapula")
    looked_for = {entry["case"]: set(entry["looked_for"].values()) for entry in record.step["training"]}
    assert len(looked_for) >= 4
    assert all(found == {"humerus"} for case, found in looked_for.items() if "_A_1_" in case)
    assert all(found == {"scapula"} for case, found in looked_for.items() if "_A_2_" in case)
    name = "phantom shoulder, scanner A"  # that of both
    assert groups == {("MR", name), ("MR", f"{name} 2")}
    assert record.step["data"] == f"{name} + {name} 2"


def test_batches_are_balanced_by_the_modality_that_a_manifest_states(
    small_presets, data, tmp_path, monkeypatch, caplog
):
    rows = ["image,looked_for,label,values,modality"]
    for case in open_data(data / "humerus").cases:
        rows.append(f"{case.images[0]},humerus,{case.label},1=humerus,{'CT' if len(rows) < 3 else 'MR'}")
    table = tmp_path / "stated.csv"
    table.write_text("\n".join(rows))
    groups, real = set(), Cfil.begin_step
    monkeypatch.setattr(
        Cfil, "begin_step", lambda method, ctx: groups.update(case.group for case in ctx.cases) or real(method, ctx)
    )
    learn(tmp_path / "alone", table, "humerus", **STEP)
    assert groups == {("CT", ""), ("MR", "")}
    assert "By their values" not in caplog.text
    groups.clear()
    caplog.set_level("INFO", "IncrementalSegLib")
    unstated = Path(shutil.copytree(data / "scapula", tmp_path / "unstated"))
    description = json.loads((unstated / "dataset.json").read_text())
    (unstated / "dataset.json").write_text(json.dumps(description | {"modality": {"0": "T2"}}))
    learn(tmp_path / "several", [table, unstated], "humerus, scapula", **STEP)
    assert {modality for modality, source in groups if "phantom" in source} == {"other"}
    assert {modality for modality, source in groups if "phantom" not in source} in ({"CT"}, {"CT", "MR"})
    assert "By their values: phantom shoulder, scanner A: other." in caplog.text


def test_each_list_belongs_to_its_data_set(small_presets, data, tmp_path):
    record = learn(
        tmp_path / "model", [data / "both", data / "scapula"], ["arm=humerus", "blade=scapula"], **STEP
    ).record
    assert record.structures.names == ("arm", "blade")
    looked_for = {entry["case"]: tuple(entry["looked_for"].values()) for entry in record.step["training"]}
    assert {found for case, found in looked_for.items() if "_A_3_" in case} == {("humerus",)}


def test_an_interrupted_step_reads_all_of_them_again(small_presets, data, tmp_path, interrupted):
    sources = [data / "humerus", data / "scapula"]
    learn(tmp_path / "whole", sources, ["humerus", "blade=scapula"], **STEP)
    with interrupted(Cfil, 2):
        learn(tmp_path / "model", sources, ["humerus", "blade=scapula"], **STEP)
    resume(tmp_path / "model", device="cpu")
    one, other = (open_model(tmp_path / name).tensors("weights") for name in ("whole", "model"))
    assert changed(one, other) == set()


def test_the_command_line_takes_several(small_presets, data, tmp_path, monkeypatch):
    shutil.copytree(data / "humerus", tmp_path / "other")
    words = [
        "learn", str(tmp_path / "model"), "--data", str(data / "scapula"), "--structures", "scapula",
        "--data", str(tmp_path / "other"), "--structures", "arm=humerus", "--method", "mib", "--preset", "quick",
        "--steps", "1", "--option", "passes=2", "--device", "cpu",
    ]  # fmt: skip
    monkeypatch.setattr("sys.argv", ["incrementalseg", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert not end.value.code
    assert open_model(tmp_path / "model").record().structures.names == ("scapula", "arm")
