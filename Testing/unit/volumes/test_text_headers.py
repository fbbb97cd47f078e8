"""NRRD and MetaImage files beside what ITK reads in them, and headers that ITK must never see."""

import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from IncrementalSegLib.errors import DataError, IncrementalSegError
from IncrementalSegLib.volumes.headers import read_grid
from IncrementalSegLib.volumes.io import read_image, read_volume

TURN = Rotation.from_euler("xyz", (20, -30, 50), degrees=True).as_matrix()


def samples(shape=(4, 5, 6), dtype=np.int16):
    return np.random.default_rng(0).integers(0, 120, shape).astype(dtype)


def picture(array=None, **options):
    image = sitk.GetImageFromArray(samples() if array is None else array, **options)
    image.SetSpacing((0.5, 1.5, 3.0))
    image.SetOrigin((-7.0, 8.0, 9.0))
    image.SetDirection(TURN.ravel().tolist())
    return image


def read(path):
    notes = []
    volume = read_volume(path, notes)
    assert read_grid(path) == (volume.grid, volume.channels)
    return volume, [note.kind for note in notes]


def same_as_itk(path):
    volume, notes = read(path)
    image = sitk.ReadImage(str(path))
    array = sitk.GetArrayFromImage(image)
    components = image.GetNumberOfComponentsPerPixel()
    np.testing.assert_array_equal(volume.array, np.moveaxis(array, -1, 0) if components > 1 else array[None])
    np.testing.assert_allclose(volume.grid.spacing, image.GetSpacing(), rtol=1e-6)
    np.testing.assert_allclose(volume.grid.origin, image.GetOrigin(), rtol=1e-6)
    np.testing.assert_allclose(volume.grid.direction, image.GetDirection(), atol=1e-6)
    assert notes == []


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i8", "f4"])
def test_what_itk_wrote_is_read_as_itk_reads_it(tmp_path, ending, packed, dtype):
    sitk.WriteImage(picture(samples(dtype=dtype)), str(tmp_path / f"a{ending}"), packed)
    same_as_itk(tmp_path / f"a{ending}")


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_components_are_channels(tmp_path, ending):
    sitk.WriteImage(picture(samples((4, 5, 6, 2)), isVector=True), str(tmp_path / f"a{ending}"))
    same_as_itk(tmp_path / f"a{ending}")


def nrrd(folder, fields="", *, sizes="3 2 2", kind="uchar", data=bytes(range(12)), encoding="raw", name="a.nrrd"):
    dimension = len(sizes.split())
    head = (
        f"NRRD0004\n# made here\ntype: {kind}\ndimension: {dimension}\nsizes: {sizes}\n{fields}encoding: {encoding}\n\n"
    )
    (folder / name).write_bytes(head.encode() + data)
    return folder / name


DIRECTIONS = "space directions: (0,2,0) (3,0,0) (0,0,4)\nspace origin: (5,6,7)\n"


@pytest.mark.parametrize(
    "space",
    [
        "left-posterior-superior",
        "right-anterior-superior",
        "left-anterior-superior",
        "LPS",
        "RAS",
        "LAS",
        "scanner-xyz",
    ],
)
def test_spaces_are_brought_to_lps_as_itk_does(tmp_path, space):
    same_as_itk(nrrd(tmp_path, f"space: {space}\n{DIRECTIONS}"))


@pytest.mark.parametrize("encoding", ["ascii", "text"])
def test_numbers_as_text(tmp_path, encoding):
    same_as_itk(nrrd(tmp_path, f"space: LPS\n{DIRECTIONS}", encoding=encoding, data=b"0 1 2 3 4 5\n6 7 8 9 10 11\n"))


def test_lengths_are_in_millimetres(tmp_path):
    space = 'space: LPS\nspace units: "um" "um" "um"\n'
    np.testing.assert_allclose(read(nrrd(tmp_path, space + DIRECTIONS))[0].grid.spacing, (0.002, 0.003, 0.004))
    with pytest.raises(DataError, match="furlong"):
        read(nrrd(tmp_path, space.replace("um", "furlong") + DIRECTIONS))
    plain = 'spacings: 2 3 4\nunits: "um" "um" "um"\n'
    np.testing.assert_allclose(read(nrrd(tmp_path, plain))[0].grid.spacing, (0.002, 0.003, 0.004))
    with pytest.raises(DataError, match="furlong"):
        read(nrrd(tmp_path, plain.replace("um", "furlong")))


FOUR = {"sizes": "3 2 2 2", "data": bytes(range(24))}


