"""The weights of a MONAI bundle: where they lie, and how they become those of a model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

import torch
from torch import Tensor

from IncrementalSegLib.engine.adoption.bundle.config import Config
from IncrementalSegLib.engine.adoption.child import SAFETENSORS
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.engine.adoption.weights import check_weights, output_of
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.networks.config import SegmenterConfig
from IncrementalSegLib.networks.monai_trunk import MonaiForm
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.registry import find
from IncrementalSegLib.structures import StructureList

WEIGHTS = "models/model.pt"
"""Path of the weights, by default."""

_SCRIPT = ".ts"
_PREFIX = "trunks.0.net."


def weights_in(root: Path, config: Config) -> Path:
    """Return the file of the weights.

    Args:
        root: The folder of the bundle.
        config: Its configuration, which may name them.

    Raises:
        ModelError: It is not there, lies elsewhere, or is TorchScript.
    """
    home = config.value("bundle_root")
    if home is not None and (not isinstance(home, str) or PurePosixPath(home) != PurePosixPath(".")):
        raise config.refused(
            f"bundle_root: it is {str(home)[:100]!r} and not '.'", "Nothing outside of the folder is read."
        )
    loaders = [f"{key}#load_path" for key in config.all_of("CheckpointLoader")]
    given = {str(config.value(key)): key for key in loaders}
    if len(given) > 1:
        raise config.refused(f"{' and '.join(given.values())}: they load {' and '.join(given)[:200]}")
    path, key = next(iter(given.items()), (WEIGHTS, "models"))
    name = PurePosixPath(path)
    if name.is_absolute() or ".." in name.parts or PureWindowsPath(path).drive or "\\" in path or path[:1] in "@$%":
        raise config.refused(f"{key}: it is {path[:100]!r}", "Weights lie in the folder of the bundle.")
    found = root / name
    if not found.is_file() and (plain_ := found.with_suffix(SAFETENSORS)).is_file():
        found = plain_
    if found.suffix == _SCRIPT or (not found.is_file() and found.with_suffix(_SCRIPT).is_file()):
        raise refused(
            found.with_suffix(_SCRIPT),
            "it is TorchScript",
            "That is a program, which is not executed.",
            f"Get the weights of the bundle as {path}.",
        )
    if not found.is_file():
        raise refused(root, f"it holds no {path[:100]}", "The weights are not there.", "Get the whole bundle.")
    if not found.resolve().is_relative_to(root.resolve()):
        raise refused(found, "it is a link that leads out of the bundle", "", "Copy the weights to its place.")
    return found


def filled(network: SegmenterConfig, structures: StructureList, weights: Mapping[str, Tensor], path: Path) -> Segmenter:
    """Return a network of MONAI as a model.

    Args:
        network: Its configuration.
        structures: In the order of its outputs.
        weights: By the names of MONAI.
        path: Their file, for messages.

    Raises:
        ModelError: A weight is missing, unknown, or of another shape.
    """
    trunk, form = find("network", network.network), network.topology
    assert isinstance(form, MonaiForm)
    with torch.device("meta"):  # no memory, before the weights are known to have these sizes
        whole = trunk.whole(form, network.channels).state_dict()
    kept = trunk.stored(weights)
    shapes = {name: item.shape for name, item in trunk.stored(whole).items() if item.is_floating_point()}
    check_weights(kept, shapes, partial(_unfit, path))
    rows = {part: kept.pop(f"{trunk.last}.{part}") for part in ("weight", "bias") if trunk.last}
    if not rows:  # the scores are the last map, and each row is one of them
        count = form.out_channels
        rows = {"weight": torch.eye(count).reshape(count, count, *[1] * form.spatial_dims), "bias": torch.zeros(count)}
    model = Segmenter(network)
    model.add(structures.ids)
    found = {_PREFIX + name: item for name, item in kept.items()}
    found |= output_of(structures.ids, network.output == "heads", rows["weight"], rows["bias"])
    model.load_state_dict(model.state_dict() | found)
    return model


def _unfit(path: Path, reason: str) -> ModelError:
    return refused(
        path,
        f"its weights do not fit the network of its configuration ({reason})",
        "They belong to another training, or to another version of MONAI.",
        "Get the bundle again from where it was trained.",
    )
