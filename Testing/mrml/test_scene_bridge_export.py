"""A scan of the scene reaches the worker with the same numbers at the same places, without blocking Slicer."""

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
vtk = pytest.importorskip("vtk")

from IncrementalSegPanel.scene import ScanFiles  # noqa: E402
from IncrementalSegPanel.scene.SceneBridge import SceneBridge  # noqa: E402

from IncrementalSegLib.volumes.io import read_volume, write_volume  # noqa: E402
from IncrementalSegLib.volumes.volume import Grid, Volume  # noqa: E402


@pytest.fixture
def bridge():
    return SceneBridge()


def scan(array, matrix=None, name="Scan"):
    return slicer.util.addVolumeFromArray(
        np.asarray(array), ijkToRAS=None if matrix is None else np.array(matrix, float), name=name
    )


def numbers(shape=(5, 6, 7), dtype=np.int16):
    return np.random.default_rng(0).integers(0, 120, shape).astype(dtype)


def oblique(spacing=(0.7, 1.1, 2.5), flip=False):
    turn = vtk.vtkTransform()
    turn.RotateWXYZ(33, 1, 2, 3)
    matrix = np.eye(4)
    matrix[:3, :3] = [[turn.GetMatrix().GetElement(r, c) for c in range(3)] for r in range(3)]
    matrix[:3, :3] = matrix[:3, :3] * spacing * ([-1, 1, 1] if flip else [1, 1, 1])
    matrix[:3, 3] = (-41.0, 12.5, 300.0)
    return matrix


def world(node):
    """Return the RAS places of the voxels (k, j, i), by Slicer's own matrices."""
    matrix, parent = vtk.vtkMatrix4x4(), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetMatrixTransformToWorld(parent)
    vtk.vtkMatrix4x4.Multiply4x4(parent, matrix, matrix)
    total = np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])
    size = node.GetImageData().GetDimensions()
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in size), indexing="ij"), axis=-1).transpose(2, 1, 0, 3)
    return ijk @ total[:3, :3].T + total[:3, 3]


def places(grid):
    """Return the RAS places of the voxels (k, j, i) of a grid of the library."""
    ijk = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape[::-1]), indexing="ij"), axis=-1).transpose(2, 1, 0, 3)
    return (ijk * grid.spacing @ grid.matrix.T + grid.origin) * [-1, -1, 1]


def linear(matrix):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    found = vtk.vtkMatrix4x4()
    found.DeepCopy(np.asarray(matrix, float).ravel().tolist())
    node.SetMatrixTransformToParent(found)
    return node


def exported(bridge, node, folder, defer):
    export = bridge.exportVolume(node, folder, defer)
    defer.run()
    assert export.error is None
    return export


def check(path, node):
    volume = read_volume(path)
    np.testing.assert_array_equal(np.moveaxis(volume.array, 0, -1).squeeze(-1), slicer.util.arrayFromVolume(node))
    np.testing.assert_allclose(places(volume.grid), world(node), atol=1e-4)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4"])
def test_every_type_of_voxel_arrives(tmp_path, bridge, defer, dtype):
    node = scan(numbers(dtype=dtype))
    export = exported(bridge, node, tmp_path, defer)
    assert export.progress == 1
    check(export.path, node)
    assert read_volume(export.path).array.dtype == np.dtype(dtype)


@pytest.mark.parametrize("flip", [False, True])
def test_an_oblique_scan_keeps_its_place(tmp_path, bridge, defer, flip):
    node = scan(numbers(), oblique(flip=flip))
    check(exported(bridge, node, tmp_path, defer).path, node)


def test_linear_transforms_above_it_are_part_of_its_place(tmp_path, bridge, defer):
    node = scan(numbers(), oblique())
    inner, outer = linear(oblique((1, 1, 1))), linear([[0, -2, 0, 5], [2, 0, 0, 6], [0, 0, 2, 7], [0, 0, 0, 1]])
    inner.SetAndObserveTransformNodeID(outer.GetID())
    node.SetAndObserveTransformNodeID(inner.GetID())
    check(exported(bridge, node, tmp_path, defer).path, node)


