"""NIfTI files of every kind, beside what nibabel reads in them."""

import gzip
import struct

import nibabel
import numpy as np
import pytest

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.volumes.headers import read_grid
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.volume import Grid

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
AFFINE = np.array([[-2.4, -0.9, 0, 7], [1.8, -1.2, 0, -8], [0, 0, 4, 9], [0, 0, 0, 1.0]])  # 3 x 1.5 x 4 mm, turned


def samples(shape=(4, 5, 6), dtype=np.int16):
    return np.random.default_rng(0).integers(0, 120, shape).astype(dtype)


def affine_of(grid: Grid):
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = grid.matrix * grid.spacing, grid.origin
    return RAS_TO_LPS @ matrix


def read(path):
    notes = []
    volume = read_volume(path, notes)
    assert read_grid(path) == (volume.grid, volume.channels)
    return volume, [note.kind for note in notes]


def write(path, array, affine=AFFINE, image=nibabel.Nifti1Image, codes=(0, 1), **header):
    made = image(array, affine)
    if image is not nibabel.Nifti1Pair:
        made.set_qform(affine, codes[0])
        made.set_sform(affine, codes[1])
    for key, value in header.items():
        made.header[key] = value
    nibabel.save(made, path)
    return path


@pytest.mark.parametrize(
    ("ending", "image"),
    [
        (".nii", nibabel.Nifti1Image),
        (".nii.gz", nibabel.Nifti1Image),
        (".nii", nibabel.Nifti2Image),
        (".nii.gz", nibabel.Nifti2Image),
        (".hdr", nibabel.Nifti1Pair),
        (".img", nibabel.Nifti1Pair),
        (".img.gz", nibabel.Nifti1Pair),
    ],
)
@pytest.mark.parametrize("codes", [(1, 0), (0, 1), (0, 2), (1, 1)])
def test_every_form_is_read_as_nibabel_reads_it(tmp_path, ending, image, codes):
    path = write(tmp_path / f"a{ending}", samples(), image=image, codes=codes)
    volume, notes = read(path)
    other = nibabel.load(path)
    np.testing.assert_array_equal(volume.array[0].T, np.asarray(other.dataobj))
    np.testing.assert_allclose(affine_of(volume.grid), other.affine, atol=1e-5)
    assert volume.array.dtype == np.int16
    assert notes == []


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"])
def test_every_type_and_byte_order(tmp_path, order, dtype):
    array = samples(dtype=dtype)
    made = nibabel.Nifti1Image(array, AFFINE, nibabel.Nifti1Header(endianness=order), dtype=dtype)
    nibabel.save(made, tmp_path / "a.nii")
    volume, _ = read(tmp_path / "a.nii")
    assert volume.array.dtype == ("f4" if dtype == "f8" else dtype)
    np.testing.assert_array_equal(volume.array[0].T, array)


def test_scaled_values_are_the_real_ones(tmp_path):
    path = write(tmp_path / "a.nii", samples())
    data = bytearray(path.read_bytes())
    data[112:120] = struct.pack("<2f", 0.25, -3)
    path.write_bytes(data)
    volume, _ = read(path)
    np.testing.assert_allclose(volume.array[0].T, nibabel.load(path).get_fdata())
    assert volume.array.dtype == np.float32


@pytest.mark.parametrize(("code", "mm"), [(1, 1000.0), (2, 1.0), (3, 0.001), (0, 1.0)])
@pytest.mark.parametrize("codes", [(1, 0), (0, 1)])
def test_lengths_are_in_millimetres(tmp_path, code, mm, codes):
    volume, notes = read(write(tmp_path / "a.nii", samples(), codes=codes, xyzt_units=code))
    np.testing.assert_allclose(volume.grid.spacing, np.array([3, 1.5, 4]) * mm, rtol=1e-6)
    np.testing.assert_allclose(volume.grid.origin, np.array([-7, 8, 9]) * mm, rtol=1e-6)
    assert notes == []


@pytest.mark.parametrize("codes", [(0, 1), (0, 2), (1, 1), (1, 2)])
def test_the_sform_counts_where_pixdim_disagrees_and_one_note_names_both(tmp_path, codes):
    path = write(tmp_path / "a.nii", samples(), np.diag([3.0, 3, 4, 1]), codes=codes)
    data = bytearray(path.read_bytes())
    data[80:92] = struct.pack("<3f", 1, 1, 1)
    path.write_bytes(data)
    notes = []
    volume = read_volume(path, notes)
    np.testing.assert_allclose(volume.grid.spacing, (3, 3, 4))
    assert [note.kind for note in notes] == ["two-spacings"]
    assert "3 x 3 x 4 mm (sform) and 1 x 1 x 1 mm (pixdim)" in notes[0].message
    data[123] = 1  # metres
    path.write_bytes(data)
    read_volume(path, notes)
    assert "3000 x 3000 x 4000 mm (sform) and 1000 x 1000 x 1000 mm (pixdim)" in notes[1].message


