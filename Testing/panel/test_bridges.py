"""The bridges that tests bring take what the real one takes."""

import ast
import inspect
from pathlib import Path

import pytest

BRIDGES = {
    f"{path.stem}.{node.name}": node
    for path in sorted(Path(__file__).parent.glob("*.py"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.ClassDef) and node.name.endswith("Bridge")
}


def test_there_are_some():
    assert len(BRIDGES) > 1


@pytest.mark.parametrize("name", BRIDGES)
def test_a_bridge_takes_what_the_real_one_takes(name):
    from IncrementalSegPanel.scene.SceneBridge import SceneBridge

    methods = {one.name: one for one in BRIDGES[name].body if isinstance(one, ast.FunctionDef)}
    answered = [method for method in methods if not method.startswith("_") and hasattr(SceneBridge, method)]
    assert answered
    for method in answered:
        real = list(inspect.signature(getattr(SceneBridge, method)).parameters.values())
        needed = sum(one.default is one.empty for one in real)
        arguments = methods[method].args
        taken = len(arguments.posonlyargs) + len(arguments.args)
        assert taken - len(arguments.defaults) <= needed, f"{method} asks for more"
        assert arguments.vararg or needed <= taken <= len(real), f"{method} takes something else"
