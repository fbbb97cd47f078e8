"""A name and the outlined scans that show it, from the scene or from a folder."""

from pathlib import Path

import pytest
from IncrementalSegPanel.flows.Rows import alike
from IncrementalSegPanel.State import State
from panel.teaching_tasks import METHODS, collected, example, teaching_session, verdicts

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.wire import events


@pytest.fixture
def session(tmp_path):
    return teaching_session(tmp_path)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Left kidney", "kidney_left", True),
        ("Left kidney", "Right kidney", False),
        ("", "", False),
        ("L5", "l4", False),
    ],
)
def test_names_are_compared_by_their_words(one, other, same):
    assert alike(one, other) is same


def test_what_has_the_name_is_chosen_and_gets_a_picture(session):
    flow = collected(session)
    assert session.state is State.COLLECTING
    assert [(row.scan, row.choice, row.ticked) for row in flow.rows] == [("one", 0, True), ("two", 0, True)]
    session.defer.run()
    assert session.bridge.drawn == [("one", "scapula"), ("two", "Scapula")]
    assert all(row.picture.read_bytes() for row in flow.rows)
    assert flow.obstacle == ""


def test_pictures_are_there_before_a_name_and_follow_it(session):
    session.bridge.examples = [example("one", "scapula"), example("one", "humerus")]
    session.teaching.begin()
    flow = session.teaching.collecting
    session.defer.run()
    assert session.bridge.drawn == [("one", "scapula")]
    first = flow.rows[0].picture
    assert first.read_bytes()
    flow.setName("Scapula")
    assert flow.rows[0].picture is first
    for name in ("humerus", "scapula"):
        flow.setName(name)
        assert flow.rows[0].picture is None  # not that of the other outline
        session.defer.run()
        assert flow.rows[0].picture.read_bytes()
    assert session.bridge.drawn == [("one", "scapula"), ("one", "humerus"), ("one", "scapula")]


def test_code_and_colour_follow_from_the_name(session):
    flow = collected(session)
    assert "Scapula" in flow.terminology
    flow.setName("Thing")
    assert flow.terminology is None
    flow.setTerminology("Left kidney", "entry", (1, 2, 3))
    assert (flow.name, flow.terminology, flow.color) == ("Left kidney", "entry", (1, 2, 3))
    flow.setTerminology("Structure; deep, of the knee", "entry", (1, 2, 3))
    assert flow.name == "Structure deep of the knee"


@pytest.mark.parametrize(
    ("name", "word"),
    [("", "name of the structure"), ("a, b", "comma"), ("a;b", "semicolon"), ("HUMERUS", "Improve"), ("Liver", "Tick")],
)
def test_what_is_missing_is_said(session, name, word):
    session.teaching.begin(name)
    assert word in session.teaching.collecting.obstacle


def test_a_known_name_can_be_improved(session):
    session.bridge.examples = [example("one", "humerus")]
    session.teaching.begin("humerus")
    flow = session.teaching.collecting
    assert flow.known == "Humerus"
    flow.improveKnown()
    assert (flow.obstacle, flow.task().improve, flow.task().name) == ("", True, "Humerus")
    flow.setName("Ulna")
    assert not flow.improve


def test_an_outline_that_cannot_teach_is_not_chosen(session):
    session.bridge.examples = [example("one", "scapula", obstacle="It is empty."), example("two", "scapula")]
    flow = collected(session)
    assert [row.ticked for row in flow.rows] == [False, True]
    assert flow.refusal(flow.rows[0]) == "It is empty."
    flow.tickAll(True)
    assert [row.ticked for row in flow.rows] == [False, True]


def test_what_a_person_corrected_comes_before_what_a_model_made(session):
    made, mine = example("one", "scapula", uncorrected=True), example("one", "scapula (corrected)")
    session.bridge.examples = [made, mine]
    (row,) = collected(session).rows
    assert (row.example.name, row.ticked) == ("scapula (corrected)", True)


def test_all_scans_leaves_out_what_nobody_corrected(session):
    session.bridge.examples = [example("one", "scapula", uncorrected=True), example("two", "scapula")]
    flow = collected(session)
    flow.tickAll(True)
    assert [row.ticked for row in flow.rows] == [False, True]


def test_what_a_model_made_and_nobody_corrected_is_ticked_by_hand_only(session):
    session.bridge.examples = [example("one", "scapula", uncorrected=True), example("two", "scapula")]
    flow = collected(session)
    assert [(row.choice, row.ticked) for row in flow.rows] == [(0, False), (0, True)]
    flow.tick(0, True)
    flow.refresh()
    assert flow.rows[0].ticked


def test_which_outline_is_meant_must_be_clear(session):
    session.bridge.examples = [example("two", "a"), example("two", "b")]
    flow = collected(session)
    assert (flow.rows[0].choice, flow.rows[0].ticked) == (None, False)
    flow.tick(0, True)
    assert "Say which outline of two" in flow.obstacle
    flow.choose(0, 1)
    assert flow.obstacle == ""
    assert [item.name for item in flow.chosen] == ["b"]
    flow.choose(0, None)
    assert "Tick" in flow.obstacle


def test_typing_on_does_not_tick_what_a_person_left_out(session):
    flow = collected(session)
    flow.tick(0, False)
    flow.setName("scapula")
    flow.refresh()
    assert [row.ticked for row in flow.rows] == [False, True]


def test_typing_on_does_not_undo_what_a_person_chose(session):
    session.bridge.examples = [example("two", "scapula"), example("two", "b")]
    session.teaching.begin("")
    flow = session.teaching.collecting
    flow.choose(0, 1)
    flow.setName("Scapula")
    assert flow.rows[0].choice == 1


