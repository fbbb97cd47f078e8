from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from IncrementalSegLib.benchmarks.ciss.results import read_results
from IncrementalSegLib.benchmarks.ciss.statements import check
from IncrementalSegLib.benchmarks.ciss.summary import write_summary
from IncrementalSegLib.evaluation.forgetting import ScoreMatrix
from IncrementalSegLib.files import read_json

STAGES = (("a",), ("b",), ("c",))
SPREAD = (-0.03, -0.02, -0.01, 0.01, 0.02, 0.03)  # of the cases around their mean
MADE = {"finished": "2026", "commit": None, "processor": "P", "device": "CPU", "precision": "32-true"}


def write(
    out: Path, method: str, seed: int, *rows: Sequence[float], protocol: str = "spine-1-1", bound: bool = False
) -> None:
    """Write a chain that scored ``rows[t]`` after stage t; a chain of one row has learned everything in it."""
    names = [name for stage in STAGES for name in stage]
    learned = (0, 0, 0) if bound else (0, 1, 2)
    filled = tuple((*row, *[None] * (3 - len(row))) for row in rows)
    stages = [
        {
            "taught": names if bound else [names[number]],
            "scores": {
                name: {
                    "dice": mean,
                    "per_case": [
                        {"case": f"c{place}", "dice": mean + shift, "voxels_truth": 9}
                        for place, shift in enumerate(SPREAD)
                    ],
                }
                for name, mean in zip(names, row, strict=False)
            },
            "step": {"seconds": {"total": 10.0 * (number + 1)}},
        }
        for number, row in enumerate(rows)
    ]
    setting = {
        "dataset": "spine", "stages": STAGES, "cases": "shared", "network": "unet2d", "preset": "quick", "steps": 300,
        "teaching": ["t"], "test": [f"c{place}" for place in range(6)], "options": {},
    }  # fmt: skip
    chain = {
        "benchmark": "ciss",
        "title": "Spine",
        "protocol": protocol,
        "method": method,
        "seed": seed,
        "setting": setting,
        "matrix": ScoreMatrix(tuple(names), learned, filled).to_json(),
        "stages": stages,
        "environment": MADE | {"libraries": {"torch": "2"}},
    }
    (out / protocol).mkdir(exist_ok=True)
    (out / protocol / f"{method}-seed{seed}.json").write_text(json.dumps(chain))


def verdicts(out: Path) -> dict[str, str]:
    (results,) = read_results(out)
    return {item.claim: f"{item.verdict} {item.figures}" for item in check(results)}


def one(found: dict[str, str], *words: str) -> str:
    (text,) = [text for claim, text in found.items() if all(word in claim for word in words)]
    return text


def row(text: str, method: str, table: int = 0) -> list[str]:
    lines = [line for line in text.splitlines() if line.startswith(f"| {method} |")]
    return [cell.strip() for cell in lines[table].split("|")[1:-1]]


def test_old_new_all_and_forgetting_by_hand(tmp_path: Path) -> None:
    for seed in range(2):
        write(tmp_path, "mib", seed, (0.9,), (0.8, 0.6), (0.7, 0.5, 0.4 + 0.1 * seed))
        write(tmp_path, "pcdd", seed, (0.9,), (0.8, 0.6), (0.72, 0.5, 0.4 + 0.1 * seed))
        write(tmp_path, "offline", seed, (0.9, 0.8, 0.7), bound=True)
    (results,) = read_results(tmp_path)
    assert results.groups == {"Old": ("a",), "New": ("b", "c"), "All": ("a", "b", "c")}
    assert list(results.outcomes) == ["offline", "mib", "pcdd"]
    mib = results.outcomes["mib"]
    means = {name: mib.mean(group) for name, group in results.groups.items()}
    assert means["Old"] == pytest.approx({0: 0.7, 1: 0.7})
    assert means["New"] == pytest.approx({0: 0.45, 1: 0.5})
    assert means["All"] == pytest.approx({0: 1.6 / 3, 1: 1.7 / 3})
    assert mib.forgetting == pytest.approx([15.0, 15.0])  # a lost 0.2, b lost 0.1, c was taught last
    assert results.outcomes["offline"].forgetting == []
    assert mib.kept(1) == pytest.approx([8 / 9, 8 / 9])
    text = write_summary(tmp_path).read_text(encoding="utf-8")
    cells = row(text, "mib")
    assert cells[1].startswith("70.0 [68")
    assert cells[2].startswith("47.5 [4")
    assert cells[3].startswith("55.0 [5")
    assert cells[4].startswith("−25.0 [")
    assert cells[5:] == ["15.0 (15.0 to 15.0)", "2", "25 s"]
    assert row(text, "pcdd", 1) == ["pcdd", "+2.0 [+2.0, +2.0]", "0.0 [0.0, 0.0]", "+0.7 [+0.7, +0.7]", "better"]
    assert row(text, "offline", 1) == ["offline", "90.0", "80.0", "70.0"]  # not against mib, but by structure


