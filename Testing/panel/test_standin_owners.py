"""The stand-in notices what frees a widget twice in PythonQt, and windows that nobody wanted."""

import gc
import weakref

import pytest
import qt
from IncrementalSegPanel.documents.Options import Answers, fieldsOf
from IncrementalSegPanel.flows.Rows import ScanRow
from IncrementalSegPanel.pages import Discard
from IncrementalSegPanel.pages.Discard import discard
from IncrementalSegPanel.pages.ExampleRows import ExampleRows
from IncrementalSegPanel.pages.OptionsForm import OptionsForm
from standin.events import settle

from IncrementalSegLib.methods.base.catalogue import catalogue

METHODS = {item["name"]: item["schema"] for item in catalogue()["methods"]}


@pytest.fixture
def box():
    """Return a widget with a layout that Python has made."""
    widget = qt.QWidget()
    qt.QVBoxLayout(widget)
    return widget


def test_what_has_a_parent_is_deleted_by_qt_alone(box):
    child = qt.QPushButton()
    box.layout().addWidget(child)
    child.deleteLater()
    qt.QPushButton("made with a parent", box).deleteLater()
    settle()
    assert box.findChildren(qt.QPushButton) == ()


def test_two_owners_are_noticed(box, slotErrors):
    child = qt.QPushButton()
    box.layout().addWidget(child)
    child.setParent(None)
    child.deleteLater()
    assert "freed twice: QPushButton" in slotErrors.pop()


def test_what_python_has_made_and_nobody_took_is_not_deleted_later(slotErrors):
    qt.QWidget().deleteLater()
    assert "freed twice: QWidget" in slotErrors.pop()


class Owner:
    """Has a button, and is known to nobody but the connection of that button."""

    def __init__(self, layout):
        self.button, self.presses = qt.QPushButton(), 0
        layout.addWidget(self.button)
        self.button.connect("clicked()", self.press)

    def press(self):
        self.presses += 1


def test_what_is_discarded_acts_no_more_and_is_kept_until_it_is_gone(box):
    line = qt.QWidget()
    box.layout().addWidget(line)
    owner = Owner(qt.QVBoxLayout(line))
    button, gone = owner.button, weakref.ref(owner)
    discard(line, owner)
    button.click()
    assert owner.presses == 0
    del owner
    gc.collect()
    assert gone() is not None  # else its widgets would be freed from inside the destructor of the first of them
    settle()
    assert Discard._dying == {}
    assert box.findChildren(qt.QPushButton) == ()


class Flow:
    """What rows show."""

    def __init__(self):
        self.rows = [ScanRow("one", labels=("a",)), ScanRow("two", labels=("a",))]

    def refusal(self, row):
        return ""


def test_rows_may_be_replaced_again_and_again(box):
    flow = Flow()
    lines = ExampleRows(box.layout(), flow)
    for count in (2, 1, 0, 2):
        flow.rows = [ScanRow(f"{count}-{number}", labels=("a",)) for number in range(count)]
        lines.render()
        settle()
        assert len(box.findChildren(qt.QCheckBox)) == count
    assert Discard._dying == {}


def test_a_form_of_options_may_be_replaced_again_and_again(box):
    form = OptionsForm(box.layout(), lambda: None)
    for name in ("aeiseg", "coriseg", "finetune"):
        fields = fieldsOf(METHODS[name])
        form.render(fields, Answers())
        settle()
        editors = [*box.findChildren(qt.QLineEdit), *box.findChildren(qt.QComboBox)]
        assert len(editors) == len(fields)
    assert Discard._dying == {}


def test_only_windows_that_are_meant_are_noticed_as_shown(box, slotErrors, monkeypatch):
    from standin.qt import windows

    box.show()  # by a test
    monkeypatch.setattr(windows, "_by_module", lambda: True)
    box.hide()
    box.show()
    assert "a window without title: QWidget" in slotErrors.pop()
    child = qt.QLabel()
    child.visible = True
    assert "QLabel" in slotErrors.pop()
    box.layout().addWidget(child)
    child.hide()
    child.visible = True  # now it has a parent
