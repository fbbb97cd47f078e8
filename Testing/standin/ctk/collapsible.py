"""The container of CTK that folds."""

import qt
from PySide6 import QtCore, QtGui, QtWidgets
from standin.qt.binding import stored

_TITLE_HEIGHT = 24


class ctkCollapsibleButton(qt.QAbstractButton):
    """A title that folds what is below it."""

    standinClass = True
    contentsCollapsed = QtCore.Signal(bool)
    flat = stored(bool, False)
    collapsedHeight = stored(int, 10)

    def __init__(self, *arguments):
        text = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        super().__init__(*arguments[1 if text else 0 :])
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, _TITLE_HEIGHT, 0, 0)
        self.toggled.connect(self._fold)
        self.setSizePolicy(qt.QSizePolicy.Preferred, qt.QSizePolicy.Preferred)

    def _is_collapsed(self):
        return not self.checked

    def setCollapsed(self, collapsed):
        """Fold or unfold."""
        self.setChecked(not collapsed)

    collapsed = QtCore.Property(bool, _is_collapsed, setCollapsed)

    def _fold(self, opened):
        for child in self.children():
            if child.isWidgetType():
                child.setVisible(opened)
        self.updateGeometry()
        self.contentsCollapsed.emit(not opened)

    def childEvent(self, event):
        """Hide what is added while folded."""
        if event.added() and event.child().isWidgetType() and not self.checked:
            event.child().setVisible(False)

    def sizeHint(self):
        """Return the size of the title, and of what is below it when unfolded."""
        layout = self.layout()
        if layout is None or not self.checked:
            return qt.QSize(100, _TITLE_HEIGHT)
        return layout.sizeHint() + qt.QSize(0, _TITLE_HEIGHT)

    def minimumSizeHint(self):
        """Return the size below which the contents would be cut."""
        layout = self.layout()
        if layout is None or not self.checked:
            return qt.QSize(100, _TITLE_HEIGHT)
        return layout.totalMinimumSize()

    def paintEvent(self, _event):
        """Draw the title."""
        painter = QtWidgets.QStylePainter(self)
        option = QtWidgets.QStyleOptionToolButton()
        option.initFrom(self)
        option.rect = QtCore.QRect(4, 5, 14, 14)
        arrow = QtWidgets.QStyle.PE_IndicatorArrowDown if self.checked else QtWidgets.QStyle.PE_IndicatorArrowRight
        painter.drawPrimitive(arrow, option)
        painter.setPen(self.palette.color(QtGui.QPalette.WindowText))
        painter.drawText(QtCore.QRect(22, 0, self.width - 22, _TITLE_HEIGHT), QtCore.Qt.AlignVCenter, self.text)
