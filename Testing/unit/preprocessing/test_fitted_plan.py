"""Plans of new models by the rules of nnU-Net, beside those of its own planner (nnunetv2 2.8.1)."""

import pytest

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.preprocessing.fitted_plan import ScanExtent, fitted_plan, planned_stages
from IncrementalSegLib.preprocessing.fitting import Budget
from IncrementalSegLib.preprocessing.rules import Intensity
from IncrementalSegLib.volumes.volume import Grid

CT = [((5, 0.8, 0.8), (90, 512, 512)), ((3, 0.75, 0.75), (150, 512, 512)), ((2.5, 0.7, 0.7), (180, 512, 512)),
      ((1.5, 0.78, 0.78), (330, 512, 512)), ((1, 0.68, 0.68), (480, 512, 512))]  # fmt: skip
BODY = [((1.5,) * 3, (240, 250, 260)), ((1.5,) * 3, (300, 280, 280)), ((1.5,) * 3, (260, 256, 256))]
PROSTATE = [((3.6, 0.62, 0.62), (20, 320, 320)), ((3.6, 0.6, 0.6), (20, 320, 320)), ((3, 0.62, 0.62), (18, 320, 320)),
            ((4, 0.56, 0.56), (24, 384, 384))]  # fmt: skip
HEART = [((10, 1.56, 1.56), (9, 256, 216)), ((10, 1.37, 1.37), (10, 256, 232)), ((5, 1.68, 1.68), (12, 288, 288))]
HIPPOCAMPUS = [((1, 1, 1), (36, 50, 35)), ((1, 1, 1), (34, 52, 36)), ((1, 1, 1), (38, 48, 34))]
BRAIN = [((1, 1, 1), (140, 171, 137)), ((1, 1, 1), (138, 173, 136))]
CORONAL = [((0.5, 2, 0.5), (200, 60, 200))]
PICTURES = [((1, 1, 1), (1, 700, 800))]
SMALL = [((1, 1, 1), (24, 24, 24))]

PLANNED = {  # scans, scores, configuration, GB -> patch, spacing, strides and kernels
    "ct": (CT, 3, "fullres", 8, (64, 192, 160), (2.5, 0.75, 0.75), "111 122 222 222 222 222",
           "133 333 333 333 333 333"),
    "ct lowres": (CT, 3, "lowres", 8, (96, 160, 160), (2.985, 1.525, 1.525), "111 222 222 222 222 122", "333 " * 6),
    "ct 2 GB": (CT, 3, "lowres", 2, (64, 96, 96), (4.790, 2.446, 2.446), "111 222 222 222 222", "333 " * 5),
    "ct 2-D": (CT, 3, "2d", 8, (512, 512), (0.75, 0.75), "11 22 22 22 22 22 22 22", "33 " * 8),
    "body": (BODY, 25, "fullres", 8, (128, 128, 128), (1.5, 1.5, 1.5), "111 222 222 222 222 222", "333 " * 6),
    "body 2 GB": (BODY, 25, "lowres", 2, (80, 80, 80), (3.141, 3.141, 3.141), "111 222 222 222 222", "333 " * 5),
    "prostate": (PROSTATE, 3, "fullres", 8, (20, 320, 256), (3.18, 0.61, 0.61), "111 122 122 222 222 122 122",
                 "133 133 333 333 333 333 333"),
    "prostate 2-D": (PROSTATE, 3, "2d", 8, (384, 384), (0.61, 0.61), "11 22 22 22 22 22 22", "33 " * 7),
    "heart 2 GB": (HEART, 4, "fullres", 2, (12, 224, 160), (6, 1.56, 1.56), "111 122 222 122 122 122",
                   "133 333 333 333 333 333"),
    "hippocampus": (HIPPOCAMPUS, 3, "fullres", 8, (40, 56, 40), (1, 1, 1), "111 222 222 222", "333 " * 4),
    "hippocampus 2-D": (HIPPOCAMPUS, 3, "2d", 8, (56, 40), (1, 1), "11 22 22 22", "33 " * 4),
    "brain": (BRAIN, 4, "fullres", 8, (128, 160, 112), (1, 1, 1), "111 222 222 222 222 221", "333 " * 6),
    "coronal 2 GB": (CORONAL, 2, "fullres", 2, (32, 128, 112), (2, 0.5, 0.5), "111 122 122 222 222 221",
                     "133 133 333 333 333 333"),
    "pictures 2 GB": (PICTURES, 2, "2d", 2, (512, 640), (1, 1), "11 22 22 22 22 22 22 22", "33 " * 8),
    "small": (SMALL, 2, "fullres", 8, (24, 24, 24), (1, 1, 1), "111 222 222", "333 " * 3),
}  # fmt: skip


