"""The place of the voxels by the header alone; that it is the one of the whole file is asserted per format."""

import gzip
import struct
import zlib

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes.headers import read_grid
from IncrementalSegLib.volumes.io import read_volume


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


@pytest.fixture
def plain(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 6, 3), np.int16), np.eye(4)), tmp_path / "a.nii")
    return (tmp_path / "a.nii").read_bytes()


@pytest.mark.parametrize(
    ("offset", "value", "said"),
    [
        (112, struct.pack("<f", np.nan), "scale factor is nan"),
        (116, struct.pack("<f", np.inf), "offset inf"),
        (70, struct.pack("<2h", 32, 64), "complex"),
        (68, struct.pack("<h", 2001), "3 time frames"),
    ],
)
def test_a_nifti_header_that_makes_the_whole_file_refused_is_refused_alone(tmp_path, plain, offset, value, said):
    (tmp_path / "b.nii").write_bytes(plain[:offset] + value + plain[offset + len(value) :])
    for read in (read_volume, read_grid):
        with pytest.raises(DataError, match=said):
            read(tmp_path / "b.nii")


def test_a_nrrd_header_of_a_time_series_is_refused_alone(tmp_path):
    fields = "type: uchar\ndimension: 4\nsizes: 2 2 2 2\nkinds: domain domain domain time\nencoding: raw\n\n"
    (tmp_path / "a.nrrd").write_bytes(f"NRRD0004\n{fields}".encode() + bytes(16))
    for read in (read_volume, read_grid):
        with pytest.raises(DataError, match="2 time frames"):
            read(tmp_path / "a.nrrd")


PACKED = {
    "a name without an end": lambda good: b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 3_000_000,
    "empty parts without an end": lambda good: gzip.compress(b"") * 150_000 + good,
}


@pytest.mark.parametrize("how", PACKED)
def test_only_the_first_bytes_of_a_packed_file_are_unpacked(tmp_path, plain, how, monkeypatch):
    made = []
    monkeypatch.setattr(gzip, "GzipFile", lambda *_, **__: pytest.fail("unpacked beyond the header"))
    monkeypatch.setattr(zlib, "decompressobj", lambda *given, new=zlib.decompressobj: made.append(1) or new(*given))
    (tmp_path / "a.nii.gz").write_bytes(PACKED[how](gzip.compress(plain)))
    with pytest.raises(DataError, match=r"a\.nii\.gz"):
        read_grid(tmp_path / "a.nii.gz")
    assert len(made) < 10_000
