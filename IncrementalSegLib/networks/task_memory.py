"""The task memory of a Bayesian network: it chooses the kernel masks for a scan (CLIS).

It holds an embedding of each scan that taught, never the scan, and the parameters of the masks of each task.  The masks
in the network itself are those of the newest task, which may still be training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from IncrementalSegLib.networks.bayesian import layers_of
from IncrementalSegLib.networks.scan_encoder import SIZE, ScanEmbedding, ScanEncoder, fit

TASKS = "tasks."
"""Begins the names of its tensors among the weights of a segmenter."""

UNLIMITED = 1e30
"""Limit that every distance is below."""

_OF_SCANS = ("mean", "log_variance", "task", "scan")
"""Tensors with one row for each scan."""


class TaskMemory(nn.Module):
    """Embeddings of N scans, and masks of T tasks with P parameters.

    Args:
        channels: Of a scan.
        parameters: P.

    Attributes:
        mean: Means of the embeddings, ``(N, SIZE)``.
        log_variance: Logarithms of their variances, ``(N, SIZE)``.
        task: The newest task that each scan taught, ``(N,)`` int64.
        scan: sha256 of the files of each scan, ``(N, 32)`` uint8.
        masks: ``(T, P)``; the last row holds those with which the newest task began.
        limit: Largest distance in nats between scans that are alike, ``()``.
    """

    mean: Tensor
    log_variance: Tensor
    task: Tensor
    scan: Tensor
    masks: Tensor
    limit: Tensor

    def __init__(self, channels: int, parameters: int) -> None:
        super().__init__()
        self.encoder = ScanEncoder(channels)
        self.register_buffer("mean", torch.zeros(0, SIZE))
        self.register_buffer("log_variance", torch.zeros(0, SIZE))
        self.register_buffer("task", torch.zeros(0, dtype=torch.int64))
        self.register_buffer("scan", torch.zeros(0, 32, dtype=torch.uint8))
        self.register_buffer("masks", torch.zeros(0, parameters))
        self.register_buffer("limit", torch.tensor(UNLIMITED))

    @classmethod
    def of(cls, model: nn.Module, channels: int) -> TaskMemory:
        """Return an empty memory for the masks of a Bayesian network."""
        return cls(channels, sum(item.numel() for item in _mask_parameters(model)))

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
        return len(self.masks) - 1

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
    def begin(self, model: nn.Module, scans: Mapping[str, Tensor]) -> None:
        """Begin a task: store the masks of the one before, and describe the scans of the new one.

        Args:
            model: The network.
            scans: sha256 of the files -> scan ``(C, D, H, W)``.
        """
        masks = _masks_of(model)
        if self.newest >= 0:
            self.masks[-1] = masks
        self.masks = torch.cat([self.masks, masks[None]])
        self.forget(scans)
        for name, scan in scans.items():
            mean, log_variance = self.encoder.embed(scan)
            self.mean = torch.cat([self.mean, mean[None]])
            self.log_variance = torch.cat([self.log_variance, log_variance[None]])
            self.task = torch.cat([self.task, self.task.new_tensor([self.newest])])
            self.scan = torch.cat([self.scan, self.scan.new_tensor([list(bytes.fromhex(name))])])

    def teaches(self, scan: str) -> bool:
        """Return whether a scan, known by its sha256, is one of the newest task."""
        return (scan, self.newest) in zip(self.scans, self.task.tolist(), strict=True)

    def forget(self, scans: Iterable[str]) -> int:
        """Remove scans, known by their sha256, and return how many were there; the masks of their tasks stay."""
        kept = _others(self.scan, scans)
        for name in _OF_SCANS:
            setattr(self, name, getattr(self, name)[kept])
        return int((~kept).sum())

    def nearest(self, scan: Tensor) -> int:
        """Return the task of the most similar scan to ``(C, D, H, W)``; the first one where none is alike."""
        if self.newest < 1 or not len(self.task):
            return 0
        apart = distances(self.encoder.embed(scan), self.embeddings)
        found = int(apart.argmin())
        return int(self.task[found]) if apart[found] <= self.limit else 0

    @torch.no_grad()
    def apply_masks(self, model: nn.Module, task: int) -> None:
        """Give a network the masks of a task; it has those of the newest one."""
        if task < self.newest:
            _set_masks(model, self.masks[task])

    @contextmanager
    def suited(self, model: nn.Module, scan: Tensor) -> Iterator[None]:
        """Give a network the masks that suit a scan ``(C, D, H, W)``, inside the block."""
        task = self.nearest(scan)
        if task >= self.newest:
            yield
            return
        own = _masks_of(model)
        self.apply_masks(model, task)
        try:
            yield
        finally:
            _set_masks(model, own)

    def fault(self) -> str:
        """Return the fault of tensors from elsewhere, beside their shapes, or an empty text."""
        if len({len(self.mean), len(self.log_variance), len(self.task), len(self.scan)}) > 1:
            return "its task memory does not describe all of its scans"
        if bool(((self.task < 0) | (self.task > self.newest)).any()):
            return "its task memory names a task that it does not hold"
        return ""

    def resize(self, tensors: Mapping[str, Tensor], prefix: str = "") -> None:
        """Make room for as many scans and tasks as other tensors hold, where these have the right form."""
        for name in (*_OF_SCANS, "masks"):
            own, other = getattr(self, name), tensors.get(prefix + name)
            if other is not None and other.ndim == own.ndim and other.shape[1:] == own.shape[1:]:
                setattr(self, name, own.new_zeros(other.shape))

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


def _mask_parameters(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for _, mask in layers_of(model) for parameter in mask.parameters()]


def _masks_of(model: nn.Module) -> Tensor:
    return torch.cat([parameter.detach() for parameter in _mask_parameters(model)])


@torch.no_grad()
def _set_masks(model: nn.Module, masks: Tensor) -> None:
    parameters = _mask_parameters(model)
    for parameter, part in zip(parameters, masks.split([item.numel() for item in parameters]), strict=True):
        parameter.copy_(part)
