"""Adopt a network that nnU-Net v2 trained: a new model whose first version predicts what nnU-Net predicts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from IncrementalSegLib.engine.adoption.adoptable import Adoptable, adopted
from IncrementalSegLib.engine.adoption.checkpoint import Checkpoint, read_checkpoints
from IncrementalSegLib.engine.adoption.folder import FINAL, TrainedFolder, find_trained
from IncrementalSegLib.engine.adoption.forms import DatasetForm, configuration_of, read_dataset, read_plans
from IncrementalSegLib.engine.adoption.labels import labels_of
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.engine.adoption.trainers import check_trainer
from IncrementalSegLib.engine.adoption.translation import network_of, plan_of
from IncrementalSegLib.engine.adoption.weights import fill
from IncrementalSegLib.names import plain, tame
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.terminology import terminology_of
from IncrementalSegLib.types import Json

log = logging.getLogger(__name__)


def adopt_nnunet(
    folder: str | Path,
    model: str | Path,
    *,
    folds: str | None = None,
    checkpoint: str = FINAL,
    codes: Callable[[str], str | None] = terminology_of,
    names: Mapping[str, str] | None = None,
    progress: Share = UNTOLD,
) -> VersionRecord:
    """Make a new model of a folder that nnU-Net v2 trained; it is read with distrust.

    Args:
        folder: The folder with ``plans.json``, ``dataset.json`` and ``fold_*/checkpoint_*.pth``.
        model: Folder of the new model.
        folds: Folds, comma-separated; several become an ensemble. By default all that are there.
        checkpoint: Name of the checkpoint in each fold.
        codes: Returns the terminology entry of a structure by its name, where the folder states none.
        names: Name of a structure in the folder -> its name in the model, where that is another.
        progress: Receives the share that is read; may raise to end the work, and nothing is written then.

    Returns:
        Record of its first version.

    Raises:
        ModelError: Something in the folder is damaged, unknown or not supported, or the model is already there; nothing
            was written.
        OptionError: A fold is not there, or a name is one that a structure cannot have.
        UnknownNameError: A structure that is named is not there.
    """
    return adopted(
        folder,
        model,
        lambda: read_nnunet(folder, folds=folds, checkpoint=checkpoint, codes=codes, progress=progress),
        names,
        codes,
    )


def read_nnunet(
    folder: str | Path,
    *,
    folds: str | None = None,
    checkpoint: str = FINAL,
    codes: Callable[[str], str | None] = terminology_of,
    progress: Share = UNTOLD,
) -> Adoptable:
    """Read a folder that nnU-Net v2 trained, as :func:`adopt_nnunet` does, and write nothing."""
    trained = find_trained(Path(folder), folds, checkpoint)
    dataset, plans = read_dataset(trained.dataset), read_plans(trained.plans)
    labels = labels_of(dataset, trained.dataset, codes)
    paths = list(trained.checkpoints.values())
    checkpoints = read_checkpoints(paths, progress)
    settings = checkpoints[0].settings
    for each, path in zip(checkpoints, paths, strict=True):
        _check_settings(each, checkpoints[0], dataset, path)
    configuration = configuration_of(plans, settings.configuration, trained.plans)
    planned = (settings.plans or {}).get("configurations")
    if (
        isinstance(planned, dict)
        and planned.get(settings.configuration) != plans.configurations[settings.configuration]
    ):
        log.warning("The checkpoint was trained with other plans. As in nnU-Net, %s is used.", trained.plans.name)
    output = "heads" if labels.regions else "classes"
    network = network_of(configuration, len(dataset.channel_names), len(paths), output, trained.plans)
    plan = plan_of(plans, configuration, dataset, network, settings.mirror or (), trained.plans)
    with torch.device("meta"):  # no memory, before the weights are known to have these sizes
        segmenter = Segmenter(network)
        segmenter.add(labels.structures.ids)
    fill(segmenter, labels, [item.weights for item in checkpoints], paths)
    origin = _origin(trained, checkpoints[0], dataset) | {
        "reader": tame(plans.image_reader_writer),
        "regions": {item: region.to_json() for item, region in labels.regions.items()},
    }
    return Adoptable(labels.structures, bool(labels.regions), segmenter, plan, origin)


def _check_settings(found: Checkpoint, first: Checkpoint, dataset: DatasetForm, path: Path) -> None:
    """Refuse a checkpoint of another training than the first one, or than the data set of the folder."""
    settings = found.settings
    check_trainer(settings.trainer, path)
    pair = settings.trainer, settings.configuration
    if pair != (first.settings.trainer, first.settings.configuration):
        raise refused(path, f"it was trained by {' as '.join(pair)}, and another fold otherwise")
    own = settings.dataset
    if own is None:
        return
    taught = DatasetForm.model_validate(own) if "labels" in own else dataset
    for what, there, here in (
        ("labels", list(taught.labels.items()), list(dataset.labels.items())),
        ("channels", taught.channel_names, dataset.channel_names),
        ("regions_class_order", taught.regions_class_order, dataset.regions_class_order),
    ):
        if there != here:
            raise refused(
                path,
                f"it was trained on other {what} than dataset.json has: {str(there)[:200]}, not {str(here)[:200]}",
                "Its outputs would be given the names of other structures.",
                "Put the dataset.json of the training there.",
            )


def _origin(trained: TrainedFolder, checkpoint: Checkpoint, dataset: DatasetForm) -> Json:
    """Return where the model comes from, without a path."""
    around = trained.path.absolute()
    return {
        "program": "nnU-Net v2",
        "folder": tame(f"{around.parent.name}/{around.name}"),
        "configuration": tame(checkpoint.settings.configuration),
        "trainer": tame(checkpoint.settings.trainer),
        "folds": list(trained.checkpoints),
        "checkpoint": next(iter(trained.checkpoints.values())).name,
        "epochs": checkpoint.settings.epoch,
        "channels": [tame(dataset.channel_names[str(number)]) for number in range(len(dataset.channel_names))],
        "file_ending": tame(dataset.file_ending),
        "license": plain(dataset.license),
    }
