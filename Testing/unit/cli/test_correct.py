"""The command correct: strokes hold, spread, and are refused where they cannot be right."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("skimage")


def liver(path):
    """Return the one structure of a written segmentation."""
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path))) > 0


def test_strokes_hold_in_the_result_and_it_lies_on_the_grid_of_the_scan(taught, scan, draw, command, tmp_path):
    before = tmp_path / "before.seg.nrrd"
    command("segment", taught, scan, "--output", before)
    first = liver(before)
    inside, outside = np.argwhere(first)[0], np.argwhere(~first)[-1]
    strokes = draw(liver=tuple(outside), background=tuple(inside))
    model = {path: path.read_bytes() for path in taught.rglob("*") if path.is_file()}
    said = command("correct", taught, scan, "--strokes", strokes, "--output", tmp_path / "after.seg.nrrd", "--json")
    after = liver(tmp_path / "after.seg.nrrd")
    assert after[tuple(outside)]
    assert not after[tuple(inside)]
    image, source = sitk.ReadImage(str(tmp_path / "after.seg.nrrd")), sitk.ReadImage(str(scan))
    np.testing.assert_allclose(image.GetOrigin(), source.GetOrigin())
    np.testing.assert_allclose(image.GetDirection(), source.GetDirection())
    assert said.json["outputs"] == [str(tmp_path / "after.seg.nrrd")]
    assert said.json["structures"]["liver"]["ml"] == pytest.approx(
        after.sum() * np.prod(source.GetSpacing()) / 1000, rel=1e-3
    )
    assert {path: path.read_bytes() for path in taught.rglob("*") if path.is_file()} == model  # nothing was learned


def test_a_stroke_that_agrees_with_the_prediction_leaves_most_of_it(taught, scan, draw, command, tmp_path):
    command("segment", taught, scan, "--output", tmp_path / "before.seg.nrrd")
    first = liver(tmp_path / "before.seg.nrrd")
    strokes = draw(liver=tuple(np.argwhere(first)[0]))
    command("correct", taught, scan, "--strokes", strokes, "--output", tmp_path / "after.seg.nrrd")
    assert not (first & ~liver(tmp_path / "after.seg.nrrd")).any()


def test_what_was_drawn_is_never_overwritten(taught, scan, draw, command, tmp_path):
    strokes = draw(liver=(0, 0, 0))
    kept = strokes.read_bytes()
    said = command("correct", taught, scan, "--strokes", strokes, "--output", strokes, "--overwrite")
    assert said.status == 1
    assert "would overwrite" in said.err
    assert strokes.read_bytes() == kept


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"own": "moved", "liver": (0, 0, 0)}, "on another grid than the scan"),
        ({"livre": (0, 0, 0)}, "Did you mean 'liver'"),
        ({"liver": (slice(0), 0, 0)}, "are empty"),
        ({"liver": (1, 2, 3), "background": (1, 2, 3)}, "both liver and background"),
    ],
)
def test_refusals_write_nothing(taught, scan, grid, draw, command, tmp_path, arguments, told):
    if arguments.get("own"):
        arguments = arguments | {"own": replace(grid, origin=(*grid.origin[:2], grid.origin[2] + 100))}
    output = tmp_path / "after.seg.nrrd"
    said = command("correct", taught, scan, "--strokes", draw(**arguments), "--output", output)
    assert said.status == 1
    assert told in said.err.replace("\n", " ")
    assert said.out == ""
    assert not output.exists()


def test_strokes_that_are_not_there_are_refused(taught, scan, command, tmp_path):
    said = command("correct", taught, scan, "--strokes", "nowhere.seg.nrrd", "--output", tmp_path / "a.seg.nrrd")
    assert said.status == 1
    assert "nowhere.seg.nrrd" in said.err


def test_a_simulated_user_raises_dice_and_what_it_needs_is_said(taught, data, command):
    found = command(
        "correct", taught, "--simulate", data, "--cases", "c0,c1", "--spots", 4, "--rounds", 2, "--json"
    ).json
    assert [case["case"] for case in found["cases"]] == ["c0", "c1"]
    before, first, second = found["dice"]["liver"]
    assert second >= first > before
    assert found["dice"]["liver"][-1] != found["strokes_only"]["liver"][-1]
    assert found["strokes_only"]["liver"][0] == before
    said = command("correct", taught, "--simulate", data, "--cases", "c0", "--spots", 2, "--rounds", 1).out
    assert "strokes alone" in said


def test_a_structure_may_have_another_name_in_the_data(taught, data, command, tmp_path):
    asked = ("--cases", "c0", "--spots", 2, "--rounds", 1, "--json")
    dice = command("correct", taught, "--simulate", data, *asked).json["dice"]
    other = shutil.copytree(data, tmp_path / "other")
    description = json.loads((other / "dataset.json").read_text())
    names = description["labels"]
    description["labels"] = {value: "Leber, rechts" if name == "liver" else name for value, name in names.items()}
    (other / "dataset.json").write_text(json.dumps(description))
    named = ("--structures", 'Liver="Leber, rechts"')
    assert command("correct", taught, "--simulate", other, *named, *asked).json["dice"] == dice
    refused = command("correct", taught, "--simulate", other, "--structures", "spleen=Leber", *asked)
    assert "no structure called 'spleen'" in refused.err


@pytest.mark.parametrize("arguments", [("SCAN",), ("SCAN", "--simulate", "x"), ("SCAN", "--cases", "x"), ()])
def test_a_scan_and_a_simulation_are_not_mixed(taught, scan, command, arguments):
    said = command("correct", taught, *(scan if item == "SCAN" else item for item in arguments))
    assert said.status == 2
    assert "--simulate" in said.err
