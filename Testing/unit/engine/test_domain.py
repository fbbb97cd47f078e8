import numpy as np
import pytest
import torch
from tiny import DISC, plan

from IncrementalSegLib.engine.domain import TrainingDomain, scan_features, warnings_of
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.evaluation.domain import ScanFeatures
from IncrementalSegLib.sampling.phantom import phantom_case, write_phantom_dataset
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import Structure, StructureList
from IncrementalSegLib.volumes.io import write_volume
from IncrementalSegLib.volumes.volume import Grid, Volume

SIZE = (6, 32, 32)


def scan(path, scanner="A", seed=(50, 1), **grid):
    """Write a phantom, with another header where asked."""
    volume = phantom_case(seed, scanner, SIZE)[0]
    changed = Grid(**{**vars(volume.grid), **grid})
    write_volume(path, Volume(volume.array, changed))
    return path


def features(value=0.0, spacing=1.0):
    looks = {name: np.full(3, value) for name in ("contrast", "texture", "layout")}
    return ScanFeatures(looks, np.arange(5.0), (spacing,) * 3, (64 * spacing,) * 3)


def test_structures_taught_by_the_same_scans_share_an_entry():
    domain = (
        TrainingDomain()
        .with_step(1, [(features(), ("a", "b")), (features(), ("a", "b", "c"))])
        .with_step(2, [(features(5), ("a",))])
    )
    assert [(item.step, item.structures, item.domain.scans) for item in domain.groups] == [
        (1, ("a", "b"), 2),
        (1, ("c",), 1),
        (2, ("a",), 1),
    ]
    nearest = domain.nearest(features(5), "a")
    assert nearest is not None
    assert nearest[0].features == 0  # of the step that improved it
    assert domain.nearest(features(5), "b")[0].features > 1.5
    assert domain.nearest(features(5), "unknown") is None


def test_each_step_adds_what_its_scans_look_like(teach, model, data):
    assert [item.domain.scans for item in TrainingDomain.of(open_model(model), None, pytest.fail).groups] == [3]
    teach(model, data / "scapula", "scapula")
    domain = TrainingDomain.of(open_model(model), None, pytest.fail)
    ids = [item.id for item in open_model(model).record().structures]
    assert [item.structures for item in domain.groups] == [(ids[0],), (ids[1],)]
    assert [item.step for item in domain.groups] == [1, 2]


def test_segment_warns_of_a_scan_far_outside_and_not_of_one_inside(taught, tmp_path):
    inside = segment(taught, scan(tmp_path / "inside.nii.gz"), tmp_path / "out", device="cpu")
    assert not any("unlike" in text for text in inside.warnings)
    wide = scan(tmp_path / "wide.nii.gz", spacing=(10.8, 10.8, 16.0))
    outside = segment(taught, wide, tmp_path / "out", device="cpu")
    (text,) = [text for text in outside.warnings if "unlike" in text]
    assert text.startswith("wide is unlike the training scans of humerus: ")
    assert "its spacing is 10.8 mm, they had 5.4 mm" in text
    assert outside.outputs[0].is_file()  # it never blocks


def test_thicker_slices_are_nothing_to_a_network_of_slices(taught, tmp_path):
    thick = scan(tmp_path / "thick.nii.gz", spacing=(5.4, 5.4, 48.0))
    assert not any("unlike" in text for text in segment(taught, thick, tmp_path / "out", device="cpu").warnings)


def test_structures_taught_by_different_scans_are_warned_of_apart(teach, tmp_path):
    model = tmp_path / "model"
    for scanner, name in (("A", "humerus"), ("C", "scapula")):
        teach(
            model,
            write_phantom_dataset(tmp_path / name, 10, scanner=scanner, structures=[name], seed=9, size=SIZE),
            name,
        )
    warned = segment(model, scan(tmp_path / "c.nii.gz", "C"), tmp_path / "out", device="cpu").warnings
    (text,) = [text for text in warned if "unlike" in text]
    assert "training scans of humerus:" in text
    assert "contrast" in text


def test_a_model_of_an_older_program_warns_of_nothing(model, tmp_path):
    folder = open_model(model)
    record = folder.record()
    folder.write(record, {"weights": folder.tensors("weights")}, {})
    assert TrainingDomain.of(folder, None, pytest.fail) == TrainingDomain()
    wide = scan(tmp_path / "wide.nii.gz", spacing=(10.8, 10.8, 16.0))
    assert not any("unlike" in text for text in segment(model, wide, tmp_path / "out", device="cpu").warnings)


@pytest.mark.parametrize("names", [["a"], ["a", "b"]])
@pytest.mark.parametrize(
    ("spacing", "how", "todo"),
    [
        (3.0, "unlike", "The result may be wrong throughout: teach the model some scans of this kind first."),
        (1.7, "somewhat unlike", "Look at the result with care."),
    ],
)
def test_one_sentence_for_structures_with_the_same_reason(names, spacing, how, todo):
    items = StructureList(tuple(Structure.create(name, 1) for name in names))
    domain = TrainingDomain().with_step(1, [(features(), items.ids)])
    (text,) = warnings_of(domain, features(spacing=spacing), items, "scan {0}")
    assert text == (
        f"scan {{0}} is {how} the training scans of {', '.join(names)}: its spacing is {spacing:.3g} mm, "
        f"they had 1 mm. {todo}"
    )


def test_what_differs_is_said():
    items = StructureList((Structure.create("a", 1),))
    domain = TrainingDomain().with_step(1, [(features(), items.ids)] * 4)
    other = features()
    other.looks["contrast"] += 5
    (text,) = warnings_of(domain, other, items, "scan")
    assert "its contrast differs" in text
    assert "the body lies elsewhere" not in text


@pytest.mark.parametrize(("dimension", "channels"), [(2, 1), (2, 3), (3, 1), (3, 2)])
def test_a_domain_is_read_by_the_plan_that_it_was_measured_with_alone(dimension, channels):
    own = plan(dimension).model_copy(update={"channels": channels})
    image = torch.rand(channels, 8, 32, 32, generator=torch.Generator().manual_seed(0))
    found = scan_features(Volume(image.numpy(), Grid((8, 32, 32), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))), image, own)
    document = TrainingDomain().with_step(1, [(found, (DISC,))]).to_json()
    assert TrainingDomain.from_json(document, own).to_json() == document
    for other in ({"dimension": 5 - dimension}, {"channels": channels + 1}):
        with pytest.raises(ValueError, match="its numbers are not those of"):
            TrainingDomain.from_json(document, own.model_copy(update=other))
