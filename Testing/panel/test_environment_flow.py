"""Installing: what is done in which order, what is promised, and what happens when it fails."""

import json
from dataclasses import replace

import pytest
from IncrementalSegPanel.flows import Installing as module
from IncrementalSegPanel.flows.Installing import OPEN_AT_START
from IncrementalSegPanel.State import State
from panel.environments import CARD, COMPLETE, COMPUTER, SLICER, Recorder, session

DOCTOR = json.dumps({"device": "NVIDIA RTX 4070", "warnings": ["Only 3 GB are free"]})


@pytest.fixture
def packages(monkeypatch):
    """Return the packages that are installed; a test changes them as pip would."""
    there = dict(SLICER)
    monkeypatch.setattr(module, "installedPackages", lambda: dict(there))
    monkeypatch.setattr(module, "LOADED", {})  # the process of the tests has loaded torch
    return there


@pytest.fixture
def installer():
    return Recorder()


@pytest.fixture
def panel(tmp_path, installer, packages):
    made = session(tmp_path, installer)
    made.installing.look()
    return made


def test_a_session_without_an_installer_looks_at_nothing(tmp_path):
    made = session(tmp_path, None)
    made.installing.look()
    assert made.state is State.NO_MODEL
    assert made.installing.obstacle == ""


def test_looking_asks_for_the_card_and_waits_with_installing_until_it_is_known(panel, installer):
    assert panel.state is State.NOTHING_INSTALLED
    assert "graphics card" in panel.installing.report.obstacle
    installer.seek((CARD,))
    assert panel.installing.report.obstacle == ""
    assert "RTX 4070" in dict(panel.installing.report.facts)["Graphics card"]
    assert installer.calls == []


def test_a_complete_environment_asks_for_nothing(tmp_path, installer, packages):
    packages.update(COMPLETE)
    made = session(tmp_path, installer)
    made.installing.look()
    assert made.state is State.NO_MODEL
    assert installer.seek is None


def test_torch_comes_first_and_is_kept_by_what_follows(panel, installer, packages):
    flow = panel.installing
    installer.seek((CARD,))
    flow.install()
    name, arguments, kept = installer.calls[-1]
    assert (name, arguments[:2]) == ("pip", ["install", "torch!=2.9.*,>=2.8"])
    assert arguments[3].endswith("/cu128")
    assert "numpy==2.4.6" in kept
    assert not any(line.startswith("torch") for line in kept)
    assert flow.step == (1, 3)
    installer.log("Collecting torch")
    packages["torch"] = "2.13.0+cu128"
    installer.done(0)

    name, arguments, kept = installer.calls[-1]
    assert name == "pip"
    assert "monai>=1.6" in arguments
    assert not any(word.lower().startswith(("torch", "numpy", "scipy", "simpleitk")) for word in arguments)
    assert "torch==2.13.0+cu128" in kept
    packages.update(COMPLETE)
    installer.done(0)

    assert installer.calls[-1] == ("check",)
    assert flow.step == (3, 3)
    installer.done(0, DOCTOR, "a warning of a library")
    assert panel.state is State.NO_MODEL
    assert panel.failure is None
    assert panel.device == "NVIDIA RTX 4070"
    assert flow.phase == ""
    assert flow.lines == ["Collecting torch", "a warning of a library"]
    assert flow.changes.added["monai"] == "1.6.1"


def test_nothing_else_starts_while_something_runs(panel, installer):
    installer.seek((CARD,))
    panel.installing.install()
    panel.installing.install()
    judged = panel.installing.report
    panel.installing.look()
    assert len(installer.calls) == 1
    assert panel.installing.report is judged


def test_a_failure_is_said_in_three_lines_and_can_be_tried_again(panel, installer, packages):
    installer.seek((CARD,))
    panel.installing.install()
    packages["torch"] = "2.13.0+cu128"
    installer.done(0)
    packages["monai"] = "1.6.1"
    installer.log("ERROR: [Errno 28] No space left on device")
    installer.done(1)
    failure = panel.failure
    assert "Installing the other libraries has failed" in failure.what
    assert "disk is full" in failure.why
    assert failure.todo
    assert "No space left" in failure.report
    assert "-m pip uninstall --yes monai torch" in failure.report
    assert panel.state is State.NOTHING_INSTALLED
    failure.remedy.act()
    assert installer.calls[-1][1][1].startswith("torch")
    assert panel.failure is None


@pytest.mark.parametrize(
    "answer",
    [
        (1, "", "ImportError: libcudart.so.12: cannot open shared object file"),
        (0, "no JSON", ""),
        (0, json.dumps({"warnings": ["no device"]}), ""),
        (0, json.dumps({"device": "CPU", "broken": {"method file mib": "x"}}), ""),
        (-1, "", ""),
    ],
)
def test_a_check_that_fails_is_no_success(panel, installer, packages, answer):
    installer.seek((CARD,))
    panel.installing.install()
    packages.update(COMPLETE)
    installer.done(0)
    installer.done(0)
    installer.done(*answer)
    assert "Checking that everything works has failed" in panel.failure.what
    assert "pip uninstall" in panel.failure.report
    assert panel.state is State.NOTHING_INSTALLED


def test_what_cannot_even_start_is_a_failure(panel, installer, monkeypatch):
    def broken(*_arguments):
        raise RuntimeError("PythonSlicer executable not found")

    monkeypatch.setattr(installer, "run", broken)
    installer.seek((CARD,))
    panel.installing.install()
    assert "PythonSlicer executable not found" in panel.failure.why
    assert panel.installing.phase == ""


