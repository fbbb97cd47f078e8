"""Cases are held out by patient, from four cases on, by the seed."""

from dataclasses import replace
from pathlib import Path

import pytest

from IncrementalSegLib.engine.step.split import split
from IncrementalSegLib.errors import DataError
from IncrementalSegLib.sampling.cases import Case
from IncrementalSegLib.store.manifest import fingerprint


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """A hundred files, each with its own content, in the working folder."""
    monkeypatch.chdir(tmp_path)
    for number in range(100):
        Path(f"{number}.nii").write_bytes(bytes([number]))


def cases(patients):
    return [
        Case(f"case{number:02d}", name, (Path(f"{number}.nii"),), frozenset({"A"}))
        for number, name in enumerate(patients)
    ]


@pytest.mark.parametrize(
    ("count", "aside"), [(0, 0), (1, 0), (2, 0), (3, 0), (4, 1), (5, 1), (7, 1), (8, 2), (10, 2), (25, 5), (100, 20)]
)
def test_number_held_out(count, aside):
    training, held = split(cases([f"p{number}" for number in range(count)]), 0)
    assert (len(training), len(held)) == (count - aside, aside)


@pytest.mark.parametrize("seed", range(10))
def test_a_patient_is_never_on_both_sides(seed):
    everyone = cases([f"p{number // 3}" for number in range(30)])
    training, held = split(everyone, seed)
    assert {case.patient for case in training}.isdisjoint(case.patient for case in held)
    assert len({case.patient for case in held}) == 2
    assert sorted([*training, *held], key=lambda case: case.id) == everyone
    for side in (training, held):
        assert [case.id for case in side] == sorted(case.id for case in side)


def test_cases_of_one_patient_cannot_be_split():
    assert split(cases(["p"] * 6), 0) == (cases(["p"] * 6), [])


@pytest.mark.parametrize("seed", range(5))
def test_a_scan_under_two_names_is_never_on_both_sides(seed, caplog):
    everyone = cases([f"p{number}" for number in range(20)])
    for number in range(10):
        Path(f"{number + 10}.nii").write_bytes(Path(f"{number}.nii").read_bytes())
    training, held = split(everyone, seed)
    assert len(held) == 4
    assert {fingerprint(case.images) for case in training}.isdisjoint(fingerprint(case.images) for case in held)
    assert {case.patient for case in [*training, *held]} == {case.patient for case in everyone}
    assert "case10 (case00)" in caplog.text


def test_the_seed_decides_and_the_order_of_cases_does_not():
    everyone = cases([f"p{number}" for number in range(20)])
    assert split(everyone, 3) == split(everyone[::-1], 3)
    assert len({tuple(case.id for case in split(everyone, seed)[1]) for seed in range(10)}) > 5


@pytest.fixture
def scans(tmp_path):
    """Ten cases on the disk, each with its own content."""
    found = []
    for number in range(10):
        path = tmp_path / f"{number}.nii"
        path.write_bytes(bytes([number]))
        found.append(Case(f"case{number}", f"p{number}", (path,), frozenset({"A"})))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_what_judges_never_trains_and_what_trained_never_judges(scans, seed):
    training, held = split(scans, 0)
    trained, aside = ({fingerprint(case.images) for case in side} for side in (training, held))
    assert split(scans, seed, trained, aside) == (training, held)
    more, judges = split([*held, *training[:4]], seed, {fingerprint(training[0].images)}, aside)
    assert training[0] in more
    assert all(case in judges for case in held)


def test_new_patients_are_drawn_beside_old_ones(scans):
    trained = {fingerprint(case.images) for case in scans[:5]}
    drawn = {case.id for seed in range(20) for case in split(scans, seed, trained)[1]}
    assert drawn == {f"case{number}" for number in range(5, 10)}


def test_cases_that_only_judge_cannot_train(scans):
    with pytest.raises(DataError, match="held out for validation by earlier steps"):
        split(scans[:2], 0, (), {fingerprint(case.images) for case in scans[:2]})


def holding(shown):
    """Return ten cases or fewer in which all is looked for, and what tells which labels have voxels in them."""
    names = frozenset().union(*shown)
    found = [Case(f"case{row:02d}", f"p{row:02d}", (Path(f"{row}.nii"),), names) for row in range(len(shown))]
    return found, lambda case: shown[int(case.id[4:])]


def judged(side, present):
    return set().union(*(present(case) for case in side))


