"""Forms (.ui) and the code that uses them: what is named exists, and signals are those of the widgets."""

import ast
import re
from xml.etree import ElementTree

import pytest
from extension_files import FORMS, PANEL, SOURCES

CAMEL = re.compile(r"[a-z][A-Za-z0-9]*")
TEXTS = {"text", "toolTip", "title", "windowTitle", "placeholderText", "statusTip", "whatsThis"}

# Signals of the widgets that Qt does not have, and the Qt class that each stands on.
SLICER = {
    "ctkCollapsibleButton": ("QAbstractButton", "contentsCollapsed(bool)"),
    "ctkPathLineEdit": ("QWidget", "currentPathChanged(QString) validInputChanged(bool)"),
    "ctkSearchBox": ("QLineEdit", ""),
    "ctkSliderWidget": ("QWidget", "valueChanged(double) valueIsChanging(double) decimalsChanged(int)"),
    "qMRMLNodeComboBox": (
        "QWidget",
        "currentNodeChanged(vtkMRMLNode*) currentNodeChanged(bool) nodeActivated(vtkMRMLNode*) nodeAdded(vtkMRMLNode*)",
    ),
    "qMRMLSegmentationShow3DButton": ("QPushButton", ""),
    "qMRMLWidget": ("QWidget", "mrmlSceneChanged(vtkMRMLScene*)"),
    "qSlicerTerminologyNavigatorWidget": (
        "QWidget",
        "typeSelected() typeDoubleClicked() typeSelectionValidityChanged(bool) selectionValidityChanged(bool)",
    ),
    "qSlicerTerminologySelectorButton": ("QPushButton", "terminologyChanged() canceled() userSetCustomNameOrColor()"),
    "qSlicerApplication": ("QApplication", "startupCompleted() mrmlSceneChanged(vtkMRMLScene*)"),
}


def read(path):
    return ElementTree.parse(path).getroot()


def widgets(path):
    """Return the class of every named object of a form."""
    found = {}
    for kind in ("widget", "layout", "action"):
        for element in read(path).iter(kind):
            found[element.get("name")] = element.get("class", "QAction")
    return found


def form_of(tree):
    """Return the form of the page that a file defines, or None."""
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    return next((path for path in FORMS if path.stem in names), None)


def is_ui(node):
    return (isinstance(node, ast.Attribute) and node.attr == "ui") or (isinstance(node, ast.Name) and node.id == "ui")


def trees():
    found = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in SOURCES if PANEL in path.parents]
    assert found
    return found


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_is_named_like_its_page_and_its_widgets_uniquely(path):
    root = read(path)
    top = root.find("widget")
    assert top.get("class") in ("QFrame", "QWidget", "qMRMLWidget")
    assert root.findtext("class") == top.get("name") == path.stem
    names = [element.get("name") for element in root.iter("widget")][1:]
    assert len(names) == len(set(names))
    assert all(CAMEL.fullmatch(name) for name in names), names


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_the_texts_of_a_form_can_be_translated_and_nothing_is_styled(path):
    for element in read(path).iter("property"):
        name = element.get("name")
        assert name != "styleSheet"
        if name in TEXTS:
            string = element.find("string")
            assert string is not None, f"{name} is no <string>"
            assert string.get("notr") != "true" or not re.search(r"[A-Za-z]{2}", string.text or "")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_names_the_classes_that_qt_does_not_have(path):
    root = read(path)
    declared = {element.findtext("class") for element in root.iter("customwidget")}
    used = {element.get("class") for element in root.iter("widget") if not element.get("class").startswith("Q")}
    assert used == declared
    assert used <= SLICER.keys()


def test_every_widget_that_the_code_names_exists():
    everywhere = set().union(*(widgets(path) for path in FORMS))
    pages = set()
    for path, tree in trees():
        form = form_of(tree)
        known = set(widgets(form)) if form else everywhere
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and is_ui(node.value):
                pages.add(path)
                assert node.attr in known, f"{path.name}:{node.lineno}: there is no {node.attr} in the form"
    assert len(pages) >= len(FORMS) / 2


def test_the_code_names_no_layout():
    """Slicer gives a layout no name while it is empty; ``widget.layout()`` always finds it."""
    layouts = {element.get("name") for path in FORMS for element in read(path).iter("layout")}
    assert layouts
    for path, tree in trees():
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and is_ui(node.value)}
        assert not used & layouts, path.name


def test_every_form_has_its_page():
    defined = {node.name for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    assert set() < {path.stem for path in FORMS} <= defined


def test_every_connected_signal_exists():
    signals = Signals()
    for path, tree in trees():
        form = form_of(tree)
        classes = widgets(form) if form else {}
        for owner, signature, line in connections(tree):
            kind = classes.get(owner)
            known = signals.of(kind) if kind else signals.any()
            assert signature in known, f"{path.name}:{line}: {kind or 'no class'} has the signal {signature}"


def connections(tree):
    """Yield the name of the widget (None if it has none in the form), the signature and the line of each connect."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "connect"):
            continue
        signature = node.args[0]
        if isinstance(signature, ast.Constant) and isinstance(signature.value, str):
            owner = node.func.value
            named = isinstance(owner, ast.Attribute) and is_ui(owner.value)
            yield owner.attr if named else None, signature.value, node.lineno


class Signals:
    """The signals of Qt's classes, as PySide6 knows them, and of Slicer's."""

    def __init__(self):
        self.qt = pytest.importorskip("PySide6.QtWidgets", reason="PySide6 is not installed", exc_type=ImportError)
        from PySide6 import QtCore, QtGui

        self.modules = (QtCore, QtGui, self.qt)

    def of(self, name):
        base, own = SLICER.get(name, (name, ""))
        return self._qt(base) | set(own.split())

    def any(self):
        classes = {name for module in self.modules for name in dir(module) if name.isidentifier()}
        return set().union(*(self._qt(name) for name in classes), *(self.of(name) for name in SLICER))

    def _qt(self, name):
        from PySide6.QtCore import QMetaMethod

        found = next((getattr(module, name) for module in self.modules if name in dir(module)), None)
        meta = getattr(found, "staticMetaObject", None)
        if meta is None:
            return set()
        methods = (meta.method(index) for index in range(meta.methodCount()))
        return {
            bytes(method.methodSignature().data()).decode()
            for method in methods
            if method.methodType() == QMetaMethod.MethodType.Signal
        }
