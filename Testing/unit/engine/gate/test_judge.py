"""The gate on real models and scans: what judges, what is a proxy and why, what is held back."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from dicoms import write_series
from scans import write_dataset
from tiny import tree

from IncrementalSegLib.engine.compare.retention import gate
from IncrementalSegLib.engine.gate.scans import KIND, RetentionCopies, find_retention_scans
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.errors import IncrementalSegError
from IncrementalSegLib.evaluation.limits import Limits
from IncrementalSegLib.evaluation.verdicts import Witnesses
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.sampling.reading import read_case
from IncrementalSegLib.store.edits import rename_structure
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.volumes.io import read_volume, write_volume
from IncrementalSegLib.volumes.volume import Volume

FEW = {"passes": 2, "candidates": 4, "keep": 2}


@pytest.fixture(scope="module")
def liver(small_presets, tmp_path_factory) -> Path:
    """A folder with ten scans, ``data``, and a model that learned the liver of them, ``model``."""
    folder = tmp_path_factory.mktemp("gate")
    write_dataset(folder / "data", 10)
    learn(folder / "model", folder / "data", "liver", preset="quick", steps=60, options=FEW, device="cpu")
    return folder


@pytest.fixture
def world(liver, tmp_path) -> Path:
    """A copy of it that may be changed; the model's scans lie in the copy."""
    shutil.copytree(liver, tmp_path, dirs_exist_ok=True)
    folder = open_model(tmp_path / "model")
    moved = json.loads(json.dumps(folder.document("history")).replace(str(liver), str(tmp_path)))
    folder.edit({"action": "move"}, documents={"history": moved})
    return tmp_path


def edit(world, tensors=None, **documents):
    """Write a version that differs in documents, and in a weight by so little that every mask stays as it is."""
    folder = open_model(world / "model")
    weights = folder.tensors("weights")
    (name,) = (name for name in weights if name.endswith("score.bias"))
    nudged = {"weights": weights | {name: weights[name] * (1 + 1e-6)}}
    return folder.edit({"action": "test"}, tensors=nudged | (tensors or {}), documents=documents)


def damage(world):
    """Write a version whose head finds nothing any more."""
    folder = open_model(world / "model")
    weights = folder.tensors("weights")
    (name,) = (name for name in weights if name.endswith("score.bias"))
    return folder.edit({"action": "test"}, tensors={"weights": weights | {name: torch.tensor([30.0, -30.0])}})


def aside(world) -> list[Case]:
    """Return the cases that were held out."""
    (step,) = History.of(open_model(world / "model")).steps
    names = {entry["case"] for entry in step["held_out"]}
    return [case for case in open_data(world / "data").cases if case.id in names]


def only_row(world, **more):
    (row,) = gate(world / "model", device="cpu", **more).report.rows
    return row


def test_the_same_masks_lose_nothing(world):
    edit(world)
    found = gate(world / "model", device="cpu")
    (row,) = found.report.rows
    assert (found.version, found.against) == (3, 2)
    assert (row.kind, row.verdict, row.drop, row.structure) == ("measured", "kept", 0.0, "liver")
    assert {score.case for score in row.after} == {case.id for case in aside(world)}
    assert row.after[0].dice > 0.6, "the model must know something for these tests to say something"
    assert row.assd_change_mm == 0


def test_a_damaged_head_is_held_back_and_its_page_shows_it(world):
    damage(world)
    before = tree(world / "model")
    found = gate(world / "model", device="cpu", report=world / "page")
    assert found.report.held_back_by == ("liver",)
    (row,) = found.report.rows
    assert (row.verdict, row.kind) == ("harmed", "measured")
    assert [score.missed for score in row.after] == [True, True]
    text = found.page.read_text(encoding="utf-8")
    assert "Would be held back: liver lost" in text
    assert text.count("<img ") == 6  # truth, before and after in two scans
    assert [item.name for item in found.page.parent.iterdir()] == ["report.html"]
    assert tree(world / "model") == before
    assert gate(world / "model", device="cpu", limits=Limits(harm=100, unsure=1, mean=100)).report.held_back_by == ()
    back = gate(world / "model", 2, against=3, device="cpu").report
    assert (back.rows[0].verdict, back.held_back_by) == ("improved", ())


