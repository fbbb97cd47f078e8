"""The energy by which strokes spread over a graph of regions (CLIS, Eqs. 11 to 14), and its minimum.

With probabilities θ_m of C classes at the node m, prior probabilities θ̄_m, and strokes a_m of the weight λ_m:

    G = Σ_m KL(θ_m ‖ θ̄_m) + Σ_{m,n} w_mn ½ [KL(θ_m ‖ θ_n) + KL(θ_n ‖ θ_m)] - Σ_m λ_m a_m · ln θ_m

As written, the second sum counts each pair of neighbours twice.  Every term is convex in all θ together, and the first
strictly: there is one minimum.  A pair adds w (θ_m - θ_n)·(ln θ_m - ln θ_n), so that energy and gradient are products
with the Laplacian of the graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Numbers = NDArray[np.float64]

FLOOR = 1e-3
"""Least prior probability: networks are surer than they are right, and no stroke moves a probability of 0."""

_LONGEST_STEP = 2.0  # of a logit per iteration
_NUDGE = 3.0  # of a logit under a stroke, to begin with
_CG_STEPS, _CG_SHARE = 40, 0.3
_LEAST_STEP = 1e-3


@dataclass(frozen=True)
class Energy:
    """The energy of one graph.

    Attributes:
        prior: θ̄, ``(N, C)``; rows add up to 1 (:func:`floored`).
        strokes: λ_m a_m, ``(N, C)``; a row of 0 where nothing was drawn.
        edges: ``(E, 2)``, each pair once.
        weights: w, ``(E,)``.
        unary: ``published``: KL(θ ‖ θ̄), Eq. 12; ``code``: KL(θ̄ ‖ θ), as in the authors' code.
    """

    prior: Numbers
    strokes: Numbers
    edges: NDArray[np.int64]
    weights: Numbers
    unary: Literal["published", "code"] = "published"

    @cached_property
    def _adjacency(self) -> sparse.csr_array:
        one, two = self.edges.T
        shape = (len(self.prior), len(self.prior))
        half = sparse.csr_array((self.weights, (one, two)), shape=shape)
        return sparse.csr_array(half + half.T)

    @cached_property
    def _degrees(self) -> Numbers:
        """Sum of the weights at each node, ``(N, 1)``."""
        return np.asarray(self._adjacency.sum(axis=1)).reshape(-1, 1)

    @cached_property
    def _laplacian(self) -> sparse.csr_array:
        return sparse.csr_array(sparse.diags_array(self._degrees[:, 0]) - self._adjacency)

    def minimum(self, start: Numbers | None = None, tolerance: float = 1e-3, iterations: int = 50) -> Numbers:
        """Return the logarithm of the θ of least energy, ``(N, C)``.

        Newton's method on the logits, with the Fisher information of each class in place of the Hessian; each
        step is solved by a few conjugate gradients and halved until the energy falls.

        Args:
            start: ln θ to begin with; the prior by default.
            tolerance: Stop where an iteration lowers the energy by no more than this.
            iterations: Largest number of iterations.
        """
        logs = _normalised((np.log(self.prior) if start is None else start) + np.minimum(self.strokes, _NUDGE))
        value, gradient = self.slope(logs)
        for _ in range(iterations):
            step = np.clip(self._newton(np.exp(logs), gradient), -_LONGEST_STEP, _LONGEST_STEP)
            size = 1.0
            while True:
                tried = _normalised(logs + size * step)
                lower, slope = self.slope(tried)
                if lower <= value or size < _LEAST_STEP:
                    break
                size /= 2
            if lower > value:
                break
            gained, logs, value, gradient = value - lower, tried, lower, slope
            if gained <= tolerance:
                break
        return logs

    def slope(self, logs: Numbers) -> tuple[float, Numbers]:
        """Return the energy and its gradient by the logits, ``(N, C)``.

        Args:
            logs: ln θ, ``(N, C)``.
        """
        theta, classes = np.exp(logs), logs.shape[1]
        both = self._laplacian @ np.concatenate([theta, logs], axis=1)
        pulled, inner = both[:, :classes], both[:, classes:]
        fixed = self.strokes
        if self.unary == "published":
            inner += logs - np.log(self.prior)
        else:
            fixed = fixed + self.prior
        value = float(np.vdot(theta, inner) - np.vdot(fixed, logs))
        gradient = theta * (inner - (theta * inner).sum(axis=1, keepdims=True))
        gradient += pulled + fixed.sum(axis=1, keepdims=True) * theta - fixed
        if self.unary == "code":
            value += float(np.vdot(self.prior, np.log(self.prior)))
        return value, gradient

    def _newton(self, theta: Numbers, gradient: Numbers) -> Numbers:
        """Return the step H⁻¹(-gradient) by conjugate gradients.

        H v = θ (1 + λ) v + Σ_n w_mn (θ_m + θ_n) (v_m - v_n), class by class.
        """
        fisher, around = theta + 1e-6, self._adjacency
        diagonal = fisher * (1 + self.strokes.sum(axis=1, keepdims=True))
        diagonal += fisher * self._degrees + around @ fisher
        step, rest = np.zeros_like(gradient), -gradient
        scaled = rest / diagonal
        way, size = scaled, float(np.vdot(rest, scaled))
        enough = _CG_SHARE**2 * size
        for _ in range(_CG_STEPS):
            if size <= enough:
                break
            product = diagonal * way - fisher * (around @ way) - around @ (fisher * way)
            length = size / float(np.vdot(way, product))
            step += length * way
            rest -= length * product
            scaled = rest / diagonal
            before, size = size, float(np.vdot(rest, scaled))
            way = scaled + (size / before) * way
        return step


def floored(probability: NDArray[np.floating]) -> Numbers:
    """Return probabilities ``(N, C)`` of at least :data:`FLOOR`, with rows that add up to 1."""
    raised = np.maximum(probability, FLOOR).astype(np.float64)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _normalised(logits: Numbers) -> Numbers:
    lowered = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(lowered - np.log(np.exp(lowered).sum(axis=1, keepdims=True)))
