import numpy as np
import torch

from IncrementalSegLib.exemplars.units import Unit, batches, crops, slices
from IncrementalSegLib.sampling.batch import PreparedCase

A, B = "a" * 32, "b" * 32


def case(boxes, shape=(6, 10, 12), looked_for=(A, B), name="c"):
    """Return a case in which each structure fills the box given for it."""
    masks = torch.zeros(len(looked_for), *shape, dtype=torch.uint8)
    for row, structure in enumerate(looked_for):
        if structure in boxes:
            masks[row][boxes[structure]] = 1
    image = torch.arange(int(np.prod(shape)), dtype=torch.float16).view(1, *shape) / 100
    return PreparedCase(name, name, image, tuple(looked_for), masks)


def test_slices_know_what_is_in_them():
    first = case({A: np.s_[1:3, 2:4, 2:4], B: np.s_[2:5, 0:1, 0:1]})
    second = case({A: np.s_[0:1, 0:1, 0:1]}, shape=(2, 4, 4), looked_for=(A,))
    units = slices([first, second], (A, B))
    assert [(unit.case, unit.start[0]) for unit in units.items] == [(0, n) for n in range(6)] + [(1, 0), (1, 1)]
    assert units.present[:, 0].nonzero()[0].tolist() == [1, 2, 6]
    assert units.present[:, 1].nonzero()[0].tolist() == [2, 3, 4]
    assert torch.equal(units.items[2].image([first, second]), first.image[:, 2].float())


def test_crops_are_centred_stay_inside_and_are_shared_where_the_volume_fits():
    both = {A: np.s_[2:4, 0:2, 10:12], B: np.s_[0:6, 4:6, 4:8]}
    units = crops([case(both), case({})], (A, B), patch=(4, 4, 4))
    size = (4, 4, 4)
    assert units.items == (
        Unit(0, (1, 0, 8), size, planar=False),
        Unit(0, (1, 3, 4), size, planar=False),
        Unit(1, (1, 3, 4), size, planar=False),
    )
    assert units.present.tolist() == [[True, False], [False, True], [False, False]]
    whole = crops([case(both)], (A, B), patch=(99, 99, 99))
    assert [unit.size for unit in whole.items] == [(6, 10, 12)]
    assert whole.present.tolist() == [[True, True]]


def test_a_cut_is_a_small_prepared_case_with_or_without_outlines():
    cases = [case({A: np.s_[1:3, 2:4, 2:4]})]
    unit = slices(cases, (A,)).items[1]
    kept, bare = (unit.cut(cases, "x", keep_labels=keep) for keep in (True, False))
    assert kept.image.shape == (1, 1, 10, 12)
    assert torch.equal(kept.mask(A), cases[0].mask(A)[1:2])
    assert bare.structures == ()
    assert bare.masks.shape == (0, 1, 10, 12)
    assert kept.image.untyped_storage().nbytes() == 2 * 120  # a copy, not a view that holds the scan
    assert kept.masks.untyped_storage().nbytes() == 2 * 120


def test_batches_hold_one_size():
    items = [Unit(0, (n, 0, 0), (1, 4, 4), planar=True) for n in range(5)]
    items += [Unit(1, (n, 0, 0), (1, 8, 8), planar=True) for n in range(2)]
    assert list(batches(items, [0, 2, 3, 4, 5, 6], 3)) == [[0, 2, 3], [4], [5, 6]]
