"""Where Qt would wait for a person or leave the process, a test answers; and the loader of .ui files."""

import xml.etree.ElementTree as ElementTree

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from standin import dialogs
from standin.qt import binding, ownership, signals


class QUiLoader(QtUiTools.QUiLoader):
    """Loads a .ui file with the stand-in's own classes where it has them."""

    standinClass = True

    def load(self, file, parent=None):
        """Return the widget of an open QFile."""
        tree = ElementTree.fromstring(file.readAll().data())
        wanted = tree.findall("connections/connection")
        for connections in tree.findall("connections"):
            tree.remove(connections)  # Qt's loader cannot connect signals of MRML types here
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(tree))
        buffer.open(QtCore.QIODevice.ReadOnly)
        found = super().load(buffer, parent)
        if found is None:
            signals.report(f"QUiLoader: {self.errorString()}")
            return None
        for widget in (found, *found.findChildren(QtWidgets.QWidget)):
            widget.toolTip = widget.toolTip
        named = {widget.objectName: widget for widget in (found, *found.findChildren(QtCore.QObject))}
        for one in wanted:
            sender, signal, receiver, slot = (one.findtext(tag) for tag in ("sender", "signal", "receiver", "slot"))
            named[sender].connect(signal, named[receiver], slot)
        return found

    def createWidget(self, name, parent=None, object_name=""):
        """Make a widget by the name of its class."""
        made = _widget_class(name)(parent)
        made.objectName = object_name
        return ownership.loaded(binding.keep(made))


def start():
    """Put what waits for a person into the hands of the test, and Qt's complaints into its list of errors."""
    QtCore.qInstallMessageHandler(signals.report_message)
    QtWidgets.QDialog.exec = QtWidgets.QDialog.exec_ = _ask_dialog
    QtWidgets.QMenu.exec = QtWidgets.QMenu.exec_ = _ask_dialog
    QtCore.QEventLoop.exec_ = QtCore.QEventLoop.exec
    for name in ("question", "information", "warning", "critical", "about"):
        setattr(QtWidgets.QMessageBox, name, _asker(2))
    for name in ("getExistingDirectory", "getOpenFileName", "getOpenFileNames", "getSaveFileName"):
        setattr(QtWidgets.QFileDialog, name, staticmethod(_ask_file))
    for name in ("getText", "getItem", "getInt", "getDouble"):
        setattr(QtWidgets.QInputDialog, name, _asker(2))
    QtGui.QDesktopServices.openUrl = staticmethod(lambda url: dialogs.opened.append(url.toString()) is None)
    QtCore.QTimer.singleShot = staticmethod(_single_shot)


def _ask_dialog(dialog, *_where):
    return dialogs.ask(f"{dialog.className()}: {getattr(dialog, 'text', '') or dialog.windowTitle}")


def _asker(text_at):
    """Return a function that asks with the text at a place of its arguments: (parent, title or caption, text)."""
    return staticmethod(lambda *arguments: dialogs.ask(str((*arguments, "", "", "")[text_at])))


def _ask_file(_parent=None, caption="", start="", *_filters):
    dialogs.begun.append(start)
    return dialogs.ask(caption)


def _single_shot(milliseconds, slot):
    """Call once, later; PySide's own function would need its own ``connect``."""
    timer = QtCore.QTimer(QtCore.QCoreApplication.instance())
    timer.setSingleShot(True)
    timer.connect("timeout()", slot)
    timer.connect("timeout()", timer.deleteLater)
    timer.start(int(milliseconds))


def _widget_class(name):
    import ctk
    import slicer

    import qt

    for module in (qt, ctk, slicer):
        found = getattr(module, name, None)
        if isinstance(found, type):
            return found
    signals.report(f"QUiLoader: the stand-in has no class {name}")
    return QtWidgets.QWidget
