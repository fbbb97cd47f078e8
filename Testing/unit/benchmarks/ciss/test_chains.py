from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from filelock import FileLock
from organs import ORGANS, protocol, small_networks, write_organs

from IncrementalSegLib.benchmarks.ciss.chains import Chain, Runner
from IncrementalSegLib.benchmarks.ciss.protocol import Protocol
from IncrementalSegLib.benchmarks.ciss.slices import read_slices
from IncrementalSegLib.benchmarks.ciss.variants import find_variants
from IncrementalSegLib.engine.progress import Progress, Stop, silent
from IncrementalSegLib.errors import DataError, ModelError, OptionError
from IncrementalSegLib.files import read_json
from IncrementalSegLib.types import Json

SHORT = protocol("1-1", organs=3)


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        small_networks(patch)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_organs(tmp_path_factory.mktemp("ciss") / "data")


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Return a folder with finished chains of three stages; not to be changed."""
    folder = tmp_path_factory.mktemp("ciss")
    for name in ("offline", "separate", "finetune-softmax", "mib"):
        run(folder, data, name)
    return folder


def chain(name: str, seed: int = 0) -> Chain:
    (variant,) = find_variants(name)
    return Chain(variant, seed)


def run(out: Path, data: Path, name: str, stages: Protocol = SHORT, seed: int = 0, progress: Progress = silent) -> Json:
    one = chain(name, seed)
    Runner(stages, out, data, "cpu", progress).run(one)
    return read_json(out / stages.name / f"{one.name}.json")


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


def test_all_protocols_of_the_paper(tmp_path: Path, data: Path) -> None:
    for text, count in (("4-4", 2), ("4-2", 3), ("4-1", 5), ("2-2", 4), ("7-1", 2)):
        stages = protocol(text, steps=1)
        done = run(tmp_path, data, "mib", stages)
        assert [stage["taught"] for stage in done["stages"]] == [list(stage) for stage in stages.stages]
        known = 0
        for stage in done["stages"]:
            known += len(stage["taught"])
            assert list(stage["scores"]) == list(ORGANS[:known])
        assert (len(done["stages"]), known) == (count, 8)
        assert [row.count(None) for row in done["matrix"]["matrix"]] == [
            8 - sum(len(stage) for stage in stages.stages[: number + 1]) for number in range(count)
        ]
    assert len(firsts(tmp_path)) == 3  # of four, two and seven structures: 4-4, 4-2 and 4-1 begin in the same way


def test_a_chain_says_everything(out: Path) -> None:
    done = read_json(out / SHORT.name / "mib-seed0.json")
    assert (done["benchmark"], done["protocol"], done["method"], done["seed"]) == ("ciss", "btcv-1-1", "mib", 0)
    assert done["setting"]["options"] == find_variants("mib")[0].options
    assert done["setting"]["stages"] == [[name] for name in ORGANS[:3]]
    assert len(done["setting"]["teaching"]) == 5
    assert [entry["case"] for entry in done["stages"][0]["scores"]["spleen"]["per_case"]] == done["setting"]["test"]
    assert set(done["setting"]["test"]).isdisjoint(done["setting"]["teaching"])
    steps = [stage["step"] for stage in done["stages"]]
    assert [step["made_by"] for step in steps] == ["finetune-softmax", "mib", "mib"]
    assert all(step["schedule"]["optimiser_steps"] == 2 and not step["resumed"] for step in steps)
    assert all(set(step["training"] + step["set_aside"]) == set(done["setting"]["teaching"]) for step in steps)
    last = [done["stages"][-1]["scores"][name]["dice"] for name in ORGANS[:3]]
    assert done["matrix"]["matrix"][-1] == last
    assert done["matrix"]["learned"] == [0, 1, 2]
    assert done["environment"]["threads"] >= 1


def test_offline_learns_everything_in_one_stage_with_the_steps_of_all(out: Path) -> None:
    done = read_json(out / SHORT.name / "offline-seed0.json")
    (stage,) = done["stages"]
    assert (stage["taught"], list(stage["scores"])) == (list(ORGANS[:3]), list(ORGANS[:3]))
    assert stage["step"]["schedule"]["planned_steps"] == 3 * done["setting"]["steps"]  # those of all three stages
    assert done["matrix"]["learned"] == [0, 0, 0]
    assert done["matrix"]["mean_forgetting"] is None


def test_separate_models_keep_what_they_know(out: Path) -> None:
    done = read_json(out / SHORT.name / "separate-seed0.json")
    assert [stage["taught"] for stage in done["stages"]] == [[name] for name in ORGANS[:3]]
    assert [stage["step"]["made_by"] for stage in done["stages"]] == ["finetune-softmax"] * 3
    for number, name in enumerate(ORGANS[:3]):
        scores = [stage["scores"].get(name) for stage in done["stages"]]
        assert scores == [None] * number + [scores[-1]] * (3 - number)
    assert done["matrix"]["mean_forgetting"] == 0


def test_first_stages_are_shared(out: Path) -> None:
    methods = [read_json(out / SHORT.name / f"{name}-seed0.json") for name in ("finetune-softmax", "mib", "separate")]
    assert methods[0]["stages"][0] == methods[1]["stages"][0] == methods[2]["stages"][0]  # with its durations
    assert methods[0]["stages"][1]["scores"] != methods[1]["stages"][1]["scores"]
    assert len(firsts(out)) == 4  # everything, and each of the three structures
    assert not list((out / ".work").iterdir())


def test_other_losses_begin_another_model(tmp_path: Path, out: Path, data: Path) -> None:
    shutil.copytree(out, tmp_path / "out")
    plain = run(tmp_path / "out", data, "mib+dice=false")
    assert plain["setting"]["options"]["dice"] is False
    assert [stage["step"]["options"]["dice"] for stage in plain["stages"]] == [False] * 3
    assert len(firsts(tmp_path / "out")) == 5


def test_labels_of_earlier_stages_are_hidden(tmp_path: Path, out: Path, data: Path) -> None:
    teaching = read_json(out / SHORT.name / "finetune-softmax-seed0.json")["setting"]["teaching"]
    write_organs(tmp_path / "erased")
    for case in teaching:
        erase(tmp_path / "erased" / "labels" / f"{case}.nii.gz", value=1)
    shutil.copytree(out / ".first", tmp_path / "out" / ".first")
    with_labels = read_json(out / SHORT.name / "finetune-softmax-seed0.json")
    without = run(tmp_path / "out", tmp_path / "erased", "finetune-softmax")
    for before, after in zip(with_labels["stages"], without["stages"], strict=True):
        assert after["scores"] == before["scores"]
        assert after["step"]["curve"] == before["step"]["curve"]


def test_slices_of_one_scan_are_kept(out: Path) -> None:
    files = sorted((out / ".slices" / SHORT.name).iterdir())
    assert [file.stem for file in files] == ["finetune-softmax", "mib", "offline", "separate"]
    found = [read_slices(file) for file in files]
    for name in ORGANS[:3]:
        assert all((rows[name].truth == found[0][name].truth).all() for rows in found)
        assert found[0][name].truth.sum() == 49
        assert len(found[0][name].notes[0]) == 4


def test_disjoint_stages_see_different_people(tmp_path: Path, data: Path) -> None:
    done = run(tmp_path, data, "finetune-softmax", protocol("1-1", "disjoint", organs=3))
    taught = [stage["step"]["training"] + stage["step"]["set_aside"] for stage in done["stages"]]
    assert sorted(case for cases in taught for case in cases) == done["setting"]["teaching"]
    assert [len(cases) for cases in taught] == [2, 2, 1]


def test_finished_chains_are_skipped(out: Path, data: Path) -> None:
    file = out / SHORT.name / "mib-seed0.json"
    before = file.stat().st_mtime_ns
    run(out, data, "mib")
    assert file.stat().st_mtime_ns == before


@pytest.mark.parametrize("name", ["mib", "lwf"])  # that is done, and that would stand beside what is done
@pytest.mark.parametrize("change", ["steps", "options"])
def test_results_of_other_settings_are_not_mixed(out: Path, data: Path, name: str, change: str) -> None:
    one = chain(name if change == "steps" else "mib", seed=int(name == "lwf"))
    if change == "options":
        one = replace(one, variant=replace(one.variant, options=one.variant.options | {"distillation": 1.0}))
    runner = Runner(replace(SHORT, steps=3) if change == "steps" else SHORT, out, data, "cpu", silent)
    with pytest.raises(OptionError, match="other settings"):
        runner.run(one)


def test_a_chain_of_another_process_is_left_to_it(out: Path, data: Path) -> None:
    runner = Runner(SHORT, out, data, "cpu", silent)
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
    assert not (tmp_path / SHORT.name).exists()
    trained: list[str] = []
    done = run(tmp_path, data, "mib", progress=lambda phase, fraction, numbers=None: trained.append(phase))
    whole = read_json(out / SHORT.name / "mib-seed0.json")
    assert [stage["scores"] for stage in done["stages"]] == [stage["scores"] for stage in whole["stages"]]
    stage = int(place[6])
    assert [step["step"]["resumed"] for step in done["stages"]] == [number == stage for number in (1, 2, 3)]
    assert not any(f"stage {number} of 3: Learning" in phase for number in range(1, stage) for phase in trained)


def test_an_offline_chain_of_one_stages_steps_is_refused(tmp_path: Path, out: Path, data: Path) -> None:
    folder = shutil.copytree(out, tmp_path / "out")
    file = folder / SHORT.name / "offline-seed0.json"
    found = read_json(file)
    found["stages"][0]["step"]["schedule"]["planned_steps"] = SHORT.steps
    file.write_text(json.dumps(found), "utf-8")
    with pytest.raises(OptionError, match="planned_steps"):
        run(folder, data, "mib")


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"setting": {'])
@pytest.mark.parametrize(
    "file", ["btcv-1-1/mib-seed0.json", ".first/*/first.json", ".work/btcv-1-1-lwf-seed0/done.json"]
)
def test_a_damaged_file_is_named_and_what_to_do(
    tmp_path: Path, out: Path, data: Path, file: str, damage: bytes
) -> None:
    folder = shutil.copytree(out, tmp_path / "out")
    (folder / ".work/btcv-1-1-lwf-seed0").mkdir()
    (folder / ".work/btcv-1-1-lwf-seed0/done.json").touch()
    if ".work" not in file:
        shutil.rmtree(folder / ".work/btcv-1-1-lwf-seed0")
    for one in folder.glob(file):
        one.write_bytes(damage)
    with pytest.raises(ModelError, match=r"is damaged: .*Delete .*the next run makes it again") as caught:
        run(folder, data, "lwf")
    named = caught.value.todo.partition("Delete ")[2].partition(",")[0]
    shutil.rmtree(named) if Path(named).is_dir() else Path(named).unlink()
    if ".first" not in file:  # there, each of the others is damaged too
        assert run(folder, data, "lwf")["method"] == "lwf"


def test_what_is_no_result_is_left_alone(tmp_path: Path, out: Path, data: Path) -> None:
    folder = shutil.copytree(out, tmp_path / "out")
    (folder / SHORT.name / "notes.json").write_text("{}", "utf-8")
    assert run(folder, data, "mib")["method"] == "mib"


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_folder_that_cannot_be_is_said(tmp_path: Path, data: Path, below: str) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(ModelError, match="Part of the path is a file"):
        Runner(SHORT, tmp_path / "file" / below, data, "cpu", silent).run(chain("mib"))


@pytest.mark.parametrize(("side", "said"), [("teaching", "that teach"), ("test", "that measure")])
def test_a_structure_that_occurs_nowhere_is_said_before_any_work(
    tmp_path: Path, data: Path, side: str, said: str
) -> None:
    cases = getattr(Runner(SHORT, tmp_path, data, "cpu", silent).scans, side).cases
    without = tuple((int(case.id[1:]), ORGANS[2]) for case in cases)
    bare = write_organs(tmp_path / "bare", without=without)
    with pytest.raises(DataError, match=f"left kidney occurs in none of the scans {said}"):
        run(tmp_path / "out", bare, "mib")
    assert not (tmp_path / "out" / ".first").exists()
