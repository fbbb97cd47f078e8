"""Structures before and after a step: scores, and sentences about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from IncrementalSegLib.evaluation.intervals import FEWEST_CASES, MARGIN_POINTS, Comparison, compare
from IncrementalSegLib.evaluation.metrics import CaseScore, StructureScore
from IncrementalSegLib.evaluation.verdicts import HARDLY_LEARNED

State = Literal[
    "new", "higher", "kept", "lower", "unclear", "unknown", "not learned", "harmed", "unsure", "improved", "guaranteed"
]  # fmt: skip

_ALONE = {
    "kept by": "was kept",
    "higher with": "became better",
    "lower with": "lost ground",
    "forgotten by": "was forgotten",
    "unclear with": "may have changed",
    "not learned by": "is not learned",
}


@dataclass(frozen=True)
class Change:
    """One structure before and after a step, by one method.

    Attributes:
        structure: Name of the structure.
        method: Name of the method or version; may be empty where there is only one.
        before: Score before the step; ``None`` for a structure that the step taught.
        after: Score after the step; ``None`` where it was not scored.
        comparison: After - before, paired by case; ``None`` where there is nothing to pair.
        judged: The state where another rule decides it, for example that of the retention gate.
        note: What a reader must know of this row; may be empty.
    """

    structure: str
    method: str
    before: StructureScore | None
    after: StructureScore | None
    comparison: Comparison | None = None
    judged: State | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        structure: str,
        method: str,
        before: StructureScore | None,
        after: StructureScore | None,
        rng: np.random.Generator,
    ) -> Change:
        """Pair the two scores by case and compare them; ``rng`` draws the bootstrap."""
        earlier, later = (
            {(item.case, 0): item.dice for item in side.scores} if side else {} for side in (before, after)
        )
        paired = any(dice is not None and earlier.get(key) is not None for key, dice in later.items())
        return cls(structure, method, before, after, compare(later, earlier, rng) if paired else None)

    @property
    def points(self) -> float | None:
        """Mean change over the paired cases in points of Dice."""
        return None if self.comparison is None else self.comparison.points

    @property
    def cases(self) -> list[tuple[float | None, CaseScore]]:
        """Dice before and score after of each case."""
        earlier = {item.case: item.dice for item in self.before.scores} if self.before else {}
        return [(earlier.get(item.case), item) for item in self.after.scores] if self.after else []

    @property
    def few(self) -> bool:
        """There are too few cases for an interval."""
        return 0 < len(self.cases) < FEWEST_CASES

    @property
    def state(self) -> State:
        """The change of the structure.

        With an interval: ``kept`` where it lies above -2 points, ``higher`` or ``lower`` where it excludes 0, else
        ``unclear``. Without one (fewer than five cases) the mean alone decides between ``kept`` and ``lower``.
        ``not learned`` where no side knows the structure, so that nothing could be kept.
        """
        if self.judged is not None:
            return self.judged
        return "not learned" if self._unlearned() else self._by_interval()

    def _unlearned(self) -> bool:
        dice = [side.dice for side in (self.before, self.after) if side is not None and side.dice is not None]
        return self.after is not None and bool(dice) and max(dice) < HARDLY_LEARNED

    def _by_interval(self) -> State:
        if self.before is None:
            return "unknown" if self.after is None else "new"
        if self.comparison is None:
            return "unknown"
        if self.comparison.low is None:
            return "kept" if self.comparison.points > -MARGIN_POINTS else "lower"
        if self.comparison.verdict == "better":
            return "higher"
        if self.comparison.not_below:
            return "kept"
        return "lower" if self.comparison.verdict == "worse" else "unclear"


def by_structure(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """Group changes by the name of their structure, in the order of its first one."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.structure, []).append(change)
    return groups


def verdict(changes: Sequence[Change]) -> tuple[str, ...]:
    """Describe in plain sentences how well the old structures were kept and the new ones learned.

    Args:
        changes: All structures and methods of one step.

    Returns:
        One sentence per structure, the old ones first; structures that were not scored are left out.
    """
    groups = by_structure(changes).values()
    old = [_fate(group) for group in groups if any(change.before for change in group)]
    new = [_learned(group) for group in groups if not any(change.before for change in group)]
    return tuple(sentence for sentence in (*old, *new) if sentence)


def _fate(group: Sequence[Change]) -> str:
    scored = [
        (change, change.before.dice, change.after.dice)
        for change in group
        if change.before and change.after and change.before.dice is not None and change.after.dice is not None
    ]
    if not scored:
        return ""
    name = f"{group[0].structure[:1].upper()}{group[0].structure[1:]}"
    few = any(change.comparison is not None and change.comparison.low is None for change, _, _ in scored)
    end = " (too few cases for an interval)." if few else "."
    if len(scored) == 1 and not scored[0][0].method:
        change, before, after = scored[0]
        return f"{name} {_ALONE[_word(change, before, after)]}: Dice {before:.2f} → {after:.2f}{end}"
    same = len({f"{before:.2f}" for _, before, _ in scored}) == 1
    fates: dict[str, list[str]] = {}
    for change, before, after in scored:
        numbers = f"{after:.2f}" if same else f"{before:.2f} → {after:.2f}"
        fates.setdefault(_word(change, before, after), []).append(f"{change.method} ({numbers})")
    said = "; ".join(f"{word} {_and(methods)}" for word, methods in fates.items())
    return f"{name}, Dice {scored[0][1]:.2f} before: {said}{end}" if same else f"{name}: {said}{end}"


def _word(change: Change, before: float, after: float) -> str:
    if change.state == "lower":
        return "forgotten by" if after < before / 2 else "lower with"
    words = {"kept": "kept by", "higher": "higher with", "not learned": "not learned by"}
    return words.get(change.state, "unclear with")


def _learned(group: Sequence[Change]) -> str:
    name = f"{group[0].structure[:1].upper()}{group[0].structure[1:]}"
    listings = []
    for word, unlearned in (("was learned", False), ("was not learned", True)):
        dice = [
            f"{change.method} {change.after.dice:.2f}".strip()
            for change in group
            if change.after and change.after.dice is not None and (change.state == "not learned") is unlearned
        ]
        listings += [f"{word}: Dice {', '.join(dice)}"] if dice else []
    return f"{name} {'; '.join(listings)}." if listings else ""


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
