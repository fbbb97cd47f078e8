from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from organs import TOY, small_networks, write_organs

from IncrementalSegLib.benchmarks.ciss.run import run_ciss
from IncrementalSegLib.cli.app import main
from IncrementalSegLib.errors import DataError, IncrementalSegError

FIXTURES = Path(__file__).resolve().parents[3] / "fixtures"
PROCESS = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])
import pytest
from organs import protocol, small_networks
from IncrementalSegLib.benchmarks.ciss.chains import Chain, Runner
from IncrementalSegLib.benchmarks.ciss.variants import find_variants

begun = set()

def report(phase, fraction, numbers=None):
    if phase.endswith("Learning") and phase not in begun:
        begun.add(phase)
        print(phase if "stage 1" not in phase else phase.partition(", ")[2], flush=True)

small_networks(pytest.MonkeyPatch())
folder = Path(sys.argv[2])
runner = Runner(protocol("7-1", steps=5), folder / "out", folder / "data", "cpu", report)
chains = [Chain(variant, 0) for variant in find_variants("finetune-softmax,mib")]
runner.scans
print("ready", flush=True)
sys.stdin.readline()
for chain in chains:
    runner.run(chain)
"""
"""Prepares everything, says so, and begins when it is told to."""


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


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    small_networks(monkeypatch)
    write_organs(tmp_path / "abdomen-ct-btcv", cases=8)
    arguments = ["benchmark", "ciss", "--data", tmp_path, "--protocol", "7-1", "--methods", "offline", "--seeds", 1]
    arguments += ["--steps", 1, "--device", "cpu", "--out", tmp_path / "out", "--json"]
    for wrong in ("2/1", "0/1", "1", "²/2"):
        assert command(monkeypatch, *arguments, "--shard", wrong) == 2
    capsys.readouterr()
    assert command(monkeypatch, *arguments) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["done"], said["left"]) == (1, 0)
    assert "| offline |" in Path(said["table"]).read_text("utf-8")


def test_two_processes_on_one_folder(tmp_path: Path) -> None:
    """Both begin at the same moment; each chain and the first stage are done by one of them."""
    write_organs(tmp_path / "data")
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, *map(str, (FIXTURES, tmp_path))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(2)
    ]  # fmt: skip
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    phases = "".join(said).splitlines()
    assert sorted(phases) == [
        "btcv-7-1 finetune-softmax-seed0, stage 2 of 2: Learning",
        "btcv-7-1 mib-seed0, stage 2 of 2: Learning",
        "stage 1 of 2: Learning",
    ]
    assert len(list((tmp_path / "out" / ".first").iterdir())) == 1
    assert sorted(item.name for item in (tmp_path / "out" / "btcv-7-1").iterdir()) == [
        "finetune-softmax-seed0.json", "mib-seed0.json",
    ]  # fmt: skip


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run a command in this process and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["incrementalseg", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
