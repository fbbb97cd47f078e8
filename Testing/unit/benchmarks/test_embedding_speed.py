"""Speed of the embedding family: both models are whole, and each side of a pair runs."""

import pytest
import torch

from IncrementalSegLib.engine.runtime import start
from Testing.benchmarks import embedding_speed
from Testing.benchmarks.bench import Bench


def test_models_of_both_sizes_have_the_same_weights_but_for_the_directions() -> None:
    bench = Bench(start("cpu"))
    one, many = (embedding_speed.known(bench, count) for count in (1, 20))
    same = {name for name, value in one.state_dict().items() if torch.equal(value, many.state_dict()[name])}
    assert set(one.state_dict()) - same == {"output.directions"}
    directions = many.output.directions[:20].double()
    torch.testing.assert_close(directions @ directions.T, torch.eye(20).double(), atol=1e-6, rtol=0)


def test_the_promised_ratios_are_among_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding_speed, "MANY", 3)
    pairs = {pair.name: pair for pair in embedding_speed.embedding_pairs(Bench(start("cpu")))}
    assert pairs["cosines with 3 structures / 1"].limit == 1.1
    assert pairs["cfil step / lwfseg step"].limit == 1.25
    shapes = [
        tuple(side().shape)
        for side in (pairs["cosines with 3 structures / 1"].one, pairs["cosines with 3 structures / 1"].other)
    ]
    assert [shape[1] for shape in shapes] == [4, 2]
