"""The Python interface: what is promised is there, and the examples in docstrings run."""

import doctest
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import IncrementalSegLib

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


@pytest.mark.parametrize("module", EXAMPLES)
def test_examples_run(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(import_module(module), optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0
