"""Correction sessions: rounds teach a copy of the model, and can be undone, kept or discarded."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sessions import learned, same
from tiny import tree

from IncrementalSegLib.engine.correct import (
    corrections,
    discard_corrections,
    keep_corrections,
    undo_correction,
)
from IncrementalSegLib.engine.exemplars import remove_structure
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.engine.session import counterweight, learner
from IncrementalSegLib.engine.session.scans import boxes_around, cut_pieces
from IncrementalSegLib.engine.session.session import Session
from IncrementalSegLib.engine.simulate import simulate
from IncrementalSegLib.errors import DataError, ModelError, OptionError, UnknownNameError
from IncrementalSegLib.methods.base.method import TrainingPhase
from IncrementalSegLib.sampling.batch import PreparedCase
from IncrementalSegLib.store.correcting import ROUNDS_KEPT, Correcting
from IncrementalSegLib.store.versions import open_model

pytest.importorskip("skimage")
pytestmark = pytest.mark.usefixtures("small_presets")


def test_rounds_change_the_copy_alone_and_are_undone_to_the_bit(model, scans, round_of):
    before = tree(model / "versions")
    current = load(open_model(model), start("cpu")).segmenter.state_dict()
    assert round_of(scans[0]).session.rounds == 1
    one = learned(model)
    assert not same(one, one | {f"weights/{name}": value for name, value in current.items()})
    statistics = [name for name in current if "running" in name and name.startswith("trunks")]
    assert statistics
    assert all(torch.equal(one[f"weights/{name}"], current[name]) for name in statistics)
    second = round_of(scans[0], method=None).session  # the method is that of the session
    assert (second.rounds, second.scans[0]["rounds"], len(second.scans)) == (2, 2, 1)
    two = learned(model)
    assert [item["rounds"] for item in round_of(scans[1]).session.scans] == [2, 1]
    assert undo_correction(model).rounds == 2
    assert same(learned(model), two)
    undo_correction(model)
    assert same(learned(model), one)
    assert not same(one, two)
    assert undo_correction(model).rounds == 0
    assert not Correcting(model).path.exists()
    assert tree(model / "versions") == before


def test_the_same_round_gives_the_same_bits_after_an_undo(model, scans, round_of):
    round_of(scans[0])
    round_of(scans[1])
    found = learned(model)
    undo_correction(model)
    round_of(scans[1])
    assert same(learned(model), found)


def test_old_rounds_cannot_be_undone(model, scans, round_of):
    for _ in range(ROUNDS_KEPT + 1):
        status = round_of(scans[0], steps=1).session
    assert (status.rounds, status.undoable) == (ROUNDS_KEPT + 1, ROUNDS_KEPT - 1)
    for _ in range(ROUNDS_KEPT - 1):
        undo_correction(model)
    with pytest.raises(ModelError, match="Round 2 of the correction session cannot be undone"):
        undo_correction(model)


def test_discarded_corrections_leave_nothing(model, scans, round_of):
    before = tree(model)
    round_of(scans[0])
    assert tree(model) != before
    assert discard_corrections(model) == corrections(model)
    assert (corrections(model).rounds, corrections(model).method) == (0, None)
    assert tree(model) == before
    for act in (undo_correction, discard_corrections, keep_corrections):
        with pytest.raises(ModelError, match="No correction session"):
            act(model)


def test_kept_corrections_are_a_version_that_the_gate_judged(model, scans, round_of):
    round_of(scans[0])
    weights = learned(model)
    result = keep_corrections(model, device="cpu")
    assert [row.structure for row in result.report.rows] == ["humerus"]
    folder = open_model(model)
    record = folder.record(2)
    assert (record.parent, record.step["method"], record.step["optimiser_steps"]) == (1, "lwfseg", 2)
    assert [item["case"] for item in record.step["training"]] == record.step["corrected"]
    kept = folder.tensors("weights", 2)
    assert all(torch.equal(value, weights[f"weights/{name}"]) for name, value in kept.items())
    assert folder.current == (2 if record.accepted else 1)
    assert not Correcting(model).path.exists()


@pytest.mark.parametrize(("method", "kind"), [("ewc", "anchor"), ("lwf-instances", "teacher")])
def test_a_method_may_take_each_scan_for_a_step(data, scans, teach, round_of, tmp_path, method, kind):
    soft, start = tmp_path / "soft", f"memory/{method}/{kind}/"
    teach(soft, data / "humerus", "humerus", method="ewc")

    def held(start=start):
        found = learned(soft).items()
        return {name.removeprefix(start): value for name, value in found if name.startswith(start)}

    round_of(scans[0], of=soft, method=method)
    one = held()
    round_of(scans[0], of=soft, method=None)
    assert same(one, held()), "the scan is the same"
    weights = held("weights/")
    round_of(scans[1], of=soft, method=None)
    two = held()
    assert two
    assert not same(one, two)
    assert all(torch.equal(value, weights[name]) for name, value in two.items())
    keep_corrections(soft, device="cpu")
    before, after = (open_model(soft).tensors("memory", number) for number in (1, 2))
    assert not [key for key in after if key.startswith(f"{method}/{kind}/")]
    assert same(before, after) is (method != "ewc")


def test_harmful_corrections_are_held_back(model, data, scans, teach, round_of, monkeypatch):
    monkeypatch.setattr(learner, "_PHASE", TrainingPhase("correct", learning_rate=4.0))
    teach(model, data / "both", "humerus", improve=True, method="finetune", steps=40)
    parent = open_model(model).current
    round_of(scans[0], voxels=[np.s_[:]], background=(), method="finetune", steps=10)
    result = keep_corrections(model, device="cpu")
    assert result.record.held_back_by == ("humerus",)
    assert open_model(model).current == parent
    status, number = corrections(model), result.record.number
    assert (status.rounds, status.method, status.candidate) == (1, "finetune", number)
    assert keep_corrections(model, device="cpu").record.number == number, "nothing was learned since"
    round_of(scans[0], method=None, steps=1)
    assert corrections(model).candidate is None, "the candidate is of the round before"
    undo_correction(model)
    assert corrections(model).candidate == number
    open_model(model).reject(number)
    assert (corrections(model).rounds, corrections(model).candidate) == (1, None), "nobody waits for a rejected one"
    open_model(model).accept(number)
    assert corrections(model).rounds == 0
    assert not Correcting(model).path.exists()


def test_a_candidate_that_a_person_asked_for_is_used_when_it_is_kept_again(model, scans, round_of):
    round_of(scans[0])
    result = keep_corrections(model, device="cpu", accept="never")
    assert not result.record.accepted
    assert corrections(model).candidate == result.record.number
    again = keep_corrections(model, device="cpu")
    assert again.record.number == result.record.number
    assert again.record.accepted is not bool(result.record.held_back_by)
    assert Correcting(model).path.exists() is bool(result.record.held_back_by)


def test_a_session_of_another_version_is_refused_and_can_be_discarded(model, scans, round_of, caplog):
    round_of(scans[0])
    with caplog.at_level("WARNING"):
        open_model(model).edit({"action": "nothing"})
    assert caplog.text.count("Corrections of version 1 are not kept yet") == 1
    open_model(model).edit({"action": "nothing"})
    assert caplog.text.count("are not kept yet") == 1  # those of version 1 cannot be kept with version 2 in use
    open_model(model).roll_back(2)
    for act in (lambda: round_of(scans[0]), lambda: keep_corrections(model, device="cpu")):
        with pytest.raises(ModelError, match="session began from version 1, and version 2 is in use now"):
            act()
    discard_corrections(model)


def test_a_step_warns_of_corrections_that_are_not_kept(model, data, scans, teach, round_of, caplog):
    round_of(scans[0])
    teach(model, data / "scapula", "scapula")
    assert "Corrections of version 1 are not kept yet" in caplog.text
    caplog.clear()
    discard_corrections(model)
    teach(model, data / "humerus", "humerus", improve=True)
    assert "not kept yet" not in caplog.text


def test_a_structure_that_was_removed_since_is_still_in_the_status(model, data, scans, teach, round_of):
    teach(model, data / "both", "scapula", method="lwfseg", accept="always")
    found = round_of(scans[0]).session
    remove_structure(model, "scapula")
    assert found.scans[0]["agreement"].keys() == {"humerus", "scapula"}
    assert corrections(model) == found


@pytest.mark.parametrize(
    ("more", "error", "told"),
    [
        ({"method": "mib"}, ModelError, "makes classes, the model has heads"),
        ({"method": "nothing"}, UnknownNameError, "no method called 'nothing'"),
        ({"options": {"nothing": 1}}, UnknownNameError, "no option of lwfseg called 'nothing'"),
        ({"version": 1}, OptionError, "Version 1 cannot learn from corrections"),
        ({"method": None}, OptionError, "Without a method the model learns nothing"),
        ({"method": "propagate-only", "steps": None, "options": {"alpha": 1}}, OptionError, "have no effect"),
    ],
)
def test_refusals_begin_no_session(model, scans, round_of, more, error, told):
    with pytest.raises(error, match=told):
        round_of(scans[0], **more)
    assert not Correcting(model).path.exists()


def test_a_scan_that_judges_is_not_learned_from(model, data, scans, teach, round_of):
    teach(model, data / "both", "scapula", method="lwfseg")
    judge = open_model(model).record().step["held_out"][0]["case"]
    scan = next(path for path in (data / "both" / "imagesTr").iterdir() if path.name.startswith(judge))
    with pytest.raises(DataError, match="is held out"):
        round_of(scan)
    assert not Correcting(model).path.exists()


def test_another_method_is_refused_while_a_session_is_open(model, scans, round_of):
    round_of(scans[0])
    with pytest.raises(ModelError, match=r"session of .* has the method 'lwfseg'"):
        round_of(scans[0], method="finetune")
    assert round_of(scans[0], method="propagate-only", steps=None).session is None
    assert corrections(model).rounds == 1


def test_a_simulated_session_scores_each_case_before_and_after_and_writes_nothing(model, data):
    before = tree(model)
    settings = {"spots": 2, "rounds": 1, "device": "cpu"}
    taught = simulate(model, data / "humerus", method="lwfseg", steps=2, **settings)
    still = simulate(model, data / "humerus", **settings)
    assert tree(model) == before
    assert [len(case.dice["humerus"]) for case in taught.cases] == [2, 2, 2]
    first = taught.cases[0]
    assert first.dice["humerus"][0] == first.start["humerus"][0]
    assert [case.start for case in taught.cases] == [case.start for case in still.cases]
    assert all(len(case.back["humerus"]) == 1 for case in taught.cases)
    assert [case.back for case in still.cases] == [{}, {}, {}]


def test_the_prior_of_a_scan_is_the_posterior_of_the_one_before(tmp_path, data, scans, teach, round_of):
    model = tmp_path / "bayesian"
    teach(model, data / "humerus", "humerus", method="clis")
    round_of(scans[0], of=model, method="clis")
    before = learned(model)
    round_of(scans[1], of=model, method=None)
    now = learned(model)
    names = [name for name in before if name.endswith("prior_mean")]
    assert names
    assert all(torch.equal(now[name], before[name.replace("prior_mean", "mean.weight")]) for name in names)
    assert not same({name: before[name] for name in names}, {name: now[name] for name in names})


def test_a_session_makes_a_plain_network_bayesian_and_keeps_it(tmp_path, data, scans, teach, round_of):
    model = tmp_path / "plain"
    teach(model, data / "humerus", "humerus", method="finetune-softmax", network="unet2d")
    round_of(scans[0], of=model, method="clis")
    one = learned(model)
    priors = {name: value for name, value in one.items() if name.endswith(("prior_mean", "prior_sigma"))}
    round_of(scans[0], of=model, method=None)
    assert priors
    assert same(priors, {name: learned(model)[name] for name in priors})  # the rounds on a scan are one task
    undo_correction(model)
    assert same(learned(model), one)
    result = keep_corrections(model, device="cpu")
    kept = open_model(model).record(result.record.number)
    assert kept.architecture["config"]["network"] == "unet2d-bayes"
    found = load(open_model(model), start("cpu"), kept.number).segmenter.state_dict()
    assert all(torch.equal(found[name.removeprefix("weights/")], value) for name, value in priors.items())


@pytest.mark.parametrize("depth", [1, 4])
def test_pieces_hold_every_stroke_and_ignore_the_rest(depth):
    strokes = torch.zeros(6, 20, 20, dtype=torch.bool)
    for voxel in ((0, 0, 0), (0, 19, 19), (5, 10, 10)):
        strokes[voxel] = True
    image = torch.arange(2400.0).view(1, 6, 20, 20).half()
    case = PreparedCase("c", "p", image, ("a" * 32,), strokes[None].to(torch.uint8), ~strokes)
    pieces = cut_pieces(case, boxes_around(strokes, (depth, 8, 8)))
    assert len(pieces) == 3
    assert all(piece.image.shape == (1, depth, 8, 8) for piece in pieces)
    assert sum(int((~piece.ignore).sum()) for piece in pieces) == 3
    shown = torch.cat([piece.image[0][~piece.ignore] for piece in pieces])
    assert sorted(shown.tolist()) == sorted(image[0][strokes].tolist())


def test_strokes_of_one_side_teach_with_voxels_of_the_other(round_of, scans, model, monkeypatch):
    monkeypatch.setattr(counterweight, "CERTAIN", 0.5)
    monkeypatch.setattr(counterweight, "REACH", 0.0)
    painted, taught = ((2, 3, 4), (2, 3, 5)), []
    for background in ((), ((0, 0, 0),)):
        round_of(scans[0], voxels=painted, background=background)
        pieces = Session(open_model(model))._scans()[-1].pieces
        taught.append(sum(int((~piece.ignore.bool()).sum()) for piece in pieces))
        discard_corrections(model)
    assert taught == [4, 3]
