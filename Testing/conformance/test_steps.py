"""Every registered method in whole steps of the engine: the same bits again, refusals, and what is remembered."""

import pytest
from tiny import FEW, changed, spelled, tree

from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.remember import remember_again
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.request import resolve
from IncrementalSegLib.errors import MissingNeedError, ModelError
from IncrementalSegLib.registry import find, names
from IncrementalSegLib.store.versions import open_model

METHODS = names("method")


def teach(model, data, name, chosen, *, seed=0, steps=2, options=FEW, **more):
    return learn(
        model,
        data / name,
        name,
        method=chosen,
        options=options,
        preset="quick",
        steps=steps,
        seed=seed,
        device="cpu",
        **more,
    ).record


@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_gives_the_same_weights(name, data, copy_of):
    def weights(run, seed):
        model = copy_of(name, run)
        # Of a phase's first update, Adam takes the sign alone; what is kept of the scans comes after the weights.
        record = teach(model, data, "scapula", name, seed=seed, steps=4, exemplars="none", accept="always")
        return spelled(open_model(model).tensors("weights"), record)

    one, again, other = weights("one", 1), weights("again", 1), weights("other", 2)
    assert changed(one, again) == set()
    moved = changed(one, other)
    assert any(key.startswith("output.") and "humerus" not in key for key in moved)
    assert any(key.startswith("trunks.") for key in moved)


@pytest.mark.parametrize("name", METHODS)
def test_an_empty_exemplar_memory_is_refused_where_exemplars_are_needed(name, data, copy_of):
    model = copy_of(name, "model", exemplars="none")
    before = tree(model)
    if "exemplars" not in find("method", name).needs:
        assert teach(model, data, "scapula", name).number == 2
        return
    with pytest.raises(MissingNeedError) as caught:
        teach(model, data, "scapula", name)
    assert "remember(" in str(caught.value)
    assert f'method="{name}"' in str(caught.value)
    assert tree(model) == before
    remember_again(model, data / "humerus", name, options=FEW, device="cpu")
    assert teach(model, data, "scapula", name).number == 3


@pytest.mark.parametrize("name", ["mib", "pcdd", "sdr"])
def test_rehearsal_on_request_needs_exemplars(name, data, copy_of):
    model = copy_of(name, "model", exemplars="none")
    with pytest.raises(MissingNeedError, match="rehearses exemplars, and the model holds none"):
        teach(model, data, "scapula", name, options=FEW | {"rehearsal": True})
    remember_again(model, data / "humerus", name, options=FEW, device="cpu")
    assert teach(model, data, "scapula", name, options=FEW | {"rehearsal": True}).number == 3


@pytest.mark.parametrize("name", METHODS)
def test_remembering_afterwards_equals_remembering_at_the_end(name, data, tmp_path):
    model = tmp_path / "model"
    teach(model, data, "humerus", name, seed=5)
    edited = remember_again(model, data / "humerus", name, options=FEW, device="cpu")
    assert (edited.number, edited.kind) == (2, "edit")
    versions = [tree(model / "versions" / number) for number in ("0001", "0002")]
    assert set(versions[0]) == set(versions[1])
    different = {file for file, data in versions[0].items() if versions[1][file] != data}
    assert different == {"record.json", "manifest.json"}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_of_another_family_is_refused(name, data, copy_of, monkeypatch):
    own = find("method", name).output
    other = "dynamic" if own == "classes" else "classes"
    model = copy_of(name, "model")
    before = tree(model)
    monkeypatch.setattr(find("method", name), "output", other)
    with pytest.raises(ModelError, match=rf"'{name}' makes {other}, the model has {own}"):
        resolve(model, data / "scapula", "scapula", StepSettings(method=name))
    assert tree(model) == before
