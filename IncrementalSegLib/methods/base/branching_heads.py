"""Heads on branches: what the methods share that train nothing that an older structure depends on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.incremental_heads import HeadOptions, IncrementalHeads
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.networks.config import BranchConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.sharing import own_trunks
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.types import Json, StructureId

BranchingOptionsT = TypeVar("BranchingOptionsT", bound=HeadOptions)


class BranchingHeads(IncrementalHeads[BranchingOptionsT]):
    """Base of the methods that give the structures of a step a branch of the first trunk.

    The first step of a model trains a whole trunk.
    """

    guarantees = True

    @abstractmethod
    def branch(self) -> BranchConfig:
        """Return the branch that a step grows."""

    def check(self, architecture: Json, improved: Sequence[Structure]) -> None:
        """Refuse to improve a structure on a trunk or branch that others depend on.

        Raises:
            ModelError: There is such a structure, or the network depends on the scan.
        """
        super().check(architecture, improved)
        own = own_trunks(architecture, [item.id for item in improved])
        if shared := [item.name for item in improved if architecture["trunk_of"][item.id] not in own]:
            raise ModelError(
                f"The method {self.registered_name!r} cannot improve {', '.join(shared)}.",
                "Other structures depend on the weights that would change, and the method guarantees theirs.",
                "Choose another method, such as lwfseg: the gate then measures what is kept. Structures that one later "
                "step taught can also be improved together.",
            )

    def grow(self, model: Segmenter, new: Sequence[StructureId], ctx: StepContext) -> None:
        """Add a branch with the heads of the new structures; a trunk at the first step."""
        model.add(new, branch=self.branch() if len(model.trunks) else None, overlapping=True)

    def phases(self, ctx: StepContext) -> tuple[TrainingPhase, ...]:
        """Train the branch and its heads alone."""
        return tuple(replace(phase, trains="own_parts") for phase in super().phases(ctx))
