"""With --json standard output holds one object with the keys that scripts and the panel rely on."""

import json

import pytest
from scans import tree

LEARN_KEYS = {"version", "parent", "accepted", "held_back_by", "structures", "seconds"}
SCORE_KEYS = {"dice", "dice_ci", "assd_mm", "hd95_mm", "cases", "seen_in_training"}
FEW = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")
EVER = ("--accept", "always")  # after two steps the gate may say anything


def test_learn_twice_then_improve(tmp_path, data, command):
    folder = tmp_path / "new"
    first = command("learn", folder, "--data", data, "--structures", "liver", "--steps", 2, *FEW, "--json").json
    assert first.keys() >= LEARN_KEYS
    assert (first["version"], first["parent"], first["accepted"], first["held_back_by"]) == (1, None, True, [])
    assert first["structures"] == ["liver"]
    second = command(
        "learn",
        folder,
        "--data",
        data,
        "--structures",
        "Milz=spleen",
        "--cases",
        "c0,c1",
        "--steps",
        2,
        *FEW,
        *EVER,
        "--json",
    ).json
    assert (second["version"], second["parent"], second["structures"]) == (2, 1, ["liver", "Milz"])
    assert 0 < second["seconds"] < 60
    third = command(
        "learn", folder, "--data", data, "--structures", "milz=spleen", "--improve", "--steps", 2, *FEW, *EVER, "--json"
    ).json
    assert (third["version"], third["structures"]) == (3, ["liver", "Milz"])
    versions = command("versions", folder, "--json").json
    assert versions["current"] == 3
    assert [row["number"] for row in versions["versions"]] == [1, 2, 3]
    assert [row["parent"] for row in versions["versions"]] == [None, 1, 2]
    assert [row["status"] for row in versions["versions"]] == ["accepted", "accepted", "current"]


def test_evaluate(model, data, command):
    said = command("evaluate", model, "--data", data, "--json").json
    assert said["version"] == 1
    assert set(said["structures"]) == {"liver"}
    score = said["structures"]["liver"]
    assert score.keys() >= SCORE_KEYS
    assert 0 <= score["dice"] <= 1
    assert score["cases"] == 5
    assert score["seen_in_training"] == 4  # one of five was held out
    low, high = score["dice_ci"]
    assert low <= score["dice"] <= high


def test_evaluate_of_few_cases_has_no_interval(model, data, command):
    said = command("evaluate", model, "--data", data, "--cases", "c0,c1", "--largest-component", "--json").json
    assert said["structures"]["liver"]["dice_ci"] is None
    assert said["structures"]["liver"]["cases"] == 2


def test_segment(model, scan, tmp_path, command):
    said = command("segment", model, scan, "--output", tmp_path / "out.seg.nrrd", "--json").json
    assert said.keys() == {"outputs", "scans", "structures", "warnings", "failed"}
    assert said["failed"] == []
    assert said["outputs"] == [str(tmp_path / "out.seg.nrrd")]
    assert said["structures"]["liver"]["ml"] >= 0
    doubt = command("segment", model, scan, "--output", tmp_path / "b.seg.nrrd", "--uncertainty", "--json").json
    assert doubt["structures"] == said["structures"]  # a number for one scan, whatever is written beside it
    several = command("segment", model, scan, scan.with_name("c1.nii.gz"), "--output", tmp_path / "all", "--json").json
    assert several["scans"] == ["c0", "c1"]
    assert [len(several["outputs"]), len(several["structures"]["liver"]["ml"])] == [2, 2]
    assert several["structures"]["liver"]["ml"][0] == said["structures"]["liver"]["ml"]


def test_check(data, command):
    said = command("check", data, "--json")
    assert said.status == 0
    assert said.json["cases"][0] == {"case": "c0", "verdict": "ok", "message": "", "structures": ["liver", "spleen"]}
    assert [row["case"] for row in said.json["cases"]] == ["c0", "c1", "c2", "c3", "c4"]
    assert said.json["structures"]["liver"] == {"looked_for": 5, "found": 5}
    said = command("check", data, "--structures", "milt=spleen", "--cases", "c1,c3", "--json")
    assert [(row["case"], row["structures"]) for row in said.json["cases"]] == [("c1", ["spleen"]), ("c3", ["spleen"])]
    assert said.json["structures"] == {"spleen": {"looked_for": 2, "found": 2}}
    shown = command("check", data).out
    assert "liver" in shown.partition("Structures")[2]


