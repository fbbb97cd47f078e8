"""AeiSeg: rehearse exemplars that cover the features of the deepest layer."""

from __future__ import annotations

from IncrementalSegLib.methods.base.incremental_heads import RehearsingHeads, RehearsingOptions
from IncrementalSegLib.registry import register


@register("method", "aeiseg")
class AeiSeg(RehearsingHeads[RehearsingOptions]):
    """Distillation, and rehearsal of exemplars that cover the features of the network's deepest layer."""

    source = "Ozdemir, Fuernstahl & Goksel, MICCAI 2018, Sec. 2.2 (abstraction layer)"
    exemplar_order = "abstraction"
