"""The stand-in's Qt behaves like PythonQt where PySide does not, row by row of what is known to differ."""

import functools
import subprocess
import sys

import ctk
import pytest
import qt
import slicer
from standin import dialogs
from standin.events import wait


def test_a_new_attribute_on_a_cpp_object_is_refused():
    with pytest.raises(AttributeError, match="creating new attributes on C\\+\\+ objects"):
        qt.QPushButton().enabld = False
    with pytest.raises(AttributeError, match="no attribute named 'txt'"):
        qt.QPushButton().txt  # noqa: B018
    with pytest.raises(AttributeError):
        ctk.ctkCollapsibleButton().collpsed = True
    for item in (qt.QTreeWidgetItem(), qt.QTableWidgetItem("a"), qt.QListWidgetItem("a")):
        with pytest.raises(AttributeError, match="creating new attributes on C\\+\\+ objects"):
            item.head = 3


def test_a_python_subclass_takes_new_attributes():
    class Row(qt.QWidget):
        def __init__(self, parent=None):
            super().__init__(parent)
            self.shown = 3

    row = Row()
    assert (row.shown, row.className(), row.enabled) == (3, "QWidget", True)


def test_what_qt_itself_made_has_the_same_manners():
    tree = qt.QTreeWidget()
    header = tree.header()
    with pytest.raises(AttributeError):
        header.streched = True
    header.stretchLastSection = False
    assert header.stretchLastSection is False


def test_properties_are_attributes_not_methods():
    button = qt.QPushButton("go")
    with pytest.raises(TypeError, match="'str' object is not callable"):
        button.text()
    with pytest.raises(TypeError):
        qt.QComboBox().count()
    assert (button.text, button.enabled, button.isEnabled()) == ("go", True, True)


def test_setters_exist_beside_properties():
    button = qt.QPushButton()
    button.setText("a")
    assert button.text == "a"
    with pytest.raises(AttributeError, match="not writable"):
        qt.QComboBox().count = 3


@pytest.mark.parametrize(("given", "text"), [(None, "None"), (5, "5")])
def test_anything_becomes_text(given, text):
    label = qt.QLabel()
    label.text = given
    assert label.text == text
    label.setText(given)
    assert label.text == text


def test_numbers_are_truncated():
    spin = qt.QSpinBox()
    spin.value = 3.7
    assert spin.value == 3
    spin.setValue(4.9)
    assert spin.value == 4
    spin.minimum = -9
    spin.value = -3.2
    assert spin.value == -4


@pytest.mark.parametrize(("make", "name", "value"), [
    (qt.QSpinBox, "value", "3"), (qt.QDoubleSpinBox, "value", "3.5"), (qt.QPushButton, "icon", qt.QPixmap(2, 2)),
    (qt.QPushButton, "iconSize", 16), (qt.QShortcut, "key", "Esc"),
])  # fmt: skip
def test_a_property_takes_no_other_type(make, name, value):
    made = make(qt.QWidget())
    with pytest.raises(AttributeError, match="does not accept"):
        setattr(made, name, value)
    with pytest.raises(ValueError, match="does not accept"):
        getattr(made, f"set{name[0].upper()}{name[1:]}")(value)


def test_enums_are_numbers():
    assert qt.QProcess.NotRunning == 0
    assert qt.QProcess().state() == 0
    label = qt.QLabel()
    label.setAlignment(int(qt.Qt.AlignRight))
    assert label.alignment == qt.Qt.AlignRight
    item = qt.QTreeWidgetItem(["a"])
    item.setCheckState(0, qt.Qt.Checked)
    assert item.checkState(0) == 2


def test_no_keyword_arguments():
    with pytest.raises(ValueError, match="no keyword arguments"):
        qt.QPushButton(text="k")
    with pytest.raises(ValueError, match="no keyword arguments"):
        qt.QLabel().setText(text="k")


def test_lists_come_back_as_tuples():
    box = qt.QWidget()
    qt.QVBoxLayout(box).addWidget(qt.QLabel("x"))
    assert isinstance(box.findChildren(qt.QLabel), tuple)
    assert isinstance(box.children(), tuple)
    model = qt.QStringListModel()
    model.setStringList(["a", "b"])
    assert model.stringList() == ("a", "b")


