"""Parts of a network that serve some structures alone, and fingerprints of all weights behind a prediction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping

import torch
from torch import Tensor, nn

from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.types import Json, StructureId


def own_trunks(architecture: Json, structures: Collection[StructureId]) -> set[int]:
    """Return the trunks and branches that serve some structures alone; a trunk with branches is shared.

    Args:
        architecture: Of the network.
        structures: Uuids.
    """
    trunk_of: Mapping[StructureId, int] = architecture["trunk_of"]
    shared = {trunk for item, trunk in trunk_of.items() if item not in structures}
    carrying = {branch["trunk"] for branch in architecture.get("branches", {}).values()}
    return {trunk_of[item] for item in structures} - shared - carrying


def own_parts(model: Segmenter, structures: Collection[StructureId]) -> nn.ModuleList:
    """Return what serves some structures alone, where these may overlap others: trunks, branches and outputs."""
    trunks = sorted(own_trunks(model.architecture(), structures))
    return nn.ModuleList([*(model.trunks[index] for index in trunks), *map(model.output.part, structures)])


def fingerprints(model: Segmenter) -> dict[StructureId, str]:
    """Return by structure the SHA-256 of every weight and statistic that its prediction depends on.

    Equal ones mean that two versions of a model predict the structure in the same way, with the same numbers.  Of a
    trunk with branches the whole counts for each branch.  Names are those within a part, so that a version without
    another structure has the same fingerprint.
    """
    trunks = {index: _digest(trunk.state_dict()) for index, trunk in enumerate(model.trunks)}
    parts = {item: model.output.part(item) for item in model.structures}
    memory = {} if model.tasks is None else model.tasks.state_dict()
    shared = {joint: [_digest(_shared(model, joint)), _digest(memory)] for joint in (True, False)}
    arrangement = model.output.arrangement()
    found = {}
    for item, index in model.trunk_of.items():
        kind = model.branches[index].model_dump_json(exclude={"trunk"}) if index in model.branches else ""
        used = [trunks[model.root(index)], trunks[index], kind, _digest(parts[item].state_dict())]
        used += shared[model.output.excludes(item)]
        found[item] = _sha256(json.dumps([*used, arrangement.get(item)]).encode())
    return found


def _shared(model: Segmenter, joint: bool) -> dict[str, Tensor]:
    """Return what structures share in the output: those that exclude each other (``joint``), or the others."""
    output, exclusive = model.output, model.exclusive
    if exclusive and not joint:
        return {}  # heads beside a softmax
    apart = [output.part(item) for item in model.structures if item not in exclusive]
    private = {name for part in apart for name in _names_in(output, part)}
    return {name: value for name, value in output.state_dict().items() if name not in private}


def _names_in(whole: nn.Module, part: nn.Module) -> Iterator[str]:
    """Yield the names that the state of a part has in the state of the whole."""
    for prefix, module in whole.named_modules():
        if module is part:
            yield from (f"{prefix}.{name}" for name in part.state_dict())


def _digest(state: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of named tensors."""
    whole = hashlib.sha256()
    for name, value in sorted(state.items()):
        whole.update(f"{name} {value.dtype} {tuple(value.shape)} ".encode())
        whole.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return whole.hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
