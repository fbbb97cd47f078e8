"""Shares of loss terms in the gradient: of any family, and proportional to a term's weight."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from IncrementalSegLib.engine.runtime import start
from Testing.benchmarks import gradients
from Testing.benchmarks.bench import Bench
from Testing.benchmarks.protocols.pcdd2026 import read
from Testing.benchmarks.variants import find_variants


@pytest.fixture
def bench() -> Bench:
    found = Bench(start("cpu"))
    found.preset = replace(found.preset, widths=(4, 8), batch=2)
    return found


def shares(bench: Bench, name: str) -> dict[str, dict[str, float]]:
    protocol = read("phantom-3-2")
    assert protocol is not None
    (variant,) = find_variants(name, replace(protocol, first=""))
    return gradients.gradient_shares(bench, variant, 2, 2, 1, 2)


@pytest.mark.parametrize("name", ["lwfseg", "ewc", "mib", "pcdd+base=calibrated", "cfil", "dodnet"])
def test_each_term_of_a_method_of_any_family_has_its_share(bench: Bench, name: str) -> None:
    found = shares(bench, name)
    assert len(found) >= 3
    assert sum(term["share"] for term in found.values()) == pytest.approx(1)
    assert all(term["norm"] >= 0 for term in found.values())
    assert sum(term["norm"] > 0 for term in found.values()) >= len(found) - 1


def test_the_gradient_grows_with_the_weight(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "_train", lambda *arguments: None)  # so that both measure the same weights
    one, ten = (shares(bench, f"pcdd+lambda_lg={weight}")["global_prototypes"] for weight in (1, 10))
    assert one["norm"] > 0
    assert ten["norm"] == pytest.approx(10 * one["norm"], rel=0.05)
    assert one["share"] < ten["share"] < 1


def test_the_command_writes_numbers_and_shares(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradients, "Bench", lambda runtime: bench)
    gradients.main(tmp_path / "out.json", "mib,lwf", old=1, first=1, steps=1, batches=1, device="cpu")
    written = json.loads((tmp_path / "out.json").read_text())
    assert list(written["methods"]) == ["mib", "lwf"]
    assert (written["old"], written["new"], written["steps"]) == (1, 2, 1)
    assert set(written["methods"]["mib"]) == {"cross_entropy", "dice", "distillation"}
