"""The transforms and the inferer of a MONAI bundle: what becomes of a scan, and of the scores of its network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from IncrementalSegLib.engine.adoption.bundle.config import Config
from IncrementalSegLib.engine.adoption.bundle.forms import (
    AFTER,
    BEFORE,
    CHANNEL_FIRST,
    INTENSITIES,
    SAVING,
    WITHOUT_EFFECT,
    Activations,
    Crop,
    Discrete,
    Invert,
    Load,
    Orientation,
    SlidingSlices,
    SlidingWindows,
    Spacing,
)
from IncrementalSegLib.engine.adoption.forms import first_fault
from IncrementalSegLib.preprocessing.bundle import (
    IntensityTransform,
    NormalizeIntensity,
    ScaleIntensity,
    ScaleIntensityRange,
    ScaleIntensityRangePercentiles,
)
from IncrementalSegLib.types import Dimension

_MOST_STEPS = 100

F = TypeVar("F", bound=BaseModel)


class Step(NamedTuple):
    """A transform: its key in the configuration, its name without the ``d`` of dictionaries, and its arguments."""

    key: str
    name: str
    form: BaseModel | None


@dataclass(frozen=True)
class Preprocessing:
    """Steps before the network.

    Attributes:
        orientation: Directions of the axes of an array of MONAI; ``None``: as the file stores them.
        pixdim: Spacing in mm along these axes; ``None``: that of the scan.
        before: Intensity transforms before the resampling.
        after: Those after it.
        foreground: Whether windows cover the foreground only.
        channel_first: Whether a scan of one channel gets an axis of channels.
    """

    orientation: str | None
    pixdim: tuple[float | None, float | None, float | None]
    before: tuple[IntensityTransform, ...]
    after: tuple[IntensityTransform, ...]
    foreground: bool
    channel_first: bool


@dataclass(frozen=True)
class Postprocessing:
    """Steps after the network.

    Attributes:
        overlapping: Each has a sigmoid.
        resampled: What is resampled back.
        nearest: Whether by the nearest sample.
        left_out: Names of what comes afterwards and is no part of a model.
        blurred: Labels, not probabilities, are interpolated.
    """

    overlapping: bool
    resampled: Literal["probabilities", "scores"]
    nearest: bool
    left_out: tuple[str, ...]
    blurred: bool


@dataclass(frozen=True)
class Windows:
    """Windows in which a network sees a scan.

    Attributes:
        form: Overlap, weights and padding.
        roi: Sides of a window along the axes of MONAI; 1 along that which is sliced.
        overlap: Along the same axes.
        sliced: The axis along which a 2-D network sees slices; ``None``: it sees whole volumes, or pictures.
    """

    form: SlidingWindows
    roi: tuple[int, int, int]
    overlap: tuple[float, float, float]
    sliced: int | None


def preprocessing_of(config: Config, key: str) -> Preprocessing:
    """Return what comes before the network.

    Raises:
        ModelError: A transform, or one of its arguments, cannot be expressed.
    """
    orientation: str | None = None
    pixdim: tuple[float | None, float | None, float | None] | None = None
    before: list[IntensityTransform] = []
    after: list[IntensityTransform] = []
    cropped, channel_first = "", False
    image = _one_key(config, key)
    for step in _steps(config, key, BEFORE):
        moves = isinstance(step.form, Orientation | Spacing | Crop) or step.name in INTENSITIES
        if cropped and moves:
            raise config.refused(f"{step.key}: {step.name} comes after {cropped}", "The crop has to be the last step.")
        channel_first |= step.name in CHANNEL_FIRST or (isinstance(step.form, Load) and step.form.ensure_channel_first)
        match step.form:
            case Orientation(axcodes=codes, as_closest_canonical=canonical):
                if pixdim is not None or orientation is not None:
                    raise config.refused(f"{step.key}: Orientation comes twice, or after Spacing")
                orientation = codes or ("RAS" if canonical else None)
            case Spacing(pixdim=given):
                if pixdim is not None:
                    raise config.refused(f"{step.key}: Spacing comes twice")
                pixdim = _pixdim(given)
            case Crop(source_key=source):
                if source not in (image, None):
                    raise config.refused(f"{step.key}#source_key: it is {source!r} and not {image!r}")
                cropped = f"CropForeground ({step.key})"
            case ScaleIntensityRange() | ScaleIntensity() | NormalizeIntensity() | ScaleIntensityRangePercentiles():
                (before if pixdim is None else after).append(step.form)
    if pixdim is None:
        before, after = [], before
    return Preprocessing(
        orientation, pixdim or (None, None, None), tuple(before), tuple(after), bool(cropped), channel_first
    )


def postprocessing_of(config: Config, key: str) -> Postprocessing:
    """Return what becomes of the scores.

    Raises:
        ModelError: It does not say whether they have one softmax or a sigmoid each, or something else is made of them.
    """
    activation = discrete = ""
    inverted: Invert | None = None
    resampled: Literal["probabilities", "scores"] = "probabilities"
    blurred, left_out = False, []
    for step in _steps(config, key, AFTER, tolerant=True):
        match step.form:
            case Activations(sigmoid=sigmoid, softmax=softmax):
                if sigmoid == softmax or activation or discrete:
                    raise config.refused(f"{step.key}: it is neither one softmax nor one sigmoid of the scores")
                activation = "sigmoid" if sigmoid else "softmax"
            case Discrete(argmax=argmax, threshold=threshold):
                if (argmax, threshold) not in ((True, None), (False, 0.5)) or discrete:
                    raise config.refused(f"{step.key}: it takes neither the largest score nor those above 0.5")
                discrete = "softmax" if argmax else "sigmoid"
            case Invert():
                inverted, blurred = step.form, bool(discrete)
                resampled = "probabilities" if activation or discrete else "scores"
            case None if discrete or step.name in SAVING:
                left_out.append(step.name)
            case None:
                raise config.refused(
                    f"{step.key}: {step.name} changes the scores", f"Known are {', '.join(sorted(AFTER))}."
                )
    kind = activation or discrete
    if not kind or (activation and discrete and activation != discrete):
        raise config.refused(
            f"{key}: it does not say whether scores have one softmax or a sigmoid each",
            "Activations, or AsDiscrete with argmax or the threshold 0.5, say so.",
        )
    nearest = inverted is not None and inverted.nearest_interp
    names = tuple(dict.fromkeys(name for name in left_out if name not in SAVING))
    return Postprocessing(kind == "sigmoid", resampled, nearest, names, blurred and not nearest)


def windows_of(config: Config, key: str, dimension: Dimension) -> Windows:
    """Return how a network slides over a scan.

    Raises:
        ModelError: It is another inferer, or windows have other axes than the network.
    """
    given = config.value(key)
    name = _name(given, "monai.inferers") if isinstance(given, dict) else ""
    kinds: Mapping[str, type[SlidingWindows]] = {"SlidingWindowInferer": SlidingWindows, "SliceInferer": SlidingSlices}
    if name not in kinds or (name == "SliceInferer" and dimension == 3):
        raise config.refused(
            f"{key}#_target_: it is {name[:100]!r}",
            "A model sees a scan in windows of one size: SlidingWindowInferer, or SliceInferer for a 2-D network.",
            "Give the inferer roi_size and overlap in a copy of the bundle.",
        )
    form = _parsed(config, key, kinds[name], given)
    roi = (form.roi_size,) * dimension if isinstance(form.roi_size, int) else form.roi_size
    overlap = (form.overlap,) * dimension if isinstance(form.overlap, float) else form.overlap
    if not len(roi) == len(overlap) == dimension:
        raise config.refused(f"{key}#roi_size: windows have {len(roi)} axes, and the network {dimension}")
    sliced = form.spatial_dim if isinstance(form, SlidingSlices) else None
    at = 2 if sliced is None else sliced  # a picture has one slice
    if dimension == 2:
        roi, overlap = (*roi[:at], 1, *roi[at:]), (*overlap[:at], 0.0, *overlap[at:])
    return Windows(form, (roi[0], roi[1], roi[2]), (overlap[0], overlap[1], overlap[2]), sliced)


def _steps(config: Config, key: str, forms: Mapping[str, type[BaseModel]], *, tolerant: bool = False) -> Iterator[Step]:
    """Yield the transforms of a ``Compose``, or of a list; with ``tolerant`` unknown ones without a form."""
    for number, (where, given) in enumerate(_flat(config, config.value(key), key)):
        if number >= _MOST_STEPS:
            raise config.refused(f"{key}: it has more than {_MOST_STEPS} transforms")
        name = _name(given, "monai.transforms")
        base = next((item for item in (*forms, *SAVING) if name in (item, f"{item}d", f"{item}D", f"{item}Dict")), "")
        if base in forms:
            yield Step(where, base, _parsed(config, where, forms[base], given))
        elif tolerant:
            yield Step(where, base or name[:100], None)
        else:
            raise config.refused(
                f"{where}: {name[:100]} is not known", f"Known are {', '.join(sorted(forms))}, as array or dictionary."
            )


def _flat(config: Config, given: Any, key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the transforms that are not disabled, with their keys."""
    if isinstance(given, dict):
        disabled = given.get("_disabled_", False)
        if disabled is True:
            return
        if disabled is not False or "_mode_" in given:
            raise config.refused(f"{key}: _disabled_ or _mode_ is {disabled or given.get('_mode_')}")
        given = {name: value for name, value in given.items() if name != "_disabled_"}
    if isinstance(given, dict) and _name(given, "monai.transforms") == "Compose":
        given, key = given.get("transforms"), f"{key}#transforms"
    if isinstance(given, list):
        for number, item in enumerate(given):
            yield from _flat(config, item, f"{key}#{number}")
    elif isinstance(given, dict) and "_target_" in given:
        yield key, given
    else:
        raise config.refused(f"{key}: it is {'missing' if given is None else str(given)[:100]}, and no transform")


