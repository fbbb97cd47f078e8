"""Charts on real MRML: their nodes are reused, hidden, not saved, and made again after the scene was closed."""

import pytest
import qt
import slicer
import vtk
from IncrementalSegPanel.pages.Plots import AMBER, BLUE, MOST_CURVES, Chart
from standin.events import settle, wait
from standin.qt import binding

KINDS = ("PlotView", "PlotChart", "PlotSeries", "Table")


@pytest.fixture
def chart():
    return made("test")


def made(name):
    holder = binding.keep(qt.QFrame())
    qt.QVBoxLayout(holder)
    chart = Chart(name, holder)
    chart._turn()  # its view is made now, else when it is drawn
    return chart


def nodes(*kinds):
    return [node for kind in kinds or KINDS for node in slicer.util.getNodesByClass(f"vtkMRML{kind}Node")]


def drawn(node):
    """Return the points of a series as the table holds them."""
    table = node.GetTableNode().GetTable()
    columns = [table.GetColumnByName(name) for name in (node.GetXColumnName(), node.GetYColumnName())]
    return [tuple(column.GetValue(row) for column in columns) for row in range(table.GetNumberOfRows())]


def test_a_curve_has_its_points_and_looks(chart):
    chart.curve({"new": [(0.0, 0.1), (0.5, 0.6)], "old": [(0.5, -0.01)]}, "share", "Dice", xRange=(0, 1))
    shown = chart.view.mrmlPlotViewNode().GetPlotChartNode()
    first, second = (shown.GetNthPlotSeriesNode(number) for number in range(shown.GetNumberOfPlotSeriesNodes()))
    assert (first.GetName(), drawn(first)) == ("new", [(0.0, 0.1), (0.5, 0.6)])
    assert (second.GetName(), drawn(second)) == ("old", 2 * [(0.5, -0.01)])  # a line needs two points
    assert first.GetColor() == BLUE
    assert second.GetColor() == AMBER
    assert first.GetMarkerStyle() != second.GetMarkerStyle()  # never colour alone
    assert first.IsXColumnRequired()
    assert shown.GetXAxisRange() == (0, 1)
    assert not shown.GetXAxisRangeAuto()
    assert shown.GetYAxisRangeAuto()
    assert (shown.GetXAxisTitle(), shown.GetYAxisTitle()) == ("share", "Dice")


def test_the_view_is_made_and_drawn_in_turns_after_there_is_something_to_draw():
    holder = binding.keep(qt.QFrame())
    qt.QVBoxLayout(holder)
    chart = Chart("late", holder)
    settle()
    assert chart.view is None
    chart.bars([1], ["a"], [0.9], [0.8])
    chart.bars([1], ["a"], [0.7], [0.8])
    assert (chart.view, nodes()) == (None, [])
    while chart.view is None:
        settle(1)
    assert nodes() == []
    wait(nodes)
    assert drawn(nodes("PlotSeries")[0]) == [(1, 0.7)]


def test_bars_stand_at_the_rows_of_the_table_and_say_their_names(chart):
    chart.bars([1, 3], ["humerus", "scapula"], [0.9, 0.8], [0.7, 0.81])
    before, after = nodes("PlotSeries")
    assert drawn(before) == [(1, 0.9), (3, 0.8)]
    assert drawn(after) == [(1, 0.7), (3, 0.81)]
    assert before.GetPlotType() == before.PlotTypeScatterBar
    labels = before.GetTableNode().GetTable().GetColumnByName(before.GetLabelColumnName())
    assert [labels.GetValue(row) for row in range(2)] == ["humerus", "scapula"]


def test_coverage_counts_from_one(chart):
    chart.coverage({"humerus": [0.5, 0.7, 0.75]})
    assert drawn(nodes("PlotSeries")[0]) == [(1, 0.5), (2, 0.7), (3, 0.75)]
    assert nodes("PlotChart")[0].GetYAxisRange() == (0, 1)


def test_drawing_again_changes_the_nodes_and_adds_none(chart):
    chart.curve({"a": [(0, 1)], "b": [(0, 2)]}, "x", "y")
    before = nodes()
    for last in range(1, 5):
        chart.curve({"a": [(0, 1), (last, 3)], "b": [(0, 2)]}, "x", "y")
    assert nodes() == before
    assert drawn(nodes("PlotSeries")[0]) == [(0, 1), (4, 3)]


