"""Durations as people say them."""

import pytest

from IncrementalSegLib.engine.progress import duration, part, silent


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (45, "45 s"), (89, "89 s"), (90, "2 min"), (720, "12 min"), (5400, "1.5 h"), (12_600, "3.5 h"),
     (172_799, "48.0 h"), (172_800, "2 days"), (777_600, "9 days")],
)  # fmt: skip
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_part_passes_the_fraction_on_under_one_name():
    seen = []
    part(lambda phase, fraction, numbers=None: seen.append((phase, fraction)), "Reading")(0.5, "Averaging")
    assert seen == [("Reading", 0.5)]
    assert silent("Reading", 0.5, {"dice": 0.9}) is None
