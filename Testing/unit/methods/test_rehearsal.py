"""ReSeg, AeiSeg and CoRiSeg are one method that takes exemplars in three orders."""

from dataclasses import replace

import pytest
from tiny import BAR, DISC, context, method
from tiny import trainer as trainer_of

ORDERS = {"reseg": "random", "aeiseg": "abstraction", "coriseg": "content"}


@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_each_takes_the_first_of_its_own_order(name, order):
    chosen = method(name, rehearse=1)
    ctx = context(chosen, old=(DISC, BAR))
    first = {item.id for item in ctx.exemplars for key in (DISC, BAR) if item.ranks.get(key, {}).get(order) == 1}
    assert {scan.id for scan in chosen.rehearsal(ctx)} == first


@pytest.mark.parametrize("name", ORDERS)
def test_pinned_ones_come_and_banned_ones_do_not(name):
    chosen = method(name, rehearse=1)
    ctx = context(chosen)
    (taken,) = chosen.rehearsal(ctx)
    other = next(item.id for item in ctx.exemplars if item.id != taken.id and DISC in item.ranks)
    ctx.exemplars = ctx.exemplars.pin(other).ban(taken.id)
    assert [scan.id for scan in chosen.rehearsal(ctx)] == [other]


@pytest.mark.parametrize("name", ORDERS)
def test_improving_rehearses_the_improved_structure_too(name):
    chosen = method(name)
    ctx = context(chosen, improve=True)
    own = {item.id for item in ctx.exemplars if ctx.new[0] in item.ranks}
    assert own
    assert {scan.id for scan in chosen.rehearsal(ctx)} & own


@pytest.mark.parametrize("p_exemplar", [0.0, 0.25, 0.5])
def test_the_coin_falls_as_often_as_asked(p_exemplar):
    chosen = method("reseg", p_exemplar=p_exemplar)
    ctx = context(chosen)
    trainer = trainer_of(chosen, ctx, batch=1)
    count = sum(trainer.batch(index).source == "exemplar" for index in range(400))
    assert count / 400 == pytest.approx(p_exemplar, abs=0.08 if p_exemplar else 0)


def test_without_exemplars_all_batches_are_new():
    chosen = method("reseg")
    ctx = context(chosen)
    ctx.exemplars = replace(ctx.exemplars, items=(), scans={})
    trainer = trainer_of(chosen, ctx)
    assert {trainer.batch(index).source for index in range(10)} == {"new"}


def test_they_differ_in_nothing_but_the_order():
    options = {name: type(method(name).options).model_json_schema()["properties"] for name in ORDERS}
    assert options["reseg"] == options["aeiseg"] == options["coriseg"]
