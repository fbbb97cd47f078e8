from __future__ import annotations

import json
import unicodedata

import pytest

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.names import LONGEST, checked, plain, tame, visible
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.structures import StructureSpec

HOSTILE = {
    "escape": "\x1b[31mliver\x1b[0m",
    "title": "\x1b]0;owned\x07liver",
    "c1": "liv\x9b31mer",
    "null": "liv\x00er",
    "delete": "liver\x7f",
    "right to left": "\u202erevil",
    "isolate": "\u2067liver\u2069",
    "mark": "liver\u200f",
    "zero width": "liv\u200ber",
    "joiner": "liv\u2060er",
    "byte order": "\ufeffliver",
    "tag": "liver\U000e0041",
    "line": "liver\nspleen",
    "return": "liver\rspleen",
    "paragraph": "liver\u2029spleen",
    "half": "liver\ud800",
    "filler": "liver\u3164",
    "variation": "liver\ufe0f",
    "long": "l" * 100_000,
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_name_of_data_is_kept_without_what_steers_or_hides(name):
    kept = tame(name)
    assert kept
    assert len(kept) <= LONGEST
    assert not {unicodedata.category(sign) for sign in kept} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert tame(kept) == kept
    kept.encode()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("liv\u200ber\u202e", "liver"),
        (" left\u00a0 kidney\t\n", "left kidney"),
        ("Le\u0301ber", "Léber"),
        ("肝臓 (右)", "肝臓 (右)"),
        ("כבד", "כבד"),
        ("\x1b[31mliver", "_[31mliver"),
    ],
)
def test_a_name_has_one_form(name, kept):
    assert tame(name) == kept
    assert Case("1", "1", (), frozenset({name})).looked_for == {kept}
    if "\x1b" not in name:
        assert StructureSpec(name, name).name == StructureSpec("x", name).label == kept


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("\x1b[31mliver", r"'\\x1b\[31mliver' cannot be the name of a structure: .* control character \\x1b"),
        ("liver\ud800", r"control character \\ud800"),
        ("l" * 256, "it has 256 characters"),
        ("", "it is empty"),
        (" \u200b ", "it is empty"),
    ],
)
def test_a_chosen_name_that_cannot_be_is_refused_with_its_fault(name, reason):
    with pytest.raises(OptionError, match=reason):
        checked(name)
    with pytest.raises(OptionError, match=reason):
        StructureSpec(name, "liver")


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_what_is_shown_steers_nothing_and_hides_nothing(name):
    shown = visible(name)
    assert not {unicodedata.category(sign) for sign in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert (shown == name) == (plain(name) == name and "\n" not in name)


def test_lines_stay_lines_where_they_are_meant():
    assert visible("one\ntwo\x1b", lines=True) == "one\ntwo\\x1b"
    assert plain("one\n\ttwo\x1b") == "one\n\ttwo_"


def test_a_case_is_called_by_names_that_can_be_shown():
    case = Case("\u202e1", "A\x1b", (), frozenset({"a\x07"}), None, {"a\x07": (1,), "b\u200b": (2,), "b": (3,)}, {})
    assert (case.id, case.patient, case.looked_for) == ("1", "A_", {"a_"})
    assert case.values == {"a_": (1,), "b": (2, 3)}
    json.dumps(case.id, ensure_ascii=False).encode()
