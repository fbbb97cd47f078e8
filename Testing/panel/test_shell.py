"""The module as Slicer finds it, opens it, leaves it and reloads it; its self-test with a real worker."""

import subprocess
import sys
import unittest
from pathlib import Path
from types import SimpleNamespace

import make_sample
import operations
import pytest
import qt
import slicer
from IncrementalSegPanel.flows.Installing import OPEN_AT_START, Installing
from IncrementalSegPanel.scene import SampleData
from IncrementalSegPanel.State import State
from panel.shoulders import SMALL, summary
from phantom_scene import add_shoulder
from scripted_worker import ScriptedWorker, open_model
from standin import dialogs
from standin.events import settle, wait

import IncrementalSeg as shell
from IncrementalSegLib.store.versions import create_or_open
from IncrementalSegLib.structures import Structure

FILE = Path(shell.__file__)


@pytest.fixture
def widget(tmp_path):
    made = shell.IncrementalSegWidget()
    yield made
    made.cleanup()
    made.parent.delete()
    settle()


@pytest.mark.slow
def test_the_self_test_passes():
    passes()


def test_the_self_test_passes_on_tiny_scans(monkeypatch, tmp_path):
    monkeypatch.setattr(SampleData, "FOLDER", make_sample.write(tmp_path, (8, 32, 32)))
    passes()


def passes():
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(shell.IncrementalSegTest)
    assert suite.countTestCases() == 4
    result = unittest.TextTestRunner(verbosity=0).run(suite)
    assert result.wasSuccessful(), result.errors + result.failures
    assert not result.skipped


