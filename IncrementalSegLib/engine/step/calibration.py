"""The threshold below which a voxel is similar to nothing, calibrated at the end of a step."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.networks.outputs.embedding import Embedding
from IncrementalSegLib.sampling.batch import PreparedCase

UNKNOWN_SHARE = 0.01
"""Share of the voxels of known scans that counts as unknown; our own choice."""

_MOST = 100_000  # voxels of a scan


def calibrate(predictor: Predictor, cases: Sequence[PreparedCase]) -> None:
    """Set the threshold of an embedding output to the 1 % quantile of the largest cosines; others have none.

    Args:
        predictor: The finished model.
        cases: Held-out cases of the step, or its training cases where none are held out.
    """
    output = predictor.model.output
    if not isinstance(output, Embedding):
        return
    samples = []
    for case in cases:
        largest = predictor.similarities(case.image, ())[-1]
        valid = largest.flatten() if case.ignore is None else largest[~case.ignore]
        samples.append(valid[:: max(1, len(valid) // _MOST)])
    known = torch.cat(samples).sort().values
    if len(known):
        output.known_above.fill_(known[int(UNKNOWN_SHARE * len(known))])
