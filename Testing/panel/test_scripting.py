"""The verbs for scripts and the example scripts, with a real worker, on tiny scans in a real scene."""

import logging
import runpy
import subprocess
import sys
import time
from pathlib import Path

import make_sample
import numpy as np
import pytest
import qt
import slicer
from IncrementalSegPanel.Folders import Folders
from IncrementalSegPanel.scene import SampleData
from IncrementalSegPanel.scene.Exports import Export
from IncrementalSegPanel.scene.SceneBridge import SceneBridge
from IncrementalSegPanel.Scripting import Scripting
from IncrementalSegPanel.Start import Tools
from IncrementalSegPanel.Worker import Worker, _Link

from IncrementalSegLib.errors import DataError, IncrementalSegError, ModelError
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.wire.client import Client

SCRIPTS = SampleData.FOLDER.parent / "Scripts"
FEW = {"steps": 2, "preset": "quick", "options": {"candidates": 2, "keep": 1, "passes": 2}}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("scripting")


@pytest.fixture(scope="module")
def tools(place):
    (place / "temporary").mkdir()
    settings = qt.QSettings(str(place / "settings.ini"), qt.QSettings.IniFormat)
    places = Folders(place / "models", place / "temporary")
    made = Tools(Worker(places.temporary / "worker.log"), SceneBridge(), settings, places)
    yield made
    made.close()


@pytest.fixture(scope="module")
def sample(place):
    return make_sample.write(place / "sample", (8, 32, 32))


@pytest.fixture
def script(tools):
    return Scripting(tools)


@pytest.fixture
def scans(sample, monkeypatch):
    monkeypatch.setattr(SampleData, "FOLDER", sample)
    return SampleData.load()


@pytest.fixture
def model(script, scans):
    """Teach once; the tests that need a model find it in its usual place."""
    if not script.models():
        script.teach("humerus", outlines(), model="Shoulder", **FEW)
    script.openModel("Shoulder")
    return script.folder


@pytest.fixture
def oneWorker(tools, monkeypatch):
    """Let example scripts share the worker of the other tests: starting one takes seconds."""
    monkeypatch.setattr("IncrementalSegPanel.Scripting.makeTools", lambda: tools)
    monkeypatch.setattr(Scripting, "close", lambda self: None)


def outlines():
    return list(slicer.util.getNodesByClass("vtkMRMLSegmentationNode"))


def names(node):
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]


def test_the_sample_is_six_scans_of_which_the_last_has_no_outlines(scans):
    assert [scan.GetName() for scan in scans] == [f"Shoulder {number}" for number in range(1, 7)]
    assert [names(node) for node in outlines()] == [["humerus", "scapula"]] * 5
    geometry = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert [node.GetNodeReference(geometry).GetName() for node in outlines()] == [scan.GetName() for scan in scans[:5]]
    assert [node.GetStorageNode() for node in outlines()] == [None] * 5
    selection = slicer.app.applicationLogic().GetSelectionNode()
    assert selection.GetActiveVolumeID() == scans[-1].GetID()
    assert SampleData.load() == scans  # a second click adds nothing
    assert len(outlines()) == 5


