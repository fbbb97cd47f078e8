"""PLOP: pseudo-labels where the previous model is sure, and features pooled at several scales."""

from __future__ import annotations

from IncrementalSegLib.methods.base.pooled_distillation import PooledDistillation, PooledOptions
from IncrementalSegLib.registry import register


@register("method", "plop")
class Plop(PooledDistillation[PooledOptions]):
    """Learn labels and sure pseudo-labels, and hold pooled features of every level (local POD)."""

    source = "Douillard et al., CVPR 2021, Eq. 3-10"
