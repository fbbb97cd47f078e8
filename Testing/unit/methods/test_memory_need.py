"""A method that needs what only its own steps leave, as a Fisher information is."""

import pytest
import torch
from tiny import FEW, tree

from IncrementalSegLib import registry
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.remember import remember_again
from IncrementalSegLib.errors import MissingNeedError
from IncrementalSegLib.methods.base.incremental_heads import HeadOptions, IncrementalHeads
from IncrementalSegLib.sampling.phantom import write_phantom_dataset

STEP = {"options": FEW, "preset": "quick", "steps": 1, "device": "cpu"}


@pytest.fixture
def anchored(monkeypatch):
    registry.discover("method")
    monkeypatch.setitem(registry._entries, "method", dict(registry._entries["method"]))

    @registry.register("method", "anchored")
    class Anchored(IncrementalHeads[HeadOptions]):
        """Hold the weights by a strength that its own steps leave."""

        needs = frozenset({"teacher", "memory:strength"})
        source = "own"

        def training_loss(self, batch, ctx):
            terms = super().training_loss(batch, ctx)
            if ctx.teacher_model is not None:
                terms["held"] = ctx.memory.tensors[self.key("strength")].sum() * 1e-3
            return terms

        def remember(self, ctx):
            ctx.memory.tensors[self.key("strength")] = torch.ones(2)


def test_a_model_without_it_is_refused_with_the_command_that_makes_it(anchored, tmp_path):
    for number, name in enumerate(("humerus", "scapula")):
        write_phantom_dataset(tmp_path / name, 2, "A", [name], number, (4, 32, 32))
    model = tmp_path / "model"
    learn(model, tmp_path / "humerus", "humerus", method="finetune", **STEP)
    before = tree(model)
    with pytest.raises(MissingNeedError, match="its own strength of every known structure; humerus: none") as refused:
        learn(model, tmp_path / "scapula", "scapula", method="anchored", **STEP)
    assert 'data="OLD_DATA", method="anchored")' in str(refused.value)
    assert tree(model) == before
    remember_again(model, tmp_path / "humerus", "anchored", options=FEW, device="cpu")
    result = learn(model, tmp_path / "scapula", "scapula", method="anchored", **STEP)
    assert result.curve.points[0]["held"] == pytest.approx(2e-3)
