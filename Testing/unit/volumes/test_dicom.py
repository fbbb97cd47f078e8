"""DICOM series and multi-frame files: each slice at its place, or a sentence that names what is wrong."""

import highdicom
import numpy as np
import pytest
from dicoms import ARRAY, OBLIQUE, header, read, same_as_written, save, slice_normal, write_enhanced, write_series
from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
)

from IncrementalSegLib.errors import DataError, GeometryError


def position(volume, z, y, x):
    grid = volume.grid
    return grid.matrix @ (np.array([x, y, z]) * grid.spacing) + grid.origin


def same_as_highdicom(volume, other):
    """Compare every voxel at its place in the patient with what highdicom reads there."""
    assert volume.array[0].size == other.array.size
    inverse = np.linalg.inv(other.affine)
    for place in np.ndindex(volume.grid.shape):
        index = np.round(inverse @ [*position(volume, *place), 1])[:3].astype(int)
        np.testing.assert_allclose(other.affine @ [*index, 1], [*position(volume, *place), 1], atol=1e-4)
        assert volume.array[(0, *place)] == other.array[tuple(index)]


def test_slices_of_a_series_lie_where_highdicom_puts_them(tmp_path):
    folder = write_series(tmp_path / "s", ARRAY)
    volume, notes = read(folder)
    same_as_written(volume)
    assert notes == []
    assert volume.array.dtype == np.int16
    same_as_highdicom(volume, highdicom.get_volume_from_series([dcmread(file) for file in sorted(folder.iterdir())]))


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5], [5, 4, 3, 2, 1, 0]])
@pytest.mark.parametrize("per_frame", [False, True])
def test_frames_of_a_multi_frame_file_are_ordered_by_position(tmp_path, order, per_frame):
    path = write_enhanced(tmp_path / "scan" / "a.dcm", ARRAY[order], order, per_frame=per_frame)
    for source in (path, path.parent):
        volume, notes = read(source)
        same_as_written(volume)
        assert notes == []
    same_as_highdicom(volume, highdicom.imread(path).get_volume())


def test_multi_frame_files_of_one_series_are_one_scan(tmp_path):
    first = write_enhanced(tmp_path / "s" / "a", ARRAY[:4], range(4))
    second = write_enhanced(tmp_path / "s" / "b", ARRAY[4:], range(4, 6))
    data = dcmread(second)
    data.SOPInstanceUID = "1.2.3.4.99"
    data.save_as(second)
    assert first.exists()
    same_as_written(read(tmp_path / "s")[0])


@pytest.mark.parametrize("places", [[0, 1, 2, 4, 5], [0, 1, 4, 5]])
def test_missing_frames_are_refused(tmp_path, places):
    with pytest.raises(GeometryError, match=r"frame \d of a\.dcm and frame \d of a\.dcm lie [46] mm .*missing"):
        read(write_enhanced(tmp_path / "a.dcm", ARRAY[places], places))


def two_phases(index, groups):
    groups.FrameContentSequence[0].TemporalPositionIndex = 1 + index % 2


