"""Scans of ``judge``: they judge older structures in the gate of every step from then on, and nothing else."""

import shutil
from dataclasses import replace

import pytest
import SimpleITK as sitk
from tiny import FEW, changed, spelled

from IncrementalSegLib.engine.compare.retention import gate
from IncrementalSegLib.engine.history import FORGOTTEN, History, step_entry
from IncrementalSegLib.engine.learn import learn, resume
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.judges import find_again
from IncrementalSegLib.engine.step.request import resolve
from IncrementalSegLib.errors import DataError, ModelError, OptionError, UnknownNameError
from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.store.versions import open_model

STEP = {"method": "lwfseg", "options": FEW, "preset": "quick", "steps": 2, "device": "cpu", "accept": "always"}


@pytest.fixture(scope="module")
def judges(data, tmp_path_factory):
    """The scans in which both structures were looked for; they may be moved."""
    return shutil.copytree(data / "both", tmp_path_factory.mktemp("judges") / "both")


def row_of(result):
    (row,) = result.report.rows
    return row


def test_a_structure_without_held_out_scans_gets_scores_in_place_of_a_proxy(small_presets, model, data, judges):
    other = shutil.copytree(model, model.parent / "other")
    plain = learn(other, data / "scapula", "scapula", **STEP)
    judged = learn(model, data / "scapula", "scapula", judge=judges, **STEP)
    assert (row_of(plain).kind, row_of(judged).kind) == ("proxy", "measured")
    names = {case.id for case in open_data(judges).cases}
    assert {score.case for score in row_of(judged).after} == names
    same, folder = open_model(other).tensors("weights"), open_model(model)
    assert changed(spelled(same, plain.record), spelled(folder.tensors("weights"), judged.record)) == set(), (
        "it trained"
    )
    assert gate(model, 2).report.rows[0].after == row_of(judged).after
    later = learn(model, data / "scapula", "scapula", improve=True, **STEP).report.rows
    assert {row.structure: row.kind for row in later}["humerus"] == "measured"


def test_copies_judge_after_the_scans_are_gone(small_presets, model, data, judges, tmp_path):
    moved = shutil.copytree(judges, tmp_path / "judges")
    learn(model, data / "scapula", "scapula", judge=moved, judge_structures="humerus", retention="copy", **STEP)
    shutil.rmtree(moved)
    assert gate(model, 2).report.rows[0].kind == "measured"


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        ({"judge": "scapula", "judge_structures": "humerus=scapula"}, OptionError, "in the data of the step and among"),
        ({"judge": "scapula"}, DataError, "names none of the model's structures.*humerus.*judge_structures"),
        ({"judge": "both", "judge_structures": "scapula"}, ModelError, "does not know scapula"),
        ({"judge": "both", "judge_structures": "humerus=femur"}, UnknownNameError, "no label called 'femur'"),
        ({"judge_structures": "humerus"}, OptionError, "no scan is to judge"),
        ({"judge": "humerus"}, DataError, "All 3 scans that are to judge are of patients who trained this model"),
    ],
)
def test_scans_that_cannot_judge_are_refused_before_one_is_read(asked, kind, words, model, data):
    asked = {name: data / value if name == "judge" else value for name, value in asked.items()}
    with pytest.raises(kind, match=f"(?s){words}"):
        resolve(model, data / "scapula", "scapula", StepSettings(method="lwfseg", **asked))


def test_where_the_method_guarantees_what_is_kept_scans_judge_later_steps(model, data, judges, caplog):
    with caplog.at_level("INFO"):
        resolve(model, data / "scapula", "scapula", StepSettings(method="decoder", judge=judges))
    assert "leaves humerus as it is; 5 scans judge in later steps" in caplog.text


def test_a_first_step_has_nothing_to_judge(data, tmp_path):
    with pytest.raises(OptionError, match="first step has no older structure"):
        resolve(tmp_path / "new", data / "scapula", "scapula", StepSettings(judge=data / "both"))


