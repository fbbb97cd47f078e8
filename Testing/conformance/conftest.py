"""Scans and a size with which every method learns in a moment, and models that know one structure."""

import shutil

import pytest
from tiny import FEW, small_quick

from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.registry import find, names
from IncrementalSegLib.sampling.phantom import write_phantom_dataset

STEP = {"options": FEW, "preset": "quick", "steps": 2, "device": "cpu"}
FIRST = {
    "heads": "finetune",
    "classes": "finetune-softmax",
    "dynamic": "dodnet",
    "dynamic-text": "clip-driven",
    "embedding": "cfil",
}
"""The plainest method of each family."""


def begins(name):
    """Return the method of the first step: the plainest of a family, or one that needs a memory of its own steps."""
    kind = find("method", name)
    return name if any(need.startswith("memory:") for need in kind.needs) else FIRST[kind.output]


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    for number, name in enumerate(("humerus", "scapula")):
        write_phantom_dataset(folder / name, 3, "A", [name], number, size=(6, 32, 32))
    return folder


@pytest.fixture(scope="module", autouse=True)
def tiny_preset():
    with small_quick():
        yield


@pytest.fixture(scope="module")
def taught(data, tiny_preset, tmp_path_factory):
    """Models that know the humerus, by first method and by whether exemplars were kept; do not write to them."""
    folder = tmp_path_factory.mktemp("taught")
    for method in {begins(name) for name in names("method")}:
        for kept in ("keep", "none"):
            learn(folder / method / kept, data / "humerus", "humerus", method=method, exemplars=kept, **STEP)
    return folder


@pytest.fixture
def copy_of(taught, tmp_path):
    """Copy the model that a method can go on from."""

    def copy(name, as_, exemplars="keep"):
        return shutil.copytree(taught / begins(name) / exemplars, tmp_path / as_)

    return copy
