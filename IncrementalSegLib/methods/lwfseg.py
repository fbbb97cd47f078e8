"""LwfSeg: distil the old heads on the new scans; no old scan is kept."""

from __future__ import annotations

from IncrementalSegLib.methods.base.incremental_heads import DistillingHeads, DistillingOptions
from IncrementalSegLib.registry import register


@register("method", "lwfseg")
class LwfSeg(DistillingHeads[DistillingOptions]):
    """Distillation: the previous model's output on the new scans is a target."""

    source = "Ozdemir, Fuernstahl & Goksel, MICCAI 2018, Sec. 2.1, Eq. 1-2"
