"""PCDD against a plain loop over voxels, its switches, and what it becomes without its parts."""

import math

import pytest
import torch
from tiny import BAR, DISC, SQUARE, batch, bits, context, method
from torch.nn import functional as F

from IncrementalSegLib.methods.base.softmax_classes import ClassTarget, Outputs
from IncrementalSegLib.networks.dropout import ChannelDropout
from IncrementalSegLib.networks.output import Features, Output
from IncrementalSegLib.prototypes.bank import BACKGROUND

PARTS = {
    "lambda_orcd": "orcd",
    "lambda_crcd": "crcd",
    "lambda_ll": "local_prototypes",
    "lambda_lg": "global_prototypes",
}
OFF = dict.fromkeys(PARTS, 0.0)
OLD, NEW = (DISC, BAR), (SQUARE,)


def step(**options):
    chosen = method("pcdd", **options)
    return chosen, context(chosen, old=OLD, new=NEW)


def output(logits, features):
    return Output(logits, Features((), features, features, features))


def both(seed=0, size=(4, 5), sure=3.0):
    """Return what two models say about two items; the previous one is sure of most voxels."""
    random = torch.Generator().manual_seed(seed)
    now = output(torch.randn(2, 4, *size, generator=random), torch.rand(2, 4, *size, generator=random))
    before = output(sure * torch.randn(2, 3, *size, generator=random), torch.rand(2, 4, *size, generator=random))
    return Outputs(now, before, [1, 2], [1, 2])


def target(size=(4, 5)):
    column = torch.zeros(2, *size, dtype=torch.long)
    column[:, 1, 1:4] = 3
    valid = torch.ones(2, *size, dtype=torch.bool)
    valid[0, 0] = False
    return ClassTarget(column, torch.tensor([[True, False, False, True]] * 2), valid)


def loop(options, ctx, pair, labels):
    """Return PCDD's own four terms, voxel by voxel."""
    prototypes = {row: ctx.prototypes[key].mean for row, key in enumerate((BACKGROUND, *OLD))}
    where = labels.valid.nonzero().tolist()
    vectors = {"now": {}, "before": {}}
    tilde, rejected = {}, set()
    for item, *place in where:
        key, at = (item, *place), (item, slice(None), *place)
        vectors["now"][key] = pair.student.features.decoder[at].double()
        vectors["before"][key] = pair.teacher.features.decoder[at].double()
        p = pair.teacher.logits[at].double().softmax(0)
        entropy = -sum(float(v) * math.log(float(v)) for v in p) / math.log(3)
        if labels.column[key]:
            tilde[key] = int(labels.column[key])
        elif entropy < options.tau:
            tilde[key] = int(p.argmax())
        else:
            tilde[key] = 0
            rejected.add(key)
    fresh = [vectors["now"][key] for key in tilde if labels.column[key] == 3]
    prototypes[3] = torch.stack(fresh).mean(0)
    old = [key for key in tilde if tilde[key] in (1, 2)]
    current = [key for key in tilde if key not in old and not (options.rejected == "ignore" and key in rejected)]

    def weighted(keys, source, classes):
        total = 0.0
        for key in keys:
            at = (key[0], slice(None), *key[1:])
            p, q = pair.teacher.logits[at].double().softmax(0), pair.student.logits[at].double().softmax(0)
            cosines = [float(F.cosine_similarity(vectors[source][key], prototypes[row], dim=0)) for row in classes]
            powers = [math.exp(cosine / options.affinity_temperature) for cosine in cosines]
            for row in (1, 2):
                one, other = (p, q) if options.kd_direction == "teacher_student" else (q, p)
                kl = float(one[row] * (one[row] / other[row]).log())
                kl += float(other[row] - one[row]) if options.kl_form == "generalised" else 0
                total += powers[classes.index(row)] / sum(powers) * kl
            if options.merged_background and 3 in classes:  # the share of the new structure
                now, then = (q[0] + q[3], p[0])
                one, other = (then, now) if options.kd_direction == "teacher_student" else (now, then)
                kl = float(one * (one / other).log())
                kl += float(other - one) if options.kl_form == "generalised" else 0
                total += powers[classes.index(3)] / sum(powers) * kl
        return total / len(keys)

    def mean(source, keys):
        return torch.stack([vectors[source][key] for key in keys]).mean(0)

    def apart(one, other):
        if options.unit_prototypes:
            one, other = one / one.norm(), other / other.norm()
        return float((one - other).square().sum())

    groups = {row: [key for key in old if tilde[key] == row] for row in (1, 2)}
    now = {row: mean("now", keys) for row, keys in groups.items()}
    now[0] = mean("now", current)
    if options.bg_merge == "sum":
        now[0] = sum(mean("now", [key for key in current if tilde[key] == row]) for row in (0, 3))
    before = {row: mean("before", keys) for row, keys in (groups | {0: current}).items()}
    return {
        "orcd": weighted(old, "before", [1, 2]),
        "crcd": weighted(current, "now", [1, 2, 3]),
        "local_prototypes": sum(apart(now[row], before[row]) for row in range(3)) / 3,
        "global_prototypes": sum(apart(now[row], prototypes[row]) for row in range(3)) / 3,
    }


