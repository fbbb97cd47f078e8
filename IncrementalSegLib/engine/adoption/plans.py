"""From the plan and the network of a model to the plans of nnU-Net; the opposite of :mod:`.translation`."""

from __future__ import annotations

from pathlib import Path

from IncrementalSegLib.engine.adoption.forms import DatasetForm, Plans, configuration_of, parsed
from IncrementalSegLib.engine.adoption.refusal import inexpressible
from IncrementalSegLib.engine.adoption.translation import (
    CLASSES,
    HOMES,
    PLAIN,
    PLANAR_READER,
    READERS,
    RESIDUAL,
    SCHEMES,
    network_of,
    plan_of,
)
from IncrementalSegLib.networks.config import SegmenterConfig, Topology
from IncrementalSegLib.networks.dropout import DROPOUT
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.preprocessing.rules import Intensity, Resampling, Rules
from IncrementalSegLib.types import Json

NAME = "nnUNetPlans"
"""Name of the plans."""

_RESAMPLING = "resample_data_or_seg_to_shape"
_OF_LABELS = {"is_seg": True, "order": 1, "order_z": 0, "force_separate_z": None}
_BATCH = 2  # of a training, which no prediction asks for


def plans_for(plan: Plan, network: SegmenterConfig, name: str, dataset: str, reader: str | None = None) -> Json:
    """Return ``plans.json`` of a model with a U-Net of nnU-Net.

    Args:
        plan: A plan with rules of nnU-Net.
        network: A network with a topology.
        name: Name of the configuration.
        dataset: Name of the data set.
        reader: The reader of nnU-Net that the model was taught with, where it is known.
    """
    rules = plan.rules
    assert isinstance(rules, Rules)
    found, order = _reading(plan, reader)
    return {
        "dataset_name": dataset,
        "plans_name": NAME,
        "original_median_spacing_after_transp": list(plan.spacing_mm),
        "original_median_shape_after_transp": list(plan.shape),
        "image_reader_writer": found,
        "transpose_forward": order,
        "transpose_backward": [order.index(axis) for axis in range(3)],
        "configurations": {name: _configuration(plan, rules, network, name)},
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(channel): _properties(item) for channel, item in enumerate(rules.intensities)
        },
    }


def check_plans(document: Json, described: Json, plan: Plan, network: SegmenterConfig, name: str) -> None:
    """Refuse a model that would be another one if it were adopted from these plans.

    Args:
        document: ``plans.json``.
        described: ``dataset.json``.
        plan: The plan of the model.
        network: Its network.
        name: Name of the configuration.

    Raises:
        ModelError: Something of the model is not in the plans.
    """
    path, topology = Path("plans.json"), network.topology
    assert isinstance(topology, Topology)
    plans, dataset = parsed(Plans, document, path), parsed(DatasetForm, described, path)
    configuration = configuration_of(plans, name, path)
    read = network_of(configuration, plan.channels, topology.members, network.output, path)
    of_prediction = {"dropout": DROPOUT, "topology": topology.model_copy(update={"deep": False})}
    mirror = [axis - 3 + plan.dimension for axis in plan.rules.mirror] if plan.rules else []
    for what, there, here in (
        ("network", read, network.model_copy(update=of_prediction)),
        ("preprocessing", plan_of(plans, configuration, dataset, read, mirror, path), plan),
    ):
        if there != here:
            ours, theirs = here.model_dump(), there.model_dump()
            other = next(key for key in ours if ours[key] != theirs[key])
            raise inexpressible(
                f"the {other} of its {what} is {str(ours[other])[:200]}",
                f"nnU-Net would take it for {str(theirs[other])[:200]}.",
            )


def _reading(plan: Plan, reader: str | None) -> tuple[str, list[int]]:
    """Return the reader of nnU-Net, and the order of its axes that gives the orientation of the plan."""
    for name in (PLANAR_READER,) if plan.planar else dict.fromkeys((reader or "", *READERS)):
        axes = READERS.get(name, "")
        if set(axes) == set(plan.orientation):
            return name, [axes.index(axis) for axis in plan.orientation]
    raise inexpressible(
        f"it sees scans oriented to {plan.orientation}",
        f"nnU-Net sees them as they are stored, or oriented to {READERS['NibabelIOWithReorient']}.",
    )


def _configuration(plan: Plan, rules: Rules, network: SegmenterConfig, name: str) -> Json:
    flat = 3 - plan.dimension
    normalised = {ours: theirs for theirs, ours in SCHEMES.items()}
    return {
        "data_identifier": f"{NAME}_{name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": _BATCH,
        "patch_size": list(plan.patch[flat:]),
        "median_image_size_in_voxels": [float(size) for size in plan.shape[flat:]],
        "spacing": list(plan.spacing[flat:]),
        "normalization_schemes": [normalised[item.scheme] for item in rules.intensities],
        "use_mask_for_norm": [item.masked for item in rules.intensities],
        "resampling_fn_data": _RESAMPLING,
        "resampling_fn_data_kwargs": _arguments(rules.scans),
        "resampling_fn_seg": _RESAMPLING,
        "resampling_fn_seg_kwargs": _OF_LABELS,
        "resampling_fn_probabilities": _RESAMPLING,
        "resampling_fn_probabilities_kwargs": _arguments(rules.scores),
        "architecture": _architecture(network, plan.dimension),
        "batch_dice": False,
    }


def _arguments(resampling: Resampling) -> Json:
    return {
        "is_seg": False,
        "order": resampling.order,
        "order_z": resampling.order_z,
        "force_separate_z": resampling.separate,
    }


def _properties(intensity: Intensity) -> Json:
    return {
        "mean": intensity.mean,
        "std": intensity.deviation,
        "percentile_00_5": intensity.low,
        "percentile_99_5": intensity.high,
    }


def _architecture(network: SegmenterConfig, dimension: int) -> Json:
    form = network.topology
    assert isinstance(form, Topology)
    kind = RESIDUAL if form.residual else PLAIN
    return {
        "network_class_name": f"{HOMES[0]}.{kind}",
        "arch_kwargs": {
            "n_stages": len(form.kernels),
            "features_per_stage": list(network.widths),
            "conv_op": f"torch.nn.modules.conv.Conv{dimension}d",
            "kernel_sizes": [list(kernel) for kernel in form.kernels],
            "strides": [list(stride) for stride in form.strides],
            CLASSES[kind]: list(form.encoder),
            "n_conv_per_stage_decoder": list(form.decoder),
            "conv_bias": form.bias,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimension}d",
            "norm_op_kwargs": {"eps": form.epsilon, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True, "negative_slope": form.slope},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }
