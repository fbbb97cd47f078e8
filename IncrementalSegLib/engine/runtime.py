"""Device, precision and group of the process, settled once per command."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from IncrementalSegLib.engine.parallel.group import ALONE, Group
from IncrementalSegLib.engine.parallel.joining import check_devices, join
from IncrementalSegLib.errors import CommandRef, DeviceError, Hint, OptionError, OptionRef
from IncrementalSegLib.types import DeviceName

_BY_INSTANCE = (nn.InstanceNorm2d, nn.InstanceNorm3d, nn.GroupNorm)

_BROKEN_TORCH = "2.9."  # wrong and slow 3-D convolutions


@dataclass(frozen=True)
class Runtime:
    """Where and how precisely networks run.

    Attributes:
        device: The device.
        precision: ``bf16-mixed`` or ``32-true``.
        group: The processes that compute together.
    """

    device: torch.device
    precision: str
    group: Group = ALONE

    @property
    def name(self) -> str:
        """Name of the device for people."""
        if self.device.type == "cuda":
            return torch.cuda.get_device_name(self.device)
        threads = torch.get_num_threads()
        return f"CPU, {threads} thread{'s' * (threads > 1)}"

    def wait(self) -> None:
        """Wait until all work that is queued on the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of mixed precision."""
        return torch.autocast(self.device.type, torch.bfloat16) if self.precision == "bf16-mixed" else nullcontext()

    def place(self, model: nn.Module, dimension: int) -> None:
        """Move a model to the device, in the layout that its convolutions are fastest in."""
        layout = self._layout(model, dimension)
        model.to(self.device)
        for parameter in model.parameters():
            if parameter.ndim == dimension + 2:
                parameter.data = parameter.data.contiguous(memory_format=layout)

    def layout(self, image: Tensor, model: nn.Module) -> Tensor:
        """Return an image batch on the device, in the layout of a model."""
        return image.to(self.device, memory_format=self._layout(model, image.ndim - 2))

    def _layout(self, model: nn.Module, dimension: int) -> torch.memory_format:
        """Return channels last, except for networks on a CPU that normalise instances or groups.

        Torch normalises instances channels last so slowly there that such a network takes a third longer, and groups
        without precision: with a mean of ten standard deviations the error is 0.002.
        """
        if self.device.type == "cpu" and any(isinstance(module, _BY_INSTANCE) for module in model.modules()):
            return torch.contiguous_format
        return torch.channels_last if dimension == 2 else torch.channels_last_3d


def start(device: DeviceName = "auto", devices: int = 1, nodes: int = 1) -> Runtime:
    """Choose device and precision, and find the other processes of a step on several devices.

    Args:
        device: ``auto`` (a CUDA GPU where there is one), ``cpu`` or ``cuda``.
        devices: GPUs of each computer; on a CPU processes.
        nodes: Computers.

    Raises:
        DeviceError: No CUDA GPU although one was asked for, or fewer, or a version of torch that computes wrongly.
        OptionError: Another name of a device, or the processes were not started.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise OptionError(f"There is no device called {device!r}.", todo="Use auto, cpu or cuda.")
    if torch.__version__.startswith(_BROKEN_TORCH):
        raise DeviceError(
            f"torch {torch.__version__} computes some 3-D convolutions wrongly.", todo="Install 2.8, or 2.10 and newer."
        )
    if device == "cuda" and not torch.cuda.is_available():
        built = (
            "this torch was built for the CPU" if torch.version.cuda is None else "no usable GPU or driver was found"
        )
        raise DeviceError(
            "No CUDA GPU can be used.",
            f"The reason: {built}.",
            Hint("Use ", OptionRef("device", "cpu"), ", or see ", CommandRef("doctor"), " for details."),
        )
    kind = "cuda" if device != "cpu" and torch.cuda.is_available() else "cpu"
    precision = "bf16-mixed" if _has_bf16(kind) else "32-true"
    if kind == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = True  # convolutions outside of mixed precision; as exact as float16
        torch.backends.cuda.matmul.allow_tf32 = False  # prototypes and distances are sums of squares
    check_devices(kind, devices, nodes)
    if devices * nodes == 1:
        return Runtime(torch.device(kind, 0) if kind == "cuda" else torch.device(kind), precision)
    own, group = join(kind, devices, nodes)
    return Runtime(own, precision, group)


def _has_bf16(kind: str) -> bool:
    if kind == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities: dict[str, object] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # older versions of torch do not tell
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