@pytest.mark.parametrize("size", [(4, 5), (2, 4, 3)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"rejected": "ignore", "tau": 0.4},
        {"kd_direction": "student_teacher", "affinity_temperature": 0.1},
        {"kl_form": "plain"},
        {"bg_merge": "sum"},
        {"unit_prototypes": True, "tau": 1.0},
        {"merged_background": True, "affinity_temperature": 0.1},
        {"merged_background": True, "kd_direction": "student_teacher", "kl_form": "plain"},
    ],
    ids=str,
)
def test_it_equals_a_plain_loop(options, size):
    ones = dict.fromkeys(PARTS, 1.0)
    chosen, ctx = step(**ones, **options)
    pair, labels = both(size=size), target(size)
    terms = chosen.preserve(pair, labels, ctx)
    wanted = loop(chosen.options, ctx, pair, labels)
    assert set(terms) == {"distillation", *wanted}
    for name, value in wanted.items():
        assert float(terms[name]) == pytest.approx(value, rel=1e-4), name


def loss(name, seed=3, **options):
    """Return terms and gradients of one method on one batch."""
    chosen = method(name, **options)
    ctx = context(chosen, old=OLD, new=NEW)
    drawn = batch(ctx)
    ctx.model.train()
    ChannelDropout.seed(ctx.model, torch.Generator().manual_seed(seed))
    terms = chosen.training_loss(drawn, ctx)
    torch.stack(list(terms.values())).sum().backward()
    return terms, {key: item.grad for key, item in ctx.model.named_parameters()}, bits(ctx.model)


def test_without_its_parts_it_is_mib_to_the_bit():
    terms, gradients, weights = loss("pcdd", **OFF)
    others, theirs, same = loss("mib")
    assert all(torch.equal(weights[key], same[key]) for key in same), "new rows start alike"
    assert set(terms) == set(others)
    assert all(torch.equal(terms[key], others[key]) for key in others)
    assert all(torch.equal(gradients[key], theirs[key]) for key in theirs)
    assert not torch.equal(loss("pcdd")[1]["output.rows.background.weight"], theirs["output.rows.background.weight"])


def test_as_printed_it_has_no_other_distillation():
    assert set(loss("pcdd", base="unce_only", **OFF)[0]) == {"cross_entropy", "dice"}


def test_the_calibrated_distillations_replace_the_unbiased_one_with_its_weight():
    literal, _, _ = loss("pcdd", base="unce_only")
    replaced, _, _ = loss("pcdd", base="calibrated", distillation=7.0)
    assert set(replaced) == set(literal)
    for name, term in replaced.items():
        torch.testing.assert_close(term, (7.0 if name in ("orcd", "crcd") else 1.0) * literal[name])


