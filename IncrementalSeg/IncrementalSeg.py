"""IncrementalSeg in 3D Slicer: the shell that Slicer finds; what it does is in IncrementalSegPanel."""

import importlib.util
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if importlib.util.find_spec("IncrementalSegLib") is None:  # a source checkout; an installed module lies beside it
    sys.path.append(str(Path(__file__).resolve().parents[1]))

from IncrementalSegPanel import Start
from IncrementalSegPanel.Closing import Closing
from IncrementalSegPanel.flows.Installing import OPEN_AT_START
from IncrementalSegPanel.pages.StrokeEditor import StrokeEditor
from IncrementalSegPanel.Panel import Panel
from IncrementalSegPanel.Parameters import IncrementalSegParameterNode
from IncrementalSegPanel.scene import SampleData
from IncrementalSegPanel.Scripting import Scripting
from IncrementalSegPanel.State import State

from IncrementalSegLib.structures import Structure

_HOME = "https://github.com/IncrementalSeg/SlicerIncrementalSeg"


class IncrementalSeg(ScriptedLoadableModule):
    """The module's entry in Slicer, shown before it is opened."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "IncrementalSeg"
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = []
        parent.contributors = ["IncrementalSeg community"]
        parent.helpText = _(
            "Segment scans with a model that you can teach: outline a new structure in a few scans, teach it on this "
            "computer, and see in numbers whether the structures that the model knew before were kept. Nothing leaves "
            "this computer. It is research software, not a medical device. See the {documentation}."
        ).format(documentation=f'<a href="{_HOME}">{_("documentation")}</a>')
        parent.acknowledgementText = _(
            "The methods are those of F. Ozdemir, P. Fuernstahl, O. Goksel, Learn the New, Keep the Old: Extending "
            "Pretrained Models with New Anatomy and Images, MICCAI 2018; of F. Ozdemir, O. Goksel, Extending "
            "Pretrained Segmentation Networks with Additional Anatomical Structures, IJCARS 2019; and of others, who "
            "are named with each method."
        )
        slicer.app.connect("startupCompleted()", _started)


def _started() -> None:
    """Offer the sample, and come back after a restart that the panel has asked for."""
    SampleData.register()
    settings = slicer.app.userSettings()
    if slicer.util.mainWindow() is None:  # a script in between must neither fail nor use up the wish
        return
    if slicer.util.settingsValue(OPEN_AT_START, False, slicer.util.toBool, settings):
        settings.setValue(OPEN_AT_START, False)
        slicer.util.selectModule("IncrementalSeg")


class IncrementalSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel as Slicer opens, leaves and closes it."""

    def __init__(self, parent: Any = None) -> None:
        VTKObservationMixin.__init__(self)
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self) -> None:
        """Build the panel; nothing heavy is loaded and nothing is started."""
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = IncrementalSegLogic()
        self.session = Start.makeSession(self.logic.tools)
        self.panel = Panel(self.session)
        self.layout.addWidget(self.panel.widget)
        self.closing = Closing(self.session)
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneEndImport)
        self.session.bridge.watch(self.session.changed)
        self.onSceneEndClose()
        self.session.correcting.beginScene()  # it may have been loaded before the panel was opened
        if getattr(self.parent, "isEntered", False):  # reloaded while it is open: Slicer does not enter it again
            self.enter()

    def enter(self) -> None:
        """Show what is known now."""
        self.session.installing.look()
        self.session.refresh()  # the command line may have changed the model
        self.panel.enter()

    def exit(self) -> None:
        """Draw nothing while another module is open; what runs goes on."""
        self.panel.exit()

    def cleanup(self) -> None:
        """Let go of everything; a step that runs is paused."""
        self.removeObservers()
        self.session.bridge.unwatch()
        self.closing.stop()
        self.panel.close()
        self.session.close()
        self.logic.tools.close()

    def onSceneStartClose(self, caller: Any = None, event: str = "") -> None:
        """Let go of the scene: its nodes, and the parameter node with them."""
        self.panel.rest()  # before the nodes go that are edited
        self.session.bridge.endScene()
        self.session.opening.endScene()
        self.session.segmenting.endScene()
        self.session.correcting.endScene()
        self.session.parameters = None

    def onSceneEndClose(self, caller: Any = None, event: str = "") -> None:
        """Begin again with an empty scene; what runs goes on."""
        self.session.parameters = self.logic.getParameterNode()
        self.session.teaching.beginScene()
        if not self.session.state.busy:
            self.session.opening.start()

    def onSceneEndImport(self, caller: Any = None, event: str = "") -> None:
        """Take over the parameters of a scene that was loaded, and open the model that they name."""
        self.session.parameters = self.logic.getParameterNode()
        named = self.session.parameters.modelFolder
        if named and not self.session.opening.obstacle and Path(named) != self.session.folder:
            self.session.opening.start()
        self.session.correcting.beginScene()
        self.session.changed()

    def onReload(self) -> None:
        """Reload the files of the panel and of the library too."""
        for name in list(sys.modules):
            if name.partition(".")[0] in ("IncrementalSegPanel", "IncrementalSegLib"):
                del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)


