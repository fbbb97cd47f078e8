"""A structure that few scans show: who is held out for it, and what is said where nobody can be."""

import logging

import pytest
import SimpleITK as sitk
from scans import write_dataset
from tiny import FEW

from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.planning.estimate import estimate
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.data import read_step_data
from IncrementalSegLib.engine.step.presets import find_preset
from IncrementalSegLib.engine.step.request import resolve
from IncrementalSegLib.sampling.reading import CaseReader
from IncrementalSegLib.store.versions import open_model

TINY = {"options": FEW, "preset": "quick", "device": "cpu", "steps": 1}


@pytest.fixture
def rare(small_presets, tmp_path):
    """Return a function that writes six scans of which only the first few show the spleen."""

    def write(showing, cases=6):
        root = write_dataset(tmp_path / f"data{showing}-{cases}", cases)
        for number in range(showing, cases):
            path = str(root / "labels" / f"c{number}.nii.gz")
            label = sitk.ReadImage(path)
            sitk.WriteImage(sitk.Mask(label, label != 2), path)
        return root

    return write


@pytest.mark.parametrize("structures", ["spleen", "spleen, liver"])
@pytest.mark.parametrize("seed", range(4))
def test_one_of_two_scans_that_show_it_judges(rare, tmp_path, structures, seed):
    data = rare(2)
    found = read_step_data(
        resolve(tmp_path / "model", data, structures),
        find_preset("quick", 2),
        StepSettings(seed=seed),
        lambda *args: None,
        CaseReader(),
    )
    (case,) = found.held_out.cases
    assert case.id in ("c0", "c1")
    for subset in (found.train, found.held_out):
        assert [case.id for case in subset.prepared] == [case.id for case in subset.cases]
        assert [entry["case"] for entry in subset.entries] == [case.id for case in subset.cases]
    assert ("labels_sha256" in found.held_out.entries[0], found.unjudged) == (True, ())
    assert len(found.train.cases) == 5


def test_where_one_patient_shows_it_the_first_step_says_that_nobody_can_judge_it(rare, tmp_path, caplog):
    data, model = rare(1), tmp_path / "model"
    deal = estimate(model, data, "spleen, liver", **TINY)
    with caplog.at_level(logging.WARNING):
        result = learn(model, data, "spleen, liver", **TINY)
    assert "No later step can measure whether spleen is kept" in caplog.text
    assert "liver is kept" not in caplog.text
    assert deal.to_json()["unjudged"] == result.to_json()["unjudged"] == ["spleen"]
    (spleen,) = (item.id for item in result.record.structures if item.name == "spleen")
    assert open_model(model).record().step["unjudged"] == [spleen]
    assert "c0" in {entry["case"] for entry in result.record.step["training"]}
    caplog.clear()
    improved = learn(model, rare(1, 5), "spleen", improve=True, **TINY)  # still the same patient alone
    assert improved.to_json()["unjudged"] == ["spleen"]


def test_few_cases_are_said_by_the_record_alone(rare, tmp_path, caplog):
    result = learn(tmp_path / "model", rare(3, 3), "spleen, liver", **TINY)
    assert result.to_json()["unjudged"] == ["spleen", "liver"]
    assert "can measure" not in caplog.text


def test_the_estimate_makes_the_same_split(rare, tmp_path, monkeypatch):
    from IncrementalSegLib.engine.planning import dry_run

    data, seen = rare(2), []
    real = dry_run.split
    monkeypatch.setattr(dry_run, "split", lambda *args: seen.append(real(*args)) or seen[-1])
    estimate(tmp_path / "model", data, "spleen", seed=3, **TINY)
    result = learn(tmp_path / "model", data, "spleen", seed=3, **TINY)
    assert [case.id for case in seen[-1][1]] == [entry["case"] for entry in result.record.step["held_out"]]
