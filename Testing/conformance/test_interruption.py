"""Every method, interrupted between any two of its hooks, goes on to the bits of a step without interruption."""

import pytest
from tiny import FEW, changed, spelled, tree

from IncrementalSegLib.engine.learn import learn, resume
from IncrementalSegLib.engine.step import trainer
from IncrementalSegLib.registry import find, names
from IncrementalSegLib.store.lock import LOCK
from IncrementalSegLib.store.unfinished import UNFINISHED
from IncrementalSegLib.store.versions import open_model

HOOKS = (
    "begin_step", "rehearsal", "sources", "phases", "training_loss", "after_backward", "after_update", "remember"
)  # fmt: skip
STATELESS = ("rehearsal", "sources", "training_loss")
STEP = {"options": FEW, "preset": "quick", "steps": 2, "device": "cpu"}


def stand_ins():
    """Mark a method as slow where one before it changes the same state: loss and sources are functions of it."""
    known, listing = set(), []
    for name in names("method"):
        kind = find("method", name)
        hooks = (kind.output, *(getattr(kind, hook) for hook in HOOKS if hook not in STATELESS))
        listing.append(pytest.param(name, marks=pytest.mark.slow if hooks in known else ()))
        known.add(hooks)
    return listing


class Interruption:
    """Count the calls of all hooks, and interrupt before the n-th."""

    def __init__(self, monkeypatch, kind):
        self.calls, self.at = [], -1
        for hook in HOOKS:
            monkeypatch.setattr(kind, hook, self._watched(hook, getattr(kind, hook)))

    def _watched(self, hook, real):
        def call(method, *args):
            self.calls.append(hook)
            if len(self.calls) == self.at:
                raise KeyboardInterrupt
            return real(method, *args)

        return call


def content(model):
    folder = open_model(model)
    kinds = ("weights", "exemplars", "prototypes", "memory")
    return {
        f"{kind}/{key}": item for kind in kinds for key, item in spelled(folder.tensors(kind), folder.record()).items()
    }


@pytest.mark.parametrize("name", stand_ins())
def test_a_step_goes_on_exactly_wherever_it_was_interrupted(name, data, copy_of, monkeypatch):
    whole = copy_of(name, "whole")
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", -1.0)  # a checkpoint after every optimiser step
    watch = Interruption(monkeypatch, find("method", name))
    learn(whole, data / "scapula", "scapula", method=name, **STEP)
    calls, expected = tuple(watch.calls), content(whole)
    assert {"begin_step", "training_loss", "after_backward", "after_update", "remember"} <= set(calls)
    last = {hook: at for at, hook in enumerate(calls, 1)}
    for at in sorted(last.values())[1:]:  # nothing has begun before the first
        model = copy_of(name, str(at))
        before = tree(model)
        watch.calls.clear()
        watch.at = at
        with pytest.raises(KeyboardInterrupt):
            learn(model, data / "scapula", "scapula", method=name, **STEP)
        watch.at = -1
        if not (model / UNFINISHED).exists():  # nothing had been trained yet: all is as if nothing had been begun
            assert "training_loss" not in calls[: at - 1]
            assert tree(model) == before | {LOCK: b""}
            continue
        resume(model, device="cpu")
        assert changed(expected, content(model)) == set(), f"interrupted before call {at}, {calls[at - 1]}"