def test_statements_against_hand_computed_figures(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, "finetune-softmax", seed, (0.8,), (0.0, 0.6), (0.1 * seed, 0.0, 0.5))
        write(tmp_path, "lwf", seed, (0.8,), (0.3, 0.6), (0.2 * seed + 0.04, 0.0, 0.5))
        write(tmp_path, "mib", seed, (0.8,), (0.8, 0.6), (0.65, 0.6, 0.6))
        write(tmp_path, "sdr", seed, (0.8,), (0.8, 0.6), (0.63, 0.6, 0.6))
        write(tmp_path, "pcdd", seed, (0.8,), (0.8, 0.6), (0.65, 0.55, 0.6))
        write(tmp_path, "offline", seed, (0.8, 0.7, 0.6), bound=True)
    found = verdicts(tmp_path)
    assert one(found, "finetune-softmax loses") == "PASS keeps 12.5 % (seeds: 0.0, 12.5, 25.0)"
    assert one(found, "lwf loses") == "NOT SEEN keeps 30.0 % (seeds: 5.0, 30.0, 55.0)"
    assert one(found, "mib holds").startswith("PASS keeps 81.2 %")
    assert one(found, "sdr holds").startswith("NOT SEEN keeps 78.")
    assert one(found, "more than 2 points below mib") == "PASS −1.7 points [−1.7, −1.7]"
    assert one(found, "distance of mib").startswith("MEASURED −8.3 points")


def test_what_was_never_learned_is_neither_held_nor_lost(tmp_path: Path) -> None:
    for name in ("finetune-softmax", "mib"):
        write(tmp_path, name, 0, (0.9,), (0.9, 0.6), (0.9, 0.6, 0.6))
        write(tmp_path, name, 1, (0.06,), (0.06, 0.6), (0.06, 0.6, 0.6))
    found = verdicts(tmp_path)
    assert one(found, "finetune-softmax loses") == "NOT SEEN not learned: their first Dice is 6.0 %"
    assert one(found, "mib holds") == "NOT SEEN not learned: their first Dice is 6.0 %"


def test_below_mib_is_seen(tmp_path: Path) -> None:
    write(tmp_path, "mib", 0, (0.8,), (0.8, 0.6), (0.6, 0.6, 0.6))
    write(tmp_path, "pcdd", 0, (0.8,), (0.8, 0.6), (0.6, 0.53, 0.6))
    assert one(verdicts(tmp_path), "more than 2 points below mib").startswith("NOT SEEN −2.3")


