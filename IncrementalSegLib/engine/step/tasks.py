"""Tasks of a network with a task memory: a step is one, and so is every scan of a correction session."""

from __future__ import annotations

from torch import Tensor

from IncrementalSegLib.engine.step.data import Subset
from IncrementalSegLib.methods.base.context import StepContext


def begin_task(ctx: StepContext, train: Subset) -> None:
    """Remember a step as a task; the first one teaches the memory to tell scans apart.

    Args:
        ctx: The step, before its training.
        train: Its training cases, with their entries in the history.
    """
    memory = ctx.model.tasks
    if memory is None:
        return
    scans = {entry["sha256"]: case.image for entry, case in zip(train.entries, train.prepared, strict=True)}
    if not memory.scans:
        memory.learn_to_embed(list(scans.values()), ctx.generator(-1))
    memory.begin(ctx.model, scans)


def begin_scan_task(ctx: StepContext, sha256: str, scan: Tensor) -> None:
    """Remember a corrected scan as a task.

    A Bayesian network takes the masks that suit the scan; one whose kernels have owners stays as it is, because it
    builds on those of all tasks.  The task has no embedding where no other scan has one.

    Args:
        ctx: The session.
        sha256: Fingerprint of the files of the scan.
        scan: The same on the model's grid, ``(C, D, H, W)``.
    """
    memory = ctx.model.tasks
    if memory is None or memory.newest < 0:
        return
    memory.networks.store(ctx.model)
    suited = memory.nearest(scan)
    memory.begin(ctx.model, {sha256: scan} if memory.scans else {})
    if not memory.networks.packed:
        memory.networks.switch(ctx.model, suited)
