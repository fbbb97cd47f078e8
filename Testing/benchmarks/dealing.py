"""Training and test patients of a data set."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import Case
from Testing.benchmarks.protocol import Data

_VALIDATION_SHARE = 0.25


def deal_patients(cases: Sequence[Case], asked: Data, *, validation: bool) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Return the training cases and the test cases.

    Args:
        cases: All cases of the data set.
        asked: How many patients are the test, and the seed that draws them.
        validation: The test patients are left out, and a quarter of the others are the test.

    Raises:
        DataError: There are too few patients.
    """
    patients = sorted({case.patient for case in cases})
    if len(patients) <= asked.test_volumes:
        raise DataError(
            f"{asked.folder} has {len(patients)} patients in all; {asked.test_volumes} are the test.",
            todo="Use the whole data set.",
        )
    dealt = np.random.default_rng(asked.seed).permutation(patients).tolist()
    test, others = dealt[: asked.test_volumes], dealt[asked.test_volumes :]
    if validation:
        count = max(1, round(_VALIDATION_SHARE * len(others)))
        test, others = others[:count], others[count:]
    return of_patients(cases, others), of_patients(cases, test)


def of_patients(cases: Sequence[Case], patients: Collection[str]) -> tuple[Case, ...]:
    """Return the cases of some patients."""
    return tuple(case for case in cases if case.patient in patients)
