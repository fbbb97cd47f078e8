"""Directions are orthonormal, in the order of learning, and a name that brings nothing new falls back."""

import numpy as np
import pytest

from IncrementalSegLib.networks.orthonormal import next_direction
from IncrementalSegLib.networks.text import TextEmbedding, seeded_direction

RANDOM = np.random.default_rng(1)


def unit(vector):
    return vector / np.linalg.norm(vector)


def grown(embeddings):
    """Return the directions of embeddings, one after the other."""
    earlier = np.empty((0, 512))
    found = []
    for number, vector in enumerate(embeddings):
        found.append(next_direction(TextEmbedding(f"structure {number}", unit(vector), "table"), earlier))
        earlier = np.vstack([earlier, found[-1].vector])
    return earlier, found


def test_alike_embeddings_become_orthonormal():
    common = RANDOM.normal(size=512)
    earlier, found = grown([common + 0.1 * RANDOM.normal(size=512) for _ in range(60)])  # cosines of 0.99
    assert abs(earlier @ earlier.T - np.eye(60)).max() < 1e-14
    assert {item.source for item in found} == {"table"}
    assert found[0].residual == pytest.approx(1)
    assert 0.05 < found[1].residual < 0.2


def test_it_is_what_a_qr_decomposition_gives():
    embeddings = RANDOM.normal(size=(20, 512))
    earlier, _ = grown(embeddings)
    q, r = np.linalg.qr(embeddings.T)
    assert earlier == pytest.approx((q * np.sign(np.diag(r))).T, abs=1e-12)


def test_what_depends_on_earlier_ones_falls_back_to_its_name():
    one, two = RANDOM.normal(size=(2, 512))
    earlier, found = grown([one, two, one + two])
    assert found[2].source == "seeded"
    assert found[2].residual < 1e-3
    assert found[2].vector @ seeded_direction("structure 2") > 0.9
    assert abs(earlier @ earlier.T - np.eye(3)).max() < 1e-14


def test_there_are_as_many_directions_as_dimensions():
    earlier, _ = grown([RANDOM.normal(size=512)] * 512)  # one name for all: 511 fall back
    assert abs(earlier @ earlier.T - np.eye(512)).max() < 1e-12
