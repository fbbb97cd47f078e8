"""The scan that is segmented: the one that the views show until a person chooses, whatever the scene does."""

from types import SimpleNamespace

import pytest
import slicer
from IncrementalSegPanel.scene import SampleData
from IncrementalSegPanel.State import State
from panel.shoulders import SMALL, begin, result, summary
from phantom_scene import add_shoulder
from scripted_worker import open_model


@pytest.fixture
def views():
    """Return the slice views of a layout that shows two, and one that it does not show."""
    made = []
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(slicer.mrmlScene)
    for name in ("Red", "Yellow", "Red+"):
        for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode"):
            node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
            node.SetLayoutName(name)
            if kind == "vtkMRMLSliceNode":
                node.SetMappedInLayout(name != "Red+")
                node.SetOrientation("Axial")
            else:
                made.append(node)
    return made


def show(views, scan):
    for view in views:
        view.SetBackgroundVolumeID(scan.GetID())


@pytest.fixture
def ready(session, panel, tmp_path, views):
    """Open a model; the views show the second of two scans."""
    first, second = (add_shoulder(f"MR {number}", number, {"humerus": "humerus"}, SMALL)[0] for number in (1, 2))
    session.bridge.watch(session.changed)
    show(views, second)
    session.model, session.folder = open_model(summary()), tmp_path
    session.home()
    panel.render()
    yield SimpleNamespace(session=session, panel=panel, ui=panel.page.ui, first=first, second=second, scan=second)
    session.bridge.unwatch()


def chosen(ready):
    """Return the scan that would be segmented, which has to be the one that the selector shows."""
    ready.panel.render()
    assert ready.ui.volumeSelector.currentNode() is ready.session.segmenting.volume
    return ready.session.segmenting.volume


def test_the_shown_scan_is_chosen_and_nothing_is_written(ready):
    assert chosen(ready) is ready.second
    assert ready.session.parameters.inputVolume is None


def test_the_choice_follows_the_views_until_a_person_chooses(ready, views):
    show(views, ready.first)
    assert chosen(ready) is ready.first
    ready.ui.volumeSelector._activated(1)
    assert ready.session.parameters.inputVolume is ready.second
    show(views, ready.first)
    assert chosen(ready) is ready.second


def test_a_view_outside_of_the_layout_says_nothing(ready, views):
    views[2].SetBackgroundVolumeID(ready.first.GetID())
    views[0].SetBackgroundVolumeID(None)
    assert chosen(ready) is ready.second


def test_a_person_can_choose_between_two_scans_of_one_name(ready):
    ready.first.SetName("MR")
    ready.second.SetName("MR")
    chosen(ready)
    ready.ui.volumeSelector._activated(0)
    assert chosen(ready) is ready.first


def renamed(ready):
    ready.second.SetName("other")


def added(ready):
    add_shoulder("MR 3", 3, {"humerus": "humerus"}, SMALL)


def added_in_a_batch(ready):
    slicer.mrmlScene.StartState(slicer.mrmlScene.BatchProcessState)
    added(ready)
    ready.panel.render()
    slicer.mrmlScene.EndState(slicer.mrmlScene.BatchProcessState)


def removed(ready):
    slicer.mrmlScene.RemoveNode(ready.first)


def imported(ready):
    folder = ready.session.folders.temporary
    folder.mkdir(parents=True, exist_ok=True)
    slicer.mrmlScene.SetRootDirectory(str(folder))
    assert slicer.mrmlScene.WriteToMRB(str(folder / "s.mrb"), None)
    assert slicer.mrmlScene.ReadFromMRB(str(folder / "s.mrb"), False, None)


@pytest.mark.parametrize("happen", [renamed, added, added_in_a_batch, removed])
def test_what_the_scene_does_is_no_choice(ready, happen):
    happen(ready)
    assert ready.session.parameters.inputVolume is None
    assert chosen(ready) is ready.second


def test_an_import_is_no_choice(ready):
    imported(ready)
    assert ready.session.parameters.inputVolume is None
    assert chosen(ready) is ready.session.bridge.shownVolume()


@pytest.mark.parametrize("state", ["ImportState", "CloseState", "BatchProcessState", "RestoreState"])
def test_while_the_scene_is_busy_nothing_is_chosen(ready, state):
    state = getattr(slicer.mrmlScene, state)
    slicer.mrmlScene.StartState(state)
    ready.session.segmenting.chooseVolume(ready.first)
    slicer.mrmlScene.EndState(state)
    assert ready.session.parameters.inputVolume is None


def test_a_chosen_scan_that_is_removed_leaves_the_choice_to_the_views(ready, views):
    ready.ui.volumeSelector._activated(0)
    assert chosen(ready) is ready.first
    show(views, ready.second)
    slicer.mrmlScene.RemoveNode(ready.first)
    assert chosen(ready) is ready.second


def test_the_views_show_what_a_person_chooses(ready, views):
    views[0].SetForegroundVolumeID(ready.second.GetID())
    views[1].SetLabelVolumeID(ready.second.GetID())
    chosen(ready)
    ready.ui.volumeSelector._activated(0)
    assert {view.GetBackgroundVolumeID() for view in views} == {ready.first.GetID()}
    assert views[0].GetForegroundVolumeID() is None
    assert views[1].GetLabelVolumeID() is None
    assert chosen(ready) is ready.first


def test_a_result_goes_with_its_scan_and_comes_back_with_it(ready):
    begin(ready)
    result(ready, {"humerus": 41.7})
    node = ready.session.segmenting.outcome.segmentation
    ready.session.segmenting.chooseVolume(ready.first)
    assert ready.session.state is State.READY
    assert not node.GetDisplayVisibility()
    ready.session.segmenting.chooseVolume(ready.second)
    assert node.GetDisplayVisibility()


def test_a_scan_that_is_chosen_again_is_shown_again(ready, views):
    ready.session.segmenting.chooseVolume(ready.first)
    show(views, ready.second)
    ready.session.segmenting.chooseVolume(ready.first)
    assert {view.GetBackgroundVolumeID() for view in views} == {ready.first.GetID()}


def test_the_sample_s_unseen_shoulder_is_what_is_segmented(session, panel, tmp_path, views):
    """The first shoulder that is loaded must not be taken: its outlines would lie over another picture."""
    session.model, session.folder = open_model(summary()), tmp_path
    session.home()
    panel.render()
    *_others, unseen = SampleData.load()
    show(views, unseen)
    panel.render()
    assert session.segmenting.volume is unseen
    assert panel.page.ui.volumeSelector.currentNode() is unseen


def test_after_a_result_the_views_show_its_scan(ready, views):
    ready.session.segmenting.chooseVolume(ready.first)
    show(views, ready.second)
    views[0].SetForegroundVolumeID(ready.second.GetID())
    views[1].SetLabelVolumeID(ready.second.GetID())
    ready.scan = ready.first
    begin(ready)
    result(ready, {"humerus": 41.7})
    assert ready.session.state is State.DONE
    assert {view.GetBackgroundVolumeID() for view in views} == {ready.first.GetID()}
    assert views[0].GetForegroundVolumeID() is None
    assert views[1].GetLabelVolumeID() is None


def test_a_view_that_shows_the_scan_already_stays_as_it_is(ready, views):
    views[0].SetForegroundVolumeID(ready.first.GetID())
    begin(ready)
    result(ready, {"humerus": 41.7})
    assert views[0].GetForegroundVolumeID() == ready.first.GetID()
