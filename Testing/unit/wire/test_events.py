import itertools
import math
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from IncrementalSegLib.errors import ModelError, WireError
from IncrementalSegLib.wire import events, lines, requests

TEXT = st.text()
NUMBER = st.floats() | st.integers(-(2**60), 2**60)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner)
)
VALUES = {
    "str": TEXT,
    "str | None": st.none() | TEXT,
    "int": st.integers(),
    "bool": st.booleans(),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "float | None": st.none() | NUMBER,
    "dict[str, float | None]": st.dictionaries(TEXT, NUMBER | st.none()),
    "Json": st.dictionaries(TEXT, JSON),
    "list[Any]": st.lists(JSON),
}
KINDS = list(events._KINDS.values())
EVENTS = st.one_of(
    *(st.builds(kind, **{item.name: VALUES[item.type] for item in fields(kind)}) for kind in KINDS)
)  # fmt: skip


def finite(value):
    """Return what the wire makes of a value."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return [finite(item) for item in value] if isinstance(value, list) else value


@given(EVENTS)
def test_an_event_survives_the_wire_as_one_line_of_ascii(event):
    line = events.encode(event)
    assert line.isascii()
    assert "\n" not in line
    found = events.decode(line)
    assert type(found) is type(event)
    assert vars(found) == {name: finite(value) for name, value in vars(event).items()}


@given(st.text(), st.text(), st.dictionaries(TEXT, JSON))
def test_a_request_survives_the_wire(name, verb, arguments):
    line = requests.encode(requests.Request(name, verb, arguments))
    assert line.isascii()
    assert requests.decode(line) == requests.Request(name, verb, finite(arguments))


@given(st.lists(EVENTS, max_size=5), st.lists(st.integers(0, 3000), max_size=8))
def test_lines_split_anywhere_are_joined(sent, cuts):
    data = b"".join(f"{events.encode(event)}\r\n".encode() for event in sent)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    buffer = lines.LineBuffer()
    found = [line for start, end in itertools.pairwise(places) for line in buffer.feed(data[start:end])]
    assert found == [events.encode(event) for event in sent]


@given(st.text() | JSON.map(lambda value: lines.dump({"event": "progress", "job": value})))
def test_any_line_is_an_event_or_a_clear_refusal(line):
    for decode in (events.decode, requests.decode):
        with suppress(WireError):
            decode(line)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("loading weights...", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("1" * 10_000, "not"),
        ("[1]", "not a JSON object"),
        ("{}", "names no event"),
        ('{"event": "progress", "job": "1", "phase": "x"}', "lacks 'fraction'"),
        ('{"event": "progress", "job": "1", "phase": "x", "fraction": "half"}', "'half', not float"),
        ('{"event": "progress", "job": "1", "phase": "x", "fraction": true}', "True, not float"),
        ('{"event": "progress", "job": 1, "phase": "x", "fraction": 0}', "1, not str"),
        ('{"event": "cancelled", "job": "1", "kept": 1}', "1, not bool"),
    ],
)
def test_a_malformed_line_is_refused_with_its_reason(line, said):
    with pytest.raises(WireError, match=said):
        events.decode(line)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x", "not JSON"),
        ('{"verb": "ping"}', "'id'"),
        ('{"id": "1", "verb": "a", "arguments": []}', "'arguments'"),
        ('{"id": "1", "verb": "a", "expected": 3}', "'expected'"),
        ('{"id": "1", "verb": "a", "expected": {"learning": "long"}}', "'learning' of what is expected is 'long'"),
    ],
)
def test_a_malformed_request_is_refused_with_its_reason(line, said):
    with pytest.raises(WireError, match=said):
        requests.decode(line)


def test_a_newer_worker_is_understood():
    assert events.decode('{"event": "cancelling", "job": "1", "since": 3}') == events.Cancelling("1")
    line = '{"event":"aurora","job":"1"}'
    assert events.decode(line) == events.Unknown("aurora", {"event": "aurora", "job": "1"})
    assert events.encode(events.decode(line)) == line


def test_what_json_does_not_know_becomes_text():
    assert lines.dump({"path": Path("a/b"), 1: {None: (1, math.inf)}}) == '{"path":"a/b","1":{"None":[1,null]}}'


def test_a_line_that_is_too_long_is_refused_while_it_is_read(monkeypatch):
    monkeypatch.setattr(lines, "LONGEST", 100)
    buffer = lines.LineBuffer()
    assert buffer.feed(b"x" * 60) == []
    (beginning,) = buffer.feed(b"y" * 60)
    assert beginning == "x" * 60 + "y" * 20
    with pytest.raises(WireError, match=r"begins with 'xxx.*has more than 100 bytes"):
        requests.decode(beginning)
    for _ in range(100):
        assert buffer.feed(b"z" * 1000) == []
        assert len(buffer._rest) == 0
    assert buffer.feed(b'z\n{"a":1}\n') == ['{"a":1}']
    assert buffer.feed(b"x" * 101 + b'\n{"a":2}\n')[1:] == ['{"a":2}']
    assert buffer.feed(b"x" * 100 + b"\n") == ["x" * 100]


@pytest.mark.parametrize("value", ["x" * 10**6, ["x" * 10**6] * 9, {"x": list(range(10**6))}])
def test_a_message_about_a_value_stays_short(value):
    for line in (lines.dump({"event": "cancelling", "job": value}), lines.dump({"id": "1", "verb": 1, "x": value})):
        for decode in (events.decode, requests.decode):
            try:
                decode(line)
            except WireError as error:
                assert len(str(error)) < 400  # noqa: PT017  (some are fine)


def test_a_failure_has_the_parts_and_the_name_of_its_error():
    event = events.Failed.of("4", ModelError("What.", "Why.", "Next."), "Traceback")
    assert event == events.Failed("4", "What.", "Why.", "Next.", "Traceback", "ModelError")
