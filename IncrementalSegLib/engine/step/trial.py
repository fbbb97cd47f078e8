"""Trial steps of a training: how long one takes, and whether compiled networks are faster."""

from __future__ import annotations

import logging
import math
import time
import warnings
from dataclasses import dataclass

import torch

from IncrementalSegLib.engine.step.compiled import CompiledNetworks, failed, obstacle
from IncrementalSegLib.engine.step.state import Snapshot
from IncrementalSegLib.engine.step.trainer import Trainer

log = logging.getLogger(__name__)

WORTH = 300.0
"""Seconds of a training from which on compiling is tried, as it takes long itself; our own choice, not measured."""

GAIN = 0.95
"""Part of the time of a step that compiled networks may take at most; our own choice."""

_PASSES = 5


@dataclass(frozen=True)
class Trial:
    """Findings of a trial.

    Attributes:
        seconds: Duration of an optimiser step.
        loss: Its loss.
    """

    seconds: float
    loss: float


def try_step(trainer: Trainer, passes: int = 2) -> Trial:
    """Time the first optimiser step; model and memory are left as they were.

    Args:
        trainer: The training.
        passes: How often; the first pass also sets up the kernels and is not counted.
    """
    before = Snapshot.of(trainer.ctx)
    phase = trainer.method.phases(trainer.ctx)[0]
    seconds, loss = [], math.nan
    try:
        for _ in range(passes):
            optimiser = trainer.optimiser(phase)
            for group in optimiser.param_groups:
                group["lr"] = 0.0
            began = time.monotonic()
            terms = trainer.step(0, phase, optimiser)
            trainer.runtime.wait()
            seconds.append(time.monotonic() - began)
            loss = float(torch.stack(list(terms.values())).sum())
    finally:
        before.restore(trainer.ctx)
    return Trial(min(seconds[1:]), loss)


def choose_networks(trainer: Trainer) -> None:
    """Compile the networks of a training where that makes it faster; a resumed one continues as it began."""
    curve = trainer.curve
    if not curve.compiling and not curve.steps:
        curve.compiled, curve.compiling = _tried(trainer)
        if curve.compiling:
            log.info("Networks are %s.", curve.compiling)
    usable = curve.compiled and obstacle(trainer.runtime) is None  # a resumed one may be on another computer
    curve.compiled = usable
    trainer.compiled = (trainer.compiled or _networks(trainer)) if usable else None


def _tried(trainer: Trainer) -> tuple[bool, str]:
    """Return whether compiled networks are to be used, and a note why; it is empty on a CPU."""
    reason = obstacle(trainer.runtime)
    if reason is None and trainer.deep is not None:
        reason = "the coarser levels of the network are supervised"
    if reason is not None:
        return False, f"not compiled: {reason}" if trainer.runtime.device.type == "cuda" else ""
    plain = try_step(trainer, _PASSES)
    if plain.seconds * trainer.curve.planned < WORTH:
        return False, f"not compiled: the training takes {plain.seconds * trainer.curve.planned:.0f} s"
    parts = trainer.curve.accumulate
    try:
        trainer.compiled = _networks(trainer)
        with warnings.catch_warnings(action="ignore"):  # torch's, of its own old parts
            fast = try_step(trainer, _PASSES)
    except Exception as error:  # whatever it is, the step can be done without
        trainer.curve.accumulate = parts
        return False, failed(error)
    more, trainer.curve.accumulate = trainer.curve.accumulate, parts
    if trainer.curve.compiling:  # the trainer says how it failed
        return False, trainer.curve.compiling
    return _verdict(plain, fast) if more == parts else (False, "not compiled: memory ran out")


def _verdict(plain: Trial, fast: Trial) -> tuple[bool, str]:
    if not math.isclose(fast.loss, plain.loss, rel_tol=0.02, abs_tol=0.01):
        return False, f"not compiled: the loss was {fast.loss:.4g} instead of {plain.loss:.4g}"
    times = f"{fast.seconds * 1000:.0f} ms a step instead of {plain.seconds * 1000:.0f} ms"
    faster = fast.seconds <= GAIN * plain.seconds
    return faster, f"compiled: {times}" if faster else f"not compiled: {times}"


def _networks(trainer: Trainer) -> CompiledNetworks:
    return CompiledNetworks(trainer.ctx.model, trainer.ctx.teacher_model)
