"""A step from data to a version: what it leaves, and that a refused or broken one leaves nothing."""

import json
import logging
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import FEW, changed, spelled, tree

from IncrementalSegLib import __version__
from IncrementalSegLib.engine.scores.evaluate import evaluate
from IncrementalSegLib.engine.step import presets
from IncrementalSegLib.errors import (
    DataError,
    DeviceError,
    IncrementalSegError,
    MissingNeedError,
    ModelError,
    OptionError,
    UnknownNameError,
)
from IncrementalSegLib.preprocessing.plan import Plan
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.prepare import prepare_case
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import ModelFolder, open_model
from IncrementalSegLib.structures import StructureSpec
from IncrementalSegLib.volumes.io import read_volume, write_volume


def copy_of(data, target):
    """Copy a data set so that it may be spoiled."""
    for item in data.rglob("*"):
        if item.is_file():
            (target / item.relative_to(data)).parent.mkdir(parents=True, exist_ok=True)
            (target / item.relative_to(data)).write_bytes(item.read_bytes())
    return target


class TestVersion:
    def test_the_record_tells_the_whole_lineage(self, model, data, teach):
        result = teach(model, data / "scapula", "scapula", method="lwfseg", options=FEW | {"alpha": 0.25}, seed=11)
        record = open_model(model).record()
        assert record == result.record
        assert (record.number, record.parent, record.accepted, record.held_back_by) == (2, 1, True, ())
        assert record.structures.names == ("humerus", "scapula")
        step = json.loads(json.dumps(record.step, allow_nan=False))
        assert (step["method"], step["seed"], step["preset"], step["exemplars"]) == ("lwfseg", 11, "quick", "keep")
        assert (step["options"]["alpha"], step["options"]["recipe"], step["options"]["keep"]) == (0.25, "paper2018", 2)
        assert (step["optimiser_steps"], step["planned_steps"]) == (2, 2)
        assert (step["taught"], step["improved"]) == ([record.structures.named("scapula").id], [])
        files = sorted((data / "scapula" / "imagesTr").iterdir())
        assert [entry["sha256"] for entry in step["training"]] == [fingerprint([file]) for file in files]
        assert str(data) not in json.dumps(record.to_json())  # where the scans lie is nobody's business
        assert [entry["patient"] for entry in step["training"]] == [entry["case"] for entry in step["training"]]
        assert all(entry["looked_for"] == {step["taught"][0]: "scapula"} for entry in step["training"])
        assert len({entry["sha256"] for entry in step["training"]}) == 3
        assert (step["held_out"], record.seconds > 0) == ([], True)
        assert record.libraries["incrementalseg"] == __version__
        assert {"torch", "monai", "numpy", "simpleitk", "python"} <= set(record.libraries)
        assert record.libraries["torch"].split("+")[0] == torch.__version__.split("+")[0]

    def test_json_is_what_the_command_prints(self, tmp_path, data, teach):
        printed = json.loads(json.dumps(teach(tmp_path / "m", data / "both", "scapula, humerus").to_json()))
        assert {"version", "parent", "accepted", "held_back_by", "structures", "seconds"} <= set(printed)
        assert (printed["version"], printed["parent"], printed["accepted"]) == (1, None, True)
        assert printed["structures"] == ["scapula", "humerus"]

    def test_cases_are_held_out_and_teach_nothing(self, tmp_path, data, teach):
        seen = set()
        for seed in range(3):
            record = teach(tmp_path / str(seed), data / "both", "humerus, scapula", seed=seed).record
            training = {entry["case"] for entry in record.step["training"]}
            (aside,) = record.step["held_out"]
            assert len(training | {aside["case"]}) == 5
            kept = open_model(tmp_path / str(seed)).document("exemplars")["exemplars"]
            assert {item["case"] for item in kept} <= training
            assert all(0 <= score["validation_dice"] <= 1 for score in record.scores.values())
            assert {score["cases"] for score in record.scores.values()} == {1}
            seen.add(aside["case"])
        assert len(seen) > 1

    def test_with_three_cases_nothing_is_judged(self, taught):
        record = open_model(taught).record()
        assert record.step["held_out"] == []
        assert [score["validation_dice"] for score in record.scores.values()] == [None]

    def test_improving_adds_a_version_and_no_structure(self, model, data, teach):
        before = open_model(model).tensors("weights")
        record = teach(model, data / "both", "humerus", improve=True, method="lwfseg").record
        assert (record.number, record.structures.names) == (2, ("humerus",))
        assert record.step["improved"] == record.step["taught"] == [record.structures.ids[0]]
        assert changed(before, open_model(model).tensors("weights"))
        assert open_model(model).document("prototypes")["prototypes"][record.structures.ids[0]]["patients"] == 4

    def test_old_versions_are_not_touched(self, model, data, teach):
        before = tree(model / "versions")
        teach(model, data / "scapula", "scapula")
        after = tree(model / "versions")
        assert {name: after[name] for name in before} == before

    def test_three_dimensions(self, tmp_path, data, teach):
        record = teach(tmp_path / "m", data / "humerus", "humerus", network="unet3d", preset="quick").record
        assert record.preprocessing["dimension"] == 3
        record = teach(tmp_path / "m", data / "scapula", "scapula", method="aeiseg").record
        assert record.number == 2

    def test_official_heads_are_kept_by_later_steps(self, tmp_path, data, teach):
        official = FEW | {"recipe": "official2019"}
        teach(tmp_path / "m", data / "humerus", "humerus", options=official)
        record = teach(tmp_path / "m", data / "scapula", "scapula", method="aeiseg", options=official).record
        assert (record.architecture["config"]["head_depth"], record.architecture["config"]["head_norm"]) == (2, True)
        names = [name for name in open_model(tmp_path / "m").tensors("weights") if name.endswith("norm.running_mean")]
        assert {item.id for item in record.structures} <= {part for name in names for part in name.split(".")}

    def test_old_heads_of_finetune_are_the_bits_of_the_parent(self, model, data, teach):
        before = open_model(model).tensors("weights")
        record = teach(model, data / "scapula", "scapula", method="finetune").record
        after = open_model(model).tensors("weights")
        old = record.structures.ids[0]
        assert all(torch.equal(after[name], value) for name, value in before.items() if old in name)
        assert any(not torch.equal(after[name], value) for name, value in before.items())

    def test_the_same_seed_gives_the_same_bytes_of_everything(self, tmp_path, data, teach):
        found = []
        for name, seed in (("one", 1), ("again", 1), ("other", 2)):
            record = teach(tmp_path / name, data / "both", "humerus", seed=seed).record
            folder = open_model(tmp_path / name)
            found.append([spelled(folder.tensors(kind), record) for kind in ("weights", "exemplars", "prototypes")])
        assert all(changed(one, again) == set() for one, again in zip(found[0], found[1], strict=True))
        assert changed(found[0][0], found[2][0])

    def test_the_paper_on_a_cpu_warns_with_a_duration(self, tmp_path, data, teach, monkeypatch, caplog):
        monkeypatch.setitem(presets._PRESETS, ("paper", 2), replace(presets._PRESETS["quick", 2], name="paper"))
        with caplog.at_level(logging.WARNING, "IncrementalSegLib"):
            teach(tmp_path / "m", data / "humerus", "humerus", preset="paper", steps=2)
        assert "on a CPU" in caplog.text
        assert " s for 2 steps" in caplog.text


