"""Batches that a thread cuts ahead, as for a GPU whose memory the scans do not fit: forced, on a CPU."""

import copy
import threading

import pytest
from tiny import bits, changed, context, method
from tiny import trainer as trainer_of

from IncrementalSegLib.engine.step.state import TrainingState
from IncrementalSegLib.progress import Stop
from IncrementalSegLib.sampling.patches import PatchPool

STEPS = 6


def make(kept=None):
    chosen = method("aeiseg", p_exemplar=0.5)
    ctx = context(chosen)
    trainer = trainer_of(chosen, ctx, STEPS)
    if kept is not None:
        trainer.state = TrainingState.from_files(*kept, ctx)
    return trainer, ctx


def running():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@pytest.fixture
def forced(monkeypatch):
    """Let cases count as lying elsewhere; yields source and thread of each batch that is cut."""
    cuts, real = [], PatchPool.cut

    def noted(pool, *args):
        cuts.append((pool.source, threading.current_thread().name))
        return real(pool, *args)

    monkeypatch.setattr(PatchPool, "cut", noted)
    monkeypatch.setattr(PatchPool, "sends", True)
    return cuts


@pytest.fixture(scope="module")
def plain():
    """Weights of the same training without a thread."""
    trainer, ctx = make()
    trainer.progress = lambda *args: running() and pytest.fail("a thread, although all cases lie on the device")
    trainer.run()
    return bits(ctx.model)


def test_a_thread_makes_no_difference(plain, forced):
    trainer, ctx = make()
    trainer.run()
    assert changed(plain, bits(ctx.model)) == set()
    assert {source for source, _ in forced} == {"new", "exemplar"}
    here = threading.current_thread().name
    assert [name == here for _, name in forced] == [True] + [False] * STEPS
    assert running() == []


@pytest.mark.parametrize("done", [1, 4])
@pytest.mark.parametrize("error", [Stop("pause"), KeyboardInterrupt()])
def test_it_ends_with_the_training_which_goes_on_to_the_same_bits(plain, forced, done, error):
    trainer, ctx = make()
    kept = []

    def stop(*args):
        assert running()
        if trainer.curve.steps == done:
            kept.append(copy.deepcopy(trainer.state.to_files(ctx)))
            raise error

    trainer.progress = stop
    with pytest.raises(type(error)):
        trainer.run()
    assert running() == []
    resumed, again = make(kept[-1])
    resumed.run()
    assert changed(plain, bits(again.model)) == set()


def test_its_error_ends_the_training(forced, monkeypatch):
    real = PatchPool.cut

    def broken(pool, *args):
        if len(forced) == 3:
            raise OSError("a scan is gone")
        return real(pool, *args)

    monkeypatch.setattr(PatchPool, "cut", broken)
    trainer, _ = make()
    with pytest.raises(OSError, match="a scan is gone"):
        trainer.run()
    assert trainer.curve.steps == 3
    assert running() == []
