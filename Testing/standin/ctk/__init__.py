"""Package ``ctk`` as Slicer's Python has it: the widgets that the panel uses."""

from standin.ctk.boxes import ctkCheckableComboBox, ctkComboBox, ctkMessageBox, ctkSearchBox
from standin.ctk.collapsible import ctkCollapsibleButton, ctkCollapsibleGroupBox
from standin.ctk.numbers import ctkDoubleSpinBox, ctkSliderWidget
from standin.ctk.paths import ctkPathLineEdit

__all__ = [
    "ctkCheckableComboBox",
    "ctkCollapsibleButton",
    "ctkCollapsibleGroupBox",
    "ctkComboBox",
    "ctkDoubleSpinBox",
    "ctkMessageBox",
    "ctkPathLineEdit",
    "ctkSearchBox",
    "ctkSliderWidget",
]
