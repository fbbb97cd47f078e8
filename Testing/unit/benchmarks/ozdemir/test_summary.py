from __future__ import annotations

import json
from pathlib import Path

import pytest

from IncrementalSegLib.benchmarks.ozdemir.plots import efficiency_curves
from IncrementalSegLib.benchmarks.ozdemir.protocols import PROTOCOLS
from IncrementalSegLib.benchmarks.ozdemir.results import Results
from IncrementalSegLib.benchmarks.ozdemir.statements import check
from IncrementalSegLib.benchmarks.ozdemir.summary import write_summary
from IncrementalSegLib.files import read_json

PHANTOM, SPINE = PROTOCOLS[0], PROTOCOLS[1]
SPREAD = (-0.03, -0.02, -0.01, 0.01, 0.02, 0.03)  # of the cases around their mean


def structure(mean: float) -> dict[str, object]:
    cases = [{"case": f"c{number}", "dice": mean + shift} for number, shift in enumerate(SPREAD)]
    return {"dice": mean, "assd_mm": 1.0, "hd95_mm": 4.0, "per_case": cases}


def write(
    out: Path,
    scenario: str,
    method: str,
    seed: int,
    old: float,
    new: float,
    protocol: str = "phantom",
    first: float = 0.9,
) -> None:
    names = {item.name: (item.old, item.new) for item in PROTOCOLS}[protocol]
    made = {"finished": "2024", "commit": None, "processor": "P", "device": "CPU", "precision": "32-true"}
    result = {
        "protocol": protocol,
        "scenario": scenario,
        "method": method,
        "seed": seed,
        "before": {names[0]: structure(first)},
        "after": {names[0]: structure(old), names[1]: structure(new)},
        "first_step": {"seconds": {"total": 60.0}},
        "second_step": {"seconds": {"total": 30.0}},
        "environment": made | {"libraries": {"torch": "2"}},
    }
    (out / protocol).mkdir(exist_ok=True)
    (out / protocol / f"{scenario}-{method}-seed{seed}.json").write_text(json.dumps(result))


def verdicts(out: Path, protocol: int = 0) -> dict[str, str]:
    found = check(Results(out, PROTOCOLS), PROTOCOLS[protocol])
    return {f"{item.scenario[:6]} {item.claim}": f"{item.verdict} {item.figures}" for item in found}


def one(found: dict[str, str], *words: str) -> str:
    (text,) = [text for claim, text in found.items() if all(word in claim for word in words)]
    return text


def test_statements_against_hand_computed_figures(tmp_path: Path) -> None:
    for seed, lwfseg in enumerate((0.882, 0.855, 0.873)):  # keeps 98, 95 and 97 %
        write(tmp_path, "case1", "finetune", seed, old=0.09 * seed, new=0.8)  # keeps 0, 10, 20 %
        write(tmp_path, "case1", "lwfseg", seed, old=lwfseg, new=0.768)
        write(tmp_path, "case1", "aeiseg", seed, old=0.9, new=0.712)
        write(tmp_path, "case1", "separate", seed, old=0.9, new=0.8)
        write(tmp_path, "case3", "lwfseg", seed, old=0.6, new=0.8)  # loses a third
        write(tmp_path, "case3", "aeiseg", seed, old=0.8 + 0.01 * seed, new=0.8)
        write(tmp_path, "case3", "coriseg", seed, old=0.64, new=0.8)  # four points are not five
        write(tmp_path, "case3", "reseg", seed, old=0.81, new=0.8)
    found = verdicts(tmp_path)
    assert one(found, "Case 1 finetune") == "PASS keeps 10.0 % (seeds: 0.0, 10.0, 20.0)"
    assert one(found, "Case 1 lwfseg keeps") == "PASS keeps 96.7 % (seeds: 98.0, 95.0, 97.0)"
    assert one(found, "lwfseg's new") == "PASS 96.0 % (seeds: 96.0, 96.0, 96.0)"
    assert one(found, "aeiseg's new") == "NOT SEEN 89.0 % (seeds: 89.0, 89.0, 89.0)"
    assert one(found, "the contrast") == "PASS 33.3 % (seeds: 33.3, 33.3, 33.3)"
    assert one(found, "aeiseg keeps more").startswith("PASS +21.0 points [+20.")
    assert one(found, "coriseg keeps more").startswith("NOT SEEN +4.0 points")
    assert one(found, "Case 3 chosen exemplars (aeiseg)").startswith("MEASURED aeiseg is not below reseg")


