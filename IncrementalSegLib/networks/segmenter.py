"""A segmenter: trunks, their branches, and an output that grows; all that prediction needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.branching import grow_branch
from IncrementalSegLib.networks.config import BranchConfig, NetworkForm, SegmenterConfig
from IncrementalSegLib.networks.growing import GrowingOutput
from IncrementalSegLib.networks.output import Features, Output
from IncrementalSegLib.networks.stochastic import Stochastic
from IncrementalSegLib.networks.task_memory import TaskMemory
from IncrementalSegLib.registry import find
from IncrementalSegLib.types import Dimension, Json, StructureId


class Trunk(Protocol):
    """Interface of a registered network, in two halves.

    Attributes:
        dimension: Spatial axes, 2 or 3.
        random_encoder: Whether ``encode`` is random; otherwise ``decode`` holds all randomness.
        adopted: Only models that another program trained have this network.
        Form: Class of what describes the network beside its name and widths.
        decoder_channels: Channels of the last decoder map.
    """

    dimension: Dimension
    random_encoder: bool
    adopted: bool
    Form: type[NetworkForm] | None
    decoder_channels: int

    def __call__(self, image: Tensor) -> Features:
        """Return the features of ``(B, C, *S)``."""

    def encode(self, image: Tensor) -> Any:
        """Run the first half on ``(B, C, *S)``."""

    def decode(self, encoded: Any) -> Features:
        """Run the second half."""


class Segmenter(nn.Module):
    """Trunks plus an output with one part per structure.

    Structures are addressed by uuid.  Usually one trunk serves all; ``add(..., own_trunk=True)`` gives
    structures a trunk of their own, ``add(..., branch=...)`` a branch, which stands among the trunks.

    Args:
        config: What it is made of.

    Attributes:
        trunk_of: The trunk, or branch, that serves each structure.
        branches: The branches, by their number among the trunks.
        tasks: Chooses the network of a task by the scan; ``None``: all scans share one.
    """

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__()
        self.config = config
        self.trunks = nn.ModuleList()
        self.output: GrowingOutput = find("output", config.output)(config)
        self.trunk_of: dict[StructureId, int] = {}
        self.branches: dict[int, BranchConfig] = {}
        self.tasks: TaskMemory | None = None

    @property
    def structures(self) -> tuple[StructureId, ...]:
        """Uuids of the structures, in the order in which they were added."""
        return tuple(self.trunk_of)

    @property
    def dimension(self) -> Dimension:
        """Spatial axes that the network sees."""
        dimension: Dimension = find("network", self.config.network).dimension
        return dimension

    @property
    def exclusive(self) -> frozenset[StructureId]:
        """The structures of which at most one can lie at a voxel; any other may overlap all."""
        return frozenset(filter(self.output.excludes, self.structures))

    def excluding(self, structures: Sequence[StructureId]) -> tuple[bool, ...]:
        """Return for each structure whether it is one of those that exclude each other."""
        return tuple(map(self.output.excludes, structures))

    def deciding(self, structures: Sequence[StructureId]) -> tuple[StructureId, ...]:
        """Return the structures whose probabilities decide where some lie: with one that excludes others, these too."""
        if not any(self.excluding(structures)):
            return tuple(structures)
        return tuple(item for item in self.structures if item in structures or self.output.excludes(item))

    def trunk(self, index: int) -> Trunk:
        """Return one trunk or branch."""
        return cast(Trunk, self.trunks[index])

    def add(
        self,
        structures: Sequence[StructureId],
        own_trunk: bool = False,
        branch: BranchConfig | None = None,
        *,
        overlapping: bool = False,
    ) -> None:
        """Add freshly initialised outputs, and a trunk where there is none or ``own_trunk`` asks for one.

        Args:
            structures: Uuids.
            own_trunk: Give them a trunk of their own.
            branch: Give them this branch.
            overlapping: They exclude no other structure.

        Raises:
            UnknownNameError: There is no such kind of branch.
            ModelError: A structure is already there, or shares its probabilities with those of other trunks; or the
                network cannot have such a branch or output.
        """
        if not structures:
            return
        apart = own_trunk or branch is not None
        if apart and self.trunks and self.output.exclusive and not overlapping:
            raise _on_several_trunks()
        if apart or not self.trunks:
            self._add_trunk(branch)
        trunk = len(self.trunks) - 1 if apart else 0
        for structure in structures:
            if structure in self.trunk_of:
                raise ModelError(f"The structure {structure} is already part of the network.")
            self._add_output(structure, trunk, overlapping)

    def _add_output(self, structure: StructureId, trunk: int, overlapping: bool) -> None:
        add = self.output.add_apart if overlapping else self.output.add
        add(structure, self.trunk(trunk).decoder_channels)
        self.trunk_of[structure] = trunk

    def _add_trunk(self, branch: BranchConfig | None) -> None:
        """Add a trunk, or a branch of one."""
        if branch is None:
            self.trunks.append(find("network", self.config.network)(self.config))
            return
        self.trunks.append(grow_branch(self.trunks, branch))
        self.branches[len(self.trunks) - 1] = branch

    def root(self, index: int) -> int:
        """Return the number of the trunk whose first half a trunk or branch uses."""
        return self.branches[index].trunk if index in self.branches else index

    def remove(self, structure: StructureId) -> None:
        """Remove the output of one structure; trunks stay."""
        self.output.remove(structure)
        del self.trunk_of[structure]

    def tasks_for(
        self, scan: Tensor, structures: Sequence[StructureId] | None = None, task: int | None = None
    ) -> tuple[int, ...]:
        """Return the position of the task whose network segments a scan, for each structure.

        That is the task of the scan or, for a structure that came later, the first one that knows it.

        Args:
            scan: ``(C, D, H, W)``.
            structures: Uuids; all by default.
            task: The task of the scan; by default that of the most similar scan that taught.
        """
        wanted, tasks = self.structures if structures is None else structures, self.tasks
        if tasks is None:
            return (0,) * len(wanted)
        found = tasks.nearest(scan) if task is None else task
        return tuple(max(found, tasks.networks.since(item)) for item in wanted)

    def as_of(self, task: int) -> AbstractContextManager[None]:
        """Return a context in which the network is that of a task; outside it is that of the newest one."""
        return nullcontext() if self.tasks is None else self.tasks.networks.as_of(self, task)

    def forward(self, image: Tensor, structures: Sequence[StructureId] | None = None) -> Output:
        """Score the structures asked for (all by default) in one pass.

        Args:
            image: ``(B, C, *S)``; each spatial size a multiple of ``2 ** (len(widths) - 1)``.
            structures: Uuids, in the order wanted.

        Returns:
            Logits in the form of the output (see :class:`Output`) and the features of the first trunk used.
        """
        wanted = self.structures if structures is None else tuple(structures)
        used = sorted({self.trunk_of[item] for item in wanted}) or [0]
        with self._precision(image):
            encoded = {root: self.trunk(root).encode(image) for root in self._roots(used)}
            features = {index: self.trunk(index).decode(encoded[self.root(index)]) for index in used}
            return Output(self._score(features, wanted), features[used[0]])

    def _precision(self, image: Tensor) -> AbstractContextManager[object]:
        """Return the context of the precision that the network needs.

        On a CPU 3-D convolutions are kept in float32: in bf16 their gradients read memory that was never written.  A
        network of nnU-Net or MONAI predicts as precisely as there: float32 on a CPU, float16 on a GPU.
        """
        theirs, kind = self.config.topology is not None and not self.training, image.device.type
        if kind == "cpu" and (theirs or self.dimension == 3):
            return torch.autocast("cpu", enabled=False)
        return torch.autocast(kind, torch.float16) if theirs else nullcontext()

    def _score(self, features: dict[int, Features], wanted: tuple[StructureId, ...]) -> Tensor:
        if len(features) == 1:
            scores: Tensor = self.output(next(iter(features.values())), wanted)
            return scores
        served = {index: tuple(item for item in wanted if self.trunk_of[item] == index) for index in features}
        # together as without the other trunks, for the same bits
        parts = [(served[index], self.output(found, served[index])) for index, found in features.items()]
        return self.output.merged(parts, wanted)

    def _roots(self, used: Sequence[int]) -> list[int]:
        """Return the trunks whose first halves are needed for others."""
        return sorted({self.root(index) for index in used})

    def probabilities(self, logits: Tensor, structures: Sequence[StructureId] | None = None) -> Tensor:
        """Return the probability ``(B, K, *S)`` of each structure that was asked for, in float32.

        Args:
            logits: What :meth:`forward` returned.
            structures: What :meth:`forward` was asked for; all by default.
        """
        return self.output.probabilities(logits, self.structures if structures is None else structures)

    @torch.no_grad()
    def monte_carlo(
        self,
        image: Tensor,
        passes: int,
        generator: torch.Generator,
        structures: Sequence[StructureId] | None = None,
        encodings: int | None = None,
        common: bool = False,
    ) -> Iterator[Tensor]:
        """Yield ``passes`` stochastic foreground probabilities ``(B, K, *S)``.

        Random layers are active and batch normalisation in eval mode; a first half that is not random runs once
        (Ozdemir 2018, Sec. 2.2).

        Args:
            image: ``(B, C, *S)``.
            passes: Number of passes; the paper's is 29.
            generator: Source of the dropout masks, on the image's device or the CPU.
            structures: Uuids; all by default.
            encodings: How often a random first half is drawn; passes that share one are not independent. By default
                for each pass.
            common: All items of the batch share the dropout masks of a pass.
        """
        wanted = self.structures if structures is None else tuple(structures)
        encodings = min(encodings or passes, passes)
        was_training = self.training
        self.eval()
        try:
            used = sorted({self.trunk_of[item] for item in wanted})
            states: dict[int, Any] = {}
            with Stochastic.sampling(self, generator, common):
                for number in range(passes):
                    renewed = number * encodings % passes < encodings
                    with self._precision(image):
                        for root in self._roots(used):
                            if number == 0 or (renewed and self.trunk(root).random_encoder):
                                states[root] = self.trunk(root).encode(image)
                        features = {index: self.trunk(index).decode(states[self.root(index)]) for index in used}
                        scores = self._score(features, wanted)
                    yield self.probabilities(scores, wanted)
        finally:
            self.train(was_training)

    def architecture(self) -> Json:
        """Return what :meth:`from_architecture` needs to rebuild the network without weights."""
        arrangement = self.output.arrangement()
        heads = [item for item in self.structures if self.output.exclusive and not self.output.excludes(item)]
        return (
            {
                "config": self.config.model_dump(mode="json"),
                "trunks": len(self.trunks),
                "trunk_of": dict(self.trunk_of),
            }
            | ({"branches": self._described_branches()} if self.branches else {})
            | ({"heads": heads} if heads else {})
            | ({"output": arrangement} if arrangement else {})
            | ({"tasks": True} if self.tasks is not None else {})
        )

    def _described_branches(self) -> Json:
        return {str(index): branch.model_dump(mode="json") for index, branch in self.branches.items()}

    @classmethod
    def from_architecture(cls, architecture: Json, weights: dict[str, Tensor] | None = None) -> Segmenter:
        """Rebuild a network from :meth:`architecture` and, where given, load its weights.

        Raises:
            ModelError: The weights do not fit the architecture, or the architecture itself.
        """
        model = cls(SegmenterConfig.model_validate(architecture["config"]))
        trunk_of: dict[StructureId, int] = architecture["trunk_of"]
        heads = architecture.get("heads", ())
        branches = architecture.get("branches", {})
        for index in map(str, range(architecture["trunks"])):
            model._add_trunk(BranchConfig.model_validate(branches[index]) if index in branches else None)
        for structure, trunk in trunk_of.items():
            model._add_output(structure, trunk, structure in heads)
        if len({trunk_of[item] for item in model.exclusive}) > 1:
            raise _on_several_trunks()
        model.output.arrange(architecture.get("output", {}))
        if architecture.get("tasks"):
            model.tasks = TaskMemory(model)
        if weights is not None:
            try:
                model.load_state_dict(weights)
            except RuntimeError as error:
                raise ModelError(
                    f"The weights do not fit the network ({str(error).splitlines()[0]}).",
                    todo="The model folder is damaged; go back to another version.",
                ) from error
        return model

    def __deepcopy__(self, memo: dict[int, Any]) -> Segmenter:
        copy = self.from_architecture(self.architecture(), self.state_dict())
        copy.to(next(self.parameters()).device)
        copy.train(self.training)
        return copy


def _on_several_trunks() -> ModelError:
    return ModelError("Structures that exclude each other are scored together, on one trunk.")
