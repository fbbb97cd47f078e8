"""The gate at the end of a step: what is held back stays a candidate, and the version in use stays in use."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny import FEW

from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.learn import learn, resume
from IncrementalSegLib.engine.step import step as step_module
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.evaluation.limits import Limits
from IncrementalSegLib.evaluation.retention import RetentionReport
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import open_model

STEP = {"options": FEW, "preset": "quick", "device": "cpu", "seed": 1}


@pytest.fixture(scope="module")
def known(small_presets, data, tmp_path_factory):
    """A model that finds something of the humerus; one scan was held out."""
    model = tmp_path_factory.mktemp("known") / "model"
    result = learn(model, data / "both", "humerus", **STEP, steps=60)
    assert result.report == RetentionReport()
    assert next(iter(result.record.scores.values()))["validation_dice"] > 0.2
    return model


@pytest.fixture
def model(known, tmp_path):
    return Path(shutil.copytree(known, tmp_path / "model"))


@pytest.fixture
def forgetting(monkeypatch):
    """A step at whose end nothing is left of the old structure."""
    real = step_module.remember

    def spoiled(method, ctx, *args, **more):
        with torch.no_grad():
            for parameter in ctx.model.output.part(ctx.old[0]).parameters():
                parameter.zero_()
        return real(method, ctx, *args, **more)

    monkeypatch.setattr(step_module, "remember", spoiled)


def teach(model, data, **more):
    return learn(model, data / "scapula", "scapula", **STEP | {"method": "lwfseg", "steps": 2} | more)


def test_what_harms_is_held_back_and_can_be_accepted_all_the_same(model, data, forgetting):
    result = teach(model, data)
    folder = open_model(model)
    assert (result.record.accepted, result.record.held_back_by) == (False, ("humerus",))
    assert (folder.current, folder.status(2)) == (1, "candidate")
    (row,) = result.report.rows
    assert (row.structure, row.kind, row.verdict) == ("humerus", "measured", "harmed")
    assert RetentionReport.from_json(folder.document("retention", 2)) == result.report
    assert result.to_json()["retention"]["held_back_by"] == ["humerus"]
    folder.accept(2)
    assert folder.record().held_back_by == ("humerus",), "that it was held back stays known"


def test_limits_decide(model, data, forgetting):
    result = teach(model, data, limits=Limits(harm=100, mean=100))
    assert (result.record.accepted, result.record.step["limits"]["harm"]) == (True, 100)
    with pytest.raises(OptionError, match=r"limits\.harm=-1"):
        teach(model, data, limits=Limits(harm=-1))


@pytest.mark.parametrize(("accept", "current"), [("always", 2), ("never", 1)])
def test_the_gate_can_be_overruled(accept, current, model, data, forgetting):
    record = teach(model, data, accept=accept).record
    assert record.held_back_by == ("humerus",)
    assert open_model(model).current == current


def test_never_makes_a_candidate_of_a_good_version_too(model, data):
    record = teach(model, data, accept="never", limits=Limits(harm=100, unsure=1, mean=100)).record
    assert (record.accepted, record.held_back_by) == (False, ())
    assert open_model(model).status(2) == "candidate"


def test_a_step_that_was_killed_while_judging_is_judged_when_it_goes_on(model, data, forgetting):
    def stop(phase, fraction, numbers=None):
        if phase == "checking_old":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach(model, data, progress=stop, limits=Limits(harm=2, mean=50))
    assert Unfinished(model).exists
    result = resume(model, device="cpu")
    assert result.record.held_back_by == ("humerus",)
    assert result.report.limits == Limits(harm=2, mean=50)


def test_copies_judge_when_the_scans_are_gone(data, tmp_path, small_presets):
    scans = Path(shutil.copytree(data / "both", tmp_path / "scans"))
    model = tmp_path / "model"
    learn(model, scans, "humerus", **STEP, steps=2, retention="copy")
    assert len(RetentionCopies.of(open_model(model)).scans) == 1
    shutil.rmtree(scans)
    result = teach(model, data, accept="always")
    assert [row.kind for row in result.report.rows] == ["measured"]
    assert RetentionCopies.of(open_model(model)).scans.keys() == RetentionCopies.of(open_model(model), 1).scans.keys()


def test_improving_is_judged_on_the_improved_structure_too(model, data):
    result = learn(model, data / "humerus", "humerus", improve=True, method="lwfseg", **STEP, steps=2, accept="always")
    assert [row.structure for row in result.report.rows] == ["humerus"]


def test_the_page_shows_before_and_after(model, data, tmp_path, forgetting):
    result = teach(model, data, report=tmp_path / "page")
    assert result.page is not None
    text = result.page.read_text("utf-8")
    assert "humerus" in text
    assert "Held back" in text
    assert json.loads(json.dumps(result.to_json()))["report"] == str(result.page)


def test_the_next_step_says_that_it_does_not_build_on_a_candidate(model, data, forgetting, caplog):
    teach(model, data)
    with pytest.raises(Exception, match=r"."):  # whatever becomes of it, it is said first
        learn(model, data / "scapula", "no such label", **STEP, steps=1)
    assert "Version 2 is still a candidate. This step continues from version 1" in caplog.text


def test_a_page_that_cannot_be_written_costs_no_version(model, data, tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    result = teach(model, data, report=blocked / "page", accept="always")
    assert (result.record.number, result.page) == (2, None)
    assert "its page is not" in caplog.text
