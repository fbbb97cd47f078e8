"""A structure in each case of a data set: how large it is and how it looks."""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from IncrementalSegLib.engine.examples import examples
from IncrementalSegLib.errors import UnknownNameError
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import read_case


def test_each_case_is_measured_and_drawn(data, tmp_path):
    found = examples(data / "humerus", "Humerus", tmp_path / "pictures")["examples"]
    cases = open_data(data / "humerus").cases
    assert list(found) == [case.id for case in cases]
    for case in cases:
        volume, masks = read_case(case)
        spacing = np.prod(volume.grid.spacing)
        assert found[case.id]["ml"] == pytest.approx(masks["humerus"].sum() * spacing / 1000, abs=1e-3)
        picture = sitk.GetArrayFromImage(sitk.ReadImage(found[case.id]["picture"]))
        assert max(picture.shape[:2]) == 160
        colourful = (picture.max(axis=-1) != picture.min(axis=-1)).sum()
        assert 0 < colourful < picture[..., 0].size / 4  # a contour, not a field


def test_a_case_that_cannot_be_read_is_left_out(data, tmp_path):
    folder = shutil.copytree(data / "humerus", tmp_path / "broken")
    first = open_data(folder).cases[0]
    first.images[0].write_bytes(b"no scan")
    assert first.id not in examples(folder, "humerus", tmp_path / "pictures")["examples"]


def test_an_unknown_label_is_refused(data, tmp_path):
    with pytest.raises(UnknownNameError, match="humerus"):
        examples(data / "humerus", "humeros", tmp_path)
