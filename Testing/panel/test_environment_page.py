"""The environment page on the stand-in."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import qt
from IncrementalSegPanel.environment.Machine import Gpu
from IncrementalSegPanel.flows import Installing as module
from IncrementalSegPanel.pages.EnvironmentPage import EnvironmentPage
from IncrementalSegPanel.State import State
from panel.environments import COMPLETE, COMPUTER, SLICER, Recorder, session
from standin.screenshot import screenshot

PICTURES = os.environ.get("INCREMENTALSEG_PICTURES")


def picture(page, name):
    """Write the page in both themes where somebody wants to look at it."""
    if PICTURES:
        for dark in (False, True):
            screenshot(page.widget, Path(PICTURES) / f"environment-{name}{'-dark' if dark else ''}.png", dark=dark)


@pytest.fixture
def packages(monkeypatch):
    there = dict(SLICER)
    monkeypatch.setattr(module, "installedPackages", lambda: dict(there))
    monkeypatch.setattr(module, "LOADED", {})
    return there


@pytest.fixture
def build(tmp_path, packages):
    """Return a function that opens the page on a computer."""

    def on(computer=COMPUTER):
        installer = Recorder(computer)
        made = session(tmp_path, installer)
        made.installing.look()
        if installer.seek is not None:
            installer.seek(computer.gpus)
        page = EnvironmentPage(made)
        made.listen(page.render)
        page.widget.show()
        page.render()
        return page, made, installer

    return on


def test_the_page_says_what_is_missing_and_installs_at_the_click(build, packages):
    page, made, installer = build()
    ui = page.ui
    picture(page, "missing")
    assert ui.titleLabel.text == "Some libraries are missing"
    assert "RTX 4070" in ui.factsLabel.text
    assert "Nothing leaves this computer" in ui.factsLabel.text
    assert page.primary.enabled
    assert page.primary.text == "Install"
    assert not ui.progressGroup.visible
    assert installer.calls == []

    page.primary.click()
    installer.log("Collecting torch>=2.8\n  Downloading torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl (888.1 MB)")
    picture(page, "installing")
    assert "Step 1 of 3: Installing PyTorch" in ui.phaseLabel.text
    assert "888.1 MB" in ui.lastLine.text
    assert ui.logText.plainText == ""
    ui.detailsGroup.collapsed = False
    assert "888.1 MB" in ui.logText.plainText
    assert page.primary is None  # no key ends a download
    assert not ui.primaryButton.visible
    assert "Slicer can be used meanwhile" in ui.sentenceLabel.text
    assert not ui.folderGroup.visible
    page.escape()
    assert made.state is State.NOTHING_INSTALLED

    ui.cancelButton.click()
    assert installer.calls[-1] == ("cancel",)
    assert not ui.cancelButton.enabled
    installer.done(-1)
    assert ui.titleLabel.text == "Some libraries are missing"
    assert "cancelled" in made.warnings[-1]
    page.primary.click()

    installer.log("ERROR: [Errno 28] No space left on device")
    installer.done(1)
    picture(page, "failed")
    assert page.primary.enabled
    assert made.failure.remedy.label == "Try again"


def test_every_disabled_button_says_why(build):
    page, _made, _installer = build(replace(COMPUTER, writable=False))
    picture(page, "not-writable")
    assert not page.primary.enabled
    assert "administrator" in page.primary.toolTip
    assert "administrator" in page.ui.obstacleLabel.text
    assert not page.ui.folderButton.enabled
    assert "administrator" in page.ui.folderButton.toolTip


def test_a_folder_is_installed_from_when_it_holds_wheels(build, tmp_path):
    page, _made, installer = build()
    page.ui.folderGroup.collapsed = False
    page.ui.folderPath.currentPath = str(tmp_path)
    assert "no wheels" in page.ui.folderButton.toolTip
    (tmp_path / "monai-1.6.1-py3-none-any.whl").touch()
    page.render()
    picture(page, "folder")
    assert page.ui.folderButton.enabled
    page.ui.folderButton.click()
    assert installer.calls[-1][1][1:4] == ["--no-index", "--find-links", str(tmp_path)]


def test_the_command_that_fills_the_folder_is_copied(build):
    page, _made, _installer = build()
    page.ui.folderCopyButton.click()
    text = qt.QApplication.clipboard().text()
    assert text.startswith("PythonSlicer -m pip download --dest wheels --extra-index-url ")
    assert "/cu128 " in text
    assert '"torch!=2.9.*,>=2.8"' in text
    assert '"monai>=1.6"' in text
    assert "numpy" not in text


def test_an_unsupported_computer_gets_a_sentence_and_a_command(build):
    page, made, installer = build(replace(COMPUTER, gpus=(Gpu("Tesla K80", "470.82.01", 11.0),)))
    picture(page, "old-driver")
    assert made.state is State.UNSUPPORTED
    assert page.primary.text == "Copy command line"
    page.primary.click()
    assert qt.QApplication.clipboard().text() == page.ui.commandText.plainText
    assert page.ui.linkButton.text == "www.nvidia.com/drivers"
    assert installer.calls == []
    page.escape()
    assert made.state is State.NO_MODEL


def test_an_intel_mac_gets_a_sentence(build):
    page, made, _installer = build(replace(COMPUTER, system="Darwin", gpus=()))
    picture(page, "mac")
    assert made.state is State.UNSUPPORTED
    assert "Intel" in page.ui.titleLabel.text


def test_the_restart_is_offered_with_its_reason(build, packages, monkeypatch):
    page, made, installer = build()
    packages["pydantic"] = "1.10"
    made.installing.look()
    page.primary.click()
    packages.update(COMPLETE)
    monkeypatch.setattr(module, "LOADED", {"pydantic": object()})
    installer.done(0)
    installer.done(0)
    installer.done(0, json.dumps({"device": "CPU"}), "")
    picture(page, "restart")
    assert made.state is State.RESTART_NEEDED
    assert "pydantic" in page.ui.sentenceLabel.text
    page.primary.click()
    assert installer.calls[-1] == ("restart",)
    page.ui.otherButton.click()
    assert made.state is State.NO_MODEL
