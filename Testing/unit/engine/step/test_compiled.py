"""Compiled networks: used where they are faster and right, with torch's tracer on a CPU in place of its compiler."""

import copy
import math

import pytest
import torch
from tiny import CPU, bits, changed, context, method, runtime
from tiny import trainer as trainer_of

from IncrementalSegLib.engine.parallel.group import Group
from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.step import compiled, trial
from IncrementalSegLib.engine.step.compiled import CompiledNetworks, obstacle
from IncrementalSegLib.engine.step.state import TrainingState

pytestmark = [
    pytest.mark.traced,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings(r"ignore:`torch\.jit:DeprecationWarning", "ignore:The .grad attribute of a Tensor"),
]

STEPS = 3


def make(kept=None, name="lwfseg", **more):
    chosen = method(name)
    ctx = context(chosen)
    trainer = trainer_of(chosen, ctx, STEPS, **more)
    if kept is not None:
        trainer.state = TrainingState.from_files(*kept, ctx)
    return trainer, ctx


@pytest.fixture(scope="module")
def plain():
    """Weights of a training that is not compiled."""
    trainer, ctx = make()
    trial.choose_networks(trainer)
    assert (trainer.compiled, trainer.curve.compiled, trainer.curve.compiling) == (None, False, "")
    trainer.run()
    return bits(ctx.model)


@pytest.fixture
def possible(monkeypatch):
    """Let nothing be in the way of compiled networks, which seem to be twice as fast."""
    real = trial.try_step

    def timed(trainer, passes):
        return trial.Trial(2.0 if trainer.compiled is None else 1.0, real(trainer, 2).loss)

    monkeypatch.setattr(trial, "obstacle", lambda runtime: None)
    monkeypatch.setattr(trial, "WORTH", 0.0)
    monkeypatch.setattr(trial, "try_step", timed)
    monkeypatch.setattr(compiled, "BACKEND", "eager")


def calls(monkeypatch, change=lambda outputs: outputs):
    """Use a compiler that counts the calls of what it made, and changes their results."""
    seen = []

    def backend(graph, inputs):
        def run(*args):
            seen.append(torch.is_grad_enabled())
            return change(graph(*args))

        return run

    monkeypatch.setattr(compiled, "BACKEND", backend)
    return seen


def test_compiled_networks_learn_the_same_and_leave_the_model_as_it_is(plain, possible, monkeypatch):
    seen = calls(monkeypatch)
    trainer, ctx = make()
    before = bits(ctx.model)
    trial.choose_networks(trainer)
    assert changed(before, bits(ctx.model)) == set()
    assert trainer.curve.compiled
    assert trainer.curve.compiling == "compiled: 1000 ms a step instead of 2000 ms"
    seen.clear()
    trainer.run()
    assert set(seen) == {True, False}, "model and teacher"
    assert changed(plain, bits(ctx.model)) == set()
    seen.clear()
    with torch.no_grad():
        ctx.model.eval()(torch.zeros(1, 1, 64, 64))
    assert seen == [], "other sizes would be compiled anew"
    assert changed(plain, bits(copy.deepcopy(ctx.model))) == set()


def test_a_resumed_training_continues_as_it_began(possible, monkeypatch):
    monkeypatch.setattr(trial, "try_step", lambda *args: pytest.fail("tried again"))
    trainer, ctx = make()
    for found in (True, False):
        trainer.curve.compiled, trainer.curve.compiling = found, "as measured"
        resumed, _ = make(copy.deepcopy(trainer.state.to_files(ctx)))
        trial.choose_networks(resumed)
        assert (resumed.compiled is not None) == found
        assert resumed.curve == trainer.curve
    trainer.curve.compiled = True
    monkeypatch.setattr(trial, "obstacle", lambda runtime: "another computer")
    trial.choose_networks(trainer)
    assert trainer.compiled is None


