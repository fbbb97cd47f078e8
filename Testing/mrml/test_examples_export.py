"""The data set that is written from segments of the scene."""

from dataclasses import replace

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
vtk = pytest.importorskip("vtk")

from IncrementalSegPanel.scene import ExampleFiles, ScanFiles  # noqa: E402
from IncrementalSegPanel.scene.Pseudonyms import named  # noqa: E402
from IncrementalSegPanel.scene.SceneBridge import SceneBridge  # noqa: E402
from mrml.drawn import BOX, SHAPE, said, scan, segmentation  # noqa: E402

from IncrementalSegLib.errors import DataError  # noqa: E402
from IncrementalSegLib.sampling.datasets import open_data  # noqa: E402
from IncrementalSegLib.sampling.reading import read_case  # noqa: E402
from IncrementalSegLib.volumes.io import write_volume  # noqa: E402
from IncrementalSegLib.volumes.volume import Grid, Volume  # noqa: E402


@pytest.fixture
def bridge():
    return SceneBridge()


def export(bridge, examples, name, folder, defer):
    found = bridge.exportExamples(examples, name, folder, defer)
    defer.run()
    return found


def masks(folder):
    """Return case -> (volume, masks) of a data set, read by the library."""
    return {case.id: read_case(case) for case in open_data(folder).cases}


def test_the_library_reads_the_same_voxels(tmp_path, bridge, defer):
    for name, box in (("One", BOX), ("Two", (slice(1, 7), *BOX[1:]))):
        segmentation(scan(name), f"{name} segments", liver=box, other=BOX)
    examples = [example for example in bridge.candidates() if example.name == "liver"]
    found = export(bridge, examples, "Liver", tmp_path / "data", defer)
    assert found.error is None
    assert found.progress == 1
    data = open_data(found.path)
    assert data.names == ("Liver",)
    assert len({case.patient for case in data.cases}) == 2
    outlined = sorted(read_case(case)[1]["Liver"].sum() for case in data.cases)
    assert outlined == [4 * 15 * 22, 6 * 15 * 22]
    for volume, found_masks in masks(tmp_path / "data").values():
        expected = np.zeros(SHAPE, bool)
        expected[slice(1, 7) if found_masks["Liver"].sum() == 6 * 15 * 22 else BOX[0], BOX[1], BOX[2]] = True
        np.testing.assert_array_equal(found_masks["Liver"], expected)
        assert volume.grid.spacing == pytest.approx((0.5, 1.5, 3.0))
        np.testing.assert_array_equal(volume.array[0], slicer.util.arrayFromVolume(slicer.util.getNode("One")))


def test_several_structures_of_one_scan_are_one_case_and_may_overlap(tmp_path, bridge, defer):
    inner = (slice(3, 5), slice(8, 12), slice(10, 20))
    segmentation(scan(), liver=BOX, tumour=inner)
    examples = [replace(example, structure=example.name) for example in bridge.candidates()]
    export(bridge, examples, "", tmp_path / "data", defer)
    (case,) = open_data(tmp_path / "data").cases
    assert case.looked_for == {"liver", "tumour"}
    found = read_case(case)[1]
    assert found["liver"].sum() == 4 * 15 * 22
    assert found["tumour"].sum() == (found["tumour"] & found["liver"]).sum() == 2 * 4 * 10


def test_two_outlines_of_one_scan_are_two_cases_of_one_patient(tmp_path, bridge, defer):
    volume = scan()
    segmentation(volume, "First reader", liver=BOX)
    segmentation(volume, "Second reader", liver=(slice(2, 5), *BOX[1:]))
    export(bridge, bridge.candidates(), "liver", tmp_path / "data", defer)
    cases = open_data(tmp_path / "data").cases
    assert len({case.id for case in cases}) == 2
    assert len({case.patient for case in cases}) == 1


