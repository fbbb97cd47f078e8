import importlib.util
import re
from pathlib import Path

import pytest

import IncrementalSegLib
from IncrementalSegLib import registry
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.sampling.phantom import write_phantom_dataset

PAGE = Path(IncrementalSegLib.__file__).parent / "methods" / "README.md"


@pytest.fixture(params=["anchor", "steady"])
def example(request, tmp_path, monkeypatch):
    """Return name, text and class of an example of the page, registered as a method; other tests do not see it."""
    name = request.param
    registry.discover("method")
    monkeypatch.setitem(registry._entries, "method", dict(registry._entries["method"]))
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    (block,) = (block for block in blocks if f'"{name}"' in block)
    file = tmp_path / f"{name}.py"
    file.write_text(block, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"{name}_of_the_page", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return name, block, getattr(module, name.capitalize())


def test_it_is_as_short_as_the_page_promises(example):
    name, block, method = example
    assert len(block.splitlines()) <= 40
    assert registry.find("method", name) is method


def test_it_trains_a_step_on_top_of_another_method(example, tmp_path):
    size = (4, 32, 32)
    first = write_phantom_dataset(tmp_path / "first", 2, "A", ["humerus"], 1, size)
    second = write_phantom_dataset(tmp_path / "second", 2, "A", ["scapula"], 2, size)
    model = tmp_path / "model"
    name, _, method = example
    start = {"heads": "finetune", "classes": "finetune-softmax"}[method.output]
    learn(model, first, "humerus", method=start, preset="quick", steps=1, device="cpu")
    options = {"strength": "0.5", "passes": "2"}
    result = learn(model, second, "scapula", method=name, options=options, preset="quick", steps=2, device="cpu")
    assert result.record.step["method"] == name
    assert result.record.step["options"]["strength"] == 0.5
    assert result.record.structures.names == ("humerus", "scapula")
    first_look, second_look = (point[name] for point in result.curve.points)
    if name == "anchor":  # before its first update the model is the previous one; after it the weights have moved
        assert first_look == 0
    assert second_look > 0
