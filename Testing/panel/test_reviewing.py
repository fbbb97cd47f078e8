"""Reviewing the exemplars, with a worker that says what was recorded or what it is told to."""

from dataclasses import replace

import pytest
from IncrementalSegPanel.documents.Exemplars import CoverageCurves, ListedExemplar, ledgerSentences
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Wording import size
from recordings import end_of, read
from scripted_worker import session_at_home


@pytest.fixture
def overview():
    return end_of("exemplars", "exemplars").result


@pytest.fixture
def session(tmp_path):
    return session_at_home(tmp_path, 1)


def opened(session):
    session.reviewing.show()
    session.worker.last("exemplars").play(next(item for item in read("exemplars") if item.verb == "exemplars"))
    return session.reviewing


def entry(name, structure="humerus", mark="", **ranks):
    kept_for = [{"structure": structure, "order": order, "rank": rank} for order, rank in ranks.items()]
    own = {"id": name, "case": name, "structures": [structure], "kept_for": kept_for, "reason": "", "mark": mark}
    return own | {"position": None, "images": []}


def curves(**orders):
    return {"humerus": {"with_structure": 9, "candidates": 9, "orders": orders}}


def test_an_exemplar_says_why_it_is_kept(overview):
    assert overview["exemplars"]
    for item in overview["exemplars"]:
        shown = ListedExemplar.of(item)
        assert shown.structures
        assert shown.reason
        assert {structure for structure, _, _ in shown.ranks} <= set(overview["coverage"])


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (
            "certainty rank 35 of 68, adds 98.6 % coverage",
            "certainty rank 35 of 68, adds 98.6 % coverage",
        ),
        (
            "pinned, adds 4.0 % coverage of content (dino)",
            "pinned, adds 4.0 % coverage of content (dino)",
        ),
        ("", ""),
    ],
)
def test_a_reason_in_plain_words(held, said):
    assert ListedExemplar.of(entry("a") | {"reason": held}).reason == said


def test_the_reasons_of_several_structures_are_told_apart():
    item = entry("a") | {"structures": ["humerus", "scapula"], "present": ["1", "2"]}
    item |= {"reason": "drawn at random; certainty rank 2 of 9", "reasons": {"1": "drawn at random"}}
    assert ListedExemplar.of(item).reason == "drawn at random; certainty rank 2 of 9"
    item["reasons"] |= {"2": "certainty rank 2 of 9", "background": "certainty rank 1 of 9"}
    assert ListedExemplar.of(item).reason == "humerus: drawn at random; scapula: certainty rank 2 of 9"


def test_standing_in_words():
    item = ListedExemplar.of(entry("a", content=2, random=1))
    assert item.standing() == "content 2"
    assert item.standing("scapula") == ""
    assert ListedExemplar.of(entry("a", random=1)).standing() == "at random"
    assert ListedExemplar.of(entry("a", abstraction=5, content=1)).standing() == "coverage 5"
    assert replace(item, mark="banned").standing() == "banned"


@pytest.mark.parametrize(
    ("curve", "kept", "sentence"),
    [
        ([0.5, 0.7, 0.8], 3, "3 exemplars cover 80 % of its training scans; each one counts."),
        ([0.5, 0.79, 0.8], 3, "3 exemplars cover 80 % of its training scans; 2 cover almost as much."),
        ([0.5, 0.7, 0.8], 2, "2 exemplars cover 70 % of its training scans; each one counts."),
    ],
)  # fmt: skip
def test_where_adding_stops_to_help(curve, kept, sentence):
    exemplars = [entry(str(rank), abstraction=rank) for rank in range(1, kept + 1)]
    (found,) = CoverageCurves.listOf({"exemplars": exemplars, "coverage": curves(abstraction=curve)})
    assert found.sentence == f"humerus: {sentence}"


def test_coverage_counts_what_is_used_and_prefers_the_networks_order():
    exemplars = [entry("a", abstraction=1, content=2), entry("b", mark="banned", abstraction=2), entry("c", content=1)]
    (found,) = CoverageCurves.listOf(
        {"exemplars": exemplars, "coverage": curves(abstraction=[0.4, 0.6], content=[0.3, 0.5])}
    )
    assert (found.curve, found.kept) == ((0.4, 0.6), 1)
    (found,) = CoverageCurves.listOf({"exemplars": exemplars, "coverage": curves(content=[0.3, 0.5])})
    assert (found.curve, found.kept) == ((0.3, 0.5), 2)
    assert CoverageCurves.listOf({"exemplars": exemplars, "coverage": curves(random=[0.3])}) == []


def test_the_ledger_in_sentences():
    said = ledgerSentences(end_of("exemplars", "privacy").result)
    assert "pieces of" in said[0]
    assert said[1].startswith("Other versions hold some too")
    assert any("no image can be made" in text for text in said)
    assert "by name" in said[-1]


def test_sizes():
    assert [size(value) for value in (900, 93_000, 2_340_000)] == ["1 kB", "93 kB", "2.3 MB"]