@pytest.mark.parametrize(("sform_code", "used"), [(1, "sform"), (4, "qform")])
def test_one_note_says_that_qform_and_sform_disagree(tmp_path, sform_code, used):
    made = nibabel.Nifti1Image(samples(), AFFINE)
    made.set_qform(AFFINE, 1)
    moved = AFFINE.copy()
    moved[:3, 3] += 10
    made.set_sform(moved, sform_code)
    nibabel.save(made, tmp_path / "a.nii")
    volume, notes = read(tmp_path / "a.nii")
    np.testing.assert_allclose(affine_of(volume.grid), moved if used == "sform" else AFFINE, atol=1e-5)
    assert notes == ["two-places"]


def test_a_scan_that_does_not_say_where_it_lies_is_told(tmp_path):
    made = nibabel.Nifti1Image(samples(), None)
    made.header.set_zooms((2, 3, 4))
    nibabel.save(made, tmp_path / "a.nii")
    volume, notes = read(tmp_path / "a.nii")
    assert (volume.grid.spacing, notes) == ((2, 3, 4), ["no-place"])


def test_voxels_that_begin_like_dicom_are_those_of_their_header(tmp_path):
    array = samples()
    array[:2, 0, 0] = 8, 0
    path = write(tmp_path / "a.img", array, image=nibabel.Nifti1Pair)
    np.testing.assert_array_equal(read(path)[0].array[0].T, array)


def test_analyze_and_half_a_pair_are_refused(tmp_path):
    nibabel.save(nibabel.AnalyzeImage(samples(), None), tmp_path / "a.hdr")
    with pytest.raises(DataError, match="Analyze"):
        read(tmp_path / "a.hdr")
    write(tmp_path / "b.hdr", samples(), image=nibabel.Nifti1Pair)
    (tmp_path / "b.img").unlink()
    with pytest.raises(DataError, match=r"b\.img is not beside it"):
        read(tmp_path / "b.hdr")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ({"xyzt_units": 2 | 8, "step": 2.5}, r"20 time frames \(its header has 2\.5 s"),
        ({"xyzt_units": 2 | 16, "step": 40}, r"20 time frames \(its header has 40 ms"),
        ({"intent_code": 2001}, "20 time frames"),
        ({"toffset": 3.0}, "20 time frames"),
        ({"xyzt_units": 2 | 40, "step": 2}, "ppm"),
    ],
)
def test_a_time_series_is_refused(tmp_path, header, said):
    path = write(tmp_path / "a.nii.gz", samples((4, 5, 6, 20)))
    made = nibabel.load(path)
    array, step = np.asarray(made.dataobj), header.get("step", 1)
    made = nibabel.Nifti1Image(array, AFFINE)
    for key, value in header.items():
        if key != "step":
            made.header[key] = value
    made.header["pixdim"][4] = step
    nibabel.save(made, path)
    with pytest.raises(DataError, match=said):
        read(path)


def test_a_fourth_axis_without_a_word_about_time_is_taken_for_channels_and_said(tmp_path):
    volume, notes = read(write(tmp_path / "a.nii", samples((4, 5, 6, 3))))
    assert volume.array.shape == (3, 6, 5, 4)
    assert notes == ["fourth-axis"]
    _, notes = read(write(tmp_path / "b.nii", samples((4, 5, 6, 1, 3))))  # components of a vector are no frames
    assert notes == []
    _, notes = read(write(tmp_path / "c.nii", samples((4, 5, 6, 1))))
    assert notes == []


def test_what_lies_behind_the_voxels_is_said_and_not_read(tmp_path):
    path = write(tmp_path / "a.nii", samples())
    longer = path.read_bytes() + bytes(40_000_000)
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(longer, 1))
    path.write_bytes(longer)
    for name in ("a.nii", "b.nii.gz"):
        volume, notes = read(tmp_path / name)
        np.testing.assert_array_equal(volume.array[0].T, samples())
        assert notes == ["bytes-behind"]


def test_several_packed_parts_in_a_row_are_one_file(tmp_path):
    plain = write(tmp_path / "a.nii", samples()).read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(plain[:400]) + gzip.compress(plain[400:]))
    volume, notes = read(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(volume.array[0].T, samples())
    assert notes == []


@pytest.mark.parametrize("value", [1e300, -1e300, 1e-300])
def test_numbers_that_overflow_are_refused_without_a_warning(tmp_path, value):
    path = write(tmp_path / "a.nii", samples(), image=nibabel.Nifti2Image)
    data = bytearray(path.read_bytes())
    data[400:408] = struct.pack("<d", value)  # the first number of the sform
    data[408:424] = bytes(16)
    path.write_bytes(data)
    with pytest.raises(DataError):
        read(tmp_path / "a.nii")
