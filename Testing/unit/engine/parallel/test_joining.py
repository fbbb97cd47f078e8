"""Numbers of devices that cannot be had."""

import os
import subprocess
import sys

import pytest
import torch

from IncrementalSegLib.engine.parallel.joining import check_devices
from IncrementalSegLib.engine.parallel.launch import speaks, started
from IncrementalSegLib.engine.runtime import start
from IncrementalSegLib.errors import DeviceError, MissingNeedError, OptionError

LAUNCHERS = {
    "the command": ({"INCREMENTALSEG_PROCESSES": "4", "RANK": "1"}, 4),
    "torchrun": ({"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "8", "RANK": "3"}, 8),
    "srun": ({"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "6", "SLURM_PROCID": "5"}, 6),
}


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    for name in ("INCREMENTALSEG_PROCESSES", "TORCHELASTIC_RUN_ID", "SLURM_STEP_ID", "RANK"):
        monkeypatch.delenv(name, raising=False)


def test_one_process_alone():
    assert started() is None
    assert speaks()
    assert start("cpu").group.size == 1


def test_several_devices_need_several_processes():
    with pytest.raises(OptionError, match=r"2 devices need a process each, and this process is alone.*torchrun"):
        start("cpu", devices=2)
    with pytest.raises(OptionError, match=r"4 devices need.*torchrun --nnodes 2 --nproc-per-node 2 .*srun --nodes 2"):
        start("cpu", devices=2, nodes=2)


@pytest.mark.parametrize("name", LAUNCHERS)
def test_processes_of_a_launcher_are_counted(name, monkeypatch):
    environment, count = LAUNCHERS[name]
    for key, value in environment.items():
        monkeypatch.setitem(os.environ, key, value)
    assert started() == count
    assert not speaks()
    check_devices("cpu", count // 2, 2)
    with pytest.raises(OptionError, match=rf"started {count} processes, and 1 x 1 .*devices={count}"):
        check_devices("cpu", 1, 1)


@pytest.mark.parametrize(
    "left",
    [
        {"SLURM_NTASKS": "4"},
        {"SLURM_STEP_ID": "4294967290", "SLURM_STEP_NUM_TASKS": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"},
        {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": ""},
        {"TORCHELASTIC_RUN_ID": "none"},
    ],
    ids=["an allocation", "a shell in it", "an empty variable", "a missing variable"],
)
def test_variables_that_a_launcher_left_start_nothing(left, monkeypatch):
    for key, value in left.items():
        monkeypatch.setenv(key, value)
    assert started() is None
    assert start("cpu").group.size == 1


def test_more_gpus_than_there_are(monkeypatch):
    monkeypatch.setenv("INCREMENTALSEG_PROCESSES", "4")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(DeviceError, match=r"4 GPUs were asked for, and this computer has 2\..*devices=2"):
        check_devices("cuda", 4, 1)


def test_windows_has_one_device(monkeypatch):
    monkeypatch.setenv("INCREMENTALSEG_PROCESSES", "2")
    monkeypatch.setattr("sys.platform", "win32")
    with pytest.raises(DeviceError, match=r"2 devices cannot work together here.*Linux or macOS"):
        check_devices("cpu", 2, 1)


def test_without_fabric_there_is_one_device(monkeypatch):
    monkeypatch.setenv("INCREMENTALSEG_PROCESSES", "2")
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    with pytest.raises(MissingNeedError, match=r"lightning-fabric is not installed.*incrementalseg\[devices\]"):
        check_devices("cpu", 2, 1)


def test_a_command_on_one_device_does_not_wait_for_fabric():
    code = (
        "import sys\n"
        "from IncrementalSegLib.engine import learn, segment\n"
        "from IncrementalSegLib.engine.runtime import start\n"
        "start('cpu')\n"
        "print([name for name in ('lightning_fabric', 'torch._dynamo') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
