"""The findings about one image and one segmentation."""

import numpy as np
import pytest

from IncrementalSegLib.volumes.checks import judge_image, judge_masks
from IncrementalSegLib.volumes.io import image_of, write_image
from IncrementalSegLib.volumes.segmentations import read_masks
from IncrementalSegLib.volumes.volume import Grid, Volume

GRID = Grid((4, 5, 6))


def test_a_good_scan_has_no_findings():
    assert judge_image(Volume(np.arange(120, dtype=np.int16).reshape(1, 4, 5, 6), GRID), "a") == []


def test_bad_voxels_and_constant():
    array = np.arange(120, dtype=np.float32).reshape(1, 4, 5, 6)
    array[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    findings = judge_image(Volume(array, GRID), "a")
    assert [(finding.kind, "3 voxels" in finding.message) for finding in findings] == [("not-finite", True)]
    assert [finding.kind for finding in judge_image(Volume(np.full_like(array, 7), GRID), "a")] == ["constant"]


@pytest.mark.parametrize(
    ("dtype", "last", "told"), [(np.uint8, 2, True), (np.float64, 2, True), (np.float32, 2.5, False)]
)
def test_scan_of_few_whole_numbers_may_be_a_label_map(dtype, last, told):
    labels = np.zeros((1, 10, 12, 14))
    labels[0, 3:6, 4:8, 2:9], labels[0, 8, 8, 8] = 1, last
    notes = judge_image(Volume(labels.astype(dtype), Grid((10, 12, 14))), "a")
    assert [note.kind for note in notes] == ["few-values"] * told
    assert all("whole numbers 0, 1, 2, like a label map" in note.message for note in notes)


@pytest.mark.parametrize(
    ("spacing", "said"),
    [
        ((0.02, 0.5, 50), []),
        ((0.0007, 0.0007, 0.003), ["0.0007 x 0.0007 x 0.003 mm", "0.7 x 0.7 x 3 mm would fit (metres taken"]),
        ((700, 700, 3000), ["700 x 700 x 3e+03 mm", "0.7 x 0.7 x 3 mm would fit (micrometres taken"]),
        ((0.5, 0.5, 300), ["0.5 x 0.5 x 300 mm", "its header may be damaged"]),
    ],
)
def test_voxels_far_from_those_of_a_patient_are_told_with_the_likely_unit(spacing, said):
    volume = Volume(np.arange(120, dtype=np.int16).reshape(1, 4, 5, 6), Grid((4, 5, 6), spacing))
    notes = judge_image(volume, "a")
    assert [note.kind for note in notes] == ["odd-size"] * bool(said)
    assert all(part in note.message for note in notes for part in said)


@pytest.mark.parametrize(
    ("values", "said", "verdict"),
    [
        ({"a": (1,), "b": (2,)}, [], None),
        ({"a": (1,)}, ["without a name (2)"], "warning"),
        ({"a": (1,), "b": (2,), "c": (3,)}, ["Nothing is annotated for c"], "warning"),
        ({"c": (3,)}, ["without a name (1, 2)", "Nothing is annotated:"], "warning"),
    ],
)
def test_label_values(tmp_path, values, said, verdict):
    labels = (np.arange(120) % 3).astype(np.uint8).reshape(1, 4, 5, 6)
    write_image(tmp_path / "l.nii.gz", image_of(labels, GRID))
    findings = []
    masks = read_masks(GRID, values, tmp_path / "l.nii.gz", values, notes=findings)
    findings += judge_masks(Volume(np.ones((1, 4, 5, 6)) * labels + 1, GRID), masks)
    assert len(findings) == len(said)
    for finding, part in zip(findings, said, strict=True):
        assert part in finding.message
        assert finding.verdict == verdict
        assert "\n" not in finding.message


@pytest.mark.parametrize(("axis", "sides"), [(2, "left and right"), (1, "front and back"), (0, "head and feet")])
def test_a_mirrored_outline_in_the_air_is_told(axis, sides):
    array = np.full((1, 8, 8, 8), -1000, np.int16)
    body = np.zeros((8, 8, 8), dtype=np.bool_)
    body[tuple(slice(0, 5) if other == axis else slice(1, 7) for other in range(3))] = True
    array[0][body] = 40
    organ = np.zeros_like(body)
    organ[tuple(slice(0, 2) if other == axis else slice(2, 4) for other in range(3))] = True
    volume = Volume(array, Grid((8, 8, 8)))
    assert judge_masks(volume, {"liver": organ}) == []
    (note,) = judge_masks(volume, {"liver": np.flip(organ, axis)})
    assert (note.kind, f"with {sides} exchanged" in note.message) == ("in-the-void", True)
    nowhere = np.zeros_like(body)
    nowhere[0, 0, 0] = nowhere[7, 7, 7] = True
    (note,) = judge_masks(Volume(np.where(nowhere, -1000, array), volume.grid), {"liver": nowhere})
    assert "same patient" in note.message


@pytest.mark.parametrize(("padding", "kinds"), [((), []), ((None, 3.0), []), ((500.0, None), ["in-the-void"])])
def test_an_outline_in_declared_padding_is_told(padding, kinds):
    array = np.arange(240, dtype=np.int16).reshape(2, 4, 5, 6)
    array[0, 2:] = 500
    organ = np.zeros((4, 5, 6), dtype=np.bool_)
    organ[2:, 1:3, 1:3] = True
    notes = judge_masks(Volume(array, Grid((4, 5, 6)), padding=padding), {"liver": organ})
    assert [note.kind for note in notes] == kinds
