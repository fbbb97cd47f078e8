from dataclasses import replace

import numpy as np
import pytest
from scans import toy

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.preprocessing.plan import Plan, plan_for
from IncrementalSegLib.preprocessing.rules import Resampling, Rules
from IncrementalSegLib.volumes import memory
from IncrementalSegLib.volumes.volume import Grid, Volume

CUBIC = Resampling(order=3)

SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)


def sliced(*grids: Grid, side: int = 128) -> Plan:
    return plan_for(grids, 1, 2, 8, side, side)


@pytest.mark.parametrize(
    ("grid", "code", "shape"),
    [
        # A 5 mm CT is sliced along z, however few columns it has.
        (Grid((60, 512, 512), (0.8, 0.8, 5.0)), "SPL", (60, 128, 128)),
        (Grid((60, 40, 40), (0.8, 0.8, 5.0)), "SPL", (60, 40, 40)),
        # A sagittal slab of nearly cubic voxels is sliced along its 21.
        (Grid((21, 256, 320), (0.94, 0.94, 0.9), direction=SAGITTAL), "LIP", (21, 102, 128)),
        # The same slab with its samples stored as axial ones: x is its short side.
        (Grid((256, 320, 21), (0.9, 0.94, 0.94)), "LIP", (21, 102, 128)),
        (Grid((30, 256, 256), (1.0, 1.0, 3.0), direction=CORONAL), "PIL", (30, 128, 128)),
        (Grid((256, 30, 256), (1.0, 3.0, 1.0)), "PIL", (30, 128, 128)),
    ],
)
def test_scans_are_sliced_as_they_were_acquired(grid, code, shape):
    plan = sliced(grid)
    assert (plan.orientation, plan.shape, plan.spacing[0], plan.patch[0]) == (code, shape, None, 1)


def test_most_scans_decide_the_view():
    axial, sagittal = Grid((30, 99, 99), (1, 1, 4)), Grid((30, 99, 99), (1, 1, 4), direction=SAGITTAL)
    assert sliced(axial, sagittal, axial).orientation == "SPL"


def test_the_longest_side_is_capped_by_coarser_voxels_of_the_same_shape():
    plan = sliced(Grid((20, 300, 600), (0.5, 0.6, 4.0)), side=150)
    assert plan.shape == (20, 75, 150)
    assert plan.spacing == (None, pytest.approx(2.4), pytest.approx(2.0))
    assert plan.patch == (1, 80, 152)  # the next multiples of 8


def test_a_small_scan_keeps_its_spacing():
    plan = sliced(Grid((20, 90, 100), (0.7, 0.7, 3.0)))
    assert plan.spacing == (None, 0.7, 0.7)
    assert plan.patch == (1, 96, 104)


