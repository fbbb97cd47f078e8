"""The networks of the tasks inside one network: what each task has of its own, and how it is put in place.

A Bayesian network (CLIS) has kernel masks for each task.  Any other one (PackNet) has kernels in the trunk that belong
to the task that trained them, and everything else for each task.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from IncrementalSegLib.networks.bayesian import KernelMask
from IncrementalSegLib.types import StructureId

if TYPE_CHECKING:
    from IncrementalSegLib.networks.segmenter import Segmenter

_OWN, _OWNER, _SINCE = "own/", "owner/", "since/"
"""Begin the names of the tensors of the tasks, of the owners of kernels, and of the first task of a structure."""

_NEVER = -1000.0
"""Score of a structure that a task does not know: probability 0 beside any other, and windows can still be added."""


class TaskNetworks(nn.Module):
    """The networks of T tasks; that of the newest one is the network itself, which may still be training.

    Args:
        model: The network.

    Attributes:
        level: Owner of the newest kernels that each task uses, ``(T,)`` int64; 0 where kernels have no owners.
    """

    level: Tensor

    def __init__(self, model: Segmenter) -> None:
        super().__init__()
        self.register_buffer("level", torch.zeros(0, dtype=torch.int64))
        if not any(isinstance(module, KernelMask) for module in model.modules()):
            for name, weight in packed_kernels(model).items():
                self.register_buffer(_OWNER + _key(name), torch.zeros_like(weight, dtype=torch.uint8))
        self.extend(model)

    def __len__(self) -> int:
        return len(self.level)

    @property
    def packed(self) -> bool:
        """Whether kernels have owners."""
        return bool(self.owners)

    @property
    def owners(self) -> dict[str, Tensor]:
        """Name of a weight -> number of the task that each of its elements belongs to, from 1; 0: free; uint8."""
        return self._named(_OWNER)

    def since(self, structure: StructureId) -> int:
        """Return the position of the first task that knows a structure."""
        first = self._buffers.get(_SINCE + structure)
        return 0 if first is None else int(first)

    def extend(self, model: Segmenter) -> None:
        """Make room for outputs that were added; the tasks so far do not know their structures."""
        for name, value in self._own_of(model).items():
            if _OWN + _key(name) not in self._buffers:
                self.register_buffer(_OWN + _key(name), value.new_zeros((len(self), *value.shape)))
        for structure in model.structures if self.packed else ():
            if _SINCE + structure not in self._buffers:
                self.register_buffer(_SINCE + structure, torch.tensor(len(self)))

    @torch.no_grad()
    def store(self, model: Segmenter) -> None:
        """Store the network of the newest task, before anything changes that the next one has of its own."""
        if len(self):
            for name, value in self._own_of(model).items():
                self._stack(name)[-1] = value

    @torch.no_grad()
    def begin(self, model: Segmenter) -> None:
        """Begin a task with the network as it is."""
        level = max((int(owner.max()) for owner in self.owners.values()), default=0)
        self.level = torch.cat([self.level, self.level.new_tensor([level])])
        for name, value in self._own_of(model).items():
            setattr(self, _OWN + _key(name), torch.cat([self._stack(name), value[None]]))

    @torch.no_grad()
    def switch(self, model: Segmenter, task: int) -> None:
        """Turn a network into that of a task; it is that of the newest one."""
        if task < len(self) - 1:
            _set(model, self._of_task(model, task))

    @contextmanager
    def as_of(self, model: Segmenter, task: int) -> Iterator[None]:
        """Turn a network into that of a task inside the block."""
        if task >= len(self) - 1:
            yield
            return
        found, present = self._of_task(model, task), model.state_dict()
        kept = {name: present[name].clone() for name in found}
        _set(model, found)
        try:
            yield
        finally:
            _set(model, kept)

    def resize(self, tensors: Mapping[str, Tensor], prefix: str) -> None:
        """Make room for as many tasks as other tensors hold, where these have the right form."""
        for name in ("level", *(item for item in self._buffers if item.startswith(_OWN))):
            own, other = cast(Tensor, self._buffers[name]), tensors.get(prefix + name)
            if other is not None and other.ndim == own.ndim and other.shape[1:] == own.shape[1:]:
                self._buffers[name] = own.new_zeros(other.shape)

    def fault(self) -> str:
        """Return the fault of tensors from elsewhere, beside their shapes, or an empty text."""
        if any(len(stack) != len(self) for stack in self._named(_OWN).values()):
            return "its tasks differ in number"
        if any(not 0 <= int(first) <= len(self) for first in self._named(_SINCE).values()):
            return "a structure is of a task that it does not hold"
        return ""

    def _of_task(self, model: Segmenter, task: int) -> dict[str, Tensor]:
        """Return what differs in the network of a task, by name; structures that it does not know are never found."""
        weights, level = model.state_dict(), self.level[task]
        packed = {name: weights[name] * ((owner > 0) & (owner <= level)) for name, owner in self.owners.items()}
        unknown = [structure for structure in model.structures if self.since(structure) > task]
        return packed | {
            name: torch.full_like(stack[task], _NEVER)
            if name.endswith(".bias") and any(structure in name for structure in unknown)
            else stack[task]
            for name, stack in self._named(_OWN).items()
        }

    def _own_of(self, model: Segmenter) -> dict[str, Tensor]:
        """Return the tensors of a network that each task has of its own, by name."""
        if self.packed:
            names = packed_kernels(model)
            return {
                name: value
                for name, value in model.state_dict().items()
                if name not in names and not name.startswith("tasks.")
            }
        masks = ((name, module) for name, module in model.named_modules() if isinstance(module, KernelMask))
        return {f"{at}.{name}": item.detach() for at, mask in masks for name, item in mask.named_parameters()}

    def _stack(self, name: str) -> Tensor:
        return cast(Tensor, self._buffers[_OWN + _key(name)])

    def _named(self, prefix: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(prefix).replace("/", "."): value
            for name, value in self._buffers.items()
            if name.startswith(prefix) and value is not None
        }


def packed_kernels(model: Segmenter) -> dict[str, Tensor]:
    """Return the kernels in the trunk of a network that is not Bayesian, by name."""
    weights = model.named_parameters()
    return {name: weight for name, weight in weights if name.startswith("trunks.") and weight.ndim > 2}


def _key(name: str) -> str:
    """Return the name of a weight as a part of that of a buffer, which must not hold dots."""
    return name.replace(".", "/")


@torch.no_grad()
def _set(model: Segmenter, values: Mapping[str, Tensor]) -> None:
    present = model.state_dict()
    for name, value in values.items():
        present[name].copy_(value)
