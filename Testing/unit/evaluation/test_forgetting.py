from __future__ import annotations

import pytest

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.evaluation.forgetting import ScoreMatrix

# Three steps; the second teaches two structures. The pelvis is scored before it was learned.
TABLE = ScoreMatrix(
    ("femur", "tibia", "fibula", "pelvis"),
    (0, 1, 1, 2),
    (
        (0.90, 0.10, None, None),
        (0.95, 0.80, 0.60, 0.30),
        (0.70, 0.85, None, 0.90),
    ),
)


def test_numbers_of_a_hand_computed_table():
    assert TABLE.average() == pytest.approx((0.70 + 0.85 + 0.90) / 3)
    assert TABLE.forgetting() == (pytest.approx(0.25), pytest.approx(-0.05), None, None)
    assert TABLE.mean_forgetting() == pytest.approx(0.10)


def test_forgetting_counts_from_the_best_earlier_score():
    assert ScoreMatrix(("femur",), (0,), ((0.6,), (0.9,), (0.8,), (0.5,))).forgetting() == (pytest.approx(0.4),)


def test_what_is_undefined_is_none():
    first = ScoreMatrix(("femur",), (0,), ((0.9,),))
    assert (first.forgetting(), first.mean_forgetting(), first.average()) == ((None,), None, 0.9)
    assert ScoreMatrix((), (), ()).average() is None


@pytest.mark.parametrize(("learned", "rows"), [((0,), ((0.5, 0.5),)), ((1,), ((0.5,),)), ((), ((0.5,),))])
def test_tables_that_do_not_fit_are_refused(learned, rows):
    with pytest.raises(DataError):
        ScoreMatrix(("femur",), learned, rows)