def two_echoes(index, groups):
    groups.MREchoSequence = [Dataset()]
    groups.MREchoSequence[0].EffectiveEchoTime = 10.0 + 20 * (index // 3)


@pytest.mark.parametrize(
    ("places", "change", "said"),
    [
        ([0, 0, 1, 1, 2, 2], two_phases, r"6 images of 3 places.*TemporalPositionIndex 1, 2"),
        ([0, 1, 2, 0, 1, 2], two_echoes, r"6 images of 3 places.*EffectiveEchoTime 10\.0, 30\.0"),
    ],
)
def test_phases_of_a_multi_frame_file_are_named(tmp_path, places, change, said):
    with pytest.raises(DataError, match=said):
        read(write_enhanced(tmp_path / "a.dcm", ARRAY, places, change=change))


def test_time_frames_of_a_series_are_named(tmp_path):
    def change(index, data):
        data.TriggerTime = 100.0 * (index % 2)
        data.ImagePositionPatient = list(np.array([10.0, 20, 30]) + index // 2 * 2.0 * slice_normal())

    with pytest.raises(DataError, match=r"6 images of 3 places.*TriggerTime .*time frames"):
        read(write_series(tmp_path / "s", ARRAY, change=change))


def reverse_row(index, data):
    if index == 0:
        data.ImageOrientationPatient = [*(-np.array(OBLIQUE[:3])), *OBLIQUE[3:]]


def coarser_half(index, data):
    if index >= 4:
        data.PixelSpacing = [1.5, 1.0]


def without_position(index, data):
    if index == 3:
        del data.ImagePositionPatient


def larger(index, data):
    if index == 2:
        pixels = np.zeros((8, 9), np.int16)
        data.Rows, data.Columns, data.PixelData = 8, 9, pixels.tobytes()


def other_patient(index, data):
    data.PatientID = "b" if index == 2 else "a"


def rescaled_once(index, data):
    if index == 2:
        data.RescaleSlope, data.RescaleIntercept = 1, -1024
    elif "RescaleSlope" in data:
        del data.RescaleSlope, data.RescaleIntercept


def other_space(index, data):
    data.FrameOfReferenceUID = "1.2.3.5" if index == 2 else "1.2.3.4"


def tilted(index, data):
    data.ImagePositionPatient = list(np.array(data.ImagePositionPatient) + index * 0.3 * np.array(OBLIQUE[:3]))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (reverse_row, r"^003 has the orientation -0\.8.*the other slices of the series the orientation 0\.8"),
        (coarser_half, r"and 1 more has pixels of 1 x 1\.5 mm, the other slices of the series pixels of 0\.5 x 0\.75"),
        (without_position, "^024 has no position"),
        (larger, "^017 has 9 x 8 pixels, the other slices of the series 5 x 4"),
        (tilted, "tilted gantry"),
        (other_patient, "^017 has the PatientID 'b', the other slices of the series the PatientID 'a'"),
        (rescaled_once, "^017 has a rescale slope, the other slices of the series no rescale slope"),
        (other_space, r"^017 has the FrameOfReferenceUID '1\.2\.3\.5'"),
    ],
)
def test_the_slice_that_differs_is_named(tmp_path, change, said):
    with pytest.raises(GeometryError, match=said):
        read(write_series(tmp_path / "s", ARRAY, change=change))


def test_a_missing_slice_is_named(tmp_path):
    folder = write_series(tmp_path / "s", ARRAY)
    (folder / "017").unlink()
    with pytest.raises(GeometryError, match=r"010 and 024 lie 4 mm apart, the other slices 2 mm\. A slice is missing"):
        read(folder)


def test_every_slice_has_its_own_slope(tmp_path):
    stored = np.abs(ARRAY).astype(np.uint16)

    def change(index, data):
        data.RescaleSlope, data.RescaleIntercept = (1, 0) if index == 0 else (1e-4, -0.5)

    volume, _ = read(write_series(tmp_path / "s", stored, change=change))
    expected = np.concatenate([stored[:1].astype(np.float64), stored[1:] * 1e-4 - 0.5])
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array[0], expected, rtol=1e-6)


def test_every_frame_has_its_own_slope(tmp_path):
    def change(index, groups):
        groups.PixelValueTransformationSequence = [Dataset()]
        groups.PixelValueTransformationSequence[0].RescaleSlope = 0.5 * (1 + index)
        groups.PixelValueTransformationSequence[0].RescaleIntercept = index

    volume, _ = read(write_enhanced(tmp_path / "a.dcm", ARRAY[::-1], range(5, -1, -1), change=change))
    numbers = np.arange(6)[::-1, None, None]
    np.testing.assert_allclose(volume.array[0], ARRAY * 0.5 * (1 + numbers) + numbers, rtol=1e-6)


def test_hounsfield_units_stay_whole(tmp_path):
    def change(index, data):
        data.RescaleSlope, data.RescaleIntercept, data.BitsStored, data.HighBit = 1, -1024, 12, 11

    volume, _ = read(write_series(tmp_path / "s", np.abs(ARRAY).astype(np.uint16), change=change))
    assert volume.array.dtype == np.int16
    np.testing.assert_array_equal(volume.array[0], np.abs(ARRAY) - 1024)


PADDED = np.abs(ARRAY) + 1
PADDED[:, :2], PADDED[:, -1] = 2000, 2003


@pytest.mark.parametrize(
    ("attributes", "filling", "outside"),
    [
        ({"PixelPaddingValue": 2000}, 2000, PADDED == 2000),
        ({"PixelPaddingValue": 2000, "RescaleSlope": 1, "RescaleIntercept": -1024}, 976, PADDED == 2000),
        ({"PixelPaddingValue": 2000, "PixelPaddingRangeLimit": 2010}, 2000, PADDED >= 2000),
        ({"PixelPaddingValue": 2010, "PixelPaddingRangeLimit": 2000}, 2000, PADDED >= 2000),
        ({"PixelPaddingValue": 7000}, None, PADDED < 0),
        ({}, None, PADDED < 0),
    ],
)
def test_declared_padding_is_known(tmp_path, attributes, filling, outside):
    def change(index, data):
        for keyword, value in attributes.items():
            setattr(data, keyword, value)

    volume, notes = read(write_series(tmp_path / "s", PADDED.astype(np.int16), change=change))
    assert volume.padding == (() if filling is None else (filling,))
    real = PADDED + attributes.get("RescaleIntercept", 0)
    np.testing.assert_array_equal(volume.array[0], np.where(outside, filling, real) if filling else real)
    assert notes == []


