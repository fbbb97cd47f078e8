"""A model of another program: read, shown, named, made and opened; cancelled and refused at every step."""

from pathlib import Path

import pytest
from IncrementalSegPanel.State import State
from panel.adopting_tasks import FOLDER, found, network, origin
from panel.test_opening import make_model
from standin import dialogs

from IncrementalSegLib.wire import events


@pytest.fixture
def adopting(session):
    session.adopting.begin(Path(FOLDER))
    return session.adopting


def asked(session, verb="adoptable"):
    return session.worker.last(verb)


def test_nothing_is_written_before_a_person_has_seen_what_it_is(session, adopting):
    assert session.state is State.ADOPTING
    assert [(item.verb, item.arguments) for item in session.worker.asked] == [("adoptable", {"folder": FOLDER})]
    assert "Wait" in adopting.obstacle
    adopting.adopt()
    asked(session).finish(**found(network=network(origin=origin(folds=["0", "1"], license="CC BY 4.0"))))
    assert len(session.worker.asked) == 1
    said = " ".join(adopting.network.sentences)
    for part in ("nnU-Net v2, 3d_fullres", "folds 0, 1", "volumes at 2.5 × 1 × 1 mm: T1", "2 times", "CC BY 4.0"):
        assert part in said
    assert adopting.network.outlines.startswith("It outlines 2 structures")
    assert [head.meaning for head in adopting.network.heads] == ["Fourth rib, Left"] * 2
    assert (adopting.name, adopting.obstacle) == ("Knee", "")


def test_a_bundle_has_no_folds_and_may_see_scans_as_they_are(session, adopting):
    bundle = {"program": "MONAI bundle", "configuration": "UNet in inference.json", "channels": ["CT"], "folds": []}
    asked(session).finish(**found(network=network(origin=bundle, spacing=[None, None, None])))
    said = " ".join(adopting.network.sentences)
    assert "MONAI bundle, UNet in inference.json. Sees volumes at their own spacing: CT." in said


def test_it_becomes_a_model_that_is_open(session, adopting):
    asked(session).finish(**found())
    adopting.setName("My knee")
    adopting.adopt()
    model = session.folders.models / "My knee"
    assert asked(session, "adopt").arguments == {"folder": FOLDER, "model": str(model)}
    make_model(model)
    asked(session, "adopt").finish(name="My knee")
    assert (session.state, session.folder, session.failure) == (State.READY, model, None)
    assert session.opening.recent == [model]


def test_structures_are_renamed_before_it_becomes_a_model(session, panel):
    session.adopting.begin(Path(FOLDER))
    asked(session).finish(**found())
    panel.render()
    names = panel.page.ui.structuresList
    names.item(0).setText("tibia")
    panel.render()
    assert [names.item(row).text() for row in range(2)] == ["tibia", "right"]
    for refused, why in (("TIBIA", "already"), ("background", "already"), ("a, b", "cannot be")):
        names.item(1).setText(refused)
        assert why in session.failure.what
        panel.render()
        assert names.item(1).text() == "right"
    names.item(1).setText("left")  # free now
    session.adopting.adopt()
    assert session.failure is None
    assert asked(session, "adopt").arguments["names"] == {"left": "tibia", "right": "left"}


def test_a_long_name_is_edited_as_a_whole(session, panel):
    long = "Musculus supraspinatus, insertion of the anterior tendon"
    session.adopting.begin(Path(FOLDER))
    asked(session).finish(**found(network=network(long)))
    panel.render()
    assert panel.page.ui.structuresList.item(0).text() == long


def test_one_of_several_networks_is_chosen(session, adopting):
    two = (("TotalSegmentator organs", "/results/a"), ("TotalSegmentator ribs", "/results/b"))
    asked(session).finish(**found(*two))
    assert (list(adopting.networks), adopting.network) == ([name for name, _ in two], None)
    assert "Choose one" in adopting.obstacle
    adopting.choose("TotalSegmentator ribs")
    assert asked(session).arguments == {"folder": "/results/b"}
    asked(session).finish(**found(two[1]))
    assert (adopting.name, adopting.obstacle) == ("TotalSegmentator ribs", "")
    adopting.choose("TotalSegmentator organs")
    asked(session).fail("plans.json cannot be adopted: it is a cascade.")
    assert session.state is State.ADOPTING  # the other one is still there
    assert "cascade" in session.failure.what
    assert adopting.obstacle
    adopting.choose("TotalSegmentator ribs")
    asked(session).finish(**found(two[1]))
    adopting.adopt()
    assert asked(session, "adopt").arguments["folder"] == "/results/b"