def test_earlier_training_scans_are_named_and_left_out(model, data, judges, tmp_path, caplog):
    mixed = shutil.copytree(judges, tmp_path / "mixed")
    trained, fresh = open_data(data / "humerus").cases[0], open_data(mixed).cases[0]
    shutil.copyfile(trained.images[0], fresh.images[0])
    request = resolve(model, data / "scapula", "scapula", StepSettings(method="lwfseg", judge=mixed))
    assert fresh.id not in {case.id for case in request.judges.cases}
    assert len(request.judges.cases) == 4
    assert f"cannot judge: {fresh.id} (step 1)" in caplog.text


def test_another_scan_of_an_earlier_training_patient_does_not_judge(model, data, judges, tmp_path, caplog):
    other = shutil.copytree(judges, tmp_path / "other")
    fresh, patient = open_data(other).cases[0].id, open_data(data / "humerus").cases[0].patient
    for file in [*(other / "imagesTr").iterdir(), *(other / "labelsTr").iterdir()]:
        file.rename(file.with_name(file.name.replace(fresh, patient)))
    (other / "dataset.json").write_text((other / "dataset.json").read_text().replace(fresh, patient))
    request = resolve(model, data / "scapula", "scapula", StepSettings(method="lwfseg", judge=other))
    assert len(request.judges.cases) == 4
    assert patient not in {case.patient for case in request.judges.cases}
    assert f"cannot judge: {patient} (step 1)" in caplog.text


def test_a_forgotten_name_is_nobodys(data):
    case = replace(open_data(data / "both").cases[0], patient=FORGOTTEN)
    entry = {"case": FORGOTTEN, "patient": FORGOTTEN, "sha256": "0" * 64}
    assert History((step_entry({"number": 1}, [entry], ()),)).training_steps([case]) == {}


def test_a_resumed_step_takes_no_scans_that_it_began_without():
    with pytest.raises(OptionError, match="began without scans that judge"):
        find_again([], "elsewhere")


def test_a_resumed_step_judges_with_the_scans_it_began_with(model, data, judges, tmp_path, interrupted):
    scans = shutil.copytree(judges, tmp_path / "scans")
    with interrupted(find("method", "lwfseg"), 2):
        learn(model, data / "scapula", "scapula", judge=scans, **STEP)
    case, other = open_data(scans).cases[:2]
    outlines = case.label.read_bytes()
    case.label.write_bytes(other.label.read_bytes())
    with pytest.raises(ModelError, match=rf"scans that are to judge {case.id} has other outlines now"):
        resume(model, device="cpu")
    case.label.write_bytes(outlines)
    place = scans.rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=r"(?s)is not where it was.*new place with judge, or.*restart=True"):
        resume(model, device="cpu")
    result = resume(model, judge=place, device="cpu")
    assert row_of(result).kind == "measured"
    assert gate(model, 2).report.rows[0].after == row_of(result).after


def test_a_scan_that_cannot_be_read_is_refused_before_the_training(small_presets, model, data, judges, tmp_path):
    damaged = shutil.copytree(judges, tmp_path / "damaged")
    open_data(damaged).cases[-1].images[0].write_bytes(b"no scan")
    with pytest.raises(DataError, match=r"(?s)A scan that is to judge cannot be used.*Take it out of the scans"):
        learn(model, data / "scapula", "scapula", judge=damaged, **STEP)
    assert open_model(model).newest == 1


def test_scans_that_show_nothing_of_a_structure_are_named(small_presets, model, data, judges, tmp_path, caplog):
    empty = shutil.copytree(judges, tmp_path / "empty")
    for case in open_data(empty).cases:
        image = sitk.ReadImage(case.label)
        sitk.WriteImage(image * 0, case.label)
    learn(model, data / "scapula", "scapula", judge=empty, **STEP)
    assert "No scan that is to judge shows humerus" in caplog.text
