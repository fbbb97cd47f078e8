"""The commands spots and suggest, for programs and for people."""

import numpy as np
import pytest
import SimpleITK as sitk


def test_spots_lie_in_the_scan_and_are_ranked(taught, scan, command, tmp_path):
    found = command("spots", taught, scan, "--count", 5, "--json").json
    assert found["scan"] == "c0"
    assert found["coordinates"] == "LPS"
    assert 0 < len(found["spots"]) <= 5
    command("segment", taught, scan, "--output", tmp_path, "--format", "nii.gz", "--uncertainty")
    image, seen = sitk.ReadImage(str(scan)), sitk.ReadImage(str(tmp_path / "c0-uncertainty.nii.gz"))
    values = sitk.GetArrayFromImage(seen)
    ml = np.prod(image.GetSpacing()) / 1000
    for spot in found["spots"]:
        x, y, z = image.TransformPhysicalPointToIndex(spot["centre"])
        assert values[z, y, x] >= 0.5  # the same map as that of segment
        assert spot["unit"] == "ml"
        assert 0.5 <= spot["uncertainty"] <= 1
        assert set(spot["structures"]) == {"liver", "background"}
        assert sum(spot["structures"].values()) == pytest.approx(1, abs=1e-3)
    assert sum(spot["size"] for spot in found["spots"]) <= (values >= 0.5).sum() * ml + 1e-6
    weights = [spot["size"] * spot["uncertainty"] for spot in found["spots"]]
    assert weights == pytest.approx(sorted(weights, reverse=True), rel=1e-2)


def test_spots_are_told_to_people(taught, scan, command):
    said = command("spots", taught, scan, "--count", 1).out
    assert "structures in question" in said
    assert " ml " in said


def test_suggest_names_the_scan_unlike_the_training_scans_first(taught, data, scan, command, tmp_path):
    image = sitk.ReadImage(str(scan))
    array = sitk.GetArrayFromImage(image)
    turned = sitk.GetImageFromArray(np.ascontiguousarray(array.max() - array[:, ::-1]))
    turned.CopyInformation(image)
    sitk.WriteImage(turned, str(tmp_path / "odd.nii.gz"))
    (tmp_path / "broken.nii.gz").write_bytes(b"no scan")
    said = command("suggest", taught, scan, tmp_path / "odd.nii.gz", tmp_path / "broken.nii.gz", "--json")
    assert said.status == 1
    scans = {item["scan"]: item for item in said.json["scans"]}
    assert scans["odd"]["distance"] > scans["c0"]["distance"]
    assert "unlike the training scans" in scans["odd"]["reason"]
    assert "similar to the training scans" in scans["c0"]["reason"]
    assert any(text.startswith("odd is ") for text in said.json["warnings"])  # as segment warns
    priorities = [item["priority"] for item in said.json["scans"]]
    assert priorities == sorted(priorities, reverse=True)
    assert [name for name, item in scans.items() if item["priority"] < 0] == ["odd"]  # of another kind: last
    assert list(said.json["failed"]) == ["broken"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere", "SCAN"), "no model folder nowhere"),
        (("MODEL", "nowhere.nii.gz"), "nowhere.nii.gz"),
        (("MODEL", "FOLDER"), "holds 5 scans"),
        (("MODEL", "SCAN", "--structures", "livr"), "Did you mean 'liver'"),
    ],
)
def test_refusals(taught, data, scan, command, arguments, said):
    named = {"MODEL": taught, "SCAN": scan, "FOLDER": data / "images"}
    found = command("spots", *(named.get(item, item) for item in arguments))
    assert found.status == 1
    assert said in found.err.replace("\n", " ")
    assert found.out == ""
