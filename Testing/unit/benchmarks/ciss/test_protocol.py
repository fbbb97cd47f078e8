from __future__ import annotations

from pathlib import Path

import pytest
from organs import ORGANS, protocol

from IncrementalSegLib.benchmarks.ciss.protocol import SOURCES, deal_structures, find_source
from IncrementalSegLib.benchmarks.ciss.scans import scans_for
from IncrementalSegLib.benchmarks.ciss.variants import BOUNDS, FIRST, class_methods, find_variants, in_order
from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.registry import find


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("4-4", [4, 4]),
        ("4-2", [4, 2, 2]),
        ("4-1", [4, 1, 1, 1, 1]),
        ("2-2", [2, 2, 2, 2]),
        ("7-1", [7, 1]),
        ("1-1", [1] * 8),
    ],
)
def test_protocols_of_the_paper(text: str, sizes: list[int]) -> None:
    first, more = map(int, text.split("-"))
    stages = deal_structures(ORGANS, text)
    assert [len(stage) for stage in stages] == sizes
    assert len(stages) == 1 + (len(ORGANS) - first) // more
    assert tuple(name for stage in stages for name in stage) == ORGANS


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("4-3", "Use 4-1 or 4-2 or 4-4"),
        ("8-1", "Begin with fewer than 8"),
        ("9-2", "0 left"),
        ("0-2", "not of the form"),
        ("4", "not of the form"),
        ("4-2-2", "not of the form"),
    ],
)
def test_what_does_not_divide_is_refused(text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        deal_structures(ORGANS, text)


def test_every_data_set_has_a_usual_protocol() -> None:
    for source in SOURCES:
        assert len(deal_structures(source.structures, source.protocol)) >= 3  # a second increment
    with pytest.raises(UnknownNameError, match="spine"):
        find_source("spin")


@pytest.mark.parametrize("name", ["btcv", "spine"])
def test_names_and_numbers_fit_the_real_data(shared_data: Path, tmp_path: Path, name: str) -> None:
    source = find_source(name)
    stages = deal_structures(source.structures, source.protocol)
    found = scans_for(protocol("4-4").__class__(source, source.protocol, stages), tmp_path, shared_data)
    assert set(source.structures) <= set(found.teaching.names)
    assert len(found.test.cases) == source.test_volumes
    assert (name, len(found.teaching.cases)) in {("btcv", 16), ("spine", 21)}


def test_folders_say_what_is_not_usual() -> None:
    assert protocol("4-2").name == "btcv-4-2"
    assert protocol("4-2", "disjoint").name == "btcv-4-2-disjoint"
    with pytest.raises(OptionError, match="shared or disjoint"):
        protocol("4-2", "other")


def test_everything_is_run_by_default() -> None:
    found = find_variants(None)
    assert [item.name for item in found] == [*BOUNDS, *class_methods()]
    assert {FIRST, "lwf", "mib", "pcdd"} <= set(class_methods())
    assert "lwfseg" not in class_methods()


def test_names_carry_options() -> None:
    plain, varied, bound = find_variants("mib, pcdd+lambda_orcd=0+dice=false,offline+dice=false")
    assert (plain.name, plain.options["distillation"], plain.options["dice"]) == ("mib", 10.0, True)
    assert varied.name == "pcdd+dice=false+lambda_orcd=0"
    assert (varied.method, varied.options["lambda_orcd"], varied.beginning) == ("pcdd", 0.0, {"dice": False})
    assert plain.beginning == {"dice": True}
    assert (bound.method, bound.beginning) == ("offline", {"dice": False})
    assert "keep" not in plain.options  # of the exemplars, which no chain keeps


def test_what_begins_a_model_differs_in_no_method() -> None:
    known = set(find("method", FIRST).Options.model_fields)
    for name in class_methods():
        assert known <= set(find("method", name).Options.model_fields)
        assert find("method", name).classify.__qualname__ == find("method", FIRST).classify.__qualname__


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("mibb", UnknownNameError, "Did you mean 'mib'"),
        ("lwfseg", UnknownNameError, "methods of one softmax"),
        ("mib+dic=false", UnknownNameError, "Did you mean 'dice'"),
        ("mib+dice", OptionError, "without a value"),
        ("mib+distillation=-1", OptionError, "greater than or equal to 0"),
        ("mib+distillation=inf", OptionError, "finite"),
        ("mib+dice=true+dice=false", OptionError, "names dice twice"),
        ("mib+keep_labels=false", OptionError, "keep_labels changes nothing here"),
        ("mib+descriptor_weights=../../x", OptionError, "descriptor_weights changes nothing here"),
        (" , ", OptionError, "names no method"),
    ],
)
def test_wrong_names_are_refused(text: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        find_variants(text)


def test_order_of_the_tables() -> None:
    assert in_order(["pcdd+a=1", "new", "mib", "pcdd", "offline", "lwf"]) == [
        "offline", "lwf", "mib", "pcdd", "pcdd+a=1", "new",
    ]  # fmt: skip