class TestPrivacy:
    def pieces(self, data, record):
        """Return bytes of every prepared slice: a middle row that is in no other."""
        plan = Plan.model_validate(record.preprocessing)
        for case in open_data(data).cases:
            image = prepare_case(replace(case, looked_for=frozenset()), {}, plan).image
            yield from (image[0, depth, 14:18].contiguous().numpy().tobytes() for depth in range(image.shape[1]))

    @pytest.mark.parametrize("exemplars", ["keep", "none"])
    def test_without_exemplars_no_file_holds_a_slice(self, tmp_path, data, teach, exemplars):
        record = teach(tmp_path / "m", data / "humerus", "humerus", exemplars=exemplars).record
        stored = b"".join(tree(tmp_path / "m").values())
        found = [piece for piece in self.pieces(data / "humerus", record) if piece in stored]
        kept = open_model(tmp_path / "m").tensors("exemplars")
        assert bool(found) is bool(kept) is (exemplars == "keep")
        assert record.step["exemplars"] == exemplars

    def test_prototypes_are_kept_all_the_same(self, tmp_path, data, teach):
        record = teach(tmp_path / "m", data / "humerus", "humerus", exemplars="none").record
        assert set(open_model(tmp_path / "m").tensors("prototypes")) == {record.structures.ids[0], "background"}

    def test_exemplars_of_earlier_steps_stay(self, model, data, teach):
        before = open_model(model).tensors("exemplars")
        teach(model, data / "scapula", "scapula", exemplars="none")
        after = open_model(model).tensors("exemplars")
        assert set(after) == set(before)


