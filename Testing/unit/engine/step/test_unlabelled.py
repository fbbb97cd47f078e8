"""Unlabelled scans of earlier domains: drawn, recorded as trained, never held out, refused where they do not fit."""

import logging
import re
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from tiny import FEW, changed

from IncrementalSegLib.engine.learn import learn, resume
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.request import resolve
from IncrementalSegLib.errors import DataError, OptionError
from IncrementalSegLib.methods.cfil import Cfil
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.store.manifest import fingerprint
from IncrementalSegLib.store.unfinished import UNFINISHED
from IncrementalSegLib.store.versions import open_model

STEP = {"method": "cfil", "options": FEW, "preset": "quick", "steps": 4, "device": "cpu", "accept": "always"}


@pytest.fixture(scope="module")
def known(small_presets, data, tmp_path_factory):
    """A model that knows the humerus; do not write to it."""
    model = tmp_path_factory.mktemp("known") / "model"
    learn(model, data / "humerus", "humerus", **STEP)
    return model


@pytest.fixture
def model(known, tmp_path):
    return shutil.copytree(known, tmp_path / "model")


@pytest.fixture
def drawn(monkeypatch):
    """The source of each batch."""
    sources, real = [], Cfil.training_loss

    def training_loss(method, batch, ctx):
        sources.append((batch.source, batch.cases))
        return real(method, batch, ctx)

    monkeypatch.setattr(Cfil, "training_loss", training_loss)
    return sources


def test_a_folder_of_scans_is_drawn_and_never_judges(model, data, drawn):
    folder = data / "scapula" / "imagesTr"
    record = learn(
        model,
        data / "both",
        "scapula",
        unlabelled=folder,
        **STEP | {"options": FEW | {"p_unlabelled": 0.9}, "steps": 8},
    ).record
    names = {case.id for case in open_data(data / "scapula").cases}
    assert {source for source, _ in drawn} == {"new", "unlabelled"}
    assert {case for source, cases in drawn if source == "unlabelled" for case in cases} <= names
    entries = [entry for entry in record.step["training"] if not entry["looked_for"]]
    assert {entry["case"] for entry in entries} == names
    request = resolve(model, data / "scapula", "scapula", StepSettings(improve=True, method="cfil"))
    assert {fingerprint(case.images) for case in request.cases.cases} <= request.history.trained


def test_a_data_set_brings_its_scans_without_labels(model, data, drawn, caplog):
    caplog.set_level("INFO", "IncrementalSegLib")
    learn(model, data / "both", "humerus", improve=True, unlabelled=data / "scapula", **STEP)
    assert "unlabelled" in {source for source, _ in drawn}
    assert re.search(r"distilled: [1-5]\.", caplog.text)
    assert "No batch" not in caplog.text


def test_scans_that_judge_are_left_out(model, data, caplog):
    learn(model, data / "both", "scapula", **STEP)
    record = open_model(model).record()
    judges = {entry["sha256"] for entry in record.step["held_out"]}
    settings = StepSettings(improve=True, method="cfil", unlabelled=data / "both")
    with caplog.at_level(logging.WARNING):
        request = resolve(model, data / "humerus", "humerus", settings)
    assert judges
    assert judges.isdisjoint(fingerprint(case.images) for case in request.unlabelled)
    assert len(request.unlabelled) == 5 - len(judges)
    assert (
        f"{len(judges)} of 5 unlabelled scans are left out, because scans of their patients were held out"
        in caplog.text
    )
    assert all(entry["case"] in caplog.text for entry in record.step["held_out"])


def test_what_the_step_holds_out_is_not_drawn(model, data, caplog):
    with caplog.at_level(logging.WARNING):
        record = learn(model, data / "both", "scapula", unlabelled=data / "both", **STEP).record
    training, held_out = ({entry["sha256"] for entry in record.step[pool]} for pool in ("training", "held_out"))
    assert held_out
    assert training.isdisjoint(held_out)
    assert "held out in this step" in caplog.text
    assert "4 of 4 unlabelled scans are training scans of this step too" in caplog.text


def manifest(path, scans):
    """Write a manifest of scans, each with its patient."""
    path.write_text("\n".join(["image,patient", *(f"{scan},{patient}" for scan, patient in scans.items())]))
    return path