def test_padding_is_one_value_in_slices_of_several_slopes(tmp_path):
    def change(index, data):
        data.RescaleSlope, data.RescaleIntercept, data.PixelPaddingValue = 0.5 * (index + 1), 3, 2000

    volume, _ = read(write_series(tmp_path / "s", PADDED.astype(np.int16), change=change))
    (value,) = volume.padding
    assert (volume.array[0][PADDED == 2000] == value).all()
    assert (volume.array[0] >= value).all(), "what else has the value is air by itself"


@pytest.mark.parametrize(("kind", "bits"), [(np.int16, 16), (np.int16, 12), (np.uint16, 12)])
def test_padding_that_was_written_as_63536_is_known(tmp_path, kind, bits):
    def change(index, data):
        data.BitsStored, data.HighBit = bits, bits - 1
        data.add_new("PixelPaddingValue", "US", 63536)

    stored = PADDED.astype(np.int16)
    stored[stored >= 2000] = -2000
    volume, _ = read(write_series(tmp_path / "s", stored.astype(kind), change=change))
    assert len(volume.padding) == 1
    np.testing.assert_array_equal(volume.array[0] == volume.padding[0], stored == -2000)


def test_padding_that_would_leave_nothing_is_not_believed(tmp_path):
    def change(index, data):
        data.PixelPaddingValue, data.PixelPaddingRangeLimit = 0, 9000

    volume, notes = read(write_series(tmp_path / "s", PADDED.astype(np.int16), change=change))
    np.testing.assert_array_equal(volume.array[0], PADDED)
    assert (volume.padding, notes) == ((), ["all-padding"])


def drop_position(index, data):
    del data.ImagePositionPatient


def drop_all_but_location(index, data):
    del data.ImagePositionPatient
    data.SliceLocation = 50.0 - 4.0 * index
    data.SliceThickness = 3.0


def drop_thickness(index, data):
    del data.ImagePositionPatient
    del data.SliceThickness


def test_a_series_without_positions_takes_the_distance_that_is_there_and_says_so(tmp_path):
    volume, notes = read(write_series(tmp_path / "a", ARRAY, change=drop_position))
    np.testing.assert_allclose(volume.grid.spacing, (0.5, 0.75, 2.0))
    np.testing.assert_array_equal(volume.array[0], ARRAY)
    assert notes == ["no-position"]
    volume, notes = read(write_series(tmp_path / "b", ARRAY, change=drop_all_but_location))
    np.testing.assert_allclose(volume.grid.spacing, (0.5, 0.75, 4.0))
    np.testing.assert_array_equal(volume.array[0], ARRAY[::-1])
    assert notes == ["no-position"]
    with pytest.raises(GeometryError, match="does not say where its 6 slices are"):
        read(write_series(tmp_path / "c", ARRAY, change=drop_thickness))


def test_every_second_slice_is_said_to_be_missing(tmp_path):
    def change(index, data):
        data.SpacingBetweenSlices = 1.0

    volume, notes = read(write_series(tmp_path / "s", ARRAY, change=change))
    assert volume.grid.spacing[2] == pytest.approx(2.0)
    assert notes == ["slice-distance"]


def test_a_film_without_positions_is_refused_and_a_picture_is_read_as_one(tmp_path):
    film = header(ARRAY, UID("1.2.840.10008.5.1.4.1.1.7.2"))
    film.NumberOfFrames = 6
    with pytest.raises(GeometryError, match="does not say where its 6 slices are"):
        read(save(film, tmp_path / "film.dcm"))
    picture = header(ARRAY[0], UID("1.2.840.10008.5.1.4.1.1.7"))
    volume, notes = read(save(picture, tmp_path / "picture.dcm"))
    assert volume.grid.planar
    assert volume.grid.spacing == (1, 1, 1)
    np.testing.assert_array_equal(volume.array[0, 0], ARRAY[0])
    assert notes == ["no-position"]
