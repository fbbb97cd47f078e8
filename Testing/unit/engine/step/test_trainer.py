"""The loop: what it keeps, when it stops, how fast it learns, and what it leaves alone."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from tiny import DISC, SQUARE, bits, changed, context, method, plain, runtime
from tiny import trainer as trainer_of

from IncrementalSegLib.engine.scores.scoring import Validation
from IncrementalSegLib.engine.step import loss_sums
from IncrementalSegLib.engine.step.state import TrainingState
from IncrementalSegLib.engine.step.trial import try_step
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.progress import Stop


def make(name="finetune", steps=4, **more):
    chosen = method(name)
    ctx = context(chosen)
    return trainer_of(chosen, ctx, steps, **more), ctx


class Judge:
    """Give the scores of a list and keep the weights that were judged."""

    def __init__(self, scores):
        self.scores, self.seen, self.ctx = list(scores), [], None

    def __call__(self, done):
        self.ctx.model.eval()  # as a predictor does
        self.seen.append(bits(self.ctx.model))
        dice = self.scores[len(self.seen) - 1]
        return dice if isinstance(dice, Validation) else Validation(() if dice is None else ((SQUARE, dice),))


class TestEarlyStopping:
    def judged(self, scores, **more):
        judge = Judge(scores)
        trainer, ctx = make(steps=20, validate=judge, evaluations=10, **more)
        judge.ctx = ctx
        return trainer.run(), judge, ctx

    def test_it_stops_without_progress_and_keeps_the_best_weights(self):
        curve, judge, ctx = self.judged([0.1, 0.5, 0.4, 0.5, 0.9, 0.9], patience=2)
        assert (curve.steps, curve.best_step, curve.planned) == (8, 4, 20)
        assert [point["step"] for point in curve.points] == [2, 4, 6, 8]
        assert [point["validation"] for point in curve.points] == [0.1, 0.5, 0.4, 0.5]
        assert changed(judge.seen[1], bits(ctx.model)) == set()
        assert changed(judge.seen[3], bits(ctx.model)) != set()

    def test_without_stopping_it_keeps_the_best_weights_too(self):
        curve, judge, ctx = self.judged([0.1, 0.2, 0.3, 0.4, 0.5, 0.9, 0.6, 0.7, 0.8, 0.8], patience=5)
        assert (curve.steps, curve.best_step) == (20, 12)
        assert changed(judge.seen[5], bits(ctx.model)) == set()

    def test_patience_begins_when_something_is_found(self):
        curve, judge, ctx = self.judged([0.0, 0.0, 0.0, 0.0, 0.3, 0.1, 0.2, 0.1, 0.9, 0.9], patience=3)
        assert (curve.steps, curve.best_step) == (16, 10)
        assert changed(judge.seen[4], bits(ctx.model)) == set()

    def test_where_nothing_is_found_the_last_weights_stay(self):
        curve, judge, ctx = self.judged([0.0] * 10, patience=1)
        assert (curve.steps, curve.best_step) == (20, 20)
        assert changed(judge.seen[-1], bits(ctx.model)) == set()

    def test_noise_is_not_best_and_patience_does_not_begin_with_it(self):
        curve, judge, ctx = self.judged([0.028] + [0.0] * 5 + [0.4, 0.5, 0.6, 0.7], patience=2)
        assert (curve.steps, curve.best_step) == (20, 20)
        curve, judge, ctx = self.judged([0.028, 0.099, 0.1, 0.1, 0.1], patience=2)  # 0.1 is learned
        assert (curve.steps, curve.best_step, curve.nothing_learned) == (10, 6, False)
        assert changed(judge.seen[2], bits(ctx.model)) == set()

    @pytest.mark.parametrize("scores", [[0.028] + [0.0] * 9, [0.099] * 10])
    def test_where_nothing_is_ever_learned_the_last_weights_stay_and_the_curve_says_so(self, scores):
        curve, judge, ctx = self.judged(scores, patience=1)
        assert (curve.steps, curve.best_step, curve.nothing_learned) == (20, 20, True)
        assert changed(judge.seen[-1], bits(ctx.model)) == set()

    def test_it_waits_for_a_structure_that_is_not_learned_yet(self):
        waiting, both = Validation(((DISC, 0.9), (SQUARE, 0.0))), Validation(((DISC, 0.8), (SQUARE, 0.8)))
        judge = Judge([waiting] * 5 + [both] * 3)
        trainer, judge.ctx = make(steps=20, validate=judge, evaluations=10, patience=2)
        curve = trainer.run()
        assert (curve.steps, curve.best_step) == (16, 12)

    def test_without_cases_held_out_it_runs_to_the_end(self):
        curve, judge, ctx = self.judged([None] * 10, patience=1)
        assert (curve.steps, curve.best_step) == (20, 20)
        assert changed(judge.seen[-1], bits(ctx.model)) == set()

    def test_training_goes_on_in_training_mode_after_an_evaluation(self):
        _, judge, _ = self.judged([0.1] * 10, patience=20)
        moved = changed(judge.seen[0], judge.seen[1])
        assert any("running_mean" in name for name in moved)


def test_the_curve_holds_the_mean_of_each_term():
    trainer, _ = make("lwfseg", steps=7, evaluations=2)
    sums, real = [], trainer.update

    def noted(*args):
        sums.append(real(*args))
        return sums[-1]

    trainer.update = noted
    points = trainer.run().points
    assert len(sums) == 7
    for point, part in zip(points, (sums[:4], sums[4:]), strict=True):  # the last interval is shorter
        for name in ("cross_entropy", "dice", "distillation"):
            assert point[name] == pytest.approx(sum(terms[name] for terms in part) / len(part))


@pytest.mark.parametrize(
    ("decay", "rates"), [(True, [0.1 * (1 - step / 5) ** 0.9 for step in range(5)]), (False, [0.1] * 5)]
)
def test_the_learning_rate_falls_as_planned(decay, rates):
    trainer, _ = make(steps=5, learning_rate=0.1, decay=decay)
    assert rates_of(trainer) == pytest.approx(rates)


@pytest.mark.parametrize(
    ("options", "rates"),
    [
        ({"later_rate": 0.5}, [0.05] * 8),
        ({"warmup": 0.5}, [0.025, 0.05, 0.075, 0.1, 0.1, 0.1, 0.1, 0.1]),
        ({"later_rate": 0.5, "warmup": 0.25}, [0.025, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05]),
    ],
)
def test_a_later_step_starts_slowly_where_options_say_so(options, rates):
    chosen = method("lwfseg", **options)
    ctx = context(chosen)
    assert rates_of(trainer_of(chosen, ctx, 8, learning_rate=0.1, decay=False)) == pytest.approx(rates)
    ctx.teacher_model = None
    chosen = method("finetune", **options)
    assert rates_of(trainer_of(chosen, ctx, 8, learning_rate=0.1, decay=False)) == pytest.approx([0.1] * 8)


def test_new_outputs_learn_at_a_rate_of_their_own_in_later_steps():
    chosen = method("mib", new_rate=10.0)
    ctx = context(chosen)
    trainer = trainer_of(chosen, ctx, 4, learning_rate=0.1, decay=False)
    seen, real = [], trainer.update

    def noted(batch, phase, optimiser):
        seen.append([group["lr"] for group in optimiser.param_groups])
        return real(batch, phase, optimiser)

    trainer.update = noted
    trainer.run()
    assert seen == [[0.1, 1.0]] * 4
    rest, own = (group["params"] for group in trainer.optimiser(chosen.phases(ctx)[0]).param_groups)
    assert {id(item) for item in own} == {id(item) for item in ctx.model.output.part(SQUARE).parameters()}
    assert len(rest) + len(own) == len(list(ctx.model.parameters()))
    alone = trainer.optimiser(TrainingPhase("new", trains="new_outputs")).param_groups
    assert [len(group["params"]) for group in alone] == [0, len(own)]
    ctx.teacher_model = None
    assert len(trainer.optimiser(chosen.phases(ctx)[0]).param_groups) == 1


@pytest.mark.parametrize("done", [1, 3])
def test_a_training_with_two_rates_goes_on_from_its_checkpoint_with_the_same_bits(done):
    def begun(kept=None):
        chosen = method("mib", new_rate=10.0)
        ctx = context(chosen)
        found = trainer_of(chosen, ctx, 6)
        if kept is not None:
            found.state = TrainingState.from_files(*kept, ctx)
        return found, ctx

    whole, ctx = begun()
    whole.run()
    kept = []

    def stop(phase, fraction, numbers=None):
        if trainer.curve.steps == done:
            raise Stop("pause")

    trainer, paused = begun()
    trainer.progress = stop
    trainer.checkpoint = lambda state: kept.append(copy.deepcopy(state.to_files(paused)))
    with pytest.raises(Stop):
        trainer.run()
    resumed, again = begun(kept[-1])
    assert resumed.curve.steps == done
    resumed.run()
    assert changed(bits(ctx.model), bits(again.model)) == set()


def rates_of(trainer):
    """Return the learning rate of each optimiser step of a training."""
    seen, real = [], trainer.update

    def noted(batch, phase, optimiser):
        seen.append(optimiser.param_groups[0]["lr"])
        return real(batch, phase, optimiser)

    trainer.update = noted
    trainer.run()
    return seen


def test_phases_share_the_steps_and_train_what_they_say(monkeypatch):
    trainer, ctx = make(steps=6, decay=False, learning_rate=0.01)
    plan = (TrainingPhase("heads", 1 / 3, "new_outputs"), TrainingPhase("all", 2 / 3, learning_rate=0.1))
    monkeypatch.setattr(type(trainer.method), "phases", lambda self, ctx: plan)
    seen, real = [], trainer.update

    def noted(batch, phase, optimiser):
        before = dict(bits(ctx.model))
        terms = real(batch, phase, optimiser)
        weights = {
            name for name in changed(before, bits(ctx.model)) if "running" not in name and "num_batches" not in name
        }
        seen.append((phase.name, optimiser.param_groups[0]["lr"], all(SQUARE in name for name in weights)))
        return terms

    trainer.update = noted
    assert trainer.run().steps == 6
    assert seen == [("heads", 0.01, True)] * 2 + [("all", pytest.approx(0.001), False)] * 4


def test_hooks_are_called_around_the_update(monkeypatch):
    trainer, ctx = make(steps=2)
    calls, head = [], ctx.model.output.part(SQUARE)
    kind = type(trainer.method)

    def after_backward(self, ctx):
        calls.append(("backward", head.score.weight.grad.abs().sum().item() > 0, bits(head)))
        for parameter in ctx.model.parameters():
            parameter.grad = None

    monkeypatch.setattr(kind, "after_backward", after_backward)
    monkeypatch.setattr(kind, "after_update", lambda self, ctx: calls.append(("update", True, bits(head))))
    trainer.run()
    assert [name for name, *_ in calls] == ["backward", "update"] * 2
    assert all(found for _, found, _ in calls)
    assert changed(calls[0][2], calls[-1][2]) == set(), "gradients that a hook removes are not used"


def test_a_batch_is_drawn_by_seed_and_index():
    one, other = make("aeiseg")[0], make("aeiseg")[0]
    for index in (3, 0, 3):
        assert torch.equal(one.batch(index).image, other.batch(index).image)
    assert not torch.equal(one.batch(0).image, one.batch(1).image)


def test_rehearsing_leaves_the_model_as_it_was():
    trainer, ctx = make()
    before = bits(ctx.model)
    assert try_step(trainer).seconds > 0
    assert changed(before, bits(ctx.model)) == set()
    assert trainer.curve.steps == 0


def test_a_loss_that_is_no_number_ends_the_step():
    trainer, ctx = make(steps=5)
    scans = [replace(case, image=torch.full_like(case.image, math.nan)) for case in ctx.cases]
    trainer.pools["new"].cases[:] = scans
    saved = []
    trainer.checkpoint = lambda state: saved.append(state.to_files(ctx)[1])
    with pytest.raises(ModelError, match=r"not a finite number since step 1\."):
        trainer.run()
    assert len(saved) == 1, "no checkpoint holds weights that are not finite"


def test_progress_is_told_and_may_cancel(monkeypatch):
    monkeypatch.setattr(loss_sums, "SHOWN_EVERY", 1e9)
    trainer, _ = make(steps=4)
    seen = []

    def stop(phase, fraction, numbers=None):
        seen.append((phase, fraction, dict(numbers or {})))
        if len(seen) == 3:
            raise KeyboardInterrupt

    trainer.progress = stop
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert [(phase, fraction) for phase, fraction, _ in seen] == [
        ("training", 0.25),
        ("training", 0.5),
        ("training", 0.75),
    ]
    assert seen[0][2]["loss"] > 0
    assert not any(numbers for *_, numbers in seen[1:]), "reading a number waits for the device"


def test_mixed_precision_keeps_weights_in_float32():
    trainer, ctx = make(steps=3)
    trainer.runtime = runtime("bf16-mixed")
    trainer.run()
    assert {weight.dtype for weight in ctx.model.parameters()} == {torch.float32}
    assert all(torch.isfinite(weight).all() for weight in ctx.model.parameters())


def test_it_learns():
    chosen = method("finetune")
    ctx = context(chosen, old=(), new=(DISC,))
    curve = trainer_of(chosen, ctx, 60, **plain(learning_rate=1e-2, decay=False, evaluations=4)).run()
    assert curve.points[-1]["dice"] < 0.6 * curve.points[0]["dice"]
