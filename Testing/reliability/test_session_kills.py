"""A correction session killed again and again: it can always be resumed, and the model in use stays to the bit."""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from pathlib import Path

import pytest
from faults import Zygote, random_delays
from operations import MODEL
from tiny import tree

from IncrementalSegLib.engine.correct import corrections, keep_corrections
from IncrementalSegLib.store.correcting import ROUNDS_KEPT, Correcting
from IncrementalSegLib.store.lock import LOCK

log = logging.getLogger(__name__)

OUTLINE = "outlines"


def in_use(place: Path) -> dict[str, bytes]:
    """Return everything of a model but the session and the name of who writes it."""
    files = tree(place / MODEL)
    return {name: data for name, data in files.items() if not name.startswith("correcting/") and name != LOCK}


@pytest.mark.parametrize("count", [5, pytest.param(50, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
def test_a_session_killed_at_random_instants(count: int, zygote: Zygote, made: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(made, tmp_path / "place"))
    seconds = zygote.run("round", place)["seconds"]
    before, delays, found = in_use(place), random_delays(seconds, 0), Counter[str]()
    rounds = 1
    while found["killed"] < count:
        killed = zygote.run("round", place, kill_after=next(delays))["killed"]
        now = corrections(place / MODEL).rounds
        assert now == rounds + 1 or (killed and now == rounds)
        assert not killed or now == rounds or any((place / OUTLINE).iterdir()), "a saved round has its outline"
        assert in_use(place) == before
        found.update(killed=killed, finished=not killed, saved=killed and now > rounds, lost=killed and now == rounds)
        answer = zygote.run("round", place)  # the session is resumed
        assert answer["error"] is None
        rounds = corrections(place / MODEL).rounds
        assert rounds == now + 1
        assert len(Correcting(place / MODEL).rounds) <= ROUNDS_KEPT
    log.info("%s", dict(found))  # --log-cli-level=INFO shows it
    assert found["lost"] > 0
    keep_corrections(place / MODEL, device="cpu")
    after = in_use(place)
    assert all(after[name] == data for name, data in before.items() if name.startswith("versions/"))
