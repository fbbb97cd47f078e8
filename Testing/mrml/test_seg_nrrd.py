"""Slicer's own storage node reads our ``.seg.nrrd``, and we read what it writes."""

import numpy as np
import pytest

from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd
from IncrementalSegLib.volumes.segmentations import read_masks
from IncrementalSegLib.volumes.volume import Grid

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
vtk = pytest.importorskip("vtk")

if not hasattr(slicer, "vtkMRMLSegmentationStorageNode"):
    pytest.skip("the package slicer holds no MRML: pip install slicer-core", allow_module_level=True)

GRID = Grid((8, 9, 10), (0.5, 1.5, 3.0), (-7.0, 8.0, 9.0), (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
TISSUE = (  # what Slicer gives a segment without terminology
    "Segmentation category and type - 3D Slicer General Anatomy list~SCT^85756007^Tissue~SCT^85756007^Tissue~^^"
    "~Anatomic codes - DICOM master list~^^~^^"
)
STRUCTURES = [Structure.create(name, 1) for name in ("liver", "Niere ü", "left kidney", "empty")]


@pytest.fixture
def masks():
    found = {structure.id: np.zeros(GRID.shape, bool) for structure in STRUCTURES}
    found[STRUCTURES[0].id][1:5, 1:5, 1:5] = True
    found[STRUCTURES[1].id][4:7, 4:7, 4:7] = True
    found[STRUCTURES[2].id][0, 8, 7:] = True
    return found


@pytest.fixture
def errors():
    """Fail on what VTK only logs."""
    said = []
    window = vtk.vtkOutputWindow.GetInstance()
    tag = window.AddObserver("ErrorEvent", lambda *_: said.append("a VTK error, see the log"))
    yield said
    window.RemoveObserver(tag)
    assert said == []


def load(path):
    scene, node = slicer.vtkMRMLScene(), slicer.vtkMRMLSegmentationNode()
    scene.AddNode(node)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(path))
    assert storage.ReadData(node) == 1
    return scene, node


def points(segment):
    """Return the patient positions (LPS, mm) of a segment's voxels, by VTK's own geometry."""
    image = segment.GetRepresentation("Binary labelmap")
    to_world = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(to_world)
    x0, x1, y0, y1, z0, z1 = image.GetExtent()
    found = set()
    for z in range(z0, z1 + 1):
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                if image.GetScalarComponentAsDouble(x, y, z, 0) == segment.GetLabelValue():
                    r, a, s, _ = to_world.MultiplyPoint((x, y, z, 1))
                    found.add((round(-r, 3), round(-a, 3), round(s, 3)))
    return found


def test_slicer_reads_what_is_written(tmp_path, masks, errors):
    write_seg_nrrd(tmp_path / "s.seg.nrrd", masks, GRID, STRUCTURES)
    _scene, node = load(tmp_path / "s.seg.nrrd")
    segmentation = node.GetSegmentation()
    assert segmentation.GetNumberOfSegments() == 4
    assert segmentation.GetNumberOfLayers() == 2
    for index, structure in enumerate(STRUCTURES):
        segment = segmentation.GetNthSegment(index)
        assert segmentation.GetNthSegmentID(index) == structure.id
        assert segment.GetName() == structure.name
        assert [round(part * 255) for part in segment.GetColor()] == list(structure.color)
        entry = vtk.reference("")
        assert segment.GetTag("TerminologyEntry", entry)
        assert str(entry) == (structure.terminology or TISSUE)
        voxels = np.argwhere(masks[structure.id])[:, ::-1]
        expected = voxels * GRID.spacing @ GRID.matrix.T + GRID.origin
        assert points(segment) == {tuple(round(float(part), 3) for part in row) for row in expected}
    overlap = [segmentation.GetLayerIndex(structure.id) for structure in STRUCTURES[:2]]
    assert overlap[0] != overlap[1]


def test_slicer_keeps_the_scan_s_grid(tmp_path, masks, errors):
    write_seg_nrrd(tmp_path / "s.seg.nrrd", masks, GRID, STRUCTURES)
    _scene, node = load(tmp_path / "s.seg.nrrd")
    converter = slicer.vtkSegmentationConverter
    text = node.GetSegmentation().GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    geometry = slicer.vtkOrientedImageData()
    assert converter.DeserializeImageGeometry(text, geometry, False)
    assert geometry.GetExtent() == (0, 9, 0, 8, 0, 7)
    assert geometry.GetSpacing() == pytest.approx(GRID.spacing)


def test_what_slicer_writes_is_read_back_on_the_scan_s_grid(tmp_path, masks, errors):
    write_seg_nrrd(tmp_path / "s.seg.nrrd", masks, GRID, STRUCTURES)
    _scene, node = load(tmp_path / "s.seg.nrrd")
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(str(tmp_path / "again.seg.nrrd"))
    storage.CropToMinimumExtentOn()
    assert storage.WriteData(node) == 1
    read = read_masks(GRID, [structure.name for structure in STRUCTURES], tmp_path / "again.seg.nrrd")
    for structure in STRUCTURES:
        np.testing.assert_array_equal(read[structure.name], masks[structure.id])


def test_a_picture_s_result_opens_in_slicer(tmp_path, errors):
    mask = np.zeros((1, 5, 6), bool)
    mask[0, 2, 3] = True
    write_seg_nrrd(tmp_path / "p.seg.nrrd", {"liver": mask}, Grid((1, 5, 6), planar=True), STRUCTURES[:1])
    _scene, node = load(tmp_path / "p.seg.nrrd")
    assert points(node.GetSegmentation().GetNthSegment(0)) == {(3.0, 2.0, 0.0)}
