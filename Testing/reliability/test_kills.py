"""Killed at every call that changes the disk, and at random instants: the model is as before or as after."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from faults import Fault, Zygote, lost_by_a_power_cut, random_delays
from operations import OPERATIONS, Standing, next_write_works, standing

from IncrementalSegLib.store.lock import LOCK

Places = Callable[[str], Path]
LONG = ("first candidate", "next candidate", "ban", "learn", "round", "correct", "import", "strip", "forget")
"""Many calls, or the same ones as in another operation."""


def allowed(before: Standing, after: Standing) -> list[Standing]:
    """Return what may be found after a death: a version appears first, then it becomes the current one."""
    new = dict.fromkeys(after.keys() - before.keys(), "candidate")
    return [before, {**before, **new}, after]


def before_and_after(operation: str, zygote: Zygote, places: Places) -> tuple[Standing, Standing, list[list[str]]]:
    """Return how the versions stand when nothing goes wrong, and the calls in between."""
    place = places(operation)
    before = standing(place)
    answer = zygote.run(operation, place)
    assert (answer["error"], answer["killed"]) == (None, False)
    return before, standing(place), answer["calls"]


@pytest.mark.parametrize("fault", ["kill", "tear"])
@pytest.mark.parametrize(
    "operation",
    [
        pytest.param(name, marks=[pytest.mark.slow, pytest.mark.timeout(3600)]) if name in LONG else name
        for name in OPERATIONS
    ],
)
def test_killed_at_every_call(operation: str, fault: Fault, zygote: Zygote, places: Places) -> None:
    before, after, calls = before_and_after(operation, zygote, places)
    found = []
    for call, (event, path, *_) in enumerate(calls):
        if fault == "tear" and (event != "open" or path.endswith(LOCK)):
            continue
        place = places(operation)
        assert zygote.run(operation, place, fault, call)["killed"]
        found.append(allowed(before, after).index(standing(place)))
        OPERATIONS[operation].again(place)
        next_write_works(place)
    assert found == sorted(found)  # from the old to the new, never back
    assert found
    place = places(operation)
    assert not zygote.run(operation, place, fault, len(calls))["killed"]  # these were all


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_power_cut_takes_nothing_that_others_point_to(operation: str, zygote: Zygote, places: Places) -> None:
    outline = "/outlines"  # a result of its own, no part of the model
    calls = [call for call in before_and_after(operation, zygote, places)[2] if outline not in call[1]]
    assert lost_by_a_power_cut(calls) == []
    for _, folder, *_ in (call for call in calls if call[0] == "os.rename"):
        opened = [path for event, path, *_ in calls if event == "open" and path.startswith(f"{folder}/")]
        assert not opened or opened[-1].endswith("manifest.json")


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_killed_at_random_instants(count: int, zygote: Zygote, places: Places) -> None:
    delays = dict[str, Iterator[float]]()
    outcomes = dict[str, list[Standing]]()
    killed = 0
    for operation in itertools.cycle(OPERATIONS):
        if killed == count:
            break
        if operation not in outcomes:
            place = places(operation)
            before = standing(place)
            seconds = zygote.run(operation, place)["seconds"]
            outcomes[operation] = allowed(before, standing(place))
            delays[operation] = random_delays(seconds, len(outcomes))
        place = places(operation)
        killed += zygote.run(operation, place, kill_after=next(delays[operation]))["killed"]  # or done before
        assert standing(place) in outcomes[operation]
        OPERATIONS[operation].again(place)
        next_write_works(place)
