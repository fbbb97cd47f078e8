"""A network that another program trained, in the form of a model, and its first version."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from IncrementalSegLib.engine.adoption.labels import renamed
from IncrementalSegLib.engine.domain import TrainingDomain
from IncrementalSegLib.engine.history import ADOPTED, History, step_entry
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.exemplars.memory import ExemplarMemory
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.prototypes.bank import PrototypeBank
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.versions import ModelFolder, create_or_open
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.terminology import terminology_of
from IncrementalSegLib.types import Json


@dataclass(frozen=True)
class Adoptable:
    """A network in the form of a model; nothing of it is written yet.

    Attributes:
        structures: In the order of the network's outputs.
        overlapping: They have a sigmoid each; otherwise they and the background share one softmax.
        segmenter: The network with its weights.
        plan: How it sees scans.
        origin: Where it comes from, without a path.
    """

    structures: StructureList
    overlapping: bool
    segmenter: Segmenter
    plan: Plan
    origin: Json


def adopted(
    folder: str | Path,
    model: str | Path,
    read: Callable[[], Adoptable],
    names: Mapping[str, str] | None = None,
    codes: Callable[[str], str | None] = terminology_of,
) -> VersionRecord:
    """Make a new model of a network.

    Args:
        folder: Where the network is.
        model: Folder of the model.
        read: Reads the network; an error of it leaves nothing.
        names: Name of a structure -> its name in the model, where that is another.
        codes: Returns the terminology entry of a structure by its name.

    Returns:
        Record of the first version.

    Raises:
        ModelError: The folder holds a model, or cannot be written.
        OptionError: A structure cannot have the name that it is given.
        UnknownNameError: A structure that is named is not there.
    """
    began = time.monotonic()
    target = create_or_open(model)
    if Path(folder).exists():  # else reading says what is missing
        _check_new(target)
    found = read()
    found = replace(found, structures=renamed(found.structures, names or {}, codes))
    return _write(target, found, time.monotonic() - began)


def _write(target: ModelFolder, found: Adoptable, seconds: float) -> VersionRecord:
    """Write the first version of the new model."""
    structures, segmenter, origin = found.structures, found.segmenter, found.origin
    entry: Json = {
        "id": uuid.uuid4().hex,
        "number": 1,
        "method": ADOPTED,
        "taught": list(structures.ids),
        "improved": [],
        "unjudged": list(structures.ids),
        "origin": origin,
    }
    empty = {"exemplars": ExemplarMemory().to_files(), "prototypes": PrototypeBank().to_files()}
    record = VersionRecord(
        output=segmenter.config.output,
        structures=structures,
        architecture=segmenter.architecture(),
        preprocessing=found.plan.model_dump(mode="json"),
        step=entry | {"training": [], "held_out": []},
        seconds=round(seconds, 3),
    )
    tensors = {"weights": dict(segmenter.state_dict()), "memory": {}} | {
        kind: held for kind, (_, held) in empty.items()
    }
    documents: dict[str, Json] = {kind: document for kind, (document, _) in empty.items()} | {
        "memory": {"method": {}, "voxel_counts": {}},
        "domain": TrainingDomain().to_json(),
        "history": History().with_step(step_entry(entry, [], [])).to_json(),
        "card": {"name": target.name if target.current else "", "license": origin["license"]},
    }
    with target.writing():
        _check_new(target)  # reading takes minutes, and another process may have made a model meanwhile
        return target.write(record, tensors, documents)


def _check_new(target: ModelFolder) -> None:
    if target.numbers():
        raise ModelError(
            f"{target.path} holds a model already.",
            "What is adopted becomes a new model.",
            "Choose a folder that does not exist yet.",
        )
