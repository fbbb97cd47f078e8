import math

import pytest
import torch

from IncrementalSegLib.engine.step import loss_sums
from IncrementalSegLib.engine.step.loss_sums import LossSums
from IncrementalSegLib.errors import ModelError


def terms(**values):
    return {name: torch.tensor(value, dtype=torch.float64) for name, value in values.items()}


def test_a_resumed_sum_has_the_same_bits():
    whole = LossSums()
    values = [0.1, 0.7, 1e-9, 3.3]
    for step, value in enumerate(values):
        whole.add(terms(dice=value), step + 1)
        if step == 1:
            resumed = LossSums(whole.read())
    for step, value in enumerate(values[2:], 3):
        resumed.add(terms(dice=value), step)
    assert resumed.read() == whole.read() == {"dice": ((0.1 + 0.7) + 1e-9) + 3.3}


def test_a_term_that_only_some_batches_have():
    sums = LossSums({"distillation": 2.0})
    sums.add(terms(dice=1.0), 1)
    sums.add(terms(distillation=0.5), 2)
    assert sums.read() == {"distillation": 2.5, "dice": 1.0}


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_the_first_step_that_diverged_is_named(wrong):
    sums = LossSums()
    for step, value in enumerate((1.0, wrong, math.nan, 1.0), 1):
        sums.add(terms(dice=value), step)
    with pytest.raises(ModelError, match=r"since step 2\."):
        sums.read()


def test_a_loss_is_shown_now_and_then(monkeypatch):
    clock = iter((10.0, 10.4, 10.6))
    monkeypatch.setattr(loss_sums.time, "monotonic", lambda: next(clock))
    sums, shown = LossSums(), []
    for step in range(3):
        sums.add(terms(dice=1.0, cross_entropy=float(step)), step + 1)
        shown.append(sums.shown())
        sums.clear()
    assert shown == [{"loss": 1.0}, {}, {"loss": 3.0}]
