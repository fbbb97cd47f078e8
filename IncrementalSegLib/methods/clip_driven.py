"""CLIP-driven: a controller that reads the names of the structures generates their heads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import cast

from IncrementalSegLib.methods.base.context import StepContext
from IncrementalSegLib.methods.base.generated_heads import GeneratedHeads, GeneratedOptions
from IncrementalSegLib.networks.outputs.dynamic_text import DynamicText
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.text import seeded_embedding
from IncrementalSegLib.registry import register
from IncrementalSegLib.types import StructureId

log = logging.getLogger(__name__)


@register("method", "clip-driven")
class ClipDriven(GeneratedHeads[GeneratedOptions]):
    """Generate each structure's head from the text embedding of its name and the scan; later steps distil."""

    output = "dynamic-text"
    reads_names = True
    source = "Liu et al., ICCV 2023 (CLIP-driven), Sec. 3; distillation in later steps is our own extension"

    def grow(self, model: Segmenter, new: Sequence[StructureId], ctx: StepContext) -> None:
        """Add the structures with their text embeddings; the name's hash replaces one that is taken or zero."""
        model.add(new)
        output = cast(DynamicText, model.output)
        for structure in new:
            embedding = ctx.text.get(structure) or seeded_embedding(structure)
            if not output.tells_apart(embedding):
                log.warning(
                    "The text embedding of %r is that of an earlier structure or zero, so one without meaning is made "
                    "from the hash of the name. A more distinct name or a table would be better.",
                    embedding.name,
                )
                embedding = seeded_embedding(embedding.name)
            output.read({structure: embedding})