def _one_key(config: Config, key: str) -> str | None:
    """Return the key of the image, the same for all transforms; ``None`` where they are those of arrays.

    Raises:
        ModelError: There are several.
    """
    found = list[Any]()
    for where, given in _flat(config, config.value(key), key):
        keys = given.get("keys", [])
        found += keys if isinstance(keys, list) else [keys]
        if any(not isinstance(item, str) or item != found[0] for item in found):
            raise config.refused(
                f"{where}#keys: it is {str(keys)[:100]}",
                "A model sees one image, whose channels are those of its file.",
            )
    return found[0] if found else None


def _name(given: Mapping[str, Any], home: str) -> str:
    """Return the class that a ``_target_`` means, without the package of MONAI that it lies in."""
    target = str(given.get("_target_", ""))
    package, _, name = target.rpartition(".")
    return name if package in ("", home) or package.startswith(f"{home}.") else target


def _parsed(config: Config, key: str, form: type[F], given: Mapping[str, Any]) -> F:
    arguments = {name: value for name, value in given.items() if name not in WITHOUT_EFFECT}
    if issubclass(form, tuple(INTENSITIES.values())) and arguments.pop("dtype", "float32") not in ("float32", None):
        raise config.refused(f"{key}#dtype: it is {str(given['dtype'])[:100]}")
    try:
        return form.model_validate(arguments)
    except ValidationError as error:
        raise config.refused(first_fault(error, key, "#")) from error


def _pixdim(given: float | Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Return the spacing along three axes, as MONAI completes it."""
    known = [given] if isinstance(given, int | float) else list(given)
    known = (known + known[-1:] * 3)[:3]
    one, two, three = (item if item > 0 else None for item in known)
    return one, two, three
