"""docs/wire.md says what the code does."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from IncrementalSegLib.wire import client, events, requests
from IncrementalSegLib.worker import server, verbs

TEXT = (Path(__file__).parents[3] / "docs" / "wire.md").read_text("utf-8")
WORD = r"`(\w+)`"


@pytest.mark.parametrize("line", re.findall(r"^    ← (.*)$", TEXT, re.MULTILINE))
def test_an_event_of_the_example_is_one(line):
    event = events.decode(line)
    assert not isinstance(event, events.Unknown)
    assert events.encode(event) == line


@pytest.mark.parametrize("line", re.findall(r"^    → (.*)$", TEXT, re.MULTILINE))
def test_a_request_of_the_example_is_one(line):
    request = requests.decode(line)
    assert requests.encode(request) == line
    if request.verb != requests.CANCEL:
        assert set(verbs.bind(request.verb, request.arguments)) == set(request.arguments)


def test_every_event_is_listed_with_its_keys():
    cells = [line.split("|") for line in rows("Events")]
    listed = {re.findall(WORD, cell[1])[0]: re.findall(WORD, cell[2]) for cell in cells}
    assert listed == {name: [item.name for item in fields(kind)] for name, kind in events._KINDS.items()}


def test_every_request_is_listed():
    listed = {name for line in rows("Requests") for name in re.findall(WORD, line.split("|")[1])}
    assert listed == set(verbs.VERBS)


def test_the_figures_are_those_of_the_code():
    assert f"is silent for {client.DEAD_AFTER:.0f} s" in TEXT
    assert f"{client.KILL_AFTER:.0f} s after `pause`" in TEXT
    assert f"has {server.GRACE:.0f} s to write" in TEXT
    assert server.PATIENCE * server.BEAT == 600


def rows(section):
    """Return the rows of the table of a section, without its head."""
    return re.findall(r"^\| `.*$", TEXT.partition(f"## {section}\n")[2].partition("\n## ")[0], re.MULTILINE)