@pytest.mark.parametrize("multiple", [4, 8, 16])
def test_patches_in_3d_are_capped_multiples(multiple):
    grids = [Grid((33, 200, 70), (1.0, 1.5, 2.0)), Grid((35, 201, 71), (1.0, 1.5, 2.0)), Grid((9, 9, 9), (9, 9, 9))]
    plan = plan_for(grids, 1, 3, multiple, 192, 64)
    assert all(size % multiple == 0 and size <= 64 for size in plan.patch)
    # The median scan is 33 x 200 x 70 at 2 x 1.5 x 1 mm, 1.5625 times coarser where its longest side is 192 x 1.5 mm.
    assert plan.spacing == pytest.approx((2.0 * 300 / 192 / 1.5, 300 / 192, 300 / 192 / 1.5))
    assert plan.patch == (-(-min(64, 32) // multiple) * multiple, 64, 64)


def test_pictures_have_no_orientation():
    plan = plan_for([Grid((1, 200, 300), planar=True)], 3, 2, 8, 128, 128)
    assert (plan.planar, plan.channels, plan.orientation, plan.patch) == (True, 3, "SPL", (1, 88, 128))


def test_pictures_are_refused_where_they_do_not_fit():
    picture, volume = Grid((1, 64, 64), planar=True), Grid((8, 64, 64))
    with pytest.raises(DataError, match="unet2d"):
        plan_for([picture], 1, 3, 8, 64, 64)
    with pytest.raises(DataError, match="mixes"):
        plan_for([volume, picture], 1, 2, 8, 64, 64)


@pytest.mark.parametrize(
    ("spacing", "said"),
    [((1, 1, 2), None), ((2.9, 1, 99), None), ((3.1, 1, 2), "3.1 mm along W"), ((1, 0.3, 2), "0.3 mm along H")],
)
def test_a_spacing_far_from_the_models_is_refused_with_its_number(spacing, said):
    volume, _ = toy(spacing=spacing)
    plan = plan_for([toy()[0].grid], 1, 2, 8, 64, 64)
    if said is None:
        plan.check(volume, "The scan x")
    else:
        with pytest.raises(DataError, match=rf"The scan x has a spacing of {said}.* at 1 mm"):
            plan.check(volume, "The scan x")


@pytest.mark.parametrize("dimension", [2, 3])
def test_a_model_takes_the_large_scans_that_it_was_planned_from(dimension):
    grid = Grid((4, 512, 512), (0.8, 0.8, 5.0))  # any CT; the network sees it at 3.2 mm
    plan = plan_for([grid], 1, dimension, 8, 128, 64)
    plan.check(Volume(np.zeros((1, *grid.shape), np.int8), grid), "The CT")
    finer = replace(grid, spacing=(0.25, 0.25, 5.0))
    with pytest.raises(DataError, match=r"0\.25 mm along H, the model works at 3\.2 mm"):
        plan.check(Volume(np.zeros((1, *grid.shape), np.int8), finer), "The CT")


@pytest.mark.parametrize(("rules", "voxels"), [(None, 128), (Rules(intensities=(), scans=CUBIC, scores=CUBIC), 64)])
def test_a_scan_that_is_too_large_on_the_models_grid_is_refused_before_it_is_resampled(rules, voxels, monkeypatch):
    grid = Grid((2, 4, 4))
    array = np.zeros((1, *grid.shape), np.int8)
    array[:, :, :2] = 1  # by rules of nnU-Net half of the scan is seen
    plan = plan_for([replace(grid, spacing=(0.5, 0.5, 1.0))], 1, 2, 1, 8, 1).model_copy(update={"rules": rules})
    free = memory.PIPELINE_BYTES * voxels
    monkeypatch.setattr(memory, "free_memory", lambda: free)
    plan.check(Volume(array, grid), "The scan x")
    monkeypatch.setattr(memory, "free_memory", lambda: free - 1)
    said = r"The scan x, on the grid of the model, needs .* 1 x 1 x 1 mm; the model works at 1 x 0\.5 x 0\.5 mm"
    with pytest.raises(DataError, match=said):
        plan.check(Volume(array, grid), "The scan x")


def test_the_patch_of_a_model_has_to_fit_into_memory(monkeypatch):
    volume, _ = toy()
    plan = plan_for([volume.grid], 1, 3, 8, 64, 64).model_copy(update={"patch": (1024, 1024, 1024)})
    monkeypatch.setattr(memory, "free_memory", lambda: 16 * 10**9)
    with pytest.raises(DataError, match=r"needs 17\.2 GB .*patches of 1024 x 1024 x 1024"):
        plan.check(volume, "The scan x")


def test_other_channels_and_pictures_are_refused():
    plan = plan_for([toy()[0].grid], 2, 2, 8, 64, 64)
    volume, _ = toy()
    with pytest.raises(DataError, match="1 channels, the model expects 2"):
        plan.check(volume, "The scan x")
    picture = Volume(volume.array[:, :1].repeat(2, axis=0), Grid((1, 32, 40), planar=True))
    with pytest.raises(DataError, match="a 2-D image"):
        plan.check(picture, "The scan x")


def test_a_plan_survives_json():
    plan = plan_for([toy()[0].grid], 1, 2, 8, 64, 64)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
