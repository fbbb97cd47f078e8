"""The list of methods as data."""

import json

from IncrementalSegLib.registry import names
from IncrementalSegLib.strategy.catalogue import catalogue


def test_every_method_is_listed_with_all_that_a_form_needs():
    listing = json.loads(json.dumps(catalogue(), allow_nan=False))
    assert listing["broken"] == {}
    assert [item["name"] for item in listing["methods"]] == names("method")
    assert {"finetune", "separate", "lwfseg", "reseg", "aeiseg", "coriseg"} <= set(names("method"))
    by_name = {item["name"]: item for item in listing["methods"]}
    assert by_name["aeiseg"]["needs"] == ["exemplars", "teacher"]
    assert (by_name["lwfseg"]["needs"], by_name["finetune"]["needs"]) == (["teacher"], [])
    assert by_name["lwfseg"]["schema"]["properties"]["alpha"]["default"] == 0.5
    for item in listing["methods"]:
        assert "\n" not in item["summary"]
        assert item["output"] == "heads"
