"""A round of corrections that is killed, or cannot be saved, does not count, and says what is written."""

from __future__ import annotations

import errno

import pytest
from sessions import learned, same
from tiny import tree

from IncrementalSegLib.engine.correct import correct, corrections
from IncrementalSegLib.engine.learned import outline
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.engine.session.session import Session
from IncrementalSegLib.errors import DataError, ModelError, OptionError
from IncrementalSegLib.inference.predictor import Predictor
from IncrementalSegLib.store import contents
from IncrementalSegLib.volumes.io import name_of

pytest.importorskip("skimage")
pytestmark = pytest.mark.usefixtures("small_presets")


def test_a_round_killed_after_its_outline_does_not_count_and_can_be_done_again(model, scans, round_of, monkeypatch):
    round_of(scans[0])
    before = learned(model)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Session, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            round_of(scans[0])
    assert corrections(model).rounds == 1
    assert same(learned(model), before)
    assert round_of(scans[0]).session.rounds == 2


def test_a_result_that_cannot_be_written_is_refused_before_any_work(model, scans, round_of, tmp_path, monkeypatch):
    def never(*_args, **_options):
        raise AssertionError("the network has run")

    monkeypatch.setattr(Predictor, "predict", never)
    strokes = tmp_path / "strokes.seg.nrrd"
    with pytest.raises(AssertionError, match="has run"):
        round_of(scans[0])
    for name, error, told in (
        ("out.png", DataError, "PNG cannot hold the 3-D result"),
        (f"{'x' * 250}.nii.gz", OptionError, "longer than 255 bytes"),
    ):
        for act in (
            lambda path: correct(model, scans[0], strokes, path, method="lwfseg", device="cpu"),
            lambda path: outline(model, scans[0], path, device="cpu"),
            lambda path: segment(model, scans[0], path, device="cpu"),
        ):
            with pytest.raises(error, match=told):
                act(tmp_path / name)


def test_a_round_that_cannot_be_saved_says_that_its_outline_was_replaced(model, scans, round_of, tmp_path, monkeypatch):
    round_of(scans[0], method="propagate-only", steps=None)
    output, before = tmp_path / "corrected.seg.nrrd", tree(model / "versions")
    output.write_bytes(b"an earlier outline")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(contents, "write_new", full)
    with pytest.raises(ModelError) as refusal:
        round_of(scans[0])
    assert refusal.value.what.startswith(f"The outline {output} is written, but the round could not be saved")
    assert "Cannot write" in refusal.value.why
    assert "The disk is full" in refusal.value.why
    assert "Replace that outline with overwrite=True." in refusal.value.todo
    assert output.read_bytes() != b"an earlier outline"
    assert tree(model / "versions") == before
    assert corrections(model).rounds == 0


def test_a_round_whose_result_cannot_be_written_does_not_count(model, scans, round_of, tmp_path):
    round_of(scans[0])
    before = learned(model)
    output = tmp_path / "corrected.seg.nrrd"
    output.unlink()
    (output / f"{name_of(scans[0])}.seg.nrrd").mkdir(parents=True)  # the result cannot take this place
    with pytest.raises(DataError, match="Cannot write"):
        round_of(scans[0])
    assert corrections(model).rounds == 1
    assert same(learned(model), before)
