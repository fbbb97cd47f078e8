"""Corrections of one image after another: which images, what is measured, and what the tables say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from organs import small_networks

from IncrementalSegLib.engine.correct import PROPAGATE_ONLY
from IncrementalSegLib.engine.session import learner
from IncrementalSegLib.errors import DataError, UnknownNameError
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.progress import silent
from IncrementalSegLib.sampling.cases import Case, Dataset
from Testing.benchmarks.archive import read_archive
from Testing.benchmarks.corrections import count_voxels, draw_images, mean_iou, weighted_iou
from Testing.benchmarks.protocol import Protocol, Session
from Testing.benchmarks.protocols.clis2021 import MEASURES, PAPER, against, pairs
from Testing.benchmarks.runs import Chain, Runner
from Testing.benchmarks.summary import read_results, write_summary
from Testing.benchmarks.variants import find_variants

SHORT = replace(
    PAPER.find("phantom"),
    data=replace(PAPER.find("phantom").data, test_volumes=3, volumes=2, size=(2, 24, 24)),
    session=Session(tasks=3, spots=2, rounds=1, forward=2),
)
SHORT = replace(SHORT, stages=tuple(replace(stage, steps=2) for stage in SHORT.stages))


def chains(methods: str, protocol: Protocol = SHORT, seed: int = 0) -> list[Chain]:
    return [Chain(protocol, variant, seed) for variant in find_variants(methods, protocol)]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("skimage")
    folder = tmp_path_factory.mktemp("clis2021")
    with pytest.MonkeyPatch.context() as patch:
        small_networks(patch)
        patch.setattr(learner, "_PHASE", TrainingPhase("correct", freeze_norm=True))  # moves enough to be seen
        for chain in chains(f"{PROPAGATE_ONLY},finetune-softmax,clis"):
            Runner(folder, None, "cpu", silent).run(chain)
    return folder


def images(count: int) -> Dataset:
    return Dataset("d", Path(), ("a",), tuple(Case(f"c{i:02}", f"c{i:02}", (), frozenset()) for i in range(count)))


def test_consecutive_sequences_share_no_image_until_all_were_drawn() -> None:
    drawn = [[case.id for case in draw_images(images(17), Session(tasks=5), seed)] for seed in range(6)]
    assert all(len({name for one in turn for name in one}) == 15 for turn in (drawn[:3], drawn[3:]))
    assert drawn[:3] != drawn[3:]
    with pytest.raises(DataError, match="needs 18 test images; there are 17"):
        draw_images(images(17), Session(tasks=18), 0)


def test_iou_is_that_of_the_confusion_matrix() -> None:
    random = np.random.default_rng(3)
    truth, found = random.integers(0, 3, (2, 3, 20, 20))
    found = np.where(random.random(found.shape) < 0.6, truth, found)
    structures = [SimpleNamespace(id=name, name=name) for name in ("a", "b")]
    sides = ({"a": side == 1, "b": side == 2} for side in (found, truth))
    counts = count_voxels(*sides, SimpleNamespace(structures=structures))
    matrix = np.histogram2d(truth.ravel(), found.ravel(), bins=3)[0]
    iou = np.diag(matrix) / (matrix.sum(0) + matrix.sum(1) - np.diag(matrix))
    assert mean_iou(counts) == pytest.approx(iou.mean())
    assert weighted_iou(counts) == pytest.approx((matrix.sum(1) / matrix.sum() * iou).sum())


def test_what_occurs_neither_in_truth_nor_outline_has_no_iou() -> None:
    assert mean_iou({"a": [0, 0, 0], "background": [5, 10, 5]}) == 0.5
    assert weighted_iou({"a": [0, 5, 0], "background": [5, 5, 10]}) == 0.5


def test_outlines_are_measured_before_and_after_and_without_strokes(out: Path) -> None:
    results = read_archive(out)
    still, taught = (results[f"phantom-{name}-seed0"]["tasks"] for name in (PROPAGATE_ONLY, "finetune-softmax"))
    assert [task["case"] for task in still] == [task["case"] for task in taught]
    assert [[name for name in MEASURES if name in task] for task in still] == [
        ["first", "basic", "backward"],
        ["first", "basic", "backward"],
        ["first", "basic", "forward"],
    ]
    assert all(
        task[name] == task["start"] for task in still for name in ("first", "forward", "backward") if name in task
    )
    assert [task["start"] for task in taught] == [task["start"] for task in still]
    assert taught[0]["first"] == taught[0]["start"]
    assert taught[-1]["forward"] == taught[-1]["first"]  # nothing was learned between the two
    assert any(task["backward"] != task["start"] for task in taught[:-1])
    assert all(task["painted"] > 0 and task["basic"] != task["first"] for task in still)


def test_methods_share_what_begins_them_unless_they_need_more(out: Path) -> None:
    assert len(list((out / ".first").iterdir())) == 2  # of the softmax, and of clis
    assert not list((out / ".work").iterdir())
    begun = {chain.variant.name: chain.variant.begins for chain in chains(f"{PROPAGATE_ONLY},mib,clis")}
    assert begun == {PROPAGATE_ONLY: "finetune-softmax", "mib": "finetune-softmax", "clis": "clis"}
    with pytest.raises(UnknownNameError, match="offline"):
        chains("offline")


def test_sequences_of_different_images_begin_from_one_model() -> None:
    skin = PAPER.find("skin")
    assert [chains("mib", skin, seed)[0].training_seed for seed in (0, 4, 5, 9)] == [0, 0, 1, 1]
    assert chains("mib", PAPER.find("skin-validation"), 4)[0].training_seed == 4  # of the same images in another order


def test_a_finished_sequence_is_not_run_again(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read_archive(out)
    monkeypatch.setattr("Testing.benchmarks.runs.correct_images", lambda *_: pytest.fail("run again"))
    Runner(out, None, "cpu", silent).run(chains("clis")[0])
    assert read_archive(out) == before


def test_differences_are_paired_by_image_and_sequence(out: Path) -> None:
    (results,) = read_results(out, PAPER)
    still, taught = results.outcomes[PROPAGATE_ONLY], results.outcomes["finetune-softmax"]
    change = against(taught, still, "backward")
    assert change is not None
    gaps = [pairs(taught, "backward")[key] - value for key, value in pairs(still, "backward").items()]
    assert change.points == pytest.approx(100 * sum(gaps) / 2)
    text = write_summary(out, PAPER).read_text("utf-8")
    assert "| clis raises later outlines" in text
    assert "TOO FEW SEEDS" in text
    rows = [line for line in text.splitlines() if line.startswith(f"| {PROPAGATE_ONLY} ")]
    assert len(rows) == 2  # of both kinds of IoU; it is not compared with itself
    assert [len(row.split("|")) for row in rows] == [9, 7]


@pytest.mark.parametrize("name", ["skin-best", "skin-validation-error", "liver"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UnknownNameError, match="protocol"):
        PAPER.find(name)


def test_a_protocol_is_chosen_alone_though_its_group_has_its_name() -> None:
    assert [item.name for item in PAPER.choose(["skin"], with_data=True)] == ["skin"]


def test_a_name_says_what_is_corrected_first_and_on_which_images() -> None:
    found = PAPER.find("skin-error-validation")
    assert found.session is not None
    assert (found.session.guidance, found.validation) == ("error", True)
    assert found.setting() != PAPER.find("skin-validation").setting()
