"""A scan is found in the scene by its file, or loaded from it."""

import pytest
import slicer
from IncrementalSegPanel.scene.SceneBridge import SceneBridge

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.phantom import write_phantom_dataset


def test_a_scan_is_loaded_once(tmp_path):
    write_phantom_dataset(tmp_path / "arm", 1, "A", ["humerus"], 1, (4, 16, 16))
    (scan,) = (tmp_path / "arm" / "imagesTr").iterdir()
    node = SceneBridge().openScan(scan)
    assert node.GetImageData().GetDimensions() == (16, 16, 4)
    assert node.GetName() == scan.name.partition(".")[0]
    assert SceneBridge().openScan(scan) is node
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 1


def test_a_scan_that_is_gone_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be loaded"):
        SceneBridge().openScan(tmp_path / "gone.nii.gz")
