"""CoRiSeg: rehearse exemplars that cover the content of the old scans."""

from __future__ import annotations

from IncrementalSegLib.methods.base.incremental_heads import IncrementalHeads, RehearsalOptions
from IncrementalSegLib.registry import register


@register("method", "coriseg")
class CoRiSeg(IncrementalHeads):
    """Keep old structures by distillation and exemplars chosen for coverage by content distance."""

    needs = frozenset({"teacher", "exemplars"})
    source = "Ozdemir, Fuernstahl & Goksel, MICCAI 2018, Sec. 2.2, Eq. 3"
    distils = True
    exemplar_order = "content"

    class Options(RehearsalOptions):
        """Options of CoRiSeg."""
