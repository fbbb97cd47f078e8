"""One verdict per case; a broken case does not stop the others."""

import json
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from IncrementalSegLib.errors import UnknownNameError
from IncrementalSegLib.sampling.checks import check_data
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.volumes.io import image_of, write_image
from IncrementalSegLib.volumes.notes import Note
from IncrementalSegLib.volumes.volume import Grid

GRID = Grid((4, 5, 6), (1.0, 1.0, 2.0))
FLAT = Grid((1, 5, 6), planar=True)
SHEARED = (1.0, 5e-4, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
LABELS = (np.arange(120) % 3).astype(np.uint8).reshape(1, 4, 5, 6)
IMAGE = np.arange(120, dtype=np.float32).reshape(1, 4, 5, 6)


def bad_voxels():
    image = IMAGE.copy()
    image[0, 0, 0, 0] = np.nan
    return image


def grid(**fields):
    return Grid(**({"shape": GRID.shape, "spacing": GRID.spacing} | fields))


# case -> (image, its grid, label, its grid, verdict, what the message says)
CASES = {
    "fine 1": (IMAGE, GRID, LABELS, GRID, "ok", ""),
    "fine 2": (IMAGE, GRID, LABELS, GRID, "ok", ""),
    "fine 3": (IMAGE, GRID, LABELS, GRID, "ok", ""),
    "fine 4": (IMAGE, GRID, LABELS, GRID, "ok", ""),
    "shifted": (IMAGE, GRID, LABELS, grid(origin=(0.4, 0.0, 0.0)), "warning", "resampled"),
    "far": (IMAGE, GRID, LABELS[:, 1:], grid(shape=(3, 5, 6), origin=(99.0, 0.0, 0.0)), "refused", "do not overlap"),
    "lost": (IMAGE, GRID, LABELS, grid(origin=(1.0, 0.0, 0.0)), "refused", "a different position: origin 1 x 0 x 0"),
    "sheared": (IMAGE, grid(direction=SHEARED), LABELS, grid(direction=SHEARED), "warning", "repaired"),
    "leaning": (IMAGE, grid(direction=(1.0, 0.1, *SHEARED[2:])), LABELS, GRID, "refused", "not orthonormal"),
    "nan": (bad_voxels(), GRID, LABELS, GRID, "warning", "1 voxels"),
    "empty": (IMAGE, GRID, LABELS * 0, GRID, "warning", "Nothing is annotated"),
    "unnamed": (IMAGE, GRID, LABELS + np.uint8(1), GRID, "warning", "without a name (3)"),
    "channels": (np.concatenate([IMAGE, IMAGE]), GRID, LABELS, GRID, "refused", "2 channels"),
    "coarse": (IMAGE, grid(spacing=(5.0, 5.0, 2.0)), LABELS, grid(spacing=(5.0, 5.0, 2.0)), "warning", "very unlike"),
    "flat": (
        IMAGE[:, :1],
        Grid((1, 5, 6), planar=True),
        LABELS[:, :1],
        Grid((1, 5, 6), planar=True),
        "refused",
        "picture",
    ),
    "4-D label": (IMAGE, GRID, np.concatenate([LABELS, LABELS + np.uint8(1)]), GRID, "refused", "2 channels"),
}


@pytest.fixture
def data(tmp_path):
    rows = []
    for name, (image, image_grid, label, label_grid, *_) in CASES.items():
        write_image(tmp_path / f"images/{name}.mha", image_of(image, image_grid))
        write_image(tmp_path / f"labels/{name}.mha", image_of(label, label_grid))
        rows.append({"image": f"images/{name}.mha", "label": f"labels/{name}.mha"})
    rows.append({"image": "images/missing.mha", "label": "labels/fine 1.mha"})
    rows.append({"image": "images/text.mha", "label": "labels/fine 1.mha"})
    (tmp_path / "images/text.mha").write_text("no image")
    labels = {"0": "background", "1": "liver", "2": "spleen"}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels, "training": rows}))
    return tmp_path