class IncrementalSegLogic(Scripting, ScriptedLoadableModuleLogic):
    """The verbs for scripts; see :class:`IncrementalSegPanel.Scripting.Scripting`."""

    def getParameterNode(self) -> IncrementalSegParameterNode:
        """Return what of the panel is saved with the scene."""
        return IncrementalSegParameterNode(super().getParameterNode())


class IncrementalSegTest(ScriptedLoadableModuleTest):
    """Opens the panel, and teaches the sample to a new model with a real worker, where the libraries are there."""

    def runTest(self) -> None:
        """Test as Slicer's test runner does, from the buttons too: what cannot run is skipped, what fails cleans up.

        Raises:
            AssertionError: A test failed; what is printed says why.
        """
        suite = unittest.defaultTestLoader.loadTestsFromTestCase(type(self))
        self.assertTrue(unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful())

    def setUp(self) -> None:
        """Begin with an empty scene, a panel of its own and a new place for models; all of it is left as it was."""
        self.addCleanup(self._assertNoWindowIsLeft, _windows())
        slicer.mrmlScene.Clear()
        self.place = tempfile.TemporaryDirectory(prefix="IncrementalSegTest-")
        self.addCleanup(self.place.cleanup)
        parent = slicer.qMRMLWidget()
        self.addCleanup(parent.delete)  # Python made it, so Qt must not delete it later, too
        parent.windowTitle = "IncrementalSeg"
        parent.setLayout(qt.QVBoxLayout())
        parent.setMRMLScene(slicer.mrmlScene)
        self.widget = IncrementalSegWidget(parent)
        self.widget.setup()
        self.addCleanup(self._closePanel)
        parent.resize(400, 560)
        if slicer.util.mainWindow() is not None:  # else it would be the last window, with which Slicer ends
            parent.show()
        self.logic, session, folder = self.widget.logic, self.widget.session, Path(self.place.name)
        session.settings = qt.QSettings(str(folder / "settings.ini"), qt.QSettings.IniFormat)
        session.folders = replace(session.folders, models=folder)  # a person's own models and choices stay as they are
        self.logic.tools = replace(self.logic.tools, settings=session.settings, folders=session.folders)
        self.model = folder / "model"

    def test_open_load_saveAndReload(self) -> None:
        """Open every page, load the sample, and keep the parameters with the scene; nothing has to be installed."""
        self.widget.enter()
        here = self.widget.session.state
        for state in State:
            self.widget.session.state = state
            self.assertIn(state.page, self.widget.panel.page.widget.objectName)
        self.widget.session.state = here
        first, *_others, unseen = SampleData.load()
        self.delayDisplay("Loading the sample")
        segmenting, parameters = self.widget.session.segmenting, self.widget.session.parameters
        self.assertIs(segmenting.volume, unseen)  # it is shown; that others were loaded before is no choice
        self.assertIsNone(parameters.inputVolume)
        title = first.GetName()
        segmenting.chooseVolume(first)
        parameters.leftOut, parameters.uncertainty = ["one", "two"], True
        self._saveAndReload()
        parameters = self.widget.session.parameters
        self.assertEqual(parameters.inputVolume.GetName(), title)
        self.assertEqual((list(parameters.leftOut), parameters.uncertainty), (["one", "two"], True))

    def test_examples_shownAgain(self) -> None:
        """Show examples again and again while the scene changes; rows that go must not take Slicer with them."""
        SampleData.load()
        self.widget.enter()
        session = self.widget.session
        session.folder = session.model = None
        session.opening.begin("Examples", "humerus")
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
            self.widget.panel.render()
            self.delayDisplay("Showing the examples")
            slicer.mrmlScene.RemoveNode(node)
            session.teaching.collecting.refresh()
        self.widget.panel.render()
        self.delayDisplay("Showing that there are none")
        self.assertEqual(session.teaching.collecting.rows, [])
        session.teaching.leave()

    def test_strokes_inAnEditorOfTheirOwn(self) -> None:
        """Edit strokes in the panel's own Segment Editor, and let go of them; nothing has to be installed."""
        scan, strokes = SampleData.load()[-1], self.widget.session.bridge.strokes
        node = strokes.prepare(scan, [Structure.create("humerus", 1)])
        holder = qt.QWidget(self.widget.parent)
        qt.QVBoxLayout(holder)
        self.widget.layout.addWidget(holder)
        editor = StrokeEditor(holder)
        editor.show(strokes.editorNode(), node, scan)
        for _turn in range(20):  # the editor is made, and begins, in turns of the event loop
            slicer.app.processEvents()
        (own,) = holder.findChildren(slicer.qMRMLSegmentEditorWidget)
        own.setActiveEffectByName("Paint")
        self.assertEqual((own.activeEffect() is None, own.segmentationNode()), (False, node))
        editor.rest()
        self.assertEqual((own.activeEffect(), own.segmentationNode()), (None, None))

    def test_teach_segment_accept_rollBack_saveAndReload(self) -> None:
        """Go through everything that a person does with a model."""
        self.widget.session.installing.look()
        if self.widget.session.installing.obstacle:
            raise unittest.SkipTest(self.widget.session.installing.obstacle)
        *scans, unseen = SampleData.load()
        outlines = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        self.delayDisplay(f"Teaching the first structure from {len(scans)} scans")
        few = {"candidates": 4, "keep": 2, "passes": 2}
        first = self.logic.teach("humerus", outlines, model=self.model, steps=4, preset="quick", options=few)
        self.assertEqual((first["version"], first["accepted"]), (1, True))

        self.delayDisplay("Segmenting a scan that nobody has outlined")
        node = self.logic.segment(unseen)
        self.assertEqual([segment.GetName() for segment in _segments(node)], ["humerus"])
        self._assertShown(unseen, node)
        self.assertFalse(any(outline.GetDisplayVisibility() for outline in outlines))
        self._correct(node, unseen)
        for _again in range(2):
            self.assertIs(self.logic.segment(unseen), node)
            names = [segment.GetName() for segment in _segments(node)]
            self.assertCountEqual(names, ["humerus (corrected)", "humerus"])  # Slicer's module Data sorts them anew
            own = [item for item in self.widget.session.bridge.candidates() if item.segmentationId == node.GetID()]
            self.assertEqual({item.name: item.uncorrected for item in own}["humerus"], True)
            self.assertEqual({item.name: item.uncorrected for item in own}["humerus (corrected)"], False)

        self.delayDisplay("Segmenting another scan")
        other = self.logic.segment(scans[0])
        self._assertShown(scans[0], other)
        self.assertFalse(node.GetDisplayVisibility())

        self.delayDisplay("Teaching the second structure")
        second = self.logic.teach("scapula", outlines, steps=2, options=few, accept="never")
        self.assertEqual((second["version"], second["accepted"]), (2, False))
        self.assertEqual([row["structure"] for row in second["report"]["structures"]], ["humerus"])
        self.assertTrue(second["verdict"])

        self.assertEqual(self.logic.accept(2)["current"], 2)
        self.assertEqual(self.logic.rollBack()["current"], 1)

        self.delayDisplay("Learning from a stroke, and discarding that")
        known = [Structure.from_json(item) for item in self.logic.summary()["structures"]]
        strokes = self.widget.session.bridge.strokes.prepare(unseen, known)
        voxels = slicer.util.arrayFromSegmentBinaryLabelmap(strokes, _ids(strokes)[0], unseen).copy()
        voxels[2:4, 4:8, 4:8] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, strokes, _ids(strokes)[0], unseen)
        self.assertIs(self.logic.correct(unseen, strokes, method="lwfseg", steps=2), node)
        found = slicer.util.arrayFromSegmentBinaryLabelmap(node, _ids(strokes)[0], unseen)
        self.assertTrue(found[2:4, 4:8, 4:8].all())
        self.assertEqual(self.logic.corrections()["rounds"], 1)
        self.assertEqual(self.logic.discardCorrections()["rounds"], 0)

        self.widget.session.opening.open(self.model)
        self._saveAndReload()
        self.assertEqual(self.widget.session.parameters.modelFolder, str(self.model))
        self.assertEqual(self.widget.session.model.version, 1)

    def _assertShown(self, scan: Any, result: Any) -> None:
        views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        self.assertEqual({view.GetBackgroundVolumeID() for view in views} or {scan.GetID()}, {scan.GetID()})
        self.assertTrue(result.GetDisplayVisibility())

    def _correct(self, node: Any, scan: Any) -> None:
        """Change a voxel of the first segment, as a person does in the Segment Editor."""
        self.delayDisplay("Correcting the result")
        self.widget.session.bridge.openInSegmentEditor(node, _ids(node)[0], scan)
        voxels = slicer.util.arrayFromSegmentBinaryLabelmap(node, _ids(node)[0], scan).copy()
        voxels[0, 0, 0] = 1 - voxels[0, 0, 0]
        slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, node, _ids(node)[0], scan)
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        logic.SetSegmentStatus(_segments(node)[0], logic.InProgress)
        self.delayDisplay("Going back to the panel")

    def _closePanel(self) -> None:
        self.widget.cleanup()
        unloaded = self.widget._onModuleAboutToBeUnloaded  # noqa: SLF001  (as Slicer does when it reloads a module)
        slicer.app.moduleManager().disconnect("moduleAboutToBeUnloaded(QString)", unloaded)

    def _assertNoWindowIsLeft(self, before: int) -> None:
        self.delayDisplay("Closing the panel")
        self.assertLessEqual(_windows(), before)

    def _saveAndReload(self) -> None:
        self.delayDisplay("Saving the scene and loading it again")
        scene, bundle = slicer.mrmlScene, Path(self.place.name) / "scene.mrb"
        before = scene.GetRootDirectory()
        scene.SetRootDirectory(self.place.name)
        self.assertTrue(scene.WriteToMRB(str(bundle), None))
        scene.Clear()
        self.assertFalse(list(self.widget.session.parameters.leftOut))
        scene.ReadFromMRB(str(bundle), True)
        scene.SetRootDirectory(before)  # the place that a person is asked to save to next


def _windows() -> int:
    """Return how many windows a person sees, apart from tooltips."""
    return sum(window.visible and window.className() != "QTipLabel" for window in slicer.app.topLevelWidgets())


def _ids(node: Any) -> list[str]:
    return list(node.GetSegmentation().GetSegmentIDs())


def _segments(node: Any) -> list[Any]:
    return [node.GetSegmentation().GetSegment(found) for found in _ids(node)]
