"""Pictures have pixels and no millimetres, whatever their dots per inch."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from IncrementalSegLib.errors import DataError, GeometryError
from IncrementalSegLib.volumes.io import read_volume
from IncrementalSegLib.volumes.segmentations import read_masks
from IncrementalSegLib.volumes.volume import Grid

PIXELS = np.random.default_rng(0).integers(0, 255, (7, 9), dtype=np.uint8)


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("dpi", [None, 72, 300])
def test_dots_per_inch_are_no_millimetres(tmp_path, ending, dpi):
    Image.fromarray(PIXELS).save(tmp_path / f"a{ending}", **({} if dpi is None else {"dpi": (dpi, dpi)}))
    volume = read_volume(tmp_path / f"a{ending}")
    assert volume.grid == Grid((1, 7, 9), planar=True)
    if ending != ".jpg":
        np.testing.assert_array_equal(volume.array[0, 0], PIXELS)


def test_a_label_picture_fits_its_picture_whatever_the_resolution_of_both(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", dpi=(300, 300))
    Image.fromarray((PIXELS > 99).astype(np.uint8)).save(tmp_path / "l.png", dpi=(72, 72))
    notes = []
    volume = read_volume(tmp_path / "a.jpg")
    mask = read_masks(volume.grid, ["x"], tmp_path / "l.png", {"x": [1]}, notes=notes)["x"]
    np.testing.assert_array_equal(mask[0], PIXELS > 99)
    assert notes == []


def test_a_stack_of_pictures_is_said_to_have_no_millimetres(tmp_path):
    pages = [Image.fromarray(np.full((7, 9), page, np.uint8)) for page in range(3)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:], dpi=(300, 300))
    notes = []
    volume = read_volume(tmp_path / "a.tif", notes)
    assert volume.grid == Grid((3, 7, 9))
    assert volume.array[0, :, 0, 0].tolist() == [0, 1, 2]
    assert [note.kind for note in notes] == ["no-millimetres"]


def test_a_picture_is_known_by_its_bytes_and_no_other_format_gets_in(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.jpg").array[0, 0], PIXELS)
    (tmp_path / "b.png").write_bytes(b"NRRD0004\n" + b"A" * 1000 + b"\n\n")
    with pytest.raises(DataError, match="no known format"):
        read_volume(tmp_path / "b.png")


@pytest.mark.parametrize("ending", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_a_picture_that_is_cut_is_refused(tmp_path, ending, share):
    path = tmp_path / f"a{ending}"
    Image.fromarray(np.random.default_rng(0).integers(1, 255, (60, 50, 3), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r"truncated|incomplete"):
        read_volume(path)


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif"])
@pytest.mark.parametrize("mode", ["L", "P", "1"])
def test_a_grey_picture_has_one_channel_in_every_format_and_mode(tmp_path, ending, mode):
    if (mode, ending) == ("1", ".bmp"):
        pytest.skip("ITK reads no BMP of 1 bit; it is refused")
    picture = Image.fromarray(PIXELS > 99) if mode == "1" else Image.fromarray(PIXELS)
    if mode == "P":
        picture.putpalette([grey for grey in range(256) for _ in range(3)])
    picture.save(tmp_path / f"a{ending}")
    wanted = (PIXELS > 99) * 255 if mode == "1" else PIXELS
    np.testing.assert_array_equal(read_volume(tmp_path / f"a{ending}").array, wanted[np.newaxis, np.newaxis])


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif"])
def test_a_coloured_palette_has_three_channels(tmp_path, ending):
    picture = Image.fromarray(PIXELS % 2).convert("P")
    picture.putpalette([0, 0, 0, 255, 10, 20] + [0] * 762)
    picture.save(tmp_path / f"a{ending}")
    array = read_volume(tmp_path / f"a{ending}").array
    np.testing.assert_array_equal(array[:, 0], (PIXELS % 2) * np.array([255, 10, 20]).reshape(3, 1, 1))


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("back", [0, 1])
def test_a_tiff_whose_pages_never_end_is_refused(tmp_path, order, back):
    kind = {"<": b"II*\0", ">": b"MM\0*"}[order]
    sizes = [(256, 4, 1, 4), (257, 4, 1, 4), (258, 4, 1, 8), (262, 4, 1, 1), (273, 4, 1, 300), (279, 4, 1, 16)]
    entries = b"".join(struct.pack(f"{order}HHII", *entry) for entry in sizes)
    page = struct.pack(f"{order}H", len(sizes)) + entries
    places = [8, 8 + len(page) + 4]
    pages = page + struct.pack(f"{order}I", places[1]) + page + struct.pack(f"{order}I", places[back])
    (tmp_path / "a.tif").write_bytes((kind + struct.pack(f"{order}I", 8) + pages).ljust(316, b"\1"))
    with pytest.raises(DataError, match="never end"):
        read_volume(tmp_path / "a.tif")


def test_a_label_or_mask_saved_as_jpeg_is_refused(tmp_path):
    Image.fromarray((PIXELS > 99).astype(np.uint8)).save(tmp_path / "l.jpg")
    for values in (None, {"x": [1]}):
        with pytest.raises(DataError, match="is a JPEG"):
            read_masks(Grid((1, 7, 9), planar=True), ["x"], tmp_path / "l.jpg", values)


def test_transparency_beside_grey_is_named(tmp_path):
    Image.fromarray(np.stack([PIXELS, PIXELS], -1), "LA").save(tmp_path / "a.png")
    with pytest.raises(DataError, match="grey with transparency"):
        read_volume(tmp_path / "a.png")


def test_a_grey_tiff_of_16_bits_keeps_its_values(tmp_path):
    Image.fromarray(PIXELS.astype(np.uint16) * 257).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_volume(tmp_path / "a.tif").array[0, 0], PIXELS.astype(np.uint16) * 257)


@pytest.mark.parametrize("ending", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_turned_picture_is_read_as_viewers_show_it(tmp_path, ending, orientation, mode):
    picture = Image.fromarray(PIXELS).convert(mode)
    exif = Image.Exif()
    exif[274] = orientation
    picture.save(tmp_path / f"a{ending}", exif=exif)
    with Image.open(tmp_path / f"a{ending}") as stored:
        shown = np.asarray(ImageOps.exif_transpose(stored)).reshape(*((9, 7) if orientation > 4 else (7, 9)), -1)
    notes = []
    volume = read_volume(tmp_path / f"a{ending}", notes)
    np.testing.assert_array_equal(np.moveaxis(volume.array[:, 0], 0, -1), shown)
    assert volume.grid == Grid((1, *shown.shape[:2]), planar=True)
    assert [note.kind for note in notes] == ["turned-upright"] * (orientation > 1)
    Image.fromarray((shown[..., 0] > 99).astype(np.uint8)).save(tmp_path / "l.png")
    mask = read_masks(volume.grid, ["x"], tmp_path / "l.png", {"x": [1]})["x"]
    np.testing.assert_array_equal(mask[0], shown[..., 0] > 99)
    if orientation > 4:
        Image.fromarray(np.uint8(PIXELS > 99)).save(tmp_path / "l.png")
        with pytest.raises(GeometryError, match="is rotated"):
            read_masks(volume.grid, ["x"], tmp_path / "l.png", {"x": [1]})


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_tiff_is_upright_or_refused(tmp_path, orientation):
    values = PIXELS.astype(np.uint16) * 257
    Image.fromarray(values).save(tmp_path / "a.tif", tiffinfo={274: orientation})
    notes = []
    if orientation not in (1, 4):  # ITK gives 8 bits of them
        with pytest.raises(DataError, match=rf"not stored upright \(TIFF orientation {orientation}\)"):
            read_volume(tmp_path / "a.tif", notes)
        return
    shown = values[::-1] if orientation == 4 else values
    np.testing.assert_array_equal(read_volume(tmp_path / "a.tif", notes).array[0, 0], shown)
    assert [note.kind for note in notes] == ["turned-upright"] * (orientation > 1)


@pytest.mark.parametrize("block", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff", b"x" * 90])
def test_a_damaged_exif_block_costs_no_picture(tmp_path, block):
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
    assert read_volume(tmp_path / "a.jpg").grid.shape == (1, 7, 9)
