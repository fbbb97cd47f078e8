"""Forgetting: the matrix R[t][k] of scores after every step, and the numbers read from it.

R[t][k] is the mean Dice on structure k after step t. All numbers are 0..1 as Dice is; ``None`` where undefined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from IncrementalSegLib.errors import DataError

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
