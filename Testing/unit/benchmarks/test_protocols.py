"""Names of papers, protocols and methods: what they mean, and what is said of wrong ones."""

from __future__ import annotations

import pytest
from organs import ORGANS

from IncrementalSegLib.engine.correct import PROPAGATE_ONLY
from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.registry import find, names
from IncrementalSegLib.sampling.phantom import SCANNERS, STRUCTURES
from Testing.benchmarks.paper import find_paper
from Testing.benchmarks.protocols import pcdd2026
from Testing.benchmarks.variants import BOUNDS, family, find_variants, in_order

OZDEMIR, PCDD, CLIS = (find_paper(name) for name in ("ozdemir2018", "pcdd2026", "clis2021"))
SHORT = PCDD.find("phantom-3-2")


@pytest.mark.parametrize(
    "protocol", [*OZDEMIR.protocols, *PCDD.protocols, *CLIS.protocols], ids=lambda protocol: protocol.name
)
def test_everything_named_exists(protocol):
    variants = find_variants(None, protocol)
    assert {variant.method for variant in variants} <= {*BOUNDS, PROPAGATE_ONLY, *family(protocol.first)}
    assert protocol.network in names("network")
    if not protocol.data.folder:
        assert set(protocol.structures) <= set(STRUCTURES)
        assert {stage.scanner for stage in protocol.stages} <= set(SCANNERS)


def test_choice_of_protocols():
    def chosen(*named, with_data=False):
        return [protocol.name for protocol in OZDEMIR.choose(named, with_data=with_data)]

    assert chosen() == ["phantom-case1", "phantom-case3"]
    spine = ["spine-case1", "spine-case2", "spine-volumes2", "spine-volumes5"]
    assert chosen(with_data=True) == [*chosen(), *spine, "hippocampus-case1"]
    assert chosen("phantom-paper", "spine-case2") == ["phantom-paper-case1", "phantom-paper-case3", "spine-case2"]
    with pytest.raises(UnknownNameError, match="Did you mean 'spine-case"):
        chosen("spine-case")
    with pytest.raises(UnknownNameError, match="Did you mean 'pcdd2026'"):
        find_paper("pcdd26")


@pytest.mark.parametrize("name", ["4-4", "4-2", "4-1", "2-2", "7-1", "1-1"])
def test_protocols_of_the_paper(name):
    first, more = map(int, name.split("-"))
    protocol = PCDD.find(f"btcv-{name}")
    assert [len(stage.structures) for stage in protocol.stages] == [first, *[more] * ((len(ORGANS) - first) // more)]
    assert protocol.structures == ORGANS
    assert protocol.groups == {"Old": ORGANS[:first], "New": ORGANS[first:], "All": ORGANS}


@pytest.mark.parametrize(
    ("name", "said"),
    [("4-3", "Use 4-1 or 4-2 or 4-4"), ("8-1", "Begin with 1 to 7"), ("9-2", "0 left"), ("0-2", "Begin with 1 to 7")],
)
def test_what_does_not_divide_is_refused(name, said):
    with pytest.raises(OptionError, match=said):
        PCDD.find(f"btcv-{name}")


@pytest.mark.parametrize("name", ["btcv-4", "btcv-4-2-2", "btcv-4-2-shared", "liver-1-1", "spine"])
def test_what_is_no_name_is_refused(name):
    with pytest.raises(UnknownNameError, match="protocol"):
        PCDD.choose([name], with_data=True)


def test_a_name_says_what_is_not_usual():
    found = PCDD.find("spine-1-1-disjoint-unet3d-paper-validation")
    assert (found.disjoint, found.network, found.preset, found.validation) == (True, "unet3d", "paper", True)
    assert found.setting() != PCDD.find("spine-1-1").setting()


def test_all_methods_of_the_family_are_run_by_default():
    found = [variant.name for variant in find_variants(None, SHORT)]
    assert sorted(found) == sorted({*BOUNDS, *family("finetune-softmax")})
    assert "lwfseg" not in found


def test_names_carry_options():
    plain, varied, bound = find_variants("mib, pcdd+lambda_orcd=0+dice=false,offline+dice=false", SHORT)
    assert (plain.name, plain.options["distillation"], plain.beginning) == ("mib", 10.0, {"dice": True})
    assert varied.name == "pcdd+dice=false+lambda_orcd=0"
    assert (varied.method, varied.options["lambda_orcd"], varied.beginning) == ("pcdd", 0.0, {"dice": False})
    assert (bound.method, bound.bound, bound.beginning) == ("offline", True, {"dice": False})
    assert "keep" not in plain.options  # of the exemplars, which the protocol decides on
    (slower,) = find_variants("mib+later_rate=0.3", SHORT)
    assert (slower.options["later_rate"], "later_rate" in slower.beginning) == (0.3, False)  # one first step for all
    assert not {"later_rate", "warmup"} & plain.options.keys()
    (frozen,) = find_variants("mib+norm=freeze_after_first_step", SHORT)
    assert frozen.beginning == plain.beginning
    (separate,) = find_variants("separate", OZDEMIR.protocols[0])
    assert not separate.bound  # a method of the heads


def test_a_method_that_needs_more_than_shared_weights_begins_its_own_models():
    chosen = find_variants("mib,mib+rehearsal=true,replay,cfil,packnet,offline", SHORT)
    assert {item.name: item.begins for item in chosen} == {
        "mib": "finetune-softmax", "mib+rehearsal=true": "mib", "replay": "replay", "cfil": "cfil",
        "packnet": "packnet", "offline": "finetune-softmax",
    }  # fmt: skip
    assert [item.name for item in chosen if item.exemplars] == ["mib+rehearsal=true", "replay"]
    assert all(item.exemplars for item in find_variants("lwfseg,aeiseg", OZDEMIR.protocols[0]))  # one first step


def test_what_begins_a_model_differs_in_no_method():
    known = set(find("method", pcdd2026.FIRST).Options.model_fields)
    for name in family(pcdd2026.FIRST):
        assert known <= set(find("method", name).Options.model_fields)
        assert find("method", name).classify.__qualname__ == find("method", pcdd2026.FIRST).classify.__qualname__


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("mibb", UnknownNameError, "Did you mean 'mib'"),
        ("lwfseg", UnknownNameError, "compares methods of another"),
        ("mib+dic=false", UnknownNameError, "Did you mean 'dice'"),
        ("mib+dice", OptionError, "without a value"),
        ("mib+distillation=-1", OptionError, "greater than or equal to 0"),
        ("mib+dice=true+dice=false", OptionError, "names dice twice"),
        ("mib+keep_labels=false", OptionError, "keep_labels changes nothing here"),
        (" , ", OptionError, "names no method"),
    ],
)
def test_wrong_names_are_refused(text, error, said):
    with pytest.raises(error, match=said):
        find_variants(text, SHORT)


def test_order_of_the_tables():
    assert in_order(["pcdd+a=1", "new", "mib", "pcdd", "offline", "lwf"], pcdd2026.METHODS) == [
        "offline", "lwf", "mib", "pcdd", "pcdd+a=1", "new",
    ]  # fmt: skip
