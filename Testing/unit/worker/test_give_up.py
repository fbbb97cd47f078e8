"""A step that was paused, or left behind by a worker that was ended by force, can be given up."""

from pathlib import Path

from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.worker.handlers import give_up


def test_an_unfinished_step_is_forgotten_and_said_twice_is_no_mistake(tmp_path: Path) -> None:
    Unfinished(tmp_path / "model").write({"id": "1"}, {}, {})
    assert give_up(tmp_path / "model") == {"model": "model", "removed": True}
    assert not Unfinished(tmp_path / "model").exists
    assert give_up(tmp_path / "model") == {"model": "model", "removed": False}
