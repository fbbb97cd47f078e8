"""Trainers of nnU-Net that leave the network as the plans describe it."""

from __future__ import annotations

import re
from pathlib import Path

from IncrementalSegLib.engine.adoption.refusal import refused

_LENGTH = r"(_\d+epochs?)?(_NoMirroring)?"
_KNOWN = re.compile(
    "nnUNetTrainer"
    "("
    f"{_LENGTH}"
    "|Benchmark_5epochs(_noDataLoading)?"
    "|(Adam|VanillaAdam)(1en3|3en4)?|Adan(1en1|1en3|3en4|CosAnneal)?|CosAnneal|_warmup"
    "|CELoss(_5epochs)?|DiceLoss|DiceCELoss_noSmooth|DiceTopK10Loss|Topk10Loss(LS01)?"
    "|DA5(_10epochs|ord0|Segord0)?|DAOrd0|NoDA|NoMirroring|_DASegOrd0(_NoMirroring)?|_noDummy2DDA"
    "|_onlyMirror01(_1500ep|_DA5|_DASegOrd0)?"
    "|NoDeepSupervision|_probabilisticOversampling(_010|_033)?"
    ")"
)
"""Names of those that nnU-Net 2.8 and earlier brings, less those with another network (BN, Primus, pre-trained)."""


def check_trainer(name: str, path: Path) -> None:
    """Refuse a trainer that changes the network, or that is not one of nnU-Net's own.

    Raises:
        ModelError: It may have another network.
    """
    if not _KNOWN.fullmatch(name):
        raise refused(
            path,
            f"it was trained by {name[:100]}",
            "A trainer can change the network in its code, which is not in the folder; only those of nnU-Net that keep "
            "to the plans are known.",
            "Train the model with nnUNetTrainer, or one of its variants in nnU-Net.",
        )
