"""Tables and claims on one softmax that grows, against figures worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from Testing.benchmarks.archive import add_result, read_archive
from Testing.benchmarks.protocols.pcdd2026 import PAPER
from Testing.benchmarks.results import Results
from Testing.benchmarks.summary import read_results, write_summary

NAMES = PAPER.find("spine-1-1").structures
SPREAD = (-0.03, -0.02, -0.01, 0.01, 0.02, 0.03)  # of the cases around their mean
MADE = {"finished": "2026", "commit": None, "processor": "P", "device": "CPU", "precision": "32-true"}


def write(out: Path, method: str, seed: int, *rows: Sequence[float], protocol: str = "spine-1-1") -> None:
    """Write a chain that scored ``rows[t]`` after stage t; a chain of one row has learned everything in it."""
    stages = [
        {
            "scores": {
                name: {
                    "assd_mm": 1.0,
                    "per_case": [
                        {"case": f"c{place}", "dice": mean + shift, "voxels_truth": 9}
                        for place, shift in enumerate(SPREAD)
                    ],
                }
                for name, mean in zip(NAMES, row, strict=False)
            },
            "step": {"seconds": {"total": 10.0 * (number + 1)}},
        }
        for number, row in enumerate(rows)
    ]
    setting = {"teaching": 1, "test": [f"c{place}" for place in range(6)]}
    chain = {"protocol": protocol, "method": method, "seed": seed, "setting": setting, "stages": stages}
    add_result(out, f"{protocol}-{method}-seed{seed}", chain | {"environment": MADE | {"libraries": {"torch": "2"}}})


def results(out: Path) -> Results:
    (found,) = read_results(out, PAPER)
    return found


def verdicts(out: Path) -> dict[str, str]:
    return {claim.text: f"{claim.verdict} {claim.figures}" for claim in PAPER.claims(results(out))}


def one(found: dict[str, str], *words: str) -> str:
    (text,) = [text for claim, text in found.items() if all(word in claim for word in words)]
    return text


def row(text: str, method: str, table: int = 0) -> list[str]:
    lines = [line for line in text.splitlines() if line.startswith(f"| {method} |")]
    return [cell.strip() for cell in lines[table].split("|")[1:-1]]


def test_old_new_all_and_forgetting_by_hand(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, "mib", seed, (0.9,), (0.8, 0.6), (0.7, 0.5, 0.35 + 0.1 * seed))
        write(tmp_path, "pcdd", seed, (0.9,), (0.8, 0.6), (0.72, 0.5, 0.35 + 0.1 * seed))
        write(tmp_path, "offline", seed, (0.9, 0.8, 0.7))
    outcomes = results(tmp_path).outcomes
    assert list(outcomes) == ["offline", "mib", "pcdd"]
    mib = outcomes["mib"]
    means = {name: mib.mean(group) for name, group in mib.protocol.groups.items()}
    assert means["Old"] == pytest.approx({0: 0.7, 1: 0.7, 2: 0.7})
    assert means["New"] == pytest.approx({0: 0.425, 1: 0.475, 2: 0.525})
    assert means["All"] == pytest.approx({0: 1.55 / 3, 1: 1.65 / 3, 2: 1.75 / 3})
    assert mib.forgetting == pytest.approx([15.0] * 3)  # the first lost 0.2, the second 0.1
    assert outcomes["offline"].forgetting == []
    assert mib.kept(1) == pytest.approx([8 / 9] * 3)
    text = write_summary(tmp_path, PAPER).read_text(encoding="utf-8")
    cells = row(text, "mib")
    assert cells[1].startswith("70.0 [67")
    assert cells[2].startswith("47.5 [3")
    assert cells[3].startswith("55.0 [48")
    assert cells[4].startswith("−25.0 [")
    assert cells[5:] == ["15.0 (15.0 to 15.0)", "3", "25 s"]
    assert row(text, "pcdd", 1) == ["pcdd", "+2.0 [+2.0, +2.0]", "0.0 [0.0, 0.0]", "+0.7 [+0.7, +0.7]", "better"]
    assert row(text, "offline", 1) == ["offline", "90.0", "80.0", "70.0"]  # not against mib, but by structure


def test_claims_against_hand_computed_figures(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, "finetune-softmax", seed, (0.8,), (0.0, 0.6), (0.1 * seed, 0.0, 0.5))
        write(tmp_path, "lwf", seed, (0.8,), (0.3, 0.6), (0.2 * seed + 0.04, 0.0, 0.5))
        write(tmp_path, "mib", seed, (0.8,), (0.8, 0.6), (0.65, 0.6, 0.6))
        write(tmp_path, "sdr", seed, (0.8,), (0.8, 0.6), (0.63, 0.6, 0.6))
        write(tmp_path, "pcdd", seed, (0.8,), (0.8, 0.6), (0.65, 0.55, 0.6))
        write(tmp_path, "offline", seed, (0.8, 0.7, 0.6))
    found = verdicts(tmp_path)
    assert one(found, "finetune-softmax loses") == "PASS keeps 12.5 % (seeds: 0.0, 12.5, 25.0)"
    assert one(found, "lwf loses") == "NOT SEEN keeps 30.0 % (seeds: 5.0, 30.0, 55.0)"
    assert one(found, "mib holds").startswith("PASS keeps 81.2 %")
    assert one(found, "sdr holds").startswith("NOT SEEN keeps 78.")
    assert one(found, "more than 2 points below mib") == "PASS −1.7 points [−1.7, −1.7]"
    assert one(found, "distance of mib").startswith("MEASURED −8.3 points")


def test_what_was_never_learned_is_neither_held_nor_lost(tmp_path: Path) -> None:
    for name in ("finetune-softmax", "mib"):
        for seed in range(2):
            write(tmp_path, name, seed, (0.9,), (0.9, 0.6), (0.9, 0.6, 0.6))
        write(tmp_path, name, 2, (0.06,), (0.06, 0.6), (0.06, 0.6, 0.6))
    found = verdicts(tmp_path)
    assert one(found, "finetune-softmax loses") == "NOT SEEN not learned: their first Dice is 6.0 %"
    assert one(found, "mib holds") == "NOT SEEN not learned: their first Dice is 6.0 %"


def test_below_mib_is_seen(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, "mib", seed, (0.8,), (0.8, 0.6), (0.6, 0.6, 0.6))
        write(tmp_path, "pcdd", seed, (0.8,), (0.8, 0.6), (0.6, 0.53, 0.6))
    assert one(verdicts(tmp_path), "more than 2 points below mib").startswith("NOT SEEN −2.3")


def test_summary_of_what_has_finished(tmp_path: Path) -> None:
    write(tmp_path, "mib", 0, (0.8,), (0.8, 0.6), (0.6, 0.6, 0.6))
    write(tmp_path, "pcdd+lambda_ll=0", 1, (0.8,), (0.8, 0.6), (0.6, 0.6, 0.6))
    write(tmp_path, "offline", 0, (0.8, 0.8, 0.6), protocol="spine-1-2")
    text = write_summary(tmp_path, PAPER).read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Lumbar spine MR, spine-1-1", "## Lumbar spine MR, spine-1-2", "## Made with",
    ]  # fmt: skip
    assert row(text, "pcdd+lambda_ll=0")[4] == "–"  # no offline there, and no seed in common with mib
    assert "3 chains" in text
    curves = tmp_path / "spine-1-1-curves.png"
    assert curves.read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "spine-1-2-curves.png").exists()
    before = text, curves.read_bytes()
    write_summary(tmp_path, PAPER)
    assert ((tmp_path / "summary.md").read_text("utf-8"), curves.read_bytes()) == before


@pytest.mark.parametrize("dice", [None, 0.0])
def test_absent_structures_count_in_no_mean(tmp_path: Path, dice: float | None) -> None:
    """Otherwise the two sides of a pair would be means over different structures."""
    write(tmp_path, "mib", 0, (0.8,), (0.8, 0.6), (0.6, 0.6, 0.6))
    (chain,) = read_archive(tmp_path).values()
    chain["stages"][-1]["scores"][NAMES[2]]["per_case"][0] |= {"dice": dice, "voxels_truth": 0}
    add_result(tmp_path, "spine-1-1-mib-seed0", chain)
    mib = results(tmp_path).outcomes["mib"]
    assert mib.pairs((NAMES[0], NAMES[2]))["c0", 0] == pytest.approx(0.57)
    assert mib.pairs(NAMES[2:])["c0", 0] is None


def test_what_is_found_in_a_scan_without_it_is_not_forgotten(tmp_path: Path) -> None:
    """A method that stops finding a structure anywhere would else gain by the scan that lacks it."""
    write(tmp_path, "mib", 0, (0.8,), (0.8, 0.6), (0.6, 0.5, 0.6))
    (chain,) = read_archive(tmp_path).values()
    for stage, dice in zip(chain["stages"], (0.0, 0.0, None), strict=True):
        stage["scores"][NAMES[0]]["per_case"].append({"case": "empty", "dice": dice, "voxels_truth": 0})
    add_result(tmp_path, "spine-1-1-mib-seed0", chain)
    assert results(tmp_path).outcomes["mib"].forgetting == pytest.approx([15.0])


def test_a_bound_with_other_options_is_no_rival(tmp_path: Path) -> None:
    write(tmp_path, "mib", 0, (0.8,), (0.8, 0.6), (0.6, 0.6, 0.6))
    write(tmp_path, "offline+dice=false", 0, (0.8, 0.8, 0.6))
    assert "### Against mib" not in write_summary(tmp_path, PAPER).read_text(encoding="utf-8")


def test_nothing_has_finished(tmp_path: Path) -> None:
    assert "No chain has finished" in write_summary(tmp_path, PAPER).read_text(encoding="utf-8")


def test_what_rounds_to_nothing_has_no_sign(tmp_path: Path) -> None:
    write(tmp_path, "mib", 0, (0.8,), (0.8, 0.6), (0.8002, 0.6002, 0.6))
    assert row(write_summary(tmp_path, PAPER).read_text(encoding="utf-8"), "mib")[5] == "0.0 (0.0 to 0.0)"
