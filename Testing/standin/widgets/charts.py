"""The plot widget: it draws a real vtkMRMLPlotChartNode plainly, so that pictures show the chart."""

import slicer
import vtk
from PySide6 import QtCore, QtGui
from standin.widgets.mrml import needs_vtk, observe, qMRMLWidget

WIDGETS = ("qMRMLPlotView",)
_MARGIN = 34


class qMRMLPlotView(qMRMLWidget):
    """Draws the chart of a plot view node."""

    standinClass = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.__dict__.update(_view=None, _chart=vtk.vtkChartXY())
        self.setMinimumHeight(160)

    def setMRMLPlotViewNode(self, view):
        """Show the chart of a view node."""
        needs_vtk(view)
        self._view = view
        if view is not None:
            observe(self, view, vtk.vtkCommand.ModifiedEvent, self.update)
        self.update()

    def chart(self):
        """Return VTK's chart, on which axes and legend are adjusted."""
        return self._chart

    def mrmlPlotViewNode(self):
        """Return the view node."""
        return self._view

    def paintEvent(self, _event):
        """Draw axes, series and legend."""
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect, QtGui.QColor("white"))
        chart = self._view.GetPlotChartNode() if self._view is not None else None
        if chart is None:
            return
        area = self.rect.adjusted(_MARGIN, 18, -8, -_MARGIN)
        painter.setPen(QtGui.QColor("black"))
        painter.drawRect(area)
        painter.drawText(area.left(), 13, chart.GetTitle() or "")
        painter.drawText(area.left(), area.bottom() + 28, chart.GetXAxisTitle() or "")
        series = [chart.GetNthPlotSeriesNode(i) for i in range(chart.GetNumberOfPlotSeriesNodes())]
        lines = [(node, _points(node)) for node in series]
        everything = [point for _node, points in lines for point in points]
        if not everything:
            return
        box = _box(chart, everything)
        painter.drawText(2, area.top() + 8, f"{box[3]:.2f}")
        painter.drawText(2, area.bottom(), f"{box[2]:.2f}")
        _ticks(painter, area, box, self._chart.GetAxis(vtk.vtkAxis.BOTTOM))
        for index, (node, points) in enumerate(lines):
            _draw(painter, area, box, node, points, index)
            if chart.GetLegendVisibility():
                _name(painter, area, node, index)


def _points(node):
    table = node.GetTableNode()
    if table is None:
        return []
    ys = table.GetTable().GetColumnByName(node.GetYColumnName())
    xs = table.GetTable().GetColumnByName(node.GetXColumnName() or "")
    if ys is None:
        return []
    count = ys.GetNumberOfTuples()
    numbers = [
        xs.GetVariantValue(i).ToDouble() if xs is not None and xs.IsNumeric() else float(i) for i in range(count)
    ]
    return [(x, ys.GetVariantValue(i).ToDouble()) for i, x in enumerate(numbers)]


def _box(chart, points):
    xs, ys = [point[0] for point in points], [point[1] for point in points]
    low, high = chart.GetYAxisRange() if not chart.GetYAxisRangeAuto() else (min(ys), max(ys))
    left, right = chart.GetXAxisRange() if not chart.GetXAxisRangeAuto() else (min(xs), max(xs))
    return left, right if right > left else left + 1, low, high if high > low else low + 1


def _draw(painter, area, box, node, points, index):
    color = QtGui.QColor.fromRgbF(*node.GetColor())
    painter.setPen(QtGui.QPen(color, 2))
    spots = [
        QtCore.QPointF(
            area.left() + (x - box[0]) / (box[1] - box[0]) * area.width(),
            area.bottom() - (y - box[2]) / (box[3] - box[2]) * area.height(),
        )
        for x, y in points
    ]
    if node.GetPlotType() in (
        slicer.vtkMRMLPlotSeriesNode.PlotTypeBar,
        slicer.vtkMRMLPlotSeriesNode.PlotTypeScatterBar,
    ):
        wide = min(24.0, max(3.0, area.width() / (len(spots) * 4)))
        for spot in spots:
            left = spot.x() + (index - 1) * wide  # the bars of two series stand beside each other
            painter.fillRect(QtCore.QRectF(left, spot.y(), wide, area.bottom() - spot.y()), color)
    else:
        painter.drawPolyline(spots)
        for spot in spots:
            painter.drawEllipse(spot, 2, 2)


def _ticks(painter, area, box, axis):
    """Write the numbers that the axis was given."""
    positions, labels = axis.GetTickPositions(), axis.GetTickLabels()
    for number in range(labels.GetNumberOfValues()):
        x = (positions.GetValue(number) - box[0]) / (box[1] - box[0])
        painter.drawText(int(area.left() + x * area.width() - 3), area.bottom() + 14, labels.GetValue(number))


def _name(painter, area, node, index):
    painter.setPen(QtGui.QColor.fromRgbF(*node.GetColor()))
    name = node.GetName() or ""
    painter.drawText(
        area.right() - 6 - painter.fontMetrics().horizontalAdvance(name), area.top() + 14 + 14 * index, name
    )
