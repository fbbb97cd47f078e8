"""The settings of a step: one declaration for Python, the command line, the worker and the panel."""

import inspect
import json
from dataclasses import fields

import pytest

from IncrementalSegLib.cli import estimate as estimate_command
from IncrementalSegLib.cli import learn as learn_command
from IncrementalSegLib.engine.compare.retention import gate
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.planning.estimate import estimate
from IncrementalSegLib.engine.settings import LearnCall, StepSettings, settings_schema
from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.evaluation.limits import Limits

SETTINGS = {item.name for item in fields(StepSettings)}


def parameters(function):
    return inspect.signature(function).parameters


def test_every_setting_has_a_help_and_is_taken_by_learn_and_estimate():
    described = settings_schema()["properties"]
    assert set(described) == SETTINGS
    assert all(item["description"].endswith(".") for item in described.values())
    assert set(parameters(estimate)) >= SETTINGS
    assert set(parameters(learn)) >= SETTINGS


def test_the_command_line_offers_every_setting():
    spelled = {name: {"limits": "limit_harm", "options": "option"}.get(name, name) for name in SETTINGS}
    assert set(parameters(estimate_command.command)) >= set(spelled.values())
    assert set(parameters(learn_command.command)) >= set(spelled.values())
    assert parameters(learn_command.command)["limit_harm"].default == Limits().harm
    assert parameters(gate)["limits"].default == Limits()


def test_a_checkpoint_keeps_what_the_result_depends_on():
    asked = StepSettings(steps=7, options={"alpha": "0.3"}, limits=Limits(harm=0.5), device="cpu", cases="a,b")
    kept = json.loads(json.dumps(asked.to_json()))
    assert StepSettings(**kept) == StepSettings(steps=7, options={"alpha": "0.3"}, limits=Limits(harm=0.5, unsure=0.5))


def test_a_checkpoint_keeps_full_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kept = StepSettings(unlabelled="scans", text_embeddings=None).to_json()
    assert (kept["unlabelled"], kept["text_embeddings"]) == (str(tmp_path / "scans"), None)


def test_a_record_tells_nothing_that_could_hold_a_path():
    call = LearnCall("model", "data", "liver", cases="list.txt", options={"descriptor_weights": "w.pt"}, report="page")
    assert set(call.recorded) == {
        "preset", "steps", "exemplars", "seed", "accept", "retention", "limits", "normalisation", "strict"
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"seed": -1}, {"accept": "maybe"}, {"preset": "huge"}, {"strict": 3}])
def test_what_cannot_be_used_is_refused_before_anything_is_read(wrong, tmp_path):
    (name, value) = next(iter(wrong.items()))
    with pytest.raises(OptionError, match=f"option {name}={value!r} cannot be used"):
        learn(tmp_path / "model", tmp_path / "nowhere", "liver", **wrong)
    assert list(tmp_path.iterdir()) == []
