"""Fixtures that the tests of the panel and of the scene share."""

import sys

import pytest

_STALE = "DataNodeCache inconsistency found"
"""MRML's subject hierarchy caches nodes by address for all scenes; one of an earlier test may have had the same."""


@pytest.fixture(autouse=True)
def vtkErrors():
    """Fail on what VTK and MRML only log, errors and warnings."""
    import vtk

    said = []
    window = vtk.vtkOutputWindow.GetInstance()

    @vtk.calldata_type(vtk.VTK_STRING)
    def note(_caller, _event, text):
        if _STALE not in text:
            said.append(text)

    tags = [window.AddObserver(event, note) for event in ("ErrorEvent", "WarningEvent")]
    yield said
    for tag in tags:
        window.RemoveObserver(tag)
    assert said == [], "VTK reported errors"


@pytest.fixture(autouse=True)
def slotErrors(monkeypatch):
    """Fail on exceptions that PythonQt would swallow, on failed connects, and on answers that nobody asked for."""
    from standin import dialogs
    from standin.qt import signals

    signals.errors.clear()
    dialogs.forget()
    monkeypatch.setattr(sys, "excepthook", signals.report_exception)
    yield signals.errors
    assert signals.errors == [], f"Qt swallowed errors: {signals.errors}"
    assert dialogs.answers == [], "dialogs that did not come"


@pytest.fixture(autouse=True)
def cleanScene():
    """Leave an empty scene and an application as after its start behind."""
    import slicer
    from standin.qt import binding

    yield slicer.mrmlScene
    binding.forget()
    slicer.app.forget()
    slicer.packaging.forget()
    slicer.mrmlScene.Clear(0)
    for kind in ("vtkMRMLScriptedModuleNode", "vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode"):
        for node in slicer.util.getNodesByClass(kind):  # singletons stay otherwise
            slicer.mrmlScene.RemoveNode(node)


@pytest.fixture
def person():
    """Let Slicer believe that a person sits in front of it: dialogs are shown, and answered by the test."""
    import slicer

    slicer.app.testing = False
    yield
    slicer.app.testing = True


@pytest.fixture
def mainWindow(person):
    """Give Slicer a main window, with a module selector and a Segment Editor."""
    from standin.window import closeWindow, openWindow

    window = openWindow()
    yield window
    closeWindow(window)
