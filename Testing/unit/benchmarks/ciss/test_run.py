from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from organs import TOY, small_networks, write_organs

from IncrementalSegLib.benchmarks.ciss.run import run_ciss
from IncrementalSegLib.errors import DataError, IncrementalSegError


def test_the_whole_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_networks(monkeypatch)
    monkeypatch.setattr("IncrementalSegLib.benchmarks.ciss.run.find_source", lambda name: TOY)
    data = write_organs(tmp_path / "data")
    out = tmp_path / "out"
    known = {"data": data, "protocol": "4-4", "steps": 1, "device": "cpu"}
    first = run_ciss(out, methods="finetune-softmax,mib", seeds=1, shard=(2, 2), **known)
    assert (first["done"], first["left"]) == (1, 1)
    second = run_ciss(out, methods="finetune-softmax,mib", seeds=1, **known)
    assert (second["done"], second["left"]) == (2, 0)
    assert (out / "btcv-4-4-slices.png").is_file()
    assert sorted(item.name for item in (out / "btcv-4-4").iterdir()) == [
        "finetune-softmax-seed0.json",
        "mib-seed0.json",
    ]
    disjoint = run_ciss(out, methods="mib", seeds=1, cases="disjoint", **known)
    assert (out / "btcv-4-4-disjoint" / "mib-seed0.json").is_file()
    assert "## Abdomen CT, btcv-4-4-disjoint" in Path(disjoint["table"]).read_text("utf-8")


@pytest.mark.parametrize("wrong", [{"network": "unet4d"}, {"preset": "slow"}, {"protocol": "4-3"}, {"cases": "some"}])
def test_wrong_wishes_are_refused_before_any_work(tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(IncrementalSegError):
        run_ciss(tmp_path / "out", data=tmp_path, **wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_missing_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not there"):
        run_ciss(tmp_path / "out", data=tmp_path / "nowhere")


def test_two_processes_on_one_folder(tmp_path: Path) -> None:
    assert replace(TOY, test_volumes=6).folder == "abdomen-ct-btcv"
    write_organs(tmp_path / "abdomen-ct-btcv", cases=9)
    command = [
        sys.executable, "-m", "IncrementalSegLib", "benchmark", "ciss", "--data", tmp_path, "--protocol", "7-1",
        "--methods", "mib,pcdd", "--seeds", 1, "--steps", 20, "--out", tmp_path / "out", "--device", "cpu", "--json",
    ]  # fmt: skip
    running = [
        subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    assert max(json.loads(out)["done"] for out, _ in said) == 2
    logs = "".join(log for _, log in said)
    for work in ("mib-seed0, stage 2 of 2", "pcdd-seed0, stage 2 of 2"):
        assert logs.count(f"{work}: Learning") == 1  # nothing was done twice
    assert logs.count("stage 1 of 2: Learning") == 1
    assert len(list((tmp_path / "out" / ".first").iterdir())) == 1
