"""Tables and claims on two heads, against figures worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from Testing.benchmarks.archive import add_result
from Testing.benchmarks.plots import efficiency_curves
from Testing.benchmarks.protocols.ozdemir2018 import PAPER
from Testing.benchmarks.summary import read_results, write_summary

SPREAD = (-0.03, -0.02, -0.01, 0.01, 0.02, 0.03)  # of the cases around their mean
MADE = {"finished": "2024", "commit": None, "processor": "P", "device": "CPU", "precision": "32-true"}


def structure(mean: float) -> dict[str, object]:
    cases = [{"case": f"c{number}", "dice": mean + shift, "voxels_truth": 9} for number, shift in enumerate(SPREAD)]
    return {"assd_mm": 1.0, "per_case": cases}


def write(out: Path, case: str, method: str, seed: int, old: float, new: float, group: str = "phantom") -> None:
    """Write a chain whose old structure had a Dice of 0.9."""
    names = PAPER.find(f"{group}-{case}").structures
    rows = ((0.9,), (old, new))
    stages = [
        {
            "scores": {name: structure(mean) for name, mean in zip(names, row, strict=False)},
            "step": {"seconds": {"total": 30.0}},
        }
        for row in rows
    ]
    setting = {"teaching": 16, "test": ["c0"]}
    chain = {"protocol": f"{group}-{case}", "method": method, "seed": seed, "setting": setting, "stages": stages}
    made = {"environment": MADE | {"libraries": {"torch": "2"}}}
    add_result(out, f"{group}-{case}-{method}-seed{seed}", chain | made)


def verdicts(out: Path, name: str) -> dict[str, str]:
    (found,) = [results for results in read_results(out, PAPER) if results.protocol.name == name]
    return {claim.text: f"{claim.verdict} {claim.figures}" for claim in PAPER.claims(found)}


def one(found: dict[str, str], *words: str) -> str:
    (text,) = [text for claim, text in found.items() if all(word in claim for word in words)]
    return text


def test_claims_against_hand_computed_figures(tmp_path: Path) -> None:
    for seed, lwfseg in enumerate((0.882, 0.855, 0.873)):  # keeps 98, 95 and 97 %
        write(tmp_path, "case1", "finetune", seed, old=0.09 * seed, new=0.8)  # keeps 0, 10, 20 %
        write(tmp_path, "case1", "lwfseg", seed, old=lwfseg, new=0.768)
        write(tmp_path, "case1", "aeiseg", seed, old=0.9, new=0.712)
        write(tmp_path, "case1", "separate", seed, old=0.9, new=0.8)
        write(tmp_path, "case3", "lwfseg", seed, old=0.6, new=0.8)  # loses a third
        write(tmp_path, "case3", "aeiseg", seed, old=0.809 + 0.001 * seed, new=0.8)
        write(tmp_path, "case3", "coriseg", seed, old=0.64, new=0.8)  # four points are not five
        write(tmp_path, "case3", "reseg", seed, old=0.81, new=0.8)
    same, other = verdicts(tmp_path, "phantom-case1"), verdicts(tmp_path, "phantom-case3")
    assert one(same, "finetune") == "PASS keeps 10.0 % (seeds: 0.0, 10.0, 20.0)"
    assert one(same, "lwfseg keeps") == "PASS keeps 96.7 % (seeds: 98.0, 95.0, 97.0)"
    assert one(same, "lwfseg's new") == "PASS 96.0 % (seeds: 96.0, 96.0, 96.0)"
    assert one(same, "aeiseg's new") == "NOT SEEN 89.0 % (seeds: 89.0, 89.0, 89.0)"
    assert one(other, "the contrast") == "PASS 33.3 % (seeds: 33.3, 33.3, 33.3)"
    assert one(other, "aeiseg keeps more").startswith("PASS +21.0 points [+20.")
    assert one(other, "coriseg (trunk) keeps more").startswith("NOT SEEN +4.0 points")
    assert one(other, "chosen exemplars (aeiseg)").startswith("MEASURED aeiseg is not below reseg")


@pytest.mark.parametrize(("kept", "verdict"), [((0.99, 0.99, 0.89), "NOT SEEN"), ((0.94, 0.94, 0.94), "NOT SEEN")])
def test_lwfseg_must_hold_on_average_and_with_every_seed(tmp_path: Path, kept: tuple[float, ...], verdict: str) -> None:
    for seed, share in enumerate(kept):
        write(tmp_path, "case1", "lwfseg", seed, old=0.9 * share, new=0.8)
    assert one(verdicts(tmp_path, "phantom-case1"), "lwfseg keeps").startswith(verdict)


def test_new_structure_is_compared_on_common_seeds(tmp_path: Path) -> None:
    for seed, new in enumerate((0.4, 0.4, 0.4, 0.8)):
        write(tmp_path, "case1", "lwfseg", seed, old=0.9, new=new)
    for seed in range(2):
        write(tmp_path, "case1", "separate", seed, old=0.9, new=0.8)
    assert one(verdicts(tmp_path, "phantom-case1"), "lwfseg's new") == "TOO FEW SEEDS 50.0 % (seeds: 50.0, 50.0)"
    write(tmp_path, "case1", "separate", 2, old=0.9, new=0.8)
    assert one(verdicts(tmp_path, "phantom-case1"), "lwfseg's new") == "NOT SEEN 50.0 % (seeds: 50.0, 50.0, 50.0)"


def test_few_annotations_give_an_interval_and_a_curve(tmp_path: Path) -> None:
    for case, gain in (("case1", 0.0), ("case2", 0.1), ("volumes2", 0.05)):
        for seed in range(3):
            write(tmp_path, case, "lwfseg", seed, old=0.9, new=0.6 + gain, group="spine")
            write(tmp_path, case, "separate", seed, old=0.9, new=0.6, group="spine")
    found = verdicts(tmp_path, "spine-case2")
    assert "lwfseg is better than separate (+10.0 points" in one(found, "lwfseg against separate")
    write(tmp_path, "case2", "finetune", 0, old=0.1, new=0.6, group="spine")  # one point is no curve
    curves = efficiency_curves(read_results(tmp_path, PAPER))
    volumes = {name: [item.protocol.stages[1].volumes for item in points] for name, points in curves.items()}
    assert volumes == {"lwfseg": [1, 2, 10], "separate": [1, 2, 10]}


def test_summary_of_what_has_finished(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, "case1", "finetune", seed, old=0.0, new=0.8)
        write(tmp_path, "case1", "lwfseg", seed, old=0.81, new=0.65 + 0.1 * seed)
    write(tmp_path, "case2", "lwfseg", 0, old=0.8, new=0.7, group="spine")
    write(tmp_path, "case1", "lwfseg", 0, old=0.8, new=0.7, group="spine")
    write(tmp_path, "case1", "coriseg", 0, old=0.8, new=0.7, group="spine")
    text = write_summary(tmp_path, PAPER).read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| lwfseg"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1].startswith("0.900 [0.87")
    assert cells[2].startswith("0.810 [0.78")
    assert cells[3] == "90 % (90–90)"
    assert cells[5].startswith("0.750 [0.5")
    assert cells[7:] == ["1.00", "1.00", "3", "30 s"]
    assert "9 chains" in text
    assert "| coriseg (trunk) |" in text
    assert "Hippocampus" not in text
    for name in ("phantom-case1-curves.png", "spine-case2-curves.png", "spine-volumes.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert f"({name})" in text
    assert not (tmp_path / "phantom-volumes.png").exists()


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    for seed in range(2):
        write(tmp_path, "case1", "lwfseg", seed, old=0.81, new=0.7 + 0.1 * seed)
    assert write_summary(tmp_path, PAPER).read_bytes() == write_summary(tmp_path, PAPER).read_bytes()
