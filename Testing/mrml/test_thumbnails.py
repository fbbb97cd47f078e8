"""Pictures show the slice where a structure is largest, the right way round, in its window and with its contour."""

import numpy as np
import pytest
import SimpleITK as sitk

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed: pip install slicer-core")
pytest.importorskip("vtk")

from IncrementalSegPanel.scene.SceneBridge import SceneBridge  # noqa: E402
from IncrementalSegPanel.scene.Thumbnails import draw, turned  # noqa: E402

from IncrementalSegLib.errors import DataError  # noqa: E402

RED = (1.0, 0.0, 0.0)


def shown(image, mask=None, columns=(-1, 0, 0), rows=(0, -1, 0), window=(0, 1)):
    mask = np.zeros_like(image) if mask is None else mask
    return turned(image, mask, np.array(columns, float), np.array(rows, float), window)


def red(picture):
    return (picture[..., 0].astype(int) - picture[..., 1]) > 100


def brightest(picture):
    """Return the row and column of the bright spot, each 0..1."""
    spot = np.argwhere(picture[..., 1] > 200)
    return tuple(spot.mean(axis=0) / len(picture))


@pytest.mark.parametrize(
    ("columns", "rows", "vertical", "horizontal"),
    [  # the bright voxel is the first one: where its direction is negative it lies at the far end
        ((-1, 0, 0), (0, -1, 0), "top", "left"),  # axial: right of the patient on the left, front up
        ((1, 0, 0), (0, 1, 0), "bottom", "right"),
        ((0, -1, 0), (0, 0, 1), "bottom", "left"),  # sagittal: front on the left, head up
        ((0, 0, -1), (0, -1, 0), "top", "left"),  # the same, stored the other way
        ((-1, 0, 0), (0, 0, 1), "bottom", "left"),  # coronal
        ((0, 0, 1), (1, 0, 0), "bottom", "right"),
        ((-0.7, 0.6, 0.1), (0.5, -0.6, 0.6), "top", "left"),  # oblique
    ],
)
def test_a_slice_is_seen_as_radiologists_do(columns, rows, vertical, horizontal):
    image = np.zeros((20, 20))
    image[:5, :5] = 1
    row, column = brightest(draw(shown(image, columns=columns, rows=rows), RED))
    assert (row < 0.3, column < 0.3) == (vertical == "top", horizontal == "left")
    assert (row > 0.7, column > 0.7) == (vertical == "bottom", horizontal == "right")


@pytest.mark.parametrize(("columns", "rows"), [((0, -1, 0), (0, 0, -1)), ((-1, 0, 0), (0, -1, 0))])
def test_how_a_slice_is_stored_does_not_matter(columns, rows):
    image = np.random.default_rng(0).random((20, 30))
    expected = draw(shown(image, columns=columns, rows=rows), RED)
    flipped = draw(shown(image[::-1, ::-1], columns=-np.array(columns), rows=-np.array(rows)), RED)
    swapped = draw(shown(image.T, columns=rows, rows=columns), RED)
    np.testing.assert_array_equal(flipped, expected)
    np.testing.assert_array_equal(swapped, expected)


def test_spacing_keeps_the_shape():
    image, mask = np.zeros((10, 40)), np.zeros((10, 40))
    mask[4:7, 16:28] = 1  # 12 mm x 12 mm
    outlined = np.argwhere(red(draw(shown(image, mask, columns=(-1, 0, 0), rows=(0, -4, 0)), RED, 96)))
    height, width = np.ptp(outlined, axis=0)
    assert abs(height - width) <= 3


def test_a_small_structure_is_seen_closer_and_a_large_one_whole():
    image, mask = np.zeros((200, 200)), np.zeros((200, 200))
    mask[50:55, 60:65] = 1
    assert np.ptp(np.argwhere(red(draw(shown(image, mask), RED))), axis=0).min() >= 4
    mask[:] = 1
    assert np.ptp(np.argwhere(red(draw(shown(image, mask), RED))), axis=0).min() >= 90


