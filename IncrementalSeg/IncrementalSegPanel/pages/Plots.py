"""Charts of the panel: real MRML plot nodes that belong to the panel alone, in a plot view of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import qt
import slicer
import vtk
import vtkmodules.vtkChartsCore  # noqa: F401  (else the chart of a view comes as a plain item, without its axes)
from slicer.i18n import tr as _

from IncrementalSegPanel import Fitting

Points = Sequence[tuple[float, float]]
Range = tuple[float, float]

BLUE, AMBER = (0.0, 0.45, 0.70), (0.90, 0.60, 0.0)
"""Can be told apart by the colour-blind, on the pale ground that Slicer's plot view has in every theme."""

MOST_CURVES = 6
"""So many curves can be told apart."""

_MOST_TICKS = 10
"""Whole numbers that fit below a narrow chart."""

_COLORS = (BLUE, AMBER, (0.0, 0.62, 0.45), (0.80, 0.47, 0.65), (0.34, 0.71, 0.91), (0.84, 0.37, 0.0))
_MARKERS = ("Circle", "Square", "Diamond", "Plus", "Cross")
_OWNER = "IncrementalSeg.chart"
"""Attribute of every node of a chart: name and part.  Nodes are found by it, so that a closed scene or a reloaded
module needs no care: what is gone is made again by the next drawing."""


