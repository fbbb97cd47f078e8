"""The slices of a DICOM file, of one or of many frames: what the header says about each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.volumes.dicom_files import DicomFile, understood

if TYPE_CHECKING:
    from pydicom import Dataset

_MOST_FRAMES = 100_000
_MACROS = {
    "ImagePositionPatient": "PlanePositionSequence",
    "ImageOrientationPatient": "PlaneOrientationSequence",
    "PixelSpacing": "PixelMeasuresSequence",
    "SliceThickness": "PixelMeasuresSequence",
    "SpacingBetweenSlices": "PixelMeasuresSequence",
    "RescaleSlope": "PixelValueTransformationSequence",
    "RescaleIntercept": "PixelValueTransformationSequence",
    "ReferencedSegmentNumber": "SegmentIdentificationSequence",
    "StackID": "FrameContentSequence",
    "TemporalPositionIndex": "FrameContentSequence",
    "FrameAcquisitionNumber": "FrameContentSequence",
    "EffectiveEchoTime": "MREchoSequence",
    "DiffusionBValue": "MRDiffusionSequence",
    "NominalCardiacTriggerDelayTime": "CardiacSynchronizationSequence",
    "NominalPercentageOfCardiacPhase": "CardiacSynchronizationSequence",
    "NominalPercentageOfRespiratoryPhase": "RespiratorySynchronizationSequence",
    "ComplexImageComponent": "MRImageFrameTypeSequence",
}
"""Attribute -> the functional group in which a multi-frame file keeps it."""
PHASES = (
    "TemporalPositionIndex", "TemporalPositionIdentifier", "TriggerTime", "NominalCardiacTriggerDelayTime",
    "NominalPercentageOfCardiacPhase", "NominalPercentageOfRespiratoryPhase", "StackID", "EffectiveEchoTime",
    "EchoTime", "EchoNumbers", "InversionTime", "DiffusionBValue", "ComplexImageComponent", "ImageType",
    "FrameAcquisitionNumber", "AcquisitionNumber", "AcquisitionTime", "ContentTime",
)  # fmt: skip
"""Attributes that tell two images of one place apart, the most telling first."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """One slice.

    Attributes:
        path: Its file.
        index: Its number in the file, from 0.
        name: What a person calls it.
        rows: Pixels from top to bottom.
        columns: Pixels from left to right.
        samples: Numbers per pixel.
        position: Centre of the first pixel in mm, LPS; ``None`` where the file does not say.
        row: Direction of a row.
        column: Direction of a column.
        spacing: Millimetres between columns and between rows.
        thickness: ``SliceThickness`` in mm.
        distance: ``SpacingBetweenSlices`` in mm.
        location: ``SliceLocation`` in mm.
        number: ``InstanceNumber``.
        slope: Factor from a stored to a real value.
        intercept: What is added then.
        segment: ``ReferencedSegmentNumber``.
        rescaled: The file gives a slope or an intercept.
        patient: ``PatientID``; empty where the file does not say.
        frame_of_reference: ``FrameOfReferenceUID``, the space of the positions; empty likewise.
        phases: Attributes that tell images of one place apart.
    """

    path: Path
    index: int
    name: str
    rows: int
    columns: int
    samples: int
    position: Vector | None
    row: Vector | None
    column: Vector | None
    spacing: tuple[float, float] | None
    thickness: float | None
    distance: float | None
    location: float | None
    number: float
    slope: float
    intercept: float
    segment: int
    rescaled: bool
    patient: str
    frame_of_reference: str
    phases: dict[str, str]

    @property
    def normal(self) -> Vector:
        """Direction from slice to slice."""
        assert self.row is not None
        assert self.column is not None
        return np.cross(self.row, self.column)


def frames_of(source: DicomFile) -> list[Frame]:
    """Return the slices of a file in its own order.

    Raises:
        DataError: The header cannot be understood, or describes another number of slices than there are.
    """
    root = source.dataset
    with understood(source.path.name):
        count = int(root.get("NumberOfFrames") or 1)
        own = list(root.get("PerFrameFunctionalGroupsSequence") or ())
        if not 1 <= count <= _MOST_FRAMES or (own and len(own) != count):
            raise DataError(
                f"{source.path.name} says that it has {count} frames and describes {len(own)}.",
                todo="It is damaged or incomplete: export it again.",
            )
        shared = list(root.get("SharedFunctionalGroupsSequence") or ())[:1]
        return [_frame(source, index, [*own[index : index + 1], *shared], count) for index in range(count)]


def place_of(frame: Frame) -> Vector:
    """Return the position of a slice that has one."""
    assert frame.position is not None
    return frame.position


def _frame(source: DicomFile, index: int, groups: list[Dataset], count: int) -> Frame:
    root = source.dataset

    def value(key: str) -> Any:
        for group in groups:
            for item in (group.get(_MACROS.get(key, key)) or ())[:1] if key in _MACROS else ():
                if item.get(key) not in (None, ""):
                    return item.get(key)
        found = root.get(key)
        return None if found in (None, "") else found

    def number(key: str) -> float | None:
        found = value(key)
        return None if found is None else float(found)

    def vector(key: str, length: int) -> Vector | None:
        found = value(key)
        if found is None:
            return None
        numbers = np.array([float(part) for part in found], dtype=np.float64)
        if len(numbers) != length or not np.isfinite(numbers).all():
            raise GeometryError(f"{source.path.name} has {key} {found}.", todo="It is damaged: export it again.")
        return numbers

    axes, spacing = vector("ImageOrientationPatient", 6), vector("PixelSpacing", 2)
    segment = value("ReferencedSegmentNumber")
    slope, intercept = number("RescaleSlope"), number("RescaleIntercept")
    return Frame(
        path=source.path,
        index=index,
        name=source.path.name if count == 1 else f"frame {index + 1} of {source.path.name}",
        rows=int(root.Rows),
        columns=int(root.Columns),
        samples=int(root.get("SamplesPerPixel") or 1),
        position=vector("ImagePositionPatient", 3),
        row=None if axes is None else axes[:3],
        column=None if axes is None else axes[3:],
        spacing=None if spacing is None else (float(spacing[1]), float(spacing[0])),
        thickness=number("SliceThickness"),
        distance=number("SpacingBetweenSlices"),
        location=number("SliceLocation"),
        number=(number("InstanceNumber") or 0.0) + index,
        slope=1.0 if slope is None else slope,
        intercept=0.0 if intercept is None else intercept,
        segment=0 if segment is None else int(segment),
        rescaled=slope is not None or intercept is not None,
        patient=str(root.get("PatientID") or ""),
        frame_of_reference=str(root.get("FrameOfReferenceUID") or ""),
        phases={key: str(found) for key in PHASES if (found := value(key)) is not None},
    )
