"""Adopt a MONAI bundle: a new model whose first version predicts what MONAI predicts.

The configuration is read, not executed: the network is one of those in :mod:`~IncrementalSegLib.networks.trunks`, and
transforms and inferer become the rules of a plan.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from pydantic import ValidationError

from IncrementalSegLib.engine.adoption.adoptable import Adoptable, adopted
from IncrementalSegLib.engine.adoption.bundle.config import Config, read_config
from IncrementalSegLib.engine.adoption.bundle.metadata import METADATA, Metadata, read_metadata
from IncrementalSegLib.engine.adoption.bundle.transforms import (
    Postprocessing,
    Preprocessing,
    Windows,
    postprocessing_of,
    preprocessing_of,
    windows_of,
)
from IncrementalSegLib.engine.adoption.bundle.weights import filled, weights_in
from IncrementalSegLib.engine.adoption.bundle.workflow import check_workflow
from IncrementalSegLib.engine.adoption.checkpoint import read_weights
from IncrementalSegLib.engine.adoption.forms import first_fault
from IncrementalSegLib.engine.adoption.labels import structures_of
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.errors import ModelError, OptionError
from IncrementalSegLib.names import name_key, plain, tame
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.dropout import DROPOUT
from IncrementalSegLib.networks.monai_trunk import MonaiForm, MonaiTrunk
from IncrementalSegLib.preprocessing.bundle import BundleRules
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.progress import UNTOLD, Share
from IncrementalSegLib.registry import find
from IncrementalSegLib.registry import names as registered
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.terminology import terminology_of
from IncrementalSegLib.types import Json

CONFIGS = Path("configs")
"""Folder of the configurations."""

PROGRAM = "MONAI bundle"
"""Name of the program in an origin."""

BACKGROUND = "background"
"""Name of the first channel of a softmax."""

_NAMES = tuple(f"inference.{ending}" for ending in ("json", "yaml", "yml"))
_HOME = "monai.networks.nets"
_MOST_VOXELS = 2**27  # of a window, as of a patch of nnU-Net

log = logging.getLogger(__name__)


def adopt_bundle(
    folder: str | Path,
    model: str | Path,
    *,
    config: str | None = None,
    codes: Callable[[str], str | None] = terminology_of,
    names: Mapping[str, str] | None = None,
    progress: Share = UNTOLD,
) -> VersionRecord:
    """Make a new model of a MONAI bundle; it is read with distrust.

    Args:
        folder: The folder with ``configs/metadata.json``, ``configs/inference.json`` and ``models/model.pt``.
        model: Folder of the new model.
        config: Name of the configuration in ``configs``; by default ``inference.json`` or ``inference.yaml``.
        codes: Returns the terminology entry of a structure by its name, where the bundle states none.
        names: Name of a structure in the bundle -> its name in the model, where that is another.
        progress: Receives the share that is read; may raise to end the work, and nothing is written then.

    Returns:
        Record of its first version.

    Raises:
        ModelError: Something in the bundle is damaged, unknown or not supported, or the model is already there; nothing
            was written.
        OptionError: There is no such configuration, or a name is one that a structure cannot have.
        UnknownNameError: A structure that is named is not there.
    """
    read = partial(read_bundle, folder, config=config, codes=codes, progress=progress)
    return adopted(folder, model, read, names, codes)


def read_bundle(
    folder: str | Path,
    *,
    config: str | None = None,
    codes: Callable[[str], str | None] = terminology_of,
    progress: Share = UNTOLD,
) -> Adoptable:
    """Read a MONAI bundle, as :func:`adopt_bundle` does, and write nothing."""
    root = Path(folder)
    metadata, file = read_metadata(root / METADATA), _config(root, config)
    configuration = Config(read_config(file), file)
    found = described(configuration, metadata)
    structures = structures_of(found.names, metadata.looks, codes, root / METADATA)
    path = weights_in(root, configuration)
    segmenter = filled(found.network, structures, read_weights(path, progress), path)
    if found.after.left_out:
        log.warning("Left out, as no part of a model: %s.", ", ".join(found.after.left_out))
    if found.after.blurred:
        log.warning("The bundle interpolates labels on their way back to the scan; here probabilities are.")
    origin: Json = {
        "program": PROGRAM,
        "folder": tame(root.absolute().name),
        "configuration": f"{found.trunk.target.__name__} in {file.name}",
        "folds": [],
        "checkpoint": tame(path.name),
        "channels": list(metadata.channels(found.plan.channels)),
        "license": plain(metadata.license),
    }
    return Adoptable(structures, found.after.overlapping, segmenter, found.plan, origin)


@dataclass(frozen=True)
class Described:
    """A bundle as its configuration describes it, without weights.

    Attributes:
        trunk: Class of its network.
        network: Configuration of the network.
        plan: How it sees scans.
        after: What becomes of its scores.
        names: Names of the structures, in the order of its outputs.
    """

    trunk: type[MonaiTrunk]
    network: SegmenterConfig
    plan: Plan
    after: Postprocessing
    names: tuple[str, ...]


def described(config: Config, metadata: Metadata) -> Described:
    """Return a bundle by its configuration.

    Raises:
        ModelError: Something in it cannot be expressed; the key and the value are named.
    """
    trunk, form, channels = _network(config)
    metadata.check_channels(channels)
    check_workflow(config)
    before = preprocessing_of(config, "preprocessing")
    if channels == 1 and not before.channel_first:
        raise config.refused(
            "preprocessing: nothing gives a scan an axis of channels", "MONAI would take its first axis for one."
        )
    windows = windows_of(config, "inferer", form.spatial_dims)
    after = postprocessing_of(config, "postprocessing")
    network = SegmenterConfig(
        network=trunk.registered_name,  # type: ignore[attr-defined]
        channels=channels,
        widths=form.widths,
        dropout=DROPOUT,
        output="heads" if after.overlapping else "classes",
        topology=form,
    )
    plan = _plan(config, network, before, windows, after, metadata)
    return Described(trunk, network, plan, after, _names(metadata, form.out_channels, after.overlapping))


def _config(root: Path, name: str | None) -> Path:
    """Return the file of the configuration."""
    if name is not None and Path(name).name != name:
        raise OptionError(f"{name!r} is not a file name.", todo="Give the name that the file has in configs.")
    found = [root / CONFIGS / item for item in ((name,) if name else _NAMES) if (root / CONFIGS / item).is_file()]
    if not found and name:
        there = sorted(path.name for path in (root / CONFIGS).glob("*.*"))
        raise OptionError(f"There is no {name} in {CONFIGS}.", todo=f"Choose among {', '.join(there[:20])}.")
    if not found:
        raise refused(
            root,
            f"it holds none of {', '.join(_NAMES)} in {CONFIGS}",
            "They say which network it is, and how it sees scans.",
            "Get the whole bundle, or name its configuration.",
        )
    return found[0]


def _network(config: Config) -> tuple[type[MonaiTrunk], MonaiForm, int]:
    """Return the class of the network, its form and the channels of a scan."""
    key = "network_def" if config.value("network_def") is not None else "network"
    given = config.value(key)
    known = {kind.target.__name__: kind for kind in _kinds().values()}
    target = str(given.get("_target_", "")) if isinstance(given, dict) else str(given or "missing")
    package, _, name = target.rpartition(".")
    if name not in known or not (package in ("", _HOME) or package.startswith(f"{_HOME}.")):
        raise config.refused(
            f"{key}#_target_: it is {target[:100]!r}",
            f"Known are {', '.join(sorted(known))} of MONAI; no other class is built.",
        )
    assert isinstance(given, dict)
    arguments = {item: value for item, value in given.items() if item not in ("_target_", "_desc_", "in_channels")}
    if "dimensions" in arguments:  # its name before MONAI 0.9
        arguments["spatial_dims"] = arguments.pop("dimensions")
    channels = given.get("in_channels", 1)
    if not isinstance(channels, int) or not 1 <= channels <= 1000:
        raise config.refused(f"{key}#in_channels: it is {str(channels)[:100]!r}, and no number from 1 to 1000")
    dimension = arguments.get("spatial_dims", 3)
    kind = _kinds().get((name, dimension)) if isinstance(dimension, int) else None
    if kind is None:
        raise config.refused(f"{key}#spatial_dims: it is {str(dimension)[:100]!r}, and not 2 or 3")
    try:
        form = kind.Form.model_validate(arguments)
        with torch.device("meta"):
            kind.whole(form, channels)
    except ValidationError as error:
        raise config.refused(first_fault(error, key, "#")) from error
    except ModelError as error:
        raise config.refused(f"{key}: {error.what}") from error
    return kind, form, channels


def _kinds() -> dict[tuple[str, int], type[MonaiTrunk]]:
    """Return the networks of MONAI by their class and number of axes."""
    known = (find("network", name) for name in registered("network"))
    return {(kind.target.__name__, kind.dimension): kind for kind in known if issubclass(kind, MonaiTrunk)}


def _plan(
    config: Config,
    network: SegmenterConfig,
    before: Preprocessing,
    windows: Windows,
    after: Postprocessing,
    metadata: Metadata,
) -> Plan:
    """Return the plan.

    The axes D, H, W of a model are those of an array of MONAI, or first the one that is sliced.
    """
    form = network.topology
    assert isinstance(form, MonaiForm)
    flat = form.spatial_dims == 2
    if flat and windows.sliced is None and before.orientation is not None:
        raise config.refused("inferer#_target_: a 2-D network sees slices by SliceInferer, and pictures have no axes")
    at = 2 if windows.sliced is None else windows.sliced
    order = (at, *(axis for axis in range(3) if axis != at)) if flat else (0, 1, 2)
    stored = "WHD"  # MONAI has x, y, z, and a file is read to D, H, W
    axes = before.orientation or stored
    roi, seen = [windows.roi[axis] for axis in order], order[1:] if flat else order
    for side, multiple in zip((windows.roi[axis] for axis in seen), network.multiples, strict=True):
        if side % multiple:
            raise config.refused(f"inferer#roi_size: {list(windows.roi)} cannot be halved as often as the network does")
    if roi[0] * roi[1] * roi[2] > _MOST_VOXELS:
        raise config.refused(f"inferer#roi_size: a window has at most {_MOST_VOXELS} voxels")
    if before.foreground and after.overlapping and after.resampled == "scores":
        raise config.refused(
            "postprocessing: Invert comes before the sigmoid, and CropForeground was used",
            "Outside of the crop MONAI finds every structure then.",
        )
    spacing = [before.pixdim[axis] for axis in order]
    overlap = [windows.overlap[axis] for axis in order]
    rules = BundleRules(
        before=before.before,
        after=before.after,
        foreground=before.foreground,
        overlap=tuple(overlap),
        blend=windows.form.mode,
        sigma=windows.form.sigma_scale,
        padding=windows.form.padding_mode,
        fill=windows.form.cval,
        resampled=after.resampled,
        nearest=after.nearest,
    )
    if fault := rules.fault(network.channels):
        raise config.refused(f"preprocessing: {fault}, and the network sees {network.channels}")
    return Plan(
        dimension=form.spatial_dims,
        planar=flat and windows.sliced is None,
        channels=network.channels,
        orientation="".join(axes[axis] for axis in order),
        spacing=(spacing[0], spacing[1], spacing[2]),
        normalisation="ct" if metadata.hounsfield else "zscore",
        patch=(roi[0], roi[1], roi[2]),
        multiple=network.multiple,
        shape=(roi[0], roi[1], roi[2]),
        rules=rules,
    )


def _names(metadata: Metadata, outputs: int, overlapping: bool) -> tuple[str, ...]:
    """Return the names of the structures, without the background of a softmax."""
    known = metadata.outputs(outputs)
    backgrounds = [number for number, name in enumerate(known) if name_key(name) == BACKGROUND]
    if backgrounds != ([] if overlapping else [0]):
        place = f"{', '.join(map(str, backgrounds)) or 'none'} of them is the background"
        raise metadata.refused(
            f"outputs#pred#channel_def: {place}, and "
            + ("each channel has a sigmoid" if overlapping else "the first one of a softmax has to be"),
            "It would not be clear which channel is which structure.",
            "Name the channels in a copy of the bundle.",
        )
    if len(known) == (0 if overlapping else 1):
        raise metadata.refused("outputs#pred#channel_def: it names no structure")
    return tuple(known if overlapping else known[1:])
