"""How a step is done: method, its options, and the settings that every method shares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from IncrementalSegLib.types import Json
from IncrementalSegPanel.documents.Options import Answers, Field
from IncrementalSegPanel.Texts import _

PRESET = Field(
    "preset",
    _("Size and schedule"),
    "string",
    _("by the device"),
    _("By default standard on a GPU and quick on a CPU."),
    choices=("quick", "standard", "paper"),
)
STEPS = Field(
    "steps",
    _("Learning steps at most"),
    "integer",
    _("by the size"),
    _("Learning ends earlier where it does not gain any more."),
    least=1,
)
SEED = Field("seed", _("Seed"), "integer", 0, _("Decides everything that is random."), least=0)
HARM = Field(
    "harm",
    _("Harm limit (points)"),
    "number",
    3.0,
    _("The version is held back where an older structure loses more, in points of Dice."),
    least=0,
    most=100,
)
MEAN = Field(
    "mean",
    _("Mean limit (points)"),
    "number",
    1.0,
    _("The version is held back where the older structures lose more on average, in points of Dice."),
    least=0,
    most=100,
)
DEVICE = Field(
    "device", _("Device"), "string", "auto", _("By default the GPU where there is one."), choices=("cpu", "cuda")
)
NETWORK = Field(
    "network",
    _("Network"),
    "string",
    "unet2d",
    _("Fixed by the first step: unet2d works slice by slice, unet3d in volumes."),
    choices=("unet2d", "unet3d"),
)

SETTINGS = (PRESET, STEPS, SEED, HARM, MEAN, DEVICE)
_LIMITS = ("harm", "mean")


@dataclass
class Terms:
    """How a step is done; what a person left alone is not said to the worker, whose defaults then count.

    Attributes:
        method: Registered name, or ``None``: the recommended one.
        exemplars: ``keep`` some slices of the scans in the model, or ``none``.
        settings: What every method shares.
        options: Of the method.
    """

    method: str | None = None
    exemplars: str = "keep"
    settings: Answers = field(default_factory=Answers)
    options: Answers = field(default_factory=Answers)

    def chooseMethod(self, name: str | None) -> None:
        """Choose a method, with its own options untouched."""
        if name != self.method:
            self.method, self.options = name, Answers()

    def arguments(self, method: str | None) -> Json:
        """Return what ``estimate`` and ``learn`` take.

        Args:
            method: What counts where none was chosen; ``None``: what the worker takes then.
        """
        found: Json = {name: value for name, value in self.settings.values.items() if name not in _LIMITS}
        found["exemplars"] = self.exemplars
        chosen: Any = self.method or method
        if chosen is not None:
            found["method"] = chosen
        if self.options.values:
            found["options"] = dict(self.options.values)
        return found

    def limits(self) -> Json:
        """Return what the gate lets an older structure lose; ``unsure`` never lies above ``harm``."""
        found = {name: self.settings.values[name] for name in _LIMITS if name in self.settings.values}
        if found.get("harm", 1.0) < 1.0:
            found["unsure"] = found["harm"]
        return found
