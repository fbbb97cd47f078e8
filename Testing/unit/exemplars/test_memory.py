from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from IncrementalSegLib.errors import ModelError, UnknownNameError
from IncrementalSegLib.exemplars.memory import Exemplar, ExemplarMemory, background_of, pixel_hash
from IncrementalSegLib.sampling.batch import PreparedCase

A, B = "a" * 32, "b" * 32


def memory(table, labelled=True):
    """Build a memory from ``id: (case, {structure: {order: rank}})``."""
    items, scans = [], {}
    for number, (name, (case, ranks)) in enumerate(table.items()):
        image = torch.full((1, 1, 4, 5), number, dtype=torch.float16)
        outlined = tuple(ranks) if labelled else ()
        masks = torch.ones(len(outlined), 1, 4, 5, dtype=torch.uint8)
        scans[name] = PreparedCase(
            id=name,
            patient=case,
            image=image,
            structures=outlined,
            masks=masks,
            ignore=torch.zeros(1, 4, 5, dtype=torch.bool),
        )
        gains = {key: {order: 1 / rank for order, rank in by.items()} for key, by in ranks.items()}
        items.append(
            Exemplar(
                id=name,
                case=case,
                patient=case,
                step=1,
                start=(number, 0, 0),
                size=(1, 4, 5),
                looked_for=tuple(ranks),
                present=tuple(ranks),
                ranks=ranks,
                gains=gains,
                certainty=dict.fromkeys(ranks, 0.25),
                reasons=dict.fromkeys(ranks, f"why {name}"),
                sha256=pixel_hash(image),
                labelled=labelled,
            )
        )
    return ExemplarMemory(tuple(items), scans)


def one():
    return memory(
        {
            "n1": ("p", {A: {"abstraction": 1, "random": 3}}),
            "n2": ("p", {A: {"abstraction": 2, "content": 1}}),
            "n3": ("q", {A: {"abstraction": 3, "content": 2}, B: {"abstraction": 1}}),
            "n4": ("r", {A: {"random": 1}, B: {"abstraction": 2, "random": 1}}),
            "n5": ("r", {B: {"content": 1, "random": 2}}),
        }
    )


def ids(scans):
    return [scan.id for scan in scans]


@pytest.mark.parametrize(
    ("order", "structures", "cut", "wanted"),
    [
        ("abstraction", (A,), None, ["n1", "n2", "n3"]),
        ("abstraction", (A,), 2, ["n1", "n2"]),
        ("abstraction", (A, B), 1, ["n1", "n3"]),
        ("abstraction", (B, A), None, ["n3", "n4", "n1", "n2"]),
        ("content", (A, B), None, ["n2", "n3", "n5"]),
        ("random", (A,), None, ["n4", "n1"]),
        ("random", ("c" * 32,), None, []),
    ],
)
def test_each_method_takes_its_own_order(order, structures, cut, wanted):
    assert ids(one().take(order, structures, cut)) == wanted


def test_the_background_of_a_structure_comes_with_it():
    kept = memory({"n1": ("p", {A: {"content": 1}}), "n2": ("p", {background_of(A): {"content": 1}})})
    assert ids(kept.take("content", (A,), 1)) == ["n1", "n2"]


def test_pinned_come_first_and_always_banned_never():
    kept = one().pin("n3").ban("n1")
    assert ids(kept.take("abstraction", (A,), 1)) == ["n3"]
    assert ids(kept.take("abstraction", (A,))) == ["n3", "n2"]
    assert ids(one().pin("n4").take("abstraction", (A,), 1)) == ["n4"]  # though it has no rank in this order
    assert ids(kept.ban("n1", on=False).take("abstraction", (A,), 2)) == ["n3", "n1"]
    assert not kept.ban("n3").by_id("n3").pinned
    assert not kept.pin("n1").by_id("n1").banned
    assert one().by_id("n3").pinned is False  # a change is a new memory
    with pytest.raises(UnknownNameError, match="n1, n2"):
        kept.pin("n9")


@pytest.mark.parametrize(
    ("total", "wanted"),
    [(5, 5), (9, 5), (4, ["n1", "n3", "n2", "n5"]), (3, ["n1", "n3", "n2"]), (1, ["n1"]), (0, [])],
)
def test_a_budget_cuts_the_tails_evenly(total, wanted):
    kept = one().budget(total)
    if isinstance(wanted, int):
        assert len(kept) == wanted
    else:
        assert {item.id for item in kept} == set(wanted)
        assert set(kept.scans) == set(wanted)


def test_the_pinned_survive_any_budget_and_the_banned_lose_their_pixels():
    kept = one().pin("n5").pin("n4").ban("n1").budget(1)
    assert {item.id for item in kept} == {"n4", "n5", "n1"}
    assert set(kept.scans) == {"n4", "n5"}
    with pytest.raises(ModelError, match="deleted"):
        kept.ban("n1", on=False)


