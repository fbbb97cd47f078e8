"""After forgetting, no file of a model names the person, and the command makes sure of it."""

from __future__ import annotations

import hashlib
import json
import shutil
import unicodedata
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from tiny import tree

from IncrementalSegLib.engine.gate.scans import KIND, RetentionCopies
from IncrementalSegLib.engine.privacy import person
from IncrementalSegLib.engine.privacy.ledger import forget, ledger
from IncrementalSegLib.engine.privacy.naming import Names, fold
from IncrementalSegLib.errors import ModelError, UnknownNameError
from IncrementalSegLib.sampling.datasets import open_data
from IncrementalSegLib.store.rewrite import rewrite
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import StructureList

ANNA = "Müller, Anna"


@pytest.fixture
def model(taught, tmp_path):
    """A copy of a model that may be changed."""
    return shutil.copytree(taught, tmp_path / "model")


@pytest.fixture
def called(model, data):
    """Return a function that gives the first case of a model a name, everywhere where names stand."""

    def call(case, patient, others=("p2", "p3")):
        folder = open_model(model)
        document = folder.document("exemplars")
        history, record = folder.document("history"), folder.document("record")
        names = dict(zip([entry["case"] for entry in history["steps"][0]["training"]], (case, *others), strict=True))
        patients = {case: patient}

        def renamed(item):
            if isinstance(item, list):
                return [renamed(part) for part in item]
            if not isinstance(item, dict):
                return item
            if item.get("case") in names:
                new = names[item["case"]]
                item = item | {"case": new, "patient": patients.get(new, new)}
                if "images" in item:
                    item["images"] = [f"/data/{item['patient']}/{new}_0000.nii.gz"]
            return {key: renamed(part) for key, part in item.items()}

        scores = [{"case": name, "patient": patients.get(name, name), "dice": 0.5} for name in names.values()]
        row = {"structure": "humerus", "before": scores, "after": scores, "note": f"{case} is not where it was; p3 too"}
        found = open_data(data / "humerus").cases[0]
        copies = RetentionCopies().with_case(found, {"humerus": folder.record().structures.ids[0]})
        copied, tensors = copies.to_files()
        rewrite(folder.folder_of(1), {"record.json": encoded(renamed(record))})
        folder.edit(
            {"action": "copy", "data": f"scans of {case}"},
            documents={
                "exemplars": renamed(document),
                "history": renamed(history),
                "retention": {"structures": [row]},
                KIND: renamed(copied),
            },
            tensors={KIND: tensors},
        )
        rewrite(
            folder.folder_of(1),
            {f"{kind}.json": encoded(open_model(model).document(kind)) for kind in ("exemplars", "history")},
        )
        return open_model(model)

    return call


def encoded(document) -> bytes:
    return json.dumps(document, ensure_ascii=True).encode()


def texts(folder) -> str:
    """Return all that the documents of a model hold, decoded and folded, and the names of its files."""
    parts = []
    for name, data in tree(folder).items():
        parts += [name, json.dumps(json.loads(data), ensure_ascii=False) if name.endswith(".json") else ""]
    return fold("\n".join(parts))


@pytest.mark.parametrize("ask", ["case", "patient", "path", "file", "case in capitals", "decomposed"])
def test_no_name_of_the_person_is_left_however_it_is_asked_for(model, called, ask):
    called("Fall Ä", ANNA)
    asked = {
        "case": "Fall Ä",
        "patient": ANNA,
        "path": f"/data/{ANNA}/Fall Ä_0000.nii.gz",
        "file": "Fall Ä_0000.nii.gz",
        "case in capitals": "FALL ä ",
        "decomposed": unicodedata.normalize("NFD", "Fall Ä"),
    }[ask]
    done = forget(model, asked)
    assert done["scans"] == 1
    assert done["words"] == []
    assert done["files"] == sum(not name.endswith("/") for name in tree(model)) - 1  # the lock's
    left = texts(model)
    for name in ("Fall Ä", ANNA, "Anna", "Müller"):
        assert fold(name) not in left
    folder = open_model(model)
    for number in folder.numbers():
        folder.verify(number)
    row = folder.document("retention")["structures"][0]
    assert [entry["case"] for entry in row["after"]] == ["forgotten", "p2", "p3"]
    assert [entry["dice"] for entry in row["after"]] == [0.5] * 3  # of nobody in particular
    assert row["note"] == "forgotten is not where it was; p3 too"
    assert {"p2", "p3"} <= set(ledger(model, 2)["versions"][0]["cases"])


@pytest.mark.parametrize(
    ("case", "others"),
    [("p1", ("p10", "p1_b")), ("p1", ("xp1", "p1 b")), ("1", ("10", "21")), ("a-b", ("a-bc", "c a-b"))],
)
def test_others_whose_names_begin_or_end_alike_are_not_harmed(model, called, case, others):
    folder = called(case, case, others)
    history = folder.document("history")
    history["note"] = f"{case} and {others[0]} and {others[1]} were seen"
    folder.edit({"action": "x"}, documents={"history": history})
    created = folder.record(1).created
    forget(model, case)
    assert set(ledger(model, 2)["versions"][0]["cases"]) == {*others}
    assert open_model(model).document("history")["note"] == f"forgotten and {others[0]} and {others[1]} were seen"
    assert open_model(model).record(1).created == created
    kept = ledger(model, 2)["versions"][0]["paths"]
    assert kept == sorted(f"/data/{other}/{other}_0000.nii.gz" for other in others)


