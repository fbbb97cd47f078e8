"""Finetuning: the trunk follows the new structure and nothing holds the old ones."""

from __future__ import annotations

from IncrementalSegLib.methods.base.incremental_heads import HeadOptions, IncrementalHeads
from IncrementalSegLib.registry import register


@register("method", "finetune")
class Finetune(IncrementalHeads[HeadOptions]):
    """Training on the new structures alone; the lower bound."""

    source = "Ozdemir, Fuernstahl & Goksel, MICCAI 2018, Sec. 3 (finetuned)"
    retains = False