def test_every_case_gets_its_verdict(data):
    done = []
    verdicts = {item.case: item for item in check_data(data, progress=lambda phase, share: done.append(share))}
    expected = {name: (case[4], case[5]) for name, case in CASES.items()}
    expected |= {"missing": ("refused", "is not there"), "text": ("refused", "cannot be read")}
    assert set(verdicts) == set(expected)
    for name, (verdict, said) in expected.items():
        assert verdicts[name].verdict == verdict, verdicts[name]
        assert said in verdicts[name].message, verdicts[name]
        assert "\n" not in verdicts[name].message
        assert bool(verdicts[name].message) == (verdict != "ok")
    assert done == [index / len(expected) for index in range(1, len(expected) + 1)]


def test_a_copy_of_a_scan_is_named(data):
    write = data / "images/fine copy.mha"
    write.write_bytes((data / "images/fine 1.mha").read_bytes())
    table = json.loads((data / "dataset.json").read_text("utf-8"))
    table["training"].append({"image": "images/fine copy.mha", "label": "labels/fine 1.mha"})
    (data / "dataset.json").write_text(json.dumps(table), "utf-8")
    ((note,),) = check_data(data, cases="fine 1,fine copy").of_data.values()
    assert note.message.startswith("1 of 2 scans are copies of others, for example 'fine copy' of 'fine 1'")
    assert not check_data(data, cases="fine 1").of_data
    noted = replace(open_data(data), notes={open_data(data).name: (Note("other", "said before"),)})
    ((first, second),) = check_data(noted, cases="fine 1,fine copy").of_data.values()
    assert (first.kind, second.kind) == ("other", "copies")


def test_only_the_named_structures_are_judged(data):
    verdicts = check_data(data, "milt=SPLEEN", cases="fine 1,empty,unnamed")
    assert [(item.case, item.verdict, item.structures) for item in verdicts] == [
        ("empty", "warning", ("SPLEEN",)),
        ("fine 1", "ok", ("SPLEEN",)),
        ("unnamed", "warning", ("SPLEEN",)),
    ]
    assert verdicts.to_json()["structures"] == {"SPLEEN": {"looked_for": 3, "found": 2}}
    with pytest.raises(UnknownNameError, match="kidney"):
        check_data(data, "kidney")
    with pytest.raises(UnknownNameError, match="nobody"):
        check_data(data, cases="nobody")


def test_structures_are_counted_where_they_were_looked_for_and_where_they_are_seen(data):
    (data / "labels.json").write_text(json.dumps({"liver": 1, "spleen": 2}))
    table = "image,label,looked_for\nimages/fine 1.mha,labels/fine 1.mha,liver;spleen\n"
    table += "images/empty.mha,labels/empty.mha,liver\nimages/missing.mha,labels/fine 1.mha,spleen\n"
    (data / "table.csv").write_text(table)
    found = check_data(data / "table.csv").structures
    assert {name: (count.looked_for, count.found) for name, count in found.items()} == {
        "liver": (2, 1),
        "spleen": (2, 1),
    }


def test_broken_segmentation_of_which_nothing_is_known_is_refused(data):
    (data / "s.seg.nrrd").write_text("broken")
    (data / "table.csv").write_text("image,label\nimages/fine 1.mha,s.seg.nrrd\nimages/fine 2.mha,\n")
    verdicts = check_data(data / "table.csv")
    assert [item.verdict for item in verdicts] == ["refused", "warning"]
    assert "s.seg.nrrd cannot be read" in verdicts[0].message
    assert "Nothing was looked for" in verdicts[1].message


def test_real_set(shared_data):
    assert {item.verdict for item in check_data(shared_data / "skin-2d-isic2017")} == {"ok"}


def test_one_file_with_a_fourth_axis_is_asked_about_time_frames(tmp_path):
    for name in ("a", "b", "c", "d"):
        frames = 3 if name == "d" else 1
        sitk.WriteImage(sitk.JoinSeries([sitk.GetImageFromArray(IMAGE[0])] * frames), str(tmp_path / f"{name}.nii"))
    sitk.WriteImage(sitk.GetImageFromArray(LABELS[0]), str(tmp_path / "label.nii"))
    label = {"label": "label.nii", "values": {"liver": 1, "spleen": 2}}
    rows = [{"image": f"{name}.nii"} | label for name in ("a", "b", "c", "d")]
    (tmp_path / "m.json").write_text(json.dumps(rows))
    verdicts = {item.case: item for item in check_data(tmp_path / "m.json")}
    assert "time frames" not in verdicts["a"].message
    assert verdicts["d"].verdict == "refused"
    assert "3 channels or time frames and the other cases 1" in verdicts["d"].message
