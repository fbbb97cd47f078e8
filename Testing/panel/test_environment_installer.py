"""The installer and its probes on real processes, and on a Slicer that remembers what it was asked."""

import json
import os
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import slicer
from IncrementalSegPanel.environment.Changes import installedPackages
from IncrementalSegPanel.environment.Installer import Installer
from IncrementalSegPanel.environment.Leftovers import discard
from IncrementalSegPanel.environment.Machine import Gpu
from IncrementalSegPanel.environment.Probe import FAILED, Probe
from standin.events import wait


def test_nothing_is_begun_while_another_extension_installs(monkeypatch):
    monkeypatch.setattr(slicer.packaging, "installing", True)
    codes, lines = [], []
    Installer().run("pip", ["--version"], lines.append, codes.append)
    assert codes == [FAILED]
    assert "Another extension" in lines[0]


def test_lines_come_while_the_real_pip_runs():
    codes, lines = [], []
    installer = Installer()
    installer.run("pip", ["--version"], lines.append, codes.append)
    wait(lambda: codes, 30)
    assert codes == [0]
    assert lines[0].startswith("pip ")


def test_cancelling_ends_everything_that_was_started(tmp_path, monkeypatch):
    (tmp_path / "endless.py").write_text(
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('child', child.pid, flush=True)\n"
        "child.wait()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    codes, lines = [], []
    installer = Installer()
    installer.run("endless", [], lines.append, codes.append)
    wait(lambda: lines, 30)
    child = int(lines[0].split()[1])
    installer.cancel()
    wait(lambda: codes, 10)
    assert codes == [FAILED]
    wait(lambda: gone(child), 10)


def gone(pid):
    """Tell whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_a_child_looks_which_modules_can_be_imported(tmp_path, monkeypatch):
    (tmp_path / "half_there.py").write_text("import nowhere_at_all")
    (tmp_path / "whole.py").write_text("__version__ = '3'")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    heard = []
    installer = Installer()
    installer.look(["whole", "half_there"], lambda *said: heard.append(said))
    wait(lambda: heard, 30)
    there, why = heard[0]
    assert there == {"whole": "3"}
    assert "half_there: ModuleNotFoundError" in why


def test_what_pip_has_not_finished_is_discarded(tmp_path):
    for name, files in (("torch-2.13.0", ()), ("monai-1.6", ("INSTALLER",)), ("other-1.0", ())):
        folder = tmp_path / f"{name}.dist-info"
        folder.mkdir()
        for file in ("METADATA", *files):
            (folder / file).write_text("pip")
    assert discard({"torch", "monai"}, tmp_path) == ["torch"]
    assert installedPackages([str(tmp_path)]) == {"monai": "1.6", "other": "1.0"}


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_cards_are_asked_of_the_driver(tmp_path, monkeypatch):
    program(tmp_path, "nvidia-smi", "print('NVIDIA T4, 555.42.06, 15360')")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = []
    installer = Installer()
    installer.findGpus(found.append)
    wait(lambda: found)
    assert found[0] == (Gpu("NVIDIA T4", "555.42.06", 15.0),)


def test_without_a_driver_there_are_no_cards(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = []
    installer = Installer()
    installer.findGpus(found.append)
    wait(lambda: found)
    assert found == [()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import sys; print('out'); print('err', file=sys.stderr)", (0, "out\n", "err\n")),
        ("raise SystemExit(3)", (3, "", "")),
        ("import os; os.abort()", (FAILED, "", "")),
        ("while True: pass", (FAILED, "", "")),
    ],
)
def test_a_probe_ends_in_every_case(tmp_path, text, expected):
    heard = []
    probe = Probe(program(tmp_path, "looked", text), [], lambda *said: heard.append(said), seconds=1.5)
    wait(lambda: heard, 10)
    assert heard == [expected]
    assert probe is not None


def test_what_cannot_be_started_ends_too():
    heard = []
    probe = Probe("no-such-program-anywhere", [], lambda *said: heard.append(said), 5)
    wait(lambda: heard)
    assert heard == [(FAILED, "", "")]
    assert probe is not None


@pytest.mark.slow
def test_the_check_imports_and_computes_in_a_child(tmp_path):
    heard = []
    installer = Installer()
    installer.check(lambda *said: heard.append(said))
    wait(lambda: heard, 90)
    code, output, errors = heard[0]
    assert code == 0, errors
    found = json.loads(output)
    assert found["device"]
    assert "lwfseg" in found["methods"]


def wheel(folder, name, version, *needs):
    """Write the smallest wheel that pip installs."""
    info = f"{name}-{version}.dist-info"
    needed = "".join(f"Requires-Dist: {need}\n" for need in needs)
    files = {
        f"{name}.py": f"__version__ = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"]))


def test_the_real_pip_installs_from_a_folder_and_keeps_what_is_constrained(tmp_path):
    wheels, target, kept = tmp_path / "wheels", tmp_path / "packages", tmp_path / "kept.txt"
    wheels.mkdir()
    for version in ("1.0", "2.0"):
        wheel(wheels, "carried_along", version)
    wheel(wheels, "needed_here", "1.5", "carried-along")
    kept.write_text("carried-along==1.0\n")
    arguments = ["install", "--no-index", "--find-links", str(wheels), "needed-here>=1.2", "-c", str(kept)]
    command = [sys.executable, "-m", "pip", "--isolated", *arguments, "--target", str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert installedPackages([str(target)]) == {"carried-along": "1.0", "needed-here": "1.5"}
