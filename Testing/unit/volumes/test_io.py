"""Reading scans of every format, and every way in which a file can be broken."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.volumes.io import name_of, read_volume, write_atomically, write_volume
from IncrementalSegLib.volumes.volume import Grid, Volume

TURNED = (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0)
GRID = Grid((4, 5, 6), (0.5, 1.5, 3.0), (-7.0, 8.0, 9.0), TURNED)


def samples(shape=(4, 5, 6), seed=0):
    return np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32)


def save(path, array, grid=GRID, vector=False, compress=False):
    image = sitk.GetImageFromArray(array, isVector=vector)
    if image.GetDimension() == 3:
        image.SetSpacing(grid.spacing)
        image.SetOrigin(grid.origin)
        image.SetDirection(grid.direction)
    sitk.WriteImage(image, str(path), compress)
    return path


def patch(path, **fields):
    """Overwrite fields of an uncompressed NIfTI header."""
    places = {"codes": (252, "2h"), "slope": (112, "2f"), "srow": (280, "12f"), "size": (0, "i")}
    data = bytearray(path.read_bytes())
    for name, value in fields.items():
        start, kind = places[name]
        packed = struct.pack("<" + kind, *np.atleast_1d(value))
        data[start : start + len(packed)] = packed
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_scan_and_geometry_come_back_as_written(tmp_path, ending):
    array = samples((1, 4, 5, 6))
    write_volume(tmp_path / f"new folder/scan{ending}", Volume(array, GRID))
    read = read_volume(tmp_path / f"new folder/scan{ending}")
    np.testing.assert_array_equal(read.array, array)
    assert read.grid.shape == GRID.shape
    np.testing.assert_allclose(read.grid.spacing, GRID.spacing, rtol=1e-6)
    np.testing.assert_allclose(read.grid.origin, GRID.origin, rtol=1e-6)
    np.testing.assert_allclose(read.grid.direction, GRID.direction, atol=1e-6)
    assert [file.name for file in (tmp_path / "new folder").iterdir()] == [f"scan{ending}"]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("uint8", "uint8"), ("int16", "int16"), ("float32", "float32"), ("float64", "float32")],
)
def test_dtype_is_the_file_s_but_never_double(tmp_path, dtype, expected):
    assert read_volume(save(tmp_path / "a.nrrd", samples().astype(dtype))).array.dtype == expected


def test_channels_from_files_vector_and_fourth_axis_agree(tmp_path):
    first, second = samples(seed=1), samples(seed=2)
    files = [save(tmp_path / "a_0000.nii.gz", first), save(tmp_path / "a_0001.nii.gz", second)]
    vector = save(tmp_path / "v.nrrd", np.stack([first, second], axis=-1), vector=True)
    fourth = tmp_path / "4.nii.gz"
    sitk.WriteImage(sitk.JoinSeries([sitk.ReadImage(str(file)) for file in files]), str(fourth))
    for source in (files, vector, fourth):
        read = read_volume(source)
        np.testing.assert_array_equal(read.array, np.stack([first, second]))
        np.testing.assert_allclose(read.grid.direction, GRID.direction, atol=1e-6)
        np.testing.assert_allclose(read.grid.spacing, GRID.spacing, rtol=1e-6)


def test_channels_on_different_grids_are_refused(tmp_path):
    first = save(tmp_path / "a.nrrd", samples())
    second = save(tmp_path / "b.nrrd", samples(), Grid((4, 5, 6), (0.5, 1.5, 3.1), GRID.origin, TURNED))
    with pytest.raises(GeometryError, match=r"a\.nrrd and b\.nrrd .*spacing"):
        read_volume([first, second])


@pytest.mark.parametrize(
    ("shape", "ending", "channels"),
    [((7, 9), ".png", 1), ((7, 9, 3), ".png", 3), ((7, 9, 4), ".png", 3), ((7, 9, 3), ".jpg", 3), ((7, 9), ".jpg", 1)],
)
def test_pictures_are_planar(tmp_path, shape, ending, channels):
    pixels = np.full(shape, 90, dtype=np.uint8)
    read = read_volume(save(tmp_path / f"p{ending}", pixels, vector=len(shape) == 3))
    assert read.grid.planar
    assert read.array.shape == (channels, 1, 7, 9)
    assert read.array.min() == read.array.max() == 90


def write_dicom(folder, array, uid, description="T2 SPACE", skip=()):
    folder.mkdir(exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index, plane in enumerate(array):
        if index in skip:
            continue
        image = sitk.GetImageFromArray(plane[np.newaxis])
        image.SetSpacing((0.5, 0.75, 2.0))
        tags = {
            "0008|0060": "MR",
            "0008|103e": description,
            "0020|000d": "1.2.3",
            "0020|000e": uid,
            "0008|0018": f"{uid}.{index + 1}",
            "0020|0013": str(index),
            "0020|0032": f"10\\20\\{30 + 2.0 * index}",
            "0020|0037": "1\\0\\0\\0\\1\\0",
            "0018|0050": "2.0",
        }
        for key, value in tags.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{uid}-{len(array) - index}.dcm"))
        writer.Execute(image)


def test_dicom_series_is_ordered_by_position(tmp_path):
    array = np.arange(6 * 4 * 5, dtype=np.int16).reshape(6, 4, 5)
    write_dicom(tmp_path / "s", array, "1.2.3.4")
    read = read_volume(tmp_path / "s")
    np.testing.assert_array_equal(read.array[0], array)
    assert read.grid.spacing == (0.5, 0.75, 2.0)
    assert read.grid.origin == (10.0, 20.0, 30.0)


def test_several_dicom_series_are_listed_and_a_missing_slice_is_told(tmp_path):
    array = np.arange(6 * 4 * 5, dtype=np.int16).reshape(6, 4, 5)
    write_dicom(tmp_path / "two", array, "1.2.3.4", "T1")
    write_dicom(tmp_path / "two", array, "1.2.3.5", "T2")
    with pytest.raises(DataError, match=r"2 DICOM series: T1 \(6 files\); T2 \(6 files\)"):
        read_volume(tmp_path / "two")
    write_dicom(tmp_path / "gap", array, "1.2.3.4", skip=(3,))
    with pytest.raises(GeometryError, match="slice is missing"):
        read_volume(tmp_path / "gap")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no DICOM series"):
        read_volume(tmp_path / "none")


def sheared(path, shear, codes):
    """Write a NIfTI whose sform leans its y axis by ``shear``; RAS, spacing 1, 2, 3."""
    save(path, samples(), Grid((4, 5, 6), (1.0, 2.0, 3.0)))
    return patch(path, codes=codes, srow=[-1, 2 * shear, 0, -4, 0, -2, 0, -5, 0, 0, 3, 6])


@pytest.mark.parametrize("codes", [(0, 1), (0, 2), (1, 1)])
@pytest.mark.parametrize("shear", [2e-4, 5e-4, 9e-4])
def test_small_shear_of_nifti_is_repaired(tmp_path, shear, codes):
    notes = []
    read = read_volume(sheared(tmp_path / "s.nii", shear, codes), notes)
    matrix = read.grid.matrix
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(3), atol=1e-12)
    # The nearest rotation shares the shear between the two axes.
    assert matrix[0, 1] == pytest.approx(-shear / 2, rel=1e-3)
    assert matrix[1, 0] == pytest.approx(shear / 2, rel=1e-3)
    np.testing.assert_allclose(read.grid.spacing, (1, 2, 3), rtol=1e-5)
    np.testing.assert_allclose(read.grid.origin, (4, 5, 6), rtol=1e-6)
    np.testing.assert_array_equal(read.array[0], samples())
    expected = ["two-places", "repaired-directions"] if codes == (1, 1) else ["repaired-directions"]
    assert [note.kind for note in notes] == expected


@pytest.mark.parametrize("codes", [(0, 1), (0, 2), (1, 1)])
@pytest.mark.parametrize("shear", [1.2e-3, 0.05])
def test_large_shear_of_nifti_is_refused(tmp_path, shear, codes):
    with pytest.raises(GeometryError, match=r"not orthonormal .*Resample"):
        read_volume(sheared(tmp_path / "s.nii", shear, codes))


def test_sform_of_a_template_space_yields_to_the_qform(tmp_path):
    read = read_volume(sheared(tmp_path / "s.nii", 0.05, (1, 4)))
    assert read.grid.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_shear_of_nrrd_and_mha(tmp_path, ending):
    for shear, fine in ((5e-4, True), (0.05, False)):
        grid = Grid((4, 5, 6), direction=(1.0, shear, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
        path = save(tmp_path / f"s{ending}", samples(), grid)
        if fine:
            matrix = read_volume(path).grid.matrix
            np.testing.assert_allclose(matrix.T @ matrix, np.eye(3), atol=1e-12)
        else:
            with pytest.raises(GeometryError, match="not orthonormal"):
                read_volume(path)


def test_compressed_file_named_nii_is_read(tmp_path):
    plain = save(tmp_path / "a.nii", samples())
    packed = tmp_path / "b.nii"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    np.testing.assert_array_equal(read_volume(packed).array[0], samples())


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bad_voxels_stay_where_they_are_and_only_bad_voxels_are_refused(tmp_path, ending, dtype):
    array = np.stack([samples(seed=1), samples(seed=2)], axis=-1).astype(dtype)
    array[0, 1, 2, 0], array[3, 4, 5, 1] = np.nan, np.inf
    read = read_volume(save(tmp_path / f"a{ending}", array, vector=True))
    assert np.argwhere(~np.isfinite(read.array)).tolist() == [[0, 0, 1, 2], [1, 3, 4, 5]]
    with pytest.raises(DataError, match="no finite voxel"):
        read_volume(save(tmp_path / f"b{ending}", np.full((4, 5, 6), np.nan, dtype)))


def cut(path, share=0.5):
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def big(path):
    return save(path, samples((40, 50, 60)), Grid((40, 50, 60)), compress=path.suffix != ".nii")


def damaged(path):
    data = bytearray(big(path).read_bytes())
    data[len(data) // 2 : len(data) // 2 + 50] = bytes(50)
    path.write_bytes(data)
    return path


def photo(path):
    pixels = np.random.default_rng(0).integers(0, 255, (99, 98, 3), dtype=np.uint8)
    return save(path, pixels, vector=True)


def written(path, content):
    path.write_bytes(content)
    return path


BROKEN = {
    "missing": (lambda d: d / "a.nii.gz", "is not there"),
    "empty file": (lambda d: written(d / "a.nii.gz", b""), "empty"),
    "no image": (lambda d: written(d / "a.nii.gz", b"some text that is no image" * 20), "no NIfTI header"),
    "no format": (lambda d: written(d / "a.nrrd", b"some text"), "cannot be read"),
    "other ending": (lambda d: written(d / "a.docx", b"some text"), "cannot be read"),
    "ends in header": (lambda d: written(d / "a.nii", b"\x5c\x01\x00\x00"), "ends within its header"),
    "gz cut in header": (lambda d: cut(big(d / "a.nii.gz"), 0.0001), "cannot be unpacked"),
    "gz truncated": (lambda d: cut(big(d / "a.nii.gz")), "truncated"),
    "gz without its last bytes": (lambda d: cut(big(d / "a.nii.gz"), 0.99999), "truncated"),
    "gz damaged": (lambda d: damaged(d / "a.nii.gz"), "damaged"),
    "nii truncated": (lambda d: cut(big(d / "a.nii")), "truncated"),
    "nrrd truncated": (lambda d: cut(big(d / "a.nrrd")), "truncated"),
    "mha truncated": (lambda d: cut(big(d / "a.mha")), "is truncated"),
    "png truncated": (lambda d: cut(photo(d / "a.png")), "cannot be read"),
    "jpg truncated": (lambda d: cut(photo(d / "a.jpg")), "truncated"),
    "scale is no number": (lambda d: patch(big(d / "a.nii"), slope=[float("nan"), 0]), "scale factor is nan"),
    "offset is infinite": (lambda d: patch(big(d / "a.nii"), slope=[1, float("inf")]), "offset inf"),
    "not even NIfTI-2": (lambda d: patch(big(d / "a.nii"), size=540), "no NIfTI header"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_file_gives_one_clear_error(tmp_path, fault):
    make, said = BROKEN[fault]
    with pytest.raises(DataError, match=said) as caught:
        read_volume(make(tmp_path))
    assert caught.value.todo
    assert "Traceback" not in str(caught.value)


def test_five_axes_are_refused(tmp_path):
    text = "NRRD0004\ntype: uchar\ndimension: 5\nsizes: 2 2 2 2 2\nencoding: raw\n\n"
    with pytest.raises(DataError, match="has 5 axes"):
        read_volume(written(tmp_path / "a.nrrd", text.encode() + bytes(32)))


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.nii.gz"
    write_volume(path, Volume(samples((1, 4, 5, 6)), GRID))
    before = path.read_bytes()

    def disk_full(temporary):
        temporary.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(DataError, match=r"Cannot write .*The disk is full"):
        write_atomically(path, disk_full)
    with pytest.raises(DataError, match=r"\.docx"):
        write_volume(tmp_path / "a.docx", Volume(samples((1, 4, 5, 6)), GRID))
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.nii.gz"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.b.nii.gz", "a.b"), ("a.seg.nrrd", "a"), ("A.NII.GZ", "A"), ("p.jpg", "p"), ("series", "series")],
)
def test_name_without_ending(tmp_path, name, expected):
    assert name_of(tmp_path / name) == expected


def test_real_scans(shared_data):
    read = read_volume(shared_data / "tiny-fixture/spine/images/spider_007.nii.gz")
    assert read.array.shape == (1, 160, 128, 21)
    photo = read_volume(sorted((shared_data / "skin-2d-isic2017/images").iterdir())[0])
    assert photo.array.shape == (3, 1, 192, 256)
    assert photo.grid.planar


def test_a_repair_is_noted_or_else_logged(tmp_path, caplog):
    path = sheared(tmp_path / "s.nii", 5e-4, (0, 1))
    notes = []
    read_volume(path, notes)
    assert caplog.messages == []
    read_volume(path)
    assert caplog.messages == [note.message for note in notes]
    assert len(notes) == 1
