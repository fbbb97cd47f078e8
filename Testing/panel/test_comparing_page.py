"""The page that compares: what it shows and offers in each state, on the stand-in with real plot nodes."""

import pytest
import qt
import slicer
from IncrementalSegPanel.pages.ComparePage import ComparePage
from IncrementalSegPanel.State import State
from retention_reports import AGREES, HARMED, IMPROVED, KEPT, LINEAGE, PROXY, UNKNOWN, UNSURE, report
from scripted_worker import open_model, session_at_home
from standin.events import settle, wait


@pytest.fixture
def session(tmp_path):
    return session_at_home(tmp_path, 2)


@pytest.fixture
def page(session):
    made = ComparePage(session)
    session.listen(made.render)
    made.widget.show()
    yield made
    made.widget.hide()


def taught(session, *rows):
    session.comparing.show(3, {"version": 3, "retention": report(*rows)})
    session.worker.last("versions").finish(**LINEAGE)


def painted(path, color):
    picture = qt.QPixmap(40, 30)
    picture.fill(qt.QColor(color))
    assert picture.save(str(path))
    return str(path)


def pictured(session, tmp_path, *cases):
    before, after = painted(tmp_path / "b.png", "blue"), painted(tmp_path / "a.png", "red")
    own = {
        "structure": "scapula",
        "dice": [0.85, 0.7],
        "position": None,
        "images": [],
        "before": before,
        "after": after,
    }
    session.worker.last("compare_pictures").finish(pictures=[own | {"case": case} for case in cases])


def color(label):
    return label.pixmap.toImage().pixelColor(5, 5).name()


def texts(table, row):
    return [table.item(row, column).text() for column in range(table.columnCount)]


def test_all_kinds_of_rows_in_words(page, session):
    taught(session, KEPT, HARMED, UNSURE, IMPROVED, PROXY, AGREES, UNKNOWN)
    table = page.ui.rowsTable
    shown = {texts(table, row)[1]: texts(table, row)[2:] for row in range(table.rowCount)}
    assert texts(table, 0)[:4] == ["1", "scapula", "harmed", "0.86 → 0.78"]
    assert texts(table, 0)[4].startswith("−7.6\n−11.4 to")
    assert shown["humerus"][0] == "kept"
    assert shown["clavicle"][0] == "unsure"
    assert shown["rib"] == ["improved", "0.60 → 0.71", "+10.5"]
    assert shown["glenoid"][0] == "kept (proxy)"
    assert shown["sternum"] == ["kept (proxy)", "agree 0.98", "–"]
    assert shown["coracoid process"] == ["not judged", "–", "–"]
    assert all(not table.item(row, 2).icon().isNull() for row in range(table.rowCount))
    settle()
    chart = page._chart.view.mrmlPlotViewNode().GetPlotChartNode()
    bars = chart.GetNthPlotSeriesNode(1).GetTableNode().GetTable()
    rows = [bars.GetColumnByName("x").GetValue(number) for number in range(bars.GetNumberOfRows())]
    assert [texts(table, int(row) - 1)[1] for row in rows] == ["scapula", "clavicle", "glenoid", "humerus", "rib"]


def test_a_first_version_has_no_table_and_no_chart(page, session):
    taught(session)
    assert "Nothing to keep yet" in page.ui.verdictLabel.text
    assert not page.ui.rowsTable.visible
    assert not page.ui.chart.visible
    assert not page.ui.detailFrame.visible


def test_a_first_version_offers_no_choice_that_needs_an_older_one(page, session):
    session.model = None  # none is in use yet
    taught(session)
    ui = page.ui
    shown = [button.visible for button in (ui.keepButton, ui.otherwiseButton, ui.longerButton, ui.discardButton)]
    assert shown == [False, False, True, True]
    session.model = open_model({"current": 2})
    session.changed()
    assert ui.keepButton.visible
    assert ui.otherwiseButton.visible


