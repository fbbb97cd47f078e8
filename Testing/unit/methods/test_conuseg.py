"""CoNuSeg: what the previous model is sure of, and weights that really weigh."""

import pytest
import torch
from tiny import BAR, DISC, SQUARE, context, method
from torch.nn import functional as F

from IncrementalSegLib.losses.classes import unbiased_cross_entropy
from IncrementalSegLib.methods.base.softmax_classes import ClassTarget, Outputs
from IncrementalSegLib.networks.output import Features, Output
from IncrementalSegLib.prototypes.bank import BACKGROUND

KEYS = (BACKGROUND, DISC, BAR)


def step(medians=0.5, **options):
    chosen = method("conuseg", **options)
    ctx = context(chosen, old=(DISC, BAR), new=(SQUARE,))
    ctx.memory.data["conuseg/medians"] = dict.fromkeys(KEYS, medians)
    return chosen, ctx


def both(size=(6, 6), sharp=1.0):
    random = torch.Generator().manual_seed(0)
    now, before = (
        Output(
            sharp * torch.randn(2, count, *size, generator=random),
            Features((), *[torch.rand(2, 4, *size, generator=random)] * 3),
        )
        for count in (4, 3)
    )
    return Outputs(now, before, [1, 2], [1, 2])


def target(size=(6, 6)):
    column = torch.zeros(2, *size, dtype=torch.long)
    column[:, :3, :3] = 3
    return ClassTarget(
        column, torch.tensor([[True, False, False, True]] * 2), torch.ones_like(column, dtype=torch.bool)
    )


def test_with_nothing_believed_it_is_the_unbiased_cross_entropy():
    chosen, ctx = step(medians=1.0, threshold=1.0)
    pair, labels = both(), target()
    hidden = torch.tensor([[True, True, True, False]] * 2)
    wanted = unbiased_cross_entropy(pair.student.logits, labels.column, hidden, labels.valid)
    torch.testing.assert_close(chosen.supervise(pair, labels, ctx)["cross_entropy"], wanted)


def test_with_all_believed_it_is_the_cross_entropy_on_completed_labels():
    chosen, ctx = step(medians=0.0)
    pair, labels = both(), target()
    completed = torch.where(labels.column > 0, labels.column, pair.teacher.logits.argmax(1))
    wanted = F.cross_entropy(pair.student.logits, completed)
    torch.testing.assert_close(chosen.supervise(pair, labels, ctx)["cross_entropy"], wanted)


def test_each_class_has_its_own_threshold_and_all_the_option():
    pair, labels = both(), target()
    losses = []
    for bar, threshold in ((1.0, 1.0), (0.0, 1.0), (1.0, 0.0), (0.0, 0.0)):
        chosen, ctx = step(medians=1.0, threshold=threshold)
        ctx.memory.data["conuseg/medians"][BAR] = bar
        losses.append(float(chosen.supervise(pair, labels, ctx)["cross_entropy"]))
    assert losses[0] != losses[1]
    assert losses[2] == losses[3] != losses[1], "a threshold of 0 believes everything"


def test_an_item_in_which_the_new_structure_was_not_looked_for_may_hold_it():
    chosen, ctx = step(medians=0.0)
    pair, labels = both(), target()
    pair.teacher.logits[:, 0] += 100  # sure of the background
    unknown = ClassTarget(
        torch.zeros_like(labels.column), torch.tensor([[True, False, False, False]] * 2), labels.valid
    )
    log_probability = pair.student.logits.log_softmax(1)
    wanted = -log_probability[:, [0, 3]].logsumexp(1).mean()
    torch.testing.assert_close(chosen.supervise(pair, unknown, ctx)["cross_entropy"], wanted)


@pytest.mark.parametrize("hard", [True, False])
def test_contrast_weighs_what_is_not_yet_learned(hard):
    """Public code weighs the vectors and scales them to length one afterwards, so its weights do nothing."""
    chosen, ctx = step(hard=hard, contrast=1.0)
    pair, labels = both(sharp=2.0), target()
    unit = F.normalize(pair.student.features.decoder, dim=1).movedim(1, -1).double()
    completed = torch.where(labels.column > 0, labels.column, pair.teacher.logits.argmax(1))
    confidence, winner = pair.student.logits.softmax(1).max(1)
    means = {}
    for row in (1, 2, 3):
        where = completed == row
        weights = torch.where((winner == row) & (row == 3) & hard, 1 - confidence, 1.0)[where].double()
        means[row] = (unit[where] * weights[:, None]).sum(0) / weights.sum()
    prototypes = torch.stack([*ctx.prototypes.matrix((DISC, BAR)), unit[labels.column == 3].mean(0)])
    scores = torch.stack(list(means.values())) @ F.normalize(prototypes, dim=1).T / 0.1
    wanted = F.cross_entropy(scores, torch.arange(3))
    assert float(chosen.preserve(pair, labels, ctx)["contrast"]) == pytest.approx(float(wanted), rel=1e-5)


def test_relations_compare_old_classes_alone():
    chosen, ctx = step(relations=1.0, contrast=0.0)
    pair, labels = both(), target()
    whole = chosen.preserve(pair, labels, ctx)
    assert set(whole) == {"relations"}
    assert float(whole["relations"]) > 0
    pair.student.features.decoder[:, :, :3, :3] = 7.0  # under the new structure
    torch.testing.assert_close(chosen.preserve(pair, labels, ctx)["relations"], whole["relations"])


def test_relations_have_the_authors_temperatures_and_the_background():
    chosen, ctx = step(relations=1.0, contrast=0.0)
    pair, labels = both(), target()
    completed = torch.where(labels.column > 0, labels.column, pair.teacher.logits.argmax(1))
    means = [
        torch.stack(
            [F.normalize(output.features.decoder, dim=1).movedim(1, -1)[completed == row].mean(0) for row in range(3)]
        )
        for output in (pair.student, pair.teacher)
    ]
    logits = [(item @ item.T / warm).fill_diagonal_(-1e9) for item, warm in zip(means, (0.2, 0.01), strict=True)]
    wanted = F.cross_entropy(logits[0], logits[1].softmax(1))
    assert float(chosen.preserve(pair, labels, ctx)["relations"]) == pytest.approx(float(wanted), rel=1e-4)


def test_what_is_uncertain_or_ignored_relates_to_nothing():
    """In the second item nobody looked for the new structure, so that its background may be that."""
    chosen, ctx = step(relations=1.0, contrast=1.0)
    pair, plain = both(), target()
    plain.column[1], plain.seen[1, 3], plain.valid[0, 4] = 0, False, False
    terms = []
    for value in (None, 7.0):
        ctx.memory.tensors.clear()
        if value is not None:
            away = (pair.teacher.logits.argmax(1) == 0) & torch.tensor([False, True]).view(2, 1, 1) | ~plain.valid
            for output in (pair.student, pair.teacher):
                output.features.decoder.movedim(1, -1)[away] = torch.tensor([value, 0, 0, 0])
        terms.append(chosen.preserve(pair, plain, ctx))
    assert all(torch.equal(terms[0][name], terms[1][name]) for name in ("relations", "contrast"))


def test_medians_are_measured_at_the_beginning_and_dropped_at_the_end():
    chosen = method("conuseg")
    ctx = context(chosen)
    chosen.begin_step(ctx)
    assert set(ctx.memory.data["conuseg/medians"]) == {BACKGROUND, DISC}
    chosen.remember(ctx)
    assert ctx.memory.data == {}
