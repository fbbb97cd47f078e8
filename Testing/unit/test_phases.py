"""Phases have keys for the wire and words for people."""

import pytest

from IncrementalSegLib.progress import Phase, Share, duration, phrase, split


@pytest.mark.parametrize("phase", Phase)
def test_every_phase_has_words(phase):
    assert phrase(phase)[0].isupper()
    assert split(phase) == (phase, "")
    assert str(phase) == phase.value


def test_a_phase_may_be_about_one_thing():
    phase = Phase.SEGMENTING.of("scan: 3")
    assert split(phase) == ("segmenting", "scan: 3")
    assert phrase(phase) == "Segmenting scan: 3"


def test_a_text_of_a_developers_tool_stays_as_it_is():
    assert (split("lwf: training"), phrase("lwf: training")) == (("lwf: training", ""), "lwf: training")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (45, "45 s"), (89, "89 s"), (90, "2 min"), (720, "12 min"), (5400, "1.5 h"), (12_600, "3.5 h"),
     (172_799, "48.0 h"), (172_800, "2 days"), (777_600, "9 days")],
)  # fmt: skip
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_a_part_of_a_share_fills_its_place_in_the_whole():
    told = []
    whole = Share(told.append)
    for part in (whole.sub(0.0, 0.5), whole.sub(0.5, 1.0).sub(0.5, 1.0)):
        part(0.0)
        part(1.0)
    assert told == [0.0, 0.5, 0.75, 1.0]


def test_a_share_is_that_of_its_phase():
    told = []
    Share.of(lambda phase, fraction, numbers=None: told.append((phase, fraction)), Phase.SAVING)(0.5)
    assert told == [("saving", 0.5)]