def test_summary_of_what_has_finished(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "case1-mib-seed0.json").write_text('{"method": "mib"}')  # of another benchmark
    write(tmp_path, "mib", 0, (0.8,), (0.8, 0.6), (0.6, 0.6, 0.6))
    write(tmp_path, "pcdd+lambda_ll=0", 1, (0.8,), (0.8, 0.6), (0.6, 0.6, 0.6))
    write(tmp_path, "offline", 0, (0.8, 0.8, 0.6), bound=True, protocol="spine-1-2")
    table = write_summary(tmp_path)
    text = table.read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Spine, spine-1-1", "## Spine, spine-1-2", "## Made with",
    ]  # fmt: skip
    assert row(text, "pcdd+lambda_ll=0")[4] == "–"  # no offline there, and no seed in common with mib
    assert "3 chains" in text
    assert (tmp_path / "spine-1-1-curves.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "spine-1-2-curves.png").exists()
    assert not (tmp_path / "spine-1-1-slices.png").exists()
    numbers = read_json(tmp_path / "summary.json")["spine-1-1"]["methods"]["mib"]
    assert numbers["dice"]["All"]["points"] == pytest.approx(60.0)
    before = text, (tmp_path / "spine-1-1-curves.png").read_bytes()
    assert (write_summary(tmp_path).read_text("utf-8"), (tmp_path / "spine-1-1-curves.png").read_bytes()) == before


@pytest.mark.parametrize("dice", [None, 0.0])
def test_absent_structures_count_in_no_mean(tmp_path: Path, dice: float | None) -> None:
    """Whether it is found there or not: else the two sides of a pair would be means over other structures."""
    write(tmp_path, "mib", 0, (0.8,), (0.8, 0.6), (0.6, 0.6, 0.6))
    file = tmp_path / "spine-1-1" / "mib-seed0.json"
    chain = json.loads(file.read_text())
    chain["stages"][-1]["scores"]["c"]["per_case"][0] |= {"dice": dice, "voxels_truth": 0}
    file.write_text(json.dumps(chain))
    (results,) = read_results(tmp_path)
    pairs = results.outcomes["mib"].pairs(("a", "c"))
    assert pairs["c0", 0] == pytest.approx(0.57)
    assert results.outcomes["mib"].pairs(("c",))["c0", 0] is None


def test_what_is_found_in_a_scan_without_it_is_not_forgotten(tmp_path: Path) -> None:
    """A method that stops finding a structure anywhere would else gain by the scan that lacks it."""
    write(tmp_path, "mib", 0, (0.8,), (0.8, 0.6), (0.6, 0.5, 0.6))
    file = tmp_path / "spine-1-1" / "mib-seed0.json"
    chain = json.loads(file.read_text())
    for stage, dice in zip(chain["stages"], (0.0, 0.0, None), strict=True):
        stage["scores"]["a"]["per_case"].append({"case": "empty", "dice": dice, "voxels_truth": 0})
    rows = ((0.8 * 6 / 7, None, None), (0.8 * 6 / 7, 0.6, None), (0.6, 0.5, 0.6))  # as the scores of a version have it
    chain["matrix"] = ScoreMatrix(("a", "b", "c"), (0, 1, 2), rows).to_json()
    file.write_text(json.dumps(chain))
    (results,) = read_results(tmp_path)
    assert results.outcomes["mib"].forgetting == pytest.approx([15.0])


def test_a_bound_with_other_options_is_a_bound(tmp_path: Path) -> None:
    write(tmp_path, "mib", 0, (0.8,), (0.8, 0.6), (0.6, 0.6, 0.6))
    write(tmp_path, "offline+dice=false", 0, (0.8, 0.8, 0.6), bound=True)
    (results,) = read_results(tmp_path)
    assert [outcome.name for outcome in results.methods] == ["mib"]
    assert "### Against mib" not in write_summary(tmp_path).read_text(encoding="utf-8")


def test_nothing_has_finished(tmp_path: Path) -> None:
    assert "No chain has finished" in write_summary(tmp_path).read_text(encoding="utf-8")


def test_what_rounds_to_nothing_has_no_sign(tmp_path: Path) -> None:
    write(tmp_path, "mib", 0, (0.8,), (0.8, 0.6), (0.8002, 0.6002, 0.6))
    assert row(write_summary(tmp_path).read_text(encoding="utf-8"), "mib")[5] == "0.0 (0.0 to 0.0)"