def extents(scans, planar=False, share=1.0):
    """Return scans of which the first ``share`` along D is not zero."""
    return [
        ScanExtent(
            Grid(shape, spacing[::-1], planar=planar),
            (slice(0, round(share * shape[0])), slice(0, shape[1]), slice(0, shape[2])),
        )
        for spacing, shape in scans
    ]


def planned(scans, dimension=3, gigabytes=8.0, outputs=3, filters=32, coarsened=False, **more):
    budget = Budget(gigabytes, filters, 2, outputs)
    return fitted_plan(scans, 1, dimension, budget, coarsened=coarsened, **more)


def spelled(stages):
    return " ".join("".join(map(str, sizes)) for sizes in stages)


@pytest.mark.parametrize("name", PLANNED)
def test_patch_spacing_and_stages_are_those_of_nnunets_planner(name):
    scans, outputs, configuration, gigabytes, patch, spacing, strides, kernels = PLANNED[name]
    dimension = 2 if configuration == "2d" else 3
    plan = planned(
        extents(scans, planar=scans is PICTURES), dimension, gigabytes, outputs, coarsened=configuration == "lowres"
    )
    stages = planned_stages(plan)
    assert plan.patch == (1,) * (3 - dimension) + patch
    assert plan.spacing[3 - dimension :] == pytest.approx(spacing, abs=1e-3)
    assert (spelled(stages.strides), spelled(stages.kernels)) == (strides, kernels.strip())
    most = 512 if dimension == 2 else 320
    assert stages.widths(32) == (32, 64, 128, 256, most, most, most, most)[: len(stages.strides)]


def test_the_coarsest_axis_comes_first():
    assert planned(extents(CORONAL)).orientation == "ASR"
    assert planned(extents(CT)).orientation == "SAR"
    turned = Grid((60, 200, 200), (0.5, 0.5, 2), direction=(1, 0, 0, 0, 0, 1, 0, 1, 0))  # a coronal stack
    plan = planned([ScanExtent(turned, (slice(0, 60), slice(0, 200), slice(0, 200)))])
    assert (plan.orientation, plan.spacing) == ("ASR", (2, 0.5, 0.5))
    pictures = planned(extents(PICTURES, planar=True), 2)
    assert (pictures.orientation, pictures.planar, pictures.patch[0]) == ("DHW", True, 1)


def test_a_small_budget_coarsens_only_where_it_may_and_where_it_is_worth_it():
    assert planned(extents(BODY), gigabytes=2.0).spacing == (1.5, 1.5, 1.5)
    assert planned(extents(BRAIN), gigabytes=2.0, coarsened=True).spacing == (1, 1, 1)  # covered nearly enough
    tiny = planned(extents(CT), gigabytes=0.2, filters=8, coarsened=True)
    assert 0.2 < (tiny.patch[0] * tiny.patch[1] * tiny.patch[2]) / (tiny.shape[0] * tiny.shape[1] * tiny.shape[2]) < 1


@pytest.mark.parametrize("coarsened", [True, False])
def test_memory_that_holds_no_patch_is_named_and_not_the_scans(coarsened):
    with pytest.raises(DataError, match=r"(?s)1e-06 GB of memory are too little.*2 patches.*32 filters"):
        planned(extents(CT), gigabytes=1e-6, coarsened=coarsened)


def test_zeros_around_the_body_are_cut_off_and_count_in_no_statistic():
    plan = planned(extents(BRAIN, share=0.7))
    assert plan.shape[0] == 98  # of 98 and 97
    assert plan.rules.intensities == (Intensity(scheme="zscore", masked=True),)
    assert planned(extents(BRAIN)).rules.intensities == (Intensity(scheme="zscore"),)


def test_ct_has_the_window_of_other_networks():
    (intensity,) = planned(extents(CT), normalisation="ct").rules.intensities
    assert (intensity.scheme, intensity.low, intensity.high) == ("ct", -1000, 1000)
    assert (intensity.mean, intensity.deviation) == (0, 200)


@pytest.mark.parametrize(
    ("scans", "dimension", "words"),
    [
        ([((1, 1, 1), (6, 7, 5))], 3, "too small for this network: 6 x 7 x 5 voxels"),
        (PICTURES, 3, "A 3-D network cannot learn from 2-D images"),
    ],
)
def test_scans_that_no_such_network_can_learn_from_are_refused(scans, dimension, words):
    with pytest.raises(DataError, match=words):
        planned(extents(scans, planar=scans is PICTURES), dimension)
