"""The worker as a front end drives it: it teaches, segments, stays warm and stops when it is asked to."""

import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scans import write_dataset
from wire import Session

from IncrementalSegLib.engine.forms import forms
from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.wire import events
from IncrementalSegLib.wire.process import WORKER
from IncrementalSegLib.worker import verbs

FEW = {"passes": 2, "candidates": 4, "keep": 2}
LOADING = "loading"
ACKNOWLEDGED, ENDED = 1.0, 5.0  # seconds; the first is 0.3 on a computer with nothing else to do


def test_a_job_is_cancelled_while_its_libraries_are_loaded():
    with Session(*WORKER) as session:
        session.until(lambda: session.client.hello is not None)
        job = session.client.submit("learn", {"model": "m", "data": "d", "structures": "x"})
        session.until(lambda: job.state == "running")
        session.client.cancel(job.id)
        assert session.until(lambda: job.end is not None) < ACKNOWLEDGED
        assert job.end == events.Cancelled(job.id, kept=False)
        assert session.transport.process.poll() is None
        session.transport.kill()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with data and room for a model."""
    folder = tmp_path_factory.mktemp("world")
    write_dataset(folder / "data", cases=2)
    return folder


@pytest.fixture(scope="module")
def model(world, worker):
    """A model that the worker has taught; not to be changed."""
    job = worker.do("learn", model=str(world / "model"), data=str(world / "data"), structures="liver", steps=2,
                    options=FEW, device="cpu")  # fmt: skip
    assert job.state == "finished", job.end
    assert job.end.result["structures"] == ["liver"]
    assert {"starting", "reading", "training", "saving"} <= {event.phase for event in worker.of(job, events.Progressed)}
    assert "loss" in {event.name for event in worker.of(job, events.Metric)}
    return world / "model"


def segment(worker, world, model, **more):
    """Segment one scan and return the job and the phases it went through."""
    scan = world / "data" / "images" / "c0.nii.gz"
    job = worker.do(
        "segment", model=str(model), scans=str(scan), output=str(world / "out"), device="cpu", overwrite=True, **more
    )
    assert job.state == "finished", job.end
    return job, [event.phase for event in worker.of(job, events.Progressed)]


def test_a_second_segmentation_finds_the_model_warm(worker, world, model):
    _, cold = segment(worker, world, model)
    job, warm = segment(worker, world, model)
    assert LOADING in cold
    assert LOADING not in warm
    assert "segmenting" in warm
    assert worker.of(job, events.Preview) == [
        events.Preview(job.id, "segmentation", str(world / "out" / "c0.seg.nrrd"), "c0")
    ]
    (volume,) = worker.of(job, events.Metric)
    assert (volume.name, volume.structure) == ("ml", "liver")
    assert job.end.result["structures"]["liver"]["ml"] == volume.value
    scan, asked = str(world / "data" / "images" / "c0.nii.gz"), {"model": str(model), "device": "cpu"}
    for verb, more in (
        ("suggest", {"scans": scan}),
        ("spots", {"scan": scan}),
        ("outline", {"scan": scan, "output": str(world / "outline")}),
    ):
        job = worker.do(verb, **asked, **more)
        assert job.state == "finished", job.end
        assert LOADING not in {event.phase for event in worker.of(job, events.Progressed)}
    renamed = worker.do("rename", model=str(model), old="liver", new="Liver")
    assert renamed.end.result["current"] == 2
    _, other = segment(worker, world, model)
    assert LOADING in other
    _, former = segment(worker, world, model, version=1)
    assert LOADING not in former


def training(worker, verb, **arguments):
    """Ask for a training that would take days, and return its job when it is under way."""
    job = worker.client.submit(verb, {"device": "cpu", **arguments})
    worker.until(lambda: job.end is not None or (job.progress is not None and job.progress.phase == "training"))
    assert job.end is None, job.end
    return job


def stop(worker, job, wish):
    """Ask a job to stop and return the seconds until it was acknowledged and until it ended."""
    worker.client.cancel(job.id, wish)
    acknowledged = worker.until(lambda: bool(worker.of(job, events.Cancelling)), 10)
    return acknowledged, acknowledged + worker.until(lambda: job.end is not None, 60)


def test_a_training_stops_at_once_and_as_wished(worker, world, model):
    asked = {"data": str(world / "data"), "structures": "spleen", "steps": 10**6, "options": FEW}
    job = training(worker, "learn", model=str(model), **asked)
    acknowledged, ended = stop(worker, job, "discard")
    assert acknowledged < ACKNOWLEDGED
    assert ended < ENDED
    assert job.end == events.Cancelled(job.id, kept=False)
    assert worker.do("resume", model=str(model)).end.what.startswith("No step of")

    job = training(worker, "learn", model=str(model), **asked)
    _, ended = stop(worker, job, "pause")
    assert ended < ENDED
    assert job.end == events.Cancelled(job.id, kept=True)

    job = training(worker, "resume", model=str(model))
    stop(worker, job, "keep")
    assert job.end.result["structures"][-1] == "spleen"
    assert job.state == "finished"


def test_a_new_structure_is_taught_as_a_panel_asks(worker, world, model, tmp_path):
    asked = {"name": "Milz", "label": "spleen", "terminology": "A~B", "color": [1, 2, 3]}
    copy, seen = shutil.copytree(model, tmp_path / "model"), tmp_path / "seen"
    where = {"model": str(copy), "data": str(world / "data"), "structures": [asked]}
    advised = worker.do("advise", **where)
    assert advised.state == "finished", advised.end
    job = worker.do("learn", **where, steps=6, options=FEW, device="cpu", accept="never", previews=str(seen),
                    limits={"harm": 50, "unsure": 10, "mean": 50})  # fmt: skip
    assert job.state == "finished", job.end
    result = job.end.result
    assert result["accepted"] is False
    assert result["retention"]["limits"]["harm"] == 50
    assert result["retention"]["sentence"]
    assert [point["step"] for point in result["curve"]["points"]] == [1, 2, 3, 4, 5, 6]
    previews = worker.of(job, events.Preview)  # how many depends on the time that the steps take
    assert {(preview.kind, preview.structure) for preview in previews} == {("learning", "Milz")}
    assert {Path(preview.path).parent for preview in previews} == {seen}
    changes = [event for event in worker.of(job, events.Metric) if event.name == "worst_change"]
    assert "Milz" not in {event.structure for event in changes} != set()
    summary = worker.do("summary", model=str(copy), version=result["version"]).end.result
    taught = summary["structures"][-1]
    assert {name: taught[name] for name in ("name", "terminology", "color")} == {
        name: asked[name] for name in ("name", "terminology", "color")
    }
    assert summary["candidates"] == [result["version"]]


def test_the_example_of_the_document_runs(world, model, tmp_path):
    text = (Path(__file__).parents[3] / "docs" / "wire.md").read_text("utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shutil.copytree(model, tmp_path / "shoulder")
    shutil.copy(world / "data" / "images" / "c0.nii.gz", tmp_path / "scan.nii.gz")
    done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, check=True)
    first, last = done.stdout.splitlines()
    assert first == f"scan {Path('outlines', 'scan.seg.nrrd')}"
    assert last.startswith("finished Finished(")
    assert (tmp_path / "outlines" / "scan.seg.nrrd").is_file()


def test_a_card_says_what_a_model_is(worker, model):
    summary = worker.do("summary", model=str(model)).end.result
    assert summary["name"] == "model"
    assert summary["versions"][0] | {"created": ""} == {
        "number": 1, "parent": None, "kind": "step", "created": "", "held_back_by": [], "structures": ["liver"],
        "status": "accepted" if summary["current"] > 1 else "current",
    }  # fmt: skip


def test_methods_are_those_of_the_command_line(worker):
    assert worker.do("methods").end.result == json.loads(json.dumps(forms()))


def test_a_missing_file_is_said_as_everywhere(worker, world):
    job = worker.do("summary", model=str(world / "nothing"))
    assert job.end.what.startswith("There is no model folder")
    assert "learn" in job.end.todo


@pytest.mark.parametrize("verb", sorted(verbs.VERBS))
def test_every_request_leads_to_a_function_whose_arguments_can_be_named(verb):
    function = verbs.resolve(verb)
    assert function.__doc__
    with pytest.raises(UnknownNameError, match=f"argument of {verb}"):
        verbs.bind(verb, {"no such argument": 1})
    known = inspect.signature(function).parameters
    needed = {name: "x" for name, item in known.items() if item.default is item.empty}
    for name in set(known) - verbs.INTERNAL:
        with pytest.raises(OptionError, match=f"The (argument|option) {name}="):  # no line of JSON holds such an object
            verbs.bind(verb, {name: object()} | {other: value for other, value in needed.items() if other != name})
