"""CoRiSeg: rehearse exemplars that cover the content of the old scans."""

from __future__ import annotations

from IncrementalSegLib.methods.base.incremental_heads import RehearsingHeads, RehearsingOptions
from IncrementalSegLib.registry import register


@register("method", "coriseg")
class CoRiSeg(RehearsingHeads[RehearsingOptions]):
    """Distillation, and rehearsal of exemplars that cover the content of the scans."""

    source = "Ozdemir, Fuernstahl & Goksel, MICCAI 2018, Sec. 2.2, Eq. 3"
    exemplar_order = "content"
