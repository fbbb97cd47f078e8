"""The changing state of a training: the curve, the best weights so far, and all contents of a checkpoint."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from IncrementalSegLib.engine.step.loss_sums import LossSums
from IncrementalSegLib.evaluation.verdicts import HARDLY_LEARNED
from IncrementalSegLib.methods.base.context import MethodState, StepContext
from IncrementalSegLib.types import Json

Tensors = dict[str, Tensor]


@dataclass
class TrainingCurve:
    """Record of a training.

    Attributes:
        steps: Optimiser steps done.
        planned: Optimiser steps of the full schedule.
        points: One JSON object per evaluation: ``step``, ``validation`` (Dice 0..1 or ``None``), mean loss terms.
        best_step: Step whose weights were kept.
        accumulate: Micro-batches of a batch; more than 1 after memory ran out.
        compiled: Whether compiled networks are used.
        compiling: Why, or why not; empty on a CPU, where nobody tries.
    """

    planned: int
    steps: int = 0
    points: list[dict[str, Any]] = field(default_factory=list)
    best_step: int = 0
    accumulate: int = 1
    compiled: bool = False
    compiling: str = ""

    @property
    def nothing_learned(self) -> bool:
        """Cases were held out, and at no evaluation the new structures were found in them."""
        found = [point["validation"] for point in self.points if point["validation"] is not None]
        return bool(found) and max(found) < HARDLY_LEARNED

    @property
    def evaluated(self) -> int:
        """Step of the last evaluation; 0 before the first."""
        return int(self.points[-1]["step"]) if self.points else 0


@dataclass(frozen=True)
class Snapshot:
    """All that a training step changes: weights and the method's memory.

    Attributes:
        weights: State of the segmenter.
        memory: State of the method.
    """

    weights: Tensors
    memory: MethodState

    @classmethod
    def of(cls, ctx: StepContext) -> Snapshot:
        """Copy the present state."""
        return cls(*copy.deepcopy((dict(ctx.model.state_dict()), ctx.memory)))

    def restore(self, ctx: StepContext) -> None:
        """Make it the present state again."""
        ctx.model.load_state_dict(self.weights)
        ctx.memory = copy.deepcopy(self.memory)


@dataclass
class TrainingState:
    """Where a training is; together with weights and memory of its context, all that a checkpoint holds.

    Attributes:
        curve: What happened so far.
        phase: Position of the running phase among the method's phases.
        phase_began: Optimiser step at which it began.
        sums: Loss terms since the last evaluation.
        best: Highest validation Dice and what it was measured on; ``None`` while nothing is learned.
        optimiser: The running phase's optimiser, or ``None`` before its first step.
        moments: What the optimiser knew when the checkpoint was written; used up when the phase continues.
        deep: Weights of the deep supervision; empty where there is none.
        finished: Nothing is left to train, and the best weights are in place.
    """

    curve: TrainingCurve
    phase: int = 0
    phase_began: int = 0
    sums: LossSums = field(default_factory=LossSums)
    best: tuple[float, Snapshot] | None = None
    optimiser: torch.optim.Optimizer | None = None
    moments: Tensors = field(default_factory=dict)
    deep: Tensors = field(default_factory=dict)
    finished: bool = False

    def next_phase(self) -> None:
        """Advance to the next phase."""
        self.phase, self.phase_began = self.phase + 1, self.curve.steps
        self.optimiser, self.moments = None, {}

    def resume(self, optimiser: torch.optim.Optimizer) -> None:
        """Use ``optimiser`` from here on, with what the checkpoint knew of it.

        Moments take the memory layout of their parameters, so that the same kernels give the same bits.
        """
        parameters = [item for group in optimiser.param_groups for item in group["params"]]
        for name, saved in self.moments.items():
            index, _, key = name.partition("/")
            parameter = parameters[int(index)]
            own = saved.clone() if saved.ndim == 0 else torch.empty_like(parameter).copy_(saved)
            optimiser.state[parameter][key] = own
        self.optimiser, self.moments = optimiser, {}

    def to_files(self, ctx: StepContext) -> tuple[Json, Tensors]:
        """Return everything as one JSON object and named tensors."""
        document: Json = {
            "curve": dataclasses.asdict(self.curve),
            "phase": self.phase,
            "phase_began": self.phase_began,
            "sums": self.sums.read(),
            "finished": self.finished,
            "memory": ctx.memory.data,
        }
        tensors = _under("weights", ctx.model.state_dict()) | _under("memory", ctx.memory.tensors)
        tensors |= _under("optimiser", self._moments()) | _under("deep", self.deep)
        if self.best is not None:
            dice, snapshot = self.best
            document["best"] = {"dice": dice, "memory": snapshot.memory.data}
            tensors |= _under("best", snapshot.weights) | _under("best_memory", snapshot.memory.tensors)
        return document, tensors

    @classmethod
    def from_files(cls, document: Json, tensors: Tensors, ctx: StepContext) -> TrainingState:
        """Rebuild the state, and put weights and memory back into ``ctx``."""
        Snapshot(_part("weights", tensors), MethodState(_part("memory", tensors), document["memory"])).restore(ctx)
        best = document.get("best")
        return cls(
            curve=TrainingCurve(**document["curve"]),
            phase=document["phase"],
            phase_began=document["phase_began"],
            sums=LossSums(document["sums"]),
            best=best
            and (
                best["dice"],
                Snapshot(_part("best", tensors), MethodState(_part("best_memory", tensors), best["memory"])),
            ),
            moments=_part("optimiser", tensors),
            deep=_part("deep", tensors),
            finished=document["finished"],
        )

    def _moments(self) -> Tensors:
        if self.optimiser is None:
            return self.moments
        states = self.optimiser.state_dict()["state"]
        return {f"{index}/{key}": value for index, state in states.items() for key, value in state.items()}


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def _part(prefix: str, tensors: Tensors) -> Tensors:
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