def test_methods(command):
    methods = {row["name"]: row for row in command("methods", "--json").json["methods"]}
    assert {"finetune", "separate", "lwfseg", "reseg", "aeiseg", "coriseg"} <= set(methods)
    lwfseg = methods["lwfseg"]
    assert lwfseg["output"] == "heads"
    assert lwfseg["needs"] == ["teacher"]
    assert lwfseg["schema"]["properties"]["alpha"]["default"] == 0.5
    assert all(row["summary"] and row["source"] and "\n" not in row["summary"] for row in methods.values())


def test_structures_are_listed_renamed_and_removed(model, data, command):
    command("learn", model, "--data", data, "--structures", "spleen", "--steps", 1, *FEW)
    listed = command("structures", model, "--json").json
    assert listed["version"] == 2
    assert [item["name"] for item in listed["structures"]] == ["liver", "spleen"]
    assert listed["structures"][0].keys() >= {"id", "name", "step", "color", "terminology"}
    renamed = command("structures", model, "rename", "LIVER", "Leber", "--json").json
    assert [item["name"] for item in renamed["structures"]] == ["Leber", "spleen"]
    assert renamed["structures"][0]["id"] == listed["structures"][0]["id"]
    removed = command("structures", model, "remove", "leber", "--json").json
    assert (removed["version"], [item["name"] for item in removed["structures"]]) == (4, ["spleen"])


def test_exemplars_are_listed_pinned_banned_and_limited(model, data, command):
    assert "Certainty rank: its rank" in command("exemplars", model).out
    listing = command("exemplars", model, "--json").json
    assert listing["version"] == 1
    assert len(listing["exemplars"]) >= 2
    first, second = (item["id"] for item in listing["exemplars"][:2])
    assert listing["exemplars"][0].keys() >= {"id", "case", "structures", "reason", "pinned", "banned"}
    pinned = command("exemplars", model, "pin", first, "--json").json
    assert {item["id"]: item["pinned"] for item in pinned["exemplars"]}[first]
    banned = command("exemplars", model, "ban", second, "--json").json
    assert {item["id"]: item["banned"] for item in banned["exemplars"]}[second]
    limited = command("exemplars", model, "budget", 1, "--json").json
    assert limited["version"] == 4
    assert [item["id"] for item in limited["exemplars"] if not item["banned"]] == [first]
    again = command("exemplars", model, "remember", "--method", "aeiseg", "--data", data, *FEW, "--json").json
    assert len(again["exemplars"]) >= 2


def test_an_edit_of_exemplars_prints_the_change_alone(model, data, command):
    first, second = (item["id"] for item in command("exemplars", model, "--json").json["exemplars"][:2])
    count = len(command("exemplars", model, "--json").json["exemplars"])
    said = command("exemplars", model, "pin", first).out
    assert first in said
    assert second not in said
    said = command("exemplars", model, "ban", second).out
    assert first not in said
    assert f"Version 3: {count - 1} exemplars and 1 banned" in said
    said = command("exemplars", model, "budget", 1).out
    assert "Version 4: 1 exemplars and 1 banned" in said
    assert "budget 1." in said or "budget 1. " in said
    assert command("diff", model, 1, 4, "--json").json["second"]["exemplars"] == 1
    assert command("privacy", model, "--json").json["versions"][3]["exemplars"]["count"] == 1
    (known,) = command("advise", model, "--data", data, "--json").json["structures"].values()
    assert known["exemplars"] == 1


def test_doctor(command):
    said = command("doctor", "--json").json
    assert said.keys() >= {"libraries", "device", "precision", "threads", "disk_free_gb", "methods", "warnings"}
    assert said["libraries"]["torch"]


def test_the_methods_fit_on_a_page(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    lines = command("methods").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\\" not in "".join(lines)
    assert len(lines) < 5 * len(command("methods", "--json").json["methods"])


@pytest.mark.parametrize("name", ["versions", "structures", "exemplars"])
def test_looking_changes_nothing(name, model, command):
    before = tree(model)
    assert command(name, model).status == 0
    assert command(name, model, "--json").status == 0
    assert tree(model) == before


@pytest.mark.parametrize("name", ["methods", "doctor"])
def test_without_json_people_read_tables(name, command):
    said = command(name)
    assert said.status == 0
    assert len(said.out.splitlines()) > 3
    with pytest.raises(json.JSONDecodeError):
        json.loads(said.out)


def test_a_first_step_tells_people_what_it_made(tmp_path, data, command):
    said = command("learn", tmp_path / "new", "--data", data, "--structures", "liver", "--steps", 1, *FEW)
    assert "Version 1" in said.out
    assert "knows liver (finetune, weights of optimiser step 1 of 1" in said.out
