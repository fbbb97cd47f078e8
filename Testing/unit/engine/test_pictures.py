"""Pictures for a front end: the right shape, contours where the masks are, whole files."""

import numpy as np
import pytest
import SimpleITK as sitk

from IncrementalSegLib.engine.pictures import FOUND, SIDE, TRUTH, Contour, outline_picture, outlined, write_png
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.evaluation.content import SliceRow

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
    grey = picture[~line]
    assert (grey == grey[:, :1]).all()
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


def test_a_colour_image_stays_one():
    image = np.zeros((16, 16, 3))
    image[..., 1] = 200
    assert outline_picture(image, [], side=64)[32, 32].tolist() == [0, 200, 0]


def test_a_png_is_replaced_whole(tmp_path):
    path = tmp_path / "new" / "a.png"
    for value in (10, 20):
        write_png(path, np.full((12, 16, 3), value, dtype=np.uint8))
        read = sitk.ReadImage(str(path))
        assert (read.GetSize(), sitk.GetArrayFromImage(read).max()) == ((16, 12), value)
    assert [item.name for item in path.parent.iterdir()] == ["a.png"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="Cannot write"):
        write_png(tmp_path / "file" / "a.png", np.zeros((2, 2, 3), dtype=np.uint8))