def test_a_case_goes_and_the_patient_stays_with_another_case(model, called):
    called("first scan", "Anna", ("second scan", "p3"))
    folder = open_model(model)
    for number in folder.numbers():
        history = folder.document("history", number)
        for entry in history["steps"][0]["training"]:
            entry["patient"] = "Anna" if "scan" in entry["case"] else entry["patient"]
        rewrite(folder.folder_of(number), {"history.json": encoded(history)})
    assert forget(model, "first scan")["scans"] == 1
    assert "first scan" not in texts(model)
    assert {"Anna", "p3"} <= set(ledger(model, 2)["versions"][0]["patients"])
    forget(model, "Anna")
    assert not {"anna", "second scan"} & {word for word in ("anna", "second scan") if word in texts(model)}


def test_two_patients_whose_cases_are_called_alike_are_kept_apart(model, called):
    called("scan 1", "Anna")
    folder = open_model(model)
    for number in folder.numbers():
        history = folder.document("history", number)
        twin = {
            **history["steps"][0]["training"][0],
            "patient": "Bob",
            "sha256": "b" * 64,
            "images": ["/data/Bob/1.nii.gz"],
        }
        history["steps"].append({**history["steps"][0], "number": 2, "training": [twin], "held_out": []})
        rewrite(folder.folder_of(number), {"history.json": encoded(history)})
    assert forget(model, "Anna")["scans"] == 1
    steps = open_model(model).document("history")["steps"]
    assert steps[0]["training"][0]["case"] == "forgotten"
    assert (steps[1]["training"][0]["case"], steps[1]["training"][0]["patient"]) == ("scan 1", "Bob")
    assert "anna" not in texts(model)


def test_a_name_that_is_an_ordinary_word_is_told_and_does_no_harm(model, called):
    called("humerus", "heads")
    before = open_model(model).record()
    done = forget(model, "humerus")
    after = open_model(model).record()
    assert (after.structures, after.output, after.architecture) == (
        before.structures,
        before.output,
        before.architecture,
    )
    words = {place.rpartition(": ")[2] for place in done["words"]}
    assert {"'humerus')", "'heads')"} == {word for word in words if "~" not in word and "tensor" not in word}
    assert {"humerus", "heads"}.isdisjoint(ledger(model)["versions"][-1]["cases"])


def test_a_structure_that_is_named_after_the_person_is_named_and_fails(model, called):
    folder = called("p1", "Anna")
    first = folder.record().structures.items[0]
    folder.edit({"action": "x"}, structures=StructureList((replace(first, name="Anna's humerus"),)))
    with pytest.raises(ModelError, match=r"a name remains in versions/0003/record.*structures.0.name.*Anna's humerus"):
        forget(model, "Anna")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("report.html", b"<td>M&#252;ller, Anna</td>"),
        ("log.txt", f"reading {ANNA.upper()}".encode()),
        ("log.jsonl", json.dumps({"text": ANNA}).encode()),
        ("old.bin", b"\xff\xfe\x00" + ANNA.encode("utf-16-le") + b"\xff"),
        ("dump.bin", b"\xff\xfe\x00" + ANNA.encode("latin-1") + b"\xff"),
        ("sums.txt", hashlib.sha256(ANNA.encode()).hexdigest().encode()),
        (f"{ANNA}.png", b"\x89PNG"),
        ("x.safetensors", safetensors.torch.save({"a": torch.zeros(1)}, {"who": ANNA})),
        ("y.safetensors", safetensors.torch.save({f"{ANNA}.image": torch.zeros(1)})),
    ],
)
def test_a_file_that_still_names_the_person_is_named(model, called, name, content):
    called("p1", ANNA)
    (model / "reports").mkdir()
    (model / "reports" / name).write_bytes(content)
    with pytest.raises(ModelError, match=f"a name remains in reports/{name}"):
        forget(model, ANNA)
    assert fold(ANNA) not in texts(model / "versions")
    (model / "reports" / name).unlink()
    with pytest.raises(UnknownNameError):  # nothing is left to be forgotten
        forget(model, ANNA)


def test_a_model_called_after_the_patient_is_called_otherwise(model, called):
    called("p1", ANNA)
    open_model(model).rename(f"Arm of {ANNA}")
    forget(model, "p1")
    assert open_model(model).name == "Arm of forgotten"


@pytest.mark.parametrize(
    ("text", "without"),
    [
        ("MÜLLER, ANNA was read", "forgotten was read"),
        (unicodedata.normalize("NFD", "müller, anna") + " was read", "forgotten was read"),
        ("Müller,_Anna/scan", "forgotten/scan"),
        ("Müller, Annabelle", "Müller, Annabelle"),
        ("x Müller, Anna II", "x Müller, Anna II"),
        ("Mü\u200bller, Anna", "forgotten"),
    ],
)
def test_a_name_is_found_in_every_form_and_as_a_whole(text, without):
    assert Names({ANNA}, {"Müller, Anna II"}).without(text) == without


def test_the_scan_is_what_finds_out(model, called, monkeypatch):
    """If a document kept the name, the command would say so instead of being done."""
    called("p1", ANNA)
    monkeypatch.setattr(person, "_answers", lambda item: iter(()))
    monkeypatch.setattr(person, "_forgotten", lambda item, person, way: item)
    with pytest.raises(ModelError, match="a name remains in versions/0001"):
        forget(model, ANNA)