def test_a_sheared_scan_is_refused_with_a_sentence(tmp_path, bridge, defer):
    node = scan(numbers(), [[1, 0, 0.1, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    export = bridge.exportVolume(node, tmp_path, defer)
    assert "right angles" in export.error.what
    assert list(tmp_path.iterdir()) == []


def test_a_bending_transform_is_refused_with_a_sentence(tmp_path, bridge, defer):
    node, bend = scan(numbers()), slicer.mrmlScene.AddNewNodeByClass("vtkMRMLBSplineTransformNode")
    spline, coefficients = slicer.vtkOrientedBSplineTransform(), vtk.vtkImageData()
    coefficients.SetDimensions(4, 4, 4)
    coefficients.AllocateScalars(vtk.VTK_DOUBLE, 3)
    spline.SetCoefficientData(coefficients)
    bend.SetAndObserveTransformToParent(spline)
    node.SetAndObserveTransformNodeID(bend.GetID())
    export = bridge.exportVolume(node, tmp_path, defer)
    assert "not linear" in export.error.what
    assert "Harden" in export.error.todo


def test_colours_become_channels(tmp_path, bridge, defer):
    array = np.stack([numbers(dtype="u1"), numbers(dtype="u1") + 1, numbers(dtype="u1") + 2], axis=-1)
    node = slicer.util.addVolumeFromArray(array, name="Colours", nodeClassName="vtkMRMLVectorVolumeNode")
    volume = read_volume(exported(bridge, node, tmp_path, defer).path)
    np.testing.assert_array_equal(np.moveaxis(volume.array, 0, -1), array)


def test_a_volume_without_image_is_refused(tmp_path, bridge, defer):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    assert "holds no image" in bridge.exportVolume(node, tmp_path, defer).error.what


def loaded(path):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Loaded")
    node.CreateDefaultDisplayNodes()
    storage = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    node.SetAndObserveStorageNodeID(storage.GetID())
    assert storage.ReadData(node)
    return node


@pytest.fixture(params=[".nrrd", ".nii.gz", ".mha"])
def file(request, tmp_path, olderThanSlicer):
    grid = Grid((5, 6, 7), (0.7, 1.1, 2.5), (-7.0, 8.0, 9.0), (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
    path = tmp_path / f"original{request.param}"
    write_volume(path, Volume(numbers()[np.newaxis], grid))
    return olderThanSlicer(path)


def test_the_file_that_it_came_from_is_used_while_it_says_the_same(tmp_path, bridge, defer, file):
    node = loaded(file)
    export = bridge.exportVolume(node, tmp_path / "new", defer)
    assert export.done
    assert export.path == file
    assert not (tmp_path / "new").exists()
    check(export.path, node)


def nifti(path, spacing=(3, 1.5, 4), sform_code=1):
    """Write a file whose sform lies 10 mm from its qform."""
    array, affine = numbers((7, 6, 5)), np.array([[-2.4, -0.9, 0, 7], [1.8, -1.2, 0, -8], [0, 0, 4, 9], [0, 0, 0, 1]])
    image = nibabel.Nifti1Image(array, affine)
    image.set_qform(affine, 1)
    affine[:3, 3] += 10
    image.set_sform(affine, sform_code)
    image.header["pixdim"][1:4] = spacing
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("sform_code", [1, 2, 4])
def test_a_nifti_file_with_two_places_is_used_where_slicer_and_library_take_the_same(
    tmp_path, bridge, defer, sform_code, olderThanSlicer
):
    file = olderThanSlicer(nifti(tmp_path / "original.nii", sform_code=sform_code))
    node = loaded(file)
    export = exported(bridge, node, tmp_path / "new", defer)
    assert export.path == file
    check(export.path, node)


def test_a_nifti_file_that_slicer_takes_for_smaller_than_the_library_is_not_used(
    tmp_path, bridge, defer, olderThanSlicer
):
    node = loaded(olderThanSlicer(nifti(tmp_path / "original.nii", spacing=(1, 1, 1))))
    assert node.GetSpacing() == (1, 1, 1)
    export = exported(bridge, node, tmp_path / "new", defer)
    assert export.path.parent == tmp_path / "new"
    check(export.path, node)


@pytest.mark.parametrize("change", ["voxels", "origin", "transform", "deleted", "semicolon"])
def test_a_file_that_says_something_else_is_not_used(tmp_path, bridge, defer, file, change):
    if change == "semicolon":
        file = file.rename(file.with_name(f"a;b{file.name}"))
    node = loaded(file)
    if change == "voxels":
        slicer.util.arrayFromVolume(node)[2, 2, 2] = 99
        slicer.util.arrayFromVolumeModified(node)
    elif change == "origin":
        node.SetOrigin(1, 2, 3)
    elif change == "transform":
        node.SetAndObserveTransformNodeID(linear(oblique((1, 1, 1))).GetID())
    elif change == "deleted":
        file.unlink()
    export = exported(bridge, node, tmp_path / "new", defer)
    assert export.path.parent == tmp_path / "new"
    check(export.path, node)


@pytest.mark.parametrize("how", ["written", "moved there", "moved there with an older date"])
def test_a_file_that_changed_after_it_was_loaded_is_not_used(tmp_path, bridge, defer, file, how):
    node, other = loaded(file), tmp_path / f"other{file.name}"
    write_volume(file if how == "written" else other, Volume(read_volume(file).array + 1, read_volume(file).grid))
    if how == "moved there with an older date":
        os.utime(other, (1e9, 1e9))
    if how != "written":
        other.replace(file)
    export = exported(bridge, node, tmp_path / "new", defer)
    assert export.path.parent == tmp_path / "new"
    check(export.path, node)


def test_a_file_with_another_place_than_in_the_scene_is_not_used(tmp_path, bridge, defer, file, olderThanSlicer):
    node = loaded(file)
    image = sitk.ReadImage(str(file))
    image.SetOrigin((100.0, 0.0, 0.0))
    sitk.WriteImage(image, str(file))
    olderThanSlicer(file)
    assert exported(bridge, node, tmp_path / "new", defer).path != file


@pytest.fixture
def slabs(monkeypatch):
    monkeypatch.setattr(ScanFiles, "SLAB_BYTES", 200)  # several slices are several pieces


def test_a_large_scan_is_written_piece_by_piece(tmp_path, bridge, defer, slabs):
    node, seen = scan(numbers((9, 6, 7))), []
    export = bridge.exportVolume(node, tmp_path, defer)
    export.listen(lambda: seen.append(export.progress))
    assert not export.done
    assert list(tmp_path.glob("[!.]*")) == []
    defer.run()
    assert len(seen) >= 4
    assert seen == sorted(seen)
    check(export.path, node)


def interruptions():
    def cancel(bridge, node, export):
        export.cancel()

    def remove(bridge, node, export):
        slicer.mrmlScene.RemoveNode(node)

    def close(bridge, node, export):
        bridge.endScene()
        slicer.mrmlScene.Clear(0)

    def close_without_a_word(bridge, node, export):
        slicer.mrmlScene.Clear(0)

    def draw(bridge, node, export):
        slicer.util.arrayFromVolumeModified(node)

    return [cancel, remove, close, close_without_a_word, draw]


@pytest.mark.parametrize("interrupt", interruptions(), ids=lambda act: act.__name__)
def test_an_interrupted_export_ends_with_a_sentence_and_leaves_nothing(tmp_path, bridge, defer, slabs, interrupt):
    node = scan(numbers((9, 6, 7)))
    export = bridge.exportVolume(node, tmp_path, defer)
    defer.popleft()()
    interrupt(bridge, node, export)
    defer.run()
    assert export.done
    assert export.path is None
    assert export.cancelled or export.error.what
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_take_it_is_a_sentence(tmp_path, bridge, defer):
    (tmp_path / "file").write_text("")
    export = bridge.exportVolume(scan(numbers()), tmp_path / "file", defer)
    assert "file could not be read or written" in export.error.what


def test_the_name_of_the_file_is_that_of_the_scan(tmp_path, bridge, defer):
    node = scan(numbers(), name="CT: Thorax/1 ü")
    assert exported(bridge, node, tmp_path, defer).path == Path(tmp_path / "CT_Thorax_1_ü.nrrd")
