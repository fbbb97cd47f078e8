"""From the weights of nnU-Net to those of a model: the same tensors, with the last convolution as its output."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from IncrementalSegLib.engine.adoption.labels import Labels
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.networks.segmenter import Segmenter

_MEMBER = "trunks.0.members."
_OUTPUT = "decoder.seg_layers."
_AUXILIARY = re.compile(r"decoder\.seg_layers\.\d+\.(weight|bias)")  # of deep supervision, which only training needs


def fill(model: Segmenter, labels: Labels, members: Sequence[Mapping[str, Tensor]], paths: Sequence[Path]) -> None:
    """Load the weights of the members into a model that was built for them.

    The output sees the features of all members and gives the mean of their scores: a share of each last convolution.

    Args:
        model: One trunk, and one output part for each structure.
        labels: The structures, in the order of the network's outputs.
        members: Weights of each member, by the names of nnU-Net.
        paths: Their checkpoints, for messages.

    Raises:
        ModelError: A weight is missing, unknown, or of another shape.
    """
    expected = model.state_dict()
    last = f"{_OUTPUT}{len(model.config.widths) - 2}"
    found: dict[str, Tensor] = {}
    for number, (weights, path) in enumerate(zip(members, paths, strict=True)):
        prefix = f"{_MEMBER}{number}."
        own = {name.removeprefix(prefix): item.shape for name, item in expected.items() if name.startswith(prefix)}
        one = (1,) * model.dimension
        own |= {f"{last}.weight": torch.Size((labels.outputs, model.config.widths[0], *one))}
        own |= {f"{last}.bias": torch.Size((labels.outputs,))}
        _check(weights, own, path)
        found |= {prefix + name: weights[name] for name in own if not name.startswith(_OUTPUT)}
    weight = torch.cat([weights[f"{last}.weight"] / len(members) for weights in members], dim=1)
    bias = torch.stack([weights[f"{last}.bias"] for weights in members]).mean(0)
    found |= _regions(labels, weight, bias) if labels.regions else _classes(labels, weight, bias)
    model.load_state_dict(found)


def _check(weights: Mapping[str, Tensor], expected: Mapping[str, torch.Size], path: Path) -> None:
    for name, shape in expected.items():
        if name not in weights:
            raise _unfit(path, f"{name} is missing")
        if weights[name].shape != shape:
            raise _unfit(path, f"{name} is {tuple(weights[name].shape)} instead of {tuple(shape)}")
    unknown = sorted(name for name in set(weights) - set(expected) if not _AUXILIARY.fullmatch(name))
    if unknown:
        raise _unfit(path, f"{unknown[0][:200]} is unknown")


def _unfit(path: Path, reason: str) -> Exception:
    return refused(
        path,
        f"its weights do not fit the network of plans.json and the labels of dataset.json ({reason})",
        "A trainer may have changed the network, or the files belong to different trainings.",
        "Put the plans.json and dataset.json of this training there.",
    )


def _classes(labels: Labels, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Return one row of the softmax for the background and each structure."""
    names = ("background", *labels.structures.ids)
    return {
        f"output.rows.{name}.{kind}": rows[number : number + 1]
        for number, name in enumerate(names)
        for kind, rows in (("weight", weight), ("bias", bias))
    }


def _regions(labels: Labels, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Return a head for each region whose softmax over background and foreground is the region's sigmoid."""
    return {
        f"output.heads.{name}.score.{kind}": torch.stack([torch.zeros_like(rows[number]), rows[number]])
        for number, name in enumerate(labels.structures.ids)
        for kind, rows in (("weight", weight), ("bias", bias))
    }
