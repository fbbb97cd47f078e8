"""Documents that another version of the program wrote: a sentence, never a bare KeyError."""

import copy

import pytest

from IncrementalSegLib.engine.documents import plan_of
from IncrementalSegLib.engine.exemplars import overview
from IncrementalSegLib.engine.gate.scans import KIND as COPIES
from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.planning.advice import advise
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.engine.step.result import StepResult
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.store.versions import open_model

OTHER = "has a different form from the one that this program writes"


def without(document, *path):
    """Return a document without one entry; ``0`` takes the first of a list or an object."""
    changed = copy.deepcopy(document)
    item = changed
    for key in path[:-1]:
        item = item[next(iter(item)) if key == 0 and isinstance(item, dict) else key]
    del item[next(iter(item)) if path[-1] == 0 and isinstance(item, dict) else path[-1]]
    return changed


def rewritten(model, kind, change):
    """Write a version whose document is changed."""
    folder = open_model(model)
    folder.edit({"action": "test"}, documents={kind: change(folder.document(kind))})
    return folder


DOMAINS = {
    "without a shape": lambda held: without(held, "groups", 0, "domain", "shape"),
    "without a spread": lambda held: without(held, "groups", 0, "domain", "spreads", "layout"),
    "with fewer numbers": lambda held: without(held, "groups", 0, "domain", "spreads", "texture", "mean", 0),
    "with a list of names": lambda held: {"groups": ["humerus"]},
    "with words": lambda held: {"groups": "humerus"},
}


@pytest.mark.parametrize("change", DOMAINS.values(), ids=DOMAINS)
def test_a_foreign_domain_costs_only_the_warning(model, data, tmp_path, change):
    rewritten(model, "domain", change)
    scan = next((data / "scapula").rglob("*.nii.gz"))
    result = segment(model, scan, tmp_path / "out", device="cpu")
    assert len(result.outputs) == 1
    assert [OTHER in text for text in result.warnings if "cannot be compared" in text] == [True]
    assert any(OTHER in text for text in advise(model, data / "scapula").cautions)
    assert {item["domain"] for item in read_summary(model)["structures"]} <= {""} | {
        item["domain"] for item in read_summary(model, 1)["structures"]
    }


def test_a_step_goes_on_from_a_foreign_domain_and_says_so(teach, model, data, caplog):
    rewritten(model, "domain", DOMAINS["without a shape"])
    teach(model, data / "scapula", "scapula")
    assert OTHER in caplog.text
    folder = open_model(model)
    assert [item["structures"] for item in folder.document("domain")["groups"]] == [[folder.record().structures.ids[1]]]


NEEDED = {
    "history": lambda held: without(held, "steps", 0, "training"),
    "exemplars": lambda held: without(held, "exemplars", 0, "sha256"),
    "prototypes": lambda held: without(held, "prototypes", 0, "count"),
    "memory": lambda held: held | {"voxel_counts": {"humerus": 3}},
}


@pytest.mark.parametrize(("kind", "change"), NEEDED.items(), ids=NEEDED)
def test_a_step_refuses_what_it_cannot_go_without(teach, model, data, tmp_path, kind, change):
    rewritten(model, kind, change)
    with pytest.raises(ModelError, match=f"The {kind} of version 2 of model {OTHER}"):
        teach(model, data / "scapula", "scapula", method="aeiseg")
    read_summary(model)
    segment(model, next((data / "scapula").rglob("*.nii.gz")), tmp_path / "out", device="cpu")


def test_other_readers_say_it_too(model):
    rewritten(model, "selection", lambda held: without(held, "structures", 0, "coverage"))
    with pytest.raises(ModelError, match=OTHER):
        overview(model)
    folder = rewritten(model, "curve", lambda held: held | {"speed": 1})
    with pytest.raises(ModelError, match=OTHER):
        StepResult.of(folder, folder.current)
    folder = rewritten(model, COPIES, lambda held: {"scans": 3})
    with pytest.raises(ModelError, match=OTHER):
        RetentionCopies.of(folder)
    record = folder.record()
    del record.preprocessing["spacing"]
    with pytest.raises(ModelError, match=rf"preprocessing.*{OTHER} .spacing: "):
        plan_of(record)
