"""What the command segment writes, read back with SimpleITK alone."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scans import image_of, stored, toy, tree

FEW = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")


@pytest.fixture(scope="session")
def two(tmp_path_factory, data):
    """Return a model of two structures after one step: its heads are nearly random and overlap."""
    from IncrementalSegLib.engine.learn import learn

    folder = tmp_path_factory.mktemp("cli") / "two"
    few = dict(pair.split("=") for pair in FEW[1::2])
    learn(folder, data, "liver,blob=spleen", steps=1, options=few, device="cpu")
    return folder


def segments(path: Path) -> tuple[np.ndarray, dict[str, dict[str, str]]]:
    """Return the layers (L, D, H, W) and, by name, the fields of each segment."""
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    layers = np.moveaxis(array, -1, 0) if array.ndim == 4 else array[np.newaxis]
    found = {}
    for index in range(100):
        if not image.HasMetaDataKey(f"Segment{index}_Name"):
            break
        keys = ("ID", "Name", "Color", "Layer", "LabelValue", "Tags")
        fields = {key: image.GetMetaData(f"Segment{index}_{key}") for key in keys}
        found[fields["Name"]] = fields
    return layers, found


def test_seg_nrrd_holds_names_colours_terminology_and_overlaps(two, scan, tmp_path, command):
    path = tmp_path / "out.seg.nrrd"
    said = command("segment", two, scan, "--output", path, "--json").json
    known = {item["name"]: item for item in command("structures", two, "--json").json["structures"]}
    image, source = sitk.ReadImage(str(path)), sitk.ReadImage(str(scan))
    np.testing.assert_allclose(image.GetSpacing(), source.GetSpacing())
    np.testing.assert_allclose(image.GetOrigin(), source.GetOrigin())
    np.testing.assert_allclose(image.GetDirection(), source.GetDirection())
    layers, found = segments(path)
    assert list(found) == ["liver", "blob"]
    for name, fields in found.items():
        assert fields["ID"] == known[name]["id"]
        shown = [round(float(part) * 255) for part in fields["Color"].split()]
        assert shown == known[name]["color"]
        mask = layers[int(fields["Layer"])] == int(fields["LabelValue"])
        assert mask.sum() * np.prod(source.GetSpacing()) / 1000 == pytest.approx(
            said["structures"][name]["ml"], rel=1e-3
        )
    assert "Liver" in found["liver"]["Tags"]
    assert found["blob"]["Tags"] == ""


def test_nii_gz_says_which_overlap_was_resolved(two, scan, tmp_path, command):
    folder = tmp_path / "out"
    apart = command("segment", two, scan, "--output", folder, "--json").json
    layers, found = segments(folder / "c0.seg.nrrd")
    liver, blob = (layers[int(found[name]["Layer"])] == int(found[name]["LabelValue"]) for name in ("liver", "blob"))
    assert (liver & blob).any()  # else this test shows nothing
    merged = command("segment", two, scan, "--output", folder, "--format", "nii.gz", "--json").json
    assert [Path(path).name for path in merged["outputs"]] == ["c0.nii.gz", "c0.json"]
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "c0.nii.gz")))
    assert np.array_equal(labels == 2, blob)
    assert np.array_equal(labels == 1, liver & ~blob)
    assert merged["structures"] == apart["structures"]
    assert [text.split(" was ")[0] for text in apart["warnings"]] == ["liver", "blob"]
    assert all("learned (Dice 0." in text for text in apart["warnings"])
    (warning,) = [text for text in merged["warnings"] if text not in apart["warnings"]]
    assert warning.startswith(f"{(liver & blob).sum()} voxels are both liver and blob")
    meaning = json.loads((folder / "c0.json").read_text("utf-8"))
    assert [meaning[value]["name"] for value in ("1", "2")] == ["liver", "blob"]


@pytest.mark.parametrize(("asked", "written"), [("blob", ["blob"]), ("BLOB, liver", ["liver", "blob"])])
def test_a_subset_is_the_same_as_in_the_whole(asked, written, two, scan, tmp_path, command):
    command("segment", two, scan, "--output", tmp_path / "all.seg.nrrd")
    said = command("segment", two, scan, "--output", tmp_path / "some.seg.nrrd", "--structures", asked, "--json").json
    assert list(said["structures"]) == written
    (every, fields), (some, chosen) = segments(tmp_path / "all.seg.nrrd"), segments(tmp_path / "some.seg.nrrd")
    assert list(chosen) == written
    for name in written:
        expected = every[int(fields[name]["Layer"])] == int(fields[name]["LabelValue"])
        mask = some[int(chosen[name]["Layer"])] == int(chosen[name]["LabelValue"])
        assert (mask != expected).mean() < 1e-3


def test_several_scans_go_into_a_folder(model, data, tmp_path, command):
    scans = [data / "images" / f"c{number}.nii.gz" for number in (2, 0)]
    said = command("segment", model, *scans, "--output", tmp_path / "a" / "b", "--uncertainty", "--json").json
    assert {Path(path).name for path in said["outputs"]} == {
        "c2.seg.nrrd", "c0.seg.nrrd", "c2-uncertainty.nrrd", "c0-uncertainty.nrrd"
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {Path(path).name for path in said["outputs"]}
    entropy = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a/b/c0-uncertainty.nrrd")))
    assert 0 <= entropy.min() < entropy.max() <= 1


def test_the_parts_of_the_uncertainty_add_up_to_it(model, scan, tmp_path, command):
    said = command("segment", model, scan, "--output", tmp_path / "out.nii.gz", "--uncertainty-parts", "--json").json
    names = ["out-uncertainty", "out-uncertainty-aleatoric", "out-uncertainty-epistemic"]
    assert said["outputs"][2:] == [str(tmp_path / f"{name}.nii.gz") for name in names]
    total, aleatoric, epistemic = (sitk.GetArrayFromImage(sitk.ReadImage(path)) for path in said["outputs"][2:])
    np.testing.assert_allclose(aleatoric + epistemic, total, atol=1e-5)
    assert aleatoric.max() > 0.1
    assert 1e-5 < epistemic.max() < total.max()
    assert total.shape == sitk.GetArrayFromImage(sitk.ReadImage(str(scan))).shape


def test_the_earlier_version_is_used_when_named(model, data, scan, tmp_path, command):
    command("segment", model, scan, "--output", tmp_path / "before.seg.nrrd")
    command("learn", model, "--data", data, "--structures", "spleen", "--steps", 2, *FEW)
    said = command("segment", model, scan, "--output", tmp_path / "old.seg.nrrd", "--version", 1, "--json").json
    assert list(said["structures"]) == ["liver"]
    assert (tmp_path / "old.seg.nrrd").read_bytes() == (tmp_path / "before.seg.nrrd").read_bytes()


def test_a_scan_stored_in_another_order_is_segmented_alike(model, tmp_path, command):
    volume, _ = toy(9)
    array, grid = stored(volume.array[0], volume.grid, (2, 0, 1), (True, False, True))
    sitk.WriteImage(image_of(volume.array[0], volume.grid), str(tmp_path / "one.nrrd"))
    sitk.WriteImage(image_of(array, grid), str(tmp_path / "other.nrrd"))
    command(
        "segment", model, tmp_path / "one.nrrd", tmp_path / "other.nrrd", "--output", tmp_path, "--format", "nii.gz"
    )
    one, other = (sitk.ReadImage(str(tmp_path / f"{name}.nii.gz")) for name in ("one", "other"))
    back = sitk.Resample(other, one, sitk.Transform(), sitk.sitkNearestNeighbor)
    assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(one))
    assert sitk.GetArrayFromImage(one).any()


def test_a_dicom_series(model, tmp_path, command):
    volume, _ = toy(3)
    series = sitk.ImageSeriesReader()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    (tmp_path / "series").mkdir()
    for index, plane in enumerate(volume.array[0].astype(np.int16)):
        image = sitk.GetImageFromArray(plane[np.newaxis])
        image.SetSpacing(volume.grid.spacing)
        x, y, z = volume.grid.origin
        for key, value in {
            "0008|0060": "MR", "0020|000e": "1.2.826.0.1.3680043.2.1125.1", "0020|0013": str(index),
            "0008|0018": f"1.2.826.0.1.3680043.2.1125.1.{index + 1}", "0020|0037": r"1\0\0\0\1\0",
            "0020|0032": f"{x}\\{y}\\{z + index * volume.grid.spacing[2]}",
        }.items():  # fmt: skip
            image.SetMetaData(key, value)
        writer.SetFileName(str(tmp_path / "series" / f"{index}.dcm"))
        writer.Execute(image)
    sitk.WriteImage(image_of(volume.array[0].astype(np.int16), volume.grid), str(tmp_path / "same.nii.gz"))
    del series
    said = command(
        "segment", model, tmp_path / "series", tmp_path / "same.nii.gz", "--output", tmp_path / "out", "--json"
    ).json
    assert [Path(path).name for path in said["outputs"]] == ["series.seg.nrrd", "same.seg.nrrd"]
    first, second = said["structures"]["liver"]["ml"]
    assert first == second > 0


def test_a_picture_in_colour(tmp_path, command):
    rng = np.random.default_rng(0)
    rows = ["image,label,looked_for"]
    for number in range(2):
        label = np.zeros((40, 56), np.uint8)
        label[10 + number : 24, 12:30] = 255
        colours = np.stack([label, 255 - label, rng.integers(0, 99, label.shape, dtype=np.uint8)], axis=-1)
        sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(tmp_path / f"p{number}.png"))
        sitk.WriteImage(sitk.GetImageFromArray(label), str(tmp_path / f"p{number}_mask.png"))
        rows.append(f"p{number}.png,p{number}_mask.png,lesion")
    (tmp_path / "cases.csv").write_text("\n".join(rows), "utf-8")
    model = tmp_path / "skin"
    command("learn", model, "--data", tmp_path / "cases.csv", "--structures", "lesion", "--steps", 12, *FEW)
    said = command("segment", model, tmp_path / "p0.png", "--output", tmp_path / "out.png", "--json")
    assert said.status == 0
    outlined = sitk.ReadImage(str(tmp_path / "out.png"))
    assert outlined.GetSize() == (56, 40)
    assert set(np.unique(sitk.GetArrayFromImage(outlined))) <= {0, 1}
    assert command("segment", model, tmp_path / "p0.png", "--output", tmp_path / "out.seg.nrrd").status == 0
    layers, found = segments(tmp_path / "out.seg.nrrd")
    assert list(found) == ["lesion"]
    assert np.array_equal(layers[0][0], sitk.GetArrayFromImage(outlined))


def test_a_failing_scan_stops_no_other(model, data, tmp_path, command):
    bad, good = tmp_path / "bad.nii.gz", data / "images/c0.nii.gz"
    bad.write_bytes(b"nothing")
    said = command("segment", model, bad, good, "--output", tmp_path / "out", "--json")
    assert said.status == 1
    assert list(tree(tmp_path / "out")) == ["c0.seg.nrrd"]
    (failed,) = said.json["failed"]
    assert (failed["scan"], failed["what"]) == (str(bad), "bad.nii.gz ends within its header.")
    assert failed["todo"]
    first, second = said.json["structures"]["liver"]["ml"]
    assert first is None
    assert second > 0
    said = command("segment", model, bad, good, "--output", tmp_path / "again")
    assert said.status == 1
    assert said.out.strip().endswith("Copy or export the file again.")


def test_one_failing_scan_alone_is_an_error(model, tmp_path, command):
    (tmp_path / "bad.nii.gz").write_bytes(b"nothing")
    said = command("segment", model, tmp_path / "bad.nii.gz", "--output", tmp_path / "out", "--json")
    assert (said.status, said.out) == (1, "")
    assert "ends within its header" in said.err


def test_what_was_not_found_is_said(tmp_path, command, model):
    flat = sitk.GetImageFromArray(np.zeros((4, 24, 24), np.float32))
    sitk.WriteImage(flat, str(tmp_path / "flat.nii.gz"))
    said = command("segment", model, tmp_path / "flat.nii.gz", "--output", tmp_path / "out.nii.gz", "--json").json
    empty = not sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "out.nii.gz"))).any()
    assert ("flat: liver was not found." in said["warnings"]) == empty
    assert (said["structures"]["liver"]["ml"] == 0) == empty


@pytest.mark.parametrize("name", ["c0.seg.nrrd", "c0.nii.gz", "c0.json", "c0-uncertainty.nrrd"])
def test_a_file_that_exists_is_replaced_only_on_demand(name, two, scan, tmp_path, command):
    drawn = tmp_path / "out" / name
    drawn.parent.mkdir()
    drawn.write_text("an outline that a person has drawn")
    form = "seg.nrrd" if name.endswith("nrrd") else "nii.gz"
    asked = ("segment", two, scan, "--output", drawn.parent, "--format", form, "--uncertainty")
    said = command(*asked)
    assert said.status == 1
    assert f"{name} already exists" in said.err
    assert "--overwrite" in said.err
    assert drawn.read_text() == "an outline that a person has drawn"
    assert list(drawn.parent.iterdir()) == [drawn]
    assert command(*asked, "--overwrite").status == 0
    assert b"has drawn" not in drawn.read_bytes()


def test_a_link_that_leads_nowhere_is_not_replaced(two, scan, tmp_path, command):
    link = tmp_path / "out.seg.nrrd"
    link.symlink_to(tmp_path / "gone.seg.nrrd")
    assert "already exists" in command("segment", two, scan, "--output", link).err
    assert link.is_symlink()


def test_a_folder_of_scans_and_the_longest_name(two, scan, tmp_path, command):
    longest = "x" * (255 - len(".seg.nrrd"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"{longest}.nii.gz").write_bytes(scan.read_bytes())
    said = command("segment", two, tmp_path / "in", "--output", tmp_path / "out", "--json").json
    assert [Path(path).name for path in said["outputs"]] == [f"{longest}.seg.nrrd"]
    (tmp_path / "in" / f"{longest}.nii.gz").rename(tmp_path / "in" / f"{longest}y.nii")
    assert "longer than 255 bytes" in command("segment", two, tmp_path / "in", "--output", tmp_path / "new").err
    (tmp_path / "in" / "short.nii.gz").write_bytes(scan.read_bytes())
    absent = tmp_path / f"{'z' * 300}.nii"
    said = command("segment", two, tmp_path / "in", absent, "--output", tmp_path / "new", "--json").json
    assert [Path(path).name for path in said["outputs"]] == ["short.seg.nrrd"]
    long, gone = (failed["what"] for failed in said["failed"])
    assert "longer than 255 bytes" in long
    assert "is not there or cannot be looked at" in gone
    named = command("segment", two, absent, "--output", tmp_path / "new" / "x.seg.nrrd").err
    assert "is not there or cannot be looked at" in named


def test_what_is_doubtful_in_a_scan_is_told_and_an_error_where_strict(model, scan, tmp_path, command):
    image = sitk.ReadImage(str(scan))
    sitk.WriteImage(image * 0 + 7, str(tmp_path / "flat.nii.gz"))
    asked = ("segment", model, tmp_path / "flat.nii.gz", "--output", tmp_path / "out.seg.nrrd")
    said = command(*asked, "--strict")
    assert said.status == 1
    assert "flat has the same value everywhere" in said.err
    assert not (tmp_path / "out.seg.nrrd").exists()
    assert any("flat has the same value everywhere" in text for text in command(*asked, "--json").json["warnings"])
