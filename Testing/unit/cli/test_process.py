"""The command as a process of its own: what only shows with real signals, pipes and limits."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from faults import Zygote
from scans import tree

resource = pytest.importorskip("resource", reason="signals and limits of POSIX")

pytestmark = pytest.mark.timeout(400)  # a busy machine takes long to import torch

COMMAND = [sys.executable, "-m", "IncrementalSegLib"]
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def zygote():
    """Return the parent of processes that have everything imported; ``None`` where they cannot be forked."""
    if not sys.platform.startswith("linux"):
        yield None
        return
    with Zygote() as parent:
        yield parent


@pytest.fixture
def begin(zygote, tmp_path_factory):
    """Return a function that starts a command, whose files may be limited to so many bytes."""

    def command(*arguments, longest=None):
        if zygote is not None:
            return zygote.start(tmp_path_factory.mktemp("streams"), *arguments, longest=longest)
        limits = resource.RLIMIT_FSIZE, (longest, longest)
        return start(*arguments, preexec_fn=None if longest is None else lambda: resource.setrlimit(*limits))

    return command


def start(*arguments, **options) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_ctrl_c_while_learning_leaves_nothing_but_what_resume_goes_on_with(tmp_path, data, begin):
    process = begin("learn", tmp_path / "new", "--data", data, "--structures", "liver", "--steps", 10**6, "--json")
    deadline = time.monotonic() + 200
    while not (tmp_path / "new" / ".lock").exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    time.sleep(1.0)  # by now it reads or trains
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=200)
    assert (process.returncode, out) == (130, "")
    assert "Cancelled" in err
    assert "Traceback" not in err
    left = [item.name for folder in tmp_path.iterdir() for item in folder.iterdir() if item.name != ".lock"]
    assert left in ([], ["unfinished"])  # it was still reading, or it was learning
    assert ("--resume" in err) == bool(left)


@pytest.mark.parametrize("patience", [0.5, 1.2])
def test_ctrl_c_while_starting_is_no_traceback(patience):
    process = start("methods", "--json")
    time.sleep(patience)  # torch is being imported
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    if "Traceback" in err and "IncrementalSegLib" not in err:
        pytest.skip("the interpreter itself was not up yet")
    # Python ends by the signal itself where it met the code that namedtuple compiles; a shell sees 130 then too.
    assert process.returncode in (0, 130, -signal.SIGINT)
    assert "Traceback" not in err
    assert bool(out) == ("Cancelled" not in err)


def test_learn_prints_one_object_into_a_pipe(tmp_path, data):
    few = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")
    process = start("learn", tmp_path / "new", "--data", data, "--structures", "liver", "--steps", 2, *few, "--json")
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    assert out.count("\n") == 1
    assert json.loads(out)["version"] == 1
    assert "Warning" not in err


def test_a_full_disk_leaves_the_model_as_it_was(model, data, begin):
    """Files may not grow beyond 100 kB, as if the disk ended there; the weights are larger."""
    before = tree(model)
    few = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2")
    asked = ("--data", data, "--structures", "spleen", "--steps", 1, *few)
    process = begin("learn", model, *asked, "--json", longest=100_000)
    out, err = process.communicate(timeout=200)
    assert (process.returncode, out) == (1, "")
    assert "What was saved before is intact" in " ".join(err.split())
    assert "Traceback" not in err
    assert tree(model) == before


@pytest.mark.parametrize("name", ["out.seg.nrrd", "out.nii.gz"])
def test_a_full_disk_is_told_from_a_result(name, model, scan, tmp_path, begin):
    """Files may not grow beyond 300 bytes; what was there before stays."""
    (tmp_path / name).write_bytes(b"yesterday's result")
    process = begin("segment", model, scan, "--output", tmp_path / name, "--overwrite", "--json", longest=300)
    out, err = process.communicate(timeout=100)
    assert (process.returncode, out) == (1, "")
    assert "Cannot write" in " ".join(err.split())
    assert (tmp_path / name).read_bytes() == b"yesterday's result"


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_said_at_once(tmp_path, data):
    tmp_path.chmod(0o555)
    try:
        process = start("learn", tmp_path / "new", "--data", data, "--structures", "liver", "--steps", 10**6)
        _, err = process.communicate(timeout=200)
    finally:
        tmp_path.chmod(0o755)
    assert process.returncode == 1
    assert "Cannot write" in err
    assert list(tmp_path.iterdir()) == []
