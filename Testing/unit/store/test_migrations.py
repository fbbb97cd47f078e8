"""Documents of format 1 read as they always did; newer ones are refused."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.store.manifest import FileEntry, Manifest
from IncrementalSegLib.store.migrations import FORMAT, migrated
from IncrementalSegLib.store.state import ModelState

NUMBERS = st.lists(st.integers(1, 9999), unique=True).map(sorted)
STATES = st.fixed_dictionaries(
    {
        "name": st.text(),
        "id": st.text("0123456789abcdef", min_size=32, max_size=32),
        "created": st.datetimes().map(str),
        "current": st.integers(0, 9999),
        "accepted": NUMBERS,
    }
)
SHA256 = st.text("0123456789abcdef", min_size=64, max_size=64)
ENTRIES = st.builds(FileEntry, SHA256, st.integers(0, 2**60), st.sampled_from([None, "weights_0.safetensors"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda items: st.lists(items) | st.dictionaries(st.text(), items), max_leaves=8)
KEYS = st.sampled_from(["format", "files", "name", "id", "created", "current", "accepted", "rejected"])
FILES = st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]*\.(json|safetensors)", fullmatch=True), ENTRIES, min_size=1)


@given(STATES)
def test_a_state_of_format_1_loses_nothing(tmp_path_factory: pytest.TempPathFactory, old: dict) -> None:
    folder = tmp_path_factory.mktemp("model")
    (folder / "model.json").write_text(json.dumps({"format": 1, **old}), "utf-8")
    state = ModelState.read(folder)
    known = {name: tuple(value) if name == "accepted" else value for name, value in old.items()}
    assert state == ModelState(**known, rejected=())
    state.write(folder)
    assert ModelState.read(folder) == state
    assert json.loads((folder / "model.json").read_text("utf-8"))["format"] == FORMAT


@given(FILES, st.integers(1, FORMAT))
def test_a_manifest_of_any_format_reads_equal(tmp_path_factory: pytest.TempPathFactory, files, number: int) -> None:
    folder = tmp_path_factory.mktemp("version")
    (folder / "manifest.json").write_text(json.dumps(Manifest(files).to_json() | {"format": number}), "utf-8")
    assert Manifest.read(folder) == Manifest(files)


@given(st.dictionaries(KEYS, JSON), st.integers(0, FORMAT + 1))
def test_any_json_is_read_or_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, document: dict, number: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name, read in (("model.json", ModelState.read), ("manifest.json", Manifest.read)):
        (folder / name).write_text(json.dumps(document | {"format": number}), "utf-8")
        with suppress(ModelError):
            read(folder)


@given(STATES)
def test_migrating_twice_changes_nothing_and_leaves_the_old_one_alone(old: dict) -> None:
    document = {"format": 1, **old}
    copy = json.loads(json.dumps(document))
    new = migrated(document, Path("model.json"))
    assert document == copy
    assert migrated(new, Path("model.json")) == new


@pytest.mark.parametrize("number", [None, True, "1", 0, -1, 1.0])
def test_a_format_that_is_none_is_refused(number: object) -> None:
    with pytest.raises(ModelError, match="format number is"):
        migrated({"format": number}, Path("model.json"))


def test_a_newer_format_is_refused_with_its_reason() -> None:
    with pytest.raises(ModelError, match=rf"has format {FORMAT + 1}.*reads formats up to {FORMAT}.*Update"):
        migrated({"format": FORMAT + 1}, Path("model.json"))


@pytest.mark.parametrize("rejected", [None, [None], [True], {"1": 2}])
def test_a_damaged_list_of_the_rejected_is_named(tmp_path: Path, rejected: object) -> None:
    ModelState.create("x").write(tmp_path)
    document = json.loads((tmp_path / "model.json").read_text("utf-8"))
    (tmp_path / "model.json").write_text(json.dumps(document | {"rejected": rejected}), "utf-8")
    with pytest.raises(ModelError, match="'rejected'"):
        ModelState.read(tmp_path)