def test_a_name_is_suggested_that_a_folder_can_have_and_that_is_free(session, adopting):
    (session.folders.models / "left_right").mkdir(parents=True)
    asked(session).finish(**found(("left/right", FOLDER)))
    assert (adopting.name, adopting.obstacle) == ("left_right 2", "")
    adopting.setName("left_right")
    assert "already" in adopting.obstacle


def test_what_is_refused_leads_back_and_says_why(session, adopting):
    asked(session).fail("Dataset012_Knee cannot be adopted: it is a MONAI bundle.", "", "Nothing was written.")
    assert session.state is State.NO_MODEL
    assert "MONAI bundle" in session.failure.what


def test_what_fails_while_it_is_made_can_be_tried_again(session, adopting):
    asked(session).finish(**found())
    adopting.adopt()
    asked(session, "adopt").fail("The disk is full.")
    assert (session.state, session.failure.what, adopting.obstacle) == (State.ADOPTING, "The disk is full.", "")


@pytest.mark.parametrize("verb", ["adoptable", "adopt"])
def test_cancel_ends_what_runs_and_leads_back(verb, session, adopting, tmp_path):
    if verb == "adopt":
        asked(session).finish(**found())
        adopting.adopt()
    adopting.leave()
    assert session.worker.wishes == [(verb, "discard")]
    assert session.state is State.ADOPTING  # until the worker has ended it
    asked(session, verb).say(events.Cancelled("", kept=False))
    assert (session.state, session.failure) == (State.NO_MODEL, None)
    assert not session.folders.models.exists()


def test_a_folder_that_is_opened_as_a_model_can_be_adopted(session, tmp_path):
    folder = tmp_path / "Dataset012_Knee"
    (folder / "nnUNetTrainer__nnUNetPlans__2d").mkdir(parents=True)
    session.opening.open(folder)
    assert session.failure.remedy is None
    (folder / "nnUNetTrainer__nnUNetPlans__2d" / "plans.json").write_text("{}")
    session.opening.open(folder)
    assert "another program" in session.failure.what
    session.failure.remedy.act()
    assert session.state is State.ADOPTING
    assert asked(session).arguments == {"folder": str(folder)}


def test_while_a_model_is_open_cancel_leads_back_to_it(ready):
    ready.session.adopting.begin(Path(FOLDER))
    asked(ready.session).finish(**found())
    ready.panel.render()
    ready.panel.escape()
    assert (ready.session.state, ready.session.model.name) == (State.READY, "Shoulder MR")


def test_the_page_asks_for_a_folder_and_shows_what_it_holds(session, panel, mainWindow):
    dialogs.answers.append(FOLDER)
    panel.page.ui.adoptButton.click()
    assert dialogs.begun == [str(session.folders.models.parent)]
    panel.render()
    ui = panel.page.ui
    assert ui.titleLabel.text == "Adopt Dataset012_Knee"
    assert not ui.progressBar.isHidden()
    assert not ui.adoptButton.enabled
    asked(session).finish(**found())
    panel.render()
    assert ui.progressBar.isHidden()
    assert [ui.structuresList.item(row).text() for row in range(ui.structuresList.count)] == ["left", "right"]
    assert ui.nameEdit.text == "Knee"
    ui.nameEdit.text = ""
    ui.nameEdit.textEdited.emit("")
    panel.render()
    assert "Type a name" in ui.adoptButton.toolTip
    ui.nameEdit.text = "Mine"
    ui.nameEdit.textEdited.emit("Mine")
    panel.render()
    panel.pressPrimary()
    assert asked(session, "adopt").arguments["model"] == str(session.folders.models / "Mine")


def test_the_page_offers_the_networks_of_a_folder(session, panel):
    session.adopting.begin(Path(FOLDER))
    asked(session).finish(**found(("a", "/a"), ("b", "/b")))
    panel.render()
    ui = panel.page.ui
    assert not ui.networksFrame.isHidden()
    assert ui.networksCombo.currentIndex == -1
    ui.networksCombo.currentIndex = 1
    ui.networksCombo.activated.emit(1)
    assert asked(session).arguments == {"folder": "/b"}
