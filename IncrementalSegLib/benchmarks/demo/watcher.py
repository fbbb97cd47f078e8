"""See old structures fade or stay while a new one is being learned: a watcher at the hooks of any method."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from IncrementalSegLib.benchmarks.demo.report import Curves
from IncrementalSegLib.engine.runtime import Runtime
from IncrementalSegLib.engine.scores.scoring import validate
from IncrementalSegLib.engine.step.request import StepRequest
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.method import Method
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.prepare import prepare_case
from IncrementalSegLib.types import StructureId


class Watcher:
    """Look at a model on some cases while it learns; training knows nothing of it.

    Args:
        request: The step, not the first of its model.
        runtime: Device and precision.
        cases: Cases in which all structures of the model are outlined under their names.
        looks: Optimiser steps after which to look.

    Attributes:
        curves: Structure name -> mean Dice over the cases and the optimiser step at which it was seen.
    """

    def __init__(self, request: StepRequest, runtime: Runtime, cases: Sequence[Case], looks: Container[int]) -> None:
        assert request.parent is not None, "the first structure has been taught"
        self.plan = Plan.model_validate(request.parent.preprocessing)
        self.names = {item.id: item.name for item in request.structures}
        self.runtime, self.looks = runtime, looks
        ids = {name: item for item, name in self.names.items()}
        self.cases = [prepare_case(case, ids, self.plan) for case in cases]
        self.steps = 0
        self.curves: Curves = {name: [] for name in self.names.values()}

    def before(self, ctx: StepContext) -> None:
        """Note where the old structures start from."""
        self._look(ctx, ctx.old)

    def after_update(self, ctx: StepContext) -> None:
        """Count an optimiser step and look now and then."""
        self.steps += 1
        if self.steps in self.looks:
            self._look(ctx, ctx.structures)

    def _look(self, ctx: StepContext, structures: tuple[StructureId, ...]) -> None:
        predictor = Predictor(ctx.model, self.plan, self.runtime.device, self.runtime.autocast)
        found = validate(predictor, self.cases, structures)
        for item in structures:
            dice = found.of(item)
            if dice is not None:
                self.curves[self.names[item]].append((self.steps, dice))


def watched(method: Method[Any], watcher: Watcher) -> Method[Any]:
    """Return the same method with a watcher at its hooks."""
    kind: Any = type(method)

    class Watched(kind):  # type: ignore[misc]
        def begin_step(self, ctx: StepContext) -> None:
            super().begin_step(ctx)
            watcher.before(ctx)

        def after_update(self, ctx: StepContext) -> None:
            super().after_update(ctx)
            watcher.after_update(ctx)

    wrapped: Method[Any] = Watched(method.options)
    return wrapped