@pytest.mark.parametrize(("kept", "verdict"), [((0.99, 0.99, 0.89), "NOT SEEN"), ((0.94, 0.94, 0.94), "NOT SEEN")])
def test_lwfseg_must_hold_on_average_and_with_every_seed(tmp_path: Path, kept: tuple[float, ...], verdict: str) -> None:
    for seed, share in enumerate(kept):
        write(tmp_path, "case1", "lwfseg", seed, old=0.9 * share, new=0.8)
    assert one(verdicts(tmp_path), "lwfseg keeps").startswith(verdict)


def test_new_structure_is_compared_on_common_seeds(tmp_path: Path) -> None:
    write(tmp_path, "case1", "lwfseg", 0, old=0.9, new=0.4)
    write(tmp_path, "case1", "lwfseg", 1, old=0.9, new=0.8)
    write(tmp_path, "case1", "separate", 0, old=0.9, new=0.8)
    assert one(verdicts(tmp_path), "lwfseg's new") == "NOT SEEN 50.0 % (seeds: 50.0)"


def test_few_annotations_give_an_interval_and_a_curve(tmp_path: Path) -> None:
    for scenario, gain in (("case1", 0.0), ("case2", 0.1), ("volumes2", 0.05)):
        for seed in range(3):
            write(tmp_path, scenario, "lwfseg", seed, old=0.9, new=0.6 + gain, protocol="spine")
            write(tmp_path, scenario, "separate", seed, old=0.9, new=0.6, protocol="spine")
    assert "lwfseg is better than separate (+10.0 points" in one(verdicts(tmp_path, 1), "lwfseg against separate")
    write(tmp_path, "case2", "finetune", 0, old=0.1, new=0.6, protocol="spine")  # one point is no curve
    curves = efficiency_curves(Results(tmp_path, PROTOCOLS), SPINE)
    assert {name: [item.scenario.volumes for item in points] for name, points in curves.items()} == {
        "lwfseg": [1, 2, 10],
        "separate": [1, 2, 10],
    }


def test_summary_of_what_has_finished(tmp_path: Path) -> None:
    for seed in range(2):
        write(tmp_path, "case1", "finetune", seed, old=0.0, new=0.8)
        write(tmp_path, "case1", "lwfseg", seed, old=0.81, new=0.7 + 0.1 * seed)
    write(tmp_path, "case2", "lwfseg", 0, old=0.8, new=0.7, protocol="spine")
    write(tmp_path, "case1", "lwfseg", 0, old=0.8, new=0.7, protocol="spine")
    table = write_summary(tmp_path)
    text = table.read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| lwfseg"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1].startswith("0.900 [0.88")
    assert cells[2].startswith("0.810 [0.79")
    assert cells[3] == "90 % (90–90)"
    assert cells[5].startswith("0.750 [0.6")
    assert cells[7:] == ["1.00", "1.00", "2", "30 s"]
    assert "6 chains and 3 first steps" in text
    assert "Hippocampus" not in text
    for name in ("phantom.png", "spine.png", "spine-volumes.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert f"({name})" in text
    assert not (tmp_path / "phantom-volumes.png").exists()
    numbers = read_json(tmp_path / "summary.json")["phantom"]["scenarios"]["case1"]["lwfseg"]
    assert numbers["new"]["dice"] == pytest.approx(0.75)
    assert numbers["seeds"] == [0, 1]


def test_nothing_has_finished(tmp_path: Path) -> None:
    assert "No chain has finished" in write_summary(tmp_path).read_text(encoding="utf-8")


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    for seed in range(2):
        write(tmp_path, "case1", "lwfseg", seed, old=0.81, new=0.7 + 0.1 * seed)
    assert write_summary(tmp_path).read_bytes() == write_summary(tmp_path).read_bytes()
