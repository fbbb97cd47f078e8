"""The files of a MONAI bundle for a model; the opposite of what :mod:`.adopt` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from IncrementalSegLib.engine.adoption.bundle.metadata import Metadata
from IncrementalSegLib.engine.adoption.forms import OWN, Look
from IncrementalSegLib.networks.monai_trunk import MonaiForm, MonaiTrunk
from IncrementalSegLib.preprocessing.bundle import BundleRules, IntensityTransform
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.types import Json

_STORED = "WHD"
_IMAGE = {"keys": "@image_key"}
_PRED = {"keys": "pred"}


def configuration_for(plan: Plan, trunk: type[MonaiTrunk], form: MonaiForm, overlapping: bool, ending: str) -> Json:
    """Return ``inference.json``, in the form of the model zoo.

    Args:
        plan: A plan with rules of a bundle.
        trunk: Class of the network.
        form: Its arguments.
        overlapping: Scores have a sigmoid each.
        ending: Of the names of scans.
    """
    rules = plan.rules
    assert isinstance(rules, BundleRules)
    arguments = form.arguments() | {"in_channels": plan.channels}
    return {
        "imports": ["$import glob"],
        "bundle_root": ".",
        "image_key": "image",
        "dataset_dir": "./scans",
        "output_dir": "$@bundle_root + '/eval'",
        "datalist": f"$list(sorted(glob.glob(@dataset_dir + '/*{ending}')))",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": {"_target_": trunk.target.__name__} | arguments,
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": _before(plan, rules)},
        "dataset": {
            "_target_": "Dataset",
            "data": "$[{'image': item} for item in @datalist]",
            "transform": "@preprocessing",
        },
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "shuffle": False},
        "inferer": _inferer(plan, rules),
        "postprocessing": {"_target_": "Compose", "transforms": _after(rules, overlapping)},
        "handlers": [{"_target_": "StatsHandler", "iteration_log": False}],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "checkpointloader": {
            "_target_": "CheckpointLoader",
            "load_path": "$@bundle_root + '/models/model.pt'",
            "load_dict": {"model": "@network"},
        },
        "initialize": ["$@checkpointloader(@evaluator)"],
        "run": ["$@evaluator.run()"],
    }


def metadata_for(
    plan: Plan, structures: Sequence[Structure], overlapping: bool, name: str, channels: Sequence[str], terms: str
) -> Json:
    """Return ``metadata.json``; its version is that of the form, not of the model."""
    outputs = [item.name for item in structures] if overlapping else ["background", *(item.name for item in structures)]
    hounsfield = plan.normalisation == "ct"
    image = {
        "type": "image",
        "format": "hounsfield" if hounsfield else "magnitude",
        "modality": "CT" if hounsfield else "MR",
        "num_channels": plan.channels,
        "spatial_shape": list(plan.patch[3 - plan.dimension :]),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
        "channel_def": {str(number): channel for number, channel in enumerate(channels)},
    }
    return {
        "version": "1.0.0",
        "changelog": {"1.0.0": "released"},
        "monai_version": _version("monai"),
        "pytorch_version": _version("torch"),
        "numpy_version": _version("numpy"),
        "optional_packages_version": {"nibabel": "5.2.0", "pytorch-ignite": "0.4.11"},
        "name": name,
        "task": "Segmentation",
        "description": f"Segments {', '.join(item.name for item in structures)}.",
        "authors": "",
        "copyright": "",
        "license": terms,
        "network_data_format": {
            "inputs": {"image": image},
            "outputs": {
                "pred": image
                | {
                    "format": "segmentation",
                    "num_channels": len(outputs),
                    "value_range": [0, 1],
                    "channel_def": {str(number): output for number, output in enumerate(outputs)},
                }
            },
        },
        OWN: {item.name: Look.of(item).model_dump(mode="json") for item in structures},
    }


def metadata_of(document: Json) -> Metadata:
    """Return a document of :func:`metadata_for` as it is read."""
    return Metadata.model_validate(document)


def _version(package: str) -> str:
    try:
        return version(package).partition("+")[0]
    except PackageNotFoundError:
        return ""


def _before(plan: Plan, rules: BundleRules) -> list[Json]:
    axes, order = _axes(plan)
    spacing = [plan.spacing[order.index(axis)] for axis in range(3)]
    steps: list[Mapping[str, Any]] = [{"_target_": "LoadImaged"}, {"_target_": "EnsureChannelFirstd"}]
    if set(axes) != set(_STORED):
        steps.append({"_target_": "Orientationd", "axcodes": axes})
    steps += [_intensity(item) for item in rules.before]
    if any(item is not None for item in spacing):
        steps.append({"_target_": "Spacingd", "pixdim": [item or -1.0 for item in spacing], "mode": "bilinear"})
    steps += [_intensity(item) for item in rules.after]
    if rules.foreground:
        steps.append({"_target_": "CropForegroundd", "source_key": "@image_key"})
    return [dict(step) | _IMAGE for step in (*steps, {"_target_": "EnsureTyped"})]


def _intensity(item: IntensityTransform) -> Json:
    return {"_target_": f"{item.transform}d"} | item.model_dump(mode="json", exclude={"transform"})


def _axes(plan: Plan) -> tuple[str, tuple[int, ...]]:
    """Return the axes of an array of MONAI, and which of them are D, H, W."""
    if plan.dimension == 2 and set(plan.orientation) == set(_STORED):
        return _STORED, tuple(_STORED.index(axis) for axis in plan.orientation)
    return plan.orientation, (0, 1, 2)


def _inferer(plan: Plan, rules: BundleRules) -> Json:
    _, order = _axes(plan)
    first = 3 - plan.dimension
    found: Json = {
        "_target_": "SlidingWindowInferer",
        "roi_size": list(plan.patch[first:]),
        "sw_batch_size": 4,
        "overlap": list(rules.overlap[first:]),
        "mode": rules.blend,
        "sigma_scale": rules.sigma,
        "padding_mode": rules.padding,
        "cval": rules.fill,
    }
    if plan.dimension == 2 and not plan.planar:
        found |= {"_target_": "SliceInferer", "spatial_dim": order[0]}
    return found


def _after(rules: BundleRules, overlapping: bool) -> list[Json]:
    activation = {"_target_": "Activationsd", "sigmoid" if overlapping else "softmax": True}
    invert = {
        "_target_": "Invertd",
        "transform": "@preprocessing",
        "orig_keys": "@image_key",
        "nearest_interp": rules.nearest,
        "to_tensor": True,
    }
    discrete: Json = {"_target_": "AsDiscreted"} | ({"threshold": 0.5} if overlapping else {"argmax": True})
    steps = [activation, invert] if rules.resampled == "probabilities" else [invert, activation]
    saving = {"_target_": "SaveImaged", "output_dir": "@output_dir", "output_postfix": "seg"}
    return [step | _PRED for step in (*steps, discrete, saving)]
