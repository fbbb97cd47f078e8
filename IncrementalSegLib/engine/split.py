"""Which cases train and which are set aside for validation and retention."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from IncrementalSegLib.sampling.cases import Case

HELD_OUT_SHARE = 0.2
"""Share of the patients set aside."""

FEWEST_CASES = 4
"""With fewer cases nothing is set aside."""


def split(cases: Sequence[Case], seed: int) -> tuple[list[Case], list[Case]]:
    """Split by patient into training cases and cases set aside.

    Args:
        cases: The step's cases.
        seed: Decides the choice.

    Returns:
        Training cases and cases set aside (at least one from four cases on, else none), each sorted by id.
    """
    ordered = sorted(cases, key=lambda case: case.id)
    patients = sorted({case.patient for case in ordered})
    if len(ordered) < FEWEST_CASES or len(patients) < 2:
        return ordered, []
    count = max(1, round(HELD_OUT_SHARE * len(patients)))
    chosen = np.random.default_rng(seed).permutation(len(patients))[:count]
    aside = {patients[index] for index in chosen}
    return [case for case in ordered if case.patient not in aside], [case for case in ordered if case.patient in aside]
