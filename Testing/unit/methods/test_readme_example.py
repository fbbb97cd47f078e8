import importlib.util
import re
from pathlib import Path

import pytest

import IncrementalSegLib
from IncrementalSegLib import registry
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.sampling.phantom import write_phantom_dataset

PAGE = Path(IncrementalSegLib.__file__).parent / "methods" / "README.md"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Return the example of the page as a registered method; other tests do not see it."""
    registry.discover("method")
    monkeypatch.setitem(registry._entries, "method", dict(registry._entries["method"]))
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    file = tmp_path / "anchor.py"
    file.write_text(block, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("anchor_of_the_page", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return block, module.Anchor


def test_it_is_as_short_as_the_page_promises(example):
    assert len(example[0].splitlines()) <= 40
    assert registry.find("method", "anchor") is example[1]


def test_it_trains_a_step_on_top_of_another_method(example, tmp_path):
    size = (4, 32, 32)
    first = write_phantom_dataset(tmp_path / "first", 2, "A", ["humerus"], 1, size)
    second = write_phantom_dataset(tmp_path / "second", 2, "A", ["scapula"], 2, size)
    model = tmp_path / "model"
    learn(model, first, "humerus", preset="quick", steps=1, device="cpu")
    options = {"strength": "0.5", "passes": "2"}
    result = learn(model, second, "scapula", method="anchor", options=options, preset="quick", steps=2, device="cpu")
    assert result.record.step["method"] == "anchor"
    assert result.record.step["options"]["strength"] == 0.5
    assert result.record.structures.names == ("humerus", "scapula")
    # Before its first update the model is the previous one; after it the weights have moved.
    first_look, second_look = (point["anchor"] for point in result.curve.points)
    assert first_look == 0 < second_look
