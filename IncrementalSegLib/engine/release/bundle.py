"""Release a model as a MONAI bundle that MONAI runs."""

from __future__ import annotations

import io
import shlex
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from IncrementalSegLib.engine.adoption.bundle.adopt import BACKGROUND, CONFIGS, described
from IncrementalSegLib.engine.adoption.bundle.config import Config
from IncrementalSegLib.engine.adoption.bundle.metadata import METADATA
from IncrementalSegLib.engine.adoption.bundle.weights import WEIGHTS
from IncrementalSegLib.engine.adoption.bundle.writing import configuration_for, metadata_for, metadata_of
from IncrementalSegLib.engine.adoption.refusal import inexpressible
from IncrementalSegLib.engine.adoption.weights import scores_of
from IncrementalSegLib.engine.models import LoadedModel, load
from IncrementalSegLib.engine.release.notes import Release, card_for, doubts, readme
from IncrementalSegLib.engine.release.shared import called, check_free, serving_trunk, write_folder
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import encode_json
from IncrementalSegLib.names import name_key, tame
from IncrementalSegLib.networks.monai_trunk import MonaiForm, MonaiTrunk
from IncrementalSegLib.preprocessing.bundle import BundleRules
from IncrementalSegLib.registry import find
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.types import Json

_PROGRAM = "MONAI"
_CONFIG = CONFIGS / "inference.json"
_OPTIONS = " ".join(
    f"--{name} {value}" for name, value in (("config_file", _CONFIG.as_posix()), ("dataset_dir", "SCANS"))
)
_FORM = "as a MONAI bundle", "as a bundle that MONAI runs"
_NOTE = "Postprocessing that the bundle had and a model has not, such as the largest component, is not in it."


def release_bundle(
    model: str | Path, folder: str | Path, *, number: int | None = None, license_text: str = ""
) -> Release:
    """Write a version of a model as a MONAI bundle: configuration, metadata and weights.

    Scores are those of the model.

    Args:
        model: The model's folder.
        folder: The folder to write.
        number: The version; by default the current one.
        license_text: On what terms it may be used; by default those that the model's card states.

    Raises:
        ModelError: MONAI has no form for the model, the folder is there already, or it cannot be written; nothing was
            written.
        UnknownNameError: There is no version of that number.
    """
    target = Path(folder)
    found = load(open_model(model), start("cpu"), number)
    kind, trunk = _check(found)
    check_free(target)
    origin = read_summary(model, found.record.number)["origin"] or {}
    form, weights = _weights(found, kind, trunk)
    card, overlapping = card_for(found, license_text), not found.segmenter.exclusive
    structures = [found.record.structures.by_id(item) for item in found.segmenter.structures]
    channels = origin.get("channels") or [f"channel {number}" for number in range(found.plan.channels)]
    ending = ".png" if found.plan.planar else ".nii.gz"
    config = configuration_for(found.plan, kind, form, overlapping, ending)
    metadata = metadata_for(found.plan, structures, overlapping, tame(found.folder.name), channels, card["license"])
    _check_same(found, config, metadata, form)
    release = Release(
        folder=target,
        version=found.record.number,
        labels={item.name: value for value, item in enumerate(structures, start=not overlapping)},
        overlapping=overlapping,
        folds=1,
        command=f"cd {shlex.quote(target.name)} && python -m monai.bundle run {_OPTIONS}",
        license=card["license"],
        warnings=doubts(found),
    )
    saved = io.BytesIO()
    torch.save(weights, saved)
    files = {
        _CONFIG.as_posix(): encode_json(config),
        METADATA.as_posix(): encode_json(metadata),
        WEIGHTS: saved.getvalue(),
        "docs/README.md": readme(release, card, origin, _FORM, [_NOTE]).encode(),
        "docs/card.json": encode_json(card),
    }
    write_folder(target, files)
    return release


def _check(found: LoadedModel) -> tuple[type[MonaiTrunk], int]:
    """Return the class of the network, and the number of the trunk that serves all structures.

    Raises:
        ModelError: MONAI has no form for the model.
    """
    network = found.segmenter.config.network
    kind = find("network", network)
    if not issubclass(kind, MonaiTrunk) or not isinstance(found.plan.rules, BundleRules):
        raise inexpressible(
            f"its network is {network}",
            "A bundle has a network and transforms of MONAI; a model has them if it was adopted from a bundle.",
            what=called(found),
            program=_PROGRAM,
        )
    trunk = serving_trunk(found, _PROGRAM)
    for item in found.record.structures:
        if name_key(item.name) == BACKGROUND:
            raise inexpressible(
                f"a structure is called {item.name}",
                "That is the name of the first channel.",
                "Rename it.",
                what=called(found),
                program=_PROGRAM,
            )
    return kind, trunk


def _weights(found: LoadedModel, kind: type[MonaiTrunk], trunk: int) -> tuple[MonaiForm, dict[str, Tensor]]:
    """Return the form of MONAI's network, and its weights."""
    segmenter, prefix = found.segmenter, f"trunks.{trunk}.net."
    own = {
        name.removeprefix(prefix): item.cpu()
        for name, item in segmenter.state_dict().items()
        if name.startswith(prefix)
    }
    weight, bias = scores_of(segmenter)
    try:
        return kind.joined(segmenter.config.topology, segmenter.config.channels, own, (weight.cpu(), bias.cpu()))
    except ModelError as error:
        raise inexpressible(
            error.what.rstrip("."),
            error.why,
            "Release an earlier version, or pass it on as a package.",
            what=called(found),
            program=_PROGRAM,
        ) from error


def _check_same(found: LoadedModel, config: Json, metadata: Json, form: MonaiForm) -> None:
    """Refuse a model that would be another one if it were adopted from this configuration.

    Raises:
        ModelError: Something of the model is not in it.
    """
    read = described(Config(config, _CONFIG), metadata_of(metadata))
    refuse = partial(inexpressible, what=called(found), program=_PROGRAM)
    pairs = {"plan": (found.plan, read.plan), "network": (form, read.network.topology)}
    for what, (ours, theirs) in pairs.items():
        if ours != theirs:
            here, there = ours.model_dump(), theirs.model_dump() if theirs is not None else {}
            other = next(key for key in here if here[key] != there.get(key))
            raise refuse(
                f"the {other} of its {what} is {str(here[other])[:200]}",
                f"MONAI would take it for {str(there.get(other))[:200]}.",
            )