def test_no_patient_is_on_both_sides(model, data, tmp_path, caplog):
    """One scan of a patient is held out by the step before or by this one, and another is among the unlabelled."""
    learn(model, data / "both", "scapula", **STEP)
    others = [case.images[0] for case in open_data(data / "scapula").cases]
    (before,) = open_model(model).record().step["held_out"]
    again = next(case for case in open_data(data / "both").cases if case.id == before["case"]).images[0]
    table = manifest(tmp_path / "earlier.csv", {again: "x", others[0]: "x", others[1]: "y"})
    settings = StepSettings(improve=True, method="cfil", unlabelled=table)
    request = resolve(model, data / "humerus", "humerus", settings)
    assert [case.images[0] for case in request.unlabelled] == [others[1]]
    table = manifest(tmp_path / "now.csv", {others[0]: before["patient"], others[1]: "y"})
    record = learn(model, data / "both", "humerus", improve=True, unlabelled=table, **STEP).record
    assert [entry["patient"] for entry in record.step["held_out"]] == [before["patient"]]
    assert {entry["patient"] for entry in record.step["training"] if not entry["looked_for"]} == {"y"}
    assert "1 of 2 unlabelled scans are left out, because scans of their patients are held out" in caplog.text


def test_an_interrupted_step_goes_on_with_them(model, data, interrupted):
    whole = shutil.copytree(model, model.parent / "whole")
    step = STEP | {"unlabelled": data / "scapula"}
    learn(whole, data / "both", "humerus", improve=True, **step)
    with interrupted(Cfil, 3):
        learn(model, data / "both", "humerus", improve=True, **step)
    assert (model / UNFINISHED).exists()
    resume(model, device="cpu")
    one, other = (open_model(path).tensors("weights") for path in (whole, model))
    assert changed(one, other) == set()


def test_scans_that_the_options_never_draw_are_told(model, data, drawn, caplog):
    options = FEW | {"distillation": 0}
    step = STEP | {"options": options, "steps": 1}
    learn(model, data / "both", "humerus", improve=True, unlabelled=data / "scapula", **step)
    assert {source for source, _ in drawn} == {"new"}
    assert "No batch comes from the scans of unlabelled" in caplog.text


def test_without_them_an_improvement_says_what_is_lost(model, data, caplog):
    with caplog.at_level(logging.WARNING):
        resolve(model, data / "humerus", "humerus", StepSettings(improve=True, method="cfil"))
    assert "humerus may get worse there" in caplog.text


def image(path, array, is_vector=False):
    sitk.WriteImage(sitk.GetImageFromArray(array.astype(np.float32), isVector=is_vector), path)


@pytest.mark.parametrize(
    ("array", "is_vector", "message"),
    [
        (np.zeros((6, 32, 32, 2)), True, "unlabelled scan cannot be used.*2 channels.*Take it out"),
        (np.zeros((32, 32)), False, "'odd' is a 2-D image.*Take it out"),
    ],
)
def test_scans_of_another_kind_are_refused(model, data, tmp_path, array, is_vector, message):
    (tmp_path / "scans").mkdir()
    random = np.random.default_rng(0).normal(size=array.shape)
    suffix = ".png" if array.ndim == 2 else ".nii.gz"
    if array.ndim == 2:
        sitk.WriteImage(
            sitk.GetImageFromArray((random * 40 + 100).clip(0, 255).astype(np.uint8)), tmp_path / "scans" / "odd.png"
        )
    else:
        image(tmp_path / "scans" / f"odd{suffix}", random, is_vector)
    with pytest.raises(DataError, match=message):
        learn(model, data / "both", "scapula", unlabelled=tmp_path / "scans", **STEP)


@pytest.mark.parametrize(
    ("method", "first", "message"),
    [("mib", False, "'mib' does not draw unlabelled"), ("cfil", True, "first step cannot use unlabelled")],
)
def test_what_cannot_use_them_is_refused(model, data, tmp_path, method, first, message):
    path = tmp_path / "new" if first else model
    if method == "mib":
        learn(path := tmp_path / "classes", data / "humerus", "humerus", **STEP | {"method": "finetune-softmax"})
    with pytest.raises(OptionError, match=message):
        resolve(path, data / "scapula", "scapula", StepSettings(method=method, unlabelled=data / "both"))