def test_a_scan_is_segmented_and_the_result_belongs_to_it(script, model, scans):
    phases = []
    script.onProgress = lambda event: phases.append(event.phase)
    node = script.segment(scans[-1])
    assert names(node) == ["humerus"]
    assert "segmenting" in phases
    assert script.segment(scans[-1], structures=["humerus"], uncertainty=True) is node
    assert any(scan not in scans for scan in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"))
    assert list(script.tools.folders.temporary.glob("segment-*")) == []


def test_the_similarity_to_a_structure_is_shown(script, scans):
    script.teach("humerus", outlines(), model="Alike", method="cfil", **FEW)
    script.segment(scans[-1], similarity="humerus")
    cosines = slicer.util.array(f"{scans[-1].GetName()} similarity to humerus")
    assert -1 <= cosines.min() < cosines.max() <= 1


def test_a_structure_is_taught_judged_accepted_and_given_up(script, model, scans):
    result = script.teach("scapula", outlines(), accept="never", **FEW)
    assert result["accepted"] is False
    assert [row["structure"] for row in result["report"]["structures"]] == ["humerus"]
    assert result["verdict"] == result["report"]["sentence"]
    assert (Path(result["scans"]) / "manifest.csv").is_file()
    number = result["version"]
    assert script.accept(number)["current"] == number
    assert script.rollBack()["current"] == 1
    assert script.reject(number)["current"] == 1
    assert script.summary()["current"] == 1
    assert [item["number"] for item in script.versions()["versions"]] == [1, number]


def test_slicer_stays_free_while_the_worker_segments_and_learns(script, model, scans, monkeypatch, tmp_path, capsys):
    """Assert on the time spent in our own callbacks: how long the system lets other processes run is not ours."""
    spent = []
    for owner, name in ((_Link, "_tell"), (Client, "feed"), (Client, "tick"), (Export, "_next")):
        monkeypatch.setattr(owner, name, timed(getattr(owner, name), spent))
    gaps, probe, last = [], qt.QTimer(), [time.perf_counter()]

    def look():
        now = time.perf_counter()
        gaps.append(1000 * (now - last[0]))
        last[0] = now

    probe.connect("timeout()", look)
    probe.start(5)
    script.segment(scans[-1])
    script.teach("humerus", outlines(), model=tmp_path / "free", **FEW | {"steps": 8})
    probe.stop()
    with capsys.disabled():
        sys.stdout.write(f"\nour callbacks: {summary(spent)}; gaps of a 5 ms timer: {summary(gaps)}\n")
    assert len(gaps) > 20
    assert np.percentile(spent, 99) < 50


def timed(function, spent):
    def call(*arguments):
        began = time.perf_counter()
        try:
            return function(*arguments)
        finally:
            spent.append(1000 * (time.perf_counter() - began))

    return call


def summary(milliseconds):
    return (
        f"{len(milliseconds)}, 99 % within {np.percentile(milliseconds, 99):.1f} ms, longest {max(milliseconds):.1f} ms"
    )


def test_examples_can_be_chosen_one_by_one(script, scans, tmp_path):
    chosen = [item for item in script.tools.bridge.candidates("humerus") if item.name == "humerus"][:1]
    result = script.teach("upper arm bone", chosen, model=tmp_path / "another", **FEW)
    assert result["structures"] == ["upper arm bone"]


def test_what_a_model_made_and_nobody_corrected_does_not_teach(script, model, scans, caplog, tmp_path):
    made, (own, *_) = script.segment(scans[-1]), outlines()
    with caplog.at_level(logging.WARNING):
        result = script.teach("humerus", [own, made], model=tmp_path / "left", **FEW)
    assert result["warnings"] == ["humerus of Shoulder 6 was left out: a model made it, and nobody corrected it."]
    assert result["warnings"][0] in caplog.text
    assert len((Path(result["scans"]) / "manifest.csv").read_text().splitlines()) == 2
    with pytest.raises(DataError, match="No example of humerus is left") as found:
        script.teach("humerus", [made], model=tmp_path / "none")
    assert parts(found.value)


def test_a_scan_is_corrected_by_strokes_and_the_model_learns(script, model, scans):
    pytest.importorskip("skimage")
    scan, bridge = scans[-1], script.tools.bridge
    strokes = bridge.strokes.prepare(scan, [Structure.from_json(item) for item in script.summary()["structures"]])
    (humerus, *_others), place = strokes.GetSegmentation().GetSegmentIDs(), (slice(2, 4), slice(3, 8), slice(3, 8))
    with pytest.raises(DataError, match="No stroke is painted yet"):
        script.correct(scan, strokes)
    array = np.zeros(slicer.util.arrayFromVolume(scan).shape, np.uint8)
    array[place] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, strokes, humerus, scan)
    node = script.correct(scan, strokes)
    assert slicer.util.arrayFromSegmentBinaryLabelmap(node, humerus, scan)[place].all()
    assert script.corrections()["rounds"] == 0
    assert script.correct(scan, strokes, method="lwfseg", steps=2) is node
    assert script.corrections()["rounds"] == 1
    assert script.do("look_back", model=str(model))["failed"] == {}
    with pytest.raises(IncrementalSegError, match=r"discardCorrections\(\)"):
        script.correct(scan, strokes, method="finetune")
    assert script.undoCorrection()["rounds"] == 0
    script.correct(scan, strokes, method="lwfseg", steps=2)
    version = script.keepCorrections(accept="never")
    assert (version["accepted"], script.corrections()["method"]) == (False, "lwfseg")
    assert script.summary()["candidates"] == [version["version"]]
    script.reject(version["version"])
    assert script.corrections()["rounds"] == 1  # open until it is accepted, or the session discarded
    script.discardCorrections()
    assert script.corrections()["method"] is None


@pytest.mark.parametrize("value", [None, "Shoulder 6"])
def test_what_is_no_scan_is_said(script, model, value):
    with pytest.raises(DataError, match="is not a scan") as found:
        script.segment(value)
    assert parts(found.value)


def test_errors_of_the_library_say_what_stands_in_a_script(script, model, scans, tmp_path):
    with pytest.raises(IncrementalSegError, match=r"Add improve=True, or"):
        script.teach("humerus", outlines(), **FEW)
    with pytest.raises(IncrementalSegError, match=r"with teach\(\.\.\.\)\."):
        script.resume()
    with pytest.raises(ModelError, match=r"with teach\(\.\.\.\)\."):
        script.openModel(tmp_path / "nothing")
    with pytest.raises(IncrementalSegError) as found:
        script.do("versions", model=str(tmp_path / "nowhere"), colour=1)
    assert "There is no argument of versions called 'colour'." in str(found.value)


def parts(error):
    return error.what and error.why and error.todo