@pytest.fixture
def spoiled(data, tmp_path):
    """Return a function that writes a spoiled copy of the scapula data."""

    def spoil(kind):
        folder = copy_of(data / "scapula", tmp_path / kind)
        for file in sorted((folder / ("labelsTr" if kind == "empty" else "imagesTr")).iterdir()):
            volume = read_volume(file)
            array = np.zeros_like(volume.array) if kind == "empty" else volume.array.astype(np.float32)
            if kind == "nan":
                array[...] = np.nan
            if kind == "holes":
                array[:, 0] = np.nan
            write_volume(file, volume.with_array(array))
        if kind == "truncated":
            file.write_bytes(file.read_bytes()[:200])
        if kind == "gone":
            file.unlink()
        return folder

    return spoil


REFUSED = {
    "known": ({"structures": "Humerus", "data": "humerus"}, ModelError, r"already knows 'humerus'.*improve=True"),
    "unknown improved": ({"improve": True}, UnknownNameError, r"no structure called 'scapula'.*Known: humerus"),
    "not in the data": ({"structures": "clavicle"}, UnknownNameError, r"no label called 'clavicle'.*scapula"),
    "no name": ({"structures": "scapula,,x"}, OptionError, "empty name"),
    "method": ({"method": "lwfsge"}, UnknownNameError, "Did you mean 'lwfseg'"),
    "option": ({"options": {"alhpa": 1}, "method": "lwfseg"}, UnknownNameError, "Did you mean 'alpha'"),
    "value": ({"options": {"alpha": 7}, "method": "lwfseg"}, OptionError, "alpha=7"),
    "descriptor": ({"options": {"descriptor": "vgg17"}}, UnknownNameError, r"'vgg17'.*vgg16"),
    "weights": ({"options": {"descriptor_weights": "gone.safetensors"}}, IncrementalSegError, r"gone\.safetensors"),
    "preset": ({"preset": "qiuck"}, OptionError, "'quick', 'standard' or 'paper'"),
    "steps": ({"steps": 0}, OptionError, r"steps.*0"),
    "seed": ({"seed": -1}, OptionError, r"seed.*-1"),
    "device": ({"device": "gpu"}, OptionError, "'auto', 'cpu' or 'cuda'"),
    "network": ({"network": "unet3d"}, ModelError, "unet2d, not unet3d"),
    "case": ({"cases": "nobody"}, UnknownNameError, "'nobody'"),
    "data": ({"data": "nowhere"}, DataError, "is not there"),
    "empty": ({"data": "empty"}, DataError, r"[Nn]ot one voxel.*'scapula'"),
    "nan": ({"data": "nan"}, DataError, "shoulder_A_2_000"),
    "truncated": ({"data": "truncated"}, DataError, "shoulder_A_2_002"),
    "gone": ({"data": "gone"}, DataError, "shoulder_A_2_002"),
}


