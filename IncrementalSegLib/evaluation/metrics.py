"""Dice, ASSD and HD95 of one case, and what they come to over the cases of a structure.

Definitions, with the surface of a mask being its voxels that have a face neighbour outside the mask (beyond the border
of the image is outside; an axis of length one has no neighbours, so a 2-D image has a 2-D outline):

- Dice = 2 |P n T| / (|P| + |T|), 0..1;
- ASSD = mean of the distances from every surface voxel of either mask to the nearest one of the other, both pooled;
- HD95 = the larger of the two directed 95th percentiles of these distances (linear interpolation).

Empty masks have defined values, chosen so that no mean is too optimistic:

=========  ============  ====  =========  ======================================
truth      prediction    Dice  distances  counted as
=========  ============  ====  =========  ======================================
empty      empty         None  None       ``correctly_absent``, in no mean
empty      not empty     0     None       ``falsely_present``, in the mean Dice
not empty  empty         0     None       ``missed``, in the mean Dice
=========  ============  ====  =========  ======================================
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, distance_transform_edt

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.evaluation.intervals import Interval, mean_interval
from IncrementalSegLib.types import Json

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class CaseScore:
    """Scores of one structure in one case.

    Attributes:
        case: Name of the case.
        patient: Name of the patient.
        dice: Dice, 0..1; ``None`` where truth and prediction are both empty.
        assd_mm: Average symmetric surface distance in mm; ``None`` where a mask is empty.
        hd95_mm: 95 % Hausdorff distance in mm; ``None`` where a mask is empty.
        voxels_truth: Voxels of the structure in the truth.
        voxels_predicted: Voxels of the structure in the prediction.
        seen_in_training: The case was used to train the model, so that its score is optimistic.
    """

    case: str
    patient: str
    dice: float | None
    assd_mm: float | None
    hd95_mm: float | None
    voxels_truth: int
    voxels_predicted: int
    seen_in_training: bool = False

    @property
    def missed(self) -> bool:
        """The structure is there and nothing was predicted."""
        return self.voxels_truth > 0 and self.voxels_predicted == 0

    @property
    def correctly_absent(self) -> bool:
        """The structure is not there and nothing was predicted."""
        return self.voxels_truth == 0 and self.voxels_predicted == 0

    @property
    def falsely_present(self) -> bool:
        """The structure is not there and something was predicted."""
        return self.voxels_truth == 0 and self.voxels_predicted > 0

    def to_json(self) -> Json:
        """Return the score as a JSON object."""
        return {
            "case": self.case,
            "patient": self.patient,
            "dice": self.dice,
            "assd_mm": self.assd_mm,
            "hd95_mm": self.hd95_mm,
            "voxels_truth": self.voxels_truth,
            "voxels_predicted": self.voxels_predicted,
            "seen_in_training": self.seen_in_training,
        }


@dataclass(frozen=True)
class StructureScore:
    """Scores of one structure over several cases.

    Attributes:
        scores: The cases, in the order given.
        dice: Mean Dice of the cases that have one, or ``None``.
        dice_ci: 95 % interval of that mean, or ``None`` with fewer than five patients.
        assd_mm: Mean ASSD in mm of the cases in which truth and prediction are both there, or ``None``.
        hd95_mm: Mean HD95 in mm of the same cases, or ``None``.
    """

    scores: tuple[CaseScore, ...]
    dice: float | None
    dice_ci: Interval | None
    assd_mm: float | None
    hd95_mm: float | None

    @property
    def cases(self) -> int:
        """Number of cases behind the mean Dice; the correctly absent ones come on top."""
        return sum(score.dice is not None for score in self.scores)

    @property
    def seen_in_training(self) -> int:
        """Number of all cases that were used to train the model."""
        return sum(score.seen_in_training for score in self.scores)

    def seen(self, name: str) -> str:
        """Say of how many cases of a structure the score is optimistic; empty where of none."""
        if not self.seen_in_training:
            return ""
        return (
            f"{name}: {self.seen_in_training} of {len(self.scores)} cases were used for training, so the score is "
            "optimistic."
        )

    @property
    def missed(self) -> int:
        """Number of cases in which the structure is there and nothing was predicted."""
        return sum(score.missed for score in self.scores)

    @property
    def correctly_absent(self) -> int:
        """Number of cases in which the structure is not there and nothing was predicted."""
        return sum(score.correctly_absent for score in self.scores)

    @property
    def falsely_present(self) -> int:
        """Number of cases in which the structure is not there and something was predicted."""
        return sum(score.falsely_present for score in self.scores)

    def to_json(self) -> Json:
        """Return the score as a JSON object with the cases listed under ``per_case``."""
        return {
            "dice": self.dice,
            "dice_ci": None if self.dice_ci is None else list(self.dice_ci),
            "assd_mm": self.assd_mm,
            "hd95_mm": self.hd95_mm,
            "cases": self.cases,
            "seen_in_training": self.seen_in_training,
            "missed": self.missed,
            "correctly_absent": self.correctly_absent,
            "falsely_present": self.falsely_present,
            "per_case": [score.to_json() for score in self.scores],
        }


def score(
    prediction: Mask,
    truth: Mask,
    spacing_dhw_mm: Sequence[float],
    *,
    case: str = "",
    patient: str = "",
    seen_in_training: bool = False,
) -> CaseScore:
    """Score one mask against the truth.

    Args:
        prediction: Predicted mask ``(D, H, W)``, bool; D is 1 for a 2-D image.
        truth: True mask ``(D, H, W)``, bool, on the same grid.
        spacing_dhw_mm: Millimetres between samples along D, H, W: the reverse of a file's x, y, z.
        case: Name of the case.
        patient: Name of the patient; empty means that it is the case.
        seen_in_training: The case was used to train the model.

    Returns:
        The score; see the table at the top of the file for empty masks.

    Raises:
        GeometryError: The masks differ in shape, or the spacing does not fit them.
        DataError: A mask is not of type bool.
    """
    _check(prediction, truth, spacing_dhw_mm)
    in_truth, in_prediction = int(np.count_nonzero(truth)), int(np.count_nonzero(prediction))
    dice = assd = hd95 = None
    if in_truth + in_prediction:
        dice = 2.0 * int(np.count_nonzero(prediction & truth)) / (in_truth + in_prediction)
    if in_truth and in_prediction:
        there, back = _surface_distances(prediction, truth, spacing_dhw_mm)
        assd = float((there.sum() + back.sum()) / (there.size + back.size))
        hd95 = float(max(np.percentile(there, 95), np.percentile(back, 95)))
    return CaseScore(
        case=case,
        patient=patient or case,
        dice=dice,
        assd_mm=assd,
        hd95_mm=hd95,
        voxels_truth=in_truth,
        voxels_predicted=in_prediction,
        seen_in_training=seen_in_training,
    )


def _surface_distances(
    prediction: Mask, truth: Mask, spacing_dhw_mm: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Measure how far the surfaces of two masks are apart.

    Args:
        prediction: Mask ``(D, H, W)``, bool, not empty.
        truth: Mask ``(D, H, W)``, bool, not empty, on the same grid.
        spacing_dhw_mm: Millimetres between samples along D, H, W.

    Returns:
        Distances in mm from each surface voxel of the prediction to the truth's surface, and the other way round.
    """
    axes = [axis for axis, length in enumerate(truth.shape) if length > 1] or [0]
    sampling = [spacing_dhw_mm[axis] for axis in axes]
    flat = [mask.reshape([truth.shape[axis] for axis in axes]) for mask in (prediction, truth)]
    either = flat[0] | flat[1]
    box = tuple(_extent(either, axis) for axis in range(either.ndim))
    predicted, true = (mask[box] & ~binary_erosion(mask[box]) for mask in flat)
    there = distance_transform_edt(~true, sampling=sampling)[predicted]
    back = distance_transform_edt(~predicted, sampling=sampling)[true]
    return np.asarray(there, dtype=np.float64), np.asarray(back, dtype=np.float64)