def test_later_steps_come_after_and_the_same_pixels_are_kept_once():
    first = one().pin("n2")
    second = memory({"n2": ("p", {B: {"content": 1}}), "n9": ("s", {B: {"content": 2}})})
    known, found = first.by_id("n2"), second.by_id("n2")
    found = replace(found, case=known.case, start=known.start, size=known.size, sha256=known.sha256)
    image = first.scans["n2"].image
    second = ExemplarMemory(
        (found, second.by_id("n9")), {**second.scans, "n2": replace(second.scans["n2"], image=image)}
    )
    both = first.merged(second)
    assert [item.id for item in both] == ["n1", "n2", "n3", "n4", "n5", "n9"]
    joined = both.by_id("n2")
    assert joined.ranks == {A: {"abstraction": 2, "content": 1}, B: {"content": 1}}
    assert joined.pinned
    assert both.scans["n2"].structures == (A, B)
    assert both.scans["n2"].masks.shape == (2, 1, 4, 5)


def test_the_same_pixels_are_known_again_by_their_place_whatever_the_id():
    first = one()
    old = first.by_id("n2")
    again = replace(old, id="z", ranks={B: {"random": 1}}, gains={B: {"random": 0.5}})
    other_place = replace(again, id="y", start=(7, 0, 0))
    scans = {id: replace(first.scans["n2"], id=id) for id in ("z", "y")}  # noqa: A001
    both = first.merged(ExemplarMemory((again, other_place), scans))
    assert [item.id for item in both] == ["n1", "n2", "n3", "n4", "n5", "y"]
    assert set(both.scans) == {"n1", "n2", "n3", "n4", "n5", "y"}
    assert both.by_id("n2").ranks[B] == {"random": 1}
    assert [scan.id for scan in both.take("random", (B,)) if scan.id in ("n2", "y", "z")] == ["n2", "y"]


def test_ids_for_others_are_numbers_and_what_has_no_pixels_stays_here():
    kept = one().pin("n5").pin("n4").ban("n1").budget(1).renumbered()
    assert [item.id for item in kept] == list(kept.scans) == ["0000000001", "0000000002"]
    assert [scan.id for scan in kept.scans.values()] == list(kept.scans)
    assert ExemplarMemory.from_files(*kept.to_files()).items == kept.items


@pytest.mark.parametrize("labelled", [True, False])
def test_files_keep_everything(tmp_path, labelled):
    kept = memory({"n1": ("p", {A: {"content": 1}}), "n2": ("q", {A: {"random": 1}, B: {"content": 4}})}, labelled)
    kept = kept.pin("n2")
    data, tensors = kept.to_files()
    save_file(tensors, tmp_path / "exemplars.safetensors")
    again = ExemplarMemory.from_files(data, load_file(tmp_path / "exemplars.safetensors"))
    assert again.items == kept.items
    assert again.to_files()[0] == data
    assert torch.equal(again.scans["n2"].masks, kept.scans["n2"].masks)
    assert again.scans["n2"].structures == ((A, B) if labelled else ())
    assert again.storage_bytes == kept.storage_bytes == sum(tensor.nbytes for tensor in tensors.values())


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_changed_pixels_are_noticed(harm):
    data, tensors = one().to_files()
    tensors = {**tensors, "n3.image": tensors["n3.image"] + 1}
    if harm == "missing":
        del tensors["n3.image"]
    with pytest.raises(ModelError, match="n3 is missing or damaged"):
        ExemplarMemory.from_files(data, tensors)


def test_empty():
    assert ExemplarMemory().is_empty
    assert ExemplarMemory().take("random", (A,)) == []
    assert ExemplarMemory.from_files(*ExemplarMemory().to_files()).is_empty
    assert not one().is_empty
    assert memory({"n1": ("p", {A: {"content": 1}})}).ban("n1").is_empty


def test_a_budget_lasts_through_files_and_later_steps():
    limited = one().budget(2)
    again = ExemplarMemory.from_files(*limited.to_files())
    assert again.limit == 2
    later = memory({"m1": ("s", {B: {"abstraction": 1}}), "m2": ("s", {B: {"abstraction": 2}})})
    assert len(again.merged(later)) == 2
    assert len(one().merged(later)) == 7


def test_a_removed_structure_leaves_nothing_behind():
    rest = one().without_structure(B)
    assert [item.id for item in rest] == ["n1", "n2", "n3", "n4"]
    assert B not in str(rest.to_files()[0])
    assert rest.scans["n3"].structures == (A,)
    assert rest.scans["n3"].masks.shape[0] == 1


def test_the_beginning_of_an_id_is_enough_where_it_is_unique():
    kept = memory({"ab1": ("p", {A: {"abstraction": 1}}), "ab2": ("p", {A: {"abstraction": 2}}), "c": ("q", {})})
    assert kept.by_id("ab2").id == "ab2"
    assert [item.id for item in kept.pin("ab1") if item.pinned] == ["ab1"]
    assert kept.ban("c").by_id("c").banned
    for text, said in (("ab", "2 begin so"), ("x", "no exemplar called 'x'"), ("", "no exemplar called ''")):
        with pytest.raises(UnknownNameError, match=said):
            kept.pin(text)