def test_children_are_found_by_class_and_name():
    box = qt.QWidget()
    layout = qt.QVBoxLayout(box)
    for name in ("one", "two"):
        layout.addWidget(made := qt.QLabel(name))
        made.objectName = name
    assert box.findChild(qt.QLabel, "two").text == "two"
    assert box.findChild(qt.QLabel, "two").name == "two"
    assert box.findChild(qt.QPushButton) is None
    assert len(box.findChildren(qt.QLabel)) == 2


def test_an_empty_layout_is_false():
    holder = qt.QWidget()
    layout = qt.QVBoxLayout(holder)
    assert not layout
    layout.addStretch(1)
    assert not layout
    label = qt.QLabel("a")
    layout.addWidget(label)
    assert layout
    label.hide()
    assert not layout
    assert holder.layout() is layout


@pytest.mark.parametrize(
    ("make", "true"),
    [
        (qt.QMenu, False),
        (qt.QIcon, False),
        (qt.QPixmap, False),
        (lambda: qt.QPixmap(3, 3), True),
        (qt.QColor, False),
        (lambda: qt.QColor(0, 0, 0), True),
        (lambda: qt.QSize(0, 5), False),
        (lambda: qt.QPoint(0, 0), False),
        (qt.QUrl, False),
        (qt.QModelIndex, False),
        (qt.QTextDocument, False),
        (qt.QWidget, True),
        (qt.QLabel, True),
        (qt.QTreeWidgetItem, True),
        (qt.QComboBox, True),
    ],
)
def test_what_is_empty_invalid_or_null_is_false(make, true):
    assert bool(make()) is true


def test_a_false_child_is_no_variable_of_a_form(tmp_path):
    form = tmp_path / "Holder.ui"
    form.write_text(
        """<ui version="4.0"><class>Holder</class><widget class="QWidget" name="Holder"><layout class="QVBoxLayout"
        name="outer"><item><widget class="QWidget" name="box"><layout class="QVBoxLayout" name="inner"/></widget></item>
        </layout></widget></ui>""",
        encoding="utf-8",
    )
    ui = slicer.util.childWidgetVariables(slicer.util.loadUI(str(form)))
    assert (hasattr(ui, "outer"), hasattr(ui, "box"), hasattr(ui, "inner")) == (True, True, False)
    assert ui.box.layout().className() == "QVBoxLayout"


def test_a_missing_signal_is_printed_and_false(slotErrors, capsys):
    assert qt.QPushButton().connect("clickd()", print) is False
    assert "no signal clickd()" in capsys.readouterr().err
    assert len(slotErrors) == 1
    slotErrors.clear()


def test_an_exception_in_a_slot_is_printed_and_swallowed(slotErrors, capsys):
    def fail():
        raise ValueError("from the slot")

    button, later = qt.QPushButton(), []
    button.clicked.connect(fail)
    button.connect("clicked()", lambda: later.append(1))
    button.click()
    qt.QTimer.singleShot(0, fail)
    wait(lambda: len(slotErrors) == 2)
    assert later == [1]
    assert "from the slot" in capsys.readouterr().err
    slotErrors.clear()


def test_an_exception_in_a_virtual_method_is_printed_and_swallowed(slotErrors):
    class Window(qt.QWidget):
        def showEvent(self, _event):
            raise ValueError("from Qt")

    window = Window()
    window.show()
    assert "from Qt" in slotErrors[0]
    assert window.visible
    slotErrors.clear()


def test_a_wrong_call_is_an_error():
    button = qt.QPushButton()
    with pytest.raises(ValueError, match="setIcon with wrong arguments"):
        button.setIcon("no icon")
    with pytest.raises(ValueError, match="wrong arguments"):
        qt.QTimer().start("soon")


@pytest.mark.parametrize(("signature", "count"), [("clicked()", 0), ("clicked(bool)", 1)])
def test_the_signature_says_how_many_arguments_come(signature, count):
    button, got = qt.QPushButton(), []
    assert button.connect(signature, lambda *values: got.append(len(values))) is True
    button.click()
    assert got == [count]


