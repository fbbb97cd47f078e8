"""What the gate and the versions say, as rows and sentences."""

import pytest
from IncrementalSegPanel.documents.Lineage import Version, differences
from IncrementalSegPanel.documents.Retention import Retention, RetentionRow
from IncrementalSegPanel.Wording import signed
from retention_reports import AGREES, GUARANTEED, HARMED, IMPROVED, KEPT, PROXY, UNKNOWN, UNSURE, record, report, scored


@pytest.mark.parametrize(
    ("row", "verdict", "change", "worst"),
    [
        (KEPT, "kept", "0.0\n−0.6 to +0.6", "p01"),
        (HARMED, "harmed", None, "p04"),
        (UNSURE, "unsure", "−2.0", "p00"),
        (IMPROVED, "improved", "+10.5", "p00"),
        (PROXY, "kept (proxy)", "−0.5", "p01"),
    ],
)
def test_a_row_says_what_became_of_a_structure(row, verdict, change, worst):
    shown = RetentionRow.of(row.to_json())
    assert shown.verdict == verdict
    assert shown.worst[0] == worst
    if change is not None:
        assert shown.change == change
    assert shown.before == pytest.approx(sum(item.dice for item in row.before) / len(row.before))
    assert shown.points == pytest.approx((shown.after - shown.before) * 100)
    assert row.why in shown.reason


def test_agreement_is_no_change_and_nothing_is_nothing():
    agrees, unknown = RetentionRow.of(AGREES.to_json()), RetentionRow.of(UNKNOWN.to_json())
    assert (agrees.before, agrees.points, agrees.change, agrees.worst) == (None, None, "–", None)
    assert agrees.after == pytest.approx(0.985)
    assert agrees.verdict == "kept (proxy)"
    assert "none was held out" in agrees.reason
    assert (unknown.after, unknown.verdict) == (None, "not judged")


def test_a_guarantee_has_no_scores_and_is_no_proxy():
    shown = RetentionRow.of(GUARANTEED.to_json())
    assert (shown.verdict, shown.proxy, shown.dice, shown.change) == ("guaranteed", False, "–", "–")
    assert (
        shown.reason == "ulna: is guaranteed, because no weight has changed that it depends on (sha256 ffffffffffff)."
    )
    assert Retention.of(report(KEPT, GUARANTEED)).tally == "1 kept, 1 guaranteed"
    assert "Guaranteed" in Retention.of(report(GUARANTEED)).sentence


def test_a_scan_without_the_structure_is_in_no_mean():
    shown = RetentionRow.of(scored("humerus", [0.9, None], [0.8, None]).to_json())
    assert (shown.before, shown.after) == (0.9, 0.8)


@pytest.mark.parametrize(
    ("rows", "mark"),
    [
        ((), "nothing"),
        ((KEPT, HARMED), "harmed"),
        ((KEPT, UNSURE), "unsure"),
        ((PROXY,), "proxy"),
        ((KEPT, PROXY), "kept"),
        ((GUARANTEED,), "kept"),
        ((GUARANTEED, UNSURE), "unsure"),
    ],
)
def test_the_mark_of_a_report(rows, mark):
    assert Retention.of(report(*rows)).mark == mark


def test_the_most_harmed_comes_first_and_all_are_counted():
    shown = Retention.of(report(KEPT, IMPROVED, HARMED, UNSURE))
    assert [row.structure for row in shown.rows] == ["scapula", "clavicle", "humerus", "rib"]
    assert shown.tally == "1 harmed, 1 unsure, 1 kept, 1 improved"
    assert shown.held == ("scapula",)
    assert shown.sentence.startswith("Held back: scapula")


def test_a_first_version_has_nothing_to_keep():
    assert "Nothing to keep yet" in Retention.of(report()).sentence
    assert Retention.of({}).rows == ()


def test_signs():
    assert [signed(value) for value in (-3.14, 0.04, -0.04, 2)] == ["−3.1", "0.0", "0.0", "+2.0"]


def test_what_a_version_did():
    assert Version.of(record(3, "candidate")).done == "taught scapula"
    improved = {"taught": ["b" * 32], "improved": ["b" * 32], "method": "lwfseg"}
    assert Version.of(record(3, "candidate", step=improved)).done == "improved scapula"
    assert Version.of(record(3, "current", step={"action": "budget", "total": 4})).done == "at most 4 exemplars"
    assert Version.of(record(3, "current", step={"action": "something new"})).done == "something new"
    assert Version.of(record(3, "candidate", held_back_by=["humerus"])).reason == (
        "Version 3 taught scapula: waits for you. It was held back because of humerus."
    )


def test_differences_in_sentences():
    side = {"exemplars": 3, "structures": {"humerus": 0.9, "scapula": None}}
    names = {"added": ["scapula"], "removed": [], "renamed": [["a", "b"]], "kept": ["humerus"]}
    found = differences(
        {
            "first": side | {"number": 1},
            "second": side | {"number": 2, "exemplars": 7, "structures": {"humerus": 0.86}},
            "structures": names,
        }
    )
    assert found == [
        "Against version 1, which is in use:",
        "Version 2 knows scapula too.",
        "a is called b.",
        "humerus: Dice 0.90 → 0.86 (−4.0 points).",
        "Exemplars: 3 → 7.",
    ]
