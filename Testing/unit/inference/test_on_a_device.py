"""Segmenting on a stand-in for a GPU, which refuses to compute with tensors of the host."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerator import DEVICE, move, watched
from numpy.random import Generator
from tiny import CPU, DISC, SQUARE, context, method, plan

from IncrementalSegLib.inference import budget
from IncrementalSegLib.inference.prediction import Prediction
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.preprocessing import geometry
from IncrementalSegLib.types import Json
from IncrementalSegLib.volumes.volume import Grid, Volume

GRID = Grid((9, 20, 30), (1.5, 1.1, 0.7), (10.0, -20.0, 5.0))
COSINES = {"similarity": (SQUARE,), "unknown": True}


@pytest.mark.parametrize(
    ("dimension", "family", "asked", "held"),
    [(2, "lwfseg", {}, 2**31), (3, "mib", {}, 2**31), (2, "mib", {}, 0), (3, "cfil", COSINES, 2**31)],
)
def test_a_prediction_is_that_of_the_cpu(
    dimension: int, family: str, asked: Json, held: int, rng: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "_HELD", held)
    monkeypatch.setattr(geometry, "_SLAB", 5000)
    array = rng.normal(0, 1, (1, *GRID.shape)).astype(np.float32)
    array[0, :, :5] = np.nan
    model = context(method(family), dimension=dimension).model

    def predict(device: torch.device) -> Prediction:
        predictor = Predictor(model, plan(dimension), device, batch=2)
        return predictor.predict(Volume(array, GRID), probability=True, uncertainty=True, **asked)

    expected = predict(CPU)
    move(model)
    with watched(refuse=False):
        found = predict(DEVICE)
    for name in (DISC, SQUARE):
        np.testing.assert_allclose(found.probability[name], expected.probability[name], atol=2e-3)
        assert np.mean(found.mask[name] != expected.mask[name]) < 1e-3
    np.testing.assert_allclose(found.uncertainty, expected.uncertainty, atol=1e-4)
    for name, cosine in expected.similarity.items():
        np.testing.assert_allclose(found.similarity[name], cosine, atol=1e-4)
