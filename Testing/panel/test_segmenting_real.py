"""From a click on the page of a scan to its segmentation, with a real worker."""

import numpy as np
import pytest
import qt
import slicer
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Worker import Worker
from panel.shoulders import choose
from phantom_scene import add_shoulder
from standin.events import wait


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A model that has hardly learned anything, for a real worker; it takes all but nothing for deltoid."""
    from operations import _small_steps
    from tiny import FEW

    from IncrementalSegLib.engine.learn import learn
    from IncrementalSegLib.sampling.phantom import write_phantom_dataset

    place = tmp_path_factory.mktemp("taught")
    write_phantom_dataset(place / "arm", 1, "A", ["humerus", "deltoid"], 1, (8, 48, 48))
    with _small_steps():
        learn(place / "Shoulder", place / "arm", "humerus, deltoid", options=FEW, preset="quick", steps=2, device="cpu")
    return place / "Shoulder"


@pytest.fixture(scope="module")
def alike(taught):
    """A model of the embedding family, taught on the same scan."""
    from operations import _small_steps
    from tiny import FEW

    from IncrementalSegLib.engine.learn import learn

    asked = {"method": "cfil", "options": FEW, "preset": "quick", "steps": 2, "device": "cpu", "exemplars": "none"}
    with _small_steps():
        learn(taught.parent / "Alike", taught.parent / "arm", "humerus, deltoid", **asked)
    return taught.parent / "Alike"


@pytest.fixture(scope="module")
def worker(tmp_path_factory):
    """A worker for all tests: starting one takes seconds."""
    found = Worker(tmp_path_factory.mktemp("worker") / "worker.log")
    yield found
    found.shutdown()


@pytest.fixture
def session(session, worker):
    """Return a session with that worker."""
    session.worker, session.defer = worker, lambda act: qt.QTimer.singleShot(0, act)
    return session


def test_the_similarity_to_a_structure_with_a_real_worker(session, panel, alike):
    scan, _outlines = add_shoulder("MR 12", 9, {"humerus": "humerus"}, (8, 48, 48))
    session.parameters.inputVolume = scan
    session.opening.open(alike)
    wait(lambda: panel.page.primary is panel.page.ui.segmentButton)
    panel.page.ui.segmentButton.click()
    wait(lambda: session.state is State.DONE or session.failure is not None, 60)
    panel.render()
    choose(panel.page.ui.similarityCombo, "deltoid")
    wait(lambda: bool(slicer.util.getNodes("MR 12 similarity to deltoid")) or session.failure is not None, 60)
    assert session.failure is None
    cosines = slicer.util.array("MR 12 similarity to deltoid")
    assert cosines.shape == (8, 48, 48)
    assert -1 <= cosines.min() < cosines.max() <= 1
    panel.render()
    assert panel.page.ui.overlayLabel.text == ""
    session.segmenting.undo()
    assert not slicer.util.getNodes("MR 12 similarity*")
    wait(lambda: not list(session.folders.temporary.glob("segment-*")))


def test_from_one_click_to_a_segmentation_with_a_real_worker(session, panel, taught):
    scan, _outlines = add_shoulder("MR 12", 9, {"humerus": "humerus"})
    session.parameters.inputVolume = scan
    session.parameters.uncertainty = True
    session.opening.open(taught)
    wait(lambda: panel.page.primary is panel.page.ui.segmentButton)
    panel.page.ui.segmentButton.click()
    phases = set()
    session.listen(lambda: phases.add(session.segmenting.phase))
    wait(lambda: session.state is not State.SEGMENTING, 60)
    assert session.failure is None
    assert session.state is State.DONE
    assert {"Starting", "Loading the model", "Segmenting"} <= phases
    node = session.parameters.segmentation
    assert node.GetSegmentation().GetNumberOfSegments() == 2
    head, millilitres = session.segmenting.outcome.found[0]
    voxels = slicer.util.arrayFromSegmentBinaryLabelmap(node, head.id, scan).sum()
    assert voxels * np.prod(scan.GetSpacing()) / 1000 == pytest.approx(millilitres, rel=1e-3)
    panel.render()
    panel.page.ui.overlayButton.click()
    wait(lambda: any("uncertainty" in name for name in slicer.util.getNodes("MR 12*")))
    session.segmenting.close()
    assert not any("uncertainty" in name for name in slicer.util.getNodes("MR 12*"))
    wait(lambda: bool(session.device), 30)
    assert session.device.startswith(("GPU ready", "No GPU"))
    panel.render()
    panel.page.ui.segmentButton.click()
    wait(lambda: session.worker.busy)
    session.segmenting.cancel()
    wait(lambda: session.state is State.READY, 20)
    assert session.failure is None
    wait(lambda: not list(session.folders.temporary.glob("segment-*")))
