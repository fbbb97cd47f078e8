"""ReSeg: rehearse random exemplars; shows whether choosing them pays."""

from __future__ import annotations

from IncrementalSegLib.methods.base.incremental_heads import IncrementalHeads, RehearsalOptions
from IncrementalSegLib.registry import register


@register("method", "reseg")
class ReSeg(IncrementalHeads):
    """Keep old structures by distillation and exemplars drawn at random; the control of AeiSeg and CoRiSeg."""

    needs = frozenset({"teacher", "exemplars"})
    source = "Ozdemir & Goksel, IJCARS 2019 (code of the journal extension)"
    distils = True
    exemplar_order = "random"

    class Options(RehearsalOptions):
        """Options of ReSeg."""