def test_two_scans_of_one_patient_stay_together_and_nobody_is_named(tmp_path, bridge, defer):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for name, patient in (("Pelvis of Doe", "ID-77"), ("Thorax of Doe", "ID-77"), ("Roe", "ID-78")):
        volume = scan(name)
        item = hierarchy.GetItemChildWithName(hierarchy.GetSceneItemID(), patient)
        if not item:
            item = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), patient)
            hierarchy.SetItemAttribute(item, "DICOM.PatientID", patient)
        hierarchy.CreateItem(hierarchy.CreateStudyItem(item, "Study"), volume)
        segmentation(volume, f"{name} segments", liver=BOX)
    export(bridge, bridge.candidates(), "liver", tmp_path / "data", defer)
    patients = [case.patient for case in open_data(tmp_path / "data").cases]
    assert sorted(patients.count(patient) for patient in set(patients)) == [1, 2]
    written = " ".join([str(path) for path in (tmp_path / "data").rglob("*")])
    written += (tmp_path / "data" / "manifest.csv").read_text()
    assert not any(word in written for word in ("Doe", "Roe", "ID-77", "ID-78"))
    for case in open_data(tmp_path / "data").cases:
        assert bridge.volumeOf(case.id).GetName() in ("Pelvis of Doe", "Thorax of Doe", "Roe")
        name = bridge.volumeOf(case.id).GetName()
        assert named(f"Worst scan: {case.id}, and scan-00000000.") == f"Worst scan: {name}, and scan-00000000."
    assert bridge.volumeOf("scan-00000000") is None


def test_other_grids_and_transforms_are_brought_to_the_grid_of_the_scan(tmp_path, bridge, defer):
    fine = np.diag([0.5, 0.5, 0.5, 1.0])
    coarse = scan("Coarse", (10, 10, 10), np.diag([2.0, 2.0, 2.0, 1.0]))
    drawn = scan("Fine", (40, 40, 40), fine)
    node = segmentation(drawn, liver=(slice(7, 23), slice(7, 23), slice(7, 23)))  # 3.25 .. 11.25 mm
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), coarse.GetID())
    shift = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 2.0)
    shift.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(shift.GetID())
    export(bridge, bridge.candidates(), "liver", tmp_path / "data", defer)
    ((_volume, found),) = masks(tmp_path / "data").values()
    expected = np.zeros((10, 10, 10), bool)
    expected[2:6, 2:6, 3:7] = True
    np.testing.assert_array_equal(found["liver"], expected)


def test_a_scan_under_a_transform_keeps_its_labels(tmp_path, bridge, defer):
    volume = scan()
    turn = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy([0, -1, 0, 11, 1, 0, 0, 12, 0, 0, 1, 13, 0, 0, 0, 1])
    turn.SetMatrixTransformToParent(matrix)
    node = segmentation(volume, liver=BOX)
    for moved in (volume, node):
        moved.SetAndObserveTransformNodeID(turn.GetID())
    assert said(bridge) == {"liver": ""}
    export(bridge, bridge.candidates(), "liver", tmp_path / "data", defer)
    ((_volume, found),) = masks(tmp_path / "data").values()
    expected = np.zeros(SHAPE, bool)
    expected[BOX] = True
    np.testing.assert_array_equal(found["liver"], expected)


def test_a_structure_drawn_as_a_surface_is_converted(tmp_path, bridge, defer):
    volume = scan(shape=(20, 20, 20), matrix=np.eye(4))
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    ball = vtk.vtkSphereSource()
    ball.SetCenter(10, 10, 10)
    ball.SetRadius(5)
    ball.SetThetaResolution(40), ball.SetPhiResolution(40)
    ball.Update()
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    node.AddSegmentFromClosedSurfaceRepresentation(ball.GetOutput(), "ball", (1, 0, 0), "ball")
    (example,) = bridge.candidates()
    assert example.ml == pytest.approx(4 / 3 * np.pi * 0.125, rel=0.1)
    export(bridge, [example], "ball", tmp_path / "data", defer)
    ((_volume, found),) = masks(tmp_path / "data").values()
    assert found["ball"].sum() == pytest.approx(4 / 3 * np.pi * 125, rel=0.1)
    assert found["ball"][10, 10, 10]
    assert node.GetSegmentation().GetSegment("ball").GetRepresentation("Binary labelmap") is None