def test_slicers_own_button_runs_the_self_test_and_skips_what_needs_libraries(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(SampleData, "FOLDER", make_sample.write(tmp_path, (8, 32, 32)))
    monkeypatch.setattr(Installing, "obstacle", "Some libraries are missing.")
    shell.IncrementalSegTest().runTest()
    said = capsys.readouterr().err
    assert "skipped 'Some libraries are missing.'" in said
    assert "skipped=1" in said


def test_slicers_own_button_says_that_the_self_test_failed_and_leaves_nothing_behind(monkeypatch):
    cleaned = []
    monkeypatch.setattr(SampleData, "load", lambda: 1 / 0)
    monkeypatch.setattr(Installing, "obstacle", "Some libraries are missing.")
    cleanup = shell.IncrementalSegWidget.cleanup
    monkeypatch.setattr(shell.IncrementalSegWidget, "cleanup", lambda widget: (cleaned.append(widget), cleanup(widget)))
    with pytest.raises(AssertionError):
        shell.IncrementalSegTest().runTest()
    assert [widget.Observations for widget in cleaned] == [[]] * 4


def test_importing_the_module_loads_nothing_that_has_to_be_installed():
    code = f"""
import sys
for name in "torch monai pydantic safetensors typer jinja2 filelock platformdirs".split():
    sys.modules[name] = None
sys.path[:0] = [{str(FILE.parents[1] / "Testing")!r}, {str(FILE.parent)!r}]
from standin.boot import boot
boot()
sys.path = [path for path in sys.path if path not in ("", {str(FILE.parents[1])!r})]
import IncrementalSeg
widget = IncrementalSeg.IncrementalSegWidget()
widget.enter()
print("opened")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[-1] == "opened"


def test_slicer_is_told_what_the_module_is():
    parent = SimpleNamespace(path=str(FILE))
    module = shell.IncrementalSeg(parent)
    assert parent.categories == ["Segmentation"]
    assert parent.contributors == ["IncrementalSeg community"]
    assert not parent.icon.isNull()
    assert "not a medical device" in parent.helpText
    assert "MICCAI 2018" in parent.acknowledgementText
    assert slicer.selfTests["IncrementalSeg"] == module.runTest
    slicer.app.disconnect("startupCompleted()", shell._started)


def test_opening_the_panel_starts_no_process(widget):
    widget.enter()
    settle()
    assert widget.logic.tools.worker._link is None
    assert widget.session.state in (State.NO_MODEL, State.READY)
    assert widget.session.parameters is not None
    widget.exit()


def test_logic_and_panel_share_one_worker_and_one_bridge(widget):
    assert widget.session.worker is widget.logic.tools.worker
    assert widget.session.bridge is widget.logic.tools.bridge


def test_the_parameters_follow_the_scene(widget):
    before = widget.session.parameters
    before.modelFolder = "/somewhere"
    slicer.mrmlScene.Clear()
    assert widget.session.parameters is not None
    assert widget.session.parameters.modelFolder == ""


def test_a_scene_that_is_loaded_opens_its_model_and_no_other_takes_a_person_away(widget, tmp_path):
    models = [tmp_path / "models" / name for name in ("one", "two")]
    for model in models:
        operations.tiny_version(create_or_open(model), None)
    widget.session.opening.open(models[0])
    assert widget.session.folder == models[0]
    widget.session.state = State.COLLECTING
    widget.session.parameters.modelFolder = str(models[1])
    widget.onSceneEndImport()
    assert widget.session.state is State.COLLECTING
    assert widget.session.folder == models[0]
    widget.session.home()
    widget.onSceneEndImport()
    assert widget.session.folder == models[1]
    assert widget.session.state is State.READY


def test_strokes_of_a_scene_that_is_loaded_wait_until_their_scan_is_corrected(widget, tmp_path):
    strokes, humerus = widget.session.bridge.strokes, Structure.create("humerus", 1)
    scan, _outlines = add_shoulder("MR 12", 1, {"humerus": "humerus"}, SMALL)
    node = strokes.prepare(scan, [humerus])
    painted = slicer.util.arrayFromSegmentBinaryLabelmap(node, humerus.id, scan).copy()
    painted[1:2, 2:5, 2:5] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(painted, node, humerus.id, scan)
    slicer.mrmlScene.SetRootDirectory(str(tmp_path))
    assert slicer.mrmlScene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    slicer.mrmlScene.Clear()
    assert slicer.mrmlScene.ReadFromMRB(str(tmp_path / "scene.mrb"), False, None)
    scan, node = slicer.util.getNode("MR 12"), slicer.util.getNode("MR 12 strokes")
    assert not node.GetDisplayVisibility()
    assert strokes.prepare(scan, [humerus]) is node
    assert node.GetDisplayVisibility()
    assert (slicer.util.arrayFromSegmentBinaryLabelmap(node, humerus.id, scan) == painted).all()
    another = shell.IncrementalSegWidget()  # the panel of a Slicer that was started with a scene
    assert not node.GetDisplayVisibility()
    another.cleanup()
    another.parent.delete()


def test_cleanup_leaves_no_observer_no_process_and_no_file():
    widget = shell.IncrementalSegWidget()
    place = widget.logic.tools.folders.temporary
    assert place.is_dir()
    widget.session.worker.warm()
    widget.cleanup()
    assert widget.session.worker._link is None
    assert not place.exists()
    assert widget.Observations == []
    slicer.mrmlScene.Clear()  # what is not observed any more cannot fail
    widget.cleanup()  # Slicer may say it twice
    widget.parent.delete()


class Representation(slicer.qMRMLWidget):
    """What Slicer puts the panel into, open; it makes the panel anew and does not enter it again."""

    isEntered = True

    def reload(self):
        slicer.modules.IncrementalSegWidget = sys.modules["IncrementalSeg"].IncrementalSegWidget(self)
        slicer.modules.IncrementalSegWidget.setup()


def ours():
    return {name: sys.modules[name] for name in sys.modules if name.startswith("IncrementalSeg")}


def test_reloading_takes_the_files_anew_and_shows_the_panel_at_once(monkeypatch):
    parent = Representation()
    parent.setLayout(qt.QVBoxLayout())
    parent.show()
    module = SimpleNamespace(path=str(FILE), widgetRepresentation=lambda: parent)
    monkeypatch.setattr(slicer.modules, "incrementalseg", module, raising=False)
    monkeypatch.setattr(slicer.modules, "IncrementalSegWidget", None, raising=False)
    kept = ours()
    parent.reload()
    before = slicer.modules.IncrementalSegWidget
    try:
        before.onReload()
        after = slicer.modules.IncrementalSegWidget
        settle()
        assert not set(ours().values()) & set(kept.values())
        assert type(after.panel) is not type(before.panel)
        assert before.Observations == []
        assert after.panel.page.widget.visible
    finally:
        slicer.modules.IncrementalSegWidget.cleanup()
        for name in ours():
            del sys.modules[name]
        sys.modules.update(kept)
        parent.delete()


def test_a_scene_that_closes_takes_no_editor_with_it(widget, tmp_path):
    scan, _outlines = add_shoulder("MR 12", 1, {"humerus": "humerus"}, SMALL)
    widget.session.worker = ScriptedWorker()
    widget.session.model, widget.session.folder = open_model(summary()), tmp_path
    widget.session.refresh = lambda: True
    widget.session.state = State.READY
    widget.enter()
    widget.session.correcting.begin(scan)
    wait(lambda: widget.panel.widget.findChildren(slicer.qMRMLSegmentEditorWidget), 20)
    (editor,) = widget.panel.widget.findChildren(slicer.qMRMLSegmentEditorWidget)
    wait(editor.segmentationNode, 20)
    assert editor.segmentationNode() is widget.session.correcting.strokes
    slicer.mrmlScene.Clear()
    assert (editor.segmentationNode(), editor.observing, widget.session.state) == (None, False, State.READY)
    widget.panel.render()
    scan, _outlines = add_shoulder("MR 13", 1, {"humerus": "humerus"}, SMALL)
    widget.session.correcting.begin(scan)
    wait(lambda: editor.segmentationNode() is not None, 20)
    assert editor.segmentationNode() is widget.session.correcting.strokes
    assert editor.mrmlSegmentEditorNode() is widget.session.bridge.strokes.editorNode()


def test_slicer_asks_before_it_closes_while_a_structure_is_taught(widget, mainWindow):
    closing = shell.Closing(widget.session)
    event = qt.QCloseEvent()
    assert not closing.eventFilter(None, event)  # nothing would be interrupted
    widget.session.state = State.TEACHING
    dialogs.answers.append(qt.QMessageBox.Cancel)
    assert closing.eventFilter(None, event)
    assert not event.isAccepted()
    dialogs.answers.append(qt.QMessageBox.Ok)
    assert not closing.eventFilter(None, qt.QCloseEvent())
    assert "paused" in dialogs.seen[-1]
    closing.stop()


@pytest.mark.parametrize(
    ("state", "said"),
    [(State.COMPARING, "waits for your decision"), (State.SUMMARY, "Nothing is being taught, so closing")],
)
def test_the_question_follows_a_step_that_ends_while_it_is_asked(widget, mainWindow, state, said):
    closing, texts = shell.Closing(widget.session), []

    def ends():
        question = mainWindow.findChildren(qt.QMessageBox)[0]
        texts.append(question.text)
        again = qt.QCloseEvent()
        assert closing.eventFilter(None, again)  # nobody is asked twice
        assert not again.isAccepted()
        widget.session.state = state
        widget.session.changed()
        texts.append(question.text)
        return qt.QMessageBox.Cancel

    widget.session.state = State.TEACHING
    dialogs.answers.append(ends)
    assert closing.eventFilter(None, qt.QCloseEvent())
    assert "the step is paused" in texts[0]
    assert said in texts[1]
    assert "paused" not in texts[1]
    settle()
    assert mainWindow.findChildren(qt.QMessageBox) == ()
    closing.stop()


def test_a_test_or_a_script_is_never_asked(widget):
    assert widget.closing._window is None


def test_slicer_comes_back_to_the_panel_after_the_restart_that_it_asked_for(monkeypatch, mainWindow):
    registered, selected = [], []
    monkeypatch.setattr(SampleData, "register", lambda: registered.append(True))
    monkeypatch.setattr(slicer.util, "selectModule", selected.append)
    shell._started()
    assert (registered, selected) == ([True], [])
    slicer.app.userSettings().setValue(OPEN_AT_START, True)
    shell._started()
    shell._started()
    assert selected == ["IncrementalSeg"]


def test_a_script_before_the_restart_leaves_the_wish_to_come_back(monkeypatch):
    monkeypatch.setattr(SampleData, "register", lambda: None)
    slicer.app.userSettings().setValue(OPEN_AT_START, True)
    shell._started()  # without a window nothing can be selected
    assert slicer.util.settingsValue(OPEN_AT_START, False, slicer.util.toBool)
