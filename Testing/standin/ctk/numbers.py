"""Widgets of CTK for numbers."""

import qt
from PySide6 import QtCore

_STEPS = 1000


class ctkDoubleSpinBox(qt.QDoubleSpinBox):
    """A spin box; in CTK it holds one, here it is one."""

    standinClass = True


class ctkSliderWidget(qt.QWidget):
    """A slider with a spin box; its signals and properties are those of the spin box."""

    standinClass = True
    valueChanged = QtCore.Signal(float)
    valueIsChanging = QtCore.Signal(float)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        spin, slider = qt.QDoubleSpinBox(), qt.QSlider(qt.Qt.Horizontal)
        self.__dict__.update(_spin=spin, _slider=slider)
        layout = qt.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(slider, 1)
        layout.addWidget(spin)
        slider.setRange(0, _STEPS)
        slider.connect("valueChanged(int)", self._slid)
        spin.connect("valueChanged(double)", self._typed)

    def _slid(self, position):
        self._spin.setValue(self._spin.minimum + position / _STEPS * (self._spin.maximum - self._spin.minimum))

    def _typed(self, value):
        span = self._spin.maximum - self._spin.minimum
        self._slider.blockSignals(True)
        self._slider.setValue(int(_STEPS * (value - self._spin.minimum) / span) if span else 0)
        self._slider.blockSignals(False)
        self.valueChanged.emit(value)

    def _forward(kind, name):  # makes properties while the class is made
        setter = f"set{name[0].upper()}{name[1:]}"
        return QtCore.Property(
            kind, lambda self: getattr(self._spin, name), lambda self, value: getattr(self._spin, setter)(value)
        )

    value = _forward(float, "value")
    minimum = _forward(float, "minimum")
    maximum = _forward(float, "maximum")
    singleStep = _forward(float, "singleStep")
    decimals = _forward(int, "decimals")
    prefix = _forward(str, "prefix")
    suffix = _forward(str, "suffix")
    del _forward

    def setValue(self, value):
        """Set the number."""
        self._spin.setValue(value)

    def setMinimum(self, value):
        """Set the smallest number."""
        self._spin.setMinimum(value)

    def setMaximum(self, value):
        """Set the largest number."""
        self._spin.setMaximum(value)

    def setRange(self, minimum, maximum):
        """Set both ends."""
        self._spin.setRange(minimum, maximum)
