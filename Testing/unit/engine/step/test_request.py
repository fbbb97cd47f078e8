"""What a step is asked to do is checked before anything is read at length."""

import json
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file
from tiny import tree

from IncrementalSegLib.engine.learn import learn
from IncrementalSegLib.engine.planning.advice import advise
from IncrementalSegLib.engine.privacy import ledger as privacy
from IncrementalSegLib.engine.settings import StepSettings
from IncrementalSegLib.engine.step.request import build_method, resolve
from IncrementalSegLib.errors import MissingNeedError, ModelError, OptionError, UnknownNameError
from IncrementalSegLib.networks.text import text_embeddings
from IncrementalSegLib.registry import find
from IncrementalSegLib.sampling.datasets import open_data


def test_a_first_step_creates_what_it_names(data, tmp_path):
    request = resolve(tmp_path / "new", data / "both", "Arm bone=HUMERUS, Scapula")
    assert (request.folder, request.parent, request.step, request.network) == (None, None, 1, "unet2d")
    assert request.structures.names == ("Arm bone", "Scapula")
    assert request.taught == request.structures.ids
    ids = dict(zip(("Arm bone", "Scapula"), request.taught, strict=True))
    assert {label.casefold(): item for label, item in request.structure_of.items()} == {
        "humerus": ids["Arm bone"], "scapula": ids["Scapula"],
    }  # fmt: skip
    assert {label for case in request.cases.cases for label in case.looked_for} == set(request.structure_of)
    assert request.method.registered_name == "finetune"
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_asked_for_is_unknown(data, tmp_path):
    request = resolve(
        tmp_path / "new", data / "both", "scapula", StepSettings(cases="shoulder_A_3_001, shoulder_A_3_003")
    )
    assert [case.id for case in request.cases.cases] == ["shoulder_A_3_001", "shoulder_A_3_003"]
    assert {case.looked_for for case in request.cases.cases} == {frozenset({"scapula"})}


def test_a_later_step_adds_and_keeps_the_old(model, data):
    request = resolve(model, open_data(data / "scapula"), "scapula", StepSettings(options={"alpha": "0.25"}))
    assert request.structures.names == ("humerus", "scapula")
    assert request.taught == request.structures.ids[1:]
    assert request.structures.ids[0] == request.parent.structures.ids[0]
    assert (request.step, request.structures.named("scapula").step) == (2, 2)
    assert request.method.options.alpha == 0.25


def test_improving_takes_the_known_structure(model, data):
    request = resolve(model, data / "humerus", "HUMERUS=humerus", StepSettings(improve=True))
    assert request.structures == request.parent.structures
    assert request.taught == request.parent.structures.ids


def test_without_a_method_one_is_chosen_and_reasons_are_given(model, data, teach, tmp_path):
    chosen = resolve(model, data / "scapula", "scapula")
    advice = advise(model, data / "scapula", "scapula")
    assert (chosen.method.registered_name, chosen.why) == (advice.method, advice.reasons)
    assert resolve(model, data / "scapula", "scapula", StepSettings(method="aeiseg")).why == ()
    teach(tmp_path / "bare", data / "humerus", "humerus", exemplars="none")
    assert resolve(tmp_path / "bare", data / "scapula", "scapula").method.registered_name == "lwfseg"


@pytest.mark.parametrize("name", ["reseg", "aeiseg", "coriseg"])
def test_a_method_without_what_it_needs_names_the_command(data, teach, tmp_path, name):
    teach(tmp_path / "bare", data / "humerus", "humerus", exemplars="none")
    with pytest.raises(MissingNeedError, match=rf'remember\(.*data="OLD_DATA", method="{name}"'):
        resolve(tmp_path / "bare", data / "scapula", "scapula", StepSettings(method=name))