def test_a_moved_scan_makes_a_proxy_unless_it_is_found(world):
    damage(world)
    (world / "data").rename(world / "elsewhere")
    row = only_row(world)
    assert (row.kind, row.basis, row.verdict) == ("proxy", "exemplars", "harmed")
    assert "is not where it was" in row.note
    assert all(0.5 < score.dice < 1 for score in row.before)  # against what was outlined, not against itself
    assert all(score.seen_in_training for score in row.after)
    found = only_row(world, data=world / "elsewhere")
    assert (found.kind, found.note, len(found.after)) == ("measured", "", 2)


def test_one_lost_scan_of_two_is_said(world):
    edit(world)
    lost, left = aside(world)
    lost.images[0].unlink()
    row = only_row(world)
    assert (row.kind, [score.case for score in row.after]) == ("measured", [left.id])
    assert row.note == f"{lost.id} is not where it was"


@pytest.mark.parametrize(("which", "what"), [("images", "contents"), ("labels", "outlines")])
def test_a_changed_scan_makes_a_proxy(world, which, what):
    edit(world)
    for case in aside(world):
        path = world / "data" / which / f"{case.id}.nii.gz"
        image = sitk.ReadImage(str(path))
        image[0, 0, 0] = 1
        sitk.WriteImage(image, str(path))
    row = only_row(world)
    assert (row.kind, row.basis) == ("proxy", "exemplars")
    assert f"has other {what} now" in row.note


def test_a_copy_judges_after_the_original_is_gone(world):
    ids = {"liver": open_model(world / "model").record().structures.named("liver").id}
    copies = RetentionCopies()
    for case in aside(world):
        copies = copies.with_case(replace(case, looked_for=frozenset(ids)), ids)
    document, tensors = copies.to_files()
    edit(world, {KIND: tensors}, **{KIND: document})
    measured = only_row(world)
    volume, masks = read_case(aside(world)[0])
    shutil.rmtree(world / "data")
    row = only_row(world)
    assert row.kind == "measured"
    assert row == measured  # bit for bit what the scans themselves gave
    again = RetentionCopies.of(open_model(world / "model"))
    (key, *_) = again.scans
    copied, outlined = again.read(key, [ids["liver"]])
    assert copied.grid == volume.grid
    assert copied.array.dtype == volume.array.dtype
    assert np.array_equal(copied.array, volume.array)
    assert np.array_equal(outlined[ids["liver"]], masks["liver"])


def test_a_copy_keeps_what_a_dicom_file_declares_as_padding(tmp_path):
    def change(index, header):
        header.PixelPaddingValue = 2000

    array = np.arange(120, dtype=np.int16).reshape(4, 5, 6) + 1
    array[:, :2] = 2000
    series = write_series(tmp_path / "s", array, change=change)
    write_volume(tmp_path / "l.nii.gz", Volume(array[np.newaxis] % 2, read_volume(series).grid))
    case = Case(
        id="c",
        patient="c",
        images=(series,),
        looked_for=frozenset({"a"}),
        label=tmp_path / "l.nii.gz",
        values={"a": (1,)},
    )
    copies = RetentionCopies().with_case(case, {"a": "x"})
    document, tensors = copies.to_files()
    (key,) = copies.scans
    copied, _ = RetentionCopies(json.loads(json.dumps(document))["scans"], tensors).read(key, ["x"])
    assert copied.padding == (2000,)


def test_an_incomplete_copy_does_not_end_the_judgement(world):
    edit(world)
    ids = {"liver": open_model(world / "model").record().structures.named("liver").id}
    case = aside(world)[0]
    copies = RetentionCopies().with_case(replace(case, looked_for=frozenset(ids)), ids)
    document, tensors = copies.to_files()
    shutil.rmtree(world / "data")
    half = {name: tensor for name, tensor in tensors.items() if not name.endswith("image")}
    edit(world, {KIND: half}, **{KIND: document})
    row = only_row(world)
    assert (row.kind, row.basis) == ("proxy", "exemplars")
    assert "cannot be used" in row.note