def test_errors_have_three_parts_and_no_dialog(script, scans, tmp_path):
    with pytest.raises(ModelError, match="No model is open"):
        script.segment(scans[-1])
    with pytest.raises(IncrementalSegError):
        script.openModel(tmp_path / "nothing")
    with pytest.raises(DataError, match="There is no example of liver"):
        script.teach("liver", outlines(), model=tmp_path / "new")
    with pytest.raises(DataError, match="None is not an example"):
        script.teach("liver", [None], model=tmp_path / "new")
    with pytest.raises(IncrementalSegError) as found:
        script.do("acept", model="x")
    assert "accept" in found.value.todo


def test_warnings_of_the_worker_are_logged(tools, caplog):
    toys = Path(__file__).parents[1] / "fixtures" / "toy_worker.py"
    script = Scripting(
        Tools(Worker(tools.folders.temporary / "toys.log", (sys.executable, str(toys))), None, None, tools.folders)
    )
    with caplog.at_level(logging.WARNING), pytest.raises(IncrementalSegError, match="division by zero"):
        script.do("fail", how="division")
    assert "This scan is odd." in caplog.text
    script.close()


def test_the_script_that_segments_a_folder(model, scans, sample, tmp_path, oneWorker, monkeypatch):
    saved = []

    def save(node, path):
        saved.append((Path(path).name, names(node)))
        return len(saved) < 7  # Slicer says whether it could

    monkeypatch.setattr(slicer.util, "loadVolume", load_volume)
    monkeypatch.setattr(slicer.util, "saveNode", save)
    run("segment_a_folder.py").main(str(model), str(sample), str(tmp_path / "out"))
    assert saved == [(f"Shoulder{number}.seg.nrrd", ["humerus"]) for number in range(1, 7)]
    with pytest.raises(OSError, match="cannot be written"):
        run("segment_a_folder.py").main(str(model), str(sample), str(tmp_path / "out"))


def test_scans_of_one_name_do_not_overwrite_each_other(model, scans, sample, tmp_path, oneWorker, monkeypatch):
    folder, saved = tmp_path / "scans", []
    folder.mkdir()
    for name in ("a.nrrd", "a.nhdr"):
        (folder / name).write_bytes(b"")
    monkeypatch.setattr(slicer.util, "loadVolume", lambda path: named(load_volume(str(sample / "Shoulder6.nrrd")), "a"))
    monkeypatch.setattr(slicer.util, "saveNode", lambda node, path: saved.append(Path(path).name) or True)
    run("segment_a_folder.py").main(str(model), str(folder), str(tmp_path / "out"))
    assert saved == ["a.seg.nrrd", "a.nrrd.seg.nrrd"]


def test_results_do_not_go_where_the_scans_lie(tmp_path):
    with pytest.raises(ValueError, match="could be overwritten"):
        run("segment_a_folder.py").main("model", str(tmp_path), f"{tmp_path}/../{tmp_path.name}")


def named(node, name):
    node.SetName(name)
    return node


def test_the_script_that_teaches_a_structure(sample, tmp_path, oneWorker, monkeypatch, capsys):
    monkeypatch.setattr(slicer.util, "loadVolume", load_volume)
    monkeypatch.setattr(slicer.util, "loadSegmentation", load_segmentation)
    result = run("teach_a_structure.py").main(str(tmp_path / "taught"), "scapula", str(sample), **FEW)
    assert (result["version"], result["accepted"]) == (1, True)
    said = capsys.readouterr().out
    assert "training" in said
    assert "Version 1: There is no older structure to judge." in said


@pytest.mark.parametrize("name", ["segment_a_folder.py", "teach_a_structure.py"])
def test_a_script_that_cannot_begin_ends_slicer_with_a_status(name, monkeypatch, capsys):
    codes = []
    monkeypatch.setattr(slicer.util, "exit", lambda status=0: codes.append(status))
    monkeypatch.setattr(sys, "argv", [name, "model", "second", "third"])
    monkeypatch.setitem(sys.modules, "IncrementalSeg", None)  # the module is not where Slicer looks
    runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    assert codes == [1]
    assert "Slicer --no-main-window" in capsys.readouterr().err


@pytest.mark.slow
def test_the_script_for_plain_python(model, sample, tmp_path):
    data = next(model.parent.glob("Shoulder scans/humerus*"))
    places = [str(path) for path in (tmp_path / "m", data, tmp_path / "out", sample / "Shoulder6.nrrd")]
    places.insert(2, "humerus")
    code = f"import runpy; runpy.run_path({str(SCRIPTS / 'teach_without_slicer.py')!r})['main'](*{places}, **{FEW})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "Shoulder6.seg.nrrd").is_file()


def run(name):
    """Load a script as a module."""
    return type("Script", (), {"main": staticmethod(runpy.run_path(str(SCRIPTS / name))["main"])})


def load_volume(path):
    return slicer.modules.volumes.logic().AddArchetypeVolume(path, Path(path).stem, 0)


def load_segmentation(path):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", Path(path).stem)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetFileName(path)
    storage.ReadData(node)
    return node
