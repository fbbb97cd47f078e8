"""Forms of the transforms and inferers of MONAI that a model can express.

They have the arguments that change a prediction.  Those that do not (:data:`WITHOUT_EFFECT`) are left out before; any
other is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from IncrementalSegLib.preprocessing.bundle import (
    NormalizeIntensity,
    Number,
    ScaleIntensity,
    ScaleIntensityRange,
    ScaleIntensityRangePercentiles,
)

WITHOUT_EFFECT = frozenset(
    {
        "_target_", "_desc_", "_requires_", "keys", "allow_missing_keys", "meta_keys", "meta_key_postfix",
        "overwriting", "lazy", "image_only", "track_meta", "device", "data_type", "wrap_sequence", "prune_meta_pattern",
        "prune_meta_sep", "expanduser", "simple_keys", "strict_check", "allow_smaller", "start_coord_key",
        "end_coord_key", "sw_batch_size", "sw_device", "progress", "cache_roi_weight_map", "cpu_thresh", "buffer_steps",
        "buffer_dim", "with_coord", "transform", "orig_keys", "orig_meta_keys", "to_tensor", "post_func", "to_onehot",
        "rounding", "kwargs",
    }
)  # fmt: skip
"""Arguments that change no score."""


def _alone(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


_ALONE = BeforeValidator(_alone)  # an argument that may be a list of one, for one key
_Single = Annotated[Literal["float32"] | None, _ALONE]
_Side = Annotated[int, Field(ge=1, le=4096)]
_Part = Annotated[float, Field(ge=0, lt=1)]
_Millimetres = Annotated[float, Field(ge=-1000, le=1000)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Load(_Form):
    """LoadImage; the reader makes no difference."""

    reader: Literal["ITKReader", "NibabelReader", "NrrdReader", "PILReader"] | None = None
    ensure_channel_first: bool = False
    dtype: _Single = "float32"


class ChannelFirst(_Form):
    """EnsureChannelFirst."""

    channel_dim: Literal["no_channel", -1] | None = None


class Typed(_Form):
    """EnsureType and the like."""

    dtype: _Single = None


class Orientation(_Form):
    """Orientation by the names of axes."""

    axcodes: Annotated[str, Field(pattern="^[RASLPI]{3}$")] | None = None
    as_closest_canonical: bool = False


class Spacing(_Form):
    """Linear resampling to a spacing in mm."""

    pixdim: _Millimetres | Annotated[tuple[_Millimetres, ...], Field(min_length=1, max_length=3)]
    diagonal: Literal[False] = False
    mode: Annotated[Literal["bilinear"], _ALONE] = "bilinear"
    padding_mode: Annotated[Literal["border"], _ALONE] = "border"
    align_corners: Annotated[bool, _ALONE] = False
    dtype: Annotated[Literal["float32", "float64"] | None, _ALONE] = "float64"
    scale_extent: Annotated[Literal[False], _ALONE] = False
    recompute_affine: Literal[False] = False
    min_pixdim: None = None
    max_pixdim: None = None


class Crop(_Form):
    """CropForeground to the voxels above 0."""

    source_key: str | None = None
    select_fn: None = None
    channel_indices: None = None
    margin: Literal[0] = 0
    k_divisible: Literal[1] = 1
    mode: Annotated[str, _ALONE] = "constant"


class Activations(_Form):
    """One softmax, or a sigmoid of each score."""

    sigmoid: Annotated[bool, _ALONE] = False
    softmax: Annotated[bool, _ALONE] = False
    other: None = None


class Discrete(_Form):
    """The largest score, or all above one half."""

    argmax: Annotated[bool, _ALONE] = False
    threshold: Annotated[float | None, _ALONE] = None


class Invert(_Form):
    """Preprocessing undone."""

    nearest_interp: Annotated[bool, _ALONE] = True


class SlidingWindows(_Form):
    """SlidingWindowInferer."""

    roi_size: _Side | tuple[_Side, ...]
    overlap: _Part | tuple[_Part, ...] = 0.25
    mode: Literal["constant", "gaussian"] = "constant"
    sigma_scale: Annotated[float, Field(ge=0.01, le=10)] = 0.125
    padding_mode: Literal["constant", "reflect", "replicate", "circular"] = "constant"
    cval: Number = 0.0


class SlidingSlices(SlidingWindows):
    """SliceInferer."""

    spatial_dim: Annotated[int, Field(ge=0, le=2)] = 0


INTENSITIES: dict[str, type[BaseModel]] = {
    kind.__name__: kind
    for kind in (ScaleIntensityRange, ScaleIntensity, NormalizeIntensity, ScaleIntensityRangePercentiles)
}
BEFORE: dict[str, type[BaseModel]] = INTENSITIES | {
    "LoadImage": Load,
    "EnsureChannelFirst": ChannelFirst,
    "AddChannel": _Form,
    "EnsureType": Typed,
    "CastToType": Typed,
    "ToTensor": Typed,
    "Orientation": Orientation,
    "Spacing": Spacing,
    "CropForeground": Crop,
}
"""Transforms before the network."""

CHANNEL_FIRST = ("EnsureChannelFirst", "AddChannel")
"""Those that give a scan an axis of channels."""

AFTER: dict[str, type[BaseModel]] = {
    "Activations": Activations,
    "AsDiscrete": Discrete,
    "Invert": Invert,
    "EnsureType": Typed,
}
"""Transforms of its scores."""

SAVING = ("SaveImage", "DeleteItems")
"""Transforms that end a prediction."""
