"""The command correct with a method: a copy of the model learns, round by round, until it is kept or discarded."""

import numpy as np
import pytest

from IncrementalSegLib.store.versions import open_model

pytest.importorskip("skimage")

METHOD = ("--method", "lwfseg", "--steps", 2)


@pytest.fixture
def round_of(model, data, draw, command, tmp_path):
    """Return a function that does a round on a scan and returns what the command said."""

    def correct(case="c0", *more, **strokes):
        drawn = draw(**(strokes or {"liver": (2, 3, 4), "background": (0, 0, 0)}))
        output = tmp_path / f"{case}.seg.nrrd"
        scan = data / "images" / f"{case}.nii.gz"
        arguments = ("--strokes", drawn, "--output", output, "--overwrite", "--json", *(more or METHOD))
        return command("correct", model, scan, *arguments)

    return correct


def held_out(model):
    """Return the cases that judge the model."""
    return {item["case"] for item in open_model(model).record().step["held_out"]}


def learnable(model):
    """Return the cases from which it may learn."""
    return [f"c{number}" for number in range(5) if f"c{number}" not in held_out(model)]


def versions(model):
    return {path: path.read_bytes() for path in (model / "versions").rglob("*") if path.is_file()} | {
        "current": open_model(model).current
    }


def weights(model):
    found = sorted((model / "correcting").iterdir())
    return (found[-1] / "training.safetensors").read_bytes()


def test_rounds_teach_a_copy_that_can_be_undone_and_discarded(model, round_of, command):
    before = versions(model)
    one, two = learnable(model)[:2]
    said = round_of(one)
    assert said.status == 0, said.err
    assert said.json["session"]["rounds"] == 1
    first = weights(model)
    assert round_of(one, "--steps", 2).json["session"]["scans"][0]["rounds"] == 2  # the method is that of the session
    assert round_of(two).json["session"]["undoable"] == 3
    assert weights(model) != first
    assert [
        item["scan"] for item in command("correct", model, "--session", "status", "--json").json["session"]["scans"]
    ] == [one, two]
    for left in (2, 1):
        assert command("correct", model, "--session", "undo", "--json").json["session"]["rounds"] == left
    assert weights(model) == first
    assert command("correct", model, "--session", "undo", "--json").json["session"] is None
    assert not (model / "correcting").exists()
    round_of(one)
    assert command("correct", model, "--session", "discard", "--json").json["session"] is None
    assert not (model / "correcting").exists()
    assert versions(model) == before


def test_what_was_learned_is_kept_through_the_gate(model, round_of, command):
    one = learnable(model)[0]
    round_of(one)
    said = command("correct", model, "--session", "keep", "--json")
    assert said.status in (0, 3), said.err
    record = open_model(model).record(2)
    assert said.json["version"] == 2
    assert [row["structure"] for row in said.json["retention"]["structures"]] == ["liver"]
    assert record.step["corrected"] == [one]
    assert one in [item["case"] for item in record.step["training"]]
    assert open_model(model).current == (2 if said.json["accepted"] else 1)
    assert not (model / "correcting").exists()
    assert command("correct", model, "--session", "keep").status == 1


def test_what_harms_is_held_back(model, round_of, command):
    round_of(learnable(model)[0], "--method", "finetune", "--steps", 30, background=np.s_[:, 4:, :])
    said = command("correct", model, "--session", "keep", "--json")
    assert said.status == 3
    assert said.json["held_back_by"] == ["liver"]
    assert open_model(model).current == 1


def test_a_session_of_an_older_version_is_refused(model, round_of, command):
    one = learnable(model)[0]
    round_of(one)
    command("structures", model, "rename", "liver", "Leber")
    assert open_model(model).current == 2
    for said in (round_of(one, Leber=(2, 3, 4)), command("correct", model, "--session", "keep")):
        assert said.status == 1
        assert "began from version 1, and version 2 is in use now" in said.err.replace("\n", " ")
    assert command("correct", model, "--session", "discard").status == 0


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--method", "mib"), "makes classes, the model has heads"),
        (("--method", "nothing"), "no method called 'nothing'"),
        (("--method", "lwfseg", "--option", "nothing=1"), "no option of lwfseg called 'nothing'"),
        (("--method", "lwfseg", "--version", 1), "cannot learn from corrections"),
    ],
)
def test_refusals_begin_no_session(model, round_of, more, told):
    said = round_of(learnable(model)[0], *more)
    assert said.status == 1
    assert told in said.err.replace("\n", " ")
    assert not (model / "correcting").exists()


def test_a_scan_that_judges_is_not_learned_from(model, round_of):
    said = round_of(held_out(model).pop())
    assert said.status == 1
    assert "is held out" in said.err
    assert not (model / "correcting").exists()


def test_another_method_is_refused_while_a_session_is_open(model, round_of):
    one = learnable(model)[0]
    round_of(one)
    said = round_of(one, "--method", "finetune")
    assert said.status == 1
    assert "began with the method 'lwfseg'" in said.err.replace("\n", " ")
    assert "--session keep" in said.err.replace("\n", " ")
    assert round_of(one, "--method", "propagate-only").json["session"] is None
