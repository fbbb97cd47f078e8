"""What a training step of each class method costs beside MiB's, and the unbiased losses beside their plain form.

Times are ratios, each the median of alternating pairs in one process; memory is what the backward pass keeps,
counted exactly.  Run it alone and on one thread (``OMP_NUM_THREADS=1``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from IncrementalSegLib.benchmarks.ciss.variants import class_methods
from IncrementalSegLib.benchmarks.ratios import compare
from IncrementalSegLib.engine.progress import Progress, silent
from IncrementalSegLib.engine.runtime import Runtime, start
from IncrementalSegLib.engine.step.presets import Preset, find_preset
from IncrementalSegLib.engine.step.request import build_method
from IncrementalSegLib.engine.step.trainer import Trainer
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.losses.classes import unbiased_cross_entropy, unbiased_distillation
from IncrementalSegLib.methods.base.context import Memory, StepContext
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.plan import plan_for
from IncrementalSegLib.prototypes.bank import class_means
from IncrementalSegLib.sampling.batch import Batch, PreparedCase
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.patches import PatchPool
from IncrementalSegLib.sampling.phantom import STRUCTURES, phantom_case
from IncrementalSegLib.sampling.prepare import prepare
from IncrementalSegLib.types import DeviceName, Json

OLD, NEW = 4, 2
"""Structures that the model knows, and that the step teaches."""

LIMITS = {"pcdd": 1.25}
REFERENCE = "mib"


def measure_classes(device: DeviceName = "auto", pairs: int = 15, progress: Progress = silent) -> Json:
    """Measure every class method and both unbiased losses.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``.
        pairs: Alternating pairs of each.
        progress: Receives progress.

    Returns:
        ``{"device", "precision", "threads", "torch", "ratios": [...]}``; each ratio also has ``memory``, what the
        backward pass keeps over what it keeps of the reference.
    """
    bench = _Bench(start(device))
    names = [name for name in class_methods() if name != REFERENCE]
    ratios: list[Json] = []
    for done, name in enumerate(names):
        progress("Measuring", done / (len(names) + 1))
        one, other = bench.step(name), bench.step(REFERENCE)
        ratio = compare(f"{name} step / {REFERENCE} step", one.update, other.update, pairs, LIMITS.get(name))
        ratios.append(ratio.to_json() | {"memory": round(_kept(one.loss) / _kept(other.loss), 3)})
    for title, fused, plain in _losses(bench.runtime.device):
        ratio = compare(title, partial(_backward, fused), partial(_backward, plain), pairs, None)
        ratios.append(ratio.to_json() | {"memory": round(_kept(fused) / _kept(plain), 3)})
    progress("Measuring", 1.0)
    return {
        "device": bench.runtime.name,
        "precision": bench.runtime.precision,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "ratios": ratios,
    }


class _Step:
    """A training step on a batch that lies on the device."""

    def __init__(self, trainer: Trainer, batch: Batch) -> None:
        self.trainer, self.batch = trainer, batch
        self.phase = trainer.method.phases(trainer.ctx)[0]
        self.optimiser = trainer.optimiser(self.phase)

    def update(self) -> None:
        """Do the step."""
        self.trainer.update(self.batch, self.phase, self.optimiser)

    def loss(self) -> Tensor:
        """Return the loss with its graph."""
        with self.trainer.runtime.autocast():
            return torch.stack(list(self.trainer.method.training_loss(self.batch, self.trainer.ctx).values())).sum()


class _Bench:
    """Phantoms in which everything is outlined, of which a step sees its own structures."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.preset: Preset = find_preset("quick", 2)
        self.names = STRUCTURES[: OLD + NEW]
        self.ids = tuple(f"{number:032x}" for number in range(len(self.names)))
        self.scans = [phantom_case(seed, "A", structures=self.names) for seed in range(2)]
        grids = [volume.grid for volume, _ in self.scans]
        self.plan = plan_for(grids, 1, 2, 2 ** (len(self.preset.widths) - 1), 128, 128)

    def step(self, name: str) -> _Step:
        """Return a step of a method that teaches the last structures to a model that knows the others."""
        method = build_method(name, {})
        torch.manual_seed(0)
        config = self.preset.config("unet2d", 1).model_copy(update={"output": method.output})
        model = Segmenter(method.design(config))
        model.add(self.ids[:OLD])
        self.runtime.place(model, 2)
        teacher = copy.deepcopy(model).eval()
        self.runtime.place(teacher, 2)
        new = self.ids[OLD:]
        ctx = StepContext(
            model, teacher, self.ids, new, Memory(), ExemplarMemory(),
            class_means(teacher, self._cases(self.ids[:OLD]), self.ids[:OLD], self.runtime.device),
            self._cases(new), {}, self.runtime.device, 2, 0, self.plan,
        )  # fmt: skip
        method.grow(model, new, ctx)
        self.runtime.place(model, 2)
        method.begin_step(ctx)
        pools = {"new": PatchPool(ctx.cases, self.ids, new, self.plan, "new")}
        trainer = Trainer(method, ctx, pools, self.preset, 10, self.runtime, lambda: None, silent)
        return _Step(trainer, trainer.batch(0))

    def _cases(self, structures: tuple[str, ...]) -> list[PreparedCase]:
        names = dict(zip(self.ids, self.names, strict=True))
        return [
            prepare(
                Case(str(number), str(number), (Path(),), frozenset()),
                volume,
                {item: masks[names[item]] for item in structures},
                self.plan,
            )
            for number, (volume, masks) in enumerate(self.scans)
        ]


def _losses(device: torch.device) -> list[tuple[str, Callable[[], Tensor], Callable[[], Tensor]]]:
    """Return both unbiased losses and their plain forms on random logits (8, 9, 128, 128)."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(8, 9, 128, 128, generator=random).to(device).requires_grad_()
    teacher = torch.randn(8, 7, 128, 128, generator=random).to(device)
    target = torch.randint(0, 3, (8, 128, 128), generator=random).to(device)
    target = torch.where(target > 0, target + 6, target)  # the last two columns are new
    valid = torch.ones_like(target, dtype=torch.bool)
    hidden = torch.zeros(8, 9, dtype=torch.bool, device=device)
    hidden[:, :7] = True
    own = list(range(1, 7))

    def plain_cross_entropy() -> Tensor:
        probability = logits.softmax(1)
        merged = torch.cat([probability[:, :7].sum(1, keepdim=True), probability[:, 7:]], dim=1)
        return -merged.gather(1, (target - 6).clamp_min(0).unsqueeze(1)).log().mean()

    def plain_distillation() -> Tensor:
        probability, previous = logits.softmax(1), teacher.softmax(1)
        merged = torch.cat([probability[:, [0, 7, 8]].sum(1, keepdim=True), probability[:, 1:7]], dim=1)
        return -(previous * merged.log()).sum(1).mean() / 7

    return [
        (
            "unbiased cross-entropy, fused / plain",
            lambda: unbiased_cross_entropy(logits, target, hidden, valid),
            plain_cross_entropy,
        ),
        (
            "unbiased distillation, fused / plain",
            lambda: unbiased_distillation(logits, teacher, own, own, valid),
            plain_distillation,
        ),
    ]


def _backward(loss: Callable[[], Tensor]) -> None:
    loss().backward()


def _kept(loss: Callable[[], Tensor]) -> int:
    """Return the bytes that the backward pass of a loss keeps, each storage once."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        held = loss()  # noqa: F841  (alive, so that no storage is counted under the address of another)
    return sum(kept.values())
