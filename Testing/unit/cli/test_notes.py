"""Every command that reads cases says the same of them, from the same code, and refuses the same."""

from __future__ import annotations

import json

import pytest
import SimpleITK as sitk
from scans import write_dataset

FEW = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2", "--steps", 1)
STEP = ("--structures", "spleen", "--device", "cpu")
COMMANDS = {
    "check": lambda model, data: ("check", data),
    "learn": lambda model, data: ("learn", model, "--data", data, *STEP, *FEW),
    "estimate": lambda model, data: ("estimate", model, "--data", data, *STEP, *FEW),
    "advise": lambda model, data: ("advise", model, "--data", data),
    "evaluate": lambda model, data: ("evaluate", model, "--data", data, "--device", "cpu"),
    "remember": lambda model, data: (
        "exemplars", model, "remember", "--method", "aeiseg", "--data", data, *FEW[:-2], "--device", "cpu"
    ),
}  # fmt: skip
UNNAMED = "2 cases, first c1: c1.nii.gz holds values without a name (7): name them in the data set"


def rewrite(path, change):
    image = change(sitk.ReadImage(str(path)))
    sitk.WriteImage(image, str(path))


@pytest.fixture
def unnamed(tmp_path):
    """A data set in which two of five labels hold a value that nobody named."""

    def change(image):
        image[0, 0, 0] = 7
        return image

    folder = write_dataset(tmp_path / "data")
    for case in ("c1", "c4"):
        rewrite(next(folder.rglob(f"labels*/{case}.nii.gz")), change)
    return folder


@pytest.fixture
def mirrored(tmp_path):
    """A data set in which the header of one label has x mirrored."""

    def change(image):
        flipped = list(image.GetDirection())
        flipped[0], flipped[3], flipped[6] = (-part for part in (flipped[0], flipped[3], flipped[6]))
        image.SetDirection(flipped)
        return image

    folder = write_dataset(tmp_path / "data")
    rewrite(next(folder.rglob("labels*/c3.nii.gz")), change)
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_values_without_a_name_are_told_and_counted(name, unnamed, model, command):
    said = command(*COMMANDS[name](model, unnamed), "--json")
    assert said.status == 0, said.err
    if name != "check":
        assert UNNAMED in " ".join(said.err.split())
        assert said.err.count("without a name") == 1
    if name != "remember":
        (note,) = said.json["notes"]
        assert (note["kind"], note["count"], note["case"]) == ("unnamed-values", 2, "c1")
    if name == "learn":  # the record counts and names nobody
        versions = command("versions", model, "--json").json["versions"]
        assert versions[-1]["step"]["notes"] == {"unnamed-values": 2}


@pytest.mark.parametrize("name", COMMANDS)
def test_strict_makes_notes_errors(name, unnamed, model, command):
    said = command(*COMMANDS[name](model, unnamed), "--strict")
    assert said.status == 1
    assert "without a name (7)" in " ".join((said.out + said.err).split())


@pytest.mark.parametrize("name", ["learn", pytest.param("estimate", marks=pytest.mark.slow), "evaluate", "remember"])
def test_lost_header_is_refused_unless_the_person_accepts_it(name, mirrored, model, command):
    said = command(*COMMANDS[name](model, mirrored))
    assert said.status == 1
    assert "'c3'" in said.err
    assert "--accept-grid" in said.err
    said = command(
        *COMMANDS[name](model, mirrored), "--accept-grid", "--strict"
    )  # strict: what was asked for is no doubt
    assert said.status == 0, said.err
    assert "voxels are matched by index" in " ".join(said.err.split())


def test_lost_header_at_check_and_advise(mirrored, model, command):
    said = command("check", mirrored, "--json")
    assert said.status == 1
    assert [row["case"] for row in said.json["cases"] if row["verdict"] == "refused"] == ["c3"]
    said = command("check", mirrored, "--json", "--accept-grid", "--strict")
    assert (said.status, [note["kind"] for note in said.json["notes"]]) == (0, ["accepted-grid"])
    assert "Of 5 scans 1 would be refused. The case 'c3'" in command("advise", model, "--data", mirrored).out


@pytest.mark.slow
def test_accepted_label_is_read_in_the_same_way_by_later_steps(tmp_path, mirrored, command):
    """The gate of a later step reads the label again, and must not lose the scan."""
    for label in mirrored.rglob("labels*/*.nii.gz"):  # all, so that also the one held out is
        rewrite(label, _shifted)
    model = tmp_path / "model"
    assert command("learn", model, "--data", mirrored, "--structures", "liver", *FEW, "--accept-grid").status == 0
    said = command("learn", model, "--data", mirrored, *STEP, *FEW, "--accept-grid", "--accept", "always", "--json")
    assert said.json["retention"]["structures"][0]["kind"] == "measured", said.json["retention"]
    judged = command("gate", model, 2, "--device", "cpu", "--json").json
    assert [note["kind"] for note in judged["notes"]] == ["accepted-grid"]
    assert command("gate", model, 2, "--device", "cpu", "--strict").status == 0


def test_image_without_label_is_one_line(tmp_path, command):
    folder = tmp_path / "nnunet"
    plain = write_dataset(tmp_path / "plain")
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    for image in sorted(plain.rglob("images*/*.nii.gz")):
        image.rename(folder / "imagesTr" / image.name.replace(".nii.gz", "_0000.nii.gz"))
    for label in sorted(plain.rglob("labels*/*.nii.gz"))[2:]:
        label.rename(folder / "labelsTr" / label.name)
    table = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "spleen": 2}}
    (folder / "dataset.json").write_text(json.dumps(table | {"file_ending": ".nii.gz"}))
    line = "2 cases, first c0: the image c0_0000.nii.gz has no label and is not used."
    said = command("check", folder)
    assert said.status == 0
    assert "3 ok  0 warning  0 refused" in said.out
    assert line in said.out
    assert command("check", folder, "--strict").status == 1
    said = command("learn", tmp_path / "m", "--data", folder, "--structures", "liver", *FEW, "--device", "cpu")
    assert line in " ".join(said.err.split())


def _shifted(image):
    image.SetOrigin([part + 3.0 for part in image.GetOrigin()])
    return image
