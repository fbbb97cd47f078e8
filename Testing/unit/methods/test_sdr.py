"""SDR's terms on the features: which voxels count, and the bugs of public code that are not here."""

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, context, method

from IncrementalSegLib.methods.base.softmax_classes import ClassTarget, Outputs
from IncrementalSegLib.networks.output import Features, Output

WEIGHTS = ("distillation", "matching", "attraction", "repulsion", "sparsity")


def step(**options):
    chosen = method("sdr", **options)
    return chosen, context(chosen, old=(DISC, BAR), new=(SQUARE,))


def both(size=(6, 6)):
    random = torch.Generator().manual_seed(0)
    now, before = (
        Output(
            torch.randn(3, count, *size, generator=random),
            Features((), *[torch.rand(3, 4, *size, generator=random)] * 3),
        )
        for count in (4, 3)
    )
    return Outputs(now, before, [1, 2], [1, 2])


def target(size=(6, 6)):
    column = torch.zeros(3, *size, dtype=torch.long)
    column[:, :3, :3] = 3
    valid = torch.ones_like(column, dtype=torch.bool)
    valid[:, -1] = False
    return ClassTarget(column, torch.tensor([[True, False, False, True]] * 3), valid)


def vectors(pair, where):
    return pair.student.features.decoder.movedim(1, -1)[where].double()


def test_matching_takes_old_structures_where_nothing_is_labelled():
    """In a batch of three, channels stay apart (public code mixes them)."""
    chosen, ctx = step(matching=1.0)
    pair, labels = both(), target()
    found = pair.teacher.logits.argmax(1)
    wanted = [
        (
            vectors(pair, (found == row) & (labels.column == 0) & labels.valid).mean(0) - ctx.prototypes[key].mean
        ).square()
        for row, key in ((1, DISC), (2, BAR))
    ]
    assert float(chosen.preserve(pair, labels, ctx)["matching"]) == pytest.approx(
        float(torch.stack(wanted).mean()), rel=1e-5
    )


def test_matching_skips_what_is_not_found():
    chosen, ctx = step(matching=1.0)
    pair = both()
    pair.teacher.logits[:, 2] -= 100
    found = pair.teacher.logits.argmax(1)
    where = (found == 1) & (target().column == 0) & target().valid
    wanted = (vectors(pair, where).mean(0) - ctx.prototypes[DISC].mean).square().mean()
    assert float(chosen.preserve(pair, target(), ctx)["matching"]) == pytest.approx(float(wanted), rel=1e-5)
    pair.teacher.logits[:, 0] += 200
    assert chosen.preserve(pair, target(), ctx)["matching"] == 0


@pytest.mark.parametrize("clusters", ["completed", "labels"])
def test_attraction_and_repulsion_take_the_classes_asked_for(clusters):
    chosen, ctx = step(clusters=clusters, attraction=1.0, repulsion=1.0)
    pair, labels = both(), target()
    completed = torch.where(labels.column > 0, labels.column, pair.teacher.logits.argmax(1))
    chosen_labels = completed if clusters == "completed" else labels.column
    terms = chosen.preserve(pair, labels, ctx)
    means = chosen.stored(ctx).values.clone()
    means[3] = vectors(pair, (labels.column == 3) & labels.valid).mean(0)
    rows = [0, 1, 2, 3] if clusters == "completed" else [0, 3]
    own = [vectors(pair, (chosen_labels == row) & labels.valid) for row in rows]
    spread = [(item - means[row]).square().mean() for row, item in zip(rows, own, strict=True)]
    assert float(terms["attraction"]) == pytest.approx(float(torch.stack(spread).mean()), rel=1e-5)
    local = torch.stack([item.mean(0) for item in own])
    wanted = (1 / torch.pdist(local)).mean()
    assert float(terms["repulsion"]) == pytest.approx(float(wanted), rel=1e-3)


def test_where_a_structure_was_not_looked_for_the_background_is_no_class():
    """Attraction, repulsion and sparsity leave it out; what the previous model finds there stays."""
    weights = dict.fromkeys(WEIGHTS[2:], 1.0)
    chosen, ctx = step(**weights)
    pair, labels = both(), target()
    labels.column[2], labels.seen[2, 3] = 0, False
    found = torch.where(labels.column > 0, labels.column, pair.teacher.logits.argmax(1))
    found[~labels.valid] = -1
    found[2][found[2] == 0] = -1
    terms = chosen.preserve(pair, labels, ctx)
    ratios = []
    for row in range(4):
        scaled = vectors(pair, found == row)
        scaled = scaled / scaled.max()
        ratios += (scaled.exp().sum(1) / scaled.sum(1)).tolist()
    assert float(terms["sparsity"]) == pytest.approx(sum(ratios) / len(ratios), rel=1e-5)
    before = {name: float(terms[name]) for name in weights}
    ctx.memory.tensors.clear()
    pair.student.features.decoder.movedim(1, -1)[found < 0] = 9.0
    again = chosen.preserve(pair, labels, ctx)
    assert {name: float(again[name]) for name in weights} == before


def test_a_zero_weight_leaves_its_term_out():
    chosen, ctx = step(**dict.fromkeys(WEIGHTS, 0.0))
    assert set(chosen.training_loss(batch(ctx), ctx)) == {"cross_entropy", "dice"}
    for name in WEIGHTS:
        chosen, ctx = step(**(dict.fromkeys(WEIGHTS, 0.0) | {name: 1.0}))
        assert set(chosen.training_loss(batch(ctx), ctx)) == {"cross_entropy", "dice", name}
