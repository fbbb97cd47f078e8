from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from IncrementalSegLib.benchmarks.ozdemir.chains import Runner
from IncrementalSegLib.benchmarks.ozdemir.protocols import Chain, Protocol, Scenario
from IncrementalSegLib.benchmarks.ozdemir.run import run_ozdemir
from IncrementalSegLib.engine.progress import silent
from IncrementalSegLib.errors import DataError, OptionError
from IncrementalSegLib.files import read_json
from IncrementalSegLib.store.versions import open_model

SCENARIO = Scenario("case3", "Case 3", ("finetune", "separate"), 2, "C")
TINY = Protocol(
    "tiny", "Tiny", None, "unet2d", "quick", (2, 2), "humerus", "scapula", 2, 2, (SCENARIO,), size=(6, 32, 32)
)


def chain(method: str, seed: int = 0, protocol: Protocol = TINY) -> Chain:
    return Chain(protocol, SCENARIO, method, seed)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    runner = Runner(folder, None, "cpu", silent)
    for method in SCENARIO.methods:
        runner.run(chain(method))
    runner.run(chain("finetune", seed=1))
    return folder


def test_a_chain_says_everything(out: Path) -> None:
    result = read_json(out / "tiny" / "case3-finetune-seed0.json")
    assert (result["method"], result["seed"], result["scenario"]) == ("finetune", 0, "case3")
    assert [entry["case"] for entry in result["before"]["humerus"]["per_case"]] == [
        f"shoulder_A_3000_{number:03d}" for number in range(2)
    ]
    assert [entry["case"] for entry in result["after"]["scapula"]["per_case"]] == [
        f"shoulder_C_3000_{number:03d}" for number in range(2)
    ]
    assert {"dice", "assd_mm", "hd95_mm"} <= result["after"]["humerus"].keys()
    old, new = (result["after"][name]["dice"] for name in ("humerus", "scapula"))
    assert result["forgetting"]["matrix"] == [[result["before"]["humerus"]["dice"], None], [old, new]]
    assert result["second_step"]["schedule"]["optimiser_steps"] == 2
    assert result["second_step"]["curve"]["points"]
    assert result["second_step"]["seconds"]["phases"]["Learning"] > 0
    assert result["environment"]["threads"] >= 1
    assert result["environment"]["libraries"]["torch"]


def test_separate_leaves_the_old_structure_alone(out: Path) -> None:
    result = read_json(out / "tiny" / "case3-separate-seed0.json")
    assert result["after"]["humerus"] == result["before"]["humerus"]


def test_first_steps_are_shared_within_a_seed(out: Path) -> None:
    results = [read_json(out / "tiny" / f"case3-{method}-seed0.json") for method in SCENARIO.methods]
    assert results[0]["first_step"] == results[1]["first_step"]  # with its durations: it ran once
    other = read_json(out / "tiny" / "case3-finetune-seed1.json")
    assert other["first_step"]["training"] != results[0]["first_step"]["training"]
    assert sorted(item.name for item in (out / ".first").iterdir()) == ["tiny-seed0", "tiny-seed1"]


def test_models_of_one_seed_are_kept(out: Path) -> None:
    assert sorted(item.name for item in (out / ".models").iterdir()) == ["tiny-case3-finetune", "tiny-case3-separate"]
    assert open_model(out / ".models" / "tiny-case3-separate").record().structures.names == ("humerus", "scapula")
    assert not any((out / ".work").iterdir())


def test_finished_chains_are_skipped(out: Path) -> None:
    file = out / "tiny" / "case3-finetune-seed0.json"
    before = file.stat().st_mtime_ns
    runner = Runner(out, None, "cpu", silent)
    assert runner.is_finished(chain("finetune"))
    runner.run(chain("finetune"))
    assert file.stat().st_mtime_ns == before


def test_a_chain_of_another_process_is_left_to_it(out: Path) -> None:
    runner = Runner(out, None, "cpu", silent)
    with FileLock(out / ".locks" / "tiny-case3-separate-seed1.lock"):
        runner.run(chain("separate", seed=1))
    assert not runner.is_finished(chain("separate", seed=1))


@pytest.mark.parametrize("change", [{"steps": (2, 3)}, {"steps": (3, 2)}, {"test_volumes": 3}])
def test_results_of_other_settings_are_not_mixed(out: Path, change: dict[str, object]) -> None:
    runner, other = Runner(out, None, "cpu", silent), replace(TINY, **change)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="other settings"):
        runner.run(chain("finetune", protocol=other))


def test_the_whole_benchmark_counts_what_is_done(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("IncrementalSegLib.benchmarks.ozdemir.run.find_protocols", lambda names, with_data: [TINY])
    done = run_ozdemir(out, seeds=2, methods="finetune", device="cpu", shard=(2, 2))
    assert (done["done"], done["left"]) == (2, 0)
    left = run_ozdemir(out, seeds=3, methods="finetune", device="cpu", shard=(2, 2))  # the third is the other part's
    assert (left["done"], left["left"]) == (2, 1)
    assert Path(left["table"]).is_file()
    with pytest.raises(DataError, match="not there"):
        run_ozdemir(out, data=out / "nowhere")


def test_a_killed_chain_loses_only_itself(out: Path) -> None:
    def stop(phase: str, fraction: float, numbers: object = None) -> None:
        if "Learning" in phase:
            raise KeyboardInterrupt

    before = sorted(item.name for item in (out / "tiny").iterdir())
    with pytest.raises(KeyboardInterrupt):
        Runner(out, None, "cpu", stop).run(chain("separate", seed=1))
    assert sorted(item.name for item in (out / "tiny").iterdir()) == before
    runner = Runner(out, None, "cpu", silent)
    runner.run(chain("separate", seed=1))
    assert runner.is_finished(chain("separate", seed=1))
