"""Which cases train and which are set aside for validation and retention."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import Case, naming
from IncrementalSegLib.store.manifest import fingerprint

HELD_OUT_SHARE = 0.2
"""Share of the patients set aside."""

FEWEST_CASES = 4
"""With fewer cases nothing is set aside."""


def split(
    cases: Sequence[Case], seed: int, trained: Collection[str] = (), set_aside: Collection[str] = ()
) -> tuple[list[Case], list[Case]]:
    """Split by patient into training cases and cases set aside.

    What an earlier step set aside stays aside, because it judges what is kept; what trained before is
    never set aside, because its score would flatter.

    Args:
        cases: The step's cases.
        seed: Decides the choice.
        trained: Fingerprints of cases that trained in earlier steps.
        set_aside: Fingerprints of cases that earlier steps set aside.

    Returns:
        Training cases and cases set aside (20 % of the patients, at least one from four cases on, else
        none), each sorted by id.

    Raises:
        DataError: Earlier steps set all of these cases aside.
    """
    ordered = sorted(cases, key=lambda case: case.id)
    prints: dict[str, str] = {}
    for case in ordered if trained or set_aside else ():
        with naming(case):
            prints[case.id] = fingerprint(case.images)
    patients = sorted({case.patient for case in ordered})
    aside = {case.patient for case in ordered if prints.get(case.id) in set_aside}
    if patients and aside == set(patients):
        raise DataError(
            f"All {len(ordered)} cases were set aside for validation by earlier steps of this model.",
            "If they trained now, they could not judge any more what is kept.",
            "Choose other cases, or add some.",
        )
    if len(ordered) >= FEWEST_CASES and len(patients) > 1:
        known = aside | {case.patient for case in ordered if prints.get(case.id) in trained}
        fresh = [patient for patient in patients if patient not in known]
        wanted = max(1, round(HELD_OUT_SHARE * len(patients))) - len(aside)
        count = max(0, min(wanted, len(fresh) - (len(known) == len(aside))))  # somebody must train
        chosen = np.random.default_rng(seed).permutation(len(fresh))[:count]
        aside |= {fresh[index] for index in chosen}
    return [case for case in ordered if case.patient not in aside], [case for case in ordered if case.patient in aside]
