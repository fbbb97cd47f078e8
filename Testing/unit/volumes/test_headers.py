"""The place of the voxels by the header alone; that it is the one of the whole file is asserted per format."""

import pytest
import SimpleITK as sitk

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes.headers import read_grid


@pytest.fixture(params=[".nii", ".nrrd", ".mha"])
def path(request, tmp_path):
    image = sitk.Image([6, 5, 4], sitk.sitkInt16)
    image.SetSpacing((0.5, 1.5, 3.0))
    sitk.WriteImage(image, str(tmp_path / f"a{request.param}"))
    return tmp_path / f"a{request.param}"


def test_no_voxel_is_read(path):
    whole = read_grid(path)
    path.write_bytes(path.read_bytes()[:-100])
    assert read_grid(path) == whole
    assert (whole[0].shape, whole[0].spacing, whole[1]) == ((4, 5, 6), (0.5, 1.5, 3.0), 1)


def test_what_has_no_such_header_is_refused(path, tmp_path):
    path.write_bytes(b"no header of any format" * 20)
    with pytest.raises(DataError, match=path.name):
        read_grid(path)
    with pytest.raises(DataError, match="not there"):
        read_grid(tmp_path / f"gone{path.suffix}")
    with pytest.raises(DataError, match="none of NIfTI, NRRD and MetaImage"):
        read_grid(tmp_path / "a.png")
