"""One more structure for a network of nnU-Net: the table, and one short run where the data is at hand."""

from __future__ import annotations

import pytest

from IncrementalSegLib.errors import OptionError
from Testing.benchmarks.adopted import ALONE, Scale, rows, run_adopted
from Testing.benchmarks.archive import read_archive

TINY = Scale(scans=3, steps=1, test=(60, 60))


def result(method, seed, anterior, posterior):
    """Return a result with two test cases, one a tenth better than the other."""
    two = lambda dice: {"a": dice, "b": dice + 0.1}  # noqa: E731
    after = {"anterior": two(anterior), "posterior": two(posterior)}
    return {
        "method": method, "seed": seed, "before": {"anterior": two(0.8)}, "after": after, "duration": {"total": 120},
    }  # fmt: skip


def test_a_row_is_the_mean_over_cases_and_seeds():
    found = [result("mib", 0, 0.7, 0.2), result("adapter", 0, 0.8, 0.5), result("mib", 1, 0.6, 0.4)]
    assert rows(found) == [
        ("mib", "70.0", "−15.0", "35.0", "", "2"),
        ("adapter", "85.0", "0.0", "55.0", "", "1"),
    ]


def test_methods_are_compared_with_a_network_for_the_new_structure_alone():
    alone = result(ALONE, 0, 0.0, 0.6)
    del alone["after"]["anterior"]
    assert rows([result("mib", 0, 0.7, 0.5), alone]) == [
        ("mib", "75.0", "−10.0", "55.0", "−10.0", "1"),
        ("alone", "", "", "65.0", "", "1"),
    ]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_method_is_scored_once_and_its_model_deleted(tmp_path, shared_data):
    if not (shared_data / "nnunet-hippocampus-anterior").is_dir():
        pytest.skip("the network of nnU-Net is not there")
    run_adopted(tmp_path, shared_data, ["mib+new_rate=10", "pcdd"], seeds=1, device="cpu", scale=TINY)
    found = read_archive(tmp_path)["mib+new_rate=10-0"]
    assert found["before"]["anterior"] == {"hippocampus_145": pytest.approx(0.872, abs=0.01)}  # as nnU-Net's own
    assert set(found["after"]) == {"anterior", "posterior"}
    assert not list(tmp_path.glob("mib*"))
    with pytest.raises(OptionError, match="other settings"):
        run_adopted(tmp_path, shared_data, ["mib"], seeds=1, device="cpu")