def test_a_function_gets_what_it_takes_and_anything_else_gets_all():
    class Owner:
        def take(self):
            got.append(())

    button, got, owner = qt.QPushButton(), [], Owner()
    button.clicked.connect(owner.take)
    button.clicked.connect(functools.partial(lambda *values: got.append(values), "first"))
    button.click()
    assert got == [(), ("first", False)]


def test_slots_can_be_disconnected():
    button, got = qt.QPushButton(), []

    def slot():
        got.append(1)

    button.connect("clicked()", slot)
    assert button.disconnect("clicked()", slot) is True
    assert button.disconnect("clicked()", slot) is False
    button.click()
    assert got == []


def test_a_signal_can_lead_to_a_named_slot():
    edit, label = qt.QLineEdit(), qt.QLabel()
    assert edit.connect("textChanged(QString)", label, "setText(QString)")
    edit.text = "ü"
    assert label.text == "ü"


def test_blocked_signals_stay_silent():
    spin, got = qt.QSpinBox(), []
    spin.connect("valueChanged(int)", got.append)
    before = spin.blockSignals(True)
    spin.value = 4
    spin.blockSignals(before)
    spin.value = 5
    assert got == [5]


def test_tooltips_read_back_as_rich_text():
    button = qt.QPushButton()
    button.toolTip = "a < b"
    assert button.toolTip == "<p>a &lt; b</p>"
    button.toolTip = button.toolTip
    assert button.toolTip == "<p>a &lt; b</p>"
    button.setToolTip("")
    assert button.toolTip == ""


@pytest.mark.parametrize("name", ["QTextCodec", "QRegExp", "Signal", "Slot", "Property", "QNothing"])
def test_what_slicer_may_lack_is_absent(name):
    assert not hasattr(qt, name)


def test_dynamic_properties_are_attributes():
    label = qt.QLabel()
    label.setProperty("SlicerParameterName", "scan")
    assert label.property("SlicerParameterName") == "scan"
    assert label.SlicerParameterName == "scan"
    assert label.property("nothing") is None


def test_deleted_objects_are_gone():
    label = qt.QLabel()
    label.delete()
    with pytest.raises(RuntimeError, match="deleted"):
        label.text  # noqa: B018


def test_a_dialog_that_no_test_answers_fails():
    with pytest.raises(AssertionError, match="no test answers: Discard"):
        qt.QMessageBox.question(None, "IncrementalSeg", "Discard?")
    with pytest.raises(AssertionError):
        qt.QDialog().exec_()


def test_dialogs_are_answered_by_the_test():
    dialogs.answers.extend([qt.QMessageBox.Yes, "/scans"])
    assert qt.QMessageBox.question(None, "Title", "Discard?") == qt.QMessageBox.Yes
    assert qt.QFileDialog.getExistingDirectory(None, "Choose a folder") == "/scans"
    assert dialogs.seen[-2:] == ["Discard?", "Choose a folder"]
    qt.QDesktopServices.openUrl(qt.QUrl("https://example.org/"))
    assert dialogs.opened == ["https://example.org/"]


def test_slicer_s_questions_reach_the_test(person):
    dialogs.answers.append(qt.QMessageBox.No)
    assert slicer.util.confirmYesNoDisplay("Stop teaching?") is False
    assert "Stop teaching?" in dialogs.seen[-1]


def test_in_testing_mode_nobody_is_asked():
    slicer.util.confirmYesNoDisplay("Stop teaching?")  # in Slicer, too, the answer is not the promised True
    assert dialogs.seen == []


def test_processes_are_real():
    process, out, ended = qt.QProcess(), [], []
    process.connect("readyReadStandardOutput()", lambda: out.append(process.readAllStandardOutput().data()))
    process.connect("finished(int,QProcess::ExitStatus)", lambda *values: ended.append(values))
    process.start(sys.executable, ["-c", "import sys; print(input()); sys.exit(3)"])
    process.write(b"hello\n")
    wait(lambda: ended)
    assert b"".join(out).split() == [b"hello"]
    assert ended == [(3, 0)]
    assert process.state() == qt.QProcess.NotRunning


def test_pythonslicer_runs_python():
    done = subprocess.run(["PythonSlicer", "-c", "import sys; print(sys.version)"], capture_output=True, check=True)
    assert done.stdout.decode().strip() == sys.version
