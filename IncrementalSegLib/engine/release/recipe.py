"""The way from a scan to the input of a network and from its output to masks, for a program that runs it alone."""

from __future__ import annotations

from collections.abc import Sequence

from IncrementalSegLib.inference.windows import OVERLAP, SIGMA
from IncrementalSegLib.preprocessing.bundle import BundleRules
from IncrementalSegLib.preprocessing.plan import STORED, Plan
from IncrementalSegLib.preprocessing.rules import Intensity, Resampling, Rules
from IncrementalSegLib.types import Json

_DIRECTIONS = {"L": "left", "R": "right", "P": "posterior", "A": "anterior", "S": "superior", "I": "inferior"}
_FILE = {"D": "z", "H": "y", "W": "x"}
_FIRST, _EVEN = "from the first voxel", "even, from end to end"
_PLACED = {
    _FIRST: "the first begins with the first voxel, and the last is moved back into the image",
    _EVEN: "at equal distances, from one end of the image to the other",
}
_MONAI = "as monai.transforms.{name} does with these arguments"
_OWN_RESAMPLING = (
    "linearly; the field of view stays, the size is that of the scan times the quotient of the spacings, rounded, and "
    "an axis that shrinks by a factor f is first smoothed by a Gaussian with a standard deviation of (f - 1) / 2 voxels"
)


def windows_of(plan: Plan) -> Json | None:
    """Return in which windows a scan is seen, as JSON; ``None``: slice by slice, each as a whole."""
    centre = [
        side // 2 if isinstance(plan.rules, Rules) else (side - 1) / 2 for side in plan.patch
    ]  # nnU-Net's, MONAI's
    found: Json = {"size": list(plan.patch), "weights": "gaussian", "centre": centre, "sigma": SIGMA, "least": 1e-3}
    match plan.rules:
        case None if plan.dimension == 2:
            return None
        case None:
            return found | {"overlap": [OVERLAP] * 3, "spacing": _FIRST, "padding": "least value"}
        case BundleRules() as rules:
            kind = {"constant": f"constant {rules.fill:g}"}.get(rules.padding, rules.padding)
            found |= {"weights": rules.blend, "sigma": rules.sigma, "overlap": list(rules.overlap), "padding": kind}
            return found | {"spacing": _FIRST}
        case _:
            found |= {"overlap": [0.5] * 3, "spacing": _EVEN, "padding": "constant 0", "least": 0.0}
            return found


def steps_of(plan: Plan, names: Sequence[str], exclusive: Sequence[bool]) -> list[str]:
    """Return what a program does with a scan, step by step, in sentences.

    Args:
        plan: The plan of the model.
        names: Names of its structures.
        exclusive: For each, whether it is one of those that share a softmax.
    """
    return [_orientation(plan), *_preparation(plan), _windows(plan), *_back(plan), *_decision(names, exclusive)]


def _orientation(plan: Plan) -> str:
    if set(plan.orientation) == set(STORED):
        axes = ", ".join(_FILE[axis] for axis in plan.orientation)
        return f"Take the axes D, H, W as the file stores them, in the order {axes}; nothing is flipped."
    if plan.planar:
        return "Take the picture as it is stored: H runs along its rows downwards, W along its columns to the right."
    ways = ", ".join(_DIRECTIONS[letter] for letter in plan.orientation)
    return f"Permute and flip the scan so that D, H, W grow towards {ways} ({plan.orientation}); interpolate nothing."


def _preparation(plan: Plan) -> list[str]:
    match plan.rules:
        case None:
            return [_own_normalisation(plan), f"Resample to {_spacing(plan)}: {_OWN_RESAMPLING}."]
        case BundleRules() as rules:
            steps = [
                f"{item.transform}, {_MONAI.format(name=item.transform)}: "
                f"{item.model_dump_json(exclude={'transform'}, exclude_none=True)}."
                for item in (*rules.before, *rules.after)
            ]
            place = (
                "at places that begin with the first voxel, as monai.transforms.Spacing with the border repeated does"
            )
            steps.insert(len(rules.before), f"Resample linearly to {_spacing(plan)}, {place}.")
            if rules.foreground:
                steps.append("Crop to the box around all samples above 0; nothing is found outside of it.")
            return steps
        case rules:
            channels = [f"channel {number}: {_scheme(item)}" for number, item in enumerate(rules.intensities)]
            return [
                "Crop to the box around all voxels that are not 0 in at least one channel, after holes are filled.",
                f"Normalise the crop. {'; '.join(channels).capitalize()}.",
                f"Resample to {_spacing(plan)}, as nnU-Net 2 does: {_splines(rules.scans)}.",
            ]


