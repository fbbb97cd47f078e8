"""The ratios that were promised; run alone on a quiet machine: ``make test-slow``."""

import pytest

from Testing.benchmarks.speed import measure


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_ratios_stay_within_their_limits() -> None:
    ratios = measure(pairs=15)["ratios"]
    late = [row for row in ratios if row["limit"] is not None and row["quartiles"][0] > row["limit"]]  # not by chance
    assert not late, late
