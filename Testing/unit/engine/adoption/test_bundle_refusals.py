"""What is unknown in a bundle, and what is hostile, is refused by its key; nothing is written."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from bundle_folders import (
    ARGMAX,
    INTENSITY,
    INVERT,
    LOADING,
    NAMES,
    ORIENTATION,
    SEGRESNET,
    SIGMOID,
    SOFTMAX,
    SPACING,
    SWINUNETR,
    THRESHOLD,
    UNET,
    WINDOWS,
    configuration,
    metadata,
    write_bundle,
)
from hostile_checkpoints import Command, Evaluated

from IncrementalSegLib.engine.adoption.bundle.adopt import adopt_bundle
from IncrementalSegLib.errors import ModelError

CROP = {"_target_": "CropForegroundd", "source_key": "@image_key"}
NAN, WISE = float("nan"), {"channel_wise": True}
NORMALIZE = {"_target_": "NormalizeIntensityd"}
PERCENTILES = {
    "_target_": "ScaleIntensityRangePercentilesd", "lower": 1, "upper": 99, "b_min": 0.0, "b_max": 1.0
}  # fmt: skip
LAMBDA = {"_target_": "Lambdad", "func": "$lambda x: x"}


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    return write_bundle(tmp_path_factory.mktemp("honest") / "bundle")


@pytest.fixture
def refused(honest, tmp_path, monkeypatch, read_in_process):
    """Return a function that changes a copy of a bundle, and asserts that it is refused and leaves nothing."""

    def check(reason, config=None, described=None, change=lambda folder: None):
        folder = shutil.copytree(honest, tmp_path / "bundle")
        for name, document in (("inference.json", config), ("metadata.json", described)):
            if document is not None:
                (folder / "configs" / name).write_text(json.dumps(document), "utf-8")
        change(folder)
        place = tmp_path / "here"
        place.mkdir()
        monkeypatch.chdir(place)
        with pytest.raises(ModelError) as refusal:
            adopt_bundle(folder, place / "model")
        assert reason in str(refusal.value)
        assert "Nothing was written" in str(refusal.value)
        assert list(place.iterdir()) == []

    return check


@pytest.mark.parametrize(
    ("reason", "network"),
    [
        ("network_def#_target_: it is 'DiNTS'", {"_target_": "DiNTS"}),
        ("it is 'scripts.nets.UNet'", UNET | {"_target_": "scripts.nets.UNet"}),
        ("it is 'os.system'", {"_target_": "os.system", "command": "true"}),
        ("it is '$print(1)'", "$print(1)"),
        ("network_def#in_channels: it is '$len(open(x))'", UNET | {"in_channels": "$len(open(x))"}),
        ("network_def#spatial_dims", UNET | {"spatial_dims": 4}),
        ("network_def#out_channels: input should be a valid integer", UNET | {"out_channels": "$max(3, 4)"}),
        ("network_def#attention", UNET | {"attention": True}),
        ("network_def#channels#0", UNET | {"channels": [10**9, 1]}),
        ("does not build a UNet", UNET | {"norm": "unknown"}),
        ("input should be a finite number, not 'nan'", UNET | {"dropout": NAN}),
        ("not 'nan'", UNET | {"norm": ["instance", {"eps": NAN}]}),
        ("eps has to be above 0", UNET | {"norm": ["batch", {"eps": -5.0}]}),
        ("4.68e+10 parameters", UNET | {"channels": [2048] * 6, "strides": [1] * 5, "kernel_size": 9}),
        ("4.63e+09 parameters", SWINUNETR | {"feature_size": 192, "mlp_ratio": 16, "depths": [32] * 4}),
    ],
)
def test_networks_that_are_not_known(reason, network, refused):
    refused(reason, configuration(network))


@pytest.mark.parametrize(
    ("reason", "before"),
    [
        ("preprocessing#transforms#2: RandFlipd is not known", (*LOADING, {"_target_": "RandFlipd"})),
        ("scripts.mine.Spacingd is not known", (*LOADING, SPACING | {"_target_": "scripts.mine.Spacingd"})),
        ("preprocessing#transforms#2: Lambdad", (*LOADING, LAMBDA)),
        ("preprocessing#transforms#3: Orientation comes twice, or after Spacing", (*LOADING, SPACING, ORIENTATION)),
        ("#transforms#2#axcodes", (*LOADING, ORIENTATION | {"axcodes": "XYZ"})),
        ("#transforms#2#mode: input should be 'bilinear', not '3'", (*LOADING, SPACING | {"mode": 3})),
        ("#transforms#2#pixdim", (*LOADING, SPACING | {"pixdim": "$tuple(1)"})),
        ("#transforms#2#diagonal", (*LOADING, SPACING | {"diagonal": True})),
        ("#transforms#3: Spacing comes after CropForeground", (*LOADING, CROP, SPACING)),
        ("#transforms#2#margin", (*LOADING, CROP | {"margin": 10})),
        ("#transforms#2#select_fn", (*LOADING, CROP | {"select_fn": "$lambda x: x > 1"})),
        ("a_min 1.0 is not below a_max 0.0", (*LOADING, INTENSITY | {"a_min": 1, "a_max": 0})),
        ("#transforms#2: _disabled_", (*LOADING, SPACING | {"_disabled_": "$not True"})),
        ("#transforms#2#pixdim", (*LOADING, SPACING | {"pixdim": []})),
        ("#transforms#2#pixdim", (*LOADING, SPACING | {"pixdim": [1, 1, 1, 1]})),
        ("#transforms#1#channel_dim", (LOADING[0], LOADING[1] | {"channel_dim": 0})),
        ("nothing gives a scan an axis of channels", (LOADING[0], INTENSITY)),
        ("only if channel_wise is true", (*LOADING, NORMALIZE | {"subtrahend": [1, 2], "divisor": [3, 4]})),
        ("numbers for 2 channels, and the network sees 1", (*LOADING, NORMALIZE | {"divisor": [3, 4], **WISE})),
        ("lower 99.0 is not below upper 1.0", (*LOADING, PERCENTILES | {"lower": 99, "upper": 1})),
        ("b_min and b_max are given together", (*LOADING, PERCENTILES | {"b_max": None})),
    ],
)
def test_preprocessing_that_is_not_known(reason, before, refused):
    refused(reason, configuration(before=before))


def test_several_images_are_refused(refused):
    config = configuration()
    config["preprocessing"]["transforms"][0]["keys"] = ["image", "label"]
    refused("preprocessing#transforms#0#keys: it is ['image', 'label']", config)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("postprocessing: it does not say", {"after": (INVERT,)}),
        ("postprocessing#transforms#1: Lambdad changes the scores", {"after": (SOFTMAX, LAMBDA, ARGMAX)}),
        ("takes neither", {"after": (SIGMOID, THRESHOLD | {"threshold": 0.3})}),
        ("does not say", {"after": (SIGMOID, ARGMAX)}),
        ("CropForeground was used", {"before": (*LOADING, CROP), "after": (INVERT, SIGMOID, THRESHOLD)}),
        ("inferer#_target_: it is 'SimpleInferer'", {"inferer": {"_target_": "SimpleInferer"}}),
        ("inferer#roi_size", {"inferer": WINDOWS | {"roi_size": [-1, 16, 16]}}),
        ("inferer#roi_size: windows have 2 axes", {"inferer": WINDOWS | {"roi_size": [16, 16]}}),
        ("cannot be halved", {"inferer": WINDOWS | {"roi_size": [18, 16, 16]}}),
        ("a window has at most", {"inferer": WINDOWS | {"roi_size": 4096}}),
        ("inferer#overlap", {"inferer": WINDOWS | {"overlap": 1.0}}),
        ("bundle_root: it is '/etc'", {"bundle_root": "/etc"}),
        ("bundle_root: it is '..'", {"bundle_root": ".."}),
        ("bundle_root: it is '$os.getcwd()'", {"bundle_root": "$os.getcwd()"}),
        ("preprocessing: it is missing", {"preprocessing": None}),
        ("nothing gives a scan", {"preprocessing": {"_target_": "Compose", "_disabled_": True, "transforms": []}}),
        ("preprocessing: _disabled_", {"preprocessing": {"_target_": "Compose", "_disabled_": "$x", "transforms": []}}),
        ("inferer#_disabled_", {"inferer": WINDOWS | {"_disabled_": True}}),
        ("inferer#sigma_scale", {"inferer": WINDOWS | {"sigma_scale": 1e-300}}),
        ("inferer#overlap", {"inferer": WINDOWS | {"overlap": "$1.5 + " + "9" * 400}}),
        ("refers to labels#9", {"inferer": WINDOWS | {"overlap": "@labels#" + "9" * 5000}}),
        ("refers to list#9", {"list": [1], "inferer": WINDOWS | {"overlap": "@list#" + "9" * 5000}}),
        ("dataset#transform: it is another one", {"dataset": {"transform": {"_target_": "Compose"}}}),
        ("evaluator#inferer: it is another one", {"evaluator": {"inferer": WINDOWS | {"overlap": 0.1}}}),
        ("evaluator#prepare_batch: it is $scripts.mine", {"evaluator": {"prepare_batch": "$scripts.mine"}}),
    ],
)
def test_other_parts_that_are_not_known(reason, changes, refused):
    refused(reason, configuration(**changes))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "$@bundle_root + '/../x.pt'", "../model.pt", "C:/model.pt", "a\\b.pt", "$os.environ['X']"]
)
def test_weights_elsewhere_are_not_read(path, refused):
    loader = {"_target_": "CheckpointLoader", "load_path": path, "load_dict": {"model": "@network"}}
    refused("checkpointloader#load_path", configuration(checkpointloader=loader))


def _counted(outputs):
    found = metadata()
    found["network_data_format"]["outputs"]["pred"]["num_channels"] = outputs
    return found


@pytest.mark.parametrize(
    ("reason", "described"),
    [
        ("it names 0, 1, and the network has the outputs 0 to 2", metadata(NAMES[:2])),
        ("it names 0, 1, 2, 3", metadata((*NAMES, "kidney"))),
        ("none of them is the background", metadata(("liver", "spleen", "kidney"))),
        ("1 of them is the background", metadata(("liver", "background", "spleen"))),
        ("two of its labels are called 'liver'", metadata(("background", "liver", "liver"))),
        ("no proper name", metadata(("background", "liver", " "))),
        ("num_channels: it is 2, and the network sees 1", metadata(channels=2)),
        ("outputs#pred#num_channels: it is 7, and the network has 3", _counted(7)),
        ("network_data_format#outputs#pred: field required", {"name": "nothing"}),
    ],
)
def test_metadata_that_does_not_fit(reason, described, refused):
    refused(reason, described=described)


def _weights(change):
    def apply(folder):
        path = folder / "models" / "model.pt"
        saved = torch.load(path, weights_only=True)
        saved = change(saved) or saved
        torch.save(saved, path)

    return apply


def _last(change):
    name = "model.2.1.conv.unit0.conv.weight"
    return _weights(lambda saved: saved.update({name: change(saved[name])}))


def _script(folder):
    (folder / "models" / "model.pt").rename(folder / "models" / "model.ts")


HOSTILE = {
    "code": ("does not write", _weights(lambda saved: saved.update(x=Command()))),
    "code beside": ("does not write", _weights(lambda saved: {"model": saved, "x": Evaluated()})),
    "nan": ("NaN", _last(lambda old: old * float("nan"))),
    "double": ("an infinity in single precision", _last(lambda old: old.double() * 1e300)),
    "shape": ("instead of", _last(lambda old: old[:2])),
    "scalar": ("instead of", _last(lambda old: torch.tensor(1.0))),
    "missing": ("is missing", _weights(lambda saved: saved.pop("model.2.1.conv.unit0.conv.weight") is None)),
    "unknown": ("is unknown", _weights(lambda saved: saved.update(extra=torch.zeros(1)))),
    "expanded": ("claims", _last(lambda old: old[:1, :1].expand(10**5, 10**5, *old.shape[2:]))),
    "text": ("no plain tensor", _last(lambda old: "weights")),
    "list": ("no weights by name", _weights(lambda saved: [1])),
    "complex": ("has the type torch.complex64", _last(lambda old: old.to(torch.complex64))),
    "truncated": ("not the zip archive", lambda folder: (folder / "models" / "model.pt").write_bytes(b"PK\x03\x04x")),
    "torchscript": ("is TorchScript", _script),
    "no weights": ("holds no ./models/model.pt", lambda folder: (folder / "models" / "model.pt").unlink()),
    "no config": ("holds none of inference.json", lambda folder: (folder / "configs" / "inference.json").unlink()),
    "no metadata": ("holds no configs/metadata.json", lambda folder: (folder / "configs" / "metadata.json").unlink()),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_weights_are_refused_and_leave_nothing(kind, refused):
    reason, change = HOSTILE[kind]
    refused(reason, change=change)


def test_a_link_out_of_the_bundle_is_not_followed(refused, tmp_path):
    def link(folder):
        (tmp_path / "elsewhere.pt").write_bytes((folder / "models" / "model.pt").read_bytes())
        (folder / "models" / "model.pt").unlink()
        (folder / "models" / "model.pt").symlink_to(tmp_path / "elsewhere.pt")

    refused("a link that leads out", change=link)


def test_weights_of_another_network(refused):
    refused("do not fit the network", configuration(SEGRESNET))


def test_the_child_refuses_too(honest, tmp_path):
    folder = shutil.copytree(honest, tmp_path / "bundle")
    HOSTILE["code"][1](folder)
    with pytest.raises(ModelError, match="does not write"):
        adopt_bundle(folder, tmp_path / "model")
    assert not (tmp_path / "model").exists()
