"""Scores against plain set arithmetic."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny import BAR, CPU, DISC, SQUARE, cases, plan, segmenter, shaken

from IncrementalSegLib.engine.scores.scoring import score_cases, validate
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import silent
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import read_case


class Oracle:
    """Find each structure, shifted by some voxels along W."""

    def __init__(self, scans, shift):
        self.scans, self.shift = scans, shift

    def masks(self, image, structures, progress):
        (case,) = (case for case in self.scans if case.image is image)
        return torch.stack([case.mask(item).bool().roll(self.shift, -1) for item in structures])


@pytest.mark.parametrize("shift", [0, 2, 5])
def test_validation_is_the_mean_dice_over_cases_and_structures(shift):
    scans = cases((DISC, SQUARE), 2)
    expected = []
    for case in scans:
        for item in (DISC, SQUARE):
            truth = {tuple(voxel) for voxel in case.mask(item).nonzero().tolist()}
            moved = {tuple(voxel) for voxel in case.mask(item).roll(shift, -1).nonzero().tolist()}
            expected.append(2 * len(truth & moved) / (len(truth) + len(moved)))
    found = validate(Oracle(scans, shift), scans, (DISC, SQUARE)).mean
    assert found == pytest.approx(sum(expected) / len(expected))


def test_what_is_absent_or_unknown_does_not_count():
    known, unknown, absent = cases((DISC,), 3)
    absent = replace(absent, masks=torch.zeros_like(absent.masks))
    unknown = replace(unknown, structures=(BAR,))
    scans = [known, unknown, absent]
    assert validate(Oracle(scans, 0), scans, (DISC,)).mean == 1
    assert validate(Oracle(scans, 0), scans[1:], (DISC,)).mean is None
    assert validate(Oracle(scans, 0), [], (DISC,)).mean is None


def test_a_real_network_is_scored(generator):
    scans = cases((DISC, SQUARE), 1)
    model = segmenter().eval()
    image = scans[0].image.float().transpose(0, 1)
    with torch.no_grad():
        predicted = model.probabilities(model(image, [DISC]).logits)[:, 0] >= 0.5
    truth = scans[0].mask(DISC).bool()
    expected = 2 * (predicted & truth).sum() / (predicted.sum() + truth.sum())
    assert validate(Predictor(model, plan(), CPU), scans, [DISC]).mean == pytest.approx(expected.item())


@pytest.mark.parametrize("output", ["classes", "heads"])
def test_all_structures_together_get_the_scores_of_each_alone_and_the_network_sees_a_case_once(output, monkeypatch):
    known = (DISC, SQUARE, BAR)
    scans = cases(known, 3)
    model = segmenter(known, output=output)
    shaken(model)
    if output == "classes":
        model.output.rows["background"].bias.data -= 2  # so that something is found
    predictor = Predictor(model, plan(), CPU)
    alone = {item: validate(predictor, scans, [item]) for item in known}
    seen, real = [], predictor.probabilities
    monkeypatch.setattr(predictor, "probabilities", lambda *args: seen.append(args) or real(*args))
    found = validate(predictor, scans, known)
    assert len(seen) == len(scans)
    assert {item: found.of(item) for item in known} == {item: alone[item].mean for item in known}
    assert any(0 < found.of(item) < 1 for item in known)
    dice = [alone[item].scores[row][1] for row in range(3) for item in known]
    assert found.mean == sum(dice) / len(dice)


def test_what_was_found_can_be_seen():
    scans, seen = cases((DISC, SQUARE), 2), []
    validate(Oracle(scans, 1), scans, (SQUARE,), on_mask=lambda case, item, mask: seen.append((case.id, item, mask)))
    assert [(case, item) for case, item, _ in seen] == [(scans[0].id, SQUARE), (scans[1].id, SQUARE)]
    assert torch.equal(seen[0][2], scans[0].mask(SQUARE).bool().roll(1, -1))


def test_cases_are_scored_on_their_own_grid(data):
    dataset = open_data(data / "both")
    chosen = dataset.cases[:2]
    volume, masks = read_case(chosen[0])
    spacing = volume.grid.spacing
    own = Plan(
        dimension=2, planar=False, channels=1, orientation="SPL", spacing=(None, spacing[1] * 2, spacing[0] * 2),
        patch=(1, 16, 16), multiple=4, shape=(6, 16, 16),
    )  # fmt: skip
    predictor = Predictor(segmenter(), own, CPU)
    watched, phases = [], []
    scores = score_cases(
        predictor,
        chosen,
        {"humerus": DISC, "scapula": SQUARE},
        seen=lambda case, structure: (case.id, structure) == (chosen[1].id, SQUARE),
        watch=lambda case, volume, truth, prediction: watched.append((case.id, truth, prediction)),
        progress=lambda phase, fraction, numbers=None: phases.append(fraction),
    )
    assert [case for case, *_ in watched] == [case.id for case in chosen]
    for number, item in enumerate((DISC, SQUARE)):
        name = ("humerus", "scapula")[number]
        truth, found = masks[name], predictor.predict(volume, [item]).mask[item]
        assert found.shape == truth.shape
        expected = 2 * np.logical_and(found, truth).sum() / (found.sum() + truth.sum())
        assert scores[item][0].dice == pytest.approx(expected)
    assert [[score.seen_in_training for score in scores[item]] for item in (DISC, SQUARE)] == [
        [False, False],
        [False, True],
    ]
    assert phases == [0, 0.5, 0.5, 1.0, 1.0]


def test_a_structure_is_scored_where_it_was_looked_for(data):
    dataset = open_data(data / "both")
    first = replace(dataset.cases[0], looked_for=frozenset({"humerus"}))
    scores = score_cases(
        Predictor(segmenter(), plan().model_copy(update={"spacing": (None, 5.4, 5.4)}), CPU),
        [first, dataset.cases[1]],
        {"humerus": DISC, "scapula": SQUARE},
        progress=silent,
    )
    assert [len(scores[item]) for item in (DISC, SQUARE)] == [2, 1]


def test_where_nobody_looked_nothing_is_scored():
    (case,) = cases((DISC,), 1)
    truth = case.mask(DISC).bool()
    oracle = Oracle([case], 3)
    moved = truth.roll(3, -1)
    assert validate(oracle, [case], (DISC,)).mean < 0.9
    oracle.scans = [case := replace(case, ignore=moved & ~truth)]
    hit = 2 * (moved & truth).sum() / ((moved & truth).sum() + truth.sum())
    assert validate(oracle, [case], (DISC,)).mean == pytest.approx(hit.item())
