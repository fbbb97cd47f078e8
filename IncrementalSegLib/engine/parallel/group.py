"""The processes that do one step together, and what they tell each other (torch.distributed)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn

from IncrementalSegLib.engine.parallel.launch import LostProcessError
from IncrementalSegLib.errors import CommandRef, Hint, OptionError, OptionRef
from IncrementalSegLib.networks.stochastic import Part
from IncrementalSegLib.progress import Stop, Wish
from IncrementalSegLib.store.contents import encode_tensors
from IncrementalSegLib.types import Json

T = TypeVar("T")


@dataclass(frozen=True)
class Group:
    """The processes of a step as one of them sees them; alone, nothing is sent.

    Attributes:
        rank: Number of this process, from 0.
        size: Number of processes.
        messages: Torch's group for messages between hosts; ``None``: alone.
    """

    rank: int = 0
    size: int = 1
    messages: Any = None

    @property
    def leads(self) -> bool:
        """Whether this is the first process, the only one that writes and prints."""
        return self.rank == 0

    def rows(self, total: int) -> Part:
        """Return the items of a batch that this process computes; the first processes take what is left over."""
        return self._rows(self.rank, total)

    def own(self, items: Sequence[T]) -> list[T]:
        """Return the items of a list that this process works on; all are in the lists of :meth:`collected`."""
        return list(items[self.rank :: self.size])

    def collected(self, own: Sequence[Any]) -> list[Any]:
        """Return what all processes made of the items of :meth:`own`, in the order of the whole list.

        Args:
            own: Anything that JSON can hold, one for each item.
        """
        if self.size == 1:
            return list(own)
        parts = [json.loads(data) for data in self._gathered(json.dumps(list(own)).encode())]
        return [parts[place % self.size][place // self.size] for place in range(sum(map(len, parts)))]

    def arrays(self, own: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        """Return the arrays that all processes made of the items of :meth:`own`, in the order of the whole list."""
        if self.size == 1:
            return list(own)
        packed = safetensors.numpy.save({str(place): np.ascontiguousarray(item) for place, item in enumerate(own)})
        parts = [safetensors.numpy.load(data) for data in self._gathered(packed)]
        count = sum(map(len, parts))
        return [parts[place % self.size][str(place // self.size)] for place in range(count)]

    def told(self, message: Any) -> Any:
        """Return what the first process says, anything that JSON can hold."""
        return message if self.size == 1 else json.loads(self._told(json.dumps(message).encode()))

    def given(self, document: Json, tensors: Mapping[str, Tensor]) -> tuple[Json, dict[str, Tensor]]:
        """Return what the first process gives: JSON, and tensors on the CPU."""
        if self.size == 1:
            return document, dict(tensors)
        return self.told(document), safetensors.torch.load(self._told(encode_tensors("state", tensors)))

    def agree(self, report: Callable[[], None]) -> None:
        """Report, and stop in all processes where the report of the first one asks for it.

        Raises:
            Stop: It does.
        """
        if self.size == 1:
            report()
            return
        wish: Wish | None = None
        try:
            report()
        except Stop as stop:
            wish = stop.wish
        if agreed := self.told(wish):
            raise Stop(agreed)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace the gradients by their means over all processes, in one message for each type of number."""
        if self.size == 1:
            return
        kinds: dict[torch.dtype, list[Tensor]] = {}
        for parameter in parameters:
            if parameter.grad is not None:
                kinds.setdefault(parameter.grad.dtype, []).append(parameter.grad)
        for gradients in kinds.values():
            flat = torch.cat([gradient.flatten() for gradient in gradients])
            self.add(flat)
            flat /= self.size
            for gradient, part in zip(gradients, flat.split([item.numel() for item in gradients]), strict=True):
                gradient.copy_(part.view(gradient.shape))

    def add(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over all processes."""
        with _complete():
            dist.all_reduce(tensor)

    def joined(self, part: Tensor, total: int) -> Tensor:
        """Return the ``total`` items of a batch, of which each process has its :meth:`rows`."""
        longest = -(-total // self.size)
        padded = part.new_zeros((longest, *part.shape[1:]))
        padded[: len(part)] = part
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        with _complete():
            dist.all_gather(parts, padded)
        counts = [rows.last - rows.first for rows in (self._rows(rank, total) for rank in range(self.size))]
        return torch.cat([item[:count] for item, count in zip(parts, counts, strict=True)])

    def _rows(self, rank: int, total: int) -> Part:
        each, more = divmod(total, self.size)
        first = rank * each + min(rank, more)
        return Part(first, first + each + (rank < more), total)

    def _told(self, data: bytes) -> bytes:
        """Return the bytes of the first process."""
        message = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        size = torch.tensor(len(message))
        with _complete():
            dist.broadcast(size, 0, group=self.messages)
            message = message if self.leads else torch.empty(int(size), dtype=torch.uint8)
            dist.broadcast(message, 0, group=self.messages)
        return message.numpy().tobytes()

    def _gathered(self, data: bytes) -> list[bytes]:
        """Return the bytes of each process."""
        own = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        sizes = [torch.tensor(0) for _ in range(self.size)]
        with _complete():
            dist.all_gather(sizes, torch.tensor(len(own)), group=self.messages)
            padded = torch.zeros(int(max(sizes)), dtype=torch.uint8)
            padded[: len(own)] = own
            parts = [torch.empty_like(padded) for _ in range(self.size)]
            dist.all_gather(parts, padded, group=self.messages)
        return [part[: int(size)].numpy().tobytes() for part, size in zip(parts, sizes, strict=True)]


ALONE = Group()
"""The group of a step on one device."""


def require_shares(batch: int, group: Group) -> None:
    """Refuse a batch of which a process would have no item.

    Raises:
        OptionError: There are fewer items than processes.
    """
    if batch < group.size:
        raise OptionError(
            f"A batch of {batch} cannot be shared out among {group.size} devices.",
            "Each device computes at least one item of every batch.",
            Hint("Use fewer devices, or ", OptionRef("batch", group.size), " or more."),
        )


@contextmanager
def _complete() -> Iterator[None]:
    """Say plainly that another process is gone."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError(
            "Another process of this step has ended.",
            "Each process computes a part of every batch, and none can go on alone.",
            Hint("See what it said; ", CommandRef("resume"), " continues the step from its last checkpoint, if any."),
        ) from error