def test_mean_features_that_were_forgotten_are_missed(data, teach, tmp_path):
    model = tmp_path / "soft"
    teach(model, data / "humerus", "humerus", method="pcdd", exemplars="none")
    assert resolve(model, data / "scapula", "scapula", StepSettings(method="pcdd")).method.registered_name == "pcdd"
    for case in open_data(data / "humerus").cases:
        privacy.forget(model, case.id)
    with pytest.raises(MissingNeedError, match=r"humerus: none.*remember\(.*method=\"pcdd\"") as caught:
        resolve(model, data / "scapula", "scapula", StepSettings(method="pcdd"))
    assert "Choose mib" in str(caught.value)
    assert resolve(model, data / "scapula", "scapula", StepSettings(method="mib")).method.registered_name == "mib"


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("lwfsge", {}, UnknownNameError, r"no method called 'lwfsge'.*Did you mean 'lwfseg'.*Known:.*finetune"),
        ("lwfseg", {"alhpa": 1}, UnknownNameError, r"option of lwfseg called 'alhpa'.*Did you mean 'alpha'"),
        ("finetune", {"alpha": 1}, UnknownNameError, "option of finetune called 'alpha'"),
        ("lwfseg", {"alpha": "2"}, OptionError, r"alpha='2' of lwfseg.*less than or equal to 1"),
        ("lwfseg", {"alpha": "much"}, OptionError, r"alpha='much'.*number"),
        ("lwfseg", {"recipe": "paper2017"}, OptionError, r"recipe='paper2017'.*official2019"),
        ("aeiseg", {"passes": 1}, OptionError, "passes=1"),
        ("pcdd", {"lambda_ll": "nan"}, OptionError, "lambda_ll='nan'"),
        ("pcdd", {"lambda_ll": "inf"}, OptionError, r"lambda_ll='inf'.*finite"),  # no record could hold it
    ],
)
def test_a_wrong_method_or_option_is_one_sentence(name, options, error, message):
    with pytest.raises(error, match=message) as caught:
        build_method(name, options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"structures": "humerus"}, r"already knows 'humerus'.*improve=True"),
        ({"network": "unet3d"}, r"network is unet2d, not unet3d.*Leave out network"),
    ],
)
def test_what_does_not_fit_the_model_is_refused(model, data, more, message):
    before = tree(model)
    with pytest.raises(ModelError, match=message):
        resolve(model, data / "both", more.pop("structures", "scapula"), StepSettings(**more))
    assert tree(model) == before


@pytest.mark.parametrize(("kind", "name"), [("network", "unet2dd"), ("method", "lwfsegg")])
def test_a_name_that_does_not_exist_is_told_before_what_the_model_knows(model, data, kind, name):
    with pytest.raises(UnknownNameError, match=f"no {kind} called '{name}'. Did you mean '{name[:-1]}'") as refused:
        resolve(model, data / "humerus", "humerus", StepSettings(**{kind: name}))
    offered = refused.value.todo.partition("Known: ")[2].rstrip(".").split(", ")
    assert not any(kind == "network" and find(kind, item).adopted for item in offered)


def test_more_structures_than_the_network_has_room_for_are_refused_before_a_scan_is_read(model, data, monkeypatch):
    monkeypatch.setattr(find("output", "heads"), "most", 1)
    assert resolve(model, data / "humerus", "humerus", StepSettings(improve=True)).taught
    with pytest.raises(ModelError, match="would know 2 structures, and its network has room for 1"):
        resolve(model, data / "both", "scapula", StepSettings(method="lwfseg"))


def test_step_numbers_count_improvements_too(model, data, teach):
    teach(model, data / "humerus", "humerus", improve=True)
    record = teach(model, data / "scapula", "scapula").record
    assert record.step["number"] == record.structures.named("scapula").step == 3
    assert record.structures.named("humerus").step == 1


def test_names_embedded_from_another_source_than_the_older_ones_are_told(small_presets, data, tmp_path, caplog):
    table = tmp_path / "table.safetensors"
    save_file({"humerus": np.arange(4.0), "scapula": np.ones(4)}, table)
    model, settings = tmp_path / "named", StepSettings(method="cfil", text_embeddings=table)
    learn(model, data / "humerus", "humerus", method="cfil", text_embeddings=table, steps=1, preset="quick")
    resolve(model, data / "scapula", "scapula", settings)
    assert "embedded by" not in caplog.text
    resolve(model, data / "scapula", "scapula", replace(settings, text_embeddings=None))
    assert "those of older ones by table" in caplog.text


def test_a_method_that_reads_names_finds_an_embedding_of_each_new_structure(model, data, tmp_path, monkeypatch):
    table = tmp_path / "table.safetensors"
    save_file({"scapula": np.ones(4), "humerus": np.arange(4.0)}, table)
    with pytest.raises(OptionError, match="'lwfseg' does not read names"):
        resolve(model, data / "scapula", "scapula", StepSettings(method="lwfseg", text_embeddings=table))
    monkeypatch.setattr(find("method", "lwfseg"), "reads_names", True)
    settings = StepSettings(method="lwfseg", text_embeddings=table)
    request = resolve(model, data / "scapula", "scapula", settings)
    (found,) = request.text.values()
    assert set(request.text) == set(request.taught)
    assert np.array_equal(found.vector, text_embeddings(["scapula"], table)["scapula"].vector)
    assert StepSettings(**json.loads(json.dumps(settings.to_json()))).text_embeddings == str(table)
    improve = StepSettings(method="lwfseg", improve=True)
    assert resolve(model, data / "humerus", "humerus", improve).text == {}
    with pytest.raises(OptionError, match=r"teaches no new structure.*Leave out text_embeddings"):
        resolve(model, data / "humerus", "humerus", replace(improve, text_embeddings=table))
    with pytest.raises(UnknownNameError, match=r"no text embedding in table\.safetensors called 'clavicle'"):
        resolve(model, data / "scapula", "clavicle=scapula", settings)
