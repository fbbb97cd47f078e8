"""EWC: the Fisher information by other means, the penalty by hand, and the sum over steps."""

import math

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, bits, cases, changed, context, method, plan
from torch.nn import functional as F

from IncrementalSegLib.errors import MissingNeedError
from IncrementalSegLib.methods.ewc import drawn_labels, normalised
from IncrementalSegLib.sampling.patches import PatchPool

BACKGROUND = "output.rows.background.bias"


def part(kind, ctx):
    """Return the tensors of one kind, by the name of their weight."""
    prefix = f"ewc/{kind}/"
    return {key.removeprefix(prefix): item for key, item in ctx.memory.tensors.items() if key.startswith(prefix)}


def finished(**options):
    """Return EWC and a first step at its end."""
    chosen = method("ewc", images=3, **options)
    ctx = context(chosen, old=(), new=(DISC,))
    chosen.remember(ctx)
    return chosen, ctx


@pytest.mark.parametrize("labels", ["sampled", "empirical"])
def test_the_fisher_information_is_that_of_a_plain_loop_over_images(labels):
    _, ctx = finished(labels=labels)
    pool, random = PatchPool(ctx.cases, ctx.structures, (DISC,), plan(), "new"), ctx.generator()
    ctx.model.eval()
    sums = {name: torch.zeros_like(weight) for name, weight in ctx.model.named_parameters()}
    for _ in range(3):
        drawn = pool.draw(1, random)
        ctx.model.zero_grad()
        logits = ctx.model(drawn.image).logits
        label = drawn.label[:, 0].long()
        if labels == "sampled":
            label = drawn_labels(logits.detach(), random)
        F.cross_entropy(logits, label).backward()
        for name, weight in ctx.model.named_parameters():
            sums[name] += weight.grad**2
    mean = sum(item.sum() for item in sums.values()) / sum(item.numel() for item in sums.values())
    for name, fisher in part("fisher", ctx).items():
        torch.testing.assert_close(fisher, sums[name] / mean, rtol=1e-4, atol=1e-6)


def test_the_fisher_information_agrees_with_finite_differences():
    chosen = method("ewc", images=1, labels="empirical")
    ctx = context(chosen, old=(), new=(DISC,))
    chosen.remember(ctx)
    drawn = PatchPool(ctx.cases, ctx.structures, (DISC,), plan(), "new").draw(1, ctx.generator())
    model = ctx.model.double().eval()
    weights = dict(model.named_parameters())

    @torch.no_grad()
    def slope(name, index, step=1e-5):
        found = []
        for sign in (1, -1):
            weights[name].view(-1)[index] += sign * step
            scores = model(drawn.image.double()).logits.log_softmax(1)
            found.append(-scores.gather(1, drawn.label[:, :1].long()).mean())
            weights[name].view(-1)[index] -= sign * step
        return float(found[0] - found[1]) / (2 * step)

    fisher = part("fisher", ctx)
    unit = float(fisher[BACKGROUND]) / slope(BACKGROUND, 0) ** 2
    for name in ("output.rows.background.weight", "trunks.0.down.0.0.conv.weight", f"output.rows.{DISC}.weight"):
        for index in (0, 3):
            expected = unit * slope(name, index) ** 2
            assert float(fisher[name].contiguous().view(-1)[index]) == pytest.approx(expected, rel=1e-2, abs=1e-5)


def test_sampled_labels_follow_the_softmax_and_not_the_scan():
    logits = torch.tensor([0.0, math.log(2), math.log(5)]).view(1, 3, 1, 1).expand(1, 3, 200, 200)
    labels = drawn_labels(logits, torch.Generator().manual_seed(0))
    found = torch.bincount(labels.flatten(), minlength=3) / labels.numel()
    torch.testing.assert_close(found, torch.tensor([1, 2, 5]) / 8, rtol=0, atol=0.01)
    for labels, alike in (("sampled", True), ("empirical", False)):
        chosen = method("ewc", images=2, labels=labels)
        maps = []
        for moved in (0, 9):
            ctx = context(chosen, old=(), new=(DISC,))
            for case in ctx.cases:
                case.masks.copy_(case.masks.roll(moved, -1))  # within a slice, so that the same images are drawn
            chosen.remember(ctx)
            maps.append(part("fisher", ctx)[BACKGROUND])
        assert torch.equal(*maps) is alike


