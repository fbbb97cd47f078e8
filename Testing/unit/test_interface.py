"""The Python interface: what is promised is there, and the examples in docstrings run."""

import ast
import doctest
import inspect
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import IncrementalSegLib
from IncrementalSegLib.sampling.phantom import write_phantom_dataset

ROOT = Path(IncrementalSegLib.__file__).parent
PROMISED = {
    "learn",
    "segment",
    "evaluate",
    "check_data",
    "open_data",
    "open_model",
    "read_volume",
    "Structure",
    "Volume",
}
EXAMPLES = sorted(
    ".".join(("IncrementalSegLib", *path.relative_to(ROOT).with_suffix("").parts))
    for path in ROOT.rglob("*.py")
    if any(">>>" in line and "+SKIP" not in line for line in path.read_text("utf-8").splitlines())
)


def test_about_ten_names_are_public():
    assert set(IncrementalSegLib.__all__) >= PROMISED
    assert len(IncrementalSegLib.__all__) <= 15


@pytest.mark.parametrize("name", sorted(PROMISED))
def test_a_public_name_is_the_one_that_its_module_defines(name):
    entry = getattr(IncrementalSegLib, name)
    assert entry.__name__ == name
    assert getattr(import_module(entry.__module__), name) is entry


def test_type_checkers_see_every_public_name_where_it_is_defined():
    tree = ast.parse(Path(IncrementalSegLib.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and node.test.id == "TYPE_CHECKING")
    seen = {name.asname: node.module for node in block.body for name in node.names}
    assert seen == {name: f"IncrementalSegLib.{module}" for name, module in IncrementalSegLib._PUBLIC.items()}


@pytest.mark.slow
def test_mypy_reveals_the_signature_of_learn(tmp_path):
    (tmp_path / "mypy.ini").write_text("[mypy]\n")
    program = "import IncrementalSegLib\nreveal_type(IncrementalSegLib.learn)\nIncrementalSegLib.lern"
    command = [sys.executable, "-m", "mypy", "--config-file", tmp_path / "mypy.ini", "-c", program]
    said = subprocess.run(command, cwd=ROOT.parent, capture_output=True, text=True, check=False).stdout
    assert "def (model: " in said
    assert "StepResult" in said
    assert 'Module has no attribute "lern"' in said


@pytest.mark.parametrize("name", ["learn", "segment", "evaluate"])
def test_options_are_given_by_name(name):
    parameters = inspect.signature(getattr(IncrementalSegLib, name)).parameters.values()
    kinds = [parameter.kind for parameter in parameters]
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) <= 3
    assert all(
        parameter.default is not inspect.Parameter.empty
        for parameter in parameters
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    )


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Return a folder with what the examples speak of: scans, one scan, and a model that knows the humerus."""
    folder = tmp_path_factory.mktemp("world")
    write_phantom_dataset(folder / "scans", 2, "A", ["humerus"], 0, (6, 32, 32))
    shutil.copy(next((folder / "scans" / "imagesTr").iterdir()), folder / "scan.nii.gz")
    IncrementalSegLib.learn(folder / "shoulder", folder / "scans", "humerus", steps=1, options={"passes": 2})
    return folder


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_run(module, world, monkeypatch):
    monkeypatch.chdir(world)
    result = doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_what_people_call_first_has_an_example_that_runs():
    for name in ("learn", "segment", "evaluate", "open_data", "open_model", "read_volume"):
        assert ">>> " in inspect.getdoc(getattr(IncrementalSegLib, name)), name
