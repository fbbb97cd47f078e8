"""Pictures for a front end: the right shape, contours where the masks are, whole files."""

import numpy as np
import pytest
import SimpleITK as sitk

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.reports.pictures import FOUND, SIDE, TRUTH, Contour, outline_picture, outlined, png, write_png
from IncrementalSegLib.reports.slices import SliceRow

RED = (255, 0, 0)


def square(size=32):
    mask = np.zeros((size, size), dtype=bool)
    mask[8:16, 8:24] = True
    return mask


def of(picture, color):
    return (picture == color).all(-1)


def test_the_contour_lies_on_the_border_of_the_mask_and_the_image_below_is_grey(rng):
    picture = outline_picture(rng.normal(size=(32, 32)), [Contour(square(), RED)], side=320)
    assert picture.shape == (320, 320, 3)
    line = of(picture, RED)
    rows, columns = np.nonzero(line)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (80, 159, 80, 239)
    assert not line[90:150, 90:230].any()
    for grey in (picture[90:150, 90:230], picture[:79], picture[161:]):
        assert (grey == grey[..., :1]).all()
        assert grey.max() - grey.min() > 200


@pytest.mark.parametrize(("shape", "aspect", "expected"), [((20, 40), 1.0, (100, 200)), ((20, 40), 4.0, (200, 100))])
def test_pixels_that_are_not_square_are_shown_as_they_lie(shape, aspect, expected):
    assert outline_picture(np.zeros(shape), [], aspect, 200).shape[:2] == expected


def test_a_mask_at_the_border_of_the_image_has_a_closed_contour():
    line = of(outline_picture(np.zeros((8, 8)), [Contour(np.ones((8, 8), dtype=bool), RED)], side=64), RED)
    assert all(edge.all() for edge in (line[0], line[-1], line[:, 0], line[:, -1]))


def test_truth_is_dashed_and_what_was_found_is_solid():
    found = np.roll(square(), 6, axis=0)
    row = SliceRow("case", np.zeros((32, 32)), square(), (found, None))
    picture = outlined(row)
    assert picture.shape[0] == SIDE
    top, bottom = of(picture, TRUTH)[96, 96:288], of(picture, FOUND)[263, 96:288]
    assert 0.3 < top.mean() < 0.7
    assert bottom.mean() > 0.9  # corners are round
    assert not of(outlined(row, 1), FOUND).any()


def test_a_window_decides_what_is_black_and_white():
    image = np.tile(np.arange(-1000.0, 1000.0, 10), (4, 1))
    shown = outline_picture(image, [], side=200, window=(0, 500))[2, :, 0]
    assert (shown[99], shown[100], shown[125], shown[150]) == (0, 0, 128, 255)


def test_a_part_is_shown_closer_and_black_beyond_the_slice():
    image = np.zeros((20, 20))
    image[:10, :10] = image[15, 15] = 1
    shown = outline_picture(image, [], side=100, window=(0, 1), field=((-5.0, 5.0), (5.0, 15.0)))[..., 0]
    assert shown.shape == (100, 100)
    assert not shown[:50].any()  # above the slice
    assert shown[50:, :45].min() == 255
    assert not shown[:, 56:].any()


def test_a_coarser_picture_is_a_mean_and_not_a_choice_of_pixels():
    stripes = np.tile([0.0, 1.0], (200, 100))
    shown = outline_picture(stripes, [], side=40, window=(0, 1))[5:-5, 5:-5, 0]
    assert np.abs(shown.astype(int) - 128).max() < 8


def test_what_is_no_number_is_black_and_spoils_nothing():
    image = np.array([[0.0, 1.0], [np.nan, np.inf]])
    assert outline_picture(image, [], side=2)[..., 0].tolist() == [[0, 255], [0, 255]]
    assert not outline_picture(np.full((3, 3), np.nan), [], side=3).any()


def test_a_colour_image_stays_one():
    image = np.zeros((16, 16, 3))
    image[..., 1] = 200
    assert outline_picture(image, [], side=64)[32, 32].tolist() == [0, 200, 0]


def test_a_png_holds_the_picture_bit_by_bit(tmp_path, rng):
    picture = rng.integers(0, 256, (7, 5, 3), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(png(picture))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.png"))), picture)


def test_a_png_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "a.png"
    for value in (10, 20):
        write_png(path, np.full((12, 16, 3), value, dtype=np.uint8))
        assert sitk.ReadImage(str(path)).GetSize() == (16, 12)
        assert (sitk.GetArrayFromImage(sitk.ReadImage(str(path))) == value).all()
    assert [item.name for item in path.parent.iterdir()] == ["a.png"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="Cannot write"):
        write_png(tmp_path / "file" / "a.png", np.zeros((2, 2, 3), dtype=np.uint8))
