"""What is seen of a training while it runs: new structures, the worst change of an old one, pictures."""

import itertools
import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk
import torch
from tiny import BAR, DISC, FEW, SQUARE, cases, changed, exemplars, plan, segmenter, spelled

from IncrementalSegLib.engine.gate.scans import RetentionCopies
from IncrementalSegLib.engine.history import History
from IncrementalSegLib.engine.learn import learn, resume
from IncrementalSegLib.engine.scores.scoring import Validation, validate
from IncrementalSegLib.engine.step import monitor as module
from IncrementalSegLib.engine.step.monitor import MOST_SCANS, OldStructures, TrainingMonitor, chosen_scans
from IncrementalSegLib.progress import Stop
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import Structure, StructureList

STEP = {"method": "finetune", "options": FEW, "preset": "quick", "seed": 1, "device": "cpu", "accept": "never"}
NAMES = StructureList(
    tuple(Structure(item, name, 1, (1, 2, 3)) for item, name in ((DISC, "disc"), (SQUARE, "square"), (BAR, "bar")))
)


class Seen(list):
    """Note what is told."""

    def __call__(self, fraction, dice, worst, pictures):
        self.append((fraction, dice, worst, pictures))


class Finds:
    """Find each structure, shifted by some voxels along W, and count the scans seen."""

    def __init__(self, scans, **shift):
        self.scans, self.shift, self.calls, self.plan = scans, shift, 0, plan()

    def masks(self, image, structures, progress):
        self.calls += 1
        (one,) = (one for one in self.scans if one.image is image or torch.equal(one.image, image))
        return torch.stack([one.mask(item).bool().roll(self.shift.get(item, 0), -1) for item in structures])


def monitor(after, past, seen, clock=lambda: 0.0, folder=None, training=()):
    return TrainingMonitor(
        tell=seen, names=NAMES, new=(BAR,), after=after, past=past, training=training, folder=folder, clock=clock
    )


@pytest.fixture(scope="module")
def memory():
    """Exemplars of two structures."""
    return exemplars(segmenter((DISC, SQUARE)), (DISC, SQUARE), cases((DISC, SQUARE)))


def past_of(memory, before):
    return OldStructures((DISC, SQUARE), before, History(), RetentionCopies, memory)


def test_the_worst_change_is_that_of_the_structure_that_lost_most(memory):
    pieces = list(memory.scans.values())
    seen, before = Seen(), Finds(pieces, **{DISC: 1})
    after = Finds(pieces, **{DISC: 1, SQUARE: 4})
    monitor(after, past_of(memory, before), seen).on_validation(validate(after, cases((BAR,)), ()), 0.5)
    ((_, _, (name, points), _),) = seen
    alone = [validate(Finds(pieces, **{SQUARE: shift}), pieces, [SQUARE]).mean for shift in (0, 4)]
    assert (name, points) == ("square", pytest.approx(100 * (alone[1] - alone[0])))
    assert points < -20


def test_what_is_read_once_is_looked_at_again_only_while_it_is_cheap(memory):
    pieces = list(memory.scans.values())
    now, seen, before, after = [0.0], Seen(), Finds(pieces), Finds(pieces, **{DISC: 2})
    real = after.masks

    def slow(*args):
        now[0] += 10.0
        return real(*args)

    after.masks = slow
    looks = monitor(after, past_of(memory, before), seen, lambda: now[0])
    nothing = validate(before, [], ())
    for fraction in (0.1, 0.2, 0.9):
        now[0] += 100.0 if fraction < 0.5 else 10000.0
        looks.on_validation(nothing, fraction)
    assert [worst is None for _, _, worst, _ in seen] == [False, True, False]
    assert before.calls == after.calls / 2


def test_a_picture_shows_the_same_case_each_time(tmp_path):
    scans, seen = cases((BAR,), 2), Seen()
    after = Finds(scans)
    looks = monitor(after, None, seen, folder=tmp_path, clock=itertools.count().__next__)
    for _ in range(6):
        found = validate(after, scans, (BAR,), on_mask=looks.on_mask)
        looks.on_validation(found, 0.5)
    for number in (0, 5):
        ((_, caption),) = seen[number][3].values()
        assert caption.startswith(f"bar in {scans[0].id}, Dice 1.00.")
    assert not any(pictures for *_, pictures in seen[1:5])  # one takes a second, so that ten go by


def test_pictures_that_are_drawn_at_once_keep_up_with_the_scores(tmp_path):
    scans, seen = cases((BAR,), 2), Seen()
    looks = monitor(Finds(scans), None, seen, folder=tmp_path, training=scans)  # its clock stands still
    for _ in range(2):
        looks.on_validation(Validation(), 0.5)
    assert all(pictures for *_, pictures in seen)


def test_the_first_step_has_no_old_structure():
    seen = Seen()
    monitor(Finds([]), None, seen).on_validation(validate(Finds([]), [], ()), 0.5)
    assert seen == [(0.5, {}, None, {})]


