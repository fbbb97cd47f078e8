from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.sampling import patches
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.sampling.patches import PatchPool

LIVER, SPLEEN, CYST = "a" * 32, "b" * 32, "c" * 32


def plan(patch):
    return Plan(
        dimension=2 if patch[0] == 1 else 3,
        planar=False,
        channels=1,
        orientation="SPL",
        spacing=(None if patch[0] == 1 else 1.0, 1.0, 1.0),
        patch=patch,
        multiple=4,
        shape=patch,
    )


def numbered(shape, structures, boxes, name="one", ignore=None):
    """Return a case whose voxel values say where they are, with a box of each structure."""
    image = torch.arange(shape[0] * shape[1] * shape[2]).reshape(1, *shape) % 2048  # whole numbers in float16
    masks = torch.zeros(len(structures), *shape, dtype=torch.uint8)
    for row, box in enumerate(boxes):
        masks[(row, *box)] = 1
    return PreparedCase(name, f"patient of {name}", image.half(), tuple(structures), masks, ignore)


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


CORNER = (slice(0, 2), slice(0, 3), slice(0, 3))


@pytest.mark.parametrize("patch", [(1, 16, 16), (8, 8, 8)])
def test_modalities_then_data_sets_then_structures_are_drawn_alike(patch):
    """One CT set of six scans; MR sets of one scan and of three, one of them with a structure of its own."""
    few = {"one": ("MR", "few")}
    groups = (
        {f"ct{number}": ("CT", "large") for number in range(6)} | few | {f"mr{n}": ("MR", "other") for n in range(3)}
    )
    scans = []
    for name, group in groups.items():
        structure = SPLEEN if group[1] == "other" else LIVER
        scan = numbered((8, 16, 16), [structure], [(slice(0, 1), slice(0, 3), slice(0, 3))], name)
        scans.append(replace(scan, group=group))
    pool = PatchPool(scans, [LIVER, SPLEEN], [LIVER, SPLEEN], plan(patch), "new")
    drawn = pool.draw(2000, gen())
    shares = {}
    for name in drawn.cases:
        shares[groups[name]] = shares.get(groups[name], 0) + 1 / 2000
    assert shares == {
        ("CT", "large"): pytest.approx(0.5, abs=0.04),
        ("MR", "few"): pytest.approx(0.25, abs=0.04),
        ("MR", "other"): pytest.approx(0.25, abs=0.04),
    }
    assert len(set(drawn.cases)) == 10
    shown = drawn.label.flatten(2).any(2).sum(0)
    assert shown[1] > 0.1 * 2000  # the spleen, which only a quarter of the items can show


def test_cases_without_a_group_are_drawn_as_from_one_data_set():
    scans = [numbered((4, 16, 16), [LIVER], [CORNER], name) for name in "abc"]
    grouped = [replace(scan, group=("CT", "one")) for scan in scans]
    one, other = (
        PatchPool(item, [LIVER], [LIVER], plan((1, 16, 16)), "new").draw(9, gen()) for item in (scans, grouped)
    )
    assert one.cases == other.cases
    assert torch.equal(one.image, other.image)


def test_slices_come_whole_from_one_source():
    pool = PatchPool([numbered((6, 16, 20), [LIVER], [CORNER])], [LIVER], [LIVER], plan((1, 16, 20)), "exemplar")
    batch = pool.draw(8, gen())
    assert (batch.source, set(batch.cases), len(pool)) == ("exemplar", {"one"}, 6)
    assert batch.image.shape == (8, 1, 16, 20)
    assert (batch.image.dtype, batch.label.dtype) == (torch.float32, torch.uint8)
    scan = pool.cases[0]
    slices = scan.image[0].float()
    for image, label in zip(batch.image, batch.label, strict=True):
        depth = int(image[0, 0, 0]) // 320
        assert torch.equal(image[0], slices[depth])
        assert torch.equal(label[0], scan.masks[0, depth])
    assert batch.looked_for.all()
    assert not batch.ignore.any()


@pytest.mark.parametrize("patch", [(1, 16, 16), (8, 8, 8)])
def test_half_of_the_items_lie_around_a_structure(patch):
    # One slice of 40, or one corner that few random crops reach.
    corner = (slice(0, 1), slice(0, 4), slice(0, 4))
    shape = (40, 16, 16) if patch[0] == 1 else (40, 40, 40)
    pool = PatchPool([numbered(shape, [LIVER], [corner])], [LIVER], [LIVER], plan(patch), "new")
    batch = pool.draw(600, gen())
    hit = batch.label.flatten(1).any(dim=1).float().mean()
    assert 0.44 < hit < 0.60


def test_rare_structures_are_aimed_at_as_often_as_common_ones(monkeypatch):
    monkeypatch.setattr(patches, "FOREGROUND_SHARE", 1.0)
    everywhere, dot = (slice(1, 40), slice(None), slice(None)), (slice(0, 1), slice(5, 6), slice(5, 6))
    pool = PatchPool([numbered((40, 16, 16), [LIVER, CYST], [everywhere, dot])], [LIVER, CYST], [LIVER, CYST],
                     plan((1, 16, 16)), "new")  # fmt: skip
    label = pool.draw(400, gen()).label
    assert 0.42 < label[:, 1].flatten(1).any(dim=1).float().mean() < 0.58


def test_unaimed_slices_are_all_alike():
    cases = [numbered((depth, 8, 8), [], [], name) for name, depth in (("long", 30), ("short", 10))]
    pool = PatchPool(cases, [LIVER], [LIVER], plan((1, 8, 8)), "new")
    names = pool.draw(400, gen()).cases
    assert len(pool) == 40
    assert 0.68 < names.count("long") / 400 < 0.82


