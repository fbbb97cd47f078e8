"""ReSeg: rehearse random exemplars; shows whether choosing them pays."""

from __future__ import annotations

from IncrementalSegLib.methods.base.incremental_heads import RehearsingHeads, RehearsingOptions
from IncrementalSegLib.registry import register


@register("method", "reseg")
class ReSeg(RehearsingHeads[RehearsingOptions]):
    """Distillation, and rehearsal of exemplars drawn at random; the control."""

    source = "Ozdemir & Goksel, IJCARS 2019 (code of the journal extension)"
    exemplar_order = "random"
