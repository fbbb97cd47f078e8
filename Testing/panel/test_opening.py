"""Opening, beginning and passing on models, on real model folders."""

from types import SimpleNamespace

import pytest
from IncrementalSegPanel.documents.Heads import KnownStructure, grouped, headsOf
from IncrementalSegPanel.scene.Exports import Export
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Wording import duration, millilitres
from recordings import read
from scripted_worker import session_in

from IncrementalSegLib.errors import DataError
from IncrementalSegLib.store.record import VersionRecord
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import create_or_open
from IncrementalSegLib.structures import Structure, StructureList


@pytest.fixture
def session(tmp_path):
    return session_in(tmp_path, SimpleNamespace(candidates=lambda _name=None: []))


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path / "elsewhere" / "Shoulder MR")


def make_model(folder, accepted=True):
    """Write a model whose only version knows the humerus."""
    import torch

    humerus = Structure("a" * 32, "humerus", 1, (225, 200, 120))
    record = VersionRecord(
        accepted=accepted,
        structures=StructureList((humerus,)),
        architecture={"trunks": 1},
        preprocessing={"spacing": [1, 1, 1]},
        libraries={},
        scores={humerus.id: {"validation_dice": 0.93, "cases": 4}},
        step={"id": "1"},
    )
    create_or_open(folder).write(record, {"weights": {"count": torch.tensor(3)}}, {})
    return folder


def test_nothing_is_open_at_first(session):
    session.opening.start()
    assert session.state is State.NO_MODEL
    assert (session.model, session.folder, session.opening.recent) == (None, None, [])


def test_a_model_is_read_without_a_worker(session, model):
    session.opening.open(model)
    assert session.state is State.READY
    assert session.worker.asked == []
    assert session.folder == model
    assert session.parameters.modelFolder == str(model)
    (head,) = session.model.heads
    assert (head.name, head.dice, head.scans) == ("humerus", 0.93, 4)


def test_any_file_of_a_model_opens_it(session, model):
    session.opening.open(model / "versions" / "000001" / "record.json")
    assert session.folder == model


def test_the_model_used_last_is_open_again(session, model, tmp_path):
    session.opening.open(make_model(tmp_path / "older"))
    session.opening.open(model)
    again = session_in(tmp_path, None)
    again.settings.update(session.settings)
    again.opening.start()
    assert again.folder == model
    assert again.opening.recent == [model, tmp_path / "older"]


def test_a_model_that_is_gone_is_not_offered_and_not_an_error(session, model):
    session.settings.setValue("IncrementalSeg/recentModels", f"{model.parent / 'gone'}\n{model}")
    session.opening.start()
    assert session.state is State.NO_MODEL
    assert session.failure is None
    assert session.opening.recent == [model]


def test_the_scene_brings_its_model(session, model, tmp_path):
    session.opening.open(make_model(tmp_path / "other"))
    session.parameters.modelFolder = str(model)
    session.opening.start()
    assert session.folder == model


def test_another_scene_leaves_the_model_open_and_the_work_alone(session, model):
    session.opening.open(model)
    session.teaching.begin()
    session.parameters.modelFolder = ""
    session.opening.start()
    assert session.state is State.COLLECTING
    assert session.parameters.modelFolder == str(model)


def test_a_model_whose_first_version_waits_is_decided_on(session):
    folder = make_model(session.folders.models / "Knee CT", accepted=False)
    session.opening.start()
    assert session.opening.recent == [folder]
    session.opening.open(folder)
    assert session.state is State.NO_MODEL
    assert session.failure.what == "Knee CT has no version in use yet."
    session.failure.remedy.act()
    assert session.state is State.COMPARING
    assert session.comparing.number == 1
    assert session.worker.last("versions").arguments["model"] == str(folder)


def test_a_model_whose_first_step_was_paused_is_gone_on_with(session):
    folder = session.folders.models / "Knee CT"
    Unfinished(folder).write({"id": "1", "structures": []}, {"curve": {"steps": 1, "planned": 2}}, {})
    assert session.opening.recent == [folder]
    session.opening.open(folder)
    assert session.failure.why == "Its first step is not finished."
    session.failure.remedy.act()
    assert session.worker.last("resume").arguments["model"] == str(folder)


@pytest.mark.parametrize("spoil", ["missing", "not a model", "damaged"])
def test_what_cannot_be_opened_says_why_and_what_was_open_stays(session, model, tmp_path, spoil):
    session.opening.open(model)
    folder = tmp_path / "bad"
    if spoil != "missing":
        folder.mkdir()
    if spoil == "damaged":
        (folder / "model.json").write_text("{")
    session.opening.open(folder)
    assert "bad" in session.failure.what
    assert session.failure.todo
    assert (session.state, session.folder) == (State.READY, model)
    session.opening.open(model)
    assert session.failure is None


def test_the_page_that_installs_stays_when_a_model_is_opened(session, model):
    session.go(State.NOTHING_INSTALLED)
    session.opening.open(model)
    assert session.state is State.NOTHING_INSTALLED
    assert session.model.name == "Shoulder MR"
    session.home()
    assert session.state is State.READY


def test_a_new_model_is_a_name_until_its_first_step(session, model):
    session.opening.open(model)
    session.home()
    session.opening.begin(" Knee CT ")
    assert session.state is State.COLLECTING
    assert session.model is None
    assert session.folder == session.folders.models / "Knee CT"
    assert not session.folders.models.exists()
    make_model(session.folder)
    session.refresh()
    assert session.model.name == "Knee CT"
    assert session.opening.recent[0] == session.folder


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", 'a"b', "con: x"])
def test_a_name_that_is_no_folder_is_refused(session, name):
    assert session.opening.obstacleToName(name)
    session.opening.begin(name)
    assert session.state is State.NO_MODEL
    assert session.failure.what


