"""Release a model for nnU-Net v2: a trained folder that nnUNetv2_predict runs."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from IncrementalSegLib.engine.adoption.folder import DATASET, DATASET_FOLDER, FINAL, PLANS
from IncrementalSegLib.engine.adoption.labels import BACKGROUND, IGNORE, Labels, Region, described, labels_for
from IncrementalSegLib.engine.adoption.plans import NAME, check_plans, plans_for
from IncrementalSegLib.engine.adoption.refusal import FOLD, inexpressible
from IncrementalSegLib.engine.adoption.weights import members_of
from IncrementalSegLib.engine.history import ADOPTED, History
from IncrementalSegLib.engine.models import LoadedModel, load
from IncrementalSegLib.engine.release.notes import Release, card_for, doubts, readme
from IncrementalSegLib.engine.release.shared import called, check_free, serving_trunk, write_folder
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.files import encode_json
from IncrementalSegLib.names import tame
from IncrementalSegLib.networks.config import Topology
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.preprocessing.rules import Rules
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import StructureList
from IncrementalSegLib.types import Json

_FORM = "for nnU-Net v2", "as a trained folder of nnU-Net v2"
_UNTRAINED = (
    "The convolutions of deep supervision are zero: no prediction uses them. The weights can be the start of a new "
    "training, but there is no state of an optimiser by which nnU-Net could continue one."
)

TRAINER = "nnUNetTrainer"
"""Trainer that is named in a release: the one whose network is that of the plans."""


def release_nnunet(
    model: str | Path, folder: str | Path, *, number: int | None = None, license_text: str = ""
) -> Release:
    """Write a version of a model as a folder that nnU-Net v2 reads as one that it trained.

    Scores are those of the model.  Structures that share a softmax become labels, structures that may overlap regions;
    each fold of an adopted ensemble is a fold again.  The checkpoints predict and can be fine-tuned from; a training
    cannot be continued, as there is no state of an optimiser.

    Args:
        model: The model's folder.
        folder: The folder to write.  In one that is called ``DatasetNNN_NAME``, as nnU-Net's results are, the trained
            folder gets the name by which nnU-Net finds it.
        number: The version; by default the current one.
        license_text: On what terms it may be used; by default those that the model's card states.

    Raises:
        ModelError: nnU-Net has no form for the model, the folder is there already, or it cannot be written; nothing
            was written.
        UnknownNameError: There is no version of that number.
    """
    found = load(open_model(model), start("cpu"), number)
    trunk = _check(found)
    origin = read_summary(model, found.record.number)["origin"] or {}
    name = _configuration(found.plan, origin)
    target, dataset = _target(Path(folder), name, found.folder.name)
    check_free(target)
    labels, card = _labels(found, origin), card_for(found, license_text)
    description = _description(found.plan, labels, origin, card["license"])
    plans = plans_for(found.plan, found.segmenter.config, name, dataset, origin.get("reader"))
    check_plans(plans, description, found.plan, found.segmenter.config, name)
    members = members_of(found.segmenter, trunk)
    unmirrored = _never_mirrored(found)
    release = Release(
        folder=target,
        version=found.record.number,
        labels={item.name: labels.painted[item.id] for item in labels.structures},
        overlapping=bool(labels.regions),
        folds=len(members),
        command=_command(target, dataset, name, len(members)) + (" --disable_tta" if unmirrored else ""),
        license=card["license"],
        warnings=(*doubts(found), *unmirrored),
    )
    files = {
        PLANS: encode_json(plans),
        DATASET: encode_json(description),
        "README.md": readme(release, card, origin, _FORM, [_UNTRAINED]).encode(),
        "card.json": encode_json(card),
    }
    for fold, weights in enumerate(members):
        arguments = {"plans": plans, "configuration": name, "fold": fold, "dataset_json": description}
        files[f"{FOLD}{fold}/{FINAL}"] = _checkpoint(weights, arguments, found.plan)
    write_folder(target, files)
    return release


def _check(found: LoadedModel) -> int:
    """Return the number of the trunk that serves all structures.

    Raises:
        ModelError: nnU-Net has no form for the model.
    """
    if not isinstance(found.segmenter.config.topology, Topology) or not isinstance(found.plan.rules, Rules):
        raise inexpressible(
            f"its network is {found.segmenter.config.network}",
            "nnU-Net builds its own networks only; a model has one of them if it was adopted from nnU-Net, or if its "
            "first step named nnunet2d or nnunet3d.",
            what=called(found),
        )
    trunk = serving_trunk(found, "nnU-Net")
    for item in found.record.structures:
        if item.name in (BACKGROUND, IGNORE):
            raise inexpressible(
                f"a structure is called {item.name}",
                "The name has a meaning in nnU-Net.",
                "Rename it.",
                what=called(found),
            )
    return trunk


def _configuration(plan: Plan, origin: Json) -> str:
    """Return the name of the configuration, which becomes a part of a path."""
    name = origin.get("configuration", "")
    return name if re.fullmatch(r"\w+", name) else "2d" if plan.dimension == 2 else "3d_fullres"


def _labels(found: LoadedModel, origin: Json) -> Labels:
    structures = StructureList(tuple(found.record.structures.by_id(item) for item in found.segmenter.structures))
    known = {item: Region(tuple(form["labels"]), form["painted"]) for item, form in origin.get("regions", {}).items()}
    return labels_for(structures, bool(found.segmenter.exclusive), known)


def _description(plan: Plan, labels: Labels, origin: Json, terms: str) -> Json:
    """Return ``dataset.json``."""
    channels = origin.get("channels") or [f"channel {number}" for number in range(plan.channels)]
    return described(labels) | {
        "channel_names": {str(number): channel for number, channel in enumerate(channels)},
        "file_ending": origin.get("file_ending") or (".png" if plan.planar else ".nii.gz"),
        "licence": terms,
    }


def _checkpoint(weights: Mapping[str, Tensor], arguments: Json, plan: Plan) -> bytes:
    """Return a checkpoint as nnU-Net reads it: a pickle of tensors and of types that Python has."""
    axes = [axis - 3 + plan.dimension for axis in plan.rules.mirror] if plan.rules else []
    held = io.BytesIO()
    checkpoint = {
        "network_weights": dict(weights),
        "init_args": arguments,
        "trainer_name": TRAINER,
        "inference_allowed_mirroring_axes": tuple(axes) or None,
        "current_epoch": 0,
    }
    torch.save(checkpoint, held)
    return held.getvalue()


def _never_mirrored(found: LoadedModel) -> list[str]:
    """Return a warning where nnU-Net would mirror scans, and structures were taught here, where scans never are."""
    if not found.plan.rules or not found.plan.rules.mirror:
        return []
    steps = History.of(found.folder, found.record.number).steps
    adopted = {item for step in steps if step["method"] == ADOPTED for item in step["taught"]}
    taught = {item for step in steps if step["method"] != ADOPTED for item in step["taught"]}
    names = [item.name for item in found.record.structures if item.id in taught or item.id not in adopted]
    if not names:
        return []
    why = "nnU-Net would average over mirrored scans, on which these structures were never trained"
    return [f"Keep --disable_tta: {why}: {', '.join(names)}."]


def _target(folder: Path, name: str, model: str) -> tuple[Path, str]:
    """Return the trained folder, and the name of its data set."""
    trained = f"{TRAINER}__{NAME}__{name}"
    around = folder.absolute()
    if DATASET_FOLDER.fullmatch(around.name):
        return folder / trained, around.name
    if around.name == trained and DATASET_FOLDER.fullmatch(around.parent.name):
        return folder, around.parent.name
    return folder, tame(model)


def _command(target: Path, dataset: str, name: str, folds: int) -> str:
    numbers = " ".join(map(str, range(folds)))
    if found := DATASET_FOLDER.fullmatch(dataset):
        return f"nnUNetv2_predict -i SCANS -o OUTLINES -d {int(found[1])} -c {name} -f {numbers}"
    return f"nnUNetv2_predict_from_modelfolder -i SCANS -o OUTLINES -m {shlex.quote(target.name)} -f {numbers}"
