from dataclasses import replace

import numpy as np
import pytest
import torch
from scans import stored, toy, write_dataset

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.preprocessing.plan import plan_for
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.prepare import prepare, prepare_case, require_apart, require_voxels

LIVER, SPLEEN = "a" * 32, "b" * 32


@pytest.fixture
def plan():
    return plan_for([toy()[0].grid], 1, 2, 8, 64, 64)


def test_a_case_is_read_and_its_masks_lie_on_what_they_outline(tmp_path, plan):
    case = open_data(write_dataset(tmp_path / "data", cases=1)).cases[0]
    prepared = prepare_case(case, {"liver": LIVER, "spleen": SPLEEN}, plan)
    assert (prepared.id, prepared.patient, prepared.structures) == ("c0", "c0", (LIVER, SPLEEN))
    assert prepared.image.dtype == torch.float16
    assert prepared.masks.shape == (2, *prepared.image.shape[1:])
    assert prepared.ignore is None
    bright, dark = (prepared.image[0][prepared.mask(item).bool()].float().mean() for item in (LIVER, SPLEEN))
    rest = prepared.image[0][prepared.masks.sum(dim=0) == 0].float().mean()
    assert bright > rest + 1 > dark + 2


def test_the_order_in_which_a_scan_is_stored_does_not_matter(plan):
    volume, label = toy()
    case = Case("x", "p", (), frozenset())
    expected = prepare(case, volume, {LIVER: label == 1}, plan)
    for axes, flips in (((2, 0, 1), (True, False, True)), ((1, 0, 2), (False, False, False))):
        array, grid = stored(volume.array[0], volume.grid, axes, flips)
        mask, _ = stored((label == 1).astype(np.uint8), volume.grid, axes, flips)
        found = prepare(case, type(volume)(array[np.newaxis], grid), {LIVER: mask.astype(bool)}, plan)
        assert torch.equal(found.image, expected.image)
        assert torch.equal(found.masks, expected.masks)


def test_nothing_looked_for_gives_no_row(plan):
    prepared = prepare(Case("x", "p", (), frozenset()), toy()[0], {}, plan)
    assert prepared.masks.shape == (0, *prepared.image.shape[1:])


def test_a_case_that_does_not_fit_is_named(plan):
    with pytest.raises(DataError, match=r"case 'x' has a spacing of 5 mm"):
        prepare(Case("x", "p", (), frozenset()), toy(spacing=(5, 5, 2))[0], {}, plan)


def prepared(name, **voxels):
    masks = torch.zeros(len(voxels), 2, 3, 4, dtype=torch.uint8)
    for row, filled in enumerate(voxels.values()):
        masks[row, 0, 0, :filled] = 1
    return PreparedCase(name, name, torch.zeros(1, 2, 3, 4), tuple(voxels), masks)


@pytest.mark.parametrize(
    ("cases", "refused"),
    [
        ([{"liver": 1, "spleen": 2}], None),
        ([{"liver": 0}, {"liver": 3, "spleen": 1}], None),
        ([{"liver": 1, "spleen": 0}, {"spleen": 0}, {"liver": 1}], "spleen' is annotated in the 2 cases"),
        ([{"liver": 1}], "spleen' is annotated in the 0 cases"),
    ],
)
def test_a_structure_without_a_voxel_is_refused(cases, refused):
    names = {"liver": "liver", "spleen": "spleen"}
    made = [prepared(str(number), **voxels) for number, voxels in enumerate(cases)]
    if refused is None:
        require_voxels(made, names)
    else:
        with pytest.raises(DataError, match=refused):
            require_voxels(made, names)


def test_where_nobody_looked_no_loss_counts_and_the_image_stays(plan):
    volume, label = toy()
    where = np.zeros(label.shape, dtype=np.bool_)
    where[:, :, :9] = True
    case = Case("x", "p", (), frozenset())
    expected = prepare(case, volume, {LIVER: label == 1}, plan)
    found = prepare(case, replace(volume, unlabelled=where), {LIVER: label == 1}, plan)
    assert torch.equal(found.image, expected.image)
    assert found.ignore.float().mean().item() == pytest.approx(where.mean(), abs=0.01)
    broken = volume.array.copy()
    broken[0, 0] = np.nan
    both = prepare(case, replace(volume, array=broken, unlabelled=where), {LIVER: label == 1}, plan)
    assert torch.equal(both.ignore, found.ignore | prepare(case, replace(volume, array=broken), {}, plan).ignore)


def overlapping(name, **places):
    masks = torch.zeros(len(places), 1, 1, 10, dtype=torch.uint8)
    for row, (first, last) in enumerate(places.values()):
        masks[row, ..., first:last] = 1
    return PreparedCase(name, name, torch.zeros(1, 1, 1, 10), tuple(places), masks)


def test_what_one_softmax_cannot_tell_apart_is_said():
    names = {"liver": "liver", "tumour": "tumour"}
    apart = [overlapping("a", liver=(0, 4), tumour=(4, 6)), overlapping("b", liver=(0, 0))]
    assert require_apart(apart, names) == []
    partly = [*apart, overlapping("c", liver=(0, 6), tumour=(5, 7))]
    assert [text.partition(" is ")[0] for text in require_apart(partly, names)] == ["10 % of liver", "25 % of tumour"]
    with pytest.raises(DataError, match=r"Every voxel of 'tumour'.*leave method out"):
        require_apart([overlapping("a", liver=(0, 9), tumour=(4, 6)), overlapping("b", liver=(0, 3))], names)
