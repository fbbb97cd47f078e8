"""Documents of another format are refused; any JSON is read or refused with a sentence."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from IncrementalSegLib.errors import ModelError
from IncrementalSegLib.store.format import FORMAT, require_format
from IncrementalSegLib.store.manifest import Manifest
from IncrementalSegLib.store.state import ModelState

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(SCALARS, lambda items: st.lists(items) | st.dictionaries(st.text(), items), max_leaves=8)
KEYS = st.sampled_from(["format", "files", "name", "id", "created", "current", "accepted", "rejected"])


@given(st.dictionaries(KEYS, JSON), st.integers(0, FORMAT + 1))
def test_any_json_is_read_or_refused_with_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, document: dict, number: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for name, read in (("model.json", ModelState.read), ("manifest.json", Manifest.read)):
        (folder / name).write_text(json.dumps(document | {"format": number}), "utf-8")
        with suppress(ModelError):
            read(folder)


@pytest.mark.parametrize("number", [None, True, "1", 0, -1, 1.0])
def test_a_format_that_is_none_is_refused(number: object) -> None:
    with pytest.raises(ModelError, match="format number is"):
        require_format({"format": number}, Path("model.json"))


def test_a_newer_format_is_refused_with_its_reason() -> None:
    with pytest.raises(ModelError, match=rf"has format {FORMAT + 1}.*reads format {FORMAT}.*Update"):
        require_format({"format": FORMAT + 1}, Path("model.json"))


@pytest.mark.parametrize("rejected", [None, [None], [True], {"1": 2}])
def test_a_damaged_list_of_the_rejected_is_named(tmp_path: Path, rejected: object) -> None:
    ModelState.create("x").write(tmp_path)
    document = json.loads((tmp_path / "model.json").read_text("utf-8"))
    (tmp_path / "model.json").write_text(json.dumps(document | {"rejected": rejected}), "utf-8")
    with pytest.raises(ModelError, match="'rejected'"):
        ModelState.read(tmp_path)
