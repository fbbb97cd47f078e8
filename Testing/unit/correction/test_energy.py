"""The energy against its equations, its minimum against a grid of all values and a dense solver."""

import itertools
import time

import numpy as np
import pytest
from scipy.optimize import minimize

from IncrementalSegLib.correction.energy import FLOOR, Energy, floored


def kl(one, two):
    return float(sum(p * np.log(p / q) for p, q in zip(one, two, strict=True)))


def written_out(energy, theta):
    """Return Eqs. 11 to 14 in plain loops."""
    total = 0.0
    for node, row in enumerate(theta):
        pair = (row, energy.prior[node])
        total += kl(*pair) if energy.unary == "published" else kl(*reversed(pair))
        total -= sum(stroke * np.log(p) for stroke, p in zip(energy.strokes[node], row, strict=True))
    for (one, two), weight in zip(energy.edges, energy.weights, strict=True):
        for first, second in ((one, two), (two, one)):
            total += weight * (kl(theta[first], theta[second]) + kl(theta[second], theta[first])) / 2
    return total


def drawn(rng, nodes, classes, edges, unary="published"):
    prior = floored(rng.dirichlet(np.ones(classes), size=nodes))
    strokes = np.zeros((nodes, classes))
    strokes[0, 1], strokes[-1, 0] = 10.0, 10.0
    return Energy(prior, strokes, np.array(edges), rng.random(len(edges)), unary)


RING = [(0, 1), (1, 2), (2, 3), (3, 4), (0, 4)]


@pytest.mark.parametrize("unary", ["published", "code"])
def test_the_energy_is_that_of_the_equations(rng, unary):
    energy = drawn(rng, 5, 3, RING, unary)
    theta = rng.dirichlet(np.ones(3), size=5)
    assert energy.slope(np.log(theta))[0] == pytest.approx(written_out(energy, theta))


@pytest.mark.parametrize("unary", ["published", "code"])
def test_the_gradient_is_that_of_the_energy(rng, unary):
    energy, logits = drawn(rng, 5, 3, RING, unary), rng.normal(size=(5, 3))

    def value(changed):
        return energy.slope(changed - np.log(np.exp(changed).sum(axis=1, keepdims=True)))[0]

    found = energy.slope(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))[1]
    for place in itertools.product(range(5), range(3)):
        change = np.zeros((5, 3))
        change[place] = 1e-5
        assert found[place] == pytest.approx((value(logits + change) - value(logits - change)) / 2e-5, abs=1e-5)


def test_each_term_is_convex(rng):
    energy = drawn(rng, 5, 3, RING)
    for _ in range(50):
        one, two = rng.dirichlet(np.full(3, 0.5), size=(2, 5)) + 1e-9
        middle = written_out(energy, (one + two) / 2)
        assert middle <= (written_out(energy, one) + written_out(energy, two)) / 2 + 1e-9


@pytest.mark.parametrize("unary", ["published", "code"])
def test_the_minimum_is_that_of_all_values_on_a_grid(rng, unary):
    energy = drawn(rng, 3, 2, [(0, 1), (1, 2)], unary)
    shares = np.concatenate([np.geomspace(1e-5, 0.02, 7), np.linspace(0.05, 0.95, 19), 1 - np.geomspace(0.02, 1e-5, 7)])
    values = {
        triple: energy.slope(np.log(np.stack([1 - np.array(triple), np.array(triple)], axis=1)))[0]
        for triple in itertools.product(shares, repeat=3)
    }
    best = min(values, key=values.get)
    found = np.exp(energy.minimum(tolerance=1e-10))[:, 1]
    assert energy.slope(np.log(np.stack([1 - found, found], axis=1)))[0] <= values[best]
    assert found == pytest.approx(best, abs=0.06)


@pytest.mark.parametrize("unary", ["published", "code"])
@pytest.mark.parametrize("classes", [2, 4])
def test_the_minimum_is_that_of_a_dense_solver(rng, classes, unary):
    edges = [pair for pair in itertools.combinations(range(12), 2) if rng.random() < 0.4]
    energy = drawn(rng, 12, classes, edges, unary)

    def value(flat):
        theta = np.exp(flat.reshape(12, classes))
        return written_out(energy, theta / theta.sum(axis=1, keepdims=True))

    dense = minimize(value, np.log(energy.prior).ravel(), method="BFGS", options={"gtol": 1e-6}).x
    expected = np.exp(dense.reshape(12, classes))
    expected /= expected.sum(axis=1, keepdims=True)
    assert np.exp(energy.minimum(tolerance=1e-12)) == pytest.approx(expected, abs=1e-4)


def test_a_node_alone_keeps_its_prior_and_takes_its_stroke():
    prior = floored(np.array([[0.7, 0.3], [0.999, 0.001]]))
    strokes = np.array([[0.0, 0.0], [0.0, 100.0]])
    alone = Energy(prior, strokes, np.zeros((0, 2), np.int64), np.zeros(0))
    kept, taken = np.exp(alone.minimum(tolerance=1e-10))
    assert kept == pytest.approx([0.7, 0.3], abs=1e-4)
    assert taken[1] > 0.99


def test_probabilities_of_zero_are_raised():
    raised = floored(np.array([[1.0, 0.0]]))
    assert raised.sum() == pytest.approx(1)
    assert raised[0, 1] == pytest.approx(FLOOR, rel=0.01)


def test_the_minimum_of_ten_thousand_regions_takes_few_evaluations_of_the_energy(rng):
    """Both are timed in turn, so that a busy machine slows both; the ratio is about 42."""
    side = 22
    numbers = np.arange(side**3).reshape(side, side, side)
    pairs = [(numbers.take(range(side - 1), axis), numbers.take(range(1, side), axis)) for axis in range(3)]
    edges = np.concatenate([np.stack([one.ravel(), two.ravel()], axis=1) for one, two in pairs])
    prior = floored(rng.dirichlet((0.3, 0.3), size=side**3))
    strokes = np.zeros_like(prior)
    strokes[rng.choice(len(prior), 60, replace=False), 1] = 10.0
    energy = Energy(prior, strokes, edges, rng.random(len(edges)))
    logs = energy.minimum()  # also builds the graph
    solving, evaluating = [], []
    for _ in range(5):
        solving.append(seconds(energy.minimum))
        evaluating.append(seconds(lambda: [energy.slope(logs) for _ in range(20)]) / 20)
    assert min(solving) < 130 * min(evaluating)


def seconds(work):
    start = time.process_time()
    work()
    return time.process_time() - start