def test_a_name_that_is_taken_offers_to_open_that_model(session):
    folder = make_model(session.folders.models / "Knee CT")
    session.opening.begin("Knee CT")
    assert "already" in session.failure.what
    session.failure.remedy.act()
    assert session.folder == folder
    assert session.state is State.READY


def test_the_sample_begins_a_model_and_later_opens_it(session):
    loaded = []

    def load(defer):
        def pieces():
            for file in ("scan", "outlines"):
                loaded.append(file)
                yield 0.5
            return loaded

        return Export(pieces(), defer)

    session.opening.trySample(load)
    assert loaded == ["scan"]  # the other files come one by one
    assert "Loading" in session.opening.message
    session.opening.trySample(load)  # clicked again meanwhile
    session.defer.run()
    assert loaded == ["scan", "outlines"]
    assert (session.state, session.opening.message) == (State.COLLECTING, "")
    session.home()
    make_model(session.folder)
    session.opening.trySample(load)
    session.defer.run()
    assert session.state is State.READY
    assert session.model.name == "Sample"


def test_a_sample_that_comes_when_a_person_has_gone_on_disturbs_nothing(session):
    def pieces():
        yield 0.5
        return ["scan"]

    session.opening.trySample(lambda defer: Export(pieces(), defer))
    session.opening.begin("Knee CT")
    session.defer.run()
    assert session.folder.name == "Knee CT"
    assert (session.failure, session.opening.message) == (None, "")


def test_no_more_of_the_sample_is_loaded_once_the_scene_is_closed(session):
    loaded = []

    def pieces():
        loaded.append("scan")
        yield 0.5
        loaded.append("outlines")
        return loaded

    session.opening.trySample(lambda defer: Export(pieces(), defer))
    session.opening.endScene()
    session.defer.run()
    assert loaded == ["scan"]
    assert (session.state, session.failure, session.opening.message) == (State.NO_MODEL, None, "")


def test_a_sample_that_cannot_be_loaded_is_one_sentence(session):
    def pieces():
        yield 0.5
        raise DataError("The sample is missing.")

    session.opening.trySample(lambda defer: Export(pieces(), defer))
    session.defer.run()
    assert session.state is State.NO_MODEL
    assert session.failure.what == "The sample is missing."


def test_a_package_becomes_a_model_of_its_own_and_is_opened(session, tmp_path):
    (session.folders.models / "Knee CT").mkdir(parents=True)
    session.opening.open(tmp_path / "Knee CT.iseg")
    asked = session.worker.last("import")
    folder = session.folders.models / "Knee CT 2"
    assert asked.arguments == {"package": str(tmp_path / "Knee CT.iseg"), "model": str(folder)}
    assert session.opening.message == "Importing Knee CT.iseg…"
    make_model(folder)
    asked.finish(name="Knee CT 2")
    assert (session.state, session.folder, session.opening.message) == (State.READY, folder, "")


def test_a_package_that_is_refused_is_said(session, tmp_path):
    session.opening.open(tmp_path / "Knee CT.iseg")
    session.worker.last("import").fail("The package is damaged.", "", "Get it again.")
    assert session.failure.what == "The package is damaged."
    assert session.opening.message == ""


def test_exporting_says_where_and_that_no_image_goes_along(session, model, tmp_path):
    session.opening.open(model)
    session.opening.exportPackage(tmp_path / "out.iseg")
    asked = session.worker.last("export")
    assert asked.arguments == {"model": str(model), "package": str(tmp_path / "out.iseg")}
    asked.finish(path="out.iseg", bytes=12_340_000)
    assert session.opening.message == "Exported to out.iseg (12.3 MB). It holds no images."


def test_no_other_model_is_opened_while_work_runs(session, model):
    session.opening.open(model)
    assert session.opening.obstacle == ""
    session.state = State.TEACHING
    assert session.opening.obstacle


def test_heads_are_read_from_a_recorded_summary():
    summary = read("segment")[0].events[-1].result
    first = headsOf(summary)[0]
    assert first.name == "humerus"
    assert first.meaning == "Humerus"
    assert first.group == "Anatomical Structure"
    assert first.color == tuple(summary["structures"][0]["color"])


def test_a_search_finds_words_of_name_meaning_and_group():
    head = KnownStructure("a", "adrenal_l", "Adrenal gland, Left", "Anatomical Structure", (0, 0, 0), None, 0, "")
    assert head.matches("")
    assert head.matches("left ADRENAL")
    assert not head.matches("left kidney")


def test_heads_without_terminology_are_others():
    def row(name, entry):
        return {"id": name, "name": name, "color": [0, 0, 0], "terminology": entry}

    entry = "context~SCT^1^Tissue~SCT^2^Fat~SCT^3^Left~~^^~^^"
    groups = grouped(headsOf({"structures": [row("a", None), row("b", entry), row("c", None)]}))
    assert {name: [head.name for head in heads] for name, heads in groups.items()} == {
        "Other": ["a", "c"],
        "Tissue": ["b"],
    }
    assert groups["Tissue"][0].meaning == "Fat, Left"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(2, "a few seconds"), (43, "about 45 s"), (61, "about 1 min"), (380, "about 6 min"), (7300, "about 2 h")],
)
def test_durations_are_words(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"), [(1523.4, "1523 ml"), (99.96, "100.0 ml"), (4.271, "4.3 ml"), (0.042, "0.042 ml")]
)
def test_volumes_keep_what_a_person_can_use(value, words):
    assert millilitres(value) == words