def test_any_error_of_a_trial_is_noted(possible, monkeypatch):
    def found(trainer, passes):
        if trainer.compiled is not None:
            raise OSError("the driver cannot be built")
        return trial.Trial(2.0, 0.5)

    monkeypatch.setattr(trial, "try_step", found)
    trainer, _ = make()
    trial.choose_networks(trainer)
    assert trainer.compiled is None
    assert trainer.curve.compiling == "not compiled: OSError: the driver cannot be built"


def failing(graph, inputs):
    raise RuntimeError("the assembler is missing")


def test_a_compiler_that_fails_is_not_used(plain, possible, monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", failing)
    trainer, ctx = make()
    trial.choose_networks(trainer)
    assert (trainer.compiled, trainer.curve.compiled) == (None, False)
    assert trainer.curve.compiling.startswith("not compiled: ")
    assert "the assembler is missing" in trainer.curve.compiling
    trainer.run()
    assert changed(plain, bits(ctx.model)) == set()


def test_a_compiler_that_fails_later_does_not_end_the_training(plain, monkeypatch):
    trainer, ctx = make()
    monkeypatch.setattr(compiled, "BACKEND", failing)
    trainer.compiled, trainer.curve.compiled = CompiledNetworks(ctx.model, ctx.teacher_model), True
    trainer.run()
    assert (trainer.compiled, trainer.curve.compiled) == (None, False)
    assert "the assembler is missing" in trainer.curve.compiling
    assert changed(plain, bits(ctx.model)) == set()


def test_other_errors_end_it_as_ever(monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    trainer, ctx = make()
    trainer.compiled = CompiledNetworks(ctx.model)
    monkeypatch.setattr(type(trainer.method), "after_update", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.run()


@pytest.mark.parametrize(
    ("seconds", "loss", "note"),
    [
        (1.0, 0.5, "compiled: 1000 ms a step instead of 2000 ms"),
        (1.95, 0.5, "not compiled: 1950 ms a step instead of 2000 ms"),
        (1.0, 0.6, "not compiled: the loss was 0.6 instead of 0.5"),
        (1.0, math.nan, "not compiled: the loss was nan instead of 0.5"),
    ],
)
def test_slower_or_wrong_networks_are_not_used(possible, monkeypatch, seconds, loss, note):
    def found(trainer, passes):
        return trial.Trial(2.0, 0.5) if trainer.compiled is None else trial.Trial(seconds, loss)

    monkeypatch.setattr(trial, "try_step", found)
    trainer, _ = make()
    trial.choose_networks(trainer)
    assert trainer.curve.compiling == note
    assert (trainer.compiled is not None) == trainer.curve.compiled == note.startswith("compiled")


@pytest.mark.slow
def test_wrong_results_are_seen(possible, monkeypatch):
    calls(monkeypatch, lambda outputs: tuple(item * 3 for item in outputs))
    trainer, _ = make()
    trial.choose_networks(trainer)
    assert trainer.compiled is None
    assert trainer.curve.compiling.startswith("not compiled: the loss was ")


def test_a_short_training_is_not_compiled(possible, monkeypatch):
    monkeypatch.setattr(trial, "WORTH", 7.0)
    trainer, _ = make()
    trial.choose_networks(trainer)
    assert (trainer.compiled, trainer.curve.compiling) == (None, "not compiled: the training takes 6 s")


def test_what_is_in_the_way_is_said(monkeypatch):
    cuda = Runtime(torch.device("cuda", 0), "bf16-mixed")
    assert "CPU" in obstacle(runtime())
    assert "processes" in obstacle(Runtime(cuda.device, "bf16-mixed", Group(0, 2, CPU)))
    monkeypatch.setattr(compiled, "find_spec", lambda name: None)
    assert "triton" in obstacle(cuda)
    monkeypatch.setattr(compiled, "find_spec", lambda name: object())
    monkeypatch.setattr(compiled.shutil, "which", lambda name: None)
    assert "compiler" in obstacle(cuda)
    monkeypatch.setattr(compiled.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(compiled.sysconfig, "get_path", lambda name: "/nowhere")
    assert "header" in obstacle(cuda)
