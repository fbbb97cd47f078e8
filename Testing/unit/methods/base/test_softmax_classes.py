"""Growing softmax networks: what labels mean, which columns hide under 0, and how rows begin."""

from dataclasses import replace

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, bits, cases, changed, context, method
from torch.nn import functional as F

from IncrementalSegLib.losses.dice import soft_dice
from IncrementalSegLib.methods.base.rehearsing_classes import RehearsesOnRequest
from IncrementalSegLib.methods.base.softmax_classes import Outputs, SoftmaxClasses, columns
from IncrementalSegLib.networks.dropout import ChannelDropout
from IncrementalSegLib.prototypes.bank import BACKGROUND
from IncrementalSegLib.registry import find, names

CLASSES = [name for name in names("method") if find("method", name).output == "classes"]
_LABELLED = (SoftmaxClasses.labelled, RehearsesOnRequest.labelled)  # which is the former, unless it is asked for
ALIKE = [name for name in CLASSES if find("method", name).labelled in _LABELLED]
FORMS = {  # do new rows begin balanced, and may an old structure lie under label 0?
    "finetune-softmax": (False, False), "lwf": (False, False), "ilt": (False, False), "sdr": (False, True),
    "mib": (True, True), "conuseg": (True, True), "inseg": (True, True), "pcdd": (True, True),
    "pseudo-label": (True, False), "plop": (True, False), "reminder": (True, False),
    "versatile": (True, True),
}  # fmt: skip


def terms_of(chosen, ctx, drawn):
    ctx.model.train()
    ChannelDropout.seed(ctx.model, torch.Generator().manual_seed(3))
    return chosen.training_loss(drawn, ctx)


def said(chosen, ctx):
    """Return the target of a batch, and what both models say about it."""
    drawn = batch(ctx)
    own, theirs = columns(ctx.model, ctx.old), columns(ctx.teacher_model, ctx.old)
    return chosen.target(drawn, ctx), Outputs(ctx.model(drawn.image), ctx.teacher(drawn.image), own, theirs)


def test_labels_become_columns_in_the_models_order():
    ctx = context(method("mib"), new=(SQUARE, BAR), scans=cases((BAR, SQUARE), 2))
    ctx.structures = (BAR, SQUARE, DISC)
    drawn = batch(ctx)
    target = SoftmaxClasses.target(drawn, ctx)
    assert columns(ctx.model, (DISC, SQUARE, BAR)) == [1, 2, 3]
    expected = 3 * drawn.label[:, 0].long() + 2 * drawn.label[:, 1].long()
    assert torch.equal(target.column, expected)
    assert target.seen.tolist() == [[True, False, True, True]] * 4
    assert target.valid.all()


def test_where_labels_overlap_no_loss_applies():
    ctx = context(method("mib"), new=(SQUARE, BAR))
    drawn = batch(ctx)
    drawn.label[:, 1:, :5, :5] = 1
    both = replace(drawn, looked_for=torch.ones_like(drawn.looked_for))
    target = SoftmaxClasses.target(both, ctx)
    assert not target.valid[:, :5, :5].any()
    assert target.valid[:, 10:, :5].all()
    turned = replace(both, label=both.label.clone())
    turned.label[:, 0, :5, :5] = 1
    for key, term in terms_of(method("mib"), ctx, both).items():
        assert torch.equal(term, terms_of(method("mib"), ctx, turned)[key])


def test_unknown_labels_are_not_read():
    ctx = context(method("mib"), new=(SQUARE, BAR))
    drawn = batch(ctx)
    unknown = replace(drawn, label=torch.ones_like(drawn.label), looked_for=torch.zeros_like(drawn.looked_for))
    target = SoftmaxClasses.target(unknown, ctx)
    assert not target.column.any()
    assert target.seen.tolist() == [[True, False, False, False]] * 4


@pytest.mark.parametrize(("name", "hidden"), [("mib", [1, 1, 0, 1]), ("lwf", [1, 0, 0, 1])])
def test_under_label_0_lies_what_the_method_allows(name, hidden):
    """The third column was looked for, the last was not: no method takes that for background."""
    chosen = method(name)
    ctx = context(chosen, new=(SQUARE, BAR), scans=cases((SQUARE,), 2))
    found = chosen.hidden(SoftmaxClasses.target(batch(ctx), ctx), ctx)
    assert found.int().tolist() == [hidden] * 4


@pytest.mark.parametrize("name", FORMS)
def test_each_method_has_the_form_of_its_authors(name):
    chosen = method(name)
    ctx = context(chosen)
    hidden = chosen.hidden(SoftmaxClasses.target(batch(ctx), ctx), ctx)
    row, background = (ctx.model.output.part(item).weight for item in (SQUARE, "background"))
    assert (torch.equal(row, background), bool(hidden[:, 1].all())) == FORMS[name]


def test_a_label_of_an_old_structure_counts():
    chosen = method("mib")
    ctx = context(chosen, scans=cases((DISC, SQUARE), 2))
    target = SoftmaxClasses.target(batch(ctx), ctx)
    assert set(target.column.unique().tolist()) == {0, 1, 2}
    assert not chosen.hidden(target, ctx)[:, 1].any(), "where it was looked for, 0 is not it"


