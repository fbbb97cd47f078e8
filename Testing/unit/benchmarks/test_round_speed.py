"""Speed of a correction round: both sides do the work that they are named after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tiny import small_quick

from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.session.learner import STEPS
from IncrementalSegLib.engine.step.trainer import Trainer
from IncrementalSegLib.inference.predictor import UNCERTAINTY_PASSES
from IncrementalSegLib.networks.segmenter import Segmenter
from Testing.benchmarks import round_speed
from Testing.benchmarks.bench import Bench


def test_each_round_has_the_steps_and_passes_of_its_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("skimage")
    assert (round_speed.AUTHORS_STEPS, round_speed.AUTHORS_PASSES) == (1204, 50)
    monkeypatch.setattr(round_speed, "SIZE", (1, 48, 64))
    monkeypatch.setattr(round_speed, "AUTHORS_STEPS", 23)
    done = {"steps": 0, "passes": 0}
    step, passes = Trainer.step, Segmenter.monte_carlo

    def counted_step(self: Trainer, *asked: Any) -> Any:
        done["steps"] += 1
        return step(self, *asked)

    def counted_passes(self: Segmenter, *asked: Any) -> Any:
        for found in passes(self, *asked):
            done["passes"] += 1
            yield found

    with small_quick():
        ours, theirs = round_speed.rounds(Bench(start("cpu")), tmp_path)
        monkeypatch.setattr(Trainer, "step", counted_step)
        monkeypatch.setattr(Segmenter, "monte_carlo", counted_passes)
        ours()
        assert done == {"steps": STEPS, "passes": UNCERTAINTY_PASSES}
        theirs()
    assert done == {"steps": STEPS + 23, "passes": UNCERTAINTY_PASSES + 50}