@pytest.mark.parametrize("patch", [(1, 8, 8), (8, 8, 12)])
def test_crops_lie_inside_and_hold_the_voxel_aimed_at(patch, monkeypatch):
    monkeypatch.setattr(patches, "FOREGROUND_SHARE", 1.0)
    for place in [(0, 0, 0), (19, 29, 24), (10, 15, 12), (1, 28, 3)]:
        dot = tuple(slice(index, index + 1) for index in place)
        scan = numbered((20, 30, 25), [LIVER], [dot])
        batch = PatchPool([scan], [LIVER], [LIVER], plan(patch), "new").draw(20, gen())
        assert not batch.ignore.any()  # nothing was padded
        for image, label in zip(
            batch.image[:, 0].reshape(20, *patch), batch.label[:, 0].reshape(20, *patch), strict=True
        ):
            found = label.nonzero()
            assert len(found) == 1
            start = [index - inside for index, inside in zip(place, found[0].tolist(), strict=True)]
            window = tuple(slice(first, first + size) for first, size in zip(start, patch, strict=True))
            assert torch.equal(image, scan.image[0][window].float())
            if place == (10, 15, 12):  # far from every border the voxel lies in the middle half
                inner = zip(found[0].tolist(), patch, strict=True)
                assert all(size // 4 <= index <= size // 4 + size // 2 for index, size in inner if size > 1)


def test_random_crops_reach_every_corner():
    scan = numbered((12, 12, 12), [], [])
    images = PatchPool([scan], [LIVER], [], plan((8, 8, 8)), "new").draw(300, gen()).image
    corners = {int(image[0, 0, 0, 0]) for image in images}
    assert {0, 4 * 144 + 4 * 12 + 4} <= corners
    assert len(corners) > 80  # of 125 places


@pytest.mark.parametrize("patch", [(1, 12, 16), (8, 12, 16)])
def test_padding_is_ignored_and_dark(patch):
    scan = numbered((5, 7, 9), [LIVER], [(slice(None), slice(None), slice(None))])
    scan = PreparedCase(scan.id, scan.patient, scan.image + 5, scan.structures, scan.masks)
    batch = PatchPool([scan], [LIVER], [LIVER], plan(patch), "new").draw(3, gen())
    inside = ~batch.ignore
    assert inside.flatten(1).sum(dim=1).tolist() == [(1 if patch[0] == 1 else 5) * 7 * 9] * 3
    assert torch.equal(batch.label[:, 0].bool(), inside)
    for image, here in zip(batch.image[:, 0], inside, strict=True):
        assert (image[~here] == image[here].min()).all()
        box = here.nonzero()
        assert torch.equal(box.amax(dim=0) - box.amin(dim=0) + 1, torch.tensor([5, 7, 9][-here.ndim :]))


def test_every_case_says_what_was_looked_for_in_it():
    left, right = (slice(None), slice(None), slice(0, 4)), (slice(None), slice(None), slice(4, 8))
    cases = [
        numbered((3, 8, 8), [SPLEEN, LIVER], [left, right], "both, in another order"),
        numbered((3, 8, 8), [LIVER], [left], "liver alone"),
        numbered((3, 8, 8), [CYST], [right], "cyst, which the model does not know"),
    ]
    pool = PatchPool(cases, [LIVER, SPLEEN], [LIVER], plan((1, 8, 8)), "new")
    batch = pool.draw(60, gen())
    expected = {
        cases[0].id: ([True, True], (4, 0)),
        cases[1].id: ([True, False], (0, None)),
        cases[2].id: ([False, False], (None, None)),
    }
    assert set(batch.cases) == set(expected)
    for name, label, looked in zip(batch.cases, batch.label, batch.looked_for, strict=True):
        rows, columns = expected[name]
        assert looked.tolist() == rows
        for mask, first in zip(label, columns, strict=True):
            assert mask.nonzero()[:, 1].unique().tolist() == ([] if first is None else list(range(first, first + 4)))


def test_invalid_voxels_of_a_case_are_ignored():
    invalid = torch.zeros(3, 8, 8, dtype=torch.bool)
    invalid[:, 2, 3:5] = True
    pool = PatchPool([numbered((3, 8, 8), [], [], ignore=invalid)], [LIVER], [], plan((1, 8, 8)), "new")
    assert torch.equal(pool.draw(4, gen()).ignore, invalid[:1].expand(4, 8, 8))


def test_batches_are_a_function_of_the_generator_alone():
    cases = [numbered((9, 30, 30), [LIVER], [CORNER], name) for name in "abc"]
    drawn = []
    for seed, noise in ((1, 0), (1, 99), (2, 0)):
        torch.manual_seed(noise)  # the global generator must not matter
        drawn.append(PatchPool(cases, [LIVER], [LIVER], plan((1, 16, 16)), "new").draw(6, gen(seed)))
    assert torch.equal(drawn[0].image, drawn[1].image)
    assert drawn[0].cases == drawn[1].cases
    assert not torch.equal(drawn[0].image, drawn[2].image)


def test_later_batches_differ():
    pool = PatchPool([numbered((30, 30, 30), [LIVER], [CORNER])], [LIVER], [LIVER], plan((1, 16, 16)), "new")
    generator = gen()
    assert all(not torch.equal(a.image, b.image) for a, b in pairwise(pool.draw(4, generator) for _ in range(4)))