def test_a_folder_of_wheels_needs_neither_network_nor_card(panel, installer, packages, tmp_path):
    panel.installing.installFromFolder(tmp_path)
    name, arguments, _kept = installer.calls[-1]
    assert name == "pip"
    assert arguments[1:4] == ["--no-index", "--find-links", str(tmp_path)]
    assert arguments[4].startswith("torch")
    packages.update(COMPLETE)
    installer.done(0)
    installer.done(0, DOCTOR, "")
    assert panel.state is State.NO_MODEL


def test_a_restart_is_asked_for_when_something_loaded_has_changed(panel, installer, packages, monkeypatch):
    packages["pydantic"] = "1.10"
    installer.seek((CARD,))
    panel.installing.install()
    monkeypatch.setattr(module, "LOADED", {"pydantic": object()})
    packages.update(COMPLETE)
    installer.done(0)
    installer.done(0)
    installer.done(0, DOCTOR, "")
    assert panel.state is State.RESTART_NEEDED
    assert panel.installing.stale == ["pydantic"]
    panel.installing.look()
    assert panel.state is State.RESTART_NEEDED

    panel.installing.restart()
    assert installer.calls[-1] == ("restart",)
    assert panel.settings[OPEN_AT_START]
    panel.installing.postpone()
    assert panel.state is State.NO_MODEL


def test_models_can_be_looked_at_without_installing_and_one_can_come_back(panel, installer):
    panel.installing.skip()
    assert panel.state is State.NO_MODEL
    panel.installing.look()
    assert panel.state is State.NO_MODEL
    assert panel.installing.obstacle == "Some libraries are missing."
    panel.installing.open()
    assert panel.state is State.NOTHING_INSTALLED


def test_the_end_of_an_installation_takes_nobody_away_from_what_is_done(panel, installer, packages, monkeypatch):
    installer.seek((CARD,))
    panel.installing.install()
    panel.go(State.READY)
    panel.go(State.COLLECTING)
    packages.update(COMPLETE)
    monkeypatch.setattr(module, "LOADED", {"torch": object()})
    installer.done(0)
    installer.done(0)
    installer.done(0, DOCTOR, "")
    assert panel.state is State.COLLECTING
    assert panel.installing.obstacle == ""


def test_what_needs_the_worker_leads_to_the_environment_page(panel):
    panel.installing.skip()
    assert panel.ask("doctor", {}, print) is None
    assert "Some libraries are missing" in panel.failure.why
    panel.failure.remedy.act()
    assert panel.state is State.NOTHING_INSTALLED


def test_what_ends_well_but_brings_nothing_leads_to_the_next_way(tmp_path, packages):
    installer = Recorder(replace(COMPUTER, lightTheTorch=True, gpus=()))
    panel = session(tmp_path, installer)
    panel.installing.look()
    installer.seek(())
    panel.installing.install()
    assert installer.calls[-1][0] == "light_the_torch"
    installer.log("Traceback (most recent call last):")
    installer.lacking = {"torch"}
    installer.done(0)
    name, arguments, _kept = installer.calls[-1]
    assert (name, arguments[3]) == ("pip", "https://download.pytorch.org/whl/cpu")
    installer.lacking = set()
    packages["torch"] = "2.13.0+cpu"
    installer.done(0)
    assert "torch==2.13.0+cpu" in installer.calls[-1][2]


def test_a_torch_that_never_comes_is_a_failure_with_its_own_reason(panel, installer):
    installer.seek((CARD,))
    panel.installing.install()
    installer.log("ERROR: No matching distribution found for torch")
    installer.done(1)
    assert installer.calls[-1][1][3].endswith("/cu126")
    installer.lacking = {"torch"}
    installer.done(0)
    assert "Installing PyTorch has failed" in panel.failure.what
    assert panel.failure.why == "torch: ImportError: broken"
    assert "No matching" not in panel.failure.why
    assert "No matching" in panel.failure.report


def test_the_reason_comes_from_the_step_that_failed(panel, installer, packages):
    installer.seek((CARD,))
    panel.installing.install()
    installer.log("WARNING: retrying after connection reset")
    packages["torch"] = "2.13.0+cu128"
    installer.done(0)
    installer.log("ERROR: [Errno 13] Permission denied")
    installer.done(1)
    assert "cannot be replaced" in panel.failure.why


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [("torch", "2.13.0", "was replaced by another build"), ("numpy", "2.5.0", "own packages were changed: numpy")],
)
def test_a_step_that_changes_what_it_must_not_fails(panel, installer, packages, name, version, said):
    installer.seek((CARD,))
    panel.installing.install()
    packages["torch"] = "2.13.0+cu128"
    installer.done(0)
    packages.update(COMPLETE)
    packages[name] = version
    installer.done(0)
    assert "Installing the other libraries has failed" in panel.failure.what
    assert said in panel.failure.why


def test_cancelling_ends_what_runs_and_it_can_be_begun_again(panel, installer, packages):
    installer.seek((CARD,))
    flow = panel.installing
    flow.install()
    packages["torch"] = "2.13.0+cu128"
    installer.done(0)
    flow.cancel()
    flow.cancel()
    assert installer.calls.count(("cancel",)) == 1
    packages["monai"] = "1.6.1"
    installer.done(-1)
    assert (flow.phase, flow.cancelled, panel.failure) == ("", False, None)
    assert "cancelled" in panel.warnings[-1]
    assert installer.discarded[-1] == {"torch", "monai"}
    assert panel.state is State.NOTHING_INSTALLED
    del packages["monai"]
    flow.look()
    flow.install()
    assert "monai>=1.6" in installer.calls[-1][1]
