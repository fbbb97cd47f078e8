"""Separate networks: a trunk of its own for each structure; nothing is shared, nothing is forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.incremental_heads import HeadOptions, IncrementalHeads
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.registry import register
from IncrementalSegLib.types import StructureId


@register("method", "separate")
class Separate(IncrementalHeads[HeadOptions]):
    """A network of its own for each structure; the upper bound, larger and slower."""

    source = "Ozdemir, Fuernstahl & Goksel, MICCAI 2018, Sec. 3 (HumSeg, ScapSeg)"
    guarantees = True

    def grow(self, model: Segmenter, new: Sequence[StructureId], ctx: StepContext) -> None:
        """Add a trunk and a head for each structure."""
        for structure in new:
            model.add([structure], own_trunk=True, overlapping=True)
