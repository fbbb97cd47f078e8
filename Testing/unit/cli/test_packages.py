"""``export``, ``import`` and ``privacy`` as people and programs call them."""

from __future__ import annotations

import pytest

from IncrementalSegLib.store.edits import rename_structure
from IncrementalSegLib.store.versions import open_model


def test_a_model_goes_out_and_comes_in(model, tmp_path, command):
    card = command("export", model, tmp_path / "liver", "--license", "CC BY", "--json").json
    assert card["path"] == str(tmp_path / "liver.iseg")
    assert (card["license"], card["patient_data"]["exemplars"]) == ("CC BY", 0)
    came = command("import", card["path"], tmp_path / "new", "--json").json
    assert (came["version"], [item["name"] for item in came["card"]["structures"]]) == (1, ["liver"])
    assert command("versions", tmp_path / "new", "--json").json["current"] == 1


def test_people_are_told_what_a_package_holds(model, tmp_path, command):
    said = command("export", model, tmp_path / "a.iseg", "--version", 1, "--include-exemplars")
    assert "knows liver" in said.out
    assert "pieces of scans, with their outlines" in said.out
    without = command("export", model, tmp_path / "b.iseg").out
    assert "no piece of a scan" in without
    assert "describe each of them" not in without
    assert "knows liver" in command("import", tmp_path / "a.iseg", tmp_path / "new").out


def test_a_mean_of_few_patients_is_told(model, tmp_path, command, monkeypatch):
    monkeypatch.setattr("IncrementalSegLib.prototypes.bank.FEW_PATIENTS", 5)
    said = command("export", model, tmp_path / "few.iseg").out
    assert "The mean features of liver, background are of at most 5 patients and describe each of them" in said


def test_a_refused_package_is_one_sentence_and_leaves_nothing(tmp_path, command):
    (tmp_path / "bad.iseg").write_bytes(b"PK")
    said = command("import", tmp_path / "bad.iseg", tmp_path / "new")
    assert (said.status, said.out) == (1, "")
    assert "was refused" in said.err
    assert not (tmp_path / "new").exists()


def test_privacy_lists_strips_and_forgets(model, command):
    ledger = command("privacy", model, "--json").json
    case = next(iter(ledger["versions"][0]["exemplars"]["cases"]))
    assert case in command("privacy", model, "--version", 1).out
    forgotten = command("privacy", model, "--forget", case, "--json").json
    assert forgotten["versions"][0]["structures"] == ["liver"]
    assert command("privacy", model, "--strip", "--json").json["versions"] == [1]
    assert "nothing to delete" in command("privacy", model, "--strip").out
    assert case not in command("privacy", model).out


def test_a_mean_is_listed_once_with_its_versions(model, command):
    rename_structure(open_model(model), "liver", "Leber")
    rename_structure(open_model(model), "Leber", "liver")
    (line,) = [line for line in command("privacy", model).out.splitlines() if line.startswith("background")]
    assert line.rstrip().endswith("1, 2, 3")


def test_people_are_told_that_weights_cannot_forget(model, data, command):
    case = next(iter(command("privacy", model, "--json").json["versions"][0]["exemplars"]["cases"]))
    said = command("privacy", model, "--forget", case)
    assert "The weights are unchanged and still depend on the case" in said.out
    assert "teach liver to a new model" in said.out
    listed = command("privacy", model).out.splitlines()
    (line,) = [line for line in listed if line.startswith("Named cases: ")]
    assert case not in line
    assert "forgotten" not in line
    assert any(line.startswith("Forgotten scans: 1.") for line in listed)
    advised = command("advise", model, "--data", data).out
    assert "No description of the training scans of liver is stored" in advised


def test_a_forgotten_case_stays_forgotten_in_a_package(model, command, tmp_path):
    held = command("privacy", model, "--json").json["versions"][0]
    command("privacy", model, "--forget", next(iter(held["exemplars"]["cases"])))
    command("export", model, tmp_path / "model.iseg")
    command("import", tmp_path / "model.iseg", tmp_path / "copy")
    there = command("privacy", tmp_path / "copy", "--json").json["versions"][0]
    assert (len(there["cases"]), there["forgotten_scans"]) == (len(held["cases"]) - 1, 1)


@pytest.mark.parametrize("name", ["model.zip", "model.iseg.zip", "model.v2"])
def test_another_ending_is_refused(name, model, command, tmp_path):
    said = command("export", model, tmp_path / name)
    assert said.status == 1
    assert f"Name it {name.rpartition('.')[0].removesuffix('.iseg')}.iseg." in said.err
    assert list(tmp_path.glob("*.iseg*")) == []


def test_one_thing_at_a_time(model, command):
    assert command("privacy", model, "--strip", "--forget", "c0").status == 2
    assert command("privacy", model, "--strip", "--version", 1).status == 2
