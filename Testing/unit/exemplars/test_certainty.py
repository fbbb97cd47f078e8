from dataclasses import replace

import numpy as np
import pytest
import torch

from IncrementalSegLib.errors import MissingNeedError
from IncrementalSegLib.exemplars.certainty import score_units, uncertainty
from IncrementalSegLib.exemplars.units import slices
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.dropout import ChannelDropout
from IncrementalSegLib.networks.padding import pad_to_multiple
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.sampling.batch import PreparedCase

A, B = "a" * 32, "b" * 32
CPU = torch.device("cpu")


def segmenter(dropout=0.5):
    torch.manual_seed(0)
    model = Segmenter(SegmenterConfig(network="unet2d", widths=(4, 8), dropout=dropout))
    model.add((A, B))
    return model.eval()


def cases(shape=(4, 7, 8)):
    random = torch.Generator().manual_seed(1)
    found = []
    for name in "pq":
        masks = torch.zeros(2, *shape, dtype=torch.uint8)
        masks[0, 1:3, 2:5, 2:5] = 1
        masks[1, 2:, :2, :2] = 1
        found.append(PreparedCase(name, name, torch.randn(1, *shape, generator=random).half(), (A, B), masks))
    return found


def scores(model, data, seed=0, **options):
    units = slices(data, (A, B))
    return units, score_units(
        model,
        data,
        items=units.items,
        present=units.present,
        structures=(A, B),
        device=CPU,
        seed=seed,
        **options,
    )


def entropy(p):
    return -(p * np.log(p) + (1 - p) * np.log(1 - p))


@pytest.mark.parametrize("measure", ["variance", "entropy", "mutual_information"])
def test_the_online_map_equals_that_of_all_passes_at_once(measure):
    samples = torch.rand(29, 2, 3, 4, 5, generator=torch.Generator().manual_seed(0)) * 0.98 + 0.01
    stack = samples.double().numpy()
    wanted = {
        "variance": stack.var(axis=0),
        "entropy": entropy(stack.mean(axis=0)),
        "mutual_information": entropy(stack.mean(axis=0)) - entropy(stack).mean(axis=0),
    }[measure]
    score, variance = uncertainty(iter(samples), measure)
    np.testing.assert_allclose(score, wanted, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(variance, stack.var(axis=0), rtol=1e-4, atol=1e-6)


def test_welford_keeps_small_variances_that_a_difference_of_squares_loses():
    samples = 0.9 + 1e-5 * torch.randn(29, 1, 1, 64, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(uncertainty(iter(samples))[0], samples.double().numpy().var(axis=0), rtol=0.02)


def test_scores_are_means_over_all_pixels_of_slices_with_the_structure():
    model, data = segmenter(), cases()
    units, found = scores(model, data, passes=5, batch=99)
    assert np.array_equal(np.isfinite(found), units.present)
    image = pad_to_multiple(torch.stack([units.items[n].image(data) for n in (1, 2, 3, 5, 6, 7)]), 2)
    random = torch.Generator().manual_seed(0)
    samples = torch.stack(list(model.monte_carlo(image, 5, random, (A, B), common=True)))[..., :7, :8].double()
    wanted = samples.var(0, correction=0).mean((2, 3)).numpy()
    np.testing.assert_allclose(found[1:3, 0], wanted[:2, 0], rtol=1e-4)
    np.testing.assert_allclose(found[2:4, 1], wanted[1:3, 1], rtol=1e-4)


def test_every_pass_differs_and_batch_normalisation_is_in_eval_mode():
    model, data = segmenter().train(), cases()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    _, found = scores(model, data, passes=5)
    assert (found[np.isfinite(found)] > 0).all()
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("bug", ["no dropout", "dropout is off"])
def test_identical_passes_are_an_error(bug, monkeypatch):
    model = segmenter(dropout=0.0 if bug == "no dropout" else 0.5)
    monkeypatch.setattr(ChannelDropout, "forward", lambda self, features: features)  # the bug of the public code
    with pytest.raises(MissingNeedError, match=r"gave the same result.*no active dropout"):
        scores(model, cases(), passes=3)


def test_only_slices_with_the_structure_are_run(monkeypatch):
    model, data = segmenter(), cases()
    seen = []
    original = Segmenter.monte_carlo
    monkeypatch.setattr(
        Segmenter,
        "monte_carlo",
        lambda self, image, *rest, **more: seen.append(len(image)) or original(self, image, *rest, **more),
    )
    scores(model, data, passes=2)
    assert sum(seen) == 6  # slices 1, 2, 3 of two cases


def test_the_neighbourhood_of_the_outline_and_ignored_pixels():
    model, data = segmenter(), cases((4, 24, 24))
    ignore = torch.zeros(4, 24, 24, dtype=torch.bool)
    ignore[:, 12:] = True
    data = [
        PreparedCase(id=d.id, patient=d.patient, image=d.image, structures=d.structures, masks=d.masks, ignore=ignore)
        for d in data
    ]
    units, near = scores(model, data, passes=4, aggregate="dilated_foreground", batch=99)
    image = torch.stack([units.items[n].image(data) for n in (1, 2, 3, 5, 6, 7)])
    samples = torch.stack(
        list(model.monte_carlo(image, 4, torch.Generator().manual_seed(0), (A, B), common=True))
    ).double()
    variance = samples.var(0, correction=0)
    assert near[1, 0] == pytest.approx(float(variance[0, 0, :10, :10].mean()), rel=1e-4)  # 2..4 grown by 5
    _, everywhere = scores(model, data, passes=4, batch=99)
    assert everywhere[1, 0] == pytest.approx(float(variance[0, 0, :12].mean()), rel=1e-4)


@pytest.mark.parametrize(("masks", "alike"), [("common", True), ("independent", False)])
def test_a_score_does_not_depend_on_the_other_slices_where_masks_are_common(masks, alike):
    model, data = segmenter(), cases()
    whole, one_by_one = (scores(model, data, passes=3, masks=masks, batch=batch)[1] for batch in (99, 1))
    last_alone = scores(model, data[1:], passes=3, masks=masks)[1]
    assert np.allclose(whole, one_by_one, rtol=1e-4) is alike
    assert np.allclose(whole[4:], last_alone, rtol=1e-4) is alike


def test_equal_slices_are_equally_certain():
    model, data = segmenter(), cases()
    image = data[0].image[:, :1].expand(-1, 4, -1, -1)
    _, found = scores(model, [replace(data[0], image=image)], passes=3)
    assert found[1, 0] == pytest.approx(found[2, 0], rel=1e-4)
    _, apart = scores(model, [replace(data[0], image=image)], passes=3, masks="independent")
    assert apart[1, 0] != pytest.approx(apart[2, 0], rel=1e-2)


def test_the_same_seed_gives_the_same_scores():
    model, data = segmenter(), cases()
    assert np.array_equal(scores(model, data, 7, passes=3)[1], scores(model, data, 7, passes=3)[1])
    assert not np.array_equal(scores(model, data, 7, passes=3)[1], scores(model, data, 8, passes=3)[1])