def test_few_scans_that_leave_a_doubt_are_checked_against_exemplars_and_agreement(world):
    damage(world)
    row = only_row(world, limits=Limits(harm=100, unsure=1, mean=100))  # any loss leaves a doubt
    assert row.verdict == "unsure"
    assert row.witnesses.exemplars > 50
    assert row.witnesses.differ == 100
    assert "two of two scans lost up to" in row.why
    assert "outlines of both versions agree at Dice 0.00 on the exemplars" in row.why
    edit(world)
    same = only_row(world, version=4, against=3)
    assert (same.verdict, same.witnesses) == ("kept", Witnesses())


class TestProxies:
    def without_scans(self, world):
        history = open_model(world / "model").document("history")
        history["steps"][0]["held_out"] = []
        edit(world, history=history)

    def test_no_scan_was_held_out(self, world):
        self.without_scans(world)
        damage(world)
        row = only_row(world)
        assert (row.basis, row.verdict) == ("exemplars", "harmed")
        assert row.note == "by exemplars it was trained on, because no scan was held out for it"

    def test_agreement_where_exemplars_have_no_outlines(self, world):
        self.without_scans(world)
        folder = open_model(world / "model")
        document, tensors = folder.document("exemplars"), folder.tensors("exemplars")
        for name in document["outlined"]:
            document["outlined"][name] = []
            tensors[f"{name}.masks"] = tensors[f"{name}.masks"][:0]
        for item in document["exemplars"]:
            item["labelled"] = False
        folder.edit({"action": "test"}, tensors={"exemplars": tensors}, documents={"exemplars": document})
        edit(world)
        assert (only_row(world).basis, only_row(world).verdict) == ("agreement", "kept")
        damage(world)
        row = only_row(world)
        assert (row.basis, row.verdict) == ("agreement", "harmed")
        assert "agrees with the version before at Dice 0.00" in row.why
        assert row.note.startswith("by agreement on exemplars")

    def test_nothing_to_judge_by(self, world):
        self.without_scans(world)
        empty = {"exemplars": [], "outlined": {}, "budget": None}
        folder = open_model(world / "model")
        folder.edit({"action": "test"}, tensors={"exemplars": {}}, documents={"exemplars": empty})
        damage(world)
        row = only_row(world)
        assert (row.basis, row.verdict, row.drop) == ("nothing", "unsure", None)


class TestAbsentWhereItIsJudged:
    """Scans were held out, and the structure is in none of them."""

    def blank(self, world, count=2):
        """Empty the label of the held-out scans, and let the history know them so."""
        history = open_model(world / "model").document("history")
        for entry in history["steps"][0]["held_out"][:count]:
            path = Path(entry["label"])
            sitk.WriteImage(sitk.ReadImage(str(path)) * 0, str(path))
            entry["labels_sha256"] = fingerprint([path])
        edit(world, history=history)

    def shout(self, world, bias=30.0):
        """Write a version whose head finds the structure everywhere."""
        weights = open_model(world / "model").tensors("weights")
        (name,) = (name for name in weights if name.endswith("score.bias"))
        return edit_weights(world, weights | {name: torch.tensor([-bias, bias])})

    def test_the_exemplars_judge_what_was_forgotten(self, world):
        self.blank(world)
        damage(world)
        found = gate(world / "model", device="cpu").report
        (row,) = found.rows
        assert (row.basis, row.verdict, found.held_back_by) == ("exemplars", "harmed", ("liver",))
        assert row.note == "by exemplars it was trained on, because no held-out scan shows it (not in 2 scans)"

    def test_the_exemplars_judge_what_was_kept(self, world):
        self.blank(world)
        edit(world)
        row = only_row(world)
        assert (row.basis, row.verdict, row.drop) == ("exemplars", "kept", 0.0)

    def test_one_scan_that_shows_it_is_enough(self, world):
        self.blank(world, count=1)
        damage(world)
        row = only_row(world)
        assert (row.kind, row.verdict, row.change.cases) == ("measured", "harmed", 1)
        assert "not in 1 scan" in row.why

    def test_a_scan_that_cannot_be_read_is_named_beside_it(self, world):
        self.blank(world, count=1)
        damage(world)
        Path(open_model(world / "model").document("history")["steps"][0]["held_out"][1]["images"][0]).unlink()
        row = only_row(world)
        assert (row.basis, row.verdict) == ("exemplars", "harmed")
        assert "no held-out scan shows it (not in 1 scan); " in row.note
        assert row.note.endswith("is not where it was")

    def test_what_is_found_where_it_is_absent_is_not_called_kept(self, world):
        self.blank(world)
        damage(world)
        self.shout(world)
        row = only_row(world, version=5, against=4)
        assert row.verdict == "unsure", row.why
        assert "of which 2 now show it" in row.note


