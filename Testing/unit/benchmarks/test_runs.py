"""Chains: what they write, what they share, and that nothing is lost or mixed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from filelock import FileLock
from organs import ORGANS, protocol, small_networks, write_organs

from IncrementalSegLib.errors import DataError, ModelError, OptionError
from IncrementalSegLib.progress import Progress, Stop, silent
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.types import Json
from Testing.benchmarks.archive import FILE, read_archive, write_archive
from Testing.benchmarks.protocol import Protocol
from Testing.benchmarks.protocols.ozdemir2018 import PAPER
from Testing.benchmarks.runs import Chain, Runner
from Testing.benchmarks.variants import find_variants

ROOT = Path(__file__).resolve().parents[3]
SHORT = protocol("1-1", organs=3)
SHOULDERS = [
    replace(
        found,
        data=replace(found.data, test_volumes=2, size=(6, 32, 32)),
        stages=tuple(replace(stage, steps=2, volumes=2) for stage in found.stages),
    )
    for found in PAPER.choose(["phantom"], with_data=False)
]
"""The same scanner, and another one."""

PROCESS = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[1:3]
import pytest
from organs import protocol, small_networks
from Testing.benchmarks.runs import Chain, Runner
from Testing.benchmarks.variants import find_variants

begun = set()

def report(phase, fraction, numbers=None):
    if phase.endswith("Learning") and phase not in begun:
        begun.add(phase)
        print(phase if "stage 1" not in phase else phase.partition(", ")[2], flush=True)

small_networks(pytest.MonkeyPatch())
folder, stages = Path(sys.argv[3]), protocol("7-1", steps=5)
runner = Runner(folder / "out", folder / "data", "cpu", report)
chains = [Chain(stages, variant, 0) for variant in find_variants("finetune-softmax,mib", stages)]
print("ready", flush=True)
sys.stdin.readline()
for chain in chains:
    runner.run(chain)
"""
"""Prepares everything, says so, and begins when it is told to."""


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_networks(patch)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_organs(tmp_path_factory.mktemp("organs") / "data")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Return a folder with finished chains of three stages; not to be changed."""
    folder = tmp_path_factory.mktemp("organs")
    for name in ("offline", "separate", "finetune-softmax", "mib"):
        run(folder, data, name)
    return folder


def chain(name: str, stages: Protocol = SHORT, seed: int = 0) -> Chain:
    (variant,) = find_variants(name, stages)
    return Chain(stages, variant, seed)


def run(
    out: Path, data: Path | None, name: str, stages: Protocol = SHORT, seed: int = 0, progress: Progress = silent
) -> Json:
    one = chain(name, stages, seed)
    Runner(out, data, "cpu", progress).run(one)
    return read_archive(out)[one.name]


def erase(file: Path, value: int) -> None:
    """Leave one voxel of a label."""
    image = sitk.ReadImage(str(file))
    label = sitk.GetArrayFromImage(image)
    found = label == value
    label[found] = 0
    label[tuple(np.argwhere(found)[0])] = value
    erased = sitk.GetImageFromArray(label)
    erased.CopyInformation(image)
    sitk.WriteImage(erased, str(file))


def firsts(out: Path) -> list[str]:
    return sorted(item.name for item in (out / ".first").iterdir())


def test_protocols_that_begin_alike_share_their_first_stage(tmp_path: Path, data: Path) -> None:
    for text in ("4-4", "4-2", "7-1"):
        stages = protocol(text, steps=1)
        done = run(tmp_path, data, "mib", stages)["stages"]
        assert [stage["taught"] for stage in done] == [list(stage.structures) for stage in stages.stages]
        assert list(done[-1]["scores"]) == list(ORGANS)
    assert len(firsts(tmp_path)) == 2  # of four and of seven structures


def test_a_chain_says_everything(out: Path) -> None:
    done = read_archive(out)["btcv-1-1-mib-seed0"]
    assert (done["protocol"], done["method"], done["seed"]) == ("btcv-1-1", "mib", 0)
    setting = done["setting"]
    assert setting["options"] == chain("mib").variant.options
    assert [stage["structures"] for stage in setting["stages"]] == [[name] for name in ORGANS[:3]]
    assert (setting["teaching"], len(setting["test"])) == (5, 2)
    assert [entry["case"] for entry in done["stages"][0]["scores"]["spleen"]["per_case"]] == setting["test"]
    steps = [stage["step"] for stage in done["stages"]]
    assert [step["made_by"] for step in steps] == ["finetune-softmax", "mib", "mib"]
    assert all(step["schedule"]["optimiser_steps"] == 2 and not step["resumed"] for step in steps)
    assert all(set(step["training"] + step["held_out"]).isdisjoint(setting["test"]) for step in steps)
    assert steps[0]["seconds"]["phases"]["Learning"] > 0
    assert done["environment"]["threads"] >= 1


def test_offline_learns_everything_in_one_stage_with_the_steps_of_all(out: Path) -> None:
    (stage,) = read_archive(out)["btcv-1-1-offline-seed0"]["stages"]
    assert (stage["taught"], list(stage["scores"])) == (list(ORGANS[:3]), list(ORGANS[:3]))
    assert stage["step"]["schedule"]["planned_steps"] == 3 * 2


def test_separate_models_keep_what_they_know(out: Path) -> None:
    done = read_archive(out)["btcv-1-1-separate-seed0"]["stages"]
    assert [stage["step"]["made_by"] for stage in done] == ["finetune-softmax"] * 3
    for number, name in enumerate(ORGANS[:3]):
        scores = [stage["scores"].get(name) for stage in done]
        assert scores == [None] * number + [scores[-1]] * (3 - number)


def test_first_stages_are_shared(out: Path) -> None:
    methods = [
        read_archive(out)[f"btcv-1-1-{name}-seed0"]["stages"] for name in ("finetune-softmax", "mib", "separate")
    ]
    assert methods[0][0] == methods[1][0] == methods[2][0]  # with its durations
    assert methods[0][1]["scores"] != methods[1][1]["scores"]
    assert len(firsts(out)) == 4  # everything, and each of the three structures


def test_models_of_one_seed_are_kept(out: Path) -> None:
    kept = sorted((out / ".models").iterdir())
    assert [item.name for item in kept] == ["btcv-1-1-finetune-softmax-seed0", "btcv-1-1-mib-seed0"]
    assert open_model(kept[1]).record().structures.names == ORGANS[:3]
    assert not list((out / ".work").iterdir())


def test_other_losses_begin_another_model(tmp_path: Path, out: Path, data: Path) -> None:
    shutil.copytree(out, tmp_path / "out")
    plain = run(tmp_path / "out", data, "mib+dice=false")
    assert [stage["step"]["options"]["dice"] for stage in plain["stages"]] == [False] * 3
    assert len(firsts(tmp_path / "out")) == 5


def test_labels_of_earlier_stages_are_hidden(tmp_path: Path, out: Path, data: Path) -> None:
    with_labels = read_archive(out)["btcv-1-1-finetune-softmax-seed0"]["stages"]
    write_organs(tmp_path / "erased")
    for case in with_labels[0]["step"]["training"] + with_labels[0]["step"]["held_out"]:
        erase(tmp_path / "erased" / "labels" / f"{case}.nii.gz", value=1)
    shutil.copytree(out / ".first", tmp_path / "out" / ".first")
    without = run(tmp_path / "out", tmp_path / "erased", "finetune-softmax")["stages"]
    for before, after in zip(with_labels, without, strict=True):
        assert after["scores"] == before["scores"]
        assert after["step"]["curve"] == before["step"]["curve"]


def test_heads_rehearse_on_another_scanner(tmp_path: Path) -> None:
    """The first step is shared by the cases and keeps exemplars; each structure is measured on its own scanner."""
    for stages in SHOULDERS:
        for method in ("aeiseg", "separate"):
            run(tmp_path, None, method, stages)
    done = read_archive(tmp_path)["phantom-case3-aeiseg-seed0"]["stages"]
    measured = {name: [entry["case"] for entry in score["per_case"]] for name, score in done[1]["scores"].items()}
    assert measured == {
        "humerus": ["shoulder_A_3000_000", "shoulder_A_3000_001"],
        "scapula": ["shoulder_C_3000_000", "shoulder_C_3000_001"],
    }
    assert [step["step"]["training"] for step in done] == [
        ["shoulder_A_1000_000", "shoulder_A_1000_001"], ["shoulder_C_2000_000", "shoulder_C_2000_001"],
    ]  # fmt: skip
    assert len(firsts(tmp_path)) == 1
    assert list((tmp_path / ".first").glob("*/model/versions/0001/*exemplar*"))
    own = read_archive(tmp_path)["phantom-case3-separate-seed0"]["stages"]
    assert own[1]["step"]["made_by"] == "separate"
    assert own[1]["scores"]["humerus"] == own[0]["scores"]["humerus"]


def test_finished_chains_are_skipped(out: Path, data: Path) -> None:
    before = (out / FILE).stat().st_mtime_ns
    run(out, data, "mib")
    assert (out / FILE).stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["mib", "lwf"])  # that is done, and that would stand beside what is done
@pytest.mark.parametrize("change", ["steps", "options"])
def test_results_of_other_settings_are_not_mixed(out: Path, data: Path, name: str, change: str) -> None:
    one = chain(name if change == "steps" else "mib", seed=int(name == "lwf"))
    if change == "options":
        one = replace(one, variant=replace(one.variant, options=one.variant.options | {"distillation": 1.0}))
    else:
        one = replace(one, protocol=protocol("1-1", steps=3, organs=3))
    with pytest.raises(OptionError, match="other settings"):
        Runner(out, data, "cpu", silent).run(one)


@pytest.mark.parametrize("precision", ["bf16-mixed", "32-true"])
def test_a_protocol_goes_on_in_the_precision_of_its_first_chain(
    tmp_path: Path, out: Path, data: Path, precision: str
) -> None:
    results = read_archive(out)
    for result in results.values():
        result["environment"]["precision"] = precision
    write_archive(tmp_path, results)
    made = run(tmp_path, data, "mib", seed=7)
    assert made["environment"]["precision"] == precision
    assert {stage["step"]["schedule"]["precision"] for stage in made["stages"]} == {precision}


def test_an_option_that_is_newer_than_a_result_does_not_refuse_it(out: Path, data: Path) -> None:
    one = chain("mib")
    one = replace(one, variant=replace(one.variant, options=one.variant.options | {"newer": False}))
    Runner(out, data, "cpu", silent).run(one)


def test_a_chain_of_another_process_is_left_to_it(out: Path, data: Path) -> None:
    runner = Runner(out, data, "cpu", silent)
    with FileLock(out / ".locks" / "btcv-1-1-mib-seed1.lock"):
        runner.run(chain("mib", seed=1))
    assert not runner.is_finished(chain("mib", seed=1))


@pytest.mark.parametrize("place", ["stage 1 of 3: Learning", "stage 2 of 3: Learning", "stage 3 of 3: Checking"])
def test_a_killed_chain_goes_on(tmp_path: Path, out: Path, data: Path, place: str) -> None:
    """Ended in the middle of a training, or between a step and its scores, it ends with the same scores."""

    def stop(phase: str, fraction: float, numbers: object = None) -> None:
        if phase.endswith(place) and fraction > 0:
            raise Stop("pause")

    with pytest.raises(Stop):
        run(tmp_path, data, "mib", progress=stop)
    assert not read_archive(tmp_path)
    trained: list[str] = []
    done = run(tmp_path, data, "mib", progress=lambda phase, fraction, numbers=None: trained.append(phase))["stages"]
    whole = read_archive(out)["btcv-1-1-mib-seed0"]["stages"]
    assert [stage["scores"] for stage in done] == [stage["scores"] for stage in whole]
    stage = int(place[6])
    assert [step["step"]["resumed"] for step in done] == [number == stage for number in (1, 2, 3)]
    assert not any(f"stage {number} of 3: Learning" in phase for number in range(1, stage) for phase in trained)


def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    """Both begin at the same moment; each chain and the first stage are done by one of them."""
    write_organs(tmp_path / "data")
    arguments = [sys.executable, "-c", PROCESS, *map(str, (ROOT, ROOT / "Testing" / "fixtures", tmp_path))]
    running = [subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sorted("".join(said).splitlines()) == [
        "btcv-7-1-finetune-softmax-seed0, stage 2 of 2: Learning",
        "btcv-7-1-mib-seed0, stage 2 of 2: Learning",
        "stage 1 of 2: Learning",
    ]
    assert len(firsts(tmp_path / "out")) == 1
    assert list(read_archive(tmp_path / "out")) == ["btcv-7-1-finetune-softmax-seed0", "btcv-7-1-mib-seed0"]


def test_a_damaged_archive_is_named(tmp_path: Path, data: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no archive")
    with pytest.raises(ModelError, match=rf"{FILE} is damaged.*another folder"):
        run(tmp_path, data, "mib")


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_folder_that_cannot_be_is_said(tmp_path: Path, data: Path, below: str) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(ModelError, match="Part of the path is a file"):
        run(tmp_path / "file" / below, data, "mib")


@pytest.mark.parametrize(("side", "said"), [("teaching", "training"), ("tests", "test")])
def test_a_structure_that_occurs_nowhere_is_said_before_any_work(
    tmp_path: Path, data: Path, side: str, said: str
) -> None:
    cases = getattr(Runner(tmp_path, data, "cpu", silent).scans(chain("mib")), side)[0].cases
    bare = write_organs(tmp_path / "bare", without=tuple((int(case.id[1:]), ORGANS[2]) for case in cases))
    with pytest.raises(DataError, match=f"left kidney occurs in no {said} scan"):
        run(tmp_path / "out", bare, "mib")
    assert not (tmp_path / "out" / ".first").exists()