@pytest.mark.parametrize(
    ("fields", "shape"),
    [("kinds: vector domain domain domain\n", (3, 2, 2, 2)), ("kinds: domain domain domain RGB-color\n", (2, 2, 2, 3))],
)
def test_an_axis_of_components_is_channels_without_a_word(tmp_path, fields, shape):
    volume, notes = read(nrrd(tmp_path, fields, **FOUR))
    assert volume.array.shape == shape
    assert notes == []


@pytest.mark.parametrize("fields", ["", "kinds: list domain domain domain\n", "kinds: domain domain domain domain\n"])
def test_an_axis_without_a_word_about_time_is_said(tmp_path, fields):
    assert read(nrrd(tmp_path, fields, **FOUR))[1] == ["fourth-axis"]


@pytest.mark.parametrize(
    "fields",
    [
        "kinds: domain domain domain time\n",
        'kinds: list domain domain domain\nunits: "s" "mm" "mm" "mm"\n',
        'kinds: domain domain domain list\nlabels: "x" "y" "z" "frame"\n',
        "kinds: list domain domain domain\naxis 0 index type:=numeric\naxis 0 index unit:=ms\n",
    ],
)
def test_a_time_series_is_refused(tmp_path, fields):
    with pytest.raises(DataError, match="time frames"):
        read(nrrd(tmp_path, fields, **FOUR))


def meta(folder, fields="", *, data="LOCAL", sizes="3 2 2", name="a.mha"):
    dimension = len(sizes.split())
    head = f"ObjectType = Image\nNDims = {dimension}\nBinaryData = True\n{fields}DimSize = {sizes}\n"
    head += f"ElementType = MET_UCHAR\nElementDataFile = {data}\n"
    (folder / name).write_bytes(head.encode() + bytes(range(12)))
    return folder / name


def outside(folder):
    """Write voxels outside of the folder of a header, and a link to them into it."""
    (folder / "out.raw").write_bytes(b"secret of others" * 4)
    (folder / "in").mkdir()
    (folder / "in" / "link.raw").symlink_to(folder / "out.raw")
    return folder / "in"


@pytest.mark.parametrize(
    "named", ["/etc/passwd", "a\0b", "9" * 400, "../out.raw", "link.raw", "sub/../../out.raw", "..", ".", "link.raw/"]
)
def test_a_header_names_files_of_its_own_folder_only(tmp_path, named):
    folder = outside(tmp_path)
    for path in (nrrd(folder, f"data file: {named}\n", name="a.nhdr"), meta(folder, data=named, name="a.mhd")):
        with pytest.raises(DataError, match="does not lie beside it"):
            read(path)


@pytest.mark.parametrize("named", ["LIST", "LIST 2", "%n 1 10 1", "a%03d.raw 1 2 1", "%s%s%s%n"])
def test_voxels_in_several_files_are_refused(tmp_path, named):
    for path in (nrrd(tmp_path, f"data file: {named}\n", name="a.nhdr"), meta(tmp_path, data=named, name="a.mhd")):
        with pytest.raises(DataError, match="several files"):
            read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha", ".png", ".dcm", ".hdr"])
def test_pipes_and_devices_are_never_opened(tmp_path, ending):
    os.mkfifo(tmp_path / f"a{ending}")
    (tmp_path / f"zero{ending}").symlink_to("/dev/zero")
    for name in ("a", "zero"):
        with pytest.raises(DataError, match="not a file but a pipe"):
            read(tmp_path / f"{name}{ending}")
    os.mkfifo(tmp_path / "pipe.raw")
    for path in (nrrd(tmp_path, "data file: pipe.raw\n", name="b.nhdr"), meta(tmp_path, data="pipe.raw", name="b.mhd")):
        with pytest.raises(DataError, match="not a file but a pipe"):
            read(path)