def edit_weights(world, weights):
    return open_model(world / "model").edit({"action": "test"}, tensors={"weights": weights})


def test_a_new_name_is_the_same_structure(world):
    rename_structure(open_model(world / "model"), "liver", "Leber")
    row = only_row(world)
    assert (row.structure, row.basis, row.verdict) == ("Leber", "weights", "guaranteed")


def test_a_scan_that_taught_one_of_the_versions_does_not_judge(world):
    history = open_model(world / "model").document("history")
    history["steps"][0]["training"].append(history["steps"][0]["held_out"][0])
    edit(world, history=history)
    edit(world)
    row = only_row(world, version=4, against=2)
    assert len(row.after) == 1
    assert row.note.endswith("is a training scan of one of the versions")
    assert only_row(world, version=2, against=3).note == row.note  # whichever of the two it taught


def test_a_scan_held_out_twice_judges_each_structure_by_its_own_outlines():
    scan = {"case": "c1", "patient": "p", "sha256": "f" * 64}
    steps = [
        {"held_out": [scan | {"looked_for": {"a": "liver"}}], "training": []},
        {"held_out": [scan | {"looked_for": {"b": "spleen"}}], "training": []},
        {"held_out": [scan | {"sha256": "0" * 64, "looked_for": {"a": "liver"}}], "training": []},
    ]
    found = find_retention_scans(History(tuple(steps)), ["a", "b"], RetentionCopies())
    assert found.scans == ()
    words = "was kept neither by its place nor as a copy"
    assert found.missing == {"a": (f"c1 {words}", f"c1 (000000) {words}"), "b": (f"c1 {words}",)}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"version": 1}, "cannot be judged against nothing"),
        ({"version": 2, "against": 2}, "cannot be judged against itself"),
        ({"version": 9}, "'9'"),
        ({"data": "nowhere"}, "not there"),
    ],
)
def test_what_cannot_be_judged_is_refused(world, more, message):
    with pytest.raises(IncrementalSegError, match=message):
        gate(world / "model", device="cpu", **more)


def test_a_candidate_that_knows_one_more_structure(world, small_presets):
    scan = Path(aside(world)[0].images[0])
    learn(
        world / "model", world / "data", "spleen", method="separate", preset="quick", steps=2, options=FEW, device="cpu"
    )
    scan.unlink()  # nothing is scored
    found = gate(world / "model", device="cpu", report=world / "page")
    (row,) = found.report.rows
    assert (row.structure, row.verdict, row.kind, row.drop) == ("liver", "guaranteed", "guaranteed", None)
    assert found.report.sentence == "Guaranteed: no weight has changed that liver depends on."
    assert found.notes == {}
    assert "<b>guaranteed</b>" in found.page.read_text(encoding="utf-8")
    folder = open_model(world / "model")
    weights, statistic = folder.tensors("weights"), "trunks.0.down.0.0.adn.N.running_mean"
    edit_weights(world, weights | {statistic: weights[statistic] + 1e-6})
    bases = {row.structure: row.basis for row in gate(world / "model", device="cpu").report.rows}
    assert bases["spleen"] == "weights"
    assert bases["liver"] != "weights"


def test_a_copy_keeps_where_nobody_looked(world):
    (case, *_) = aside(world)
    values = {"liver": (1,), "ignore": (2,)}
    kept = RetentionCopies().with_case(replace(case, looked_for=frozenset({"liver"}), values=values), {"liver": "x"})
    volume, masks = kept.read(next(iter(kept.scans)), ["x"])
    expected = sitk.GetArrayFromImage(sitk.ReadImage(str(case.label))) == 2
    assert expected.any()
    assert np.array_equal(volume.unlabelled, expected)
    assert list(masks) == ["x"]
