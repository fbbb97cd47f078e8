"""The output whose heads are generated from the scan and the names of the structures.

Liu et al., ICCV 2023 (CLIP-driven Universal Model), Sec. 3.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.outputs.dynamic import NUMBERS, Dynamic
from IncrementalSegLib.networks.text import TEXT_WIDTH, TextEmbedding
from IncrementalSegLib.registry import register
from IncrementalSegLib.types import Json, StructureId

CODE = 256
"""Width of a code."""

_SAME = 1e-3  # distance below which two unit vectors count as equal


class Name(nn.Module):
    """The text embedding of one structure; it is not trained."""

    embedding: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("embedding", torch.zeros(TEXT_WIDTH))


@register("output", "dynamic-text")
class DynamicText(Dynamic):
    """A controller of the pooled deepest features and a code that is read from the structure's text embedding.

    All weights are shared; another structure adds a vector.
    """

    def __init__(self, config: SegmenterConfig) -> None:
        super().__init__(config)
        self.sources: dict[StructureId, str] = {}

    def add(self, structure: StructureId, channels: int) -> None:
        """Add a structure without a text embedding, and what all structures share before the first."""
        super().add(structure, channels)
        if "read" not in self.shared:
            self.shared["read"] = nn.Linear(TEXT_WIDTH, CODE)
            self.shared["code"] = nn.Linear(CODE, NUMBERS, bias=False)

    def new_code(self) -> nn.Module:
        """Return an empty text embedding."""
        return Name()

    def read(self, text: Mapping[StructureId, TextEmbedding]) -> None:
        """Take the text embeddings of structures."""
        for structure, found in text.items():
            self.codes[structure].get_buffer("embedding").copy_(torch.from_numpy(found.vector))
            self.sources[structure] = found.source

    @torch.no_grad()
    def tells_apart(self, embedding: TextEmbedding) -> bool:
        """Return whether a text embedding differs from zero and from those of all structures that have one."""
        known = [code.get_buffer("embedding").double().cpu() for code in self.codes.values()]
        others = torch.stack([*known, torch.zeros(TEXT_WIDTH, dtype=torch.float64)])
        return bool((others - torch.from_numpy(embedding.vector)).norm(dim=1).min() > _SAME)

    def remove(self, structure: StructureId) -> None:
        """Remove one text embedding."""
        super().remove(structure)
        self.sources.pop(structure, None)

    def arrangement(self) -> Json:
        """Return the source of each structure's text embedding."""
        return {structure: {"source": source} for structure, source in self.sources.items()}

    def arrange(self, arrangement: Json) -> None:
        """Take the sources of :meth:`arrangement`."""
        self.sources = {structure: entry["source"] for structure, entry in arrangement.items()}

    def fault(self) -> str:
        """Return which text embeddings cannot be those of its structures, if any."""
        if set(self.sources) != set(self.codes):
            return "its text embeddings are not those of its structures"
        lengths = torch.stack([code.get_buffer("embedding").norm() for code in self.codes.values()])
        return "its text embeddings are not of unit length" if (lengths - 1).abs().max() > _SAME else ""

    def selected(self, structures: Sequence[StructureId]) -> Tensor:
        """Return the share ``(K, NUMBERS)`` of each structure's code in the numbers of its head."""
        text = torch.stack([self.codes[item].get_buffer("embedding") for item in structures])
        shares: Tensor = self.shared["code"](self.shared["read"](text).relu())
        return shares