HOSTILE = {
    "a line that is no field": lambda d: nrrd(d, "A" * 1000 + "\n"),
    "a field that nobody knows": lambda d: nrrd(d, "foo: bar\n"),
    "a field twice": lambda d: nrrd(d, "sizes: 3 2 2\n"),
    "an endless header": lambda d: nrrd(d, "a:=" + "b" * 2_000_000 + "\n"),
    "a huge dimension": lambda d: nrrd(d, sizes=" ".join(["1"] * 1000)),
    "sizes that overflow": lambda d: nrrd(d, sizes="99999999999 99999999999 99999999999"),
    "a size of many digits": lambda d: nrrd(d, sizes="9" * 5000 + " 2 2"),
    "a negative size": lambda d: nrrd(d, sizes="-3 2 2"),
    "directions nested": lambda d: nrrd(d, "space directions: (((((((((1,2,3\n"),
    "an infinite origin": lambda d: nrrd(
        d, "space: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (inf,0,0)\n"
    ),
    "directions without a space": lambda d: nrrd(d, "space directions: (1,0) (0,1) (0,0)\n"),
    "a flat direction": lambda d: nrrd(d, "space: LPS\nspace directions: (0,0,0) (0,1,0) (0,0,1)\n"),
    "a block type": lambda d: nrrd(d, kind="block"),
    "a skip beyond the file": lambda d: nrrd(d, "byte skip: 999999999999\n"),
    "a pattern for voxels": lambda d: meta(d, data="%n 1 10 1"),
    "NDims huge": lambda d: meta(d, "NDims = 2147483647\n"),
    "NDims negative": lambda d: meta(d, "NDims = -1\n"),
    "many axes": lambda d: meta(d, sizes=" ".join(["1"] * 300)),
    "many channels": lambda d: meta(d, "ElementNumberOfChannels = 999999999\n"),
    "a matrix of words": lambda d: meta(d, "TransformMatrix = a b c\n"),
    "too few offsets": lambda d: meta(d, "Offset = 1\n"),
    "too many offsets": lambda d: meta(d, "Offset = " + "1 " * 60_000 + "\n"),
    "an endless line": lambda d: meta(d, "Comment = " + "x" * 1_000_000 + "\n"),
    "a header size beyond the file": lambda d: meta(d, "HeaderSize = 999999999999\n", data="b.mha", name="a.mhd"),
    "packed without voxels": lambda d: meta(d, "CompressedData = True\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_costs_one_sentence(tmp_path, name):
    with pytest.raises(DataError) as caught:
        read(HOSTILE[name](tmp_path))
    assert caught.value.todo
    assert len(str(caught.value)) < 500


def written(ending):
    """Return a good file as bytes."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{ending}"
        sitk.WriteImage(picture(), str(path))
        return path.read_bytes()


GOOD = {ending: written(ending) for ending in (".nrrd", ".mha", ".nii")}
WORDS = [
    b"",
    b"-1",
    b"0",
    b"99999999999999999999",
    b"nan",
    b"inf",
    b"%n%n%s",
    b"LIST",
    b"(",
    b"\0",
    b"none",
    b"\xff" * 600,
]


@pytest.mark.parametrize("ending", GOOD)
@given(data=st.data())
@settings(max_examples=150)
def test_mutated_headers_are_read_or_refused_in_words(tmp_path_factory, ending, data):
    good = GOOD[ending]
    text = ending != ".nii"
    end = good.index(b"ElementDataFile") if ending == ".mha" else good.index(b"\n\n") if text else 352
    spots = [match.span() for match in re.finditer(rb"[^\s:=(),]+", good[:end])] if text else None
    mutated = good
    for _ in range(data.draw(st.integers(1, 3))):
        start, stop = data.draw(st.sampled_from(spots)) if spots else (data.draw(st.integers(0, 348)),) * 2
        mutated = mutated[:start] + data.draw(st.sampled_from(WORDS)) + mutated[stop if text else stop + 4 :]
    path = tmp_path_factory.getbasetemp() / f"mutated{ending}"
    path.write_bytes(mutated)
    try:
        read_image(path, [])
    except IncrementalSegError as error:
        assert error.todo  # noqa: PT017


def test_the_corpus_does_crash_itk_itself(tmp_path):
    """The reason for all this: some of these headers end the process that hands them to ITK."""
    path = HOSTILE["a line that is no field"](tmp_path)
    code = f"import SimpleITK; SimpleITK.ReadImage({str(path)!r})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode != 0


def test_names_of_segments_come_without_itk(tmp_path):
    from IncrementalSegLib.volumes.labels import segment_names

    pairs = "".join(
        f"Segment{i}_ID:=S{i}\nSegment{i}_Name:=part {i}\nSegment{i}_LabelValue:={i + 1}\n" for i in range(3)
    )
    assert segment_names(nrrd(tmp_path, pairs, name="a.seg.nrrd")) == ("part 0", "part 1", "part 2")
    with pytest.raises(DataError):
        segment_names(nrrd(tmp_path, "A" * 1000 + "\n", name="b.seg.nrrd"))


def test_all_orders_of_bytes(tmp_path):
    for order, ending in itertools.product((">", "<"), (".nrrd", ".mha")):
        array = np.arange(12, dtype=f"{order}i2")
        big = order == ">"
        if ending == ".nrrd":
            endian = f"endian: {'big' if big else 'little'}\n"
            path = nrrd(tmp_path, endian, kind="short", data=array.tobytes())
        else:
            path = meta(tmp_path, f"BinaryDataByteOrderMSB = {big}\n")
            head = path.read_bytes()[:-12].replace(b"MET_UCHAR", b"MET_SHORT")
            path.write_bytes(head + array.tobytes())
        np.testing.assert_array_equal(read(path)[0].array.ravel(), np.arange(12))
