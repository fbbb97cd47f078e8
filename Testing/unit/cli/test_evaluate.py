"""``evaluate`` for people: both versions, and what a reader must know of the scores."""


def test_a_report_prints_both_versions(model, data, command, tmp_path):
    command("learn", model, "--data", data, "--structures", "spleen", "--steps", 1, "--accept", "always")
    said = command("evaluate", model, "--data", data, "--report", tmp_path / "page", "--device", "cpu")
    assert said.out.index("Version 1") < said.out.index("Version 2") < said.out.index("Report: ")
    assert "ASSD: mean distance between both surfaces" in said.out
    found = command("evaluate", model, "--data", data, "--report", tmp_path / "page", "--json").json
    assert (found["before"]["version"], found["version"]) == (1, 2)


def test_held_out_cases_are_named_as_such(model, data, command):
    (held,) = command("evaluate", model, "--data", data, "--json").json["warnings"][1:2]
    assert held == (
        "liver: 1 of 5 cases were held out in training and chose the weights, so the score is slightly optimistic."
    )