def summarise(scores: Sequence[CaseScore], rng: np.random.Generator) -> StructureScore:
    """Average the cases of one structure.

    Args:
        scores: One score per case in which the structure was looked for.
        rng: Source of the bootstrap's draws.

    Returns:
        Means over the cases that have a value, with the interval of the mean Dice by bootstrap over patients.
    """
    counted = [(item.dice, item.patient) for item in scores if item.dice is not None]
    values = [dice for dice, _ in counted]
    return StructureScore(
        scores=tuple(scores),
        dice=_mean(values),
        dice_ci=mean_interval(values, rng, groups=[patient for _, patient in counted]),
        assd_mm=_mean([item.assd_mm for item in scores if item.assd_mm is not None]),
        hd95_mm=_mean([item.hd95_mm for item in scores if item.hd95_mm is not None]),
    )


def _check(prediction: Mask, truth: Mask, spacing: Sequence[float]) -> None:
    for name, mask in (("prediction", prediction), ("truth", truth)):
        if mask.dtype != np.bool_:
            raise DataError(f"The {name} has the type {mask.dtype}, not bool.", todo="Pass `labels == value`.")
    if prediction.shape != truth.shape:
        raise GeometryError(
            f"The prediction has the shape {prediction.shape} and the truth {truth.shape}.",
            "They can only be compared on the same grid.",
            "Resample the prediction onto the scan's own grid.",
        )
    if len(spacing) != truth.ndim or not all(np.isfinite(step) and step > 0 for step in spacing):
        raise GeometryError(
            f"The spacing {tuple(spacing)} does not fit a mask with {truth.ndim} axes.",
            todo="Pass one positive number of millimetres per axis.",
        )


def _extent(mask: Mask, axis: int) -> slice:
    hits = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
    return slice(int(hits[0]), int(hits[-1]) + 1)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