@pytest.mark.parametrize("name", [name for name in ALIKE if name not in ("clis", "packnet")])  # networks of their own
def test_a_first_step_is_the_same_for_all(name):
    found = []
    for one in (name, "finetune-softmax"):
        chosen = method(one)
        ctx = context(chosen, old=())
        found.append((terms_of(chosen, ctx, batch(ctx)), bits(ctx.model)))
    assert found[0][0] == found[1][0]
    assert changed(found[0][1], found[1][1]) == set()


def test_few_have_terms_of_their_own_for_the_labels():
    assert set(CLASSES) - set(ALIKE) == {"versatile", "replay"}


def test_a_first_step_is_cross_entropy_and_soft_dice():
    chosen = method("mib")
    ctx = context(chosen, old=(), new=(SQUARE, BAR), scans=cases((SQUARE, BAR), 2))
    drawn = batch(ctx)
    ctx.model.eval()
    terms = chosen.training_loss(drawn, ctx)
    logits = ctx.model(drawn.image).logits
    column = drawn.label[:, 0].long() + 2 * drawn.label[:, 1].long()
    torch.testing.assert_close(terms["cross_entropy"], F.cross_entropy(logits, column))
    everywhere = torch.ones_like(drawn.label, dtype=torch.bool)
    torch.testing.assert_close(terms["dice"], soft_dice(logits.softmax(1)[:, 1:], drawn.label, everywhere))
    assert set(terms) == {"cross_entropy", "dice"}
    assert set(method("mib", dice=False).training_loss(drawn, ctx)) == {"cross_entropy"}


@pytest.mark.parametrize("name", [name for name in CLASSES if name != "packnet"])  # clears the kernels that are free
def test_new_rows_begin_as_the_method_says(name):
    kind = find("method", name)
    ctx = context(method(name))
    ctx.model.eval()
    drawn = batch(ctx)
    with torch.no_grad():
        now, before = ctx.model(drawn.image).logits.softmax(1), ctx.teacher(drawn.image).logits.softmax(1)
    same = torch.allclose(now[:, 1], before[:, 1], atol=1e-6)
    assert same is kind.balanced
    assert torch.allclose(now[:, 2], before[:, 0] / 2, atol=1e-6) is kind.balanced


@pytest.mark.parametrize("name", CLASSES)
def test_a_batch_without_old_or_new_voxels_is_finite(name):
    """A class that is absent gives zero or no term, never NaN (A0.5, 9)."""
    chosen = method(name)
    ctx = context(chosen, new=(SQUARE, BAR), scans=cases((SQUARE, BAR), 2))
    drawn = batch(ctx)
    known = torch.ones_like(drawn.looked_for)
    for label in (torch.zeros_like(drawn.label), (torch.arange(3) == 1).view(3, 1, 1).expand_as(drawn.label)):
        for ignore in (drawn.ignore, torch.ones_like(drawn.ignore)):
            ctx.model.zero_grad(set_to_none=True)
            terms = terms_of(chosen, ctx, replace(drawn, label=label, looked_for=known, ignore=ignore))
            torch.stack(list(terms.values())).sum().backward()
            assert all(torch.isfinite(term) for term in terms.values()), terms
            assert all(torch.isfinite(item.grad).all() for item in ctx.model.parameters() if item.grad is not None)


@pytest.mark.parametrize("name", ALIKE)
def test_soft_dice_is_the_same_beside_every_cross_entropy(name):
    chosen, ctx = method(name), context(method(name))
    target, both = said(chosen, ctx)
    assert torch.equal(chosen.supervise(both, target, ctx)["dice"], method("mib").supervise(both, target, ctx)["dice"])


@pytest.mark.parametrize("name", CLASSES)
def test_a_weight_of_zero_leaves_its_term_out(name):
    fields = find("method", name).Options.model_fields.items()
    weights = {key: 0.0 for key, field in fields if (field.description or "").startswith("Weight of")}
    ctx = context(method(name, **weights))
    assert set(method(name, dice=False, **weights).training_loss(batch(ctx), ctx)) == {"cross_entropy"}


@pytest.mark.parametrize("name", [name for name in CLASSES if "prototypes" in find("method", name).needs])
def test_without_the_background_s_prototype_a_step_works(name):
    """Forgetting a patient takes it along, and removing the structures that they taught does not bring it back."""
    chosen = method(name)
    ctx = context(chosen, old=(DISC, BAR))
    ctx.prototypes = ctx.prototypes.without(BACKGROUND)
    terms = terms_of(chosen, ctx, batch(ctx))
    torch.stack(list(terms.values())).sum().backward()
    assert all(torch.isfinite(term) for term in terms.values()), terms
    assert all(torch.isfinite(item.grad).all() for item in ctx.model.parameters() if item.grad is not None)


@pytest.mark.parametrize("name", CLASSES)
def test_terms_are_float32_whatever_the_precision_around(name):
    """Mixed precision is for the networks: of the same outputs every term is the same to the bit."""
    chosen = method(name)
    ctx = context(chosen, old=(DISC, BAR))
    target, both = said(chosen, ctx)
    found = []
    for mixed in (False, True):
        ctx.memory.tensors.clear()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            found.append(chosen.supervise(both, target, ctx) | chosen.preserve(both, target, ctx))
    for key, term in found[1].items():
        assert term.dtype == torch.float32, key
        assert torch.equal(term, found[0][key]), key
