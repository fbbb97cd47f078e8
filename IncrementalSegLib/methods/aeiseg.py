"""AeiSeg: rehearse exemplars that cover the abstraction layer."""

from __future__ import annotations

from IncrementalSegLib.methods.base.incremental_heads import RehearsalOptions, RehearsingHeads
from IncrementalSegLib.registry import register


@register("method", "aeiseg")
class AeiSeg(RehearsingHeads[RehearsalOptions]):
    """Keep old structures by distillation and exemplars chosen for coverage in the abstraction layer."""

    source = "Ozdemir, Fuernstahl & Goksel, MICCAI 2018, Sec. 2.2 (abstraction layer)"
    exemplar_order = "abstraction"
