"""Partial labels: strokes always teach, the rest where propagation changed it and is certain."""

import numpy as np
import pytest

from IncrementalSegLib.correction.partial import partial_labels

BEFORE = [[0.5, 0.5, 0.5, 0.96, 0.2], [0.2, 0.2, 0.2, 0.02, 0.1]]
AFTER = [[0.97, 0.8, 0.01, 0.96, 0.3], [0.01, 0.1, 0.02, 0.02, 0.6]]


def maps(rows):
    return np.array(rows, np.float32).reshape(2, 1, 1, 5)


@pytest.mark.parametrize("exclusive", [True, False])
def test_what_is_known(exclusive):
    painted, background = np.zeros((2, 1, 1, 5), bool), np.zeros((1, 1, 5), bool)
    painted[1, 0, 0, 4] = True  # against the probability
    labels, known = partial_labels(maps(BEFORE), maps(AFTER), painted, background, exclusive)
    # 0: certain; 1: uncertain; 2: certain background; 3: certain but unchanged; 4: stroke
    assert known[0, 0].tolist() == [True, False, True, False, True]
    assert labels[:, 0, 0].tolist() == [[True, False, False, False, False], [False, False, False, False, True]]


def test_a_stroke_of_the_background_teaches():
    background = np.zeros((1, 1, 5), bool)
    background[0, 0, 3] = True
    nothing = np.zeros((2, 1, 1, 5), bool)
    labels, known = partial_labels(maps(BEFORE), maps(BEFORE), nothing, background, exclusive=True)
    assert known[0, 0].tolist() == [False, False, False, True, False]
    assert not labels.any()


def test_strokes_alone_teach_where_nothing_is_certain_enough():
    painted = np.zeros((2, 1, 1, 5), bool)
    painted[0, 0, 0, 1] = True
    _, known = partial_labels(maps(BEFORE), maps(AFTER), painted, painted[0] & False, exclusive=True, certain=2.0)
    assert known[0, 0].tolist() == [False, True, False, False, False]
