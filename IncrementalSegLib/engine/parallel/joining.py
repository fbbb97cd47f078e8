"""A process and the others of its step, started by :mod:`launch`, torchrun or srun (Lightning Fabric)."""

from __future__ import annotations

import logging
import sys
from datetime import timedelta
from importlib.util import find_spec

import torch
import torch.distributed as dist

from IncrementalSegLib.engine.parallel.group import Group
from IncrementalSegLib.engine.parallel.launch import is_started_here, launcher, started, watch_parent
from IncrementalSegLib.errors import CommandRef, DeviceError, Hint, MissingNeedError, OptionError, OptionRef

_WAIT = timedelta(days=7)
"""A message may be long in coming, while the first process monitors old structures or judges scans; a process that
ends is noticed at once."""


def check_devices(kind: str, devices: int, nodes: int) -> None:
    """Refuse more devices than this computer has, or a number that does not match the started processes.

    Args:
        kind: ``cpu`` or ``cuda``.
        devices: Devices of each computer; on a CPU processes.
        nodes: Computers.

    Raises:
        DeviceError: There are fewer GPUs, or several processes do not work here.
        MissingNeedError: Lightning Fabric is not installed.
        OptionError: This process is alone, or there are more or fewer than asked for.
    """
    found, by = started(), launcher()
    if found is not None and found != devices * nodes:
        raise OptionError(
            f"{by} started {found} processes, and {devices} x {nodes} devices were asked for.",
            "Each device needs one process.",
            Hint("Use ", OptionRef("devices", max(1, found // nodes)), ", or start others."),
        )
    if devices * nodes == 1:
        return
    if sys.platform == "win32" or not dist.is_available():
        raise DeviceError(
            f"{devices * nodes} devices cannot work together here.",
            "That needs Linux or macOS, and a PyTorch that was built with torch.distributed.",
            Hint("Use ", OptionRef("devices", 1), "."),
        )
    if find_spec("lightning_fabric") is None:
        raise MissingNeedError(
            f"{devices * nodes} devices cannot work together: lightning-fabric is not installed.",
            "It finds the processes of a step.",
            'pip install "incrementalseg[devices]"',
        )
    if kind == "cuda" and devices > torch.cuda.device_count():
        raise DeviceError(
            f"{devices} GPUs were asked for, and this computer has {torch.cuda.device_count()}.",
            todo=Hint("Use ", OptionRef("devices", torch.cuda.device_count()), "."),
        )
    if found is None:
        raise OptionError(
            f"{devices * nodes} devices need a process each, and this process is alone.",
            "The command line starts them on one computer; from Python, and on several computers, a launcher does.",
            _launchers(devices, nodes),
        )


def _launchers(devices: int, nodes: int) -> str:
    """Return how to start the processes of a step."""
    if nodes == 1:
        return Hint("Use ", CommandRef("learn"), " of the command line, torchrun or srun.")
    return (
        f"Start it on each computer with `torchrun --nnodes {nodes} --nproc-per-node {devices} --node-rank RANK "
        "--master-addr FIRST_COMPUTER -m IncrementalSegLib learn ...`, or once in SLURM with "
        f"`srun --nodes {nodes} --ntasks-per-node {devices} incrementalseg learn ...`; `...` stands for the arguments "
        "that you gave."
    )


def join(kind: str, devices: int, nodes: int) -> tuple[torch.device, Group]:
    """Find the other processes of a step, and return the device of this one and the group.

    Args:
        kind: ``cpu`` or ``cuda``.
        devices: Devices of each computer.
        nodes: Computers.

    Raises:
        OptionError: The launcher has started them in another way than asked for.
    """
    from lightning_fabric import Fabric  # takes as long to import as torch, so only where there is a group
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    here = is_started_here()
    for name in ("lightning_fabric", "lightning_fabric.utilities.rank_zero", "lightning_fabric.utilities.distributed"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        fabric = Fabric(
            accelerator=kind,
            devices=devices,
            num_nodes=nodes,
            strategy=DDPStrategy(),
            plugins=[LightningEnvironment()] if here else None,
        )
        fabric.launch()
    except (ValueError, RuntimeError) as error:
        raise OptionError(
            f"The {devices * nodes} processes of the step do not find each other. {str(error).strip()}",
            todo="Start one process for each device, with torchrun or srun on each computer.",
        ) from error
    if here:
        watch_parent()
    group = Group(fabric.global_rank, fabric.world_size, dist.new_group(backend="gloo", timeout=_WAIT))
    if not group.leads:
        logging.disable(logging.WARNING)  # the first process says the same
    return fabric.device, group
