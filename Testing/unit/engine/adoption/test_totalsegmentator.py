"""Folders in the form of TotalSegmentator's become models, with its names and codes."""

from __future__ import annotations

import pytest
from nnunet_folders import configuration, dataset, plans, write_trained

from IncrementalSegLib.engine.adoption.totalsegmentator import adopt_totalsegmentator, code_of
from IncrementalSegLib.engine.models import load
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import ModelError, UnknownNameError
from IncrementalSegLib.store.versions import open_model

pytestmark = pytest.mark.usefixtures("read_in_process")

TRAINED = "nnUNetTrainerNoMirroring__nnUNetPlans__3d_fullres"
PARTS = {
    "Dataset291_TotalSegmentator_part1_organs_1559subj": ("kidney_right", "lung_middle_lobe_right"),
    "Dataset295_TotalSegmentator_part5_ribs_1559subj": ("rib_left_4", "sternum"),
}


@pytest.fixture
def results(tmp_path):
    """Two of the five parts, as TotalSegmentator unpacks them."""
    given = configuration(schemes=("CTNormalization",), spacing=[1.5, 1.5, 1.5])
    planned = plans(given, "3d_fullres", image_reader_writer="NibabelIOWithReorient")
    for name, structures in PARTS.items():
        labels = {"background": 0} | {item: number for number, item in enumerate(structures, start=1)}
        write_trained(
            tmp_path / "results" / name / TRAINED,
            given,
            dataset(labels, licence="Apache 2.0"),
            planned=planned,
            folds=(0,),
            trainer_name="nnUNetTrainerNoMirroring",
            inference_allowed_mirroring_axes=None,
        )
    return tmp_path / "results"


def test_each_part_becomes_a_model(results, tmp_path):
    made = adopt_totalsegmentator(results, tmp_path / "total")
    assert [path.name for path, _ in made] == ["total-organs", "total-ribs"]
    assert [record.structures.names for _, record in made] == list(PARTS.values())
    plan = load(open_model(made[1][0]), start("cpu")).plan
    assert (plan.orientation, plan.rules.mirror, plan.spacing) == ("SAR", (), (1.5, 1.5, 1.5))
    (fourth, _), origin = made[1][1].structures.items, made[1][1].step["origin"]
    assert fourth.terminology == code_of("rib_left_4")
    assert (origin["trainer"], origin["license"]) == ("nnUNetTrainerNoMirroring", "Apache 2.0")


def test_one_part_that_is_named(results, tmp_path):
    made = adopt_totalsegmentator(results, tmp_path / "one", part="ribs")
    assert [path.name for path, _ in made] == ["one"]
    (alone,) = adopt_totalsegmentator(next(results.glob("Dataset291*")), tmp_path / "organs")
    assert alone[0] == tmp_path / "organs"
    with pytest.raises(UnknownNameError, match="organs"):
        adopt_totalsegmentator(results, tmp_path / "other", part="organ")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("rib_left_4", "Total Segmentator~SCT^123037004^Anatomical Structure~SCT^25523003^Fourth rib~SCT^7771000^Left"),
        ("vertebrae_L5", "~SCT^49668003^L5 vertebra~^^~"),
        ("gluteus_maximus_right", "~SCT^24028007^Right~"),
        (
            "kidney_right",
            "General Anatomy list~SCT^123037004^Anatomical Structure~SCT^64033007^Kidney~SCT^24028007^Right",
        ),
        ("lung_middle_lobe_right", "~SCT^72481006^Middle lobe of right lung~^^~"),
    ],
)
def test_codes_are_those_of_its_table(name, code):
    assert code in code_of(name)


def test_what_is_not_clear_is_refused(results, tmp_path):
    with pytest.raises(ModelError, match="holds no network of TotalSegmentator"):
        adopt_totalsegmentator(tmp_path, tmp_path / "total")
    (results / "Dataset831_TotalSegmentator_part1_organs_1830subj").mkdir()
    with pytest.raises(ModelError, match="the same part"):
        adopt_totalsegmentator(results, tmp_path / "total")
    (tmp_path / "total-ribs").mkdir()
    (results / "Dataset831_TotalSegmentator_part1_organs_1830subj").rmdir()
    with pytest.raises(ModelError, match="total-ribs is already there"):
        adopt_totalsegmentator(results, tmp_path / "total")
    assert not (tmp_path / "total-organs").exists()


def test_parts_before_one_that_is_refused_are_named(results, tmp_path):
    (results / "Dataset295_TotalSegmentator_part5_ribs_1559subj" / TRAINED / "plans.json").write_text("{", "utf-8")
    with pytest.raises(ModelError) as found:
        adopt_totalsegmentator(results, tmp_path / "total")
    said = str(found.value)
    assert "total-organs is written, and then the part ribs was refused. plans.json" in said
    assert "Nothing was written" not in said
    assert open_model(tmp_path / "total-organs").current == 1
    assert not (tmp_path / "total-ribs").exists()
