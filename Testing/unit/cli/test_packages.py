"""``export``, ``import`` and ``privacy`` as people and programs call them."""

from __future__ import annotations

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
    assert "no image" in command("export", model, tmp_path / "b.iseg").out
    assert "knows liver" in command("import", tmp_path / "a.iseg", tmp_path / "new").out


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


def test_people_are_told_that_weights_cannot_forget(model, command):
    case = next(iter(command("privacy", model, "--json").json["versions"][0]["exemplars"]["cases"]))
    said = command("privacy", model, "--forget", case)
    assert "Weights cannot forget" in said.out
    assert "liver" in said.out
    (line,) = [line for line in command("privacy", model).out.splitlines() if line.startswith("Cases: ")]
    assert case not in line
    assert line.endswith(". Others were forgotten; their names are gone.")
    assert ", forgotten" not in line


def test_one_thing_at_a_time(model, command):
    assert command("privacy", model, "--strip", "--forget", "c0").status == 2
    assert command("privacy", model, "--strip", "--version", 1).status == 2
