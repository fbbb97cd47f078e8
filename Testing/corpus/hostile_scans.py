"""Damaged and hostile scans, made by code: what is wrong with each, and what a person is told."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

Make = Callable[[Path], Path]

SHAPE = (6, 10, 12)
_FIELDS = {
    "dim": (40, "8h"), "type": (70, "2h"), "pixdim": (80, "3f"), "offset": (108, "f"), "scale": (112, "2f"),
    "codes": (252, "2h"), "qform": (256, "6f"), "sform": (280, "12f"), "bytes": (0, "i"),
}  # fmt: skip


@dataclass(frozen=True)
class Hostile:
    """One thing that a person may hand over.

    Attributes:
        make: Writes it into a folder and returns its path.
        said: What the one sentence must say (a regular expression); of an accepted one, what no finding may lack.
        verdict: What becomes of it.
    """

    make: Make
    said: str
    verdict: Literal["refused", "warning", "ok"] = "refused"


def voxels(seed: int = 0) -> NDArray[np.float32]:
    """Return noise."""
    return np.random.default_rng(seed).normal(100, 20, SHAPE).astype(np.float32)


def image(
    name: str, array: NDArray[Any] | None = None, *, vector: bool = False, spacing: float = 1.0, **header: Any
) -> Make:
    """Return what writes an image, its NIfTI header changed afterwards."""

    def make(folder: Path) -> Path:
        path = folder / name
        picture = sitk.GetImageFromArray(voxels() if array is None else array, isVector=vector)
        picture.SetSpacing((spacing,) * picture.GetDimension())
        sitk.WriteImage(picture, str(path))
        data = bytearray(path.read_bytes())
        for field, value in header.items():
            start, kind = _FIELDS[field]
            packed = struct.pack(f"<{kind}", *np.atleast_1d(value))
            data[start : start + len(packed)] = packed
        path.write_bytes(data)
        return path

    return make


def raw(name: str, text: str = "", data: bytes = b"") -> Make:
    """Return what writes a text and bytes behind it."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(text.encode() + data)
        return folder / name

    return make


def nrrd(fields: str = "", sizes: str = "2 2 2", kind: str = "uchar", data: bytes = bytes(range(8))) -> Make:
    """Return what writes a NRRD file."""
    dimension = len(sizes.split())
    head = f"NRRD0004\ntype: {kind}\ndimension: {dimension}\nsizes: {sizes}\n{fields}encoding: raw\n\n"
    return raw("a.nrrd", head, data)


def mha(fields: str = "", sizes: str = "2 2 2") -> Make:
    """Return what writes a MetaImage."""
    head = f"ObjectType = Image\nNDims = 3\nBinaryData = True\n{fields}DimSize = {sizes}\nElementType = MET_UCHAR\n"
    return raw("a.mha", head + "ElementDataFile = LOCAL\n", bytes(range(8)))


def changed(make: Make, change: Callable[[bytes], bytes], name: str | None = None) -> Make:
    """Return what writes a file and then changes its bytes, and perhaps its name."""

    def made(folder: Path) -> Path:
        path = make(folder)
        data = change(path.read_bytes())
        path.unlink()
        path = folder / (name or path.name)
        path.write_bytes(data)
        return path

    return made


