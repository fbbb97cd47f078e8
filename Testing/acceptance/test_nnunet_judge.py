"""Scans of --judge give the gate a score of what nnU-Net taught, in place of a proxy."""

import json

import pytest

from IncrementalSegLib.engine.adoption.adopt import adopt_nnunet
from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.planning.advice import advise

NEW = "hippocampus_096,hippocampus_097,hippocampus_099,hippocampus_101"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def unseen(trained, shared_data, tmp_path_factory):
    """A manifest of the ten scans that nnU-Net had not seen."""
    names = sorted(path.name.removesuffix(".nii.gz") for path in (trained / "predictions" / "plain").glob("*.nii.gz"))
    scans = shared_data / "hippocampus-mr"
    rows = [f"{scans}/images/{name}.nii.gz,anterior,{scans}/labels/{name}.nii.gz,1=anterior" for name in names]
    manifest = tmp_path_factory.mktemp("judges") / "manifest.csv"
    manifest.write_text("\n".join(["image,looked_for,label,values", *rows]))
    return manifest


def taught(model, shared_data, **more):
    result = learn(
        model, shared_data / "hippocampus-mr", "posterior=posterior hippocampus", cases=NEW, steps=4, preset="quick",
        exemplars="none", accept="always", device="cpu", **more,
    )  # fmt: skip
    (row,) = result.report.rows
    return row


def test_the_gate_scores_an_adopted_structure(trained, shared_data, unseen, tmp_path):
    for name in ("plain", "model"):
        adopt_nnunet(trained / "Dataset901_HippoAnterior", tmp_path / name)
    assert taught(tmp_path / "plain", shared_data, method="mib").basis == "agreement"
    row = taught(tmp_path / "model", shared_data, method="mib", judge=unseen)
    assert (row.structure, row.kind, len(row.after)) == ("anterior", "measured", 10)
    known = json.loads((trained / "predictions" / "dice.json").read_text("utf-8"))
    for score in row.before:
        assert score.dice == pytest.approx(known[score.case]["plain"], abs=5e-3), score.case
    assert row.interval is not None


def test_without_such_scans_a_guarantee_is_recommended_first(trained, shared_data, tmp_path):
    adopt_nnunet(trained / "Dataset901_HippoAnterior", tmp_path / "model")
    found = advise(tmp_path / "model", shared_data / "hippocampus-mr", cases=NEW)
    assert found.method == "adapter"
    assert any("guaranteed" in reason for reason in found.reasons)
