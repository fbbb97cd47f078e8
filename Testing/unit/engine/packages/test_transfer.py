"""A model goes out and comes in again; what is damaged or hostile does not come in."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from packages import changed, corpus, members, sealed
from tiny import tree

from IncrementalSegLib.engine.carried import read_exemplars
from IncrementalSegLib.engine.exemplars import overview
from IncrementalSegLib.engine.packages.transfer import export_package, import_package
from IncrementalSegLib.engine.privacy.ledger import ledger
from IncrementalSegLib.engine.quality import quality_warnings
from IncrementalSegLib.engine.segment import segment
from IncrementalSegLib.errors import IncrementalSegError, MissingNeedError, ModelError
from IncrementalSegLib.store.summary import read_summary
from IncrementalSegLib.store.versions import open_model
from IncrementalSegLib.structures import StructureList

NAMES = ("shoulder_A", "phantom")
"""How the names of cases, patients and data sets begin here."""


@pytest.fixture(scope="session")
def package(taught, tmp_path_factory) -> Path:
    """A package without exemplars."""
    return Path(export_package(taught, tmp_path_factory.mktemp("packages") / "plain")["path"])


@pytest.fixture(scope="session")
def full(taught, tmp_path_factory) -> Path:
    """A package with exemplars."""
    target = tmp_path_factory.mktemp("packages") / "full.iseg"
    return Path(export_package(taught, target, include_exemplars=True)["path"])


def masks(model: Path, scan: Path, out: Path) -> dict[str, bytes]:
    """Return what a model makes of a scan."""
    segment(model, [scan], out, device="cpu")
    return {path.name: path.read_bytes() for path in [out] if path.is_file()} or tree(out)


def test_what_comes_in_is_what_went_out(taught, package, data, tmp_path):
    record, card = import_package(package, tmp_path / "new")
    old, new = open_model(taught), open_model(tmp_path / "new")
    assert (record.number, record.parent, new.current) == (1, None, 1)
    assert record.structures == old.record().structures
    for kind in ("weights", "prototypes", "memory"):
        assert {name: item.tolist() for name, item in new.tensors(kind).items()} == {
            name: item.tolist() for name, item in old.tensors(kind).items()
        }
    new.verify()
    assert new.name == card["name"] == "new"
    assert old.name == "model"
    assert read_summary(tmp_path / "new")["name"] == "new"
    scan = next((data / "humerus" / "imagesTr").iterdir())
    one, two = (masks(model, scan, tmp_path / f"{model.name}.seg.nrrd") for model in (taught, tmp_path / "new"))
    assert list(one.values()) == list(two.values())


def test_an_imported_model_learns_the_next_structure(package, data, teach, tmp_path):
    import_package(package, tmp_path / "new")
    with pytest.raises(MissingNeedError):
        teach(tmp_path / "new", data / "scapula", "scapula", method="aeiseg")
    result = teach(tmp_path / "new", data / "scapula", "scapula", method="lwfseg")
    assert result.record.structures.names == ("humerus", "scapula")


def test_the_quality_of_what_earlier_steps_taught_goes_along(data, teach, tmp_path):
    model = tmp_path / "model"
    for name in ("humerus", "scapula"):
        teach(model, data / "both", name, method="decoder")
    export_package(model, tmp_path / "model.iseg")
    import_package(tmp_path / "model.iseg", tmp_path / "again")
    folders = open_model(model), open_model(tmp_path / "again")
    before, after = (quality_warnings(folder, None, folder.record().structures) for folder in folders)
    assert [said.split()[0] for said in after] == ["humerus", "scapula"]
    assert after == before


def test_with_exemplars_it_can_be_rehearsed(taught, full, data, teach, tmp_path):
    import_package(full, tmp_path / "new")
    before, after = (open_model(model).tensors("exemplars") for model in (taught, tmp_path / "new"))
    assert before
    names = dict(
        zip(*(open_model(model).document("exemplars")["outlined"] for model in (taught, tmp_path / "new")), strict=True)
    )
    assert {f"{names[name[:10]]}{name[10:]}" for name in before} == after.keys()
    assert all(torch.equal(item, after[f"{names[name[:10]]}{name[10:]}"]) for name, item in before.items())
    teach(tmp_path / "new", data / "scapula", "scapula", method="aeiseg")


def test_the_scans_that_trained_are_known_again(taught, package, tmp_path):
    import_package(package, tmp_path / "new")
    prints = [
        [entry["sha256"] for step in open_model(model).document("history")["steps"] for entry in step["training"]]
        for model in (taught, tmp_path / "new")
    ]
    assert prints[0] == prints[1] != []


@pytest.mark.parametrize("fixture", ["package", "full"])
def test_no_name_and_no_path_of_this_computer_leaves_it(fixture, request, data):
    content = request.getfixturevalue(fixture).read_bytes()
    for word in (*NAMES, str(data), str(data.parent.parent), "imagesTr"):
        assert word.encode() not in content, word


def test_no_guess_of_a_name_is_confirmed_by_a_package(full, taught):
    """Names of the form case_0000 are tried with all that a package tells, in all hashes that it could be."""
    memory = read_exemplars(open_model(taught), 1)
    content = b"".join(members(full.read_bytes()).values())
    assert memory.items
    for item in memory:
        guesses = [item.case, item.patient, *(f"shoulder_A_{one}_{two:03d}" for one in range(3) for two in range(10))]
        for guess in guesses:
            assert guess.encode() not in content
            for text in (
                guess,
                f"{item.sha256} {guess} {item.start}",
                f"{guess}{item.start}",
                f"{guess} {item.sha256}",
            ):
                for kind in ("md5", "sha1", "sha256", "sha512", "blake2b"):
                    digest = hashlib.new(kind, text.encode()).hexdigest()
                    assert digest[:10].encode() not in content
        assert item.id.encode() not in content  # older programs made it of the name


def test_without_being_asked_no_image_leaves(package, full):
    assert json.loads(members(package.read_bytes())["exemplars.json"])["exemplars"] == []
    assert len(members(package.read_bytes())["exemplars.safetensors"]) < 100
    held = json.loads(members(full.read_bytes())["card.json"])["patient_data"]
    assert held["exemplars"] == len(json.loads(members(full.read_bytes())["exemplars.json"])["exemplars"]) > 0


def test_the_card_says_what_it_is(package):
    content = members(package.read_bytes())
    card, page = json.loads(content["card.json"]), content["card.md"].decode()
    assert [item["name"] for item in card["structures"]] == ["humerus"]
    assert card["lineage"][0] == {
        "step": 1, "method": "finetune", "structures": ["humerus"], "cases": 3, "patients": 3, "cases_held_out": 0,
    }  # fmt: skip
    assert card["patient_data"]["prototypes"]["humerus"]["voxels"] > 0
    assert "humerus" in page
    assert "## Patient data" in page


def test_a_model_whose_names_steer_a_terminal_makes_a_package_that_is_taken(model, tmp_path):
    """As an older program taught it; each name is brought to its form, and the card is nothing but text."""
    folder = open_model(model)
    history = folder.document("history")
    history["steps"][0]["training"][0]["looked_for"] = dict.fromkeys(folder.record().structures.ids, "\x1b[31mh\u202e")
    history["steps"][0]["options"]["note\x07"] = "\x1b[2J"
    name = "[humerus](http://x) <b>\x1b[31m \u202e`"
    structures = StructureList(tuple(replace(item, name=name) for item in folder.record().structures))
    folder.edit(
        {"action": "rename", "old": "a\x00", "new": name}, structures=structures, documents={"history": history}
    )
    export_package(model, tmp_path / "a.iseg", license_text="<script>\x1b")
    record, _ = import_package(tmp_path / "a.iseg", tmp_path / "new")
    assert record.structures.names == ("[humerus](http://x) <b>_[31m `",)
    again = open_model(tmp_path / "new").document("history")["steps"][0]
    assert set(again["training"][0]["looked_for"].values()) == {"_[31mh"}
    page = members((tmp_path / "a.iseg").read_bytes())["card.md"].decode()
    assert r"\[humerus\]\(http://x\) \<b\>\_\[31m \`" in page
    assert r"\<script\>\_" in page
    assert not {"\x1b", "\u202e"} & set(page)


def test_a_version_with_a_document_that_no_package_holds_is_said(model, tmp_path):
    folder = open_model(model)
    history = folder.document("history")
    history["steps"] *= 2000
    folder.edit({"action": "x"}, documents={"history": history})
    with pytest.raises(ModelError, match=r"its history.json has \d+ bytes. A package holds .* 1000000 bytes"):
        export_package(model, tmp_path / "a.iseg")


def test_terms_of_use_stay_with_the_model(taught, tmp_path):
    export_package(taught, tmp_path / "a.iseg", license_text="Only\nfor research.")
    import_package(tmp_path / "a.iseg", tmp_path / "new")
    assert export_package(tmp_path / "new", tmp_path / "b.iseg")["license"] == "Only\nfor research."


def test_the_same_version_gives_the_same_bytes(taught, package, tmp_path):
    again = export_package(taught, tmp_path / "again.iseg", number=1)
    assert Path(again["path"]).read_bytes() == package.read_bytes()


def test_other_tools_can_read_it(package):
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None
        assert archive.namelist()[-1] == "manifest.json"


def test_nothing_is_written_over(taught, package, model, tmp_path):
    before = package.read_bytes()
    with pytest.raises(ModelError, match="already there"):
        export_package(taught, package)
    assert package.read_bytes() == before
    before = tree(model)
    with pytest.raises(ModelError, match="holds a model already"):
        import_package(package, model)
    assert tree(model) == before


def test_an_import_that_was_killed_before_its_last_write_is_finished(package, tmp_path):
    import_package(package, tmp_path / "new")
    state = tmp_path / "new" / "model.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | {"current": 0, "accepted": []}))
    assert import_package(package, tmp_path / "new")[0].number == 1
    assert open_model(tmp_path / "new").current == 1


def test_each_hostile_package_is_refused_with_its_reason(full, tmp_path):
    hostile = list(corpus(full.read_bytes()))
    assert len(hostile) >= 40
    wrong = {}
    for item in hostile:
        (tmp_path / "bad.iseg").write_bytes(item.data)
        try:
            import_package(tmp_path / "bad.iseg", tmp_path / "new")
            wrong[item.name] = "was taken"
        except IncrementalSegError as error:
            if item.reason not in str(error) or "\n" in str(error):
                wrong[item.name] = str(error)
        assert [path.name for path in tmp_path.iterdir()] == ["bad.iseg"], item.name
    assert wrong == {}


def test_the_sound_package_of_the_corpus_is_taken(full, tmp_path):
    (tmp_path / "good.iseg").write_bytes(sealed(members(full.read_bytes())))
    import_package(tmp_path / "good.iseg", tmp_path / "new")


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_what_is_no_file_is_said(what, tmp_path):
    path = tmp_path / "missing.iseg" if what == "missing" else tmp_path
    with pytest.raises(ModelError, match="There is no file" if what == "missing" else "is not a file"):
        import_package(path, tmp_path / "new")


@given(flips=st.lists(st.tuples(st.integers(0, 2**32), st.integers(1, 255)), min_size=1, max_size=4), data=st.data())
def test_flipped_bytes_are_refused_and_leave_nothing(full, tmp_path_factory, flips, data):
    folder = tmp_path_factory.mktemp("fuzz")
    content = bytearray(full.read_bytes())
    for place, value in flips:
        content[place % len(content)] ^= value
    if data.draw(st.booleans()):  # what the manifest protects too
        content = bytearray(_resealed(bytes(content)) or content)
    (folder / "bad.iseg").write_bytes(content)
    try:
        import_package(folder / "bad.iseg", folder / "new")
    except IncrementalSegError:
        assert [path.name for path in folder.iterdir()] == ["bad.iseg"]
    else:
        open_model(folder / "new").verify()
        shutil.rmtree(folder / "new")


@given(data=st.data())
def test_other_values_in_documents_are_refused_or_harmless(full, tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("values")
    content = members(full.read_bytes())
    name = data.draw(st.sampled_from([name for name in sorted(content) if name.endswith(".json")]))
    document = json.loads(content[name])
    place = data.draw(st.sampled_from(list(_places(document)) or [""]))
    value = data.draw(st.sampled_from([None, True, 0, -1, 10**15, 0.5, 1e300, "", "x", "a" * 32, [], ["x"], {}, [[1]]]))
    content[name] = changed(content[name], place, value) if place else b"{}"
    (folder / "bad.iseg").write_bytes(sealed(content))
    try:
        import_package(folder / "bad.iseg", folder / "new")
    except IncrementalSegError:
        assert [path.name for path in folder.iterdir()] == ["bad.iseg"]
    else:
        overview(folder / "new")
        ledger(folder / "new")
        export_package(folder / "new", folder / "again", include_exemplars=True)


def _places(item: Any, way: str = "") -> Iterator[str]:
    parts = item.items() if isinstance(item, dict) else enumerate(item) if isinstance(item, list) else ()
    for key, part in parts:
        yield f"{way}{key}"
        yield from _places(part, f"{way}{key}.")


def _resealed(content: bytes) -> bytes | None:
    """Give damaged members a right manifest, so that what is behind it is asked too."""
    sound = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for info in archive.infolist():
                begin = info.header_offset + 30 + len(info.filename)
                sound[info.filename] = content[begin : begin + info.file_size]
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return None
    sound.pop("manifest.json", None)
    return sealed(sound)
