"""Recognise a folder that another program left: say what it holds, and make a model of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from IncrementalSegLib.engine.adoption.adopt import read_nnunet
from IncrementalSegLib.engine.adoption.adoptable import Adoptable, adopted
from IncrementalSegLib.engine.adoption.bundle.adopt import PROGRAM, read_bundle
from IncrementalSegLib.engine.adoption.bundle.metadata import METADATA
from IncrementalSegLib.engine.adoption.folder import DATASET_FOLDER, PLANS, trained_in
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.engine.adoption.totalsegmentator import code_of, parts_of
from IncrementalSegLib.names import tame
from IncrementalSegLib.progress import Phase, Progress, Share, silent
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.terminology import terminology_of
from IncrementalSegLib.types import Json


@dataclass(frozen=True)
class _Found:
    """The networks in a folder: their program, name -> folder, how they are read, and the codes of structures."""

    program: str
    networks: dict[str, Path]
    read: Callable[..., Adoptable] = read_nnunet
    codes: Callable[[str], str | None] = terminology_of


def adoptable(folder: Path, progress: Progress = silent) -> Json:
    """Say what a folder holds, and write nothing; a network that cannot be adopted is refused here.

    Returns:
        ``program``; ``networks``, each with a ``name`` that suits a model and its ``folder``; and ``network``, what the
        only one is, or null where there are several: ``structures``, ``overlapping`` (regions rather than labels),
        ``dimension``, ``spacing`` (mm along D, H, W; the first null where any), ``mirrors`` (whether ``segment`` can
        average over mirrored scans) and ``origin`` as in a summary.

    Raises:
        ModelError: It holds no network that is known, or one that is damaged or not supported.
    """
    found = _recognise(folder)
    described = None
    if len(found.networks) == 1:
        (path,) = found.networks.values()
        share = Share.of(progress, Phase.READING)
        described = _described(found.read(path, codes=found.codes, progress=share))
    networks = [{"name": name, "folder": str(path)} for name, path in found.networks.items()]
    return {"program": found.program, "networks": networks, "network": described}


def adopt(folder: Path, model: Path, names: dict[str, str] | None = None, progress: Progress = silent) -> VersionRecord:
    """Make a new model of the only network in a folder.

    Args:
        folder: The folder.
        model: Folder of the new model.
        names: Name of a structure in the folder -> its name in the model, where that is another.
        progress: Receives the share that is read.

    Raises:
        OptionError: A structure cannot have the name that it is given.
        UnknownNameError: A structure that is named is not there.
        ModelError: It holds none that is known, or several, or one that is refused, or the model is already there;
            nothing was written.
    """
    found = _recognise(folder)
    if len(found.networks) > 1:
        raise refused(
            folder,
            f"it holds {len(found.networks)} networks",
            f"They are {', '.join(path.name for path in list(found.networks.values())[:5])}.",
            "Name one of these folders.",
        )
    (path,) = found.networks.values()
    share = Share.of(progress, Phase.READING)
    return adopted(path, model, lambda: found.read(path, codes=found.codes, progress=share), names, found.codes)


def _recognise(folder: Path) -> _Found:
    if (folder / METADATA).is_file():
        return _Found(PROGRAM, {tame(folder.absolute().name): folder}, read_bundle)
    if parts := parts_of(folder):
        named = {f"TotalSegmentator {part}": path for part, path in parts.items()}
        return _Found("TotalSegmentator", named, codes=code_of)
    inside = [] if (folder / PLANS).is_file() else trained_in(folder)
    if len(inside) > 1:
        return _Found("nnU-Net v2", {tame(path.name): path for path in inside})
    around = (inside[0] if inside else folder).absolute().parent.name
    dataset = DATASET_FOLDER.fullmatch(around)
    return _Found("nnU-Net v2", {tame(dataset["name"] if dataset else folder.name): folder})


def _described(network: Adoptable) -> Json:
    plan = network.plan
    return {
        "structures": [item.to_json() for item in network.structures],
        "overlapping": network.overlapping,
        "dimension": plan.dimension,
        "spacing": list(plan.spacing),
        "mirrors": bool(plan.rules and plan.rules.mirror),
        "origin": network.origin,
    }
