"""Package ``ctk`` as Slicer's Python has it: the widgets that the panel uses."""

from standin.ctk.boxes import ctkMessageBox, ctkSearchBox
from standin.ctk.collapsible import ctkCollapsibleButton
from standin.ctk.paths import ctkPathLineEdit

__all__ = ["ctkCollapsibleButton", "ctkMessageBox", "ctkPathLineEdit", "ctkSearchBox"]
