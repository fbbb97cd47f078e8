"""Labels in every form become the same masks; results carry names, colours, terminology and layers."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from tiny import tree

from IncrementalSegLib.errors import DataError, GeometryError, UnknownNameError
from IncrementalSegLib.structures import Structure
from IncrementalSegLib.volumes import seg_nrrd
from IncrementalSegLib.volumes.io import image_of, write_image
from IncrementalSegLib.volumes.labels import segment_names
from IncrementalSegLib.volumes.seg_nrrd import write_seg_nrrd
from IncrementalSegLib.volumes.segmentations import read_masks, write_label_map
from IncrementalSegLib.volumes.volume import Grid

GRID = Grid((8, 9, 10), (0.5, 1.5, 3.0), (-7.0, 8.0, 9.0), (0.0, 1.0, 0.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0))
STRUCTURES = [Structure.create(name, 1) for name in ("liver", "Niere ü", "left kidney", "empty")]


def boxes():
    """Liver and Niere overlap; the kidney touches neither."""
    masks = {structure.id: np.zeros(GRID.shape, bool) for structure in STRUCTURES}
    masks[STRUCTURES[0].id][1:5, 1:5, 1:5] = True
    masks[STRUCTURES[1].id][4:7, 4:7, 4:7] = True
    masks[STRUCTURES[2].id][0, 8, 7:] = True
    return masks


def save(path, array, grid=GRID):
    write_image(path, image_of(array[np.newaxis] if array.ndim == 3 else array, grid))
    return path


def header(path):
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys()}


def test_seg_nrrd_comes_back_with_its_overlap(tmp_path):
    path, masks = tmp_path / "out/s.seg.nrrd", boxes()
    write_seg_nrrd(path, masks, GRID, STRUCTURES)
    read = read_masks(GRID, [item.name.upper() for item in STRUCTURES], path)
    for item in STRUCTURES:
        np.testing.assert_array_equal(read[item.name.upper()], masks[item.id])
    assert segment_names(path) == tuple(item.name for item in STRUCTURES)
    fields = header(path)
    assert [fields[f"Segment{k}_Layer"] for k in range(4)] == ["0", "1", "0", "0"]
    assert [fields[f"Segment{k}_LabelValue"] for k in range(4)] == ["1", "1", "2", "3"]
    assert fields["Segment2_Extent"] == "7 9 8 8 0 0"
    assert fields["Segment3_Extent"] == "0 -1 0 -1 0 -1"
    assert fields["Segment0_ID"] == STRUCTURES[0].id
    assert fields["Segment0_Tags"] == f"TerminologyEntry:{STRUCTURES[0].terminology}|"
    assert [round(float(part) * 255) for part in fields["Segment1_Color"].split()] == list(STRUCTURES[1].color)


def test_structures_that_do_not_overlap_share_one_layer(tmp_path):
    write_seg_nrrd(tmp_path / "s.seg.nrrd", boxes(), GRID, [STRUCTURES[0], STRUCTURES[2]])
    assert sitk.ReadImage(str(tmp_path / "s.seg.nrrd")).GetNumberOfComponentsPerPixel() == 1


def test_old_slicer_file_without_layers_is_read(tmp_path):
    masks = boxes()
    image = image_of(np.stack([masks[item.id] for item in STRUCTURES[:2]]).astype(np.uint8), GRID)
    for k, item in enumerate(STRUCTURES[:2]):
        image.SetMetaData(f"Segment{k}_ID", f"Segment_{k}")
        image.SetMetaData(f"Segment{k}_Name", item.name)
    write_image(tmp_path / "s.seg.nrrd", image)
    read = read_masks(GRID, ["liver", "Niere ü"], tmp_path / "s.seg.nrrd")
    np.testing.assert_array_equal(read["liver"], masks[STRUCTURES[0].id])
    np.testing.assert_array_equal(read["Niere ü"], masks[STRUCTURES[1].id])


def test_cropped_seg_nrrd_is_pasted_without_a_word(tmp_path):
    mask = np.zeros((3, 4, 5), bool)
    mask[1, 2, 3] = True
    shift = GRID.matrix @ (np.array([4, 3, 2]) * GRID.spacing)
    crop = Grid((3, 4, 5), GRID.spacing, tuple(np.add(GRID.origin, shift)), GRID.direction)
    write_seg_nrrd(tmp_path / "s.seg.nrrd", {STRUCTURES[0].id: mask}, crop, STRUCTURES[:1])
    notes = []
    found = read_masks(GRID, ["liver"], tmp_path / "s.seg.nrrd", notes=notes)["liver"]
    assert np.argwhere(found).tolist() == [[2 + 1, 3 + 2, 4 + 3]]
    assert notes == []


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_label_map_gives_the_later_structure_and_says_so(tmp_path, ending):
    masks, path = boxes(), tmp_path / f"m{ending}"
    said = write_label_map(path, masks, GRID, STRUCTURES)
    assert said == ["1 voxels are both liver and Niere ü: the label map says Niere ü."]
    table = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    assert [table[str(value)]["name"] for value in range(1, 5)] == [item.name for item in STRUCTURES]
    assert table["1"]["color"] == list(STRUCTURES[0].color)
    assert table["1"]["terminology"] == STRUCTURES[0].terminology
    values = {entry["name"]: (int(value),) for value, entry in table.items()}
    read = read_masks(GRID, list(values), path, values)
    np.testing.assert_array_equal(read["liver"], masks[STRUCTURES[0].id] & ~masks[STRUCTURES[1].id])
    np.testing.assert_array_equal(read["Niere ü"], masks[STRUCTURES[1].id])


def test_a_map_that_cannot_be_written_keeps_the_names_of_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "out.nii.gz"
    write_label_map(path, boxes(), GRID, STRUCTURES)
    before = tree(tmp_path)

    def full(*_args, **_options):
        raise RuntimeError("No space left on device")

    monkeypatch.setattr(sitk, "WriteImage", full)
    with pytest.raises(DataError, match="Cannot write"):
        write_label_map(path, boxes(), GRID, STRUCTURES[::-1])
    assert tree(tmp_path) == before


def test_picture_result_is_a_png(tmp_path):
    grid = Grid((1, 6, 7), planar=True)
    mask = np.zeros((1, 6, 7), bool)
    mask[0, 2, 3] = True
    write_label_map(tmp_path / "m.png", {"liver": mask}, grid, STRUCTURES[:1])
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "m.png")))[2, 3] == 1
    write_seg_nrrd(tmp_path / "m.seg.nrrd", {"liver": mask}, grid, STRUCTURES[:1])
    for path in (tmp_path / "m.png", tmp_path / "m.seg.nrrd"):
        np.testing.assert_array_equal(read_masks(grid, ["liver"], path, {"liver": (1,)})["liver"], mask)
    with pytest.raises(DataError, match="PNG cannot hold"):
        write_label_map(tmp_path / "m.png", boxes(), GRID, STRUCTURES)


def test_map_regions_and_mask_files(tmp_path):
    labels = np.arange(720, dtype=np.int16).reshape(GRID.shape) % 4
    path = save(tmp_path / "map.nii.gz", labels)
    mask = save(tmp_path / "mask.nrrd", (labels == 2).astype(np.float32) * 255)
    values = {"A": (1,), "whole": (1, 3), "absent": (9,)}
    read = read_masks(GRID, ["a", "whole", "b", "absent"], path, values, {"B": mask})
    np.testing.assert_array_equal(read["a"], labels == 1)
    np.testing.assert_array_equal(read["whole"], np.isin(labels, [1, 3]))
    np.testing.assert_array_equal(read["b"], labels == 2)
    assert not read["absent"].any()
    with pytest.raises(UnknownNameError, match="'c'"):
        read_masks(GRID, ["c"], path, {"a": (1,)})


def test_other_grid_is_resampled_and_told(tmp_path):
    fine = Grid((8, 18, 10), (0.5, 0.75, 3.0), GRID.origin, GRID.direction)
    labels = np.zeros(fine.shape, np.uint8)
    labels[:, ::2] = 1  # every sample of the image's own grid
    notes = []
    path = save(tmp_path / "m.nrrd", labels, fine)
    assert read_masks(GRID, ["a"], path, {"a": (1,)}, notes=notes)["a"].all()
    assert len(notes) == 1
    assert "a different grid" in notes[0].message


def test_labels_that_fit_nothing_are_refused(tmp_path):
    labels = np.ones(GRID.shape, np.uint8)
    beyond = Grid((7, 9, 10), GRID.spacing, (500.0, 0.0, 0.0), GRID.direction)
    far = save(tmp_path / "far.nrrd", labels[1:], beyond)
    with pytest.raises(GeometryError, match="do not overlap"):
        read_masks(GRID, ["a"], far, {"a": (1,)})
    with pytest.raises(GeometryError, match="do not overlap"):
        read_masks(GRID, ["a"], masks={"a": far})
    soft = save(tmp_path / "soft.nrrd", np.full(GRID.shape, 0.4, np.float32))
    with pytest.raises(DataError, match="not whole numbers"):
        read_masks(GRID, ["a"], soft, {"a": (1,)})
    several = save(tmp_path / "several.nrrd", np.stack([labels, labels * 2]))
    with pytest.raises(DataError, match="2 channels"):
        read_masks(GRID, ["a"], several, {"a": (1,)})
    picture = save(tmp_path / "p.png", np.ones((1, 5, 5), np.uint8), Grid((1, 5, 5), planar=True))
    with pytest.raises(GeometryError, match="does not fit"):
        read_masks(Grid((1, 6, 6), planar=True), ["a"], picture, {"a": (1,)})


def test_grey_label_saved_as_rgb_is_read(tmp_path):
    grid = Grid((1, 5, 6), planar=True)
    labels = np.arange(30, dtype=np.uint8).reshape(1, 5, 6) % 3
    path = save(tmp_path / "p.png", np.stack([labels] * 3), grid)
    np.testing.assert_array_equal(read_masks(grid, ["a"], path, {"a": (2,)})["a"], labels == 2)


def test_missing_mask_and_wrong_ending(tmp_path):
    with pytest.raises(DataError, match="no mask for 'liver'"):
        write_seg_nrrd(tmp_path / "s.seg.nrrd", {}, GRID, STRUCTURES)
    with pytest.raises(DataError, match=r"\.seg\.nrrd"):
        write_seg_nrrd(tmp_path / "s.nii.gz", boxes(), GRID, STRUCTURES)
    with pytest.raises(DataError, match=r"Use \.nii\.gz"):
        write_label_map(tmp_path / "s.jpg", boxes(), GRID, STRUCTURES)
    assert list(tmp_path.iterdir()) == []


def test_slabs_together_are_what_was_written(tmp_path, rng, monkeypatch):
    masks = {item.id: rng.random(GRID.shape) < 0.3 for item in STRUCTURES[:2]}
    write_seg_nrrd(tmp_path / "whole.seg.nrrd", masks, GRID, STRUCTURES[:2])
    monkeypatch.setattr(seg_nrrd, "_SLAB", 1)
    write_seg_nrrd(tmp_path / "slabs.seg.nrrd", masks, GRID, STRUCTURES[:2])
    assert (tmp_path / "slabs.seg.nrrd").read_bytes() == (tmp_path / "whole.seg.nrrd").read_bytes()
    found = read_masks(GRID, [item.name for item in STRUCTURES[:2]], tmp_path / "slabs.seg.nrrd")
    for item in STRUCTURES[:2]:
        assert np.array_equal(found[item.name], masks[item.id])
