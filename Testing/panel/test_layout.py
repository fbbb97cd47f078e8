"""Every state of the panel fits a narrow and a wide dock: nothing is hidden, clipped, overlapping or scrolled away."""

import os
from pathlib import Path

import pytest
import qt
from IncrementalSegPanel.Failure import Failure, Remedy
from IncrementalSegPanel.flows.Learning import PHASES
from IncrementalSegPanel.State import State
from panel.looks import faults
from panel.states import DEVICE, SENTENCE, STATES, Stage, ready, teaching
from retention_reports import HARMED, KEPT
from standin.screenshot import themed
from standin.window import ModulePanel

PICTURES = os.environ.get("INCREMENTALSEG_PICTURES")
NARROW, WIDE = (380, 560), (1200, 560)
LARGE = 11
"""Points of the font on many desktops; the stand-in's own is of 9."""


@pytest.fixture
def stage(tmp_path, monkeypatch):
    made = Stage(tmp_path, monkeypatch)
    made.panel.enter()
    yield made
    made.panel.close()


@pytest.fixture
def largeFont():
    usual = qt.QApplication.font()
    font = qt.QFont(usual)
    font.setPointSize(LARGE)
    qt.QApplication.setFont(font)
    yield
    qt.QApplication.setFont(usual)


def assertFits(stage, name, looks):
    """Show a state in docks of several sizes, light and dark, and look for faults."""
    STATES[name](stage)
    dock = ModulePanel(stage.panel.widget, *NARROW)
    points, found = qt.QApplication.font().pointSize(), []
    for size, dark in looks:
        look = f"{size[0]}-{points}pt{'-dark' if dark else ''}"
        with themed(dark):
            stage.panel.render()
            dock.resize(*size)
            if PICTURES:
                dock.area.grab().save(str(Path(PICTURES) / f"{name}-{look}.png"))
            found += [f"{look}: {fault}" for fault in faults(stage.panel.widget, stage.page.primary)]
            if not dock.fits:
                found.append(f"{look}: the dock has to be {dock.needs}")
    dock.close()
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", STATES)
def test_a_state_fits(stage, name):
    assertFits(stage, name, [(size, dark) for size in (NARROW, WIDE) for dark in (False, True)])


@pytest.mark.parametrize("name", STATES)
def test_a_state_fits_with_a_large_font(largeFont, stage, name):
    assertFits(stage, name, [(NARROW, False)])


def doctor(stage):
    stage.session.device = DEVICE
    stage.session.changed()


def warned(stage):
    for number in range(4):
        stage.session.warn(f"{number}: {SENTENCE}")


def failed_late(stage):
    stage.session.failure = Failure(SENTENCE, SENTENCE, SENTENCE, "report", Remedy("Try again", id))
    stage.session.changed()


def packed(stage):
    stage.session.opening.message = SENTENCE
    stage.session.changed()


def without_device(stage):
    ready(stage)
    stage.session.device = ""
    stage.session.opening.message = ""


def looking_for_the_card(stage):
    stage.environment(gpus=None)


def card_found(stage):
    stage.session.installing.installer.seek(())


def compared(stage):
    stage.compare(HARMED, KEPT, pictures=False)


def reviewed(stage):
    stage.review(complete=False)


LATE = {
    "device": (without_device, doctor),
    "warnings": (ready, warned),
    "failure": (ready, failed_late),
    "package": (without_device, packed),
    "card": (looking_for_the_card, card_found),
    "summary": (Stage.summary, Stage.priced),
    "summary warned": (Stage.summary, warned),
    "pictures": (compared, Stage.drawn),
    "exemplars": (reviewed, Stage.reviewed),
}


@pytest.mark.parametrize("name", LATE)
def test_what_comes_late_moves_nothing_that_can_be_clicked(stage, name):
    before, late = LATE[name]
    before(stage)
    dock = ModulePanel(stage.panel.widget, *NARROW)
    stage.panel.render()
    dock.settle()
    places = clickable(dock)
    assert places
    late(stage)
    stage.panel.render()
    dock.settle()
    now = clickable(dock)
    dock.close()
    assert {name: place for name, place in now.items() if name in places} == places


def test_a_new_page_is_shown_from_its_top(stage):
    teaching(stage)
    dock = ModulePanel(stage.panel.widget, *NARROW)
    stage.panel.render()
    dock.settle()
    bar = stage.page.ui.bodyArea.verticalScrollBar()
    bar.value = bar.maximum
    assert bar.value > 0
    stage.session.go(State.READY)
    stage.panel.render()
    stage.session.state = State.TEACHING  # as when a step is gone on with
    stage.panel.render()
    dock.settle()
    assert stage.page.ui.bodyArea.verticalScrollBar().value == 0
    dock.close()


def clickable(dock):
    """Return the place of everything in the panel that answers to a click."""
    kinds = (qt.QAbstractButton, qt.QComboBox, qt.QLineEdit, qt.QAbstractSpinBox)
    found = {}
    for part in dock.area.findChildren(qt.QWidget):
        if isinstance(part, kinds) and part.isVisibleTo(dock.area) and part.objectName and part.width:
            found[part.objectName] = part.mapTo(dock.area, qt.QPoint(0, 0)).y()
    return found


def test_one_phase_of_a_step_is_bold(stage):
    teaching(stage)
    dock = ModulePanel(stage.panel.widget, *NARROW)
    texts = []
    for phase in PHASES:
        stage.session.teaching.learning.phase = phase
        stage.panel.render()
        texts.append(stage.page.ui.phaseLabel.text)
    dock.close()
    assert all(text.count("<b>") == text.count("</b>") == 1 for text in texts), texts
