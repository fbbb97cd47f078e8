"""Whatever grid a scan lies on, what goes to the model's grid comes back to where it was."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import ORDERS, ball, middle, positions
from scipy.spatial.transform import Rotation

from IncrementalSegLib.preprocessing.geometry import orient, turn
from IncrementalSegLib.preprocessing.pipeline import forward, forward_mask, inverse, to_patient
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.volumes.volume import Grid, Volume

FIELD = 36.0  # mm
RADIUS = 13.0

codes = st.sampled_from(["SPL", "LIP", "PIL"])
angles = st.tuples(*[st.floats(-20, 20)] * 3)
spacings = st.tuples(*[st.floats(0.8, 2.5)] * 3)


@st.composite
def grids(draw) -> Grid:
    """Draw a grid over about ``FIELD`` mm: anisotropic, oblique, permuted, flipped, of either handedness."""
    spacing = draw(spacings)
    axes, flips = draw(st.sampled_from(ORDERS))
    matrix = Rotation.from_euler("xyz", draw(angles), degrees=True).as_matrix()
    matrix = matrix[:, list(axes)] * np.where(flips, -1, 1)
    shape = tuple(round(FIELD / step) for step in reversed(spacing))
    origin = draw(st.tuples(*[st.floats(-200, 200)] * 3))
    return Grid(shape, spacing, origin, tuple(matrix.ravel()))


def plan(code: str, spacing: tuple[float | None, float, float]) -> Plan:
    return Plan(
        dimension=2 if spacing[0] is None else 3, planar=False, channels=1, orientation=code, spacing=spacing,
        patch=(8, 8, 8), multiple=8, shape=(8, 8, 8),
    )  # fmt: skip


@given(grid=grids(), code=codes, spacing=st.tuples(st.none() | st.floats(1, 2), st.floats(1, 2), st.floats(1, 2)))
def test_a_mask_comes_back_to_where_it_was(grid, code, spacing):
    mask = ball(grid, middle(grid), RADIUS)
    volume = Volume(mask[np.newaxis].astype(np.float32), grid)
    _, _, record = forward(volume, plan(code, spacing))
    there = forward_mask(mask, volume, plan(code, spacing))
    back = inverse(there[None].float(), record)[0] >= 0.5
    assert back.shape == grid.shape
    assert 2 * (back & mask).sum() / (back.sum() + mask.sum()) > 0.95


@given(grid=grids(), code=codes, spacing=st.tuples(st.none() | st.floats(1, 2), st.floats(1, 2), st.floats(1, 2)))
def test_a_prepared_voxel_is_known_by_its_place_in_the_patient(grid, code, spacing):
    own = ball(grid, middle(grid) + np.array([3.0, -4.0, 2.0]), RADIUS / 2)
    center = positions(grid)[own.astype(bool)].mean(axis=0)  # of the samples, which a coarse grid moves
    volume = Volume(np.zeros((1, *grid.shape), dtype=np.float32), grid)
    there = forward_mask(own, volume, plan(code, spacing))
    voxel = np.append(np.argwhere(there.numpy()).mean(axis=0), 1.0)
    assert np.abs(np.array(to_patient(volume, plan(code, spacing))) @ voxel - center).max() < 0.7


@given(grid=grids(), code=codes)
@settings(max_examples=50)
def test_turning_is_a_bijection_that_points_the_right_way(grid, code):
    order, flips = orient(grid, code)
    places = np.moveaxis(positions(grid), -1, 0)
    turned = turn(places, order, flips)
    assert np.array_equal(np.unique(turned.reshape(3, -1), axis=1), np.unique(places.reshape(3, -1), axis=1))
    toward = {"L": (0, 1), "P": (1, 1), "S": (2, 1), "I": (2, -1)}
    for axis, letter in enumerate(code):
        coordinate, sign = toward[letter]
        steps = np.diff(turned, axis=axis + 1).mean(axis=(1, 2, 3))
        assert sign * steps[coordinate] > 0
        assert np.abs(steps)[coordinate] == np.abs(steps).max()


@given(grid=grids(), code=codes)
def test_a_landmark_keeps_its_place_in_the_patient(grid, code):
    """The centre of mass of a mask on the model's grid, brought back by hand, is the ball's centre."""
    center = middle(grid) + np.array([3.0, -2.0, 4.0])
    settings_ = plan(code, (1.5, 1.5, 1.5))
    volume = Volume(np.zeros((1, *grid.shape), np.float32), grid)
    mask = forward_mask(ball(grid, center, 9.0), volume, settings_)
    order, flips = orient(grid, code)
    # Model voxel -> fraction of the field of view -> sample of the file, without the library's own way back.
    share = (mask.nonzero().double().mean(dim=0).numpy() + 0.5) / mask.shape
    share[list(flips)] = 1 - share[list(flips)]
    sample = np.empty(3)
    sample[list(order)] = share * np.array(grid.shape)[list(order)] - 0.5
    lies = grid.matrix @ (sample[::-1] * grid.spacing) + grid.origin
    assert np.linalg.norm(lies - center) < 1.0
