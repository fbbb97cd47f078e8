"""Scans and a size with which every method learns in a moment, and models that know one structure."""

import shutil

import pytest
from tiny import FEW, small_quick

from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.networks import scan_encoder
from IncrementalSegLib.registry import find
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
    with small_quick(widths=(4, 8)) as patch:  # half of a step is to make, copy and save layers
        patch.setattr(scan_encoder, "_STEPS", 5)  # here no scan has to be told from another
        yield


@pytest.fixture(scope="session")
def taught(data, tmp_path_factory):
    """Return a function that gives the model of a first step; each is made once and not to be written to."""
    folder = tmp_path_factory.mktemp("taught")

    def model(method, exemplars):
        place = folder / method / exemplars
        if not place.exists():
            learn(place, data / "humerus", "humerus", method=method, exemplars=exemplars, **STEP)
        return place

    return model


@pytest.fixture
def copy_of(taught, tmp_path):
    """Copy the model that a method can go on from."""

    def copy(name, as_, exemplars="keep"):
        return shutil.copytree(taught(begins(name), exemplars), tmp_path / as_)

    return copy