def _own_normalisation(plan: Plan) -> str:
    if plan.normalisation == "ct":
        low, high = plan.window
        return (
            f"Clip Hounsfield units to {low:g} to {high:g}, subtract {(low + high) / 2:g} and divide by "
            f"{(high - low) / 10:g}. Padding becomes {low:g} before."
        )
    low, high = plan.clip_percent
    return (
        f"Clip each channel to its percentiles {low:g} and {high:g}, subtract the mean and divide by the standard "
        "deviation of the clipped voxels. Padding, and the least value where many voxels have it, count in no "
        "statistic; padding becomes the lower percentile."
    )


def _scheme(item: Intensity) -> str:
    match item.scheme:
        case "ct":
            clip = f"clip to {item.low:g} to {item.high:g}"
            return f"{clip}, subtract {item.mean:g}, divide by {item.deviation:g}"
        case "zscore":
            where = " of the voxels inside the non-zero region, and leave the others as they are" * item.masked
            return f"subtract the mean and divide by the standard deviation{where}"
        case "rescale":
            return "scale its range to 0 to 1"
        case "rgb":
            return "divide by 255"
        case _:
            return "leave it as it is"


def _splines(rules: Resampling) -> str:
    apart = {
        True: f"order {rules.order_z} along the coarsest axis",
        False: "",
        None: f"order {rules.order_z} along an axis whose spacing is over 3 times another one",
    }[rules.separate]
    return f"splines of order {rules.order}" + f", and {apart}" * bool(apart)


def _spacing(plan: Plan) -> str:
    sizes = ", ".join("its own spacing" if item is None else f"{item:.6g}" for item in plan.spacing)
    return f"{sizes} mm along D, H, W"


def _windows(plan: Plan) -> str:
    windows = windows_of(plan)
    if windows is None:
        return (
            f"Pad each slice evenly at both ends with the least value of the scan until H and W are multiples of "
            f"{plan.multiple}, run it as a whole, and cut the padding off."
        )
    centre = ", ".join(f"{item:g}" for item in windows["centre"])
    weights = {
        "gaussian": f"Gaussian weights around voxel {centre}, with a deviation of {windows['sigma']:g} of a window"
        + f" and at least {windows['least']:g}" * bool(windows["least"])
    }
    size = " x ".join(map(str, windows["size"]))
    overlap = ", ".join(f"{item:g}" for item in windows["overlap"])
    what = "probabilities" if plan.rules is None else "scores"
    return (
        f"Pad evenly at both ends with {windows['padding']} where the image is smaller than a window. Run windows of "
        f"{size}, which overlap by {overlap} of their sides: {_PLACED[windows['spacing']]}. Average the {what} with "
        f"{weights.get(windows['weights'], 'equal weights')}."
        + " nnU-Net adds the weighted scores as 16-bit numbers, which are coarse in the corners of the scan: its "
        "outlines may differ there." * isinstance(plan.rules, Rules)
    )


def _back(plan: Plan) -> list[str]:
    activated = "Make probabilities of the scores: see the kind of each channel of the output."
    cut = "Cut the padding off"
    match plan.rules:
        case None:
            steps = [f"{cut}. Resample to the size of the turned scan, {_OWN_RESAMPLING}."]
        case BundleRules() as rules:
            how = "by the nearest sample" if rules.nearest else "linearly"
            home = f"{cut}. Resample to the size of the turned scan, {how}, at the same places."
            steps = [activated, home] if rules.resampled == "probabilities" else [home, activated]
        case Rules() as rules:
            steps = [f"{cut}. Resample to the size of the crop: {_splines(rules.scores)}.", activated]
    if plan.rules is not None and plan.rules.cropped:
        steps.append("Put the crop back to its place; no structure lies outside of it.")
    return [*steps, "Undo the first step: flip and permute the axes back."]


def _decision(names: Sequence[str], exclusive: Sequence[bool]) -> list[str]:
    joint = [name for name, excludes in zip(names, exclusive, strict=True) if excludes]
    apart = [name for name, excludes in zip(names, exclusive, strict=True) if not excludes]
    said = []
    if joint:
        said.append(
            f"Of {', '.join(joint)} and the background, which has the rest of their probabilities, the most probable "
            "one lies at a voxel."
        )
    if apart:
        said.append(f"{', '.join(apart)}: each lies where its probability is at least 0.5, whatever else lies there.")
        said.append("In a label map, which holds one value for a voxel, paint later structures over earlier ones.")
    return said