def test_the_original_file_is_copied(tmp_path, bridge, defer, olderThanSlicer):
    array = np.random.default_rng(0).integers(0, 100, (1, *SHAPE)).astype(np.int16)
    write_volume(tmp_path / "Jane Doe.nii.gz", Volume(array, Grid(SHAPE)))
    olderThanSlicer(tmp_path / "Jane Doe.nii.gz")
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Loaded")
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(tmp_path / "Jane Doe.nii.gz"))
    volume.SetAndObserveStorageNodeID(storage.GetID())
    assert storage.ReadData(volume)
    segmentation(volume, liver=BOX)
    export(bridge, bridge.candidates(), "liver", tmp_path / "data", defer)
    (case,) = open_data(tmp_path / "data").cases
    assert case.images[0].read_bytes() == (tmp_path / "Jane Doe.nii.gz").read_bytes()
    assert case.images[0].parent == tmp_path / "data" / "scans"
    assert "Doe" not in case.images[0].name
    np.testing.assert_array_equal(read_case(case)[0].array, array)


def test_a_scan_keeps_its_pseudonym_when_the_scene_is_saved(tmp_path, bridge, defer):
    segmentation(scan(), liver=BOX)
    export(bridge, bridge.candidates(), "liver", tmp_path / "data", defer)
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    bridge.endScene()
    slicer.mrmlScene.Clear(0)
    assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "scene.mrb"), False, None)
    export(bridge, bridge.candidates(), "liver", tmp_path / "again", defer)
    (first,), (second,) = (open_data(tmp_path / name).cases for name in ("data", "again"))
    assert (first.id, first.patient) == (second.id, second.patient)


def test_the_scene_stays_as_it_is(tmp_path, bridge, defer):
    segmentation(scan(), liver=BOX)
    slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    before = slicer.mrmlScene.GetNumberOfNodes()
    export(bridge, bridge.candidates(), "liver", tmp_path / "data", defer)
    assert slicer.mrmlScene.GetNumberOfNodes() == before


@pytest.fixture
def slabs(monkeypatch):
    monkeypatch.setattr(ScanFiles, "SLAB_BYTES", 3000)
    monkeypatch.setattr(ExampleFiles, "_LABEL_BYTES", 1500)


@pytest.mark.parametrize("pieces", [0, 3, 9, 13])
@pytest.mark.parametrize("event", ["cancel", "volume", "segment", "close"])
def test_what_is_not_complete_is_no_data_set(tmp_path, bridge, defer, slabs, event, pieces):
    volume = scan()
    node = segmentation(volume, liver=BOX)
    found = bridge.exportExamples(bridge.candidates(), "liver", tmp_path / "data", defer)
    for _ in range(pieces):
        defer.popleft()()
    assert not found.done
    assert not (tmp_path / "data" / "manifest.csv").exists()
    if event == "cancel":
        found.cancel()
    elif event == "volume":
        slicer.mrmlScene.RemoveNode(volume)
    elif event == "segment":
        node.GetSegmentation().RemoveSegment("liver")
    else:
        bridge.endScene()
        slicer.mrmlScene.Clear(0)
    defer.run()
    assert found.done
    if event == "segment" and pieces >= 9:  # its voxels were read already
        assert found.path is not None
        return
    assert found.path is None
    assert found.cancelled or found.error.what
    assert not (tmp_path / "data").exists()


def test_refusals_are_sentences(tmp_path, bridge, defer):
    segmentation(scan(), liver=BOX, empty=(slice(0, 0), *BOX[1:]))
    good, empty = bridge.candidates()
    assert "No example" in export(bridge, [], "liver", tmp_path / "a", defer).error.what
    assert "cannot be used for teaching" in export(bridge, [good, empty], "liver", tmp_path / "a", defer).error.what
    assert "cannot be the name" in export(bridge, [good], "liver; left", tmp_path / "a", defer).error.what
    assert not (tmp_path / "a").exists()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine.txt").write_text("mine")
    assert "not empty" in export(bridge, [good], "liver", tmp_path / "used", defer).error.what
    assert (tmp_path / "used" / "mine.txt").read_text() == "mine"
    slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetNodeByID(good.segmentationId))
    assert "not in the scene" in export(bridge, [good], "liver", tmp_path / "a", defer).error.what
    with pytest.raises(DataError, match="not in the scene"):
        bridge.thumbnail(good, tmp_path / "t.png")
