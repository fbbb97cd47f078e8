"""Judging, accepting, rejecting, going back and comparing from the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from scans import tree

from IncrementalSegLib.engine.step import step
from IncrementalSegLib.store.edits import rename_structure
from IncrementalSegLib.store.versions import open_model

FEW = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")

PROBE = """
import json, sys
from IncrementalSegLib.cli.app import main
sys.argv = ["incrementalseg", *json.loads(sys.argv[1])]
try:
    main()
finally:
    print("torch" in sys.modules, file=sys.stderr)
"""


def damage(model):
    """Write a version that finds the liver everywhere, and one that finds it nowhere: it loses about 10 points."""
    folder = open_model(model)
    weights = folder.tensors("weights")
    (name,) = (name for name in weights if name.endswith("score.bias"))
    for outside in (-99.0, 99.0):
        bias = torch.tensor([outside, -outside])
        folder.edit({"action": "test"}, tensors={"weights": weights | {name: bias}})


def unlocked(model):
    """Return every file of a model but its lock."""
    return {name: data for name, data in tree(model).items() if name != ".lock"}


def test_what_loses_too_much_ends_with_status_3(model, command):
    damage(model)
    said = command("gate", model, "--device", "cpu", "--json")
    assert said.status == 3
    assert said.json.keys() >= {"version", "against", "sentence", "held_back_by", "mean_drop", "limits", "structures"}
    assert (said.json["version"], said.json["against"], said.json["held_back_by"]) == (3, 2, ["liver"])
    assert said.json["structures"][0]["verdict"] == "harmed"
    people = command("gate", model, "--device", "cpu")
    assert people.status == 3
    assert "too few scans for an interval" in people.out
    assert "Would be held back: liver lost" in people.out


def test_what_has_the_same_weights_is_guaranteed(model, command):
    rename_structure(open_model(model), "liver", "Leber")
    said = command("gate", model, "--device", "cpu")
    assert said.status == 0
    assert "Guaranteed: no weight has changed that Leber depends on." in said.out
    assert "points: change of Dice" not in said.out
    assert "judged by" not in said.out, "an empty table"
    (row,) = command("gate", model, "--device", "cpu", "--json").json["structures"]
    assert (row["verdict"], row["kind"], row["basis"]) == ("guaranteed", "guaranteed", "weights")
    assert len(row["why"].partition("sha256 ")[2]) == 13


@pytest.mark.parametrize(
    ("accept", "status", "told"),
    [("gate", 3, "the version in use has not changed"), ("always", 0, "in use anyway")],
)
def test_learn_says_what_became_of_a_version_that_harms(accept, status, told, model, data, command, monkeypatch):
    damage(model)
    open_model(model).accept(2)  # finds the liver everywhere
    real = step.remember

    def spoiled(method, ctx, *args, **more):
        with torch.no_grad():
            for parameter in ctx.model.output.part(ctx.old[0]).parameters():
                parameter.copy_(torch.tensor([99.0, -99.0]) if parameter.shape == (2,) else 0 * parameter)
        return real(method, ctx, *args, **more)

    monkeypatch.setattr(step, "remember", spoiled)
    said = command(
        "learn", model, "--data", data, "--structures", "spleen", "--steps", 1, "--accept", accept, *FEW,
        "--device", "cpu",
    )  # fmt: skip
    assert said.status == status
    assert {"gate": "\nHeld back: liver", "always": "\nWould be held back: liver"}[accept] in said.out
    assert told in said.out


def test_limits_and_an_earlier_version_can_be_named(model, command):
    damage(model)
    found = command("gate", model, "--limit-harm", 100, "--limit-mean", 100, "--device", "cpu", "--json")
    assert (found.status, found.json["limits"]) == (0, {"harm": 100.0, "unsure": 1.0, "mean": 100.0})
    back = command("gate", model, 2, "--against", 3, "--device", "cpu", "--json")
    assert (back.status, back.json["structures"][0]["verdict"]) == (0, "improved")
    strict = command("gate", model, "--limit-harm", 0.5, "--device", "cpu", "--json")
    assert strict.json["limits"]["unsure"] == 0.5


def test_the_page_is_named(model, command, tmp_path):
    rename_structure(open_model(model), "liver", "Leber")
    said = command("gate", model, "--report", tmp_path / "page", "--device", "cpu", "--json")
    assert said.status == 0
    assert said.json["report"] == str(tmp_path / "page" / "report.html")
    assert (tmp_path / "page" / "report.html").is_file()


def test_a_version_is_rejected_accepted_and_left_again(model, command):
    rename_structure(open_model(model), "liver", "Leber")
    assert command("rollback", model, "--json").json == {"current": 1, "before": 2}
    assert command("reject", model, 2, "--json").json == {"current": 1, "status": "rejected"}
    lines = [" ".join(line.split()) for line in command("versions", model).out.splitlines()]
    assert sum(line.startswith(("1 in use ", "2 rejected ")) for line in lines) == 2
    assert command("accept", model, 2, "--json").json == {"current": 2, "status": "current"}
    said = command("rollback", model, 1)
    assert (said.status, "Version 1" in said.out, "is in use again" in said.out) == (0, True, True)
    assert "rejected" in command("reject", model, 2).out
    assert "in use" in command("accept", model, 2).out


@pytest.mark.parametrize(
    ("arguments", "status"),
    [(("accept", 7), 1), (("reject", 1), 1), (("rollback",), 1), (("diff", 1, 9), 1), (("gate",), 1), (("accept",), 2)],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(model, command, arguments, status):
    before = unlocked(model)
    name, *rest = arguments
    said = command(name, model, *rest)
    assert said.status == status
    assert said.out == ""
    assert unlocked(model) == before


def test_diff_tells_what_changed(model, command):
    rename_structure(open_model(model), "liver", "Leber")
    said = command("diff", model, 1, 2, "--json").json
    assert said["structures"] == {"added": [], "removed": [], "renamed": [["liver", "Leber"]], "kept": []}
    first, second = said["first"], said["second"]
    assert (first["status"], second["status"], second["by"]) == ("accepted", "current", "rename")
    assert first["bytes"]["weights.safetensors"] == second["bytes"]["weights.safetensors"] > 0
    assert first["exemplars"] == second["exemplars"] >= 2
    assert first["structures"]["liver"] == second["structures"]["Leber"]
    assert "Renamed: liver to Leber." in command("diff", model, 1, 2).out


def test_diff_shows_the_verdict_of_the_gate_and_what_it_measured(model, command):
    damage(model)
    report = command("gate", model, "--device", "cpu", "--json").json
    folder = open_model(model)
    retention = {key: report[key] for key in ("sentence", "held_back_by", "structures")}
    folder.write(folder.record(1), {}, {"retention": retention}, reuse_from=3)
    said = command("diff", model, 2, 4, "--json").json
    assert said["first"]["gate"] is None
    assert said["second"]["gate"]["held_back_by"] == ["liver"]
    assert said["second"]["structures"]["liver"] == 0


@pytest.mark.parametrize("arguments", [("rollback",), ("reject", "2"), ("accept", "2"), ("diff", "1", "2")])
def test_what_is_instant_loads_no_torch(model, arguments):
    rename_structure(open_model(model), "liver", "Leber")
    if arguments[0] == "reject":
        open_model(model).roll_back()
    call = [sys.executable, "-c", PROBE, json.dumps([arguments[0], str(model), *arguments[1:]])]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "False"
