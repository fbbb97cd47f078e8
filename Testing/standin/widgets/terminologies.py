"""The widget of terminologies whose choice Python can read; the button's and the dialog's it cannot."""

import qt
import slicer
from PySide6 import QtCore
from standin.qt.binding import stored
from standin.widgets.mrml import needs_vtk

WIDGETS = ("qSlicerTerminologyNavigatorWidget",)


class qSlicerTerminologyNavigatorWidget(qt.QWidget):
    """Chooses a terminology entry; a test chooses by ``setTerminologyEntry``."""

    standinClass = True
    selectionValidityChanged = QtCore.Signal(bool)
    typeDoubleClicked = QtCore.Signal()
    colorDoubleClicked = QtCore.Signal()
    regionSectionVisible = stored(bool, True)
    overrideSectionVisible = stored(bool, True)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        label = qt.QLabel("Terminology: nothing chosen")
        self.__dict__.update(_entry=None, _label=label)
        layout = qt.QVBoxLayout(self)
        layout.addWidget(label)

    def terminologyEntry(self, entry):
        """Copy the choice into an entry; False where nothing is chosen."""
        needs_vtk(entry)
        if self._entry is None:
            return False
        entry.Copy(self._entry)
        return True

    def setTerminologyEntry(self, entry):
        """Choose; False where no terminology knows the entry."""
        needs_vtk(entry)
        kept = slicer.vtkSlicerTerminologyEntry()
        kept.Copy(entry)
        if not slicer.modules.terminologies.logic().UpdateEntryFromLoadedTerminologies(kept, [], []):
            return False
        self._entry = kept
        self._label.setText(f"Terminology: {self.nameFromTerminology(kept)}")
        self.selectionValidityChanged.emit(True)
        return True

    @staticmethod
    def nameFromTerminology(entry):
        """Return a name for an entry: its label, else made of the meanings of its codes."""
        kind, side, region = entry.GetTypeObject(), entry.GetTypeModifierObject(), entry.GetRegionObject()
        named = side if kind.GetHasModifiers() and side.GetCodeValue() else kind
        joined = ", ".join(part.GetCodeMeaning() for part in (kind, side) if part.GetCodeValue())
        name = named.GetSlicerLabel() or joined
        return f"{name} in {region.GetCodeMeaning()}" if region.GetCodeValue() else name

    @staticmethod
    def recommendedColorFromTerminology(entry):
        """Return the colour that the terminology gives."""
        kind = entry.GetTypeObject()
        color = (entry.GetTypeModifierObject() if kind.GetHasModifiers() else kind).GetRecommendedDisplayRGBValue()
        return qt.QColor(*color)
