"""The findings about one image and one segmentation."""

import numpy as np
import pytest

from IncrementalSegLib.volumes.checks import check_image, check_segmentation
from IncrementalSegLib.volumes.io import image_of, write_image, write_volume
from IncrementalSegLib.volumes.volume import Grid, Volume

GRID = Grid((4, 5, 6))


def test_a_good_scan_has_no_findings(tmp_path):
    array = np.arange(120, dtype=np.int16).reshape(1, 4, 5, 6)
    write_volume(tmp_path / "a.nii.gz", Volume(array, GRID))
    volume, findings = check_image([tmp_path / "a.nii.gz"])
    assert findings == []
    np.testing.assert_array_equal(volume.array, array)


def test_bad_voxels_constant_and_missing(tmp_path):
    array = np.arange(120, dtype=np.float32).reshape(1, 4, 5, 6)
    array[0, 0, 0, :3] = np.nan, np.inf, -np.inf
    write_volume(tmp_path / "nan.nii.gz", Volume(array, GRID))
    write_volume(tmp_path / "flat.nrrd", Volume(np.full_like(array, 7), GRID))
    volume, findings = check_image([tmp_path / "nan.nii.gz"])
    assert [(finding.verdict, "3 voxels" in finding.message) for finding in findings] == [("warning", True)]
    assert volume is not None
    assert "same value everywhere" in check_image([tmp_path / "flat.nrrd"])[1][0].message
    volume, findings = check_image([tmp_path / "none.nrrd"])
    assert volume is None
    assert [finding.verdict for finding in findings] == ["refused"]


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
    findings = check_segmentation(
        Volume(np.ones((1, 4, 5, 6)) * labels + 1, GRID), values, tmp_path / "l.nii.gz", values
    )
    assert len(findings) == len(said)
    for finding, part in zip(findings, said, strict=True):
        assert part in finding.message
        assert finding.verdict == verdict
        assert "\n" not in finding.message