class TestRareStructures:
    """A structure is held out for judging, and trained, wherever two patients show it."""

    @pytest.mark.parametrize("count", [4, 5, 6, 10, 23])
    @pytest.mark.parametrize("seed", range(20))
    def test_one_in_two_patients(self, count, seed):
        everyone, present = holding([{"A", "B"}] * 2 + [{"A"}] * (count - 2))
        training, held = split(everyone, seed, present=present)
        assert judged(held, present) == judged(training, present) == {"A", "B"}
        assert len(held) == max(1, round(0.2 * count)), "no more than usual"

    @pytest.mark.parametrize("seed", range(20))
    def test_organs_of_either_sex_in_two_of_ten_each(self, seed):
        everyone, present = holding([{"A", "uterus"}] * 2 + [{"A", "prostate"}] * 2 + [{"A"}] * 6)
        training, held = split(everyone, seed, present=present)
        assert judged(held, present) == judged(training, present) == {"A", "uterus", "prostate"}
        assert len(held) == 2

    def test_more_patients_than_usual_are_held_out_where_several_are_rare(self):
        everyone, present = holding([{"A"}] * 2 + [{"B"}] * 2 + [{"C"}] * 2 + [set()] * 4)
        training, held = split(everyone, 0, present=present)
        assert judged(held, present) == judged(training, present) == {"A", "B", "C"}
        assert len(held) == 3

    @pytest.mark.parametrize("seed", range(10))
    def test_never_more_than_half_of_the_patients(self, seed):
        everyone, present = holding([{f"s{row}"} for row in (0, 0, 1, 1, 2, 2)])
        assert len(split(everyone, seed, present=present)[1]) == 3
        everyone, present = holding([{"A", "B"}, {"A", "C"}, {"B", "C"}, set()])
        training, held = split(everyone, seed, present=present)
        assert len(held) <= 2
        assert judged(training, present) == {"A", "B", "C"}

    @pytest.mark.parametrize("seed", range(10))
    def test_a_chain_of_shared_structures_is_solved(self, seed):
        everyone, present = holding([{"A"}, {"A", "B"}, {"B", "C"}, {"C"}])
        training, held = split(everyone, seed, present=present)
        assert judged(held, present) == judged(training, present) == {"A", "B", "C"}

    @pytest.mark.parametrize("seed", range(20))
    def test_what_one_patient_alone_shows_trains(self, seed):
        everyone, present = holding([{"A", "B"}] + [{"A"}] * 5)
        training, held = split(everyone, seed, present=present)
        assert judged(training, present) == {"A", "B"}
        assert judged(held, present) == {"A"}

    def test_where_everybody_is_needed_to_train_nobody_is_held_out(self):
        everyone, present = holding([{"A"}, {"B"}, {"C"}, {"D"}])
        assert split(everyone, 0, present=present) == (everyone, [])

    @pytest.mark.parametrize("seed", range(10))
    def test_all_scans_of_a_patient_count_together(self, seed):
        shown = [set(), {"B"}, {"A"}, set(), {"B"}, {"A"}, {"A"}, {"A"}, {"A"}, {"A"}]
        everyone, present = holding(shown)
        everyone = [replace(case, patient=f"p{row // 2}") for row, case in enumerate(everyone)]
        training, held = split(everyone, seed, present=present)
        assert {case.patient for case in training}.isdisjoint(case.patient for case in held)
        assert "B" in judged(held, present) & judged(training, present)

    def test_a_structure_that_was_not_looked_for_is_not_waited_for(self):
        everyone, present = holding([{"A"}] * 10)
        assert split(everyone, 3, present=present) == split(everyone, 3)

    def test_few_labels_are_read_where_the_first_choice_will_do(self):
        everyone, present = holding([{"A"}] * 100)
        asked = []

        def counting(case):
            asked.append(case.id)
            return present(case)

        assert split(everyone, 1, present=counting) == split(everyone, 1)
        assert len(asked) == 2  # one that judges and one that trains

    def test_the_order_of_cases_does_not_matter(self):
        everyone, present = holding([{"A", "B"}] * 2 + [{"A"}] * 8)
        assert split(everyone, 5, present=present) == split(everyone[::-1], 5, present=present)

    def test_what_earlier_steps_held_out_counts(self, scans):
        def present(case):
            return {"A", "B"} if case.id in ("case0", "case1") else {"A"}

        everyone = [replace(case, looked_for=frozenset({"A", "B"})) for case in scans]
        aside = {fingerprint(scans[0].images), fingerprint(scans[5].images)}
        assert split(everyone, 0, (), aside, present)[1] == [everyone[0], everyone[5]]
        aside = {fingerprint(scans[4].images), fingerprint(scans[5].images)}
        held = split(everyone, 0, (), aside, present)[1]
        assert len(held) == 3, "one more, because those two do not show B"
        assert "B" in judged(held, present)
