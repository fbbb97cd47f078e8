"""The simulated user paints the truth where it is wrong and uncertain, and knows nothing else."""

import numpy as np
import pytest

from IncrementalSegLib.correction.user import draw_strokes

SHAPE, MM = (4, 40, 40), (2.0, 1.0, 1.0)


@pytest.fixture
def scene():
    """A square whose right half was missed, and a false island: truth, outline, uncertainty."""
    truth, found = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    truth[1:3, 10:20, 10:20] = True
    found[1:3, 10:20, 10:15] = True
    found[1:3, 30:33, 30:33] = True
    uncertainty = np.full(SHAPE, 0.1, np.float32)
    uncertainty[:, 28:35, 28:35] = 0.9
    return {"a": truth}, {"a": found}, uncertainty


def test_a_stroke_lies_where_the_outline_is_wrong_and_tells_the_truth(scene):
    truth, found, uncertainty = scene
    strokes = draw_strokes(uncertainty, found, truth, MM, 1)
    assert strokes.known[1:3, 31, 31].any()  # the uncertain island comes first, though the missed half is larger
    assert not strokes.painted["a"].any()
    assert not (strokes.known & truth["a"]).any()
    both = draw_strokes(uncertainty, found, truth, MM, 2)
    assert (both.painted["a"] == (both.known & truth["a"])).all()
    assert (both.painted["a"] & ~found["a"]).any()


def test_later_rounds_add_to_earlier_ones(scene):
    truth, found, uncertainty = scene
    first = draw_strokes(uncertainty, found, truth, MM, 1)
    second = draw_strokes(uncertainty, found, truth, MM, 1, first)
    assert (first.known <= second.known).all()
    assert second.known.sum() > first.known.sum()


def test_a_right_outline_gets_no_stroke(scene):
    truth, _, uncertainty = scene
    assert not draw_strokes(uncertainty, truth, truth, MM, 16).known.any()


def test_nothing_is_painted_where_the_truth_is_not_known(scene):
    truth, found, uncertainty = scene
    doubtful = np.zeros(SHAPE, bool)
    doubtful[:, 25:] = True
    assert not (draw_strokes(uncertainty, found, truth, MM, 16, doubtful=doubtful).known & doubtful).any()


def test_a_stroke_is_round_in_millimetres(scene):
    truth, found, uncertainty = scene
    found = {"a": ~truth["a"] | found["a"]}  # wrong everywhere outside: strokes are whole balls
    strokes = draw_strokes(uncertainty, found, truth, MM, 1)
    sizes = np.ptp(np.argwhere(strokes.known), axis=0) + 1
    assert sizes.tolist() in ([3, 5, 5], [2, 5, 5])


def test_the_largest_wrong_place_may_come_first(scene):
    truth, found, uncertainty = scene
    assert draw_strokes(uncertainty, found, truth, MM, 1, guidance="error").painted["a"].any()


def test_random_places_are_wrong_ones_whatever_their_uncertainty(scene):
    truth, found, uncertainty = scene
    wrong = truth["a"] ^ found["a"]
    drawn = []
    for seed in range(8):
        chosen = draw_strokes(uncertainty, found, truth, MM, 1, guidance="random", random=np.random.default_rng(seed))
        assert (chosen.known & wrong).any()
        drawn.append(chosen.painted["a"].any())
    assert {True, False} <= set(drawn)  # the missed half, or the island