@pytest.mark.parametrize("on", PARTS)
def test_each_part_is_switched_alone(on):
    terms, _, _ = loss("pcdd", **(OFF | {on: 0.5}))
    assert set(terms) - {"cross_entropy", "dice", "distillation"} == {PARTS[on]}
    twice, _, _ = loss("pcdd", **(OFF | {on: 1.0}))
    torch.testing.assert_close(twice[PARTS[on]], 2 * terms[PARTS[on]])


def test_near_a_new_structure_the_old_weigh_less():
    """The rationale of CRCD: the same divergence costs less where the features are those of the new structure."""
    chosen, ctx = step(**OFF | {"lambda_crcd": 1.0}, affinity_temperature=0.1, tau=0.0)
    pair, labels = both(), target()
    costs = []
    for likeness in (SQUARE, DISC):
        vector = torch.tensor([1.0, 0, 0, 0]) if likeness == SQUARE else ctx.prototypes[DISC].mean.float()
        features = vector.view(1, 4, 1, 1).repeat(2, 1, 4, 5)
        features[:, :, 1, 1:4] = torch.tensor([1.0, 0, 0, 0]).view(1, 4, 1)  # what the new structure looks like
        ctx.memory.tensors.clear()
        now = Outputs(output(pair.student.logits, features), pair.teacher, pair.student_columns, pair.teacher_columns)
        costs.append(float(chosen.preserve(now, labels, ctx)["crcd"]))
    assert costs[0] < 0.5 * costs[1]


def test_affinities_do_not_move_features():
    chosen, ctx = step(**OFF | {"lambda_crcd": 1.0, "lambda_orcd": 1.0})
    pair = both()
    pair.student.features.decoder.requires_grad_()
    pair.student.logits.requires_grad_()
    terms = chosen.preserve(pair, target(), ctx)
    (terms["orcd"] + terms["crcd"]).backward()
    assert pair.student.features.decoder.grad is None
    assert pair.student.logits.grad.abs().max() > 0


@pytest.mark.parametrize("tau", [0.0, 1.0])
def test_a_patch_of_one_region_alone_is_finite(tau):
    """tau = 0 believes nothing: no old region.  A teacher of old structures everywhere: no current one."""
    chosen, ctx = step(tau=tau)
    pair = both()
    labels = target()
    if tau:
        pair.teacher.logits[:, 1] += 100
        labels.column.zero_()
    pair.student.logits.requires_grad_()
    pair.student.features.decoder.requires_grad_()
    terms = chosen.preserve(pair, labels, ctx)
    torch.stack(list(terms.values())).sum().backward()
    assert terms["crcd" if tau else "orcd"] == 0
    assert all(torch.isfinite(term) for term in terms.values())
    assert torch.isfinite(pair.student.logits.grad).all()
    assert torch.isfinite(pair.student.features.decoder.grad).all()


def test_the_background_of_the_step_before_is_the_target():
    chosen, ctx = step(**OFF | {"lambda_lg": 1.0})
    pair, labels = both(), target()
    whole = float(chosen.preserve(pair, labels, ctx)["global_prototypes"])
    ctx.prototypes = ctx.prototypes.without(BACKGROUND)
    assert 0 < float(chosen.preserve(pair, labels, ctx)["global_prototypes"]) < whole


def test_running_means_grow_over_batches():
    chosen, ctx = step()
    for seed in range(2):
        chosen.preserve(both(seed), target(), ctx)
    assert ctx.memory.tensors["pcdd/counts"].tolist() == [12]
    every = torch.cat(
        [both(seed).student.features.decoder[:, :, 1, 1:4].movedim(1, -1).flatten(0, 1) for seed in (0, 1)]
    )
    torch.testing.assert_close(ctx.memory.tensors["pcdd/means"][0], every.double().mean(0))


def test_an_unsure_voxel_is_background_or_nothing():
    sizes = {}
    for rejected in ("background", "ignore"):
        regions = step(rejected=rejected, tau=0.3)[0]._regions(both(sure=1.0), target())
        sizes[rejected] = int(regions.current.sum())
        assert not (regions.old & regions.current).any()
        if rejected == "background":
            assert torch.equal(regions.old | regions.current, target().valid), "the regions part the volume"
    assert sizes["ignore"] < sizes["background"]
