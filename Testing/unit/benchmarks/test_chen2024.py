"""Several sources, each annotated in part: which scans teach what, and what the tables say."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest
from organs import small_networks

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.progress import silent
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.types import Json
from Testing.benchmarks.archive import read_archive
from Testing.benchmarks.plots import curve_plot, lines_of
from Testing.benchmarks.protocol import Protocol, Source
from Testing.benchmarks.protocols.chen2024 import PAPER, SHARED
from Testing.benchmarks.results import Results
from Testing.benchmarks.runs import Chain, Runner
from Testing.benchmarks.scans import Scans, scans_for
from Testing.benchmarks.summary import read_results, write_summary
from Testing.benchmarks.variants import find_variants

_SIZE = (6, 32, 32)


def small(name: str) -> Protocol:
    """Return a protocol on phantoms that runs in moments."""

    def fewer(source: Source) -> Source:
        return replace(source, data=replace(source.data, test_volumes=1, volumes=4, size=_SIZE))

    found = PAPER.find(name)
    stages = (replace(stage, steps=2, sources=tuple(map(fewer, stage.sources))) for stage in found.stages)
    return replace(found, data=fewer(found.stages[0].sources[0]).data, stages=tuple(stages))


def opened(protocol: Protocol, store: Path, seed: int = 0) -> Scans:
    return scans_for(protocol, seed, store, None)


def run(protocol: Protocol, methods: str, out: Path) -> None:
    runner = Runner(out, None, "cpu", silent)
    for variant in find_variants(methods, protocol):
        runner.run(Chain(protocol, variant, 0))


def _sources(method: str) -> list[str]:
    """Return where a method takes its text embeddings from."""
    if method != "cfil":
        return []
    return [f"wordllama {version('wordllama')}" if find_spec("wordllama") else "seeded"]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    small_networks(monkeypatch)


def test_each_source_teaches_its_own_structures_on_its_own_patients(tmp_path: Path) -> None:
    joint = small("phantom-joint")
    scans = opened(joint, tmp_path)
    bones, muscles, other = (dataset for _, dataset, _ in scans.of_sources(0))
    known = [{case.looked_for for case in dataset.cases} for dataset in (bones, muscles, other)]
    assert known == [{frozenset(source.structures)} for source in joint.stages[0].sources]
    assert [len(dataset.cases) for dataset in (bones, muscles, other)] == [2, 2, 4]
    called = [{case.source for case in dataset.cases} for dataset in (bones, muscles, other)]
    assert called == [{"A 0"}, {"A 1"}, {"C 2"}]
    whole = {case.id for case in scans.of_stage(0).cases}
    assert len(whole) == 8
    assert whole.isdisjoint(scans.test)
    assert {case.looked_for for case in scans.everything().cases} == {frozenset(joint.structures)}
    dealt = {frozenset(c.id for c in opened(joint, tmp_path, seed).of_sources(0)[0][1].cases) for seed in range(4)}
    assert len(dealt) > 1


def test_a_model_for_each_source_is_scored_on_its_own_kind_of_scans(tmp_path: Path) -> None:
    run(small("phantom-joint"), "separate,dodnet", tmp_path)
    results = read_archive(tmp_path)
    scores = {name: result["stages"][0]["scores"] for name, result in results.items()}
    cases = {
        name: {structure: [entry["case"] for entry in score["per_case"]] for structure, score in found.items()}
        for name, found in scores.items()
    }
    domains = results["phantom-joint-dodnet-seed0"]["setting"]["domains"]
    both = sorted(domains["A"] + domains["C"])
    together, alone = cases["phantom-joint-dodnet-seed0"], cases["phantom-joint-separate-seed0"]
    assert all(sorted(found) == both for found in together.values())
    assert sorted(alone["humerus"]) == both
    assert alone["clavicle"] == domains["A"]
    text = write_summary(tmp_path, PAPER).read_text(encoding="utf-8")
    assert "| dodnet against a model of its own for each source | MEASURED |" in text
    (found,) = read_results(tmp_path, PAPER)
    (line,) = [line for line in text.splitlines() if line.startswith("| dodnet |") and " s |" in line]
    rows = [score["per_case"] for score in scores["phantom-joint-dodnet-seed0"].values()]
    dice = [entry["dice"] for row in rows for entry in row if entry["case"] in domains["C"]]
    assert line.split("|")[3].strip() == f"{100 * sum(dice) / len(dice):.1f}"
    assert found.protocol.name == "phantom-joint"


@pytest.mark.parametrize("method", ["dodnet", "versatile"])
def test_the_second_step_improves_the_same_structures_on_other_scans(tmp_path: Path, method: str) -> None:
    run(small("phantom-domains"), method, tmp_path)
    (result,) = read_archive(tmp_path).values()
    first, second = result["stages"]
    assert first["taught"] == second["taught"] == ["humerus", "scapula"]
    assert set(first["scores"]) == set(second["scores"]) == {"humerus", "scapula"}
    assert {entry["case"] for entry in second["scores"]["humerus"]["per_case"]} == {
        case for cases in result["setting"]["domains"].values() for case in cases
    }
    assert "A, step 1 | C, step 1 | A, step 2 | C, step 2" in write_summary(tmp_path, PAPER).read_text(encoding="utf-8")


@pytest.mark.parametrize("method", ["dodnet", "cfil"])
def test_the_scans_of_the_first_step_come_again_without_labels(tmp_path: Path, method: str) -> None:
    domains = small("phantom-domains-unlabelled")
    run(domains, method, tmp_path)
    (result,) = read_archive(tmp_path).values()
    assert result["setting"]["unlabelled"]
    assert result["stages"][0]["step"].get("text_embeddings", []) == _sources(method)
    record = open_model(tmp_path / ".models" / f"{domains.name}-{method}-seed0").record(2)
    trained = {entry["case"] for entry in record.step["training"]}
    scans = opened(domains, tmp_path / ".data")
    first, second = ({case.id for case in scans.of_stage(number).cases} for number in (0, 1))
    assert (len(first), len(trained & first)) == (4, 3)  # one was held out to judge
    assert trained - first < second


def chain(method: str, seed: int, *stages: dict[str, float]) -> Json:
    """Return a result whose stages have a Dice in each domain, the same for all structures."""
    return {
        "method": method,
        "seed": seed,
        "setting": {"domains": {domain: [domain] for domain in stages[0]}},
        "stages": [
            {
                "scores": {
                    name: {
                        "per_case": [{"case": item, "dice": dice, "voxels_truth": 9} for item, dice in stage.items()]
                    }
                    for name in SHARED
                }
            }
            for stage in stages
        ],
    }


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("abdomen-domains-unlabelled", ["PASS", "NOT SEEN"]),
        ("abdomen-domains", []),  # the paper says nothing about a step without unlabelled scans
    ],
)
def test_what_is_kept_is_judged_on_the_first_domain_alone(name: str, found: list[str]) -> None:
    verdicts = []
    for kept in (0.7, 0.6):
        chains = [chain("cfil", seed, {"CT": 0.8, "MR": 0.1}, {"CT": kept, "MR": 0.9}) for seed in range(3)]
        claims = list(PAPER.claims(Results.of(PAPER.find(name), chains)))
        verdicts += [claim.verdict for claim in claims if "cfil holds the old structures on CT" in claim.text]
    assert verdicts == found


def test_a_data_set_that_is_not_there_is_named(tmp_path: Path) -> None:
    for data in (None, tmp_path):
        with pytest.raises(DataError, match="abdomen-ct-btcv is not there"):
            scans_for(PAPER.find("abdomen-joint"), 0, tmp_path, data)


def test_options_are_chosen_on_other_people_than_those_of_the_test(tmp_path: Path) -> None:
    test, choice = (opened(small(name), tmp_path) for name in ("phantom-domains", "phantom-domains-validation"))
    assert choice.protocol.validation
    train = {case.id for scans in choice.teaching for case in scans.cases}
    assert train == {case.id for scans in test.teaching for case in scans.cases}
    people = [{name.split("_")[-2] for name in names} for names in (test.test, choice.test, train)]
    assert people == [{"7000", "9000"}, {"11000", "13000"}, {"6000", "8000"}]
    assert PAPER.read("nothing-validation") is None


def test_domains_have_a_line_each_and_one_stage_has_no_curve(tmp_path: Path) -> None:
    for name in ("phantom-domains", "phantom-joint"):
        run(small(name), "finetune", tmp_path)
    domains, joint = sorted(read_results(tmp_path, PAPER), key=lambda item: item.protocol.name)
    lines = {line.label: list(line.cases or ()) for line in lines_of(domains)}
    assert lines == domains.domains
    assert sorted(lines) == ["A", "C"]
    assert curve_plot(joint) is None
    assert [line.label for line in lines_of(joint)] == ["stage 1: humerus, scapula, clavicle, deltoid"]
