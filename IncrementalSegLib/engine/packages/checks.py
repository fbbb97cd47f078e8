"""Checks that the parts of a package fit together: a network that can be built, and tensors of its shapes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from IncrementalSegLib.engine.documents import plan_of
from IncrementalSegLib.engine.domain import TrainingDomain
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.networks.task_memory import TASKS
from IncrementalSegLib.preprocessing.plan import STORED
from IncrementalSegLib.prototypes.bank import BACKGROUND, PrototypeBank
from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.store.package_layout import refused
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.types import Json

_WIDEST, _DEEPEST, _MOST_STRUCTURES = 8192, 10, 512
_LONGEST_SIDE = 4096  # voxels
_LARGEST_FEATURE = 1e12
_AXES = str.maketrans("RAI", "LPS")  # either end of an axis -> one of them


def check_weights(record: VersionRecord, weights: Mapping[str, Tensor], package: Path) -> None:
    """Check that the weights are those of the network; it is built without memory for its tensors.

    Raises:
        UnknownNameError: The network or its output is not among those that are installed.
        ModelError: The network is larger than any here, or a weight is missing, new, or of another shape or type.
    """
    require = partial(_require, package)
    config = SegmenterConfig.model_validate(record.architecture["config"])
    trunk_of: dict[str, int] = record.architecture["trunk_of"]
    branches = {int(key): branch["trunk"] for key, branch in record.architecture.get("branches", {}).items()}
    trunks = set(trunk_of.values())
    trunks |= {branches[index] for index in trunks if index in branches}
    require(2 <= len(config.widths) <= _DEEPEST, f"its network has {len(config.widths)} levels instead of 2 to 10")
    require(
        all(1 <= item <= _WIDEST for item in config.widths), f"its network has levels beyond 1 to {_WIDEST} filters"
    )
    require(0 <= config.head_depth <= _DEEPEST, f"its heads are {config.head_depth} convolutions deep")
    require(1 <= config.channels <= 1000, f"its network takes {config.channels} channels")
    require(0 <= config.dropout < 1, f"its dropout is {config.dropout}")
    require(0 <= config.norm_momentum <= 1, f"its momentum is {config.norm_momentum}")
    require(len(trunk_of) <= _MOST_STRUCTURES, f"it has {len(trunk_of)} structures")
    require(set(trunk_of) == set(record.structures.ids), "its network and its list of structures differ")
    used = len(trunks) == record.architecture["trunks"] == max(trunks) + 1
    require(used and set(branches) <= trunks, "its trunks are not those that its structures use")
    known = all(trunk < index for index, trunk in branches.items())
    require(known, "it has a branch of a trunk that is not before it")
    try:
        with torch.device("meta"):
            network = Segmenter.from_architecture(record.architecture)
    except ModelError as error:
        raise refused(package, error.what.rstrip(".").lower()) from error
    require(record.output == config.output, f"its output is called {record.output} and is {config.output}")
    if network.tasks is not None:
        network.tasks.resize(weights, TASKS)
    expected = network.state_dict()
    unlike = sorted(set(expected) ^ set(weights))
    require(not unlike, f"its weights do not fit its network: {''.join(unlike[:1])!r} is missing or unknown")
    for name, item in expected.items():
        found = weights[name]
        same = (found.shape, found.dtype) == (item.shape, item.dtype)
        require(same, f"its weights do not fit its network: {name} is {_form(found)} instead of {_form(item)}")
        require(not (name.endswith("running_var") and bool((found < 0).any())), f"{name} is a negative variance")
    network.load_state_dict(dict(weights), assign=True)
    fault = network.output.fault() or (network.tasks.fault() if network.tasks is not None else "")
    require(not fault, fault)


def check_plan(record: VersionRecord, package: Path) -> None:
    """Check that scans can be brought to the grid of the model.

    Raises:
        ModelError: A size, spacing or orientation makes no sense, or does not fit the network.
    """
    require = partial(_require, package)
    plan = plan_of(record)
    config = SegmenterConfig.model_validate(record.architecture["config"])
    sizes, spacing = (*plan.patch, *plan.shape), [item for item in plan.spacing if item is not None]
    low, high = plan.clip_percent
    require(all(1 <= item <= _LONGEST_SIDE for item in sizes), f"its scans have sizes beyond 1 to {_LONGEST_SIDE}")
    require(all(1e-3 <= item <= 1e3 for item in spacing), "its spacing is not between 0.001 and 1000 mm")
    require(1 <= plan.coarsening <= 1e3, f"its grid is {plan.coarsening:g} times coarser than its scans")
    directions = sorted(plan.orientation.translate(_AXES))
    require(
        directions in (["L", "P", "S"], sorted(STORED)),
        f"its orientation {plan.orientation!r} does not name three directions or axes",
    )
    if plan.rules is not None:
        fault = plan.rules.fault(plan.channels)
        require(not fault, fault)
        require(
            set(plan.rules.mirror) <= set(plan.axes), "it mirrors scans along an axis that its network does not see"
        )
        fits = all(
            side % step == 0
            for side, step in zip((plan.patch[axis] for axis in plan.axes), config.multiples, strict=False)
        )
        require(fits, "its patch cannot be halved as often as its network does")
    require(0 <= low < high <= 100, f"its intensities are cut at {low:g} and {high:g} percent")
    require(
        -1e6 <= plan.window[0] < plan.window[1] <= 1e6,
        f"its intensities are cut at {plan.window[0]:g} and {plan.window[1]:g} HU",
    )
    require(config.channels == plan.channels, "its network has another number of channels than its scans")
    require(
        find("network", config.network).dimension == plan.dimension,
        "its network has another number of axes than its scans",
    )
    require(plan.multiple == config.multiple, "its network halves scans oftener than their sizes allow")


def check_memories(
    record: VersionRecord, documents: Mapping[str, Json], tensors: Mapping[str, Mapping[str, Tensor]], package: Path
) -> None:
    """Check that prototypes and exemplars belong to the model and that the pixels are those that were chosen.

    Raises:
        ModelError: One is missing, left over, or of another shape or type.
    """
    require = partial(_require, package)
    known, channels = set(record.structures.ids), int(record.preprocessing["channels"])
    held = {name.partition(".")[0] for name in tensors["exemplars"]}
    require(held <= set(documents["exemplars"]["outlined"]), "it holds pixels that outline nothing")
    try:
        bank = PrototypeBank.from_files(documents["prototypes"], tensors["prototypes"])
        memory = ExemplarMemory.from_files(documents["exemplars"], tensors["exemplars"])
    except ModelError as error:
        raise refused(package, error.what.rstrip(".").lower()) from error
    require(set(bank.items) <= known | {BACKGROUND}, "it has the mean features of an unknown structure")
    require(set(tensors["prototypes"]) == set(bank.items), "it holds mean features that its list does not name")
    with torch.device("meta"):
        network = Segmenter.from_architecture(record.architecture)
    first = min(network.trunk_of.values())
    for key, mean in tensors["prototypes"].items():
        width = network.trunk(network.trunk_of.get(key, first)).decoder_channels
        sound = mean.is_floating_point() and mean.shape == (width,) and bool((mean.abs() <= _LARGEST_FEATURE).all())
        require(sound, f"the mean features of {key} are not {width} plausible feature values")
    kept = {f"{item}.{part}" for item in memory.scans for part in ("image", "masks", "ignore")}
    require(set(tensors["exemplars"]) <= kept, "it holds pixels that belong to no exemplar")
    require(len({item.id for item in memory}) == len(memory), "it holds an exemplar twice")
    for item in memory:
        if item.id in memory.scans:
            scan = memory.scans[item.id]
            require(_is_whole(scan, item.size, channels), f"the pixels and masks of exemplar {item.id} do not fit")
            require(set(scan.structures) <= known, f"exemplar {item.id} outlines an unknown structure")


def check_domain(record: VersionRecord, document: Json, package: Path) -> None:
    """Check that scans can be compared with the training scans.

    Raises:
        ModelError: The numbers are not those of such scans.
    """
    try:
        TrainingDomain.from_json(document, plan_of(record))
    except (KeyError, ValueError) as error:
        raise refused(package, f"its description of the training scans does not fit ({error})") from error


def _require(package: Path, holds: bool, otherwise: str) -> None:
    if not holds:
        raise refused(package, otherwise)


def _is_whole(scan: PreparedCase, size: tuple[int, int, int], channels: int) -> bool:
    """Return whether an exemplar has the types and shapes that training relies on."""
    forms = [
        (scan.image, torch.float16, (channels, *size)),
        (scan.masks, torch.uint8, (len(scan.structures), *size)),
        *([(scan.ignore, torch.bool, size)] if scan.ignore is not None else []),
    ]
    fits = all((item.dtype, tuple(item.shape)) == (dtype, tuple(shape)) for item, dtype, shape in forms)
    return fits and min(size) > 0 and bool((scan.masks <= 1).all())


def _form(item: Tensor) -> str:
    return f"{'x'.join(map(str, item.shape)) or 'a number'} of {str(item.dtype).removeprefix('torch.')}"
