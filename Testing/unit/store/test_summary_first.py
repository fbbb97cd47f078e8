"""The unfinished step of a model of which no version is in use yet."""

from pathlib import Path

from operations import tiny_version

from IncrementalSegLib.store.summary import read_unfinished
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.store.versions import create_or_open


def test_a_first_step_that_is_paused_can_be_found_again(tmp_path: Path) -> None:
    assert read_unfinished(tmp_path / "model") is None
    asked = {"id": "1", "parent": None, "structures": [{"name": "liver"}]}
    Unfinished(tmp_path / "model").write(asked, {"curve": {"steps": 1, "planned": 2}}, {})
    assert read_unfinished(tmp_path / "model") == {"structures": ["liver"], "fraction": 0.5}


def test_a_candidate_is_not_unfinished(tmp_path: Path) -> None:
    tiny_version(create_or_open(tmp_path / "model"), None, accepted=False)
    assert read_unfinished(tmp_path / "model") is None
