"""On real scans: those of the same kind are rarely flagged, others and spoilt ones always or mostly."""

from dataclasses import replace

import numpy as np
import pytest

from IncrementalSegLib import open_data
from IncrementalSegLib.engine.domain import scan_features
from IncrementalSegLib.evaluation.domain import Domain, word
from IncrementalSegLib.preprocessing.pipeline import forward
from IncrementalSegLib.preprocessing.plan import plan_for
from IncrementalSegLib.volumes.io import read_volume

SETS = ("hippocampus-mr", "lumbar-spine-mr", "abdomen-ct-btcv", "skin-2d-isic2017")
TAUGHT = 10

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scans(shared_data):
    return {name: [read_volume(case.images) for case in open_data(shared_data / name).cases[:25]] for name in SETS}


def looks_of(volumes, like):
    plan = plan_for([volume.grid for volume in like], like[0].channels, 2, 16, 128, 128)
    return [scan_features(volume, forward(volume, plan)[0], plan) for volume in volumes]


def share_flagged(domain, looks):
    return np.mean([word(domain.distance(look).largest) != "similar" for look in looks])


def test_at_most_one_in_twenty_of_the_same_kind_is_flagged(scans):
    rates, random = [], np.random.default_rng(0)
    for volumes in scans.values():
        looks = looks_of(volumes, volumes)
        for _ in range(5):
            order = random.permutation(len(looks))
            taught, held = ([looks[row] for row in rows] for rows in (order[:TAUGHT], order[TAUGHT:]))
            rates.append(share_flagged(Domain.of(taught), held))
    assert np.mean(rates) <= 0.05


def test_other_modalities_and_body_parts_are_flagged(scans):
    spine = scans["lumbar-spine-mr"]
    domain = Domain.of(looks_of(spine[:TAUGHT], spine))
    for name in ("hippocampus-mr", "abdomen-ct-btcv"):
        assert share_flagged(domain, looks_of(scans[name], spine)) == 1.0


@pytest.mark.parametrize(
    ("spoil", "least"),
    [
        pytest.param(
            lambda scan: scan.with_array(scan.array.max() - scan.array.astype(np.float32)), 0.9, id="inverted"
        ),
        pytest.param(lambda scan: scan.with_array(scan.array[:, :, ::-1].copy()), 0.7, id="upside down"),
        pytest.param(
            lambda scan: replace(scan, grid=replace(scan.grid, spacing=tuple(2 * step for step in scan.grid.spacing))),
            0.9,
            id="spacing",
        ),
    ],
)
def test_spoilt_scans_are_flagged(scans, spoil, least):
    spine = scans["lumbar-spine-mr"]
    domain = Domain.of(looks_of(spine[:TAUGHT], spine))
    assert share_flagged(domain, looks_of([spoil(scan) for scan in spine[TAUGHT:]], spine)) >= least
