"""The list of methods as data."""

import json

from IncrementalSegLib.methods.base.catalogue import catalogue
from IncrementalSegLib.registry import names

HEADS = dict.fromkeys(("finetune", "separate", "lwfseg", "reseg", "aeiseg", "coriseg"), "heads")
CLASSES = dict.fromkeys(
    ("finetune-softmax", "pseudo-label", "lwf", "ilt", "mib", "plop", "sdr", "reminder", "conuseg", "inseg", "pcdd"),
    "classes",
)


def test_every_method_is_listed_with_all_that_a_form_needs():
    listing = json.loads(json.dumps(catalogue(), allow_nan=False))
    assert listing["broken"] == {}
    assert [item["name"] for item in listing["methods"]] == names("method")
    outputs = {item["name"]: item["output"] for item in listing["methods"]}
    assert (HEADS | CLASSES).items() <= outputs.items()  # another method is another file, and no change here
    by_name = {item["name"]: item for item in listing["methods"]}
    assert by_name["aeiseg"]["needs"] == ["exemplars", "teacher"]
    assert (by_name["lwfseg"]["needs"], by_name["finetune"]["needs"]) == (["teacher"], [])
    assert by_name["pcdd"]["needs"] == ["prototypes", "teacher"]
    promises = {
        name: (by_name[name]["retains"], by_name[name]["guarantees"]) for name in ("lwfseg", "adapter", "finetune")
    }
    assert promises == {"lwfseg": (True, False), "adapter": (True, True), "finetune": (False, False)}
    assert by_name["lwfseg"]["schema"]["properties"]["alpha"]["default"] == 0.5
    assert all("\n" not in item["summary"] for item in listing["methods"])