class TestRefused:
    @pytest.mark.parametrize("name", REFUSED)
    def test_one_clear_sentence_and_nothing_changed(self, name, model, data, teach, spoiled, tmp_path):
        more, error, message = REFUSED[name]
        place = more.get("data", "scapula")
        folder = spoiled(place) if place in ("empty", "nan", "truncated", "gone") else data / place
        before = tree(tmp_path)
        settings = {"structures": "scapula"} | {key: value for key, value in more.items() if key != "data"}
        with pytest.raises(error, match=message) as caught:
            teach(model, folder, **settings)
        assert isinstance(caught.value, IncrementalSegError)
        assert len(str(caught.value)) < 600
        assert "\n" not in str(caught.value)
        assert tree(tmp_path) == before

    @pytest.mark.parametrize("name", [name for name in REFUSED if name not in ("known", "unknown improved", "network")])
    def test_a_first_step_leaves_no_folder(self, name, data, teach, spoiled, tmp_path):
        more, error, message = REFUSED[name]
        place = more.get("data", "scapula")
        folder = spoiled(place) if place in ("empty", "nan", "truncated", "gone") else data / place
        settings = {"structures": "scapula"} | {key: value for key, value in more.items() if key != "data"}
        before = tree(tmp_path)
        with pytest.raises(error, match=message):
            teach(tmp_path / "new" / "model", folder, **settings)
        assert tree(tmp_path) == before

    def test_improving_nothing(self, data, teach, tmp_path):
        with pytest.raises(UnknownNameError, match="Known: none"):
            teach(tmp_path / "new", data / "scapula", "scapula", improve=True)
        assert list(tmp_path.iterdir()) == []

    def test_an_unknown_network(self, data, teach, tmp_path):
        with pytest.raises(UnknownNameError, match=r"'unet4d'.*unet2d, .*unet3d"):
            teach(tmp_path / "new", data / "scapula", "scapula", network="unet4d")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
    def test_a_missing_gpu(self, model, data, teach):
        before = tree(model)
        with pytest.raises(DeviceError, match="No CUDA GPU"):
            teach(model, data / "scapula", "scapula", device="cuda")
        assert tree(model) == before

    def test_missing_exemplars(self, data, teach, tmp_path):
        teach(tmp_path / "m", data / "humerus", "humerus", exemplars="none")
        before = tree(tmp_path)
        with pytest.raises(MissingNeedError, match=r"remember\(.*method=\"coriseg\""):
            teach(tmp_path / "m", data / "scapula", "scapula", method="coriseg")
        assert tree(tmp_path) == before

    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_a_model_path_that_is_something_else(self, kind, data, teach, tmp_path):
        path = tmp_path / "m"
        if kind == "folder":
            (path / "inside").mkdir(parents=True)
        (path if kind == "file" else path / "notes.txt").write_text("mine")
        before = tree(tmp_path)
        with pytest.raises(ModelError, match="not a"):
            teach(path, data / "scapula", "scapula")
        assert tree(tmp_path) == before

    def test_a_read_only_model(self, data, teach, taught, tmp_path):
        disk = tmp_path / "disk"
        disk.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("no right to mount a small disk")
        try:
            copy_of(taught, disk / "m")
            subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
            before, seen = tree(disk), []
            for model in (disk / "m", disk / "new"):
                with pytest.raises(ModelError, match="read-only"):
                    teach(model, data / "scapula", "scapula", progress=lambda phase, *_: seen.append(phase))
            assert tree(disk) == before
            assert seen == [], "said before the scans are read, not after the training"
            assert evaluate(disk / "m", data / "both", device="cpu").version == 1, "reading needs no right to write"
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)

    def test_a_training_that_diverges(self, model, data, teach, monkeypatch):
        wild = replace(presets._PRESETS["quick", 2], learning_rate=1e30)
        monkeypatch.setitem(presets._PRESETS, ("quick", 2), wild)
        before = tree(model)
        with pytest.raises(ModelError, match=r"not a finite number since step \d"):
            teach(model, data / "scapula", "scapula", method="lwfseg", steps=4)
        assert tree(model) == before

    def test_two_writers(self, model, data, teach, monkeypatch):
        before = tree(model)
        monkeypatch.setattr(ModelFolder.writing.__wrapped__, "__defaults__", (0.05,))  # seconds to wait
        with open_model(model).writing(), pytest.raises(ModelError, match="another process"):
            teach(model, data / "scapula", "scapula")
        assert tree(model) == before


class TestCancelled:
    def calls(self, model, data, teach):
        seen = []
        teach(model, data / "both", "scapula", progress=lambda phase, *_: seen.append(phase))
        return seen

    @pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
    def test_whatever_progress_raises_changes_nothing(self, error, model, data, teach, tmp_path, taught):
        phases = self.calls(Path(copy_of(taught, tmp_path / "other")), data, teach)
        assert list(dict.fromkeys(phases)) == [
            "reading",
            "training",
            "remembering",
            "checking_old",
            "saving",
        ]
        before = tree(model)
        stops = {phases.index(phase) for phase in phases} | {
            len(phases) - 1 - phases[::-1].index(phase) for phase in phases
        }
        for stop in sorted(stops):
            count = iter(range(10**6))

            def progress(phase, fraction, numbers=None, stop=stop, count=count):
                assert 0 <= fraction <= 1
                if next(count) == stop:
                    raise error("stop")

            with pytest.raises(error):
                teach(model, data / "both", "scapula", progress=progress)
            Unfinished(model).remove()  # the one thing that stays: what `resume` goes on with
            assert tree(model) == before, phases[stop]


def test_scans_with_holes_can_teach(model, data, teach, spoiled):
    """Voxels that are not finite are ignored; the rest teaches."""
    record = teach(model, spoiled("holes"), "scapula", method="lwfseg").record
    weights = open_model(model).tensors("weights")
    assert all(torch.isfinite(value).all() for value in weights.values())
    assert record.number == 2


def test_data_and_names_may_be_passed_as_objects(tmp_path, data, teach):
    dataset = open_data(data / "both")
    few = replace(dataset, cases=dataset.cases[:2])
    record = teach(tmp_path / "m", few, [StructureSpec("Upper arm", "humerus")]).record
    assert record.structures.names == ("Upper arm",)
    assert [entry["case"] for entry in record.step["training"]] == [case.id for case in few.cases]
