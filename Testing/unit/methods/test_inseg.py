"""InSeg: which background is kept for the future."""

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, context, method

from IncrementalSegLib.methods.base.softmax_classes import ClassTarget, Outputs
from IncrementalSegLib.networks.output import Features, Output
from IncrementalSegLib.prototypes.bank import BACKGROUND, Prototype, PrototypeBank

LIKE, UNLIKE = torch.tensor([1.0, 1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0, 1.0])


def step(**options):
    chosen = method("inseg", **({"distillation": 0.0} | options))
    ctx = context(chosen, old=(DISC, BAR), new=(SQUARE,))
    known = dict.fromkeys((DISC, BAR), Prototype(LIKE.double(), 9, 2, "decoder"))
    ctx.prototypes = PrototypeBank(known | {BACKGROUND: Prototype(UNLIKE.double(), 9, 2, "decoder")})
    return chosen, ctx


def case():
    """Columns 0-1: the new structure; 2-3: like structures; 4-5: unlike; the last row is the old structure's."""
    features = UNLIKE.view(1, 4, 1, 1).repeat(2, 1, 4, 6)
    features[..., :4] = LIKE.view(1, 4, 1, 1)
    column = torch.zeros(2, 4, 6, dtype=torch.long)
    column[..., :2] = 3
    before = torch.zeros(2, 3, 4, 6)
    before[:, 0] = 5
    before[:, 1, -1] = 10
    now = Output(torch.zeros(2, 4, 4, 6), Features((), *[features] * 3))
    pair = Outputs(now, Output(before, Features((), *[features] * 3)), [1, 2], [1, 2])
    seen = torch.tensor([[True, False, False, True]] * 2)
    return pair, ClassTarget(column, seen, torch.ones_like(column, dtype=torch.bool))


def test_background_like_the_structures_is_the_future(monkeypatch):
    chosen, ctx = step()
    seen = {}

    def split(cosines, future, valid, temperature):
        seen.update(cosines=cosines, future=future, valid=valid)
        return cosines.sum() * 0 + 1

    monkeypatch.setattr("IncrementalSegLib.methods.inseg.background_split", split)
    pair, labels = case()
    assert float(chosen.preserve(pair, labels, ctx)["future"]) == 1
    assert seen["future"][0].tolist() == [[False, False, True, True, False, False]] * 3 + [[False] * 6]
    assert seen["valid"][0].tolist() == [[False, False, True, True, True, True]] * 3 + [[False] * 6]
    assert seen["cosines"][0, :, 0].T.tolist() == [[0, 1]] * 4 + [[1, 0]] * 2


@pytest.mark.parametrize("similarity", [-1.0, 1.0])
def test_one_group_alone_is_not_told_apart(similarity):
    chosen, ctx = step(similarity=similarity)
    pair, labels = case()
    pair.student.features.decoder.add_(0.1)  # no cosine is exactly 1
    pair.student.features.decoder[..., 0, 0] += 1
    features = pair.student.features.decoder.requires_grad_()
    term = chosen.preserve(pair, labels, ctx)["future"]
    term.backward()
    assert term == 0
    assert features.grad.abs().max() == 0


def test_telling_them_apart_pulls_the_groups_apart():
    chosen, ctx = step()
    pair, labels = case()
    noise = torch.rand(2, 4, 4, 6, generator=torch.Generator().manual_seed(0))
    features = (pair.student.features.decoder + 0.3 * noise).requires_grad_()
    moved = Outputs(
        Output(pair.student.logits, Features((), *[features] * 3)),
        pair.teacher,
        pair.student_columns,
        pair.teacher_columns,
    )
    chosen.preserve(moved, labels, ctx)["future"].backward()
    assert features.grad[..., :3, 2:].abs().max() > 0
    assert features.grad[..., :2].abs().max() == 0, "labelled"
    assert features.grad[:, :, 3].abs().max() == 0, "an old structure"


def test_where_a_new_structure_was_not_looked_for_nothing_is_background():
    chosen, ctx = step()
    pair, labels = case()
    unknown = ClassTarget(labels.column * 0, labels.seen & torch.tensor([True, True, True, False]), labels.valid)
    assert chosen.preserve(pair, unknown, ctx)["future"] == 0


def test_a_zero_weight_leaves_its_term_out():
    for name in ("distillation", "future"):
        chosen, ctx = step(**({"distillation": 0.0, "future": 0.0} | {name: 1.0}))
        assert set(chosen.training_loss(batch(ctx), ctx)) == {"cross_entropy", "dice", name}