def test_the_board_is_read_drawn_and_accounted_for(session, tmp_path, overview):
    flow = opened(session)
    assert session.state is State.REVIEWING
    assert len(flow.exemplars) == len(overview["exemplars"])
    names = [item["id"] for item in overview["exemplars"]]
    session.worker.last("thumbnails").finish(thumbnails={name: str(tmp_path / f"{name}.png") for name in names})
    assert set(flow.thumbnails) == set(names)
    session.worker.last("privacy").play(next(item for item in read("exemplars") if item.verb == "privacy"))
    assert flow.ledger
    assert flow.coverage


def test_one_structure_is_shown_best_first_and_banned_last(session):
    flow = opened(session)
    flow.filter("humerus")
    assert flow.shown
    assert all("humerus" in item.structures for item in flow.shown)
    ranks = [item.best("humerus") for item in flow.shown]
    assert ranks == sorted(ranks)
    flow.choose(flow.shown[0].id)
    flow.filter("Coracoid process")
    assert flow.chosen == ""  # what is not shown is not acted on
    flow.filter("humerus")
    first = flow.shown[0]
    flow.exemplars = tuple(replace(item, mark="banned") if item == first else item for item in flow.exemplars)
    assert flow.shown[-1].id == first.id


def test_marks_are_versions_and_can_be_lifted(session):
    flow = opened(session)
    assert flow.obstacleToMark == "Choose a picture first."
    flow.choose(flow.shown[0].id)
    assert flow.obstacleToMark == ""
    flow.pin()
    assert flow.obstacleToMark == "Saving…"
    asked = session.worker.last("pin")
    assert asked.arguments == {"model": str(session.folder), "exemplar": flow.chosen, "on": True}
    asked.finish(number=7)
    assert flow.saved.startswith("Saved as version 7")
    pinned = end_of("exemplars", "exemplars").result
    next(item for item in pinned["exemplars"] if item["id"] == flow.chosen)["mark"] = "pinned"
    session.worker.last("exemplars").finish(**pinned)
    assert flow.doing == ""
    flow.pin()
    assert session.worker.last("pin").arguments["on"] is False
    session.worker.last("pin").fail("The disk is full.")
    flow.ban()
    assert session.worker.last("ban").arguments["on"] is True


def test_known_pictures_are_not_drawn_again(session):
    flow = opened(session)
    session.worker.last("thumbnails").finish(thumbnails={item.id: "x.png" for item in flow.exemplars})
    flow.limit(4)
    assert session.worker.last("budget").arguments["total"] == 4
    session.worker.last("budget").finish(number=7)
    session.worker.last("exemplars").finish(**end_of("exemplars", "exemplars").result)
    assert [item.verb for item in session.worker.asked].count("thumbnails") == 1


def test_keeping_goes_home_and_changes_nothing(session):
    opened(session).decide()
    assert session.state is State.READY
    assert {item.verb for item in session.worker.asked} == {"exemplars", "thumbnails", "privacy"}


def test_removing_says_what_was_removed(session):
    flow = opened(session)
    flow.choosePrivacy(True)
    flow.decide()
    assert session.state is State.REVIEWING
    session.worker.last("strip").finish(versions=[1, 2], exemplars=13, copied_scans=0, costs=[])
    assert flow.saved.startswith("Removed 13 pieces")
    session.worker.last("exemplars").finish(version=2, exemplars=[], bytes=0, budget=None, coverage={})
    assert flow.exemplars == ()
    flow.decide()
    assert session.state is State.READY


def test_a_failed_edit_gives_the_buttons_back(session):
    flow = opened(session)
    flow.limit(4)
    session.worker.last("budget").fail("The folder is read-only.")
    assert flow.doing == ""
    assert session.failure.what == "The folder is read-only."


def test_exemplars_are_offered_only_where_there_are_any(session):
    session.go(State.COMPARING)
    session.reviewing.offer()
    session.worker.last("exemplars").finish(version=1, exemplars=[], bytes=0, budget=None, coverage={})
    assert session.state is State.READY
    session.reviewing.offer()
    session.worker.last("exemplars").finish(**end_of("exemplars", "exemplars").result)
    assert session.state is State.READY  # nobody compares any more
    session.go(State.COMPARING)
    session.reviewing.offer()
    session.worker.last("exemplars").finish(**end_of("exemplars", "exemplars").result)
    assert session.state is State.REVIEWING


def test_an_answer_about_another_model_is_not_heard(session, tmp_path):
    session.reviewing.show()
    session.folder = tmp_path / "other"
    session.worker.last("exemplars").finish(**end_of("exemplars", "exemplars").result)
    assert session.reviewing.exemplars is None


def test_a_place_that_is_gone_says_so(session, tmp_path):
    flow = opened(session)
    assert flow.obstacleToJump == "Choose a picture first."
    flow.choose(flow.shown[0].id)
    assert "on the disk" in flow.obstacleToJump or "not kept" in flow.obstacleToJump