def test_the_same_points_are_not_drawn_again(chart):
    chart.curve({"a": [(0, 1)]}, "x", "y")
    events = []
    nodes("PlotChart")[0].AddObserver("ModifiedEvent", lambda *_: events.append(1))
    chart.curve({"a": [(0, 1)]}, "x", "y")
    assert events == []
    chart.curve({"a": [(0, 2)]}, "x", "y")
    assert events  # the view is told


def test_series_that_are_gone_leave_nothing(chart):
    chart.curve({name: [(0, 1)] for name in "abc"}, "x", "y")
    chart.curve({"a": [(0, 1)]}, "x", "y")
    assert len(nodes("PlotSeries")) == len(nodes("Table")) == 1
    assert nodes("PlotChart")[0].GetNumberOfPlotSeriesNodes() == 1


def test_no_more_curves_than_can_be_told_apart(chart):
    chart.curve({str(number): [(0, 1)] for number in range(20)}, "x", "y")
    assert len(nodes("PlotSeries")) == MOST_CURVES


def test_nodes_are_hidden_and_not_saved(chart, tmp_path):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    listed = hierarchy.GetNumberOfItems()
    chart.bars([1], ["a"], [0.9], [0.8])
    assert all(node.GetHideFromEditors() and not node.GetSaveWithScene() for node in nodes())
    assert hierarchy.GetNumberOfItems() == listed
    path = tmp_path / "scene.mrml"
    slicer.mrmlScene.SetURL(str(path))
    assert slicer.mrmlScene.Commit(str(path))
    assert "IncrementalSeg" not in path.read_text()


def test_slicers_layout_leaves_the_view_alone(chart):
    chart.bars([1], ["a"], [0.9], [0.8])
    view = chart.view.mrmlPlotViewNode()
    assert view.GetParentLayoutNode() is not None  # else a second widget would be made for it
    assert not view.GetDoPropagatePlotChartSelection()


def ticks(chart):
    axis = chart.view.chart().GetAxis(vtk.vtkAxis.BOTTOM)
    return [axis.GetTickLabels().GetValue(number) for number in range(axis.GetTickLabels().GetNumberOfValues())]


@pytest.mark.parametrize(
    ("last", "shown"), [(1, "1"), (3, "1 2 3"), (10, "1 2 3 4 5 6 7 8 9 10"), (25, "1 4 7 10 13 16 19 22 25")]
)
def test_what_is_counted_has_whole_numbers(chart, last, shown):
    chart.bars([1, last], ["a", "b"], [0.9, 0.8], [0.8, 0.7])
    assert ticks(chart) == shown.split()
    assert nodes("PlotChart")[0].GetXAxisRange() == (0, last + 1)
    chart.coverage({"humerus": [0.5] * last})
    assert ticks(chart) == shown.split()


def test_the_legend_stands_above_and_hides_nothing(chart):
    chart.curve({"new & old": [(0, 1)], "worst": [(0, 2)]}, "x", "y")
    assert not nodes("PlotChart")[0].GetLegendVisibility()
    assert "#0073b2" in chart.legend.text
    assert "new &amp; old" in chart.legend.text
    assert "worst" in chart.legend.text


def test_a_closed_scene_takes_the_chart_and_drawing_brings_it_back(chart):
    chart.bars([1], ["a"], [0.9], [0.8])
    slicer.mrmlScene.Clear(0)
    assert nodes() == []
    stranger = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTableNode", "of a person")
    chart.bars([1], ["a"], [0.9], [0.8])
    assert drawn(nodes("PlotSeries")[0]) == [(1, 0.9)]
    assert stranger.GetTable().GetNumberOfColumns() == 0


def test_two_charts_do_not_meddle(chart):
    other = made("other")
    chart.bars([1], ["a"], [0.9], [0.8])
    other.coverage({"a": [0.5]})
    assert chart.view.mrmlPlotViewNode().GetPlotChartNode().GetNumberOfPlotSeriesNodes() == 2


def test_a_reloaded_module_takes_over_its_nodes(chart):
    chart.bars([1], ["a"], [0.9], [0.8])
    before = nodes()
    made("test").bars([1], ["a"], [0.5], [0.6])
    assert nodes() == before
