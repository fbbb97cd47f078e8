from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.text import Text

from IncrementalSegLib.evaluation.charts import _spread, draw_changes, draw_curves, draw_matrices
from IncrementalSegLib.evaluation.content import (
    Change,
    ChangeChart,
    Curve,
    CurveChart,
    CurvePanel,
    MatrixChart,
    SliceGrid,
    SliceRow,
)
from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.evaluation.metrics import CaseScore, summarise
from IncrementalSegLib.evaluation.slices import draw_slices
from IncrementalSegLib.evaluation.theme import DARK, LIGHT

RNG = np.random.default_rng
METHODS = ("finetune", "separate", "lwfseg", "reseg", "aeiseg", "coriseg", "pseudo-label", "finetune-softmax")
NAMES = ("left latissimus dorsi", "aorta", "third lumbar vertebra", "L4")


def scored(mean, count=6):
    values = mean + 0.01 * np.linspace(-1, 1, count)
    return summarise([CaseScore(f"c{i}", f"c{i}", float(v), 1.0, 2.0, 9, 9) for i, v in enumerate(values)], RNG(0))


def change(structure, method, before, after):
    return Change.of(structure, method, scored(before) if before else None, scored(after), RNG(0))


def matrix(steps):
    names = tuple(NAMES[index % 4] for index in range(steps))
    rows = tuple(tuple(0.9 if k <= t else None for k in range(steps)) for t in range(steps))
    return ScoreMatrix(names, tuple(range(steps)), rows)


def curves(count):
    lines = tuple(Curve(name, (0, 10, 20), (0.1, None, 0.8)) for name in METHODS)
    noisy = (Curve("finetune", tuple(range(200)), tuple(0.2 + 0.3 * RNG(0).random(200))),)
    panel = CurvePanel("Validation Dice", lines, unit_range=True, marks=((0, "aorta is taught"),))
    return CurveChart((CurvePanel("Loss", noisy, logarithmic=True), *[panel] * count))


def slices(columns):
    disc = np.hypot(*np.mgrid[-20:20, -15:15]) < 9
    image = RNG(0).normal(size=disc.shape)
    full, rgb = np.ones_like(disc), RNG(0).integers(0, 255, (*disc.shape, 3))
    rows = (
        SliceRow("case-0001 third lumbar vertebra", image, disc, (disc,) * columns, ("Dice 1.00",) * columns),
        SliceRow("flat", np.zeros_like(image), ~full, (None,) * columns, aspect=4.0),
        SliceRow("colour", rgb, full, (~full,) * columns, aspect=0.2),
    )
    return SliceGrid(METHODS[:columns], rows)


FIGURES = {
    "changes": lambda: draw_changes(
        ChangeChart(tuple(change(name, method, 0.9, 0.5) for name in NAMES for method in METHODS)), LIGHT
    ),
    "changes of one method": lambda: draw_changes(
        ChangeChart((change(NAMES[0], "", 0.9, 0.91), change("aorta", "", None, 0.99))), DARK
    ),
    "no change": lambda: draw_changes(ChangeChart(()), LIGHT),
    "curves": lambda: draw_curves(curves(2), LIGHT),
    "one matrix": lambda: draw_matrices(MatrixChart((("lwfseg", matrix(2)),)), LIGHT),
    "many matrices": lambda: draw_matrices(MatrixChart(tuple((name, matrix(3)) for name in METHODS)), DARK),
    "long chain": lambda: draw_matrices(MatrixChart((("lwfseg", matrix(12)),)), LIGHT),
    "slices": lambda: draw_slices(slices(2)),
    "slices of many methods": lambda: draw_slices(slices(8)),
    "slices under a title of lines": lambda: draw_slices(replace(slices(1), columns=("worst: pcdd\n+a=0\n+b=0",))),
}


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_is_cut_off(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= width
    assert box.y1 <= height


def test_dumbbells_show_the_numbers_of_the_table():
    chart = ChangeChart((change("aorta", "finetune", 0.9, 0.1), change("aorta", "lwfseg", None, 0.8)))
    said = [text.get_text() for text in draw_changes(chart, LIGHT).findobj(Text)]
    assert {"aorta", "finetune", "0.90 → 0.10", "−80.0", "lwfseg", "0.80", "new"} <= set(said)
    assert "after: lower" in said


def test_names_of_methods_end_before_the_axis():
    figure = draw_changes(ChangeChart(tuple(change("aorta", method, 0.9, 0.02) for method in METHODS)), LIGHT)
    figure.canvas.draw()
    axis = figure.axes[0].get_window_extent().x0
    assert all(text.get_window_extent().x1 < axis for text in figure.findobj(Text) if text.get_text() in METHODS)


def test_prediction_and_truth_have_their_own_line_styles():
    figure = draw_slices(slices(1))
    truth_only, both = figure.axes[:2]
    assert (len(truth_only.collections), len(both.collections)) == (1, 2)
    styles = {collection.get_linestyle()[0][1] is None for collection in both.collections}
    assert styles == {True, False}  # solid, dashed
    assert [len(ax.collections) for ax in figure.axes[2:]] == [0, 0, 1, 1]  # an empty mask has no outline


def test_the_name_of_a_case_is_broken_where_a_person_would():
    image = np.zeros((4, 5))
    row = SliceRow("humerus, shoulder_A_0_004", image, image > 0, (None,))
    figure = draw_slices(SliceGrid(("after",), (row,)))
    assert "humerus,\nshoulder_A_0_\n004" in [text.get_text() for text in figure.texts]


def test_names_of_curves_do_not_overlap():
    wanted = [0.9, 0.91, 0.1, 0.905, 0.9]
    placed = _spread(wanted, 0.06)
    assert all(high - low >= 0.059 for low, high in itertools.pairwise(sorted(placed)))
    assert np.argsort(placed, kind="stable").tolist() == np.argsort(wanted, kind="stable").tolist()
