"""Whatever is wrong: one clear message, the right exit status, nothing on standard output, nothing changed on disk."""

import re
import shutil
import sys

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scans import image_of, toy, tree, write_dataset

from IncrementalSegLib.cli import app
from IncrementalSegLib.errors import IncrementalSegError

REFUSED, USAGE = 1, 2


@pytest.fixture
def place(tmp_path, data, model, monkeypatch):
    """Work in a folder with everything that can be wrong."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(data, "data")
    write_dataset(tmp_path / "no-spleen", cases=2, values=(1,))
    write_dataset(tmp_path / "far", cases=2, spacing=(4, 4, 8))
    write_dataset(tmp_path / "broken", cases=3)
    (tmp_path / "broken/images/c1.nii.gz").unlink()
    (tmp_path / "broken/labels/c2.nii.gz").write_bytes(b"no NIfTI")
    write_dataset(tmp_path / "apart", cases=2)
    label = sitk.ReadImage("apart/labels/c1.nii.gz")
    label.SetOrigin((5000.0, 0.0, 0.0))
    sitk.WriteImage(label, "apart/labels/c1.nii.gz")
    for name, text in (
        ("no-json", "{"),
        ("no-labels", '{"training": [], "labels": {}}'),
        ("no-case", '{"training": []}'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset.json").write_text(text, "utf-8")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "notes.txt").write_text("no scan", "utf-8")
    (tmp_path / "empty.nii.gz").write_bytes(b"")
    whole = (tmp_path / "data/images/c0.nii.gz").read_bytes()
    (tmp_path / "cut.nii.gz").write_bytes(whole[: len(whole) // 2])
    volume, _ = toy(spacing=(5, 5, 2))
    sitk.WriteImage(image_of(volume.array[0], volume.grid), "coarse.nii.gz")
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((9, 9, 3), np.uint8), isVector=True), "picture.png")
    sitk.WriteImage(sitk.GetImageFromArray(np.full((4, 9, 9), np.nan, np.float32)), "nan.nii.gz")
    return tmp_path


LEARN = ("learn", "model", "--steps", "1", "--structures", "spleen", "--data")
SEGMENT = ("segment", "model", "data/images/c0.nii.gz", "--output")

CASES = [
    # Nothing there, or something else.
    (("learn", "model", "--data", "nowhere", "--structures", "spleen"), REFUSED, "nowhere is not there"),
    (("learn", "model", "--data", "nowhere", "--structures", "liver"), REFUSED, "nowhere is not there"),
    (("learn", "notes.txt", "--data", "data", "--structures", "spleen"), REFUSED, "is a file, not a"),
    (("learn", "data", "--data", "data", "--structures", "spleen"), REFUSED, "not a model folder"),
    (("segment", "nowhere", "data/images/c0.nii.gz", "--output", "out"), REFUSED, "no model folder nowhere"),
    (("evaluate", "data", "--data", "data"), REFUSED, "not a model folder"),
    (("versions", "nowhere"), REFUSED, "no model folder"),
    (("structures", "nothing"), REFUSED, "not a model folder"),
    (("exemplars", "notes.txt"), REFUSED, "is a file"),
    (("check", "nowhere"), REFUSED, "not there"),
    (("check", "notes.txt"), REFUSED, "manifest"),
    # Data that cannot be used.
    ((*LEARN, "no-json"), REFUSED, "cannot be read as JSON"),
    ((*LEARN, "no-labels"), REFUSED, "no table of labels"),
    ((*LEARN, "no-case"), REFUSED, "labels"),
    ((*LEARN, "nothing"), REFUSED, "neither dataset.json nor a manifest"),
    ((*LEARN, "notes.txt"), REFUSED, "manifest"),
    ((*LEARN, "no-spleen"), REFUSED, "Not one voxel of 'spleen'"),
    ((*LEARN, "far"), REFUSED, r"case 'c0' has a spacing of 4 mm .* at 1 mm"),
    ((*LEARN, "broken", "--cases", "c0,c1"), REFUSED, r"'c1'.*not there"),
    ((*LEARN, "broken", "--cases", "c0,c2"), REFUSED, "'c2'"),
    ((*LEARN, "apart"), REFUSED, r"'c1'.*do not overlap"),
    ((*LEARN, "data", "--cases", "c7"), REFUSED, r"no case called 'c7'.*Known: c0"),
    ((*LEARN, "data", "--cases", ","), REFUSED, "names no case"),
    (("evaluate", "model", "--data", "far"), REFUSED, "case 'c0' has a spacing of 4 mm"),
    (("evaluate", "model", "--data", "broken", "--cases", "c1"), REFUSED, "'c1'"),
    # Names and options.
    (("learn", "model", "--data", "data", "--structures", "liver"), REFUSED, "already knows 'liver'.*--improve"),
    (("learn", "model", "--data", "data", "--structures", "LIVER"), REFUSED, "already knows 'liver'.*--improve"),
    (("learn", "model", "--data", "data", "--structures", "spleen", "--improve"), REFUSED, "'spleen'. Known: liver"),
    (("learn", "new", "--data", "data", "--structures", "splen"), REFUSED, "Did you mean 'spleen'"),
    (("learn", "new", "--data", "data", "--structures", ","), REFUSED, "empty name"),
    (("learn", "new", "--data", "data", "--structures", "spleen,Spleen"), REFUSED, "named twice"),
    (("learn", "new", "--data", "data", "--structures", "a=spleen,b=Spleen"), REFUSED, "given to two structures"),
    ((*LEARN, "data", "--method", "lwfsg"), REFUSED, "Did you mean 'lwfseg'"),
    ((*LEARN, "data", "--method", "lwfseg", "--option", "alpa=1"), REFUSED, "Did you mean 'alpha'"),
    ((*LEARN, "data", "--method", "lwfseg", "--option", "alpha=2"), REFUSED, "alpha='2' of lwfseg"),
    ((*LEARN, "data", "--network", "unet3d"), REFUSED, "network is unet2d"),
    (
        (*LEARN, "data", "--judge", "data"),
        REFUSED,
        r"to judge, or patients of one name.*with --cases.*scans of --judge",
    ),
    (("learn", "new", *LEARN[2:], "data", "--network", "unet4d"), REFUSED, "no network called 'unet4d'. Did you mean"),
    ((*LEARN, "data", "--option", "descriptor=vgg17"), REFUSED, "no descriptor called 'vgg17'"),
    ((*LEARN, "data", "--option", "descriptor_weights=nowhere.safetensors"), REFUSED, "no file nowhere"),
    (("evaluate", "model", "--data", "data", "--structures", "kidney"), REFUSED, "'kidney'"),
    (
        ("evaluate", "model", "--data", "data", "--structures", "liver=kidney"),
        REFUSED,
        "label called 'kidney'.*does not name it",
    ),
    (("evaluate", "model", "--data", "data", "--version", "7"), REFUSED, "no version called '7'. Known: 1"),
    (("structures", "model", "rename", "liver", "a=b"), REFUSED, "cannot be the name"),
    (("structures", "model", "rename", "kidney", "x"), REFUSED, "'kidney'"),
    (("structures", "model", "remove", "lver"), REFUSED, "Did you mean 'liver'"),
    (("structures", "model", "remove", "liver"), REFUSED, "only structure"),
    (("exemplars", "model", "pin", "x"), REFUSED, "no exemplar called 'x'"),
    (("exemplars", "model", "ban", "x"), REFUSED, "no exemplar called 'x'"),
    (("exemplars", "model", "remember", "--method", "best", "--data", "data"), REFUSED, "no method called 'best'"),
    (("exemplars", "model", "remember", "--method", "aeiseg", "--data", "far"), REFUSED, "spacing of 4 mm"),
    # Scans.
    (("segment", "model", "nowhere.nii.gz", "--output", "out"), REFUSED, "not there"),
    (("segment", "model", "notes.txt", "--output", "out"), REFUSED, "notes.txt cannot be read"),
    (("segment", "model", "nothing", "--output", "out"), REFUSED, "The folder nothing is empty"),
    (("segment", "model", "empty.nii.gz", "--output", "out"), REFUSED, "0 bytes"),
    (("segment", "model", "cut.nii.gz", "--output", "out"), REFUSED, "truncated"),
    (("segment", "model", "nan.nii.gz", "--output", "out"), REFUSED, "no finite voxel"),
    (("segment", "model", "coarse.nii.gz", "--output", "out"), REFUSED, "coarse has a spacing of 5 mm"),
    (("segment", "model", "picture.png", "--output", "out"), REFUSED, "3 channels, the model expects 1"),
    (("segment", "model", "data/images/c0.nii.gz;data/images/c1.nii.gz", "--output", "out"), REFUSED, "2 channels"),
    ((*SEGMENT, "out", "--structures", "kidney"), REFUSED, "'kidney'. Known: liver"),
    ((*SEGMENT, "out", "--structures", ","), REFUSED, "empty name"),
    ((*SEGMENT, "data/images/c0.nii.gz"), REFUSED, "would overwrite an input file"),
    ((*SEGMENT, "data/images", "--format", "nii.gz"), REFUSED, "would overwrite an input file"),
    ((*SEGMENT, "out", "--version", "2"), REFUSED, "no version called '2'"),
    ((*SEGMENT, "out.nii.gz", "--format", "seg.nrrd"), REFUSED, "does not end in .seg.nrrd"),
    ((*SEGMENT, "notes.txt/out"), REFUSED, "cannot be made"),
    (("segment", "model", *["data/images/c0.nii.gz"] * 2, "--output", "out"), REFUSED, "c0.nii.gz is given twice"),
    (
        ("segment", "model", "data/images/c0.nii.gz", "data/images/c1.nii.gz", "--output", "out.nii.gz"),
        REFUSED,
        "2 scans cannot be written to the one file",
    ),
    # Wrong usage.
    ((*LEARN, "data", "--steps", "2"), USAGE, "'--steps'.*more than once"),
    (("versions", "model", "--json", "--json"), USAGE, "'--json'.*more than once"),
    # An empty path would be the current folder.
    (("versions", ""), USAGE, "argument behind versions is empty"),
    ((*LEARN, "data", "--unlabelled="), USAGE, "argument behind --unlabelled= is empty"),
    ((*LEARN, "data", "--unlabelled", ""), USAGE, "argument behind --unlabelled is empty"),
    (("correct", "model", "--simulate", "data", "--overwrite"), USAGE, "leave out --strokes, --output, --overwrite"),
    ((), USAGE, ""),
    (("teach",), USAGE, "No such command 'teach'"),
    (("learn",), USAGE, "MODEL"),
    (("learn", "model", "--data", "data"), USAGE, "--structures"),
    (("learn", "model", "--resume", "--steps", "4"), USAGE, "--steps cannot be given again"),
    (("learn", "model", "--resume", "--accept", "always"), USAGE, "--accept cannot be given again"),
    ((*LEARN, "data", "--option", "alpha"), USAGE, "not of the form k=v"),
    ((*LEARN, "data", "--device", "tpu"), USAGE, "'auto', 'cpu', 'cuda'"),
    ((*LEARN, "data", "--preset", "huge"), USAGE, "huge"),
    ((*LEARN, "data", "--exemplars", "some"), USAGE, "some"),
    ((*LEARN, "data", "--steps", "0"), USAGE, "steps"),
    ((*LEARN, "data", "--seed", "-1"), USAGE, "seed"),
    ((*LEARN, "data", "--sed", "1"), USAGE, "--sed"),
    (("segment", "model", "--output", "out"), USAGE, "SCAN"),
    (("segment", "model", "data/images/c0.nii.gz"), USAGE, "--output"),
    ((*SEGMENT, "out", "--format", "png"), USAGE, "png"),
    ((*SEGMENT, "out", "--version", "x"), USAGE, "version"),
    (("structures", "model", "rename", "liver"), USAGE, "rename A B"),
    (("structures", "model", "explode"), USAGE, "rename A B"),
    (("exemplars", "model", "budget", "many"), USAGE, "budget N"),
    (("exemplars", "model", "remember"), USAGE, "--method"),
]


def listed(arguments):
    return " ".join(arguments) or "nothing"


@pytest.mark.parametrize(("arguments", "status", "message"), CASES, ids=[listed(case[0]) for case in CASES])
def test_refused_with_one_message(arguments, status, message, place, command):
    before = tree(place)
    said = command(*arguments)
    assert said.status == status, said
    assert said.out == "" or not arguments
    text = " ".join(said.err.split())
    assert "Traceback" not in text
    assert "fault of the program" not in text
    if status == REFUSED:
        assert text.count("Error:") == 1
    assert re.search(message, text, re.IGNORECASE), text
    assert tree(place) == before


@pytest.mark.parametrize("arguments", [(*LEARN, "data"), (*SEGMENT, "out"), ("evaluate", "model", "--data", "data")])
def test_no_gpu_is_said(arguments, place, command, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    before = tree(place)
    said = command(*arguments, "--device", "cuda")
    assert (said.status, said.out) == (REFUSED, "")
    assert "No CUDA GPU can be used" in said.err
    assert "--device cpu" in said.err
    assert tree(place) == before


def test_methods_that_rehearse_need_exemplars(place, command):
    assert command("exemplars", "model", "budget", "0").status == 0
    before = tree(place)
    said = command(*LEARN, "data", "--method", "aeiseg")
    assert said.status == REFUSED
    assert "remember --method aeiseg" in said.err
    assert tree(place) == before


def test_a_method_of_another_family_is_refused(place, command, monkeypatch):
    from IncrementalSegLib.registry import find

    monkeypatch.setattr(find("method", "lwfseg"), "output", "classes")
    before = tree(place)
    said = command(*LEARN, "data", "--method", "lwfseg")
    assert said.status == REFUSED
    assert "'lwfseg' makes classes, the model has heads" in said.err
    assert tree(place) == before


def test_a_damaged_model_is_said(place, command):
    weights = next((place / "model/versions/0001").glob("weights*"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    said = command(*SEGMENT, "out")
    assert said.status == REFUSED
    assert "damaged" in said.err
    assert not (place / "out").exists()


def test_a_check_with_a_broken_case_fails_and_names_it(place, command):
    said = command("check", "broken", "--json")
    assert said.status == REFUSED
    verdicts = {row["case"]: row["verdict"] for row in said.json["cases"]}
    assert verdicts == {"c0": "ok", "c1": "refused", "c2": "refused"}


@pytest.mark.parametrize("shown", [False, True])
def test_an_unforeseen_fault_is_one_message_too(shown, place, command, monkeypatch):
    from IncrementalSegLib.sampling import checks as check

    def broken(*_, **__):
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr(check, "check_data", broken)
    if shown:
        monkeypatch.setenv(app.TRACEBACK, "1")
        with pytest.raises(ZeroDivisionError):
            command("check", "data")
        return
    said = command("check", "data", "--json")
    assert (said.status, said.out) == (REFUSED, "")
    assert "ZeroDivisionError: nobody thought of this. This is a fault of the program." in said.err
    assert "Traceback" not in said.err


def test_an_interrupted_command_says_so(place, command, monkeypatch):
    from IncrementalSegLib.sampling import checks as check

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "check_data", interrupted)
    said = command("check", "data", "--json")
    assert (said.status, said.out) == (130, "")
    assert "Cancelled" in said.err


def test_square_brackets_in_a_message_stay(place, command, monkeypatch):
    from IncrementalSegLib.sampling import checks as check

    def refuse(*_, **__):
        raise IncrementalSegError("The file [bold]x[/bold] is bad.")

    monkeypatch.setattr(check, "check_data", refuse)
    assert "[bold]x[/bold]" in command("check", "data").err


def test_a_gpu_that_is_too_small_is_said(place, command, monkeypatch):
    from IncrementalSegLib.sampling import checks

    def refuse(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(checks, "check_data", refuse)
    said = command("check", "data")
    assert said.status == REFUSED
    assert "memory of the GPU ran out" in said.err


def test_a_process_that_is_started_by_its_module_has_the_name_of_the_command(command, monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__package__", "IncrementalSegLib", raising=False)
    assert "Usage: incrementalseg learn " in command("learn", "model", "--nonsense").err