def test_few_scans_of_each_structure_are_read_in_turns():
    def entry(number, *structures):
        return {"sha256": f"{number:02}", "looked_for": dict.fromkeys(structures, "x")}

    aside = [entry(number, DISC) for number in range(9)] + [entry(number, SQUARE, BAR) for number in range(10, 13)]
    history = History(({"number": 1, "taught": [], "training": [], "held_out": aside},))
    assert chosen_scans(history, (DISC, SQUARE, BAR)) == ["02", "10", "06", "12"]
    many = [chr(97 + row) * 32 for row in range(20)]
    apart = History(({"held_out": [entry(row, item) for row, item in enumerate(many)]},))
    assert chosen_scans(apart, many) == [f"{row:02}" for row in range(MOST_SCANS)]


@pytest.fixture(scope="module")
def known(small_presets, data, tmp_path_factory):
    """A model that finds something of the humerus; one scan was held out."""
    model = tmp_path_factory.mktemp("known") / "model"
    learn(model, data / "both", "humerus", **STEP | {"accept": "gate"}, steps=60)
    return model


def content(model, number):
    """Return all tensors of a version, with names for uuids."""
    folder = open_model(model)
    kinds = ("weights", "exemplars", "prototypes", "memory")
    return {
        f"{kind}/{key}": item
        for kind in kinds
        for key, item in spelled(folder.tensors(kind, number), folder.record(number)).items()
    }


def test_looking_changes_no_bit_and_tells_what_is_lost(known, data, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHARE", 10.0)
    monkeypatch.setattr(module, "PICTURES_EVERY", 0.0)
    model, seen = Path(shutil.copytree(known, tmp_path / "model")), Seen()
    step = STEP | {"steps": 12}
    plain = learn(model, data / "both", "scapula", **step)
    watched = learn(model, data / "both", "scapula", **step, on_validation=seen, previews=tmp_path / "seen")

    def stop(phase, fraction, numbers=None):
        if phase == "training" and fraction > 0.6:
            raise Stop("pause")

    again = Seen()
    with pytest.raises(Stop):
        learn(model, data / "both", "scapula", **step, on_validation=again, progress=stop)
    assert resume(model, device="cpu", on_validation=again).record.number == 4
    for number in (3, 4):
        assert changed(content(model, 2), content(model, number)) == set()
        assert open_model(model).document("curve", number) == open_model(model).document("curve", 2)
    assert {fraction: worst for fraction, _, worst, _ in again} == {fraction: worst for fraction, _, worst, _ in seen}
    assert [fraction for fraction, *_ in seen] == [point["step"] / 12 for point in watched.curve.points]
    assert [dice for _, dice, _, _ in seen] == [{"scapula": point["validation"]} for point in plain.curve.points]
    assert {worst[0] for _, _, worst, _ in seen} == {"humerus"}
    assert seen[-1][2][1] < -5, "finetuning forgets"
    check_picture(seen, tmp_path / "seen", "Dice 0.")


def check_picture(seen, folder, *words):
    """Check that each look has drawn the same one file anew."""
    ((path, caption),) = seen[-1][3].values()
    assert {shown["scapula"][0] for *_, shown in seen} == {path}
    assert [file.name for file in folder.iterdir()] == [Path(path).name]
    assert max(sitk.ReadImage(path).GetSize()) == 384
    for word in ("scapula in shoulder_", *words):
        assert word in caption


def test_without_a_scan_held_out_a_training_scan_is_shown(known, data, tmp_path):
    model, seen = Path(shutil.copytree(known, tmp_path / "model")), Seen()
    learn(model, data / "scapula", "scapula", **STEP | {"steps": 2}, on_validation=seen, previews=tmp_path / "seen")
    assert [dice for _, dice, _, _ in seen] == [{}, {}]
    assert [bool(shown) for *_, shown in seen] == [True, False], "the next one is due in a minute"
    check_picture(seen[:1], tmp_path / "seen")


def test_pictures_that_cannot_be_written_do_not_end_the_training(known, data, tmp_path, caplog):
    (tmp_path / "taken").write_text("a file")
    model, seen = Path(shutil.copytree(known, tmp_path / "model")), Seen()
    result = learn(
        model, data / "scapula", "scapula", **STEP | {"steps": 2}, on_validation=seen, previews=tmp_path / "taken"
    )
    assert result.record.number == 2
    assert "no pictures of this training" in caplog.text


def test_a_scan_that_is_gone_is_replaced_by_exemplars(known, data, tmp_path):
    moved = Path(shutil.copytree(data / "both", tmp_path / "both"))
    model, seen = tmp_path / "model", Seen()
    learn(model, moved, "humerus", **STEP | {"accept": "gate", "steps": 60})
    shutil.rmtree(moved)
    learn(model, data / "scapula", "scapula", **STEP | {"steps": 4}, on_validation=seen)
    assert seen[0][2][0] == "humerus"
