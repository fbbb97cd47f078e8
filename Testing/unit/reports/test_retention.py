from __future__ import annotations

import numpy as np

from IncrementalSegLib.evaluation.limits import Limits
from IncrementalSegLib.evaluation.metrics import CaseScore
from IncrementalSegLib.evaluation.retention import RetentionReport, StructureRow
from IncrementalSegLib.evaluation.verdicts import Witnesses
from IncrementalSegLib.reports.page import render
from IncrementalSegLib.reports.retention import retention_page

LIMITS = Limits()


def row(drops, **more):
    before, after = (
        [CaseScore(f"c{number}", f"p{number}", dice, 1.0, 2.0, 9, 9) for number, dice in enumerate(values)]
        for values in ([0.8] * len(drops), [0.8 - drop / 100 for drop in drops])
    )
    return StructureRow.of("liver", "l" * 32, before, after, LIMITS, np.random.default_rng(0), **more)


def test_the_page_marks_proxies_and_says_the_verdict_of_the_gate():
    rows = row([2.5] * 5, basis="exemplars", note="by exemplars, because c3 is not where it was"), row([9])
    page = retention_page(RetentionReport.of(rows, LIMITS, np.random.default_rng(0)), {}, "title", "intro")
    ((table,),) = (section.items for section in page.sections)
    assert [change.state for change in table.changes] == ["harmed", "kept"]  # not "lower", by the rule of other reports
    assert table.changes[1].note == "proxy: by exemplars, because c3 is not where it was"
    assert page.verdict[0].startswith("Held back: liver")
    text = render(page)
    assert all(f"<b>{word}</b>" in text for word in ("harmed", "kept", "proxy", "Dice"))
    assert not any(f"<b>{word}</b>" in text for word in ("unsure", "improved", "lower", "not learned"))


def test_few_scans_that_leave_a_doubt_are_told_with_their_loss():
    rows = (row([4.2], witnesses=lambda: Witnesses(0.3, 5.0, "8 scans of this step")),)
    page = retention_page(RetentionReport.of(rows, LIMITS, np.random.default_rng(0)), {}, "title", "intro")
    (sentence,) = page.verdict
    assert sentence == (
        "Not held back, but undecided: liver lost 4.2 points over 1 scan, but its exemplars lost 0.3 points and the "
        "outlines of both versions agree at Dice 0.95 on 8 scans of this step."
    )
