"""``metadata.json`` of a MONAI bundle, as far as it says what a network sees and finds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError, field_validator

from IncrementalSegLib.engine.adoption.bundle.config import read_config
from IncrementalSegLib.engine.adoption.forms import OWN, Look, first_fault
from IncrementalSegLib.engine.adoption.refusal import refused
from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.names import tame

METADATA = Path("configs", "metadata.json")
"""Where it lies in a bundle."""

_ELSEWHERE = "Metadata and configuration belong to different networks."
_Text = Annotated[str, Field(max_length=10_000)]
_Channels = Annotated[dict[str, _Text], Field(max_length=512)]


class _Image(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    modality: str = ""
    format: str = ""
    num_channels: int | None = None
    channel_def: _Channels = {}


class Metadata(BaseModel):
    """The parts that are used."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    image: _Image = Field(_Image(), validation_alias=AliasPath("network_data_format", "inputs", "image"))
    pred: _Image = Field(validation_alias=AliasPath("network_data_format", "outputs", "pred"))
    license: _Text = ""
    copyright: _Text = ""
    looks: dict[_Text, Look] = Field({}, validation_alias=OWN)

    @field_validator("license", "copyright", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return "" if value is None else value

    @property
    def hounsfield(self) -> bool:
        """Whether its scans are CT."""
        return self.image.modality.upper() == "CT" or self.image.format == "hounsfield"

    def channels(self, count: int) -> tuple[str, ...]:
        """Return the names of the channels of a scan."""
        known = self.image.channel_def
        return tuple(tame(known.get(str(number), f"channel {number}")) for number in range(count))

    def check_channels(self, count: int) -> None:
        """Refuse metadata of another number of channels than the network sees.

        Raises:
            ModelError: It is another one.
        """
        if self.image.num_channels not in (None, count):
            raise self.refused(
                f"inputs#image#num_channels: it is {self.image.num_channels}, and the network sees {count}", _ELSEWHERE
            )

    def outputs(self, count: int) -> list[str]:
        """Return the names of all outputs.

        Raises:
            ModelError: They are not as many as the network has.
        """
        known = self.pred.channel_def
        if sorted(known) != sorted(map(str, range(count))):
            raise self.refused(
                f"outputs#pred#channel_def: it names {', '.join(list(known)[:20]) or 'nothing'}, and the network has "
                f"the outputs 0 to {count - 1}",
                "Each output has to have a name.",
            )
        if self.pred.num_channels not in (None, count):
            raise self.refused(
                f"outputs#pred#num_channels: it is {self.pred.num_channels}, and the network has {count} outputs",
                _ELSEWHERE,
            )
        return [known[str(number)] for number in range(count)]

    @staticmethod
    def refused(reason: str, why: str = "", todo: str = "") -> ModelError:
        """Return the error for something in the metadata."""
        return refused(METADATA, f"network_data_format#{reason}", why, todo)


def read_metadata(path: Path) -> Metadata:
    """Read ``metadata.json``.

    Raises:
        ModelError: It is not there, or has another form.
    """
    if not path.is_file():
        raise refused(
            path.parent.parent,
            f"it holds no {METADATA.as_posix()}",
            "It belongs to every bundle, in the folder of the configurations.",
            "Name the folder of the bundle.",
        )
    try:
        return Metadata.model_validate(read_config(path))
    except ValidationError as error:
        raise refused(path, first_fault(error, "", "#"), "It is not as MONAI bundles have it.") from error
