"""From the plans of nnU-Net to the plan and the network of a model.

:mod:`.plans` goes the other way, by the same tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from IncrementalSegLib.engine.adoption.forms import Configuration, DatasetForm, Plans, ResamplingArguments
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.networks.config import SegmenterConfig, Topology
from IncrementalSegLib.networks.dropout import DROPOUT
from IncrementalSegLib.preprocessing.plan import STORED, Plan
from IncrementalSegLib.preprocessing.rules import Intensity, Resampling, Rules, Scheme

SCHEMES: dict[str, Scheme] = {
    "ZScoreNormalization": "zscore",
    "CTNormalization": "ct",
    "RescaleTo01Normalization": "rescale",
    "RGBTo01Normalization": "rgb",
    "NoNormalization": "none",
}
"""Normalisation scheme of nnU-Net -> ours."""

PLANAR_READER = "NaturalImage2DIO"
"""The one of pictures."""

READERS = {"SimpleITKIO": STORED, "NibabelIO": STORED, "NibabelIOWithReorient": "SAR", PLANAR_READER: STORED}
"""Reader of nnU-Net -> orientation of the arrays that it returns."""

PLAIN, RESIDUAL = "PlainConvUNet", "ResidualEncoderUNet"
CLASSES = {PLAIN: "n_conv_per_stage", RESIDUAL: "n_blocks_per_stage"}
"""Class of a network -> argument with the convolutions or blocks of its encoder."""

HOMES = tuple(f"dynamic_network_architectures.architectures.{home}" for home in ("unet", "residual_unet"))
"""Modules of these classes; nnU-Net writes the first one."""


def network_of(configuration: Configuration, channels: int, members: int, output: str, path: Path) -> SegmenterConfig:
    """Return the configuration of the network.

    Args:
        configuration: Of nnU-Net.
        channels: Channels of a scan.
        members: Folds of the ensemble.
        output: Form of the model's output.
        path: The plans, for messages.

    Raises:
        ModelError: The network is of another class, or its parts do not fit together.
    """
    architecture, dimension = configuration.architecture, len(configuration.patch_size)
    home, _, name = architecture.network_class_name.rpartition(".")
    if home not in HOMES or name not in CLASSES:
        raise refused(
            path,
            f"its network is {architecture.network_class_name[:200]!r}",
            f"Only {' and '.join(CLASSES)} are known.",
            "Train one of these.",
        )
    given = architecture.arch_kwargs
    if not (given.conv_op.endswith(f"{dimension}d") and given.norm_op.endswith(f"{dimension}d")):
        raise refused(path, f"its patches have {dimension} axes, and its network is made of {given.conv_op}")
    counts = {"n_conv_per_stage": given.n_conv_per_stage, "n_blocks_per_stage": given.n_blocks_per_stage}
    encoder = counts.pop(CLASSES[name])
    if any(counts.values()):
        raise refused(path, f"its {name} has {' and '.join(counts)}")
    try:
        topology = Topology(
            kernels=given.kernel_sizes,
            strides=given.strides,
            encoder=encoder,
            decoder=given.n_conv_per_stage_decoder,
            residual=name == RESIDUAL,
            bias=given.conv_bias,
            epsilon=given.norm_op_kwargs.eps,
            slope=given.nonlin_kwargs.negative_slope,
            members=members,
        )
        config = SegmenterConfig(
            network=f"nnunet{dimension}d",
            channels=channels,
            widths=given.features_per_stage,
            dropout=DROPOUT,
            output=output,
            topology=topology,
        )
    except ValidationError as error:
        raise refused(path, f"the stages of its network do not fit: {error.errors()[0]['msg']}") from error
    stages = len(topology.kernels)
    if {given.n_stages, len(given.features_per_stage)} != {stages} or len(topology.kernels[0]) != dimension:
        widths = len(given.features_per_stage)
        raise refused(
            path, f"its network has {given.n_stages} stages, {widths} numbers of features and {stages} kernels"
        )
    return config


def plan_of(
    plans: Plans,
    configuration: Configuration,
    dataset: DatasetForm,
    network: SegmenterConfig,
    mirror: Sequence[int],
    path: Path,
) -> Plan:
    """Return the plan of the model.

    Args:
        plans: Of nnU-Net.
        configuration: The one that was trained.
        dataset: The data set that it was trained on.
        network: The network.
        mirror: Axes of the network along which scans may be mirrored.
        path: The plans, for messages.

    Raises:
        ModelError: Something is unknown, or has another number of channels or axes.
    """
    patch, spacing, size = configuration.patch_size, configuration.spacing, configuration.median_image_size_in_voxels
    if not len(patch) == len(spacing) == len(size):
        raise refused(path, f"its patch has {len(patch)} axes, its spacing {len(spacing)}")
    order, flat = plans.transpose_forward, len(patch) == 2
    if sorted(order) != [0, 1, 2]:
        raise refused(path, f"it transposes axes by {order}, which is no order of three")
    if plans.image_reader_writer not in READERS:
        raise refused(
            path,
            f"its scans were read by {plans.image_reader_writer[:100]!r}",
            f"Known are {', '.join(READERS)}.",
        )
    if any(side % multiple for side, multiple in zip(patch, network.multiples, strict=True)):
        raise refused(path, f"its patch {patch} cannot be halved as often as its network does")
    depth = plans.original_median_shape_after_transp[0] if flat else size[0]
    height, width = size[-2:]
    axes = [axis + flat for axis in mirror]
    if not all(0 <= axis < len(patch) for axis in mirror) or len(set(axes)) < len(axes):
        raise refused(path, f"scans are mirrored along {tuple(mirror)}, and its network has {len(patch)} axes")
    intensities = _intensities(plans, configuration, dataset, path)
    return Plan(
        dimension=2 if flat else 3,
        planar=plans.image_reader_writer == PLANAR_READER,
        channels=len(dataset.channel_names),
        orientation="".join(READERS[plans.image_reader_writer][axis] for axis in order),
        spacing=(None if flat else spacing[0], spacing[-2], spacing[-1]),
        normalisation="ct" if all(item.scheme == "ct" for item in intensities) else "zscore",
        patch=(1 if flat else patch[0], patch[-2], patch[-1]),
        multiple=network.multiple,
        shape=(max(1, round(depth)), max(1, round(height)), max(1, round(width))),
        rules=Rules(
            intensities=intensities,
            scans=_resampling(configuration.resampling_fn_data_kwargs),
            scores=_resampling(configuration.resampling_fn_probabilities_kwargs),
            mirror=tuple(sorted(axes)),
        ),
    )


def _resampling(given: ResamplingArguments) -> Resampling:
    return Resampling(order=given.order, order_z=given.order_z, separate=given.force_separate_z)


def _intensities(plans: Plans, configuration: Configuration, dataset: DatasetForm, path: Path) -> tuple[Intensity, ...]:
    """Return the normalisation of each channel."""
    schemes, masked = configuration.normalization_schemes, configuration.use_mask_for_norm
    numbers = sorted(dataset.channel_names, key=lambda key: (len(key), key))
    if numbers != [str(number) for number in range(len(schemes))] or len(masked) != len(schemes):
        raise refused(
            path,
            f"it normalises {len(schemes)} channels, and dataset.json names {len(numbers)}: {', '.join(numbers)}",
            "Plans and data set belong to different trainings.",
            "Put the plans.json and dataset.json of the training there.",
        )
    found = []
    for number, scheme, inside in zip(numbers, schemes, masked, strict=True):
        if scheme not in SCHEMES:
            raise refused(path, f"channel {number} is normalised by {scheme[:100]!r}", f"Known: {', '.join(SCHEMES)}.")
        kind = SCHEMES[scheme]
        if kind != "ct":
            found.append(Intensity(scheme=kind, masked=inside and kind == "zscore"))
            continue
        if number not in plans.intensities:
            raise refused(path, f"it has no intensities of channel {number}, by which CT is normalised")
        known = plans.intensities[number]
        if known.percentile_00_5 > known.percentile_99_5:
            raise refused(path, f"channel {number} is clipped from {known.percentile_00_5} to {known.percentile_99_5}")
        found.append(
            Intensity(
                scheme=kind, mean=known.mean, deviation=known.std, low=known.percentile_00_5, high=known.percentile_99_5
            )
        )
    return tuple(found)
