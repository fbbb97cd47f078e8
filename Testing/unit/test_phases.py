"""Phases have keys for the wire and words for people."""

import pytest

from IncrementalSegLib.progress import Phase, phrase, split


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
