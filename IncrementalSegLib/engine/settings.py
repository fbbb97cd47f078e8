"""The options of a step, each declared once, and the calls that take them.

``learn``, ``estimate``, ``advise`` and ``gate`` take them by keyword, the command line and the panel's form are made
of them, and a checkpoint and the record of a version keep them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, asdict, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, InstanceOf, SkipValidation, TypeAdapter
from pydantic.dataclasses import dataclass

from IncrementalSegLib.evaluation.limits import Limits
from IncrementalSegLib.options import CONFIG, Options
from IncrementalSegLib.progress import OnValidation, Progress, silent
from IncrementalSegLib.registry import find, names
from IncrementalSegLib.sampling.cases import Dataset
from IncrementalSegLib.structures import StructureSpec
from IncrementalSegLib.types import DeviceName, Json

PresetName: TypeAlias = Literal["quick", "standard", "paper"]
NormalisationChoice: TypeAlias = Literal["auto", "zscore", "ct"]


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class StrictSettings(Options):
    """Whether scans with notes are taken."""

    strict: Annotated[bool, Field(description="Turn each warning of `check` into an error.")] = False


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class ReadingSettings(StrictSettings):
    """Options for reading cases."""

    accept_grid: Annotated[
        bool, Field(description="Match a label of the size of its image voxel by voxel, ignoring its header.")
    ] = False


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class CaseChoice(Options):
    """The choice among the cases of a data set."""

    cases: Annotated[
        str | None, Field(description="Case ids, comma-separated, or a file with one id per line; all by default.")
    ] = None


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class CaseSettings(CaseChoice):
    """Options for the cases of a step and what is kept of them."""

    exemplars: Annotated[
        Literal["keep", "none"],
        Field(description="Whether slices (2-D) or crops (3-D) of the training scans are kept for rehearsal."),
    ] = "keep"


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class DeviceSettings(Options):
    """Where networks run."""

    device: Annotated[DeviceName, Field(description="Where to compute; auto: on a GPU where there is one.")] = "auto"


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class DevicesSettings(DeviceSettings):
    """Where a step is trained, on one device or on several."""

    devices: Annotated[
        int,
        Field(
            ge=1,
            description="GPUs of each computer that train together; on a CPU processes. The result is the same but for "
            "rounding, which training amplifies.",
        ),
    ] = 1
    nodes: Annotated[
        int, Field(ge=1, description="Computers, each with a process per device, by torchrun or srun.")
    ] = 1


def teachable_networks() -> list[str]:
    """Return the networks that a new model can have."""
    return [name for name in names("network") if not find("network", name).adopted]


def _list_networks(schema: Json) -> None:
    schema["enum"] = teachable_networks()


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class StepSettings(DeviceSettings, ReadingSettings, CaseSettings):
    """Settings of a step."""

    improve: Annotated[bool, Field(description="Improve structures that the model already knows.")] = False
    method: Annotated[
        str | None,
        Field(description="How old structures are kept (see `methods`); by default what `advise` recommends."),
    ] = None
    options: Annotated[Mapping[str, Any], Field(description="Options of the method; `methods` lists them.")] = field(
        default_factory=dict
    )
    unlabelled: Annotated[
        str | Path | None,
        Field(
            description="Scans like those of earlier steps: a folder, or a data set whose labels are not read. For "
            "methods that distil the previous model on them.",
        ),
    ] = None
    judge: Annotated[
        str | Path | None,
        Field(
            description="Labelled scans of older structures, a data set. They judge in the gate whether these are "
            "kept, now and in later steps, and never train.",
        ),
    ] = None
    judge_structures: Annotated[
        str | None,
        Field(
            description='Older structures that the scans of judge show: "femur, tibia=LABEL IN DATA"; by default those '
            "whose names are labels there."
        ),
    ] = None
    text_embeddings: Annotated[
        str | Path | None,
        Field(
            description="Table with a vector for the name of each structure, .safetensors or .npy; by default from "
            "WordLlama, else from the name's hash. For methods that read names.",
        ),
    ] = None
    network: Annotated[
        str | None,
        Field(
            description="unet2d, slice by slice (default), unet3d, in volumes, or resunet3d, with shortcuts; "
            "-bayes: with random kernels; nnunet2d, nnunet3d: nnU-Net's, planned for the scans. Fixed at the first "
            "step.",
            json_schema_extra=_list_networks,
        ),
    ] = None
    preset: Annotated[
        PresetName | None,
        Field(
            title="Size and schedule",
            description="Size and schedule; by default standard on a GPU and quick on a CPU.",
        ),
    ] = None
    steps: Annotated[
        int | None,
        Field(
            ge=1,
            title="Learning steps at most",
            description="Optimiser steps at most; by default the preset's. "
            "Learning ends earlier where nothing improves any more.",
        ),
    ] = None
    batch: Annotated[
        int | None,
        Field(ge=1, description="Slices (2-D) or crops (3-D) of an optimiser step; by default the preset's."),
    ] = None
    seed: Annotated[int, Field(ge=0, description="Decides split, initial values, batches and dropout.")] = 0
    accept: Annotated[
        Literal["gate", "always", "never"],
        Field(description="When the new version becomes current; gate: unless an older structure was harmed."),
    ] = "gate"
    retention: Annotated[
        Literal["paths", "copy"],
        Field(description="How scans that judge later steps are found: by path and sha256, or in a copy."),
    ] = "paths"
    limits: Annotated[Limits, Field(description="Limits on the loss of an older structure.")] = Limits()
    normalisation: Annotated[
        NormalisationChoice,
        Field(description="zscore, scan by scan; ct, a window of Hounsfield units; fixed at the first step."),
    ] = "auto"

    def to_json(self) -> Json:
        """Return all that the result depends on, for the checkpoint of a step."""
        plain = {item.name: getattr(self, item.name) for item in fields(StepSettings) if item.name not in _ELSEWHERE}
        paths = {name: str(Path(path).absolute()) for name in _PATHS if (path := plain[name]) is not None}
        return plain | {"options": dict(self.options), "limits": asdict(self.limits)} | paths

    @property
    def recorded(self) -> Json:
        """The settings as a version's record keeps them, without anything that could hold a path."""
        return {name: value for name, value in self.to_json().items() if name in _RECORDED}


