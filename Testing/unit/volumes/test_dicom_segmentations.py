"""DICOM segmentations as labels, beside what highdicom wrote into them."""

import json

import highdicom
import numpy as np
import pytest
from dicoms import OBLIQUE, save, write_series
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentationTypeValues, SegmentDescription
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.sampling.datasets import open_data, restrict_labels
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.structures import parse_names
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.labels import read_mask, segment_names
from IncrementalSegLib.volumes.segmentations import read_masks

ARRAY = np.random.default_rng(0).integers(0, 900, (6, 16, 18), dtype=np.int16)
NAMES = ("left kidney", "right kidney")


def masks(overlap=False):
    found = np.zeros((*ARRAY.shape, 2), np.uint8)
    found[1:4, 2:9, 3:8, 0] = 1
    found[2:5, 5:12, (6 if overlap else 9) : 15, 1] = 1
    return found


def describe(number, name):
    return SegmentDescription(
        segment_number=number,
        segment_label=name,
        segmented_property_category=codes.SCT.Organ,
        segmented_property_type=codes.SCT.Kidney,
        algorithm_type=SegmentAlgorithmTypeValues.MANUAL,
    )


def write(folder, pixels, kind=SegmentationTypeValues.BINARY, **options):
    """Write a scan and its segmentation; return both paths."""
    scan = write_series(folder / "scan", ARRAY)
    slices = sorted((dcmread(file) for file in scan.iterdir()), key=lambda data: data.InstanceNumber)
    made = Segmentation(
        source_images=slices,
        pixel_array=pixels,
        segmentation_type=kind,
        segment_descriptions=[describe(number, name) for number, name in enumerate(NAMES, start=1)],
        series_instance_uid="1.2.3.8",
        series_number=2,
        sop_instance_uid="1.2.3.8.1",
        instance_number=1,
        manufacturer="m",
        manufacturer_model_name="m",
        software_versions="1",
        device_serial_number="1",
        **options,
    )
    (folder / "labels").mkdir()
    made.save_as(folder / "labels" / "seg.dcm")
    return scan, folder / "labels" / "seg.dcm"


@pytest.mark.parametrize("overlap", [False, True])
@pytest.mark.parametrize("empty", [True, False])
def test_every_segment_is_read_at_its_place(tmp_path, overlap, empty):
    scan, path = write(tmp_path, masks(overlap), omit_empty_frames=empty)
    grid = read_volume(scan).grid
    for source in (path, path.parent):
        notes = []
        back = read_masks(grid, reversed(NAMES), source, notes=notes)
        for index, name in enumerate(NAMES):
            np.testing.assert_array_equal(back[name], masks(overlap)[..., index] > 0)
        assert notes == []
    assert segment_names(path) == NAMES


def test_the_masks_lie_where_highdicom_puts_them(tmp_path):
    scan, path = write(tmp_path, masks())
    grid = read_volume(scan).grid
    volume = highdicom.seg.segread(path).get_volume(combine_segments=False)
    mask = read_masks(grid, NAMES, path)[NAMES[1]]
    placed = (np.argwhere(mask)[:, ::-1] * grid.spacing) @ grid.matrix.T + grid.origin
    other = np.argwhere(volume.array[..., 1]) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    np.testing.assert_allclose(np.sort(placed.round(3), axis=0), np.sort(other.round(3), axis=0), atol=2e-3)


def test_fractions_count_from_one_half(tmp_path):
    pixels = masks().astype(np.float32)
    pixels[1, 2:9, 3:8, 0] = 0.4
    scan, path = write(tmp_path, pixels, SegmentationTypeValues.FRACTIONAL, fractional_type="PROBABILITY")
    notes = []
    back = read_masks(read_volume(scan).grid, NAMES, path, notes=notes)
    np.testing.assert_array_equal(back[NAMES[0]], pixels[..., 0] >= 0.5)
    np.testing.assert_array_equal(back[NAMES[1]], pixels[..., 1] >= 0.5)
    assert [note.kind for note in notes] == ["fractional-mask"]


def test_a_label_map_of_dicom_is_read_per_segment(tmp_path):
    pixels = masks()[..., 0] + 2 * masks()[..., 1]
    scan, path = write(tmp_path, pixels, SegmentationTypeValues.LABELMAP)
    back = read_masks(read_volume(scan).grid, NAMES, path)
    for index, name in enumerate(NAMES):
        np.testing.assert_array_equal(back[name], masks()[..., index] > 0)


def test_as_the_mask_of_one_structure_all_segments_count_and_that_is_said(tmp_path):
    scan, path = write(tmp_path, masks())
    notes = []
    mask = read_mask(path, read_volume(scan).grid, notes)
    np.testing.assert_array_equal(mask, masks().any(axis=-1))
    assert "left kidney, right kidney" in notes[0].message


def test_a_segmentation_in_another_place_is_refused(tmp_path):
    _, path = write(tmp_path, masks())
    other = write_series(tmp_path / "other", ARRAY, origin=(900, 0, 0), orientation=OBLIQUE)
    with pytest.raises(GeometryError, match="do not overlap"):
        read_masks(read_volume(other).grid, NAMES, path)


def test_frames_off_the_grid_are_refused(tmp_path):
    scan, path = write(tmp_path, masks())
    data = dcmread(path)
    groups: Dataset = data.PerFrameFunctionalGroupsSequence[1]
    place = groups.PlanePositionSequence[0]
    place.ImagePositionPatient = list(np.array(place.ImagePositionPatient, float) + np.array([0.5, 0.5, 0.0]))
    data.save_as(path)
    with pytest.raises(GeometryError):
        read_masks(read_volume(scan).grid, NAMES, path)


def test_outlines_of_radiotherapy_are_refused_as_a_label_by_their_class(tmp_path):
    scan, _ = write(tmp_path, masks())
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.481.3"), "1.2.5"
    path = save(data, tmp_path / "rs.dcm")
    with pytest.raises(DataError, match=r"class RT Structure Set.*save the segmentation as \.seg\.nrrd"):
        read_masks(read_volume(scan).grid, NAMES, path)


@pytest.mark.parametrize("where", ["labels/seg.dcm", "labels", "labels/1.2.3.8.1"])
def test_a_data_set_knows_what_a_segmentation_names_wherever_it_lies(tmp_path, where):
    scan, path = write(tmp_path, masks())
    if where != "labels":
        path.rename(tmp_path / where)
    row = {"image": scan.name, "label": where, "case": "a"}
    other = {"image": scan.name, "masks": {"liver": "liver.nrrd"}, "case": "b"}
    (tmp_path / "m.json").write_text(json.dumps([row, other]))
    data = open_data(tmp_path / "m.json")
    assert data.names == (*NAMES, "liver")
    found = restrict_labels(data, parse_names("Left  Kidney"))
    np.testing.assert_array_equal(read_case(found.cases[0])[1]["Left Kidney"], masks()[..., 0] > 0)
    (note,) = restrict_labels(data, parse_names("liver")).notes["a"]
    assert "names left kidney, right kidney, but not liver: unknown there" in note.message
