FEW = ("--option", "passes=2", "--option", "candidates=4", "--option", "keep=2", "--steps", 2, "--device", "cpu")


def test_one_sentence_for_people_one_object_for_programs(command, model, data):
    said = command("estimate", model, "--data", data, "--structures", "spleen", *FEW)
    assert said.status == 0
    assert "optimiser steps" in said.out
    assert "on the disk" in said.out
    found = command("estimate", model, "--data", data, "--structures", "spleen", *FEW, "--json").json
    assert found["steps"] == 2
    assert f"Method: {found['method']}. {' '.join(found['why'])}" in said.out
    assert (
        found["method"] == command("advise", model, "--data", data, "--structures", "spleen", "--json").json["method"]
    )
    assert found["memory_mb"] > 0
    assert found["disk_mb"] > 0


def test_what_learn_refuses_is_refused(command, model, data):
    said = command("estimate", model, "--data", data, "--structures", "kidney", *FEW)
    assert said.status == 1
    assert "kidney" in said.err
