"""The weights of nnU-Net and of a model, in both directions: the same tensors, with the last convolution as output."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from IncrementalSegLib.engine.adoption.labels import Labels
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.networks.config import Topology
from IncrementalSegLib.networks.outputs.classes import Classes
from IncrementalSegLib.networks.segmenter import Segmenter
from IncrementalSegLib.types import StructureId

_OUTPUT = "decoder.seg_layers."
_AUXILIARY = r"decoder\.seg_layers\.\d+\.(weight|bias)"  # of deep supervision, which only training needs
_WITHIN = {".conv.": ".all_modules.0.", ".norm.": ".all_modules.1."}
_ENCODER = "encoder."


def fill(model: Segmenter, labels: Labels, members: Sequence[Mapping[str, Tensor]], paths: Sequence[Path]) -> None:
    """Load the weights of the members into a model that was built for them.

    The output sees the features of all members and gives the mean of their scores: a share of each last convolution.

    Args:
        model: One trunk, and one output part for each structure; its own weights are not used.
        labels: The structures, in the order of the network's outputs.
        members: Weights of each member, by the names of nnU-Net.
        paths: Their checkpoints, for messages.

    Raises:
        ModelError: A weight is missing, unknown, or of another shape.
    """
    expected = model.state_dict()
    last = _last(model)
    found: dict[str, Tensor] = {}
    for number, (weights, path) in enumerate(zip(members, paths, strict=True)):
        prefix = _prefix(0, number)
        own = {name.removeprefix(prefix): item.shape for name, item in expected.items() if name.startswith(prefix)}
        one = (1,) * model.dimension
        own |= {f"{last}.weight": torch.Size((labels.outputs, model.config.widths[0], *one))}
        own |= {f"{last}.bias": torch.Size((labels.outputs,))}
        check_weights(weights, own, partial(_unfit, path), _AUXILIARY)
        found |= {prefix + name: weights[name] for name in own if not name.startswith(_OUTPUT)}
    weight = torch.cat([weights[f"{last}.weight"] / len(members) for weights in members], dim=1)
    bias = torch.stack([weights[f"{last}.bias"].double() for weights in members]).mean(0).float()
    found |= output_of(labels.structures.ids, bool(labels.regions), weight, bias)
    model.load_state_dict(found, assign=True)


def members_of(model: Segmenter, trunk: int) -> list[dict[str, Tensor]]:
    """Return the weights of each member by the names of nnU-Net; the opposite of :func:`fill`.

    The convolutions of deep supervision, which nnU-Net loads and a prediction does not use, are zero.

    Args:
        model: One with a U-Net of nnU-Net and an output of classes or of single-layer heads.
        trunk: Number of the trunk that serves its structures.
    """
    state, topology = model.state_dict(), model.config.topology
    assert isinstance(topology, Topology)
    weight, bias = scores_of(model)
    found = []
    for number, share in enumerate(weight.chunk(topology.members, dim=1)):
        prefix = _prefix(trunk, number)
        weights = {name.removeprefix(prefix): item for name, item in state.items() if name.startswith(prefix)}
        for layer, width in enumerate(reversed(model.config.widths[:-1])):
            weights[f"{_OUTPUT}{layer}.weight"] = torch.zeros(len(bias), width, *[1] * model.dimension)
            weights[f"{_OUTPUT}{layer}.bias"] = torch.zeros(len(bias))
        weights |= {f"{_last(model)}.weight": share * topology.members, f"{_last(model)}.bias": bias}
        found.append(doubled({name: item.cpu().contiguous() for name, item in weights.items()}))
    return found


def doubled(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights with the second name that nnU-Net's modules give to many of them."""
    found = dict(weights)
    for name, item in weights.items():
        for one, other in _WITHIN.items():
            found |= {name.replace(one, other): item}
    return found | {f"decoder.{name}": item for name, item in found.items() if name.startswith(_ENCODER)}


def _prefix(trunk: int, member: int) -> str:
    return f"trunks.{trunk}.members.{member}."


def _last(model: Segmenter) -> str:
    """Return the name of the last convolution."""
    return f"{_OUTPUT}{len(model.config.widths) - 2}"


def check_weights(
    weights: Mapping[str, Tensor],
    expected: Mapping[str, torch.Size],
    unfit: Callable[[str], Exception],
    ignored: str = "",
) -> None:
    """Refuse weights that are not those of a network.

    Args:
        weights: Name -> tensor.
        expected: Name -> shape.
        unfit: Makes the error of a reason.
        ignored: Pattern of other names that may be there.
    """
    for name, shape in expected.items():
        if name not in weights:
            raise unfit(f"{name} is missing")
        if weights[name].shape != shape:
            raise unfit(f"{name} is {tuple(weights[name].shape)} instead of {tuple(shape)}")
    unknown = sorted(name for name in set(weights) - set(expected) if not re.fullmatch(ignored, name))
    if unknown:
        raise unfit(f"{unknown[0][:200]} is unknown")


def _unfit(path: Path, reason: str) -> Exception:
    return refused(
        path,
        f"its weights do not fit the network of plans.json and the labels of dataset.json ({reason})",
        "A trainer may have changed the network, or the files belong to different trainings.",
        "Put the plans.json and dataset.json of this training there.",
    )


def output_of(structures: Sequence[StructureId], overlapping: bool, weight: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Return the weights of a model's output for those of a last convolution.

    Args:
        structures: In the order of its outputs.
        overlapping: Each output is the score of a structure, and the softmax of its head over background and foreground
            the sigmoid of it; otherwise outputs are the rows of one softmax, the background first.
        weight: ``(outputs, features, *1)``.
        bias: ``(outputs)``.
    """
    if overlapping:
        return {
            f"output.heads.{name}.score.{kind}": torch.stack([torch.zeros_like(rows[number]), rows[number]])
            for number, name in enumerate(structures)
            for kind, rows in (("weight", weight), ("bias", bias))
        }
    return {
        f"output.rows.{name}.{kind}": rows[number : number + 1]
        for number, name in enumerate(("background", *structures))
        for kind, rows in (("weight", weight), ("bias", bias))
    }


def scores_of(model: Segmenter) -> tuple[Tensor, Tensor]:
    """Return the rows of the last convolution and their biases; the opposite of :func:`output_of`.

    Args:
        model: One with an output of classes, or of single-layer heads.
    """
    if isinstance(model.output, Classes):
        rows = [row.state_dict() for row in model.output.rows.values()]
        return torch.cat([row["weight"] for row in rows]), torch.cat([row["bias"] for row in rows])
    heads = [model.output.part(item).state_dict() for item in model.structures]
    weight, bias = (torch.stack([head[f"score.{kind}"] for head in heads]) for kind in ("weight", "bias"))
    return weight[:, 1] - weight[:, 0], bias[:, 1] - bias[:, 0]  # a softmax over two is the sigmoid of the difference
