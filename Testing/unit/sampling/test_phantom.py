"""Phantoms are the same for the same seed, look like a shoulder to a measuring eye, and lie on disk as a data set."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from IncrementalSegLib.errors import DataError, OptionError, UnknownNameError
from IncrementalSegLib.sampling.phantom import SCANNERS, STRUCTURES, phantom_case, write_phantom_dataset

BONES = ("humerus", "scapula")


def test_same_seed_same_bits_and_other_seed_other_person() -> None:
    first, again, other = (phantom_case(seed, "A") for seed in (3, 3, 4))
    assert first[0].grid == again[0].grid
    assert first[0].array.tobytes() == again[0].array.tobytes()
    assert all(np.array_equal(first[1][name], again[1][name]) for name in BONES)
    assert not np.array_equal(first[1]["humerus"], other[1]["humerus"])


def test_asking_for_other_structures_changes_no_voxel() -> None:
    assert np.array_equal(phantom_case(3, "A", structures=("deltoid",))[0].array, phantom_case(3, "A")[0].array)


def test_scanners_see_the_same_person() -> None:
    (a, masks_a), (c, masks_c) = phantom_case(7, "A"), phantom_case(7, "C")
    assert a.grid == c.grid
    assert all(np.array_equal(masks_a[name], masks_c[name]) for name in BONES)
    assert not np.array_equal(a.array, c.array)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("scanner", SCANNERS)
def test_anatomy(seed: int, scanner: str) -> None:
    volume, masks = phantom_case(seed, scanner, structures=STRUCTURES)
    assert tuple(masks) == STRUCTURES
    assert np.sum(list(masks.values()), axis=0).max() == 1
    for name, low, high in (("humerus", 45, 100), ("scapula", 25, 75), ("deltoid", 60, 450)):
        assert low < masks[name].sum() * volume.grid.voxel_ml < high, name
    for name, share in (("humerus", 0.999), ("scapula", 0.9)):  # 4 mm slices cut thin processes off
        parts, _ = ndimage.label(masks[name], np.ones((3, 3, 3)))
        assert np.bincount(parts[parts > 0]).max() >= share * masks[name].sum()
    assert masks["humerus"][0].any()  # the shaft leaves the field of view below
    assert not masks["humerus"][-1].any()  # the head does not above
    assert not any(masks["humerus"][:, side].any() for side in (0, -1))


@pytest.mark.parametrize(("scanner", "low", "high"), [("A", 1.9, 2.3), ("B", 1.8, 2.3), ("C", 1.05, 1.35)])
def test_contrast_of_marrow_and_muscle(scanner: str, low: float, high: float) -> None:
    volume, masks = phantom_case(1, scanner, structures=("humerus", "deltoid"))
    inside = [ndimage.binary_erosion(masks[name], np.ones((1, 5, 5))) for name in ("humerus", "deltoid")]
    marrow, muscle = (float(np.median(volume.array[0][mask])) for mask in inside)
    assert low < marrow / muscle < high
    assert volume.array.dtype == np.int16
    assert volume.array.min() >= 0


def test_noise_in_air_is_rician() -> None:
    volume, _ = phantom_case(0, "A")
    air = volume.array[0, :, -6:, :6].astype(float)
    scanner = SCANNERS["A"]
    assert air.mean() == pytest.approx(scanner.noise * scanner.gain * np.sqrt(np.pi / 2), rel=0.1)


def test_any_size_over_the_same_field_of_view() -> None:
    fine, masks = phantom_case(2, "A")
    coarse, small = phantom_case(2, "A", size=(12, 48, 40))
    assert coarse.array.shape == (1, 12, 48, 40)
    extents = [np.multiply(volume.grid.spacing, volume.grid.shape[::-1]) for volume in (fine, coarse)]
    assert extents[0] == pytest.approx(extents[1])
    for name in BONES:
        millilitres = [masks[name].sum() * fine.grid.voxel_ml, small[name].sum() * coarse.grid.voxel_ml]
        assert millilitres[0] == pytest.approx(millilitres[1], rel=0.12)


def test_a_case_takes_few_filters_of_its_size() -> None:
    volume, _ = phantom_case(5, "A")
    filtering = seconds(lambda: [ndimage.gaussian_filter(volume.array[0].astype(np.float32), 2) for _ in range(10)])
    assert seconds(lambda: phantom_case(5, "A")) < 10 * filtering  # about 2 times


def seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def test_wrong_names() -> None:
    with pytest.raises(UnknownNameError, match="Known: A, B, C"):
        phantom_case(0, "D")
    with pytest.raises(UnknownNameError, match="Did you mean 'humerus'"):
        phantom_case(0, "A", structures=("humeru",))


def test_data_set_outlines_only_what_was_asked(tmp_path: Path) -> None:
    folder = write_phantom_dataset(tmp_path / "data", 2, "B", ("scapula",), seed=5, size=(8, 32, 32))
    description = json.loads((folder / "dataset.json").read_text())
    assert description["labels"] == {"0": "background", "1": "scapula"}
    assert len(description["training"]) == description["numTraining"] == 2
    for number, entry in enumerate(description["training"]):
        image, label = (sitk.ReadImage(str(folder / entry[name])) for name in ("image", "label"))
        volume, masks = phantom_case((5, number), "B", (8, 32, 32))
        assert np.array_equal(sitk.GetArrayFromImage(image), volume.array[0])
        assert np.array_equal(sitk.GetArrayFromImage(label), masks["scapula"])
        for file in (image, label):
            assert file.GetSpacing() == pytest.approx(volume.grid.spacing)
            assert file.GetOrigin() == pytest.approx(volume.grid.origin)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["data"]


def test_label_values_follow_the_order_asked_for(tmp_path: Path) -> None:
    folder = write_phantom_dataset(tmp_path / "data", 1, "A", ("scapula", "humerus"), seed=1, size=(8, 32, 32))
    label = sitk.GetArrayFromImage(sitk.ReadImage(str(next((folder / "labelsTr").iterdir()))))
    masks = phantom_case((1, 0), "A", (8, 32, 32))[1]
    assert np.array_equal(label == 2, masks["humerus"])
    assert np.array_equal(label == 1, masks["scapula"])


def test_wrong_requests_leave_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(DataError, match="exists already"):
        write_phantom_dataset(tmp_path / "there", 1, "A", ("humerus",), seed=0)
    with pytest.raises(OptionError):
        write_phantom_dataset(tmp_path / "x", 0, "A", ("humerus",), seed=0)
    with pytest.raises(UnknownNameError):
        write_phantom_dataset(tmp_path / "x", 1, "Z", ("humerus",), seed=0)
    assert [item.name for item in tmp_path.iterdir()] == ["there"]