_RECORDED = {
    "preset", "steps", "exemplars", "seed", "accept", "retention", "limits", "normalisation", "strict"
}  # fmt: skip
_PATHS = ("unlabelled", "judge", "text_embeddings")
_ELSEWHERE = {"cases", "device"}  # a checkpoint lists the cases, and a step may continue elsewhere


def settings_schema() -> Json:
    """Return the JSON schema of :class:`StepSettings`, of which a front end makes its form."""
    return TypeAdapter(StepSettings).json_schema()


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class WorkSettings(Options):
    """Who is told of long work."""

    progress: Annotated[
        SkipValidation[Progress],
        Field(
            description="Receives progress. A Stop that it raises ends the work as it says; anything else ends it "
            "as a crash does, and `resume` continues a step from its last checkpoint."
        ),
    ] = silent


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class RunSettings(WorkSettings):
    """Outputs beside the version of a running step; the version does not depend on them."""

    report: Annotated[
        str | Path | None,
        Field(description="Folder for a page on the older structures, from the second step on."),
    ] = None
    previews: Annotated[
        str | Path | None,
        Field(
            description="Folder for a picture of each new structure, replaced now and then while it is learned; "
            "drawn only for an on_validation."
        ),
    ] = None
    on_validation: Annotated[
        SkipValidation[OnValidation | None],
        Field(description="Receives at every validation how the new structures do, and which old one has lost most."),
    ] = None


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class VersionChoice(DeviceSettings, WorkSettings):
    """The choice among the versions of a model, for work on scans."""

    version: Annotated[int | None, Field(description="Version of the model; the current one by default.")] = None


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class VersionSettings(VersionChoice):
    """Options for segmenting with a version."""

    largest_component: Annotated[bool, Field(description="Keep only the largest component of each structure.")] = False


MODEL = "The model's folder."
_MODEL = "The model's folder; the first step creates it."
DATA = "A data set: nnU-Net or Decathlon folder, or a manifest."
SCAN = "A file, a DICOM folder, or files of several channels joined by ;."
SCANS = "Files, DICOM folders or folders of scans; channels of one scan are joined by ;."
NAMES = "Names, comma-separated; all by default."
FORMAT = (
    "seg.nrrd (names, colours, overlapping structures) or nii.gz (one integer map); by default as the name of the "
    "output says, else seg.nrrd."
)


@dataclass(frozen=True, config=CONFIG)
class AdviseCall(WorkSettings, ReadingSettings, CaseSettings):
    """The arguments of :func:`advise`."""

    model: Annotated[str | Path, Field(description=_MODEL)]
    data: Annotated[str | Path | InstanceOf[Dataset], Field(description=DATA)]
    structures: Annotated[
        str | Sequence[StructureSpec] | None,
        Field(description="What would be taught, as for `learn`; all cases are looked at by default."),
    ] = None


_OneData: TypeAlias = str | Path | InstanceOf[Dataset]
_OneList: TypeAlias = str | Sequence[StructureSpec]


@dataclass(frozen=True, config=CONFIG)
class StepCall(WorkSettings, StepSettings):
    """The arguments of :func:`estimate`; a :class:`StructureSpec` may bring terminology and colour."""

    model: Annotated[str | Path, Field(description=_MODEL)]
    data: Annotated[_OneData | Sequence[_OneData], Field(description=f"{DATA} May be several.")]
    structures: Annotated[
        _OneList | Sequence[_OneList],
        Field(
            description='What was looked for in these cases: "femur, tibia=LABEL IN DATA". Everything else is '
            "unknown there, not background. With several data sets, one list for each or one for all."
        ),
    ]


@dataclass(frozen=True, config=CONFIG)
class GateCall(WorkSettings, DeviceSettings, ReadingSettings):
    """The arguments of :func:`gate`."""

    model: Annotated[str | Path, Field(description=MODEL)]
    version: Annotated[int | None, Field(description="The version to judge; by default the newest.")] = None
    _: KW_ONLY
    against: Annotated[int | None, Field(description="The version to compare with; by default the parent.")] = None
    data: Annotated[str | Path | None, Field(description="A data set that may contain scans that were moved.")] = None
    report: Annotated[str | Path | None, Field(description="Folder for a page with pictures.")] = None
    limits: Annotated[Limits, Field(description="Limits on the loss.")] = Limits()


@dataclass(frozen=True, kw_only=True, config=CONFIG)
class LearnCall(DevicesSettings, RunSettings, StepCall):
    """The arguments of :func:`learn`."""

    restart: Annotated[bool, Field(description="Discard the unfinished step of this model and begin a new one.")] = (
        False
    )


@dataclass(frozen=True, config=CONFIG)
class ResumeCall(RunSettings, DevicesSettings):
    """The arguments of :func:`resume`."""

    model: Annotated[str | Path, Field(description=MODEL)]
    _: KW_ONLY
    data: Annotated[
        InstanceOf[Dataset] | Sequence[InstanceOf[Dataset]] | None,
        Field(description="The data set, needed only where `learn` was given one in memory."),
    ] = None
    judge: Annotated[
        str | Path | None,
        Field(description="Where the scans that are to judge lie now, if they were moved."),
    ] = None