def test_its_mean_over_the_network_is_one():
    _, ctx = finished()
    every = torch.cat([item.flatten() for item in part("fisher", ctx).values()])
    assert float(every.mean()) == pytest.approx(1, rel=1e-4)
    assert float(every.min()) >= 0
    assert set(part("fisher", ctx)) == set(dict(ctx.model.named_parameters()))
    empty = {"weight": torch.zeros(2)}
    assert normalised(empty) == empty


@pytest.mark.parametrize(
    ("penalty", "moves", "expected"),
    [  # half the weight, times the sum of Fisher information times squared change
        (4.0, {}, 0.0),
        (4.0, {BACKGROUND: 0.5}, 4 / 2 * (3 * 0.25)),
        (4.0, {BACKGROUND: 0.5, f"output.rows.{DISC}.bias": -2.0}, 4 / 2 * (3 * 0.25 + 7 * 4)),
        (0.5, {BACKGROUND: -1.0}, 0.5 / 2 * 3),
        (4.0, {f"output.rows.{SQUARE}.bias": 9.0}, 0.0),  # a new row is free
    ],
)
def test_the_penalty_is_that_computed_by_hand(penalty, moves, expected):
    chosen = method("ewc", images=1, penalty=penalty)
    ctx = context(chosen)
    for key, item in ctx.memory.tensors.items():
        if key.startswith("ewc/fisher/"):
            item.fill_({BACKGROUND: 3.0, f"output.rows.{DISC}.bias": 7.0}.get(key.removeprefix("ewc/fisher/"), 1.0))
    weights = dict(ctx.model.named_parameters())
    for name, moved in moves.items():
        weights[name].data += moved
    terms = chosen.training_loss(batch(ctx), ctx)
    assert float(terms["penalty"].detach()) == pytest.approx(expected, rel=1e-5)


def test_steps_add_up_and_one_computed_again_is_replaced():
    chosen = method("ewc", images=1, decay=0.5)
    ctx = context(chosen)
    first = part("fisher", ctx)
    assert set(part("anchor", ctx)) == set(first)
    chosen.remember(ctx)
    both = part("fisher", ctx)
    alone = {name: both[name] - 0.5 * value for name, value in first.items()}
    fresh = {name: value for name, value in both.items() if SQUARE in name}
    own = torch.cat([item.flatten() for item in (alone | fresh).values()])
    assert float(own.mean()) == pytest.approx(1, rel=1e-4)
    assert fresh
    assert part("anchor", ctx) == {}
    chosen.remember(ctx)
    assert changed(both, part("fisher", ctx)) == set()
    assert set(ctx.memory.data["ewc/fisher"]["structures"]) == {DISC, SQUARE}
    ctx.new = (BAR,)  # scans of another structure add to it
    ctx.structures, ctx.cases = (DISC, SQUARE, BAR), cases((BAR,))
    ctx.model.add([BAR])
    chosen.remember(ctx)
    later = part("fisher", ctx)
    assert all((later[name] >= 0.5 * value).all() for name, value in both.items())
    assert set(ctx.memory.data["ewc/fisher"]["structures"]) == {DISC, SQUARE, BAR}


def test_the_next_scan_of_a_session_is_a_step_of_its_own():
    chosen = method("ewc", images=1, decay=1.0)
    ctx = context(chosen, old=(), new=(DISC,), improve=True)
    before = part("fisher", ctx)
    with torch.no_grad():
        for weight in ctx.model.parameters():
            weight.add_(0.01)
    for _ in range(2):
        chosen.next_scan(ctx)
    assert changed(part("anchor", ctx), {name: bits(ctx.model)[name] for name in before}) == set()
    every = torch.cat([item.flatten() for item in part("fisher", ctx).values()])
    assert float(every.mean()) == pytest.approx(3, rel=1e-4)


def test_the_fisher_information_of_another_network_is_refused():
    chosen = method("ewc", images=1)
    ctx = context(chosen)
    del ctx.memory.tensors["ewc/fisher/trunks.0.down.0.0.conv.weight"]
    with pytest.raises(MissingNeedError, match=r"of another network.*remember\(.*method=\"ewc\""):
        chosen.begin_step(ctx)
