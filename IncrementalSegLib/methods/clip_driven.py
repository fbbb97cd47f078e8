"""CLIP-driven: a controller that reads the names of the structures generates their heads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.generated_heads import GeneratedHeads, GeneratedOptions
from IncrementalSegLib.networks.outputs.dynamic_text import DynamicText
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.text import seeded_embedding
from IncrementalSegLib.registry import register
from IncrementalSegLib.types import StructureId


@register("method", "clip-driven")
class ClipDriven(GeneratedHeads[GeneratedOptions]):
    """Generate each structure's head from the text embedding of its name and the scan; later steps distil."""

    output = "dynamic-text"
    reads_names = True
    source = "Liu et al., ICCV 2023 (CLIP-driven), Sec. 3; distillation in later steps is our own extension"

    def grow(self, model: Segmenter, new: Sequence[StructureId], ctx: StepContext) -> None:
        """Add the structures with their text embeddings."""
        model.add(new)
        cast(DynamicText, model.output).read({item: ctx.text.get(item) or seeded_embedding(item) for item in new})