def test_what_is_held_back_is_accepted_by_a_tick_only(page, session):
    taught(session, HARMED)
    button = page.primary
    assert button.text == "Accept as version 3"
    assert not button.enabled
    assert "Tick first" in button.toolTip
    assert "scapula" in page.ui.consentLabel.text
    page.ui.consentCheck.click()
    assert button.enabled
    session.worker.last("compare_pictures").finish(pictures=[])
    button.click()
    assert session.worker.last("accept").arguments["version"] == 3


def test_what_is_kept_needs_no_tick(page, session):
    taught(session, KEPT)
    assert not page.ui.consentCheck.visible
    assert page.primary.enabled


def test_discarding_asks_in_the_page(page, session):
    taught(session, KEPT)
    session.worker.last("compare_pictures").finish(pictures=[])
    assert not page.ui.discardFrame.visible
    page.ui.discardButton.click()
    assert page.ui.discardFrame.visible
    page.escape()  # Esc answers no
    assert not page.ui.discardFrame.visible
    assert session.state is State.COMPARING
    page.ui.discardButton.click()
    page.ui.discardYesButton.click()
    assert session.worker.last("reject").arguments["version"] == 3
    page.escape()  # too late
    assert session.state is State.COMPARING
    session.worker.last("reject").finish()
    assert session.state is State.READY


def test_escape_leaves_the_version_as_it_is(page, session):
    taught(session, KEPT)
    page.escape()
    assert session.state is State.READY


def test_slices_stand_side_by_side_and_can_take_turns(page, session, tmp_path):
    taught(session, KEPT, HARMED)
    pictured(session, tmp_path, "p04", "p01")
    ui = page.ui
    assert (color(ui.beforePicture), color(ui.afterPicture)) == ("#0000ff", "#ff0000")
    assert ui.beforeCaption.text == "before: Dice 0.85"
    ui.nextButton.click()
    assert "p01, 2 of 2" in ui.caseLabel.text
    assert not ui.scanButton.enabled
    assert ui.scanButton.toolTip
    narrow = ui.beforePicture.pixmap.width()
    ui.flickerButton.click()
    assert not ui.afterPicture.visible
    assert ui.beforePicture.pixmap.width() > narrow
    wait(lambda: color(ui.beforePicture) == "#ff0000", 5)
    wait(lambda: color(ui.beforePicture) == "#0000ff", 5)
    ui.flickerButton.click()
    assert ui.afterPicture.visible
    assert color(ui.beforePicture) == "#0000ff"


def test_choosing_a_row_shows_its_reason(page, session, tmp_path):
    taught(session, KEPT, HARMED)
    pictured(session, tmp_path, "p04")
    page.ui.rowsTable.selectRow(1)
    assert session.comparing.chosen == "humerus"
    assert page.ui.reasonLabel.text.startswith("humerus: did not change")
    assert not page.ui.beforePicture.visible


def test_the_list_of_versions_unfolds_when_it_is_asked_for(page, session):
    taught(session, KEPT)
    assert page.ui.versionsSection.collapsed
    session.comparing.versions()
    session.worker.last("versions").finish(**LINEAGE)
    assert not page.ui.versionsSection.collapsed
    assert texts(page.ui.versionsTable, 0) == ["3", "taught scapula", "2026-08-01", "waits for you"]
    assert page.primary.text == "Done"
    page.ui.versionsTable.selectRow(2)
    session.worker.last("versions").finish(**LINEAGE)
    assert session.comparing.number == 1
    assert page.primary.text == "Go back to version 1"
    assert not page.ui.keepButton.visible


def test_every_disabled_button_says_why(page, session):
    taught(session, HARMED)
    buttons = [widget for widget in slicer.util.findChildren(page.widget, className="QPushButton") if widget.visible]
    assert [button.text for button in buttons if not button.enabled and not button.toolTip] == []
    session.comparing.agree(True)
    page.primary.click()
    assert "Accepting…" in page.primary.toolTip
    assert not page.ui.keepButton.enabled
    assert "Accepting…" in page.ui.keepButton.toolTip
