"""The board of exemplars on the stand-in, with what a real worker said."""

import pytest
import qt
from IncrementalSegPanel.pages.ExemplarsPage import ExemplarsPage
from IncrementalSegPanel.State import State
from recordings import end_of, read
from scripted_worker import session_at_home
from standin.events import settle


@pytest.fixture
def session(tmp_path):
    return session_at_home(tmp_path, 1)


@pytest.fixture
def page(session):
    made = ExemplarsPage(session)
    session.listen(made.render)
    made.widget.show()
    yield made
    made.widget.hide()


def opened(session, tmp_path):
    session.reviewing.show()
    for verb in ("exemplars", "privacy"):
        session.worker.last(verb).play(next(item for item in read("exemplars") if item.verb == verb))
    picture = qt.QPixmap(40, 30)
    picture.fill(qt.QColor("red"))
    picture.save(str(tmp_path / "x.png"))
    names = {item.id: str(tmp_path / "x.png") for item in session.reviewing.exemplars}
    session.worker.last("thumbnails").finish(thumbnails=names)


def test_a_board_of_pictures_with_words(page, session, tmp_path):
    session.reviewing.show()
    assert page.ui.summaryLabel.text == "Reading…"
    opened(session, tmp_path)
    board = page.ui.board
    assert board.count == len(session.reviewing.exemplars)
    first = board.item(0)
    assert "coverage 1" in first.text()
    assert not first.icon().isNull()
    assert first.toolTip()
    assert "pieces of" in page.ui.summaryLabel.text
    assert "cover" in page.ui.coverageLabel.text
    assert "may stand in several" in page.ui.coverageLabel.text
    assert "no image can be made" in page.ui.ledgerLabel.text
    assert page.primary.text == "Keep these"


def test_choosing_filtering_and_marking(page, session, tmp_path):
    opened(session, tmp_path)
    ui = page.ui
    assert not ui.pinButton.enabled
    assert "Choose a picture first." in ui.pinButton.toolTip
    ui.board.setCurrentRow(1)
    assert session.reviewing.chosen == session.reviewing.shown[1].id
    assert ui.pinButton.enabled
    assert session.reviewing.exemplar.case in ui.reasonLabel.text
    number = session.reviewing.structures.index("humerus") + 1
    ui.structureCombo.setCurrentIndex(number)
    ui.structureCombo.activated.emit(number)
    assert session.reviewing.structure == "humerus"
    assert ui.board.count == len(session.reviewing.shown) < len(session.reviewing.exemplars)
    settle()
    series = page._chart.view.mrmlPlotViewNode().GetPlotChartNode()
    assert series.GetNumberOfPlotSeriesNodes() == 1
    ui.pinButton.click()
    assert session.worker.last("pin").arguments["exemplar"] == session.reviewing.chosen


def test_a_banned_one_says_so_and_can_be_taken_back(page, session, tmp_path):
    opened(session, tmp_path)
    session.reviewing.choose(session.reviewing.shown[0].id)
    page.ui.banButton.click()
    session.worker.last("ban").finish(number=7)
    found = end_of("exemplars", "exemplars").result
    next(item for item in found["exemplars"] if item["id"] == session.reviewing.chosen)["mark"] = "banned"
    session.worker.last("exemplars").finish(**found)
    assert "banned" in page.ui.board.item(page.ui.board.count - 1).text()
    assert page.ui.banButton.text == "Lift the ban"
    assert "Saved as version 7" in page.ui.savedLabel.text


def test_a_budget(page, session, tmp_path):
    opened(session, tmp_path)
    assert page.ui.budgetSpin.value == len(session.reviewing.exemplars)
    page.ui.budgetSpin.value = 4
    page.ui.budgetButton.click()
    assert session.worker.last("budget").arguments["total"] == 4
    assert not page.ui.budgetButton.enabled


def test_keeping_no_scans_is_the_primary_button_after_it_is_chosen(page, session, tmp_path):
    opened(session, tmp_path)
    assert not page.ui.stripCostLabel.visible
    page.ui.stripRadio.click()
    assert page.ui.stripCostLabel.visible
    assert page.primary.text == "Remove all pieces of scans"
    page.primary.click()
    session.worker.last("strip").finish(versions=[1], exemplars=3, copied_scans=1, costs=[])
    session.worker.last("exemplars").finish(version=1, exemplars=[], bytes=0, budget=None, coverage={})
    assert page.ui.summaryLabel.text == "This model holds no pieces of scans."
    assert "Removed 3 pieces" in page.ui.savedLabel.text
    assert not page.ui.board.visible
    assert not page.ui.chart.visible
    assert page.primary.text == "Done"
    page.primary.click()
    assert session.state is State.READY
