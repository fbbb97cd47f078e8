"""The command correct with a method, and with --session."""

from types import SimpleNamespace

import pytest

from IncrementalSegLib.engine import correct
from IncrementalSegLib.store.versions import open_model

pytest.importorskip("skimage")


def test_a_session_from_its_first_round_to_a_version(model, data, draw, command, tmp_path):
    judging = {item["case"] for item in open_model(model).record().step["held_out"]}
    case = next(name for name in ("c0", "c1", "c2") if name not in judging)
    strokes, output = draw(liver=(2, 3, 4), background=(0, 0, 0)), tmp_path / "corrected.seg.nrrd"
    first = ("correct", model, data / "images" / f"{case}.nii.gz", "--strokes", strokes, "--output", output)
    said = command(*first, "--method", "lwfseg", "--steps", 1)
    assert "learned from 1 round on 1 scan (lwfseg)" in said.out
    assert f"incrementalseg correct {model} --session keep" in said.out.replace("\n", "")
    assert output.exists()
    status = command("correct", model, "--session", "status", "--json").json
    assert [item["scan"] for item in status["scans"]] == [case]
    assert case in command("correct", model, "--session", "status").out
    back = command("correct", model, "--session", "undo")
    assert "the outline that it wrote stays" in back.out
    assert "No correction session" in back.out
    assert output.exists()
    command(*first, "--overwrite", "--method", "lwfseg", "--steps", 1)
    refused = command(*first, "--overwrite", "--method", "finetune")
    assert refused.status == 1
    assert f"`incrementalseg correct {model} --session discard`" in refused.err.replace("\n", "")
    kept = command("correct", model, "--session", "keep", "--json")
    assert kept.status == (0 if kept.json["accepted"] else 3)
    assert kept.json["version"] == 2
    if not kept.json["accepted"]:
        assert "Version 2, a candidate" in command("correct", model, "--session", "status").out
        assert "session is discarded" in command("correct", model, "--session", "discard").out
    undone = command("correct", model, "--session", "undo")
    assert undone.status == 1
    assert "No correction session" in undone.err


def test_a_version_held_back_is_told_with_the_way_to_use_it(taught, command, monkeypatch):
    report = SimpleNamespace(rows=(), sentence="Held back.")
    held = SimpleNamespace(report=report, record=SimpleNamespace(number=7, parent=1, accepted=False))
    monkeypatch.setattr(correct, "keep_corrections", lambda *_, **__: held)
    said = command("correct", taught, "--session", "keep")
    assert said.status == 3
    assert f"`incrementalseg accept {taught} 7`" in said.out.replace("\n", "")
    assert f"discard it: `incrementalseg correct {taught} --session discard`" in said.out.replace("\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("SCAN", "--session", "undo"),
        ("--session", "undo", "--simulate", "x"),
        ("--session", "keep", "--method", "lwfseg"),
        ("--session", "keep", "--steps", "5"),
    ],
)
def test_a_session_takes_nothing_else(taught, scan, command, arguments):
    said = command("correct", taught, *(scan if item == "SCAN" else item for item in arguments))
    assert said.status == 2
    assert "--session" in said.err
