"""The installer and its probes on real processes, and on a Slicer that remembers what it was asked."""

import json
import os
import stat
import subprocess
import sys
import zipfile

import pytest
import qt
import slicer
from IncrementalSegPanel.environment.Changes import installedPackages
from IncrementalSegPanel.environment.Installer import Installer
from IncrementalSegPanel.environment.Machine import Gpu
from IncrementalSegPanel.environment.Probe import FAILED, Probe
from standin.events import wait


@pytest.fixture
def asked():
    """Return what ``slicer.packaging`` is asked, as in a Slicer that a person uses."""
    slicer.packaging.forget()
    yield slicer.packaging.calls
    slicer.packaging.forget()


@pytest.fixture
def used(monkeypatch):
    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda _self: False)


def test_in_testing_mode_slicer_waits_and_the_end_is_told_all_the_same(asked, tmp_path):
    codes = []
    Installer().install(["monai"], tmp_path / "kept.txt", print, codes.append)
    slicer.packaging.code = 3
    Installer().install(["monai"], tmp_path / "kept.txt", print, codes.append)
    assert codes == [0, 3]


def test_slicer_installs_without_waiting(asked, used, tmp_path):
    codes, lines = [], []
    slicer.packaging.log.append("Collecting monai")
    slicer.packaging.code = 3
    Installer().install(["monai"], tmp_path / "kept.txt", lines.append, codes.append)
    assert codes == []
    wait(lambda: codes)
    ((_, named),) = asked
    assert (codes, lines) == ([3], ["Collecting monai"])
    assert named["requirements"] == ["monai"]
    assert named["constraints"] == tmp_path / "kept.txt"
    assert named["blocking"] is False


@pytest.fixture
def extension(monkeypatch):
    """Return what the PyTorch extension would run."""
    ran = []

    class PyTorchUtilsLogic:
        @staticmethod
        def _getPipInstallArguments(torchVersionRequirement):
            return ["install", f"torch{torchVersionRequirement}", "torchvision"]

    def execute(name, arguments, **callbacks):
        ran.append((name, arguments))
        callbacks["logCallback"]("Collecting torch")
        qt.QTimer.singleShot(0, lambda: callbacks["completedCallback"](0))

    fake = type(sys)("PyTorchUtils")
    fake.PyTorchUtilsLogic = PyTorchUtilsLogic
    monkeypatch.setitem(sys.modules, "PyTorchUtils", fake)
    monkeypatch.setattr(slicer.util, "executePythonModule", execute)
    return ran, PyTorchUtilsLogic


def test_torch_is_chosen_by_the_extension_and_slicer_stays_free(asked, used, extension, tmp_path):
    ran, _ = extension
    codes, lines = [], []
    Installer().installTorch(">=2.8", tmp_path / "kept.txt", lines.append, codes.append)
    assert (codes, ran) == ([], [])
    wait(lambda: codes)
    assert asked[0][1]["requirements"] == ["light-the-torch>=0.5"]
    assert ran == [
        ("light_the_torch", ["install", "torch>=2.8", "torchvision", "--constraint", str(tmp_path / "kept.txt")])
    ]
    assert (codes, lines) == ([0], ["Collecting torch"])


def test_torch_is_not_tried_when_its_chooser_cannot_be_installed(asked, used, extension, tmp_path):
    codes = []
    slicer.packaging.code = 1
    Installer().installTorch(">=2.8", tmp_path / "kept.txt", print, codes.append)
    wait(lambda: codes)
    assert codes == [1]
    assert extension[0] == []


def test_an_extension_of_another_make_installs_in_its_own_way(asked, used, extension, tmp_path):
    _, logic = extension
    del logic._getPipInstallArguments
    wanted = []
    logic.installTorch = lambda _self, **named: wanted.append(named)
    codes = []
    Installer().installTorch(">=2.8", tmp_path / "kept.txt", print, codes.append)
    assert codes == [0]
    assert wanted == [{"askConfirmation": False, "torchVersionRequirement": ">=2.8"}]


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
