"""PLOP: pseudo-labels where the previous model is sure, and features pooled at several scales."""

from __future__ import annotations

from IncrementalSegLib.methods.base.pooled_distillation import PooledDistillation, PooledOptions
from IncrementalSegLib.registry import register


@register("method", "plop")
class Plop(PooledDistillation[PooledOptions]):
    """Confident pseudo-labels, and distillation of pooled features (local POD)."""

    source = "Douillard et al., CVPR 2021, Eq. 3-10"