def test_the_contour_leaves_the_inside_to_be_seen():
    image, mask = np.ones((50, 50)), np.zeros((50, 50))
    mask[15:35, 15:35] = 1
    picture = draw(shown(image, mask), RED)
    assert 0 < red(picture).sum() < 0.1 * picture.shape[0] ** 2
    assert tuple(picture[48, 48]) == (255, 255, 255)


def test_the_window_decides_what_is_black_and_white():
    image = np.tile(np.linspace(-1000, 1000, 64), (64, 1))
    picture = draw(shown(image, window=(0, 500)), RED, 64)[32, :, 0]
    assert picture[30] == 0
    assert picture[50] == 255
    open_window = draw(shown(image, window=None), RED, 64)[32, :, 0]
    assert open_window[[1, 32, 62]].tolist() == pytest.approx([0, 128, 255], abs=6)


@pytest.mark.parametrize(("other", "thin"), [(False, False), (True, False), (True, True)])
def test_an_example_is_drawn_where_it_is_largest(tmp_path, other, thin):
    array = np.zeros((8, 30, 40), np.int16)
    array[5] = 100  # only this slice is bright
    matrix = np.array([[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 3.0, 0], [0, 0, 0, 1.0]])
    scan = slicer.util.addVolumeFromArray(array, ijkToRAS=matrix)
    scan.CreateDefaultDisplayNodes()
    scan.GetDisplayNode().SetAutoWindowLevel(False)
    scan.GetDisplayNode().SetWindowLevelMinMax(0, 100)
    drawn = scan
    if other:  # half as wide a voxel, upside down
        finer = np.array([[-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, -1.5, 24.0], [0, 0, 0, 1.0]])
        drawn = slicer.util.addVolumeFromArray(np.zeros((17, 30, 40), np.int16), ijkToRAS=finer)
    mask = np.zeros(slicer.util.arrayFromVolume(drawn).shape, np.uint8)
    k = 6 if other else 5  # both at 15 mm
    if thin:
        mask[k, [13, 15], [20, 17]] = 1
    else:
        mask[k - 1 : k + 2, 12:16, 18:24] = 1
        mask[k, 10:20, 15:30] = 1
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.SetReferenceImageGeometryParameterFromVolumeNode(drawn)
    node.GetSegmentation().AddEmptySegment("s", "s", RED)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "s", drawn)
    node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), scan.GetID())
    bridge = SceneBridge()
    (example,) = bridge.candidates()
    bridge.thumbnail(example, tmp_path / "t.png", 64)
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "t.png")))
    assert picture.shape == (64, 64, 3)
    assert tuple(picture[32, 32]) == (255, 255, 255)
    height, width = np.ptp(np.argwhere(red(picture)), axis=0) + 1
    assert thin or width / height == pytest.approx(1.5, rel=0.15)


def test_an_uncertain_place_lies_in_the_ring_of_its_picture(tmp_path):
    bridge, array = SceneBridge(), np.zeros((6, 80, 60), np.int16)
    array[4, 20:23, 40:43] = 1000
    matrix = np.array([[0, -1.5, 0, 4], [-0.5, 0, 0, -3], [0, 0, 3.0, 2], [0, 0, 0, 1]])
    scan = slicer.util.addVolumeFromArray(array, ijkToRAS=matrix)
    bridge.spotPicture(scan, (matrix @ [41, 21, 4, 1])[:3], tmp_path / "spot.png")
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "spot.png")))
    assert picture.shape == (64, 64, 3)
    ring = np.argwhere(picture[..., 0].astype(int) - picture[..., 2] > 100).mean(axis=0)
    bright = np.argwhere(picture[..., 2] > 200).mean(axis=0)
    assert np.abs(ring - bright).max() < 2
    bridge.spotPicture(scan, (matrix @ [41, 21, 99, 1])[:3], tmp_path / "outside.png")  # the nearest slice
    slicer.mrmlScene.RemoveNode(scan)
    with pytest.raises(DataError):
        bridge.spotPicture(scan, (0, 0, 0), tmp_path / "gone.png")