class Chart:
    """One chart; drawing it again changes its nodes instead of adding others.

    Slicer takes some tenths of a second to make a plot view. So it is made when there is something to draw, in a turn
    of its own, after the page was drawn.

    Args:
        name: Tells the charts of the panel apart.
        holder: The frame that it is put into, with an empty layout.

    Attributes:
        view: The ``qMRMLPlotView`` that shows it; ``None`` until it is made.
        legend: The label above it: a legend inside would lie over the curves.
    """

    def __init__(self, name: str, holder: Any) -> None:
        self.name = name
        self._drawn: tuple[object, ...] | None = None
        self._holder = holder
        self._draws: Callable[[], None] = lambda: None
        self._soon = qt.QTimer(holder)
        self._soon.setSingleShot(True)
        self._soon.connect("timeout()", self._turn)
        self.legend: Any = qt.QLabel()
        self.view: Any = None
        self.legend.setWordWrap(True)
        self.legend.setTextFormat(qt.Qt.RichText)
        Fitting.yieldWidth((self.legend,))
        holder.layout().addWidget(self.legend)

    def curve(
        self,
        series: Mapping[str, Points],
        x: str,
        y: str,
        *,
        xRange: Range | None = None,
        yRange: Range | None = None,
    ) -> None:
        """Draw lines with markers.

        Args:
            series: Name in the legend -> points; the first :data:`MOST_CURVES` are drawn.
            x: Title of the axis.
            y: Title of the axis.
            xRange: What the axis shows; by default all points.
            yRange: What the axis shows.
        """
        shown = {name: list(points) for name, points in list(series.items())[:MOST_CURVES]}
        self._draw("Scatter", shown, (), (x, y), (xRange, yRange))

    def bars(self, rows: Sequence[int], names: Sequence[str], before: Sequence[float], after: Sequence[float]) -> None:
        """Draw Dice before and after side by side.

        Args:
            rows: Where each structure stands in the table beside the chart, from 1: the axis can show numbers only.
            names: Structures, said when the mouse rests on a bar.
            before: Dice, 0..1, of each.
            after: Dice, 0..1, of each.
        """
        series = {
            title: [(float(row), dice) for row, dice in zip(rows, values, strict=True)]
            for title, values in ((_("before"), before), (_("after"), after))
        }
        titles, last = (_("number in the table below"), _("Dice")), max(rows)
        self._draw("ScatterBar", series, names, titles, (_besides(last), (0.0, 1.0)), counts=last)

    def coverage(self, curves: Mapping[str, Sequence[float]]) -> None:
        """Draw how much of what was seen of a structure its first, first two, ... exemplars stand for.

        Args:
            curves: Structure -> share covered, 0..1, by so many exemplars.
        """
        series = {
            name: [(float(count), share) for count, share in enumerate(curve, 1)] for name, curve in curves.items()
        }
        shown, longest = dict(list(series.items())[:MOST_CURVES]), max(map(len, curves.values()), default=0)
        titles = (_("exemplars"), _("share covered"))
        self._draw("Scatter", shown, (), titles, (_besides(longest), (0.0, 1.0)), counts=longest)

    def _draw(
        self,
        kind: str,
        series: Mapping[str, Points],
        labels: Sequence[str],
        titles: tuple[str, str],
        ranges: tuple[Range | None, Range | None],
        counts: int = 0,
    ) -> None:
        if self.view is None:
            self._draws = lambda: self._draw(kind, series, labels, titles, ranges, counts)
            self._soon.start(0)
            return
        wanted = (kind, {name: tuple(points) for name, points in series.items()}, tuple(labels), titles, ranges)
        if wanted == self._drawn and self._owned("PlotView"):
            return
        chart = self._node("PlotChart", "chart")
        modified = chart.StartModify()
        for number, (name, points) in enumerate(series.items()):
            self._series(number, kind, name, points, labels)
        self._count(chart, len(series))
        self._axes(chart, titles, ranges)
        chart.EndModify(modified)
        self._show(chart)
        self._tick(counts)
        self.legend.text = _legend(list(series))
        self._drawn = wanted

    def _turn(self) -> None:
        """Make the view, and draw what was asked for last in the next turn."""
        if self.view is None:
            self.view = slicer.qMRMLPlotView()
            self._holder.layout().addWidget(self.view, 1)
            self._soon.start(0)
        else:
            self._draws()

    def _series(self, number: int, kind: str, name: str, points: Points, labels: Sequence[str]) -> None:
        if kind == "Scatter" and len(points) == 1:  # VTK calls a line through one point an error
            points = [*points, *points]
        table = self._node("Table", f"table {number}")
        table.SetAndObserveTable(_table(points, labels))
        node = self._node("PlotSeries", f"series {number}")
        modified = node.StartModify()
        node.SetName(name)
        node.SetPlotType(getattr(node, f"PlotType{kind}"))
        node.SetXColumnName("x")
        node.SetYColumnName("y")
        node.SetLabelColumnName("label" if labels else "")
        node.SetColor(_COLORS[number % len(_COLORS)])
        node.SetLineStyle(node.LineStyleSolid)
        node.SetMarkerStyle(getattr(node, f"MarkerStyle{_MARKERS[number % len(_MARKERS)]}"))
        node.SetAndObserveTableNodeID(table.GetID())
        node.EndModify(modified)

    def _count(self, chart: Any, count: int) -> None:
        """Let the chart show the first ``count`` series, and remove the others."""
        owned = self._owned("PlotSeries") | self._owned("Table")
        for part, node in owned.items():
            if int(part.split()[1]) >= count:
                slicer.mrmlScene.RemoveNode(node)
        wanted = [self._node("PlotSeries", f"series {number}").GetID() for number in range(count)]
        shown = [chart.GetNthPlotSeriesNodeID(number) for number in range(chart.GetNumberOfPlotSeriesNodes())]
        if shown != wanted:
            chart.RemoveAllPlotSeriesNodeIDs()
            for item in wanted:
                chart.AddAndObservePlotSeriesNodeID(item)

    def _axes(self, chart: Any, titles: tuple[str, str], ranges: tuple[Range | None, Range | None]) -> None:
        chart.SetTitleVisibility(False)
        chart.SetLegendVisibility(False)
        for set_size in (chart.SetLegendFontSize, chart.SetAxisTitleFontSize, chart.SetAxisLabelFontSize):
            set_size(11)  # the sizes of MRML are made for a large view
        for axis, title, range_ in zip("XY", titles, ranges, strict=True):
            getattr(chart, f"Set{axis}AxisTitle")(title)
            getattr(chart, f"Set{axis}AxisRangeAuto")(range_ is None)
            if range_ is not None:
                getattr(chart, f"Set{axis}AxisRange")(*range_)

    def _show(self, chart: Any) -> None:
        view = self._owned("PlotView").get("view")
        if view is None:
            view = self._new("PlotView", "view")
            view.SetDoPropagatePlotChartSelection(False)  # Slicer's own views choose their charts without ours
            view.SetAndObserveParentLayoutNodeID(chart.GetID())  # so Slicer's layout makes no widget for it
            slicer.mrmlScene.AddNode(view)
        view.SetPlotChartNodeID(chart.GetID())
        self.view.setMRMLScene(slicer.mrmlScene)
        self.view.setMRMLPlotViewNode(view)

    def _tick(self, last: int) -> None:
        """Let the axis show whole numbers from 1 to the last; where nothing is counted, what VTK chooses."""
        axis = self.view.chart().GetAxis(vtk.vtkAxis.BOTTOM)
        if not last:
            axis.SetCustomTickPositions(None, None)
            return
        positions, labels = vtk.vtkDoubleArray(), vtk.vtkStringArray()
        for number in range(1, last + 1, -(-last // _MOST_TICKS)):
            positions.InsertNextValue(number)
            labels.InsertNextValue(str(number))
        axis.SetCustomTickPositions(positions, labels)

    def _owned(self, kind: str) -> dict[str, Any]:
        """Return the chart's nodes of a kind by their part."""
        found = {}
        for node in slicer.util.getNodesByClass(f"vtkMRML{kind}Node"):
            name, __, part = (node.GetAttribute(_OWNER) or "").partition(": ")
            if name == self.name and part:
                found[part] = node
        return found

    def _node(self, kind: str, part: str) -> Any:
        node = self._owned(kind).get(part)
        return slicer.mrmlScene.AddNode(self._new(kind, part)) if node is None else node

    def _new(self, kind: str, part: str) -> Any:
        """Return a node that is neither listed nor saved; said before it is added, so that no list has it."""
        node = getattr(slicer, f"vtkMRML{kind}Node")()
        node.SetName(f"IncrementalSeg {self.name} {part}")
        node.SetAttribute(_OWNER, f"{self.name}: {part}")
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        return node


def _besides(last: int) -> Range:
    """Return a range that shows the numbers from 1 on with room on both sides."""
    return 0.0, last + 1.0


def _legend(names: Sequence[str]) -> str:
    """Return the names with a square in the colour of each."""
    colors = ["#" + "".join(f"{round(255 * part):02x}" for part in color) for color in _COLORS]
    parts = [
        f'<span style="color:{colors[number % len(colors)]}">■</span> {escape(Fitting.breakable(name))}'
        for number, name in enumerate(names)
    ]
    return " &nbsp; ".join(parts)


def _table(points: Points, labels: Sequence[str]) -> Any:
    table = vtk.vtkTable()
    for name, values in (("x", [x for x, __ in points]), ("y", [y for __, y in points]), ("label", labels)):
        if name == "label" and not labels:
            continue
        column = vtk.vtkStringArray() if name == "label" else vtk.vtkDoubleArray()
        column.SetName(name)
        for value in values:
            column.InsertNextValue(value)
        table.AddColumn(column)
    return table
