"""AeiSeg: rehearse exemplars that cover the abstraction layer."""

from __future__ import annotations

from IncrementalSegLib.methods.base.incremental_heads import IncrementalHeads, RehearsalOptions
from IncrementalSegLib.registry import register


@register("method", "aeiseg")
class AeiSeg(IncrementalHeads):
    """Keep old structures by distillation and exemplars chosen for coverage in the abstraction layer."""

    needs = frozenset({"teacher", "exemplars"})
    source = "Ozdemir, Fuernstahl & Goksel, MICCAI 2018, Sec. 2.2 (abstraction layer)"
    distils = True
    exemplar_order = "abstraction"

    class Options(RehearsalOptions):
        """Options of AeiSeg."""
