"""DoDNet: one controller generates the head of every structure, from scans that are annotated in part."""

from __future__ import annotations

from IncrementalSegLib.methods.base.generated_heads import GeneratedHeads, GeneratedOptions
from IncrementalSegLib.registry import register


@register("method", "dodnet")
class DoDNet(GeneratedHeads[GeneratedOptions]):
    """Generate each structure's head from a one-hot code and the scan; later steps distil the previous model.

    The paper runs the head of one task for each scan; here the heads of all structures run at once, and those that
    nobody looked for add nothing to the loss.
    """

    source = "Zhang et al., CVPR 2021 (DoDNet), Sec. 3; distillation in later steps is our own extension"
