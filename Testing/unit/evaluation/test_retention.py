"""The rules of the gate, as tables worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from IncrementalSegLib.errors import OptionError
from IncrementalSegLib.evaluation.limits import Limits
from IncrementalSegLib.evaluation.metrics import CaseScore
from IncrementalSegLib.evaluation.retention import RetentionReport, StructureRow
from IncrementalSegLib.evaluation.verdicts import Witnesses

LIMITS = Limits()


def rng():
    return np.random.default_rng(0)


def side(values, voxels=9, assd=1.0):
    return [CaseScore(f"c{number}", f"p{number}", dice, assd, 2.0, voxels, 9) for number, dice in enumerate(values)]


def row(drops, name="liver", limits=LIMITS, **more):
    """Return the row of a structure that had Dice 0.80 and lost ``drops`` points, scan by scan."""
    return StructureRow.of(
        name,
        name[0] * 32,
        side([0.80] * len(drops)),
        side([0.80 - drop / 100 for drop in drops]),
        limits,
        rng(),
        **more,
    )


def report(*rows):
    return RetentionReport.of(rows, LIMITS, rng())


@pytest.mark.parametrize(
    ("drops", "verdict"),
    [
        ([3.0], "unsure"),  # exactly 3 is not more than 3
        ([3.01], "harmed"),  # one scan: the drop alone decides
        ([2.0, 4.1], "harmed"),
        ([0.99], "kept"),
        ([1.0], "unsure"),
        ([-0.5, 2.5], "unsure"),
        ([-3.0], "kept"),
        ([-3.01], "improved"),
        ([4, 4, 4, 4], "harmed"),
        ([20, 0, 0, -3], "harmed"),  # four scans: 4.25 points decide, whatever their spread
        ([20, 0, 0, -3, 4], "unsure"),  # five: 4.2 points, but the interval includes 0
        ([3.1, 3.2, 3.3, 3.4, 3.5], "harmed"),
        ([3.0, 3.0, 3.0, 3.0, 3.0], "kept"),  # surely lower, by no more than the limit
        ([2.0, 2.1, 2.2, 2.3, 2.4], "kept"),  # with five scans 1 to 3 points are no longer unsure
        ([-4, -5, -6, -7, -8], "improved"),
        ([-30, 1, 1, 1, 1], "kept"),  # a gain of 5.2 points that the scans do not show surely
    ],
)
def test_the_verdict_on_a_structure(drops, verdict):
    found = row(drops)
    assert found.verdict == verdict
    assert found.drop == pytest.approx(np.mean(drops))
    assert (found.interval is None) == (len(drops) < 5)


KEPT, LOST = Witnesses(6.0, 12.0), Witnesses(6.1, 12.1)


class TestFewScans:
    """One patient of two to four may decide their mean, so the exemplars and the agreement are asked."""

    @pytest.mark.parametrize(
        ("drops", "witnesses", "verdict"),
        [
            ([7.5, 0.3], Witnesses(0.4, 6.0), "unsure"),  # 15 other patients lost 0.4
            ([7.5, 0.3], Witnesses(), "harmed"),  # nobody to ask
            ([7.5, 0.3], Witnesses(9.0, 30.0), "harmed"),
            ([7.5, 0.3], KEPT, "unsure"),  # both at their limits
            ([7.5, 0.3], Witnesses(6.1, 12.0), "harmed"),
            ([7.5, 0.3], Witnesses(6.0, 12.1), "harmed"),
            ([7.5, 0.3], Witnesses(None, 3.0), "unsure"),  # without exemplars the versions must hardly differ
            ([7.5, 0.3], Witnesses(None, 3.1), "harmed"),
            ([7.5, 0.3], Witnesses(1.0, None), "unsure"),
            ([7.5, 0.3], Witnesses(1.1, None), "harmed"),
            ([3.1, 3.2], Witnesses(0.0, 0.0), "harmed"),  # each lost more than the limit
            ([3.1, 3.2, 3.3, 3.4], Witnesses(0.0, 0.0), "harmed"),
            ([3.0, 3.2], Witnesses(0.0, 0.0), "unsure"),
            ([12.5, 0, 0, 0.1], KEPT, "unsure"),
            ([20.0, 0, 0], KEPT, "unsure"),
            ([20.1, 0, 0], Witnesses(0.0, 0.0), "harmed"),  # outright lost in one patient
            ([7.5], KEPT, "unsure"),  # a single scan is the fewest of all
            ([7.5], Witnesses(6.1, 12.0), "harmed"),
            ([7.5], Witnesses(), "harmed"),
            ([20.1], Witnesses(0.0, 0.0), "harmed"),
            ([2.0, 2.0], LOST, "harmed"),
            ([1.0], LOST, "harmed"),
            ([2.0, 2.0], Witnesses(6.1, 12.0), "unsure"),
            ([2.0, 2.0], Witnesses(6.0, 99.0), "unsure"),
            ([2.0, 2.0], Witnesses(99.0, None), "unsure"),
            ([2.0, 2.0], KEPT, "unsure"),
            ([0.9, 0.9], LOST, "kept"),  # nothing to doubt
            ([7.5, 0.3, 0, 0, 0], LOST, "kept"),  # five scans speak for themselves
            ([7.5, 3.3, 4, 3.5, 6], KEPT, "harmed"),
        ],
    )
    def test_the_verdict(self, drops, witnesses, verdict):
        found = row(drops, witnesses=lambda: witnesses)
        assert found.verdict == verdict, found.why
        if len(drops) < 5:
            assert report(found).held_back_by == (("liver",) if verdict == "harmed" else ())

    def test_how_many_lost_is_said(self):
        one = row([7.5, 0.3], witnesses=lambda: Witnesses(0.4, 6.0))
        assert one.why == (
            "lost 3.9 points over 2 scans: one of two scans lost 7.5 points, but its exemplars lost 0.4 points and "
            "the outlines of both versions agree at Dice 0.94 on other scans"
        )
        assert "one of two scans lost 7.5 points" in report(row([7.5, 0.3])).sentence
        assert "three of four scans lost up to 9.0 points" in row([9, 2, 4, 0.5]).why
        assert "scans lost" not in row([2.0]).why
        assert ": " not in row([0.5, 0.2]).why

    @pytest.mark.parametrize(("witnesses", "gone"), [(Witnesses(), True), (Witnesses(None, 2.0), True), (LOST, False)])
    def test_missing_exemplars_are_said(self, witnesses, gone):
        found = row([7.5, 0.3], witnesses=lambda: witnesses)
        assert ("no exemplars of it are kept as evidence" in found.why) == gone

    def test_exemplars_that_judge_are_not_said_to_be_missing(self):
        why = row([1.5, 0.9], basis="exemplars").why
        assert why == "lost 1.2 points over 2 scans: one of two scans lost 1.5 points, too few to be sure"

    def test_witnesses_are_asked_only_in_doubt(self):
        def never():
            raise AssertionError

        for drops in ([0.9, 0.9], [3.1, 3.2], [20.1, 0], [-9, 0], [5, 0, 0, 0, 0]):
            row(drops, witnesses=never)
        row([7.5, 0.3], basis="exemplars", witnesses=never)

    def test_they_stay_in_the_report(self):
        found = report(row([7.5, 0.3], witnesses=lambda: KEPT))
        assert RetentionReport.from_json(json.loads(json.dumps(found.to_json()))) == found
        older = found.to_json()
        del older["structures"][0]["witnesses"]
        assert RetentionReport.from_json(older).rows[0].witnesses == Witnesses()


def test_the_interval_is_that_of_the_drop():
    low, high = row([3, 4, 5, 6, 7, 8]).interval
    assert 3 < low < 5.5 < high < 8


@pytest.mark.parametrize(
    ("rows", "held"),
    [
        ([], ()),
        ([row([0.5])], ()),
        ([row([3.5]), row([0], "spleen")], ("liver",)),
        ([row([1.5] * 5)], ("liver",)),  # one structure: its mean is the mean
        ([row([1.0] * 5), row([1.0] * 5, "spleen")], ()),  # exactly 1 is not more than 1
        ([row([1.4, 1.5, 1.6, 1.4, 1.6]), row([1.2, 1.3, 1.2, 1.3, 1.2], "spleen")], ("liver", "spleen")),
        ([row([2.6] * 5), row([0.3] * 5, "hip"), row([2.6] * 5, "spleen")], ("liver", "spleen")),  # those that carry it
        ([row([2.5] * 4), row([2.5] * 4, "spleen")], ()),  # four scans give no interval
        ([row([2.9] * 5), row([-0.5] * 5, "spleen")], ()),  # 1.2 on average, by one structure alone
        ([row([1.5] * 5), row([3.5], "spleen")], ("spleen",)),  # the harmed alone, whatever the mean
        ([row([0.2] * 5), row([3.5], "spleen", basis="exemplars")], ("spleen",)),
        ([row([2.5] * 5, basis="exemplars")], ()),  # a proxy does not count for the mean
    ],
)
def test_what_is_held_back(rows, held):
    found = report(*rows)
    assert found.held_back_by == held
    kept = ("No older", "Not held back") if rows else "There is no"
    assert found.sentence.startswith("Held back" if held else kept)
    assert replace(found, used=True).sentence.startswith("Would be held back" if held else kept)


def test_the_mean_is_over_structures_not_over_scans():
    found = report(row([2.0] * 9), row([0.0], "spleen"))
    assert found.mean.points == pytest.approx(-1.0)


def test_rows_are_sorted_by_harm():
    rows = row([0], "d"), row([-5] * 5, "e"), row([3.5], "b"), row([40], "a"), row([2], "c")
    assert [item.structure for item in report(*rows).rows] == ["a", "b", "c", "d", "e"]


class TestUndefinedDice:
    def test_a_scan_without_the_structure_is_left_out_and_said(self):
        absent = CaseScore("c1", "p1", None, None, None, 0, 0)
        found = StructureRow.of("liver", "l", [*side([0.8]), absent], [*side([0.8]), absent], LIMITS, rng())
        assert (found.verdict, found.change.cases) == ("kept", 1)
        assert "not in 1 scan" in found.why

    def test_a_false_finding_is_said(self):
        old, new = CaseScore("c1", "p1", None, None, None, 0, 0), CaseScore("c1", "p1", 0.0, None, None, 0, 70)
        found = StructureRow.of("liver", "l", [*side([0.8]), old], [*side([0.8]), new], LIMITS, rng())
        assert found.verdict == "unsure", "Dice alone would call it kept"
        assert "now shows it" in found.why

    def test_a_scan_without_it_in_which_both_find_it_does_not_dilute_the_drop(self):
        both = CaseScore("c1", "p1", 0.0, None, None, 0, 70)
        found = StructureRow.of("liver", "l", [*side([0.8]), both], [*side([0.76]), both], LIMITS, rng())
        assert (found.verdict, found.change.cases) == ("harmed", 1)
        assert found.drop == pytest.approx(4.0)
        assert report(found).mean.points == pytest.approx(-4.0)

    @pytest.mark.parametrize(("voxels", "verdict"), [(0, "kept"), (70, "unsure")])
    def test_a_proxy_is_not_enough_where_it_is_newly_found_in_a_scan_without_it(self, voxels, verdict):
        dice = 0.0 if voxels else None
        absent = [(CaseScore("c1", "p1", None, None, None, 0, 0), CaseScore("c1", "p1", dice, None, None, 0, voxels))]
        assert row([0.0], basis="exemplars", absent=absent).verdict == verdict
        assert row([9.0], basis="exemplars", absent=absent).verdict == "harmed"

    def test_nothing_defined_is_unsure(self):
        absent = [CaseScore("c1", "p1", None, None, None, 0, 0)]
        found = StructureRow.of("liver", "l", absent, absent, LIMITS, rng())
        assert (found.verdict, found.drop, found.interval) == ("unsure", None, None)
        assert found.why == "has no Dice in 1 scan"

    def test_a_missed_structure_is_harm(self):
        found = StructureRow.of("liver", "l", side([0.8]), side([0.0], assd=None), LIMITS, rng())
        assert (found.verdict, found.assd_change_mm) == ("harmed", None)

    def test_no_scan_at_all_is_unsure_and_holds_nothing_back(self):
        nothing = StructureRow.of("liver", "l", [], [], LIMITS, rng(), basis="nothing", note="no scan")
        found = report(nothing)
        assert (nothing.verdict, nothing.kind, found.mean, found.held_back_by) == ("unsure", "proxy", None, ())
        assert found.sentence == "Not held back, but undecided: liver was not judged, for lack of scans."


@pytest.mark.parametrize(
    ("differ", "verdict"), [(3.0, "kept"), (3.1, "unsure"), (50.0, "unsure"), (50.1, "harmed"), (0.0, "kept")]
)
def test_agreement_is_no_drop(differ, verdict):
    old, new = side([1.0]), side([1 - differ / 100])
    found = StructureRow.of("liver", "l", old, new, LIMITS, rng(), basis="agreement")
    assert (found.verdict, found.drop) == (verdict, None)


def test_limits_are_options():
    assert row([4.0], limits=Limits(harm=5)).verdict == "unsure"
    assert row([4.0], limits=Limits(harm=5, unsure=4.5)).verdict == "kept"
    assert RetentionReport.of([row([2.0] * 5)], Limits(mean=2), rng()).held_back_by == ()


@pytest.mark.parametrize("wrong", [{"harm": -1}, {"mean": 101}, {"harm": float("nan")}, {"harm": 0.5, "unsure": 0.6}])
def test_impossible_limits_are_refused(wrong):
    with pytest.raises(OptionError, match="limit"):
        Limits(**wrong)


def test_the_limit_of_doubt_never_lies_above_that_of_harm():
    assert Limits().unsure == 1
    assert Limits(harm=0.5).unsure == 0.5


def test_json_there_and_back():
    nothing = StructureRow.of("knee", "k", [], [], LIMITS, rng(), basis="nothing", note="no scan")
    found = report(
        row([3.5, 2.9]), row([0.1] * 6, "spleen"), row([9], "hip", basis="exemplars", note="taught"), nothing
    )
    text = json.dumps(found.to_json(), allow_nan=False)
    assert RetentionReport.from_json(json.loads(text)) == found
    assert json.loads(text)["structures"][0]["kind"] == "proxy"
    assert json.loads(text)["mean_drop"] == pytest.approx((3.2 + 0.1) / 2)


def test_a_guarantee_is_neither_scored_nor_a_proxy():
    sure = StructureRow.guaranteed("knee", "k", "f" * 64)
    assert (sure.kind, sure.verdict, sure.drop, sure.unlearned) == ("guaranteed", "guaranteed", None, False)
    assert report(sure).sentence == "Guaranteed: no weight has changed that knee depends on."
    assert report(sure, sure).sentence == "Guaranteed: no weight has changed that knee and knee depend on."
    found = report(sure, row([0.1] * 6), row([0.1], "hip", basis="exemplars"))
    assert [item.structure for item in found.rows] == ["liver", "hip", "knee"]
    assert found.mean.points == pytest.approx(-0.1)
    assert found.sentence == "No older structure was harmed (1 of 3 guaranteed, 1 of 3 by proxy)."
    assert report(sure, row([9.0])).held_back_by == ("liver",)
    assert RetentionReport.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize("basis", ["scans", "exemplars"])
def test_what_was_never_learned_is_said_so(basis):
    found = StructureRow.of("liver", "l", side([0.0, 0.04]), side([0.0, 0.0]), LIMITS, rng(), basis=basis)
    assert (found.unlearned, found.verdict) == (True, "unsure")
    assert found.why.startswith("was never learned (Dice 0.02 before and 0.00 after): ")
    for old, new in (([0.5, 0.0], [0.0, 0.0]), ([0.0, 0.0], [0.5, 0.5]), ([0.09, 0.09], [0.0, 0.0])):
        found = StructureRow.of("liver", "l", side(old), side(new), LIMITS, rng(), basis=basis)
        assert not found.unlearned
        assert "learned" not in found.why
    assert not StructureRow.of("liver", "l", side([1.0]), side([0.01]), LIMITS, rng(), basis="agreement").unlearned
