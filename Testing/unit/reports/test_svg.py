from __future__ import annotations

import itertools

import numpy as np
import pytest

from IncrementalSegLib.reports.content import Curve, CurveChart, CurvePanel
from IncrementalSegLib.reports.svg import COLORS, GAP, panels, spread, ticks


def only(*curves, unit_range=False):
    (panel,) = panels(CurveChart((CurvePanel("title", curves, unit_range),)))
    return panel


def test_a_curve_is_joined_except_across_gaps():
    (line,) = only(Curve("a", (0, 10, 20, 30, 40), (0.5, 1.0, None, 0.0, None)), unit_range=True).lines
    assert line.path == "M0 50h0L25 0M75 100h0"
    assert line.height == 0.0


def test_curves_of_one_name_have_one_colour_and_those_without_values_are_left_out():
    first, second = (Curve(name, (0, 1), (0.1, 0.2)) for name in "ab")
    both = CurvePanel("one", (first, second)), CurvePanel("two", (Curve("c", (0,), (None,)), second))
    one, two = panels(CurveChart(both))
    assert [(line.name, line.color) for line in one.lines] == [("a", 0), ("b", 1)]
    assert [(line.name, line.color) for line in two.lines] == [("b", 1)]
    assert only(*(Curve(str(n), (0,), (0.5,)) for n in range(COLORS + 1))).lines[-1].color == 0


def test_the_grid_holds_all_values_and_zero():
    panel = only(Curve("points", (0, 100, 240), (0.3, -97.5, None)))
    assert [level for _, level in panel.levels] == [-100, -80, -60, -40, -20, 0, 20]
    assert (panel.levels[0][0], panel.levels[-1][0]) == (0, 100)
    assert [step for _, step in panel.steps] == [0, 50, 100, 150, 200]
    assert [level for _, level in only(Curve("none", (0,), (0.0,))).levels] == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert [step for _, step in only(Curve("one", (0, 1), (0.0, 1.0))).steps] == [0, 1]
    assert only().lines == []


@pytest.mark.parametrize("low", [-1000, -97.5, -0.3, 0])
def test_ticks_are_few_and_around_everything(low):
    for high in (*range(1, 2000, 7), 0.01, 0.3):
        found = ticks(low, high)
        assert 2 <= len(found) <= 7
        assert found[0] <= low
        assert found[-1] >= high


def test_names_of_curves_do_not_overlap():
    wanted = [90.0, 91.0, 10.0, 90.5, 90.0]
    placed = spread(wanted, GAP)
    assert all(high - low >= GAP - 0.1 for low, high in itertools.pairwise(sorted(placed)))
    assert np.argsort(placed, kind="stable").tolist() == np.argsort(wanted, kind="stable").tolist()
