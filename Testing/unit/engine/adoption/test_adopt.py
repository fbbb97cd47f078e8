"""A folder of nnU-Net becomes a model that segments, keeps its origin and learns."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunet_folders import LABELS, REGIONS, configuration, dataset, plans, write_trained

from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.packages.transfer import export_package, import_package
from IncrementalSegLib.engine.quality import list_versions
from IncrementalSegLib.engine.remember import remember_again
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.errors import DataError, MissingNeedError, ModelError, OptionError, UnknownNameError
from IncrementalSegLib.sampling.phantom import write_phantom_dataset
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume

pytestmark = pytest.mark.usefixtures("read_in_process")


@pytest.fixture
def scan(tmp_path, rng):
    """A scan with a border of zeros, on a grid of its own."""
    array = rng.normal(40, 30, (9, 26, 24)).astype(np.float32)
    array[:, :4] = array[:, :, -3:] = 0
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.9, 1.1, 2.0))
    sitk.WriteImage(image, str(tmp_path / "scan.nii.gz"))
    return tmp_path / "scan.nii.gz"


def predicted(model, scan, **options):
    folder = open_model(model)
    runtime = start("cpu")
    return load(folder, runtime).predictor(runtime).predict(read_volume(scan), probability=True, **options)


def two_channels(given):
    return dataset(channels=("T1", "T2"))


KINDS = {
    "3d": {},
    "2d": {"given": configuration(2)},
    "residual": {"given": configuration(residual=True)},
    "residual 2d": {"given": configuration(2, residual=True)},
    "ct": {"given": configuration(schemes=("CTNormalization",))},
    "none": {"given": configuration(schemes=("NoNormalization",))},
    "ignore": {"described": dataset(LABELS | {"ignore": 3})},
    "regions": {"described": dataset(REGIONS)},
    "regions and ignore": {"described": dataset(REGIONS | {"ignore": 3})},
    "folds": {"folds": (0, 1)},
    "transposed": {"planned": plans(configuration(), "3d_fullres", transpose_forward=[2, 0, 1])},
    "reoriented": {"planned": plans(configuration(), "3d_fullres", image_reader_writer="NibabelIOWithReorient")},
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_becomes_a_model_that_segments(kind, scan, tmp_path):
    record = adopt_nnunet(write_trained(tmp_path / "trained", **KINDS[kind]), tmp_path / "model")
    regions = kind.startswith("regions")
    assert record.structures.names == (("whole", "core") if regions else ("left", "right"))
    assert record.output == ("heads" if regions else "classes")
    found = segment(tmp_path / "model", scan, tmp_path / "out", device="cpu", mirror=True)
    assert found.outputs[0].is_file()
    assert sum(sum(ml) for ml in found.millilitres.values()) > 0
    masks = predicted(tmp_path / "model", scan).mask
    assert not any(mask[:, :4].any() or mask[:, :, -3:].any() for mask in masks.values()), "outside of what was seen"


def test_structures_get_other_names_all_at_once(tmp_path):
    folder = write_trained(tmp_path / "trained")
    plain = adopt_nnunet(folder, tmp_path / "plain").structures
    record = adopt_nnunet(folder, tmp_path / "model", names={"left": "right", "Right": "liver"})
    assert record.structures.names == ("right", "liver")
    assert plain.named("right").terminology is None
    assert "Liver" in record.structures.named("liver").terminology
    for names, error in (
        ({"left": "right"}, OptionError),
        ({"left": "background"}, OptionError),
        ({"left": "a, b"}, OptionError),
        ({"lung": "liver"}, UnknownNameError),
    ):
        with pytest.raises(error):
            adopt_nnunet(folder, tmp_path / "refused", names=names)
        assert not (tmp_path / "refused").exists()


def test_an_ensemble_is_the_mean_of_the_scores_of_its_folds(scan, tmp_path):
    folder = write_trained(tmp_path / "trained", folds=(0, 1, 2))
    record = adopt_nnunet(folder, tmp_path / "all")
    assert record.step["origin"]["folds"] == ["0", "1", "2"]
    for fold in "012":
        adopt_nnunet(folder, tmp_path / fold, folds=fold)
    runtime, image = start("cpu"), torch.randn(1, 1, 8, 16, 16)
    models = [load(open_model(tmp_path / name), runtime).segmenter for name in ("all", "0", "1", "2")]
    with torch.no_grad():
        ensemble, *alone = (model(image).logits for model in models)
    torch.testing.assert_close(ensemble, torch.stack(alone).mean(0), rtol=1e-4, atol=1e-4)


def test_a_region_has_the_sigmoid_of_its_score(tmp_path):
    folder = write_trained(tmp_path / "trained", described=dataset(REGIONS))
    adopt_nnunet(folder, tmp_path / "model")
    model = load(open_model(tmp_path / "model"), start("cpu")).segmenter
    weights = torch.load(folder / "fold_all" / "checkpoint_final.pth", weights_only=False)["network_weights"]
    with torch.no_grad():
        output = model(torch.randn(1, 1, 8, 16, 16))
        scores = torch.nn.functional.conv3d(
            output.features.decoder, weights["decoder.seg_layers.1.weight"], weights["decoder.seg_layers.1.bias"]
        )
        torch.testing.assert_close(model.probabilities(output.logits), scores.sigmoid())


def test_scores_are_averaged_over_mirrored_scans(scan, tmp_path):
    adopt_nnunet(write_trained(tmp_path / "trained"), tmp_path / "model")
    plain, mirror = (predicted(tmp_path / "model", scan, mirror=mirror).probability for mirror in (False, True))
    assert any((plain[item] != mirror[item]).any() for item in plain)
    adopt_nnunet(write_trained(tmp_path / "other", inference_allowed_mirroring_axes=None), tmp_path / "unmirrored")
    with pytest.raises(ModelError, match="mirrored"):
        segment(tmp_path / "unmirrored", scan, tmp_path / "out", device="cpu", mirror=True)


def test_older_plans_are_read(scan, tmp_path):
    given = configuration()
    arguments = given.pop("architecture")["arch_kwargs"]
    older = {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 4,
        "unet_max_num_features": 8,
        "n_conv_per_stage_encoder": [2, 2, 2],
        "n_conv_per_stage_decoder": [1, 2],
        "pool_op_kernel_sizes": arguments["strides"],
        "conv_kernel_sizes": arguments["kernel_sizes"],
    }
    folder = write_trained(tmp_path / "trained")
    saved = torch.load(folder / "fold_all" / "checkpoint_final.pth", weights_only=False)
    weights = saved["network_weights"]
    for name, tensor in weights.items():  # the middle stage has 8 features here
        shape = [8 if size == 6 else 16 if size == 12 else size for size in tensor.shape]
        weights[name] = torch.randn(shape) * 0.2
    torch.save(saved, folder / "fold_all" / "checkpoint_final.pth")
    (folder / "plans.json").write_text(json.dumps(plans(given | older, "3d_fullres")), "utf-8")
    adopt_nnunet(folder, tmp_path / "model")
    assert load(open_model(tmp_path / "model"), start("cpu")).segmenter.config.widths == (4, 8, 8)


def test_the_origin_is_kept_and_goes_along(tmp_path):
    described = dataset(licence="CC BY 4.0")
    adopt_nnunet(write_trained(tmp_path / "Dataset900" / "trained", described=described), tmp_path / "model")
    origin = read_summary(tmp_path / "model")["origin"]
    assert origin["folder"] == "Dataset900/trained"
    assert (origin["license"], origin["channels"], origin["trainer"]) == ("CC BY 4.0", ["CT"], "nnUNetTrainer")
    assert str(tmp_path) not in json.dumps(origin)
    open_model(tmp_path / "model").edit({"action": "nothing"})
    card = export_package(tmp_path / "model", tmp_path / "model.iseg")
    assert card["license"] == "CC BY 4.0"
    import_package(tmp_path / "model.iseg", tmp_path / "again")
    assert read_summary(tmp_path / "again")["origin"] == origin
    assert list_versions(open_model(tmp_path / "again"))["origin"] == origin


def test_a_scan_with_other_channels_is_refused(scan, tmp_path):
    given = configuration(schemes=("ZScoreNormalization", "NoNormalization"))
    adopt_nnunet(write_trained(tmp_path / "trained", given=given, described=two_channels(given)), tmp_path / "model")
    with pytest.raises(DataError, match="has 1 channels, the model expects 2"):
        segment(tmp_path / "model", scan, tmp_path / "out", device="cpu")


@pytest.fixture
def teach(tmp_path):
    """Return a function that adopts a network once and teaches it the humerus of made-up shoulders."""
    write_phantom_dataset(tmp_path / "data", 3, scanner="A", structures=["humerus"], seed=1, size=(8, 32, 32))
    few = {"steps": 2, "preset": "quick", "device": "cpu", "accept": "always", "options": {"passes": 2}}

    def step(labels, method, structures="humerus"):
        given, model = configuration(spacing=[2.0, 2.0, 2.0]), tmp_path / "model"
        if not model.exists():
            adopt_nnunet(write_trained(tmp_path / "trained", given=given, described=dataset(labels)), model)
        return learn(model, tmp_path / "data", structures, method=method, **few).record

    return step


@pytest.mark.slow
@pytest.mark.parametrize(("labels", "method"), [(LABELS, None), (LABELS, "decoder"), (REGIONS, None)])
def test_what_was_adopted_is_guaranteed(labels, method, teach, scan, tmp_path):
    record, model = teach(labels, method), tmp_path / "model"
    assert record.step["method"] == (method or "adapter")
    assert bool(record.architecture.get("heads")) is (labels is LABELS)
    verdicts = {row["structure"]: row["verdict"] for row in open_model(model).document("retention")["structures"]}
    assert verdicts == dict.fromkeys(record.structures.names[:2], "guaranteed")
    now, runtime = predicted(model, scan), start("cpu")
    before = load(open_model(model), runtime, 1).predictor(runtime).predict(read_volume(scan), probability=True)
    assert len(now.mask) == len(before.mask) + 1 == 3
    for item, mask in before.mask.items():
        assert np.array_equal(mask, now.mask[item])
        assert np.array_equal(before.probability[item], now.probability[item])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("labels", "method"), [(LABELS, "lwfseg"), (LABELS, "mib"), (LABELS, "lwf"), (REGIONS, "lwfseg")]
)
def test_an_adopted_model_learns(labels, method, teach):
    record = teach(labels, method)
    assert (record.number, len(record.structures)) == (2, 3)
    with pytest.raises(ModelError, match="already knows"):
        teach(labels, method, f"{record.structures.names[0]}=humerus")


@pytest.mark.slow
def test_a_method_that_needs_mean_features_gets_them_from_scans(teach, tmp_path):
    with pytest.raises(MissingNeedError, match="left, right: none"):
        teach(LABELS, "pcdd")
    for name in ("left", "right"):
        remember_again(
            tmp_path / "model",
            tmp_path / "data",
            "pcdd",
            structures=f"{name}=humerus",
            options={"passes": 2},
            device="cpu",
        )
    assert len(teach(LABELS, "pcdd").structures) == 3


def test_nothing_else_makes_a_network_of_monai(tmp_path):
    write_phantom_dataset(tmp_path / "data", 2, scanner="A", structures=["humerus"], seed=1, size=(4, 16, 16))
    with pytest.raises(OptionError, match="cannot be taught from the start"):
        learn(tmp_path / "model", tmp_path / "data", "humerus", network="monai-unet3d", method="mib", device="cpu")
