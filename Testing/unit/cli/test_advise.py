def test_the_table_says_how_far_and_the_sentences_why(command, model, data):
    said = command("advise", model, "--data", data, "--structures", "spleen")
    assert said.status == 0
    assert "Method: lwfseg" in said.out
    assert f"learn {model} --data {data} --structures spleen --method lwfseg" in said.out
    assert "similar (0.0)" in said.out
    assert "scans compared with the training scans" in said.out
    assert "5 of 5 scans are training or held-out scans of this model already" in said.out
    said = command("advise", model, "--data", data, "--structures", "spleen", "--cases", "c0,c1", "--accept-grid")
    assert "--structures spleen --method lwfseg --cases c0,c1 --accept-grid" in said.out
    known = command("advise", model, "--data", data, "--structures", "liver").out
    assert "--structures liver --method lwfseg --improve" in known
    mixed = command("advise", model, "--data", data, "--structures", "liver,spleen").out
    assert "The model knows liver already, and not spleen" in mixed
    assert "Next:" not in mixed
    found = command("advise", model, "--data", data, "--json").json
    assert found["method"] == "lwfseg"
    assert found["structures"]["liver"]["spacing"] == {"distance": 0.0, "word": "similar"}


def test_a_new_model(command, data, tmp_path):
    said = command("advise", tmp_path / "new", "--data", data)
    assert "Method: finetune" in said.out
    assert not (tmp_path / "new").exists()
