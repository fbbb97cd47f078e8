"""Forgetting: the matrix R[t][k] of scores after every step, and the numbers read from it.

R[t][k] is the mean Dice on structure k after step t. All numbers are 0..1 as Dice is; ``None`` where undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.types import Json

Row = tuple[float | None, ...]


@dataclass(frozen=True)
class ScoreMatrix:
    """The scores of all structures after every step.

    Attributes:
        structures: Names of the K structures.
        learned: Index (from 0) of the step that taught each structure first.
        rows: R, one row per step, one value per structure; ``None`` where it was not scored.

    Raises:
        DataError: A row has not one value per structure, or a structure was learned in no step.
    """

    structures: tuple[str, ...]
    learned: tuple[int, ...]
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        size = len(self.structures)
        if len(self.learned) != size or any(len(row) != size for row in self.rows):
            raise DataError(
                f"The score matrix has rows of {[len(row) for row in self.rows]} values for {size} structures.",
                todo="Give one value, or None, per step and structure.",
            )
        if any(not 0 <= step < len(self.rows) for step in self.learned):
            raise DataError(
                f"The structures were learned in steps {self.learned}, but the matrix has {len(self.rows)} steps.",
                todo="Count steps from 0 and add the missing rows.",
            )

    @property
    def last(self) -> Row:
        """The scores after the last step."""
        return self.rows[-1] if self.rows else ()

    def average(self) -> float | None:
        """Average accuracy A_T = mean_k R[T][k] over the structures scored after the last step."""
        return _mean(self.last)

    def forgetting(self) -> Row:
        """Forgetting F_k = max_{t<T} R[t][k] - R[T][k]; ``None`` for what the last step taught."""
        return tuple(self._forgotten(index) for index in range(len(self.structures)))

    def mean_forgetting(self) -> float | None:
        """Mean of F_k over the structures that have one."""
        return _mean(self.forgetting())

    def backward_transfer(self) -> float | None:
        """BWT = mean_k (R[T][k] - R[k][k]) over the structures learned before the last step; below 0 is forgetting."""
        changes = [
            _minus(self.last[index], self.rows[step][index])
            for index, step in enumerate(self.learned)
            if step < len(self.rows) - 1
        ]
        return _mean(changes)

    def forward_transfer(self, untrained: Sequence[float | None]) -> float | None:
        """FWT = mean_k (R[k-1][k] - R_rand[k]) over the structures learned after the first step.

        Args:
            untrained: Dice of a randomly initialised network on each structure.
        """
        gains = [
            _minus(self.rows[step - 1][index], untrained[index]) for index, step in enumerate(self.learned) if step > 0
        ]
        return _mean(gains)

    def old_new_all(self) -> tuple[float | None, float | None, float | None]:
        """Mean Dice after the last step of the first step's structures, of all later ones, and of all."""
        old = [value for value, step in zip(self.last, self.learned, strict=True) if step == 0]
        new = [value for value, step in zip(self.last, self.learned, strict=True) if step > 0]
        return _mean(old), _mean(new), self.average()

    def to_json(self) -> Json:
        """Return the matrix and the numbers read from it as a JSON object."""
        return {
            "structures": list(self.structures),
            "learned": list(self.learned),
            "matrix": [list(row) for row in self.rows],
            "average": self.average(),
            "forgetting": list(self.forgetting()),
            "mean_forgetting": self.mean_forgetting(),
            "backward_transfer": self.backward_transfer(),
        }

    def _forgotten(self, index: int) -> float | None:
        if self.learned[index] == len(self.rows) - 1:
            return None
        earlier = [value for row in self.rows[:-1] if (value := row[index]) is not None]
        return _minus(max(earlier), self.last[index]) if earlier else None


def _minus(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left - right


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None
