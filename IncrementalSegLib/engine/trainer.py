"""The only training loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from IncrementalSegLib.engine.presets import Preset
from IncrementalSegLib.engine.progress import Progress
from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.dropout import ChannelDropout
from IncrementalSegLib.sampling.augmentation import augment
from IncrementalSegLib.sampling.batch import Batch
from IncrementalSegLib.sampling.patches import PatchPool
from IncrementalSegLib.strategy.context import Memory, StepContext
from IncrementalSegLib.strategy.method import Method, Phase
from IncrementalSegLib.types import Source

_DECAY_POWER = 0.9

Snapshot = tuple[dict[str, Tensor], Memory]


@dataclass
class Curve:
    """What happened while training.

    Attributes:
        steps: Optimiser steps done.
        planned: Optimiser steps of the full schedule.
        points: One JSON object per evaluation: ``step``, ``validation`` (Dice 0..1 or ``None``), mean loss terms.
        best_step: Step whose weights were kept.
    """

    planned: int
    steps: int = 0
    points: list[dict[str, Any]] = field(default_factory=list)
    best_step: int = 0


class Trainer:
    """Run a method's phases over its pools.

    Batch, augmentation and dropout of step i are functions of (seed, i) alone.

    Args:
        method: The method.
        ctx: The step.
        pools: Pool of each source.
        preset: Schedule.
        steps: Optimiser steps of the full schedule.
        runtime: Device and precision.
        validate: Returns the Dice of the new structures on the cases set aside, or ``None`` without any.
        progress: Receives progress.
    """

    def __init__(
        self,
        method: Method[Any],
        ctx: StepContext,
        pools: Mapping[Source, PatchPool],
        preset: Preset,
        steps: int,
        runtime: Runtime,
        validate: Callable[[], float | None],
        progress: Progress,
    ) -> None:
        self.method, self.ctx, self.pools, self.preset = method, ctx, pools, preset
        self.runtime, self.validate, self.progress = runtime, validate, progress
        self.curve = Curve(planned=steps)

    def run(self) -> Curve:
        """Train, stop early without progress on the cases set aside, and keep the best weights."""
        curve = self.curve
        every = max(1, -(-curve.planned // self.preset.evaluations))
        best: tuple[float, Snapshot] | None = None
        sums: dict[str, float] = {}
        for phase, optimiser, schedule, last in self.phases():
            while curve.steps < last:
                terms = self.step(curve.steps, phase, optimiser)
                schedule.step()
                curve.steps += 1
                for name, term in terms.items():
                    sums[name] = sums.get(name, 0.0) + term
                self.progress("Learning", curve.steps / curve.planned, {"loss": sum(terms.values())})
                if curve.steps % every and curve.steps != curve.planned:
                    continue
                dice = self.validate()
                count = curve.steps - (curve.points[-1]["step"] if curve.points else 0)
                curve.points.append({"step": curve.steps, "validation": dice} | {k: v / count for k, v in sums.items()})
                sums = {}
                if dice is None:
                    continue
                self.progress("Learning", curve.steps / curve.planned, {"dice": dice})
                if best is None or dice > best[0]:
                    best = (dice, self._snapshot())
                    curve.best_step = curve.steps
                elif curve.steps - curve.best_step >= self.preset.patience * every:
                    self._restore(best[1])
                    return curve
        if best is not None:
            self._restore(best[1])
        else:
            curve.best_step = curve.steps
        return curve

    def time_step(self) -> float:
        """Return the seconds that one optimiser step takes; model and memory are left as they were."""
        before = self._snapshot()
        phase = self.method.phases(self.ctx)[0]
        seconds = []
        for _ in range(2):  # the first pass also sets up the kernels
            optimiser = torch.optim.Adam(self._parameters(phase), lr=0.0)
            began = time.monotonic()
            self.step(0, phase, optimiser)
            seconds.append(time.monotonic() - began)
        self._restore(before)
        return min(seconds)

    def step(self, index: int, phase: Phase, optimiser: torch.optim.Optimizer) -> dict[str, float]:
        """Do optimiser step ``index`` and return the loss terms."""
        return self.update(self.batch(index), phase, optimiser)

    def update(self, batch: Batch, phase: Phase, optimiser: torch.optim.Optimizer) -> dict[str, float]:
        """Do one optimiser step on a batch that lies on the device, and return the loss terms."""
        self._train_mode(phase)
        optimiser.zero_grad(set_to_none=True)
        with self.runtime.autocast():
            terms = self.method.training_loss(batch, self.ctx)
        total = torch.stack(list(terms.values())).sum()
        if not bool(torch.isfinite(total)):
            raise ModelError(
                f"The loss became {float(total.detach())} at step {self.curve.steps + 1}.",
                "The training diverged, or a scan holds extreme values.",
                "Look at the scans with `incrementalseg check`, or try another --seed.",
            )
        total.backward()
        self.method.after_backward(self.ctx)
        optimiser.step()
        self.method.after_update(self.ctx)
        return {name: float(term.detach()) for name, term in terms.items()}

    def batch(self, index: int) -> Batch:
        """Draw and augment batch ``index`` and seed the dropout of its step."""
        generator = self.ctx.generator(1 + index)
        sources = {name: share for name, share in self.method.sources(self.ctx).items() if name in self.pools}
        names = list(sources)
        shares = torch.tensor([sources[name] for name in names])
        source = names[int(torch.multinomial(shares, 1, generator=generator))]
        batch = augment(self.pools[source].draw(self.preset.batch, generator), self.preset.augmentation, generator)
        ChannelDropout.seed(self.ctx.model, generator)
        return replace(batch.to(self.ctx.device), image=self.runtime.layout(batch.image))

    def phases(self) -> list[tuple[Phase, torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR, int]]:
        """Return each phase with its optimiser, schedule and the step at which it ends."""
        parts: list[tuple[Phase, torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR, int]] = []
        last = 0
        phases = self.method.phases(self.ctx)
        for position, phase in enumerate(phases):
            count = round(phase.share * self.curve.planned)
            last = self.curve.planned if position == len(phases) - 1 else last + count
            optimiser = torch.optim.Adam(self._parameters(phase), lr=self.preset.learning_rate * phase.learning_rate)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, self._decay(max(1, count)))
            parts.append((phase, optimiser, schedule, last))
        return parts

    def _decay(self, count: int) -> Callable[[int], float]:
        if not self.preset.decay:
            return lambda step: 1.0
        return lambda step: max(0.0, 1 - step / count) ** _DECAY_POWER

    def _parameters(self, phase: Phase) -> Sequence[nn.Parameter]:
        model = self.ctx.model
        if phase.trains == "all":
            return list(model.parameters())
        return [parameter for item in self.ctx.new for parameter in model.output.part(item).parameters()]

    def _train_mode(self, phase: Phase) -> None:
        """Switch to training, with the trunks' running statistics frozen where the phase asks for it."""
        self.ctx.model.train()
        if not phase.freeze_norm or self.ctx.teacher_model is None:
            return
        for trunk in list(self.ctx.model.trunks)[: len(self.ctx.teacher_model.trunks)]:  # a new trunk has none yet
            for module in trunk.modules():
                if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                    module.eval()

    def _snapshot(self) -> Snapshot:
        """Copy all that a step changes: weights and the method's memory."""
        return copy.deepcopy((self.ctx.model.state_dict(), self.ctx.memory))

    def _restore(self, snapshot: Snapshot) -> None:
        self.ctx.model.load_state_dict(snapshot[0])
        self.ctx.memory = snapshot[1]
