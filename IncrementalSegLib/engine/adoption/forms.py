"""Forms of ``plans.json`` and ``dataset.json`` of nnU-Net v2, as far as they decide what a network predicts."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, AliasChoices, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.files import read_json
from IncrementalSegLib.names import plain
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.types import Json

_MOST_BYTES = 20_000_000  # of a plans.json; those of large data sets have a few hundred kilobytes
_MOST_VOXELS = 2**27  # of a patch; one layer of 32 features on it takes 17 GB, so that no GPU has trained on it
_Positive = Annotated[float, Field(gt=0, le=1e6)]
_Size = Annotated[int, Field(ge=1, le=4096)]
_Count = Annotated[int, Field(ge=1, le=64)]
_Text = Annotated[str, Field(max_length=10_000)]
_Byte = Annotated[int, Field(ge=0, le=255)]

OWN = "incrementalseg"
"""Key of our own in ``dataset.json``."""

F = TypeVar("F", bound=BaseModel)


class _Form(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class _Exact(_Form):
    model_config = ConfigDict(extra="forbid")


class NormArguments(_Exact):
    """Arguments of instance normalisation."""

    eps: Annotated[float, Field(gt=0, le=1)] = 1e-5
    affine: Literal[True]


class ActivationArguments(_Exact):
    """Arguments of leaky ReLU."""

    inplace: bool = False
    negative_slope: Annotated[float, Field(ge=0, le=1)] = 0.01


class NetworkArguments(_Exact):
    """Arguments of PlainConvUNet or ResidualEncoderUNet; any other changes the network and is refused."""

    n_stages: _Count
    features_per_stage: tuple[Annotated[int, Field(ge=1, le=8192)], ...]
    conv_op: Literal["torch.nn.modules.conv.Conv2d", "torch.nn.modules.conv.Conv3d"]
    kernel_sizes: tuple[tuple[_Size, ...], ...]
    strides: tuple[tuple[_Size, ...], ...]
    n_conv_per_stage: tuple[_Count, ...] = ()
    n_blocks_per_stage: tuple[_Count, ...] = ()
    n_conv_per_stage_decoder: tuple[_Count, ...]
    conv_bias: bool = False
    norm_op: Literal["torch.nn.modules.instancenorm.InstanceNorm2d", "torch.nn.modules.instancenorm.InstanceNorm3d"]
    norm_op_kwargs: NormArguments
    dropout_op: None = None
    dropout_op_kwargs: JsonValue = None
    nonlin: Literal["torch.nn.LeakyReLU", "torch.nn.modules.activation.LeakyReLU"]
    nonlin_kwargs: ActivationArguments = ActivationArguments()
    nonlin_first: Literal[False] = False


class Architecture(_Form):
    """A network by its class and arguments."""

    network_class_name: _Text
    arch_kwargs: NetworkArguments


class ResamplingArguments(_Exact):
    """Arguments of the default resampling."""

    is_seg: Literal[False] = False
    order: Annotated[int, Field(ge=0, le=5)] = 3
    order_z: Annotated[int, Field(ge=0, le=5)] = 0
    force_separate_z: bool | None = False
    separate_z_anisotropy_threshold: Literal[3] = 3


def _trainable(patch: tuple[int, ...]) -> tuple[int, ...]:
    if math.prod(patch) > _MOST_VOXELS:
        raise ValueError(f"a patch has at most {_MOST_VOXELS} voxels")
    return patch


class Configuration(_Form):
    """A configuration, such as 3d_fullres, with what it inherits."""

    preprocessor_name: Literal["DefaultPreprocessor"]
    patch_size: Annotated[tuple[_Size, ...], Field(min_length=2, max_length=3), AfterValidator(_trainable)]
    median_image_size_in_voxels: tuple[_Positive, ...]
    spacing: tuple[_Positive, ...]
    normalization_schemes: tuple[_Text, ...]
    use_mask_for_norm: tuple[bool, ...]
    resampling_fn_data: Literal["resample_data_or_seg_to_shape"]
    resampling_fn_data_kwargs: ResamplingArguments
    resampling_fn_probabilities: Literal["resample_data_or_seg_to_shape"]
    resampling_fn_probabilities_kwargs: ResamplingArguments
    architecture: Architecture
    previous_stage: None = None


class Intensities(_Form):
    """Intensities of a channel inside the structures of the training scans."""

    mean: float
    std: Annotated[float, Field(ge=0)]
    percentile_00_5: float
    percentile_99_5: float


class Plans(_Form):
    """The parts of ``plans.json`` that all configurations share."""

    dataset_name: _Text
    plans_name: _Text
    image_reader_writer: _Text
    label_manager: Literal["LabelManager"] = "LabelManager"
    transpose_forward: tuple[int, int, int]
    original_median_shape_after_transp: tuple[_Positive, _Positive, _Positive]
    configurations: dict[str, dict[str, JsonValue]]
    intensities: dict[str, Intensities] = Field(
        validation_alias=AliasChoices(
            "foreground_intensity_properties_per_channel", "foreground_intensity_properties_by_modality"
        )
    )


class Look(_Exact):
    """Colour and terminology of a structure, which nnU-Net does not know; a release notes them in ``dataset.json``."""

    color: tuple[_Byte, _Byte, _Byte]
    terminology: Annotated[str, Field(max_length=1000), AfterValidator(plain)] | None = None

    @classmethod
    def of(cls, structure: Structure) -> Look:
        """Return the look of a structure."""
        return cls(color=structure.color, terminology=structure.terminology)


class DatasetForm(_Form):
    """The parts of ``dataset.json`` that say what a network sees and finds."""

    labels: Annotated[dict[_Text, int | tuple[int, ...]], Field(max_length=512)]
    channel_names: Annotated[
        dict[str, _Text], Field(min_length=1, validation_alias=AliasChoices("channel_names", "modality"))
    ]
    regions_class_order: tuple[int, ...] | None = None
    license: _Text = Field("", validation_alias=AliasChoices("licence", "license"))
    file_ending: _Text = ".nii.gz"
    looks: dict[_Text, Look] = Field({}, validation_alias=OWN)


def read_plans(path: Path) -> Plans:
    """Read ``plans.json``.

    Raises:
        ModelError: It has another form.
    """
    return parsed(Plans, _read(path), path)


def read_dataset(path: Path) -> DatasetForm:
    """Read ``dataset.json``.

    Raises:
        ModelError: It has another form, or that of nnU-Net v1.
    """
    document = _read(path)
    labels = document.get("labels")
    if isinstance(labels, dict) and labels and all(str(name).isdigit() for name in labels):
        raise refused(
            path,
            "its labels are named by value, as in nnU-Net v1",
            "Only folders of nnU-Net v2 are read.",
            "Train the model with nnU-Net v2.",
        )
    return parsed(DatasetForm, document, path)


def configuration_of(plans: Plans, name: str, path: Path) -> Configuration:
    """Return a configuration with what it inherits, that of older plans in the present form.

    Raises:
        ModelError: It is not there, inherits in a circle, is a cascade, or holds something unknown.
    """
    found: Json = {}
    seen: list[str] = []
    following: object = name
    while following is not None:
        if not isinstance(following, str) or following not in plans.configurations or following in seen:
            raise refused(path, f"its configuration {following!r} is missing or inherits from itself")
        seen.append(following)
        found = plans.configurations[following] | found
        following = plans.configurations[following].get("inherits_from")
    if found.get("previous_stage"):
        raise refused(
            path,
            f"{name} is the second stage of a cascade, behind {found['previous_stage']}",
            "Its network also sees the result of the first stage.",
            "Adopt the first stage, or 3d_fullres.",
        )
    if "architecture" not in found and "UNet_class_name" in found:
        found |= _older(found, path)
    return parsed(Configuration, found, path)


def _older(found: Json, path: Path) -> Json:
    """Return architecture and resampling of plans from before nnU-Net 2.4, which say less of the network."""
    try:
        dimension, stages = len(found["patch_size"]), len(found["n_conv_per_stage_encoder"])
        base, most = int(found["UNet_base_num_features"]), int(found["unet_max_num_features"])
        residual = found["UNet_class_name"] == "ResidualEncoderUNet"
        arguments: Json = {
            "n_stages": stages,
            "features_per_stage": [min(base * 2**stage, most) for stage in range(min(stages, 64))],
            "conv_op": f"torch.nn.modules.conv.Conv{dimension}d",
            "kernel_sizes": found["conv_kernel_sizes"],
            "strides": found["pool_op_kernel_sizes"],
            "n_blocks_per_stage" if residual else "n_conv_per_stage": found["n_conv_per_stage_encoder"],
            "n_conv_per_stage_decoder": found["n_conv_per_stage_decoder"],
            "conv_bias": True,
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dimension}d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "nonlin": "torch.nn.LeakyReLU",
        }
    except (KeyError, TypeError, ValueError) as error:
        raise refused(path, f"its older plans lack or misstate {error}") from error
    name = f"dynamic_network_architectures.architectures.unet.{found['UNet_class_name']}"
    return {"architecture": {"network_class_name": name, "arch_kwargs": arguments}}


def parsed(form: type[F], document: Any, path: Path) -> F:
    """Return a document in its form.

    Raises:
        ModelError: It has another one; the message names the first fault and the value seen.
    """
    try:
        return form.model_validate(document)
    except ValidationError as error:
        raise refused(
            path,
            first_fault(error),
            "It is not as nnU-Net v2 writes it, or asks for something that is not known here.",
            "Check that the folder is whole and was made by nnU-Net v2 without changes to its network.",
        ) from error


def first_fault(error: ValidationError, within: str = "", separator: str = ".") -> str:
    """Return the first fault of a document and the value seen; where several forms are allowed, of the nearest one.

    Args:
        error: All faults.
        within: Key of the document.
        separator: Stands between keys.
    """
    faults = error.errors(include_url=False)
    first = max((item for item in faults if item["loc"][:1] == faults[0]["loc"][:1]), key=lambda item: len(item["loc"]))
    where = separator.join(filter(None, (within, *map(str, first["loc"]))))
    given = "" if first["type"] == "missing" else f", not {str(first['input'])[:100]!r}"
    return f"{where}: {first['msg'].lower()}{given}"


def _read(path: Path) -> Json:
    if path.stat().st_size > _MOST_BYTES:
        raise refused(path, f"it has {path.stat().st_size} bytes; {_MOST_BYTES} are allowed")
    try:
        return read_json(path)
    except ModelError as error:
        raise refused(
            path, "it is not JSON", error.what, "Copy it again from where the network was trained."
        ) from error