def series(folder: Path, *, skip: tuple[int, ...] = (), uid: str = "1.2.3.4") -> Path:
    """Write six slices as a DICOM series."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for index, plane in enumerate(voxels().astype(np.int16)):
        if index in skip:
            continue
        picture = sitk.GetImageFromArray(plane[np.newaxis])
        tags = {"0008|0060": "MR", "0008|103e": f"T2 {uid[-1]}", "0020|000d": "1.2.3", "0020|000e": uid}
        tags |= {"0008|0018": f"{uid}.{index + 1}", "0020|0013": str(index), "0020|0032": f"0\\0\\{index}"}
        tags |= {"0020|0037": "1\\0\\0\\0\\1\\0", "0018|0050": "1.0"}
        for key, value in tags.items():
            picture.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{uid}-{index}.dcm"))
        writer.Execute(picture)
    return folder


def two_series(folder: Path) -> Path:
    """Write two series into one folder."""
    series(folder / "scan")
    return series(folder / "scan", uid="1.2.3.5")


def two_deep(folder: Path) -> Path:
    """Write two series into two folders below one."""
    series(folder / "scan" / "a")
    series(folder / "scan" / "b", uid="1.2.3.5")
    return folder / "scan"


def one_deep(folder: Path) -> Path:
    """Write a series two folders down."""
    (folder / "scan" / "report").mkdir(parents=True)
    series(folder / "scan" / "study" / "T2")
    return folder / "scan"


def made_folder(folder: Path) -> Path:
    """Write a folder that holds a text and bears the name of a scan."""
    (folder / "a.nii.gz").mkdir()
    (folder / "a.nii.gz" / "readme.txt").write_text("no scan")
    return folder / "a.nii.gz"


def loop(folder: Path) -> Path:
    """Write two links that point at each other."""
    (folder / "a.nii").symlink_to(folder / "b.nii")
    (folder / "b.nii").symlink_to(folder / "a.nii")
    return folder / "a.nii"


def parted(folder: Path) -> Path:
    """Write a header whose voxels were left behind."""
    path = image("a.mhd")(folder)
    (folder / "a.raw").unlink()
    return path


def packed_and_cut(folder: Path) -> Path:
    """Write a compressed MetaImage without its last bytes."""
    path = folder / "a.mha"
    sitk.WriteImage(sitk.GetImageFromArray(voxels()), str(path), True)
    path.write_bytes(path.read_bytes()[:-9])
    return path


def directions(off: float) -> Make:
    """Return what writes a NRRD whose second axis leans."""
    return nrrd(f"space: left-posterior-superior\nspace directions: (1,0,0) ({off},1,0) (0,0,1)\n")


NAN = float("nan")
TEXT = "this is a letter and no scan " * 50

SCANS: dict[str, Hostile] = {
    "not there": Hostile(lambda folder: folder / "a.nii.gz", "is not there"),
    "no byte": Hostile(raw("a.nii.gz"), "is empty"),
    "a text named .nii": Hostile(raw("a.nii", TEXT), "no NIfTI header"),
    "a text named .nii.gz": Hostile(raw("a.nii.gz", TEXT), "no NIfTI header"),
    "a text named .nrrd": Hostile(raw("a.nrrd", TEXT), "no known format"),
    "a text named .dcm": Hostile(raw("a.dcm", TEXT), "no known format"),
    "a text named .png": Hostile(raw("a.png", TEXT), "no known format"),
    "NRRD named .nii": Hostile(changed(image("a.nrrd"), bytes, "a.nii"), "no NIfTI header"),
    "no NIfTI-2": Hostile(image("a.nii", bytes=540), "no NIfTI header"),
    "gz cut": Hostile(changed(image("a.nii.gz"), lambda data: data[:-9]), "truncated"),
    "gz cut in its header": Hostile(changed(image("a.nii.gz"), lambda data: data[:40]), "cannot be unpacked"),
    "nii cut": Hostile(changed(image("a.nii"), lambda data: data[:-9]), "truncated"),
    "nii cut in its header": Hostile(changed(image("a.nii"), lambda data: data[:200]), "ends within its header"),
    "nrrd cut": Hostile(changed(image("a.nrrd"), lambda data: data[:-9]), "2871 of 2880 bytes are there"),
    "mha cut": Hostile(changed(image("a.mha"), lambda data: data[:-9]), "2871 of 2880 bytes are there"),
    "mha packed and cut": Hostile(packed_and_cut, "truncated"),
    "voxels left behind": Hostile(parted, "only a header: its voxels are in a.raw"),
    "NaN throughout": Hostile(image("a.nii", np.full(SHAPE, NAN, np.float32)), "no finite voxel"),
    "some NaN and Inf": Hostile(
        image("a.nii", np.where(voxels() > 120, np.inf, np.where(voxels() < 80, NAN, voxels())).astype(np.float32)),
        r"\d+ voxels that are NaN or infinite: they are ignored",
        "warning",
    ),
    "the same value everywhere": Hostile(image("a.nii", np.zeros(SHAPE, np.float32)), "same value", "warning"),
    "scale factor NaN": Hostile(image("a.nii", scale=(NAN, 0)), "scale factor is nan"),
    "scale offset infinite": Hostile(image("a.nii", scale=(1, np.inf)), "offset inf"),
    "scale factor 0": Hostile(image("a.nii", scale=(0, 0)), "", "ok"),  # means: not scaled
    "an axis without voxels": Hostile(image("a.nii", dim=(3, 12, 0, 6, 1, 1, 1, 1)), "3 axes of 12 x 0 x 6"),
    "a negative axis": Hostile(image("a.nii", dim=(3, 12, -10, 6, 1, 1, 1, 1)), "12 x -10 x 6"),
    "nine axes": Hostile(image("a.nii", dim=(9, 12, 10, 6, 1, 1, 1, 1)), "9 axes"),
    "no axis": Hostile(image("a.nii", dim=(0, 12, 10, 6, 1, 1, 1, 1)), "0 axes"),
    "an axis without voxels (nrrd)": Hostile(nrrd(sizes="0 2 2"), "holds no voxel"),
    "an axis without voxels (mha)": Hostile(mha(sizes="0 2 2"), "holds no voxel"),
    "five axes": Hostile(nrrd(sizes="2 2 2 2 2", data=bytes(32)), "5 axes"),
    "a type that is none": Hostile(image("a.nii", type=(9999, 32)), "type 9999"),
    "a type of other bits": Hostile(image("a.nii", type=(16, 8)), "type 16 with 8 bits"),
    "complex numbers": Hostile(image("a.nii", voxels().astype(np.complex64)), "complex numbers"),
    "voxels before the file": Hostile(image("a.nii", offset=-5), "begin at byte -5"),
    "voxels at no byte": Hostile(image("a.nii", offset=NAN), "begin at byte nan"),
    "voxels beyond the file": Hostile(image("a.nii", offset=1e9), "truncated"),
    "spacing 0": Hostile(image("a.nii", pixdim=(0, 1, 1), codes=(0, 0)), "size 0 x 1 x 1 mm"),
    "spacing below 0": Hostile(image("a.nii", pixdim=(1, -1, 1), codes=(0, 0)), "size 1 x -1 x 1 mm"),
    "spacing NaN": Hostile(image("a.nii", pixdim=(1, 1, NAN), codes=(0, 0)), "size 1 x 1 x nan mm"),
    "spacing 0 beside a good sform": Hostile(image("a.nii", pixdim=(0, 1, 1)), r"0 x 1 x 1 mm \(pixdim\)", "warning"),
    "spacing 0 (nrrd)": Hostile(nrrd("spacings: 1 1 0\n"), "impossible size"),
    "spacing infinite (mha)": Hostile(mha("ElementSpacing = 1 1 inf\n"), "impossible size"),
    "a place that is no number": Hostile(image("a.nii", sform=[NAN] * 12), "position .* is not a number"),
    "a place that is flat": Hostile(image("a.nii", codes=(0, 1), sform=[1, 0, 0, 0] * 3), "flat"),
    "a place that is flat beside another": Hostile(image("a.nii", sform=[1, 0, 0, 0] * 3), "", "ok"),
    "a turn that is no number": Hostile(image("a.nii", codes=(1, 0), qform=[NAN] * 6), "qform"),
    "shear": Hostile(directions(0.2), "not orthonormal"),
    "shear just too much": Hostile(directions(1.5e-3), "not orthonormal"),
    "shear by rounding": Hostile(directions(5e-4), "were repaired", "warning"),
    "shear of an sform": Hostile(image("a.nii", sform=[1, 0.1, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]), "not orthonormal"),
    "larger than any memory": Hostile(image("a.nii", dim=(3, *[32767] * 3, 1, 1, 1, 1)), "2880 of 14072460\\d+ bytes"),
    "larger than any memory, packed": Hostile(
        changed(image("a.nii", dim=(3, *[32767] * 3, 1, 1, 1, 1)), gzip.compress, "a.nii.gz"), "promises 141 TB"
    ),
    "100000 voxels each way (nrrd)": Hostile(nrrd(sizes="100000 100000 100000"), "8 of 1000000000000000 bytes"),
    "100000 voxels each way (mha)": Hostile(mha(sizes="100000 100000 100000"), "8 of 1000000000000000 bytes"),
    "4 GB promised, 8 bytes there": Hostile(nrrd(sizes="2000 2000 1000"), "8 of 4000000000 bytes"),
    "a fourth axis of one": Hostile(image("a.nii", dim=(4, 12, 10, 6, 1, 1, 1, 1)), "", "ok"),
    "red, green and blue": Hostile(image("a.nii", voxels().repeat(3).reshape(*SHAPE, 3), vector=True), "", "ok"),
    "a folder named as a scan": Hostile(made_folder, "no DICOM series"),
    "a folder without files": Hostile(lambda folder: folder, "no DICOM series"),
    "two series": Hostile(two_series, r"2 DICOM series: T2 [45] \(6 files\); T2 [45] \(6 files\)"),
    "two series in two folders": Hostile(two_deep, r"2 DICOM series: a: T2 4 \(6 files\); b: T2 5 \(6 files\)"),
    "one series further down": Hostile(one_deep, "was found in its subfolder study.T2", "warning"),
    "a slice is missing": Hostile(lambda folder: series(folder / "scan", skip=(2,)), "slice is missing"),
    "links in a circle": Hostile(loop, "is not there"),
}  # fmt: skip
