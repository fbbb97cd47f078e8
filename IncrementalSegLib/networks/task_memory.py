"""The task memory of a network: it chooses the task whose network suits a scan (CLIS).

It holds an embedding of each scan that taught, never the scan, and the networks of the tasks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from IncrementalSegLib.networks.scan_encoder import SIZE, ScanEmbedding, ScanEncoder, fit
from IncrementalSegLib.networks.task_networks import TaskNetworks

if TYPE_CHECKING:
    from IncrementalSegLib.networks.segmenter import Segmenter

TASKS = "tasks."
"""Begins the names of its tensors among the weights of a segmenter."""

UNLIMITED = 1e30
"""Limit that every distance is below."""

_OF_SCANS = ("mean", "log_variance", "task", "scan")
"""Tensors with one row for each scan."""


class TaskMemory(nn.Module):
    """Embeddings of N scans, and the networks of T tasks.

    Args:
        model: The network.

    Attributes:
        networks: The networks of the tasks.
        mean: Means of the embeddings, ``(N, SIZE)``.
        log_variance: Logarithms of their variances, ``(N, SIZE)``.
        task: The newest task that each scan taught, ``(N,)`` int64.
        scan: sha256 of the files of each scan, ``(N, 32)`` uint8.
        limit: Largest distance in nats between scans that are alike, ``()``.
    """

    mean: Tensor
    log_variance: Tensor
    task: Tensor
    scan: Tensor
    limit: Tensor

    def __init__(self, model: Segmenter) -> None:
        super().__init__()
        self.encoder = ScanEncoder(model.config.channels)
        self.networks = TaskNetworks(model)
        self.register_buffer("mean", torch.zeros(0, SIZE))
        self.register_buffer("log_variance", torch.zeros(0, SIZE))
        self.register_buffer("task", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("scan", torch.zeros(0, 32, dtype=torch.uint8))
        self.register_buffer("limit", torch.tensor(UNLIMITED))

    @property
    def embeddings(self) -> ScanEmbedding:
        """Embeddings ``(N, SIZE)`` of the scans."""
        return ScanEmbedding(self.mean, self.log_variance)

    @property
    def scans(self) -> list[str]:
        """The sha256 of each scan."""
        return _names(self.scan)

    @property
    def newest(self) -> int:
        """Position of the newest task; -1 before the first."""
        return len(self.networks) - 1

    def learn_to_embed(self, scans: Sequence[Tensor], generator: torch.Generator) -> None:
        """Train the encoder, for good, and set a limit that is not set yet.

        That is the largest distance of one scan from the nearest other one; a single scan gives none.

        Args:
            scans: Of the first task, each ``(C, D, H, W)``.
            generator: CPU.
        """
        fit(self.encoder, scans, generator)
        if self.limit >= UNLIMITED:
            found = [self.encoder.embed(scan) for scan in scans]
            self.limit.fill_(_farthest(ScanEmbedding(*(torch.stack(parts) for parts in zip(*found, strict=True)))))

    @torch.no_grad()
    def begin(self, model: Segmenter, scans: Mapping[str, Tensor]) -> None:
        """Begin a task, and describe its scans.

        Args:
            model: The network.
            scans: sha256 of the files -> scan ``(C, D, H, W)``.
        """
        self.networks.begin(model)
        self.forget(scans)
        for name, scan in scans.items():
            mean, log_variance = self.encoder.embed(scan)
            self.mean = torch.cat([self.mean, mean[None]])
            self.log_variance = torch.cat([self.log_variance, log_variance[None]])
            self.task = torch.cat([self.task, self.task.new_tensor([self.newest])])
            self.scan = torch.cat([self.scan, self.scan.new_tensor([list(bytes.fromhex(name))])])

    def forget(self, scans: Iterable[str]) -> int:
        """Remove scans, known by their sha256, and return how many were there; their tasks stay."""
        kept = _others(self.scan, scans)
        for name in _OF_SCANS:
            setattr(self, name, getattr(self, name)[kept])
        return int((~kept).sum())

    def nearest(self, scan: Tensor) -> int:
        """Return the task of the most similar scan to ``(C, D, H, W)``.

        Where none is alike that is the first task, and where no scan is known the newest one.
        """
        if self.newest < 1 or not len(self.task):
            return max(self.newest, 0)
        apart = distances(self.encoder.embed(scan), self.embeddings)
        found = int(apart.argmin())
        return int(self.task[found]) if apart[found] <= self.limit else 0

    def fault(self) -> str:
        """Return the fault of tensors from elsewhere, beside their shapes, or an empty text."""
        if len({len(self.mean), len(self.log_variance), len(self.task), len(self.scan)}) > 1:
            return "its task memory does not describe all of its scans"
        if bool(((self.task < 0) | (self.task > self.newest)).any()):
            return "its task memory names a task that it does not hold"
        return self.networks.fault()

    def resize(self, tensors: Mapping[str, Tensor], prefix: str = "") -> None:
        """Make room for as many scans and tasks as other tensors hold, where these have the right form."""
        for name in _OF_SCANS:
            own, other = getattr(self, name), tensors.get(prefix + name)
            if other is not None and other.ndim == own.ndim and other.shape[1:] == own.shape[1:]:
                setattr(self, name, own.new_zeros(other.shape))
        self.networks.resize(tensors, f"{prefix}networks.")

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *rest: Any) -> None:
        self.resize(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *rest)


def divergence(one: ScanEmbedding, other: ScanEmbedding) -> Tensor:
    """Return the Kullback-Leibler divergence ``(...)`` in nats of embeddings ``(..., SIZE)`` from others."""
    ratio = (one.log_variance - other.log_variance).exp()
    moved = (one.mean - other.mean).square() / other.log_variance.exp()
    return 0.5 * (ratio + moved - 1 - one.log_variance + other.log_variance).sum(-1)


def distances(one: ScanEmbedding, others: ScanEmbedding) -> Tensor:
    """Return the mean of the divergences in both directions, ``(N,)``.

    The divergence in one direction alone prefers wide distributions, which unlike scans have.

    Args:
        one: ``(SIZE,)``.
        others: ``(N, SIZE)``.
    """
    return (divergence(one, others) + divergence(others, one)) / 2


def scans_in(weights: Mapping[str, Tensor]) -> list[str]:
    """Return the sha256 of each scan that the weights of a segmenter hold an embedding of."""
    return _names(weights[f"{TASKS}scan"]) if f"{TASKS}scan" in weights else []


def without_scans(weights: Mapping[str, Tensor], scans: Iterable[str]) -> dict[str, Tensor]:
    """Return the weights of a segmenter without the embeddings of scans, known by their sha256."""
    kept = _others(weights[f"{TASKS}scan"], scans)
    return {**weights} | {f"{TASKS}{name}": weights[f"{TASKS}{name}"][kept] for name in _OF_SCANS}


def _names(prints: Tensor) -> list[str]:
    return [bytes(row).hex() for row in prints.tolist()]


def _others(prints: Tensor, scans: Iterable[str]) -> Tensor:
    """Return which fingerprints ``(N, 32)`` are not among those named."""
    gone = set(scans)
    return torch.tensor([name not in gone for name in _names(prints)], dtype=torch.bool, device=prints.device)


def _farthest(found: ScanEmbedding) -> float:
    """Return the largest distance of a scan from the nearest other one."""
    nearest = []
    for index in range(len(found.mean)):
        apart = distances(ScanEmbedding(found.mean[index], found.log_variance[index]), found)
        others = torch.cat([apart[:index], apart[index + 1 :]])
        nearest.append(float(others.min()) if len(others) else UNLIMITED)
    return max(nearest)
