"""The context of a step for its method: the models, the structures, the memory and the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.networks.output import Output
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.text import TextEmbedding
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.sampling.batch import Batch, PreparedCase
from IncrementalSegLib.types import Json, StructureId


@dataclass
class MethodState:
    """All state of a method between and within steps; the engine checkpoints, versions and restores it.

    Attributes:
        tensors: Named tensors of any shape.
        data: Anything JSON can hold.
    """

    tensors: dict[str, Tensor] = field(default_factory=dict)
    data: Json = field(default_factory=dict)

    def group(self, prefix: str, device: torch.device) -> dict[str, Tensor]:
        """Return the tensors whose names begin with a prefix, by the rest of the name, and keep them on a device."""
        for name, value in self.tensors.items():
            if name.startswith(prefix):
                self.tensors[name] = value.to(device)  # a checkpoint lies on the CPU
        return {name.removeprefix(prefix): value for name, value in self.tensors.items() if name.startswith(prefix)}

    def replace_group(self, prefix: str, values: Mapping[str, Tensor]) -> None:
        """Replace the tensors whose names begin with a prefix by others, named by the rest."""
        others = {name: value for name, value in self.tensors.items() if not name.startswith(prefix)}
        self.tensors = others | {prefix + name: value for name, value in values.items()}


@dataclass(kw_only=True)
class StepContext:
    """One step as its method sees it.

    Attributes:
        model: The segmenter being taught.
        teacher_model: The segmenter as it was before the step, or ``None``; set to eval mode, without gradients.
        structures: Uuids of all structures, in the order of ``Batch.label``.
        new: Those this step teaches or improves.
        memory: State of the method.
        exemplars: What was kept of earlier steps.
        prototypes: Class means of earlier steps.
        cases: This step's training cases, prepared.
        voxel_counts: Background and foreground voxels of each structure in its training scans.
        device: Where the model lies.
        step: Number of this step, from 1.
        seed: Seed of this step.
        plan: The model's plan: what its network sees of a scan.
        text: Text embeddings of the new structures, where the method reads names.
        progress: Receives the share done of long passes; may raise to cancel.
        phase: Name of the running phase of the training.
    """

    model: Segmenter
    teacher_model: Segmenter | None
    structures: tuple[StructureId, ...]
    new: tuple[StructureId, ...]
    memory: MethodState
    exemplars: ExemplarMemory
    prototypes: PrototypeBank
    cases: Sequence[PreparedCase]
    voxel_counts: dict[StructureId, tuple[int, int]]
    device: torch.device
    step: int
    seed: int
    plan: Plan
    text: Mapping[StructureId, TextEmbedding] = field(default_factory=dict)
    progress: Share = UNTOLD
    phase: str = ""

    def __post_init__(self) -> None:
        """Freeze the teacher, for terms that read its weights too."""
        if self.teacher_model is not None:
            self.teacher_model.eval().requires_grad_(False)

    @property
    def old(self) -> tuple[StructureId, ...]:
        """Structures of earlier steps that this step does not teach."""
        return tuple(item for item in self.structures if item not in self.new)

    def held(self, batch: Batch) -> tuple[StructureId, ...]:
        """Return the structures of the previous model that a batch does not teach: of unlabelled scans all."""
        if self.teacher_model is None:
            return ()
        return self.old if batch.source == "new" else self.teacher_model.structures

    def rows(self, structures: Sequence[StructureId]) -> list[int]:
        """Return the rows of ``structures`` in ``Batch.label`` and in full logits."""
        return [self.structures.index(item) for item in structures]

    def teacher(self, image: Tensor, structures: Sequence[StructureId] | None = None) -> Output:
        """Run the model of the previous step: eval mode, no dropout, no gradient."""
        assert self.teacher_model is not None, "a method that needs a teacher must list it in `needs`"
        with torch.no_grad():
            output: Output = self.teacher_model(image, structures)
        return output

    def generator(self, purpose: int = 0) -> torch.Generator:
        """Return a fresh CPU generator that depends only on the step's seed and ``purpose``."""
        return torch.Generator().manual_seed((self.seed * 1_000_003 + purpose) % 2**63)
