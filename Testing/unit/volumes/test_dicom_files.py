"""DICOM files of every packing, files that are no scans, and damaged ones."""

import io
import subprocess
import sys

import numpy as np
import pytest
from dicoms import ARRAY, OBLIQUE, header, read, same_as_written, save, write_enhanced, write_series
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from IncrementalSegLib.errors import DataError, IncrementalSegError
from IncrementalSegLib.volumes import dicom_pixels, memory
from IncrementalSegLib.volumes.io import read_volume


def test_copies_and_files_that_are_no_scans_are_left_out_and_said(tmp_path):
    folder = write_series(tmp_path / "s", ARRAY)
    (folder / "copy").write_bytes((folder / "003").read_bytes())
    (folder / "readme.txt").write_text("hello")
    structures = Dataset()
    structures.SOPClassUID, structures.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.481.3"), "1.2.5"
    structures.SeriesInstanceUID = "1.2.6"
    save(structures, folder / "rs")
    volume, notes = read(folder)
    same_as_written(volume)
    assert sorted(notes) == ["copies", "no-scans-beside"]


@pytest.mark.parametrize(
    ("uid", "said"),
    [
        ("1.2.840.10008.5.1.4.1.1.481.3", "RT Structure Set"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "RT Dose"),
        ("1.2.840.10008.5.1.4.1.1.66.4", "Segmentation"),
        ("1.2.840.10008.5.1.4.1.1.88.33", "Comprehensive SR"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF"),
    ],
)
def test_what_is_no_scan_is_refused_by_its_class(tmp_path, uid, said):
    data = header(ARRAY[0], UID(uid)) if said in ("RT Dose", "Segmentation") else Dataset()
    data.SOPClassUID, data.SOPInstanceUID, data.SeriesInstanceUID = UID(uid), "1.2.5", "1.2.6"
    path = save(data, tmp_path / "s" / "a.dcm")
    with pytest.raises(DataError, match=f"is not a scan but of the DICOM class {said}"):
        read(path)
    with pytest.raises(DataError, match=rf"holds no DICOM series that is a scan \(1 x {said}"):
        read(path.parent)


def jpeg_2000(data):
    """Pack a file of unsigned bytes."""
    stream = io.BytesIO()
    Image.fromarray(data.pixel_array).save(stream, "JPEG2000", irreversible=False, no_jp2=True, num_resolutions=1)
    data.PixelData = encapsulate([stream.getvalue()])
    data["PixelData"].is_undefined_length = True
    data.file_meta.TransferSyntaxUID = JPEG2000Lossless


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("known", [True, False])
def test_packed_pixels_are_read_by_pydicom_or_itk(tmp_path, monkeypatch, syntax, known):
    array = np.arange(6 * 20 * 24).reshape(6, 20, 24).astype(np.uint8)

    def change(index, data):
        data.RescaleSlope, data.RescaleIntercept = 0.5, index

    folder = write_series(tmp_path / "s", array, change=change)
    for file in folder.iterdir():
        data = dcmread(file)
        jpeg_2000(data) if syntax == JPEG2000Lossless else data.compress(syntax)
        data.save_as(file)
    taken = []
    by_itk = dicom_pixels._by_itk
    monkeypatch.setattr(dicom_pixels, "_by_itk", lambda data: taken.append(1) or by_itk(data))
    if not known:
        monkeypatch.setattr(dicom_pixels, "_known", lambda syntax: False)
    volume, _ = read(folder)
    np.testing.assert_allclose(volume.array[0], array * 0.5 + np.arange(6)[:, None, None])
    assert len(taken) == (0 if known else 6)


@pytest.mark.parametrize("known", [True, False])
def test_packed_frames_are_read_by_pydicom_or_itk(tmp_path, monkeypatch, known):
    array = np.arange(6 * 20 * 24).reshape(6, 20, 24).astype(np.int16)
    order = [3, 0, 5, 1, 4, 2]
    path = write_enhanced(tmp_path / "a.dcm", array[order], order)
    data = dcmread(path)
    data.compress(RLELossless)
    data.save_as(path)
    if not known:
        monkeypatch.setattr(dicom_pixels, "_known", lambda syntax: False)
    same_as_written(read(path)[0], array)


def test_inverted_pixels_are_said(tmp_path):
    def change(index, data):
        data.PhotometricInterpretation = "MONOCHROME1"

    volume, notes = read(write_series(tmp_path / "s", ARRAY, change=change))
    same_as_written(volume)
    assert notes == ["inverted"]
    one = tmp_path / "s" / "003"
    data = dcmread(one)
    data.PhotometricInterpretation = "MONOCHROME2"
    data.save_as(one)
    with pytest.raises(DataError, match="MONOCHROME1, MONOCHROME2"):
        read(tmp_path / "s")


def test_colours_become_channels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 5, 3), dtype=np.uint8)
    data = header(pixels[..., 0])
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
    data.PixelData = pixels.tobytes()
    volume, _ = read(save(data, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(volume.array[:, 0], np.moveaxis(pixels, -1, 0))


def huge(path, packed):
    data = header(ARRAY[0])
    data.Rows = data.Columns = 65535
    data.ImagePositionPatient, data.ImageOrientationPatient, data.PixelSpacing = [0, 0, 0], list(OBLIQUE), [1, 1]
    if packed:
        data.PixelData = encapsulate([b"\0" * 64])
        data["PixelData"].is_undefined_length = True
    return save(data, path, RLELossless if packed else UID("1.2.840.10008.1.2.1"))


@pytest.mark.parametrize(("packed", "said"), [(False, r"of 8589672450 bytes are there"), (True, "promises 8.59 GB")])
def test_a_small_file_that_promises_much_is_refused(tmp_path, packed, said):
    with pytest.raises(DataError, match=said):
        read(huge(tmp_path / "a.dcm", packed))


@pytest.mark.parametrize("cut", [140, 300, 500, 700])
def test_a_cut_file_is_refused_in_words(tmp_path, cut):
    folder = write_series(tmp_path / "s", ARRAY)
    file = folder / "003"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(DataError) as caught:
        read(file)
    assert caught.value.todo


def test_without_pydicom_the_error_names_the_extra(tmp_path):
    folder = write_series(tmp_path / "s", ARRAY[:2])
    code = (
        "import sys; sys.modules['pydicom'] = None\n"
        "from IncrementalSegLib.volumes.io import read_volume\n"
        f"try: read_volume({str(folder)!r})\n"
        "except Exception as error: print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert 'pip install "incrementalseg[dicom]"' in said


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Return a slice, a multi-frame file and a segmentation as bytes."""
    folder = tmp_path_factory.mktemp("sound")
    slices = write_series(folder / "s", ARRAY[:1])
    frames = write_enhanced(folder / "a.dcm", ARRAY, range(6))
    return [next(slices.iterdir()).read_bytes(), frames.read_bytes()]


@given(data=st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_mutated_files_are_read_or_refused_in_words(sound, tmp_path, capfd, data):
    mutated = bytearray(data.draw(st.sampled_from(sound)))
    for _ in range(data.draw(st.integers(1, 4))):
        spot = data.draw(st.integers(128, len(mutated) - 1))
        mutated[spot : spot + 4] = data.draw(
            st.sampled_from([b"\0" * 4, b"\xff" * 4, b"SQ\0\0", b"1e99", b"nan\\", b"\\"])
        )
    (tmp_path / "a").write_bytes(mutated)
    try:
        read_volume(tmp_path / "a", [])
    except IncrementalSegError as error:
        assert error.todo  # noqa: PT017
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_other_encodings_of_the_header(tmp_path, syntax):
    folder = write_series(tmp_path / "s", ARRAY)
    for file in folder.iterdir():
        save(dcmread(file), file, syntax)
    same_as_written(read(folder)[0])


def test_a_deflated_bomb_is_refused(tmp_path, monkeypatch):
    path = save(header(np.zeros((4000, 4000), np.uint8)), tmp_path / "a", DeflatedExplicitVRLittleEndian)
    monkeypatch.setattr(memory, "free_memory", lambda: 1_000_000)
    with pytest.raises(DataError, match="1 MB free"):
        read(path)


def test_a_file_without_preamble_is_read(tmp_path):
    folder = write_series(tmp_path / "s", ARRAY)
    for file in folder.iterdir():
        data = dcmread(file)
        bare = Dataset()
        bare.update(data)
        bare.save_as(file, implicit_vr=True, little_endian=True)
        assert file.read_bytes()[:2] == b"\x08\x00"
    same_as_written(read(folder)[0])