def test_looking_again_keeps_what_was_chosen(session):
    session.bridge.examples = [example("two", "a"), example("two", "b")]
    flow = collected(session)
    flow.choose(0, 1)
    session.bridge.examples = [example("two", "b"), example("two", "c"), example("three", "scapula")]
    flow.refresh()
    assert [(row.scan, row.ticked, row.example.name) for row in flow.rows] == [
        ("two", True, "b"),
        ("three", True, "scapula"),
    ]
    session.bridge.examples = []
    session.teaching.beginScene()
    assert flow.rows == []


def test_an_empty_scene_says_what_to_do(session):
    session.bridge.examples = []
    assert "Segment Editor" in collected(session).emptiness


def test_a_picture_that_cannot_be_drawn_is_left_out(session):
    def refuse(*_):
        raise DataError("gone")

    session.bridge.thumbnail = refuse
    collected(session)
    session.defer.run()
    assert session.failure is None


def test_leaving_goes_home(session):
    collected(session)
    session.teaching.leave()
    assert session.state is State.READY
    assert session.teaching.collecting.rows == []


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "dataset.json").write_text("{}")
    return tmp_path / "data"


def opened(session, folder, name="Scapula"):
    session.teaching.begin(name)
    flow = session.teaching.collecting
    flow.useFolder(folder)
    cases = {"a": ["scapula", "rib"], "b": ["rib"], "c": ["scapula"]}
    found = [{"case": case, "verdict": "ok", "message": "", "structures": names} for case, names in cases.items()]
    found[2] |= {"verdict": "refused", "message": "It is broken."}
    assert session.worker.last("check").arguments == {"data": str(folder)}
    session.worker.last("check").finish(cases=found)
    return flow


def test_its_scans_are_checked_and_become_rows(session, folder):
    flow = opened(session, folder)
    assert (flow.labels, flow.label) == (("scapula", "rib"), "scapula")
    assert [row.ticked for row in flow.rows] == [True, False, False]
    assert [flow.refusal(row) for row in flow.rows] == [
        "",
        "scapula was not looked for in this scan.",
        "It is broken.",
    ]
    task = flow.task()
    assert (task.data, task.label, task.cases) == (folder, "scapula", ("a",))


def test_what_is_to_know_of_a_data_set_beside_its_cases_is_said(session, folder):
    session.teaching.begin("Scapula")
    session.teaching.collecting.useFolder(folder)
    case = {"case": "a", "verdict": "warning", "message": "Its spacing is odd.", "structures": ["scapula"]}
    notes = [
        {"kind": "other-spacing", "count": 1, "case": "a", "text": "a: Its spacing is odd."},
        {"kind": "without-label", "count": 2, "case": "x", "text": "2 cases, first x: the image x has no label."},
    ]
    session.worker.last("check").finish(cases=[case], notes=notes)
    assert session.warnings == ["2 cases, first x: the image x has no label."]  # the other stands in its row
    assert session.teaching.collecting.rows[0].hints == ("Its spacing is odd.",)


def test_its_scans_are_measured_and_drawn(session, folder, tmp_path):
    flow = opened(session, folder)
    asked = session.worker.last("examples")
    assert (asked.arguments["data"], asked.arguments["label"]) == (str(folder), "scapula")
    session.teaching.toSummary()
    assert session.worker.wishes[-1] == ("examples", "discard")  # the summary does not wait for pictures
    asked.say(events.Cancelled("", kept=False))
    session.teaching.toExamples()
    picture = tmp_path / "0.png"
    session.worker.last("examples").finish(examples={"a": {"ml": 12.5, "picture": str(picture)}})
    assert [(row.ml, row.picture) for row in flow.rows] == [(12.5, picture), (None, None), (None, None)]
    flow.setLabel("rib")
    assert [row.ml for row in flow.rows] == [None, None, None]
    assert session.worker.last("examples").arguments["label"] == "rib"


def test_which_label_is_meant_is_asked_where_it_is_unclear(session, folder):
    flow = opened(session, folder, "Sternum")
    assert "Choose the outline of" in flow.obstacle
    flow.setLabel("rib")
    assert [row.ticked for row in flow.rows] == [True, True, False]
    assert flow.obstacle == ""


def test_the_scene_can_be_chosen_again(session, folder):
    flow = opened(session, folder)
    flow.useScene()
    assert (flow.source, len(flow.rows)) == (None, 2)


def test_a_folder_that_is_none_says_so_without_asking(session, tmp_path):
    flow = collected(session)
    flow.useFolder(tmp_path)
    assert "no data set" in flow.emptiness
    assert session.worker.asked == []


def test_a_folder_that_cannot_be_read_says_why(session, folder):
    flow = collected(session)
    flow.useFolder(folder)
    session.worker.last("check").fail("It is not a data set.", "Nothing is in it.")
    assert session.failure.what == "It is not a data set."
    assert (flow.fromFolder, flow.source, flow.rows) == (True, None, [])
    assert "Choose the folder" in flow.emptiness
    session.teaching.begin("Scapula")
    assert (flow.fromFolder, len(flow.rows)) == (False, 2)


def test_the_cases_travel_in_a_file_because_an_id_may_hold_a_comma(session, folder):
    opened(session, folder)
    session.teaching.toSummary()
    session.worker.last("check").finish(**verdicts(cases=("a", "b")))
    session.worker.last("methods").finish(**METHODS)
    assert Path(session.worker.last("advise").arguments["cases"]).read_text() == "a\n"
    assert session.bridge.written == []
