"""The stand-in's packages of Slicer behave like Slicer's where the panel relies on it."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import qt
import slicer
import vtk
from nested import environment
from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from standin.events import wait


@parameterNodeWrapper
class Parameters:
    scan: vtkMRMLScalarVolumeNode
    folder: str
    chosen: list[str]
    part: float = 0.5
    count: int = 3
    overlay: bool = False


class ExampleLogic(ScriptedLoadableModuleLogic):
    pass


class ExampleWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        super().setup()
        self.left = False
        self.layout.addWidget(qt.QLabel("hello"))

    def cleanup(self):
        self.left = True


class Example(ScriptedLoadableModule):
    def __init__(self, parent):
        super().__init__(parent)
        parent.title = "Example"


class ExampleTest(ScriptedLoadableModuleTest):
    ran = 0

    def test_something(self):
        type(self).ran += 1


@pytest.fixture
def parameters():
    return Parameters(ExampleLogic().getParameterNode())


def test_parameters_have_defaults(parameters):
    found = (parameters.scan, parameters.folder, parameters.part, parameters.count, parameters.overlay)
    assert found == (None, "", 0.5, 3, False)
    assert list(parameters.chosen) == []


def test_parameters_live_in_the_node(parameters):
    parameters.folder, parameters.overlay, parameters.part = "/ü", True, 1
    parameters.scan = scan = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    again = Parameters(ExampleLogic().getParameterNode())
    assert (again.folder, again.overlay, again.part, again.scan) == ("/ü", True, 1, scan)
    slicer.mrmlScene.RemoveNode(scan)
    assert again.scan is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("folder", 3), ("folder", None), ("part", "2"), ("count", 1.5), ("overlay", 1), ("chosen", "abc"), ("scan", "CT")],
)
def test_wrong_parameters_are_refused(parameters, name, value):
    with pytest.raises(TypeError):
        setattr(parameters, name, value)


def test_a_list_parameter_is_written_back_and_is_no_list(parameters):
    parameters.chosen.append("a")
    parameters.chosen += ["b"]
    assert list(parameters.chosen) == ["a", "b"]
    assert not isinstance(parameters.chosen, list)
    with pytest.raises(NotImplementedError):
        parameters.chosen + ["c"]  # noqa: RUF005


def test_parameters_survive_a_saved_scene(parameters, tmp_path):
    parameters.folder, parameters.chosen = "/models", ["a", "b"]
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "s.mrb"), None)
    parameters.folder, parameters.chosen = "", []
    assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "s.mrb"), True, None)
    again = Parameters(ExampleLogic().getParameterNode())
    assert (again.folder, list(again.chosen)) == ("/models", ["a", "b"])


def test_a_parameter_node_is_made_once():
    logic = ExampleLogic()
    node = logic.getParameterNode()
    assert node.GetAttribute("ModuleName") == "Example"
    assert logic.getParameterNode() is node
    assert logic.getAllParameterNodes() == [node]


def test_a_module_has_resources_and_a_test(tmp_path):
    parent = SimpleNamespace(path=str(tmp_path / "Example.py"))
    module = Example(parent)
    assert module.resourcePath("UI/Example.ui") == str(tmp_path / "Resources" / "UI/Example.ui")
    before = ExampleTest.ran
    module.runTest(msec=1)
    assert ExampleTest.ran == before + 1


def test_a_module_s_widget_is_cleaned_up_when_unloaded():
    widget = ExampleWidget()
    assert widget.parent.mrmlScene() is slicer.mrmlScene
    slicer.app.moduleManager().moduleAboutToBeUnloaded.emit("Other")
    assert not widget.left
    slicer.app.moduleManager().moduleAboutToBeUnloaded.emit("Example")
    assert widget.left


def test_packages_are_what_the_test_says():
    assert not slicer.packaging.pip_check("monai>=1.6")
    slicer.packaging.installed["monai"] = "1.6.1"
    assert slicer.packaging.pip_check(["monai>=1.6", "torch; python_version < '3'"])
    assert not slicer.packaging.pip_check("monai>=2")


def test_an_installation_reports_and_ends_later(person):
    lines, codes = [], []
    slicer.packaging.log.append("Collecting monai")
    slicer.packaging.code = 1
    slicer.packaging.pip_install(["monai"], blocking=False, logCallback=lines.append, completedCallback=codes.append)
    assert codes == []
    wait(lambda: codes)
    assert (lines, codes) == (["Collecting monai"], [1])
    assert slicer.packaging.calls[0][1]["requirements"] == ["monai"]


def test_the_application_is_as_after_its_start():
    app = slicer.app
    assert slicer.util.settingsValue("anything", 3) == 3
    app.settings().setValue("anything", 4)
    assert slicer.util.settingsValue("anything", 3, int) == 4
    assert (app.majorVersion, app.restarts, app.layoutManager().layout) == (5, 0, 1)
    app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    assert app.layoutManager().layout == 3
    assert app.connect("aboutToQuit()", lambda: None)
    assert slicer.util.getModuleLogic is not None
    assert app.applicationLogic().GetSelectionNode() is not None


def test_settings_and_scene_of_another_test_are_gone(parameters):
    assert slicer.util.settingsValue("anything", 3) == 3
    assert (parameters.folder, slicer.app.layoutManager().layout) == ("", 1)
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []


LEFT = []


def test_a_window_is_left_open():
    LEFT.append(qt.QWidget())
    LEFT[0].show()
    assert LEFT[0].visible


def test_windows_of_another_test_are_gone():
    assert LEFT
    with pytest.raises(RuntimeError, match="deleted"):
        LEFT.pop().show()


def test_complaints_of_qt_are_noticed(slotErrors):
    widget = qt.QWidget()
    layouts = [qt.QVBoxLayout(widget), qt.QVBoxLayout(widget)]
    assert len(layouts) == 2
    assert "already has a layout" in slotErrors[0]
    slotErrors.clear()


def test_errors_of_vtk_are_noticed(vtkErrors):
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName("/nowhere/s.seg.nrrd")
    storage.ReadData(slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode"))
    assert vtkErrors
    vtkErrors.clear()
    vtk.vtkObject().GetNumberOfGenerationsFromBase("vtkObject")
    assert vtkErrors == []


def test_texts_are_their_own_translation():
    from slicer.i18n import tr, translate

    assert (tr("Teach"), translate("IncrementalSeg", "Teach")) == ("Teach", "Teach")


def test_without_the_packages_only_plain_tests_run(tmp_path):
    testing = Path(__file__).resolve().parents[1]
    conftest = f"""
import sys
sys.path.append({str(testing)!r})
sys.modules["PySide6"] = None
from standin.boot import boot
assert boot() is None
"""
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "test_plain.py").write_text("def test_plain():\n    pass\n", encoding="utf-8")
    (tmp_path / "test_panel.py").write_text("import qt\n", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-rs", "--import-mode=importlib", "-p", "no:cacheprovider", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment())
    assert "1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
    assert "not installed: PySide6-Essentials" in done.stdout
