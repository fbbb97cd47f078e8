"""What is said about a computer before anything is installed on it."""

import subprocess
import sys
from dataclasses import replace

import pytest
from IncrementalSegPanel.environment.Changes import Changes, installedPackages
from IncrementalSegPanel.environment.Environment import TORCH, constraints, examine, requirements
from IncrementalSegPanel.environment.Machine import GPU_QUERY, Gpu, Machine
from IncrementalSegPanel.environment.PipErrors import explainPip
from IncrementalSegPanel.environment.Torch import builds, ways
from IncrementalSegPanel.State import State
from panel.environments import CARD, COMPLETE, COMPUTER, SLICER


def without(*names, **others):
    return {name: version for name, version in {**COMPLETE, **others}.items() if name not in names}


def test_a_complete_environment_is_ready():
    assert examine(COMPUTER, COMPLETE).state is State.READY


def test_the_environment_of_these_tests_is_ready_and_its_versions_are_those_of_the_metadata():
    from importlib.metadata import version

    found = installedPackages()
    assert examine(Machine.here(), found).state is State.READY
    for name in ("torch", "simpleitk", "pydantic"):
        assert found[name] == version(name)


def test_everything_missing_is_named_with_size_and_what_changes():
    report = examine(COMPUTER, SLICER)
    facts = dict(report.facts)
    assert report.state is State.NOTHING_INSTALLED
    assert report.torch
    assert not report.obstacle
    assert {one.name for one in report.packages} == {
        "monai", "safetensors", "pydantic", "typer", "rich", "jinja2", "platformdirs", "filelock",
        "scikit-image",
    }  # fmt: skip
    assert facts["To install"].startswith("PyTorch, monai")
    assert "3.5 GB" in facts["Size"]
    assert "120 GB are free" in facts["Size"]
    assert facts["Graphics card"] == "NVIDIA RTX 4070, 12 GB, driver 555.42.06"
    assert "stay as they are" in facts["What changes"]
    assert "Nothing leaves this computer" in facts["Privacy"]


@pytest.mark.parametrize(
    ("version", "fits"),
    [("2.7.1", False), ("2.8.0+cu128", True), ("2.9.0", False), ("2.9.1+cpu", False), ("2.10.0.dev1", True)],
)
def test_which_versions_of_torch_will_do(version, fits):
    report = examine(COMPUTER, without(torch=version))
    assert (report.state is State.READY) == fits
    if not fits:
        assert f"torch {version}" in dict(report.facts)["What changes"]


def test_what_slicer_brings_is_never_installed():
    wanted = {one.name for one in examine(COMPUTER, {}).packages}
    assert wanted.isdisjoint({"numpy", "scipy", "SimpleITK"})
    dev = without(simpleitk="2.5.0.dev12")
    assert examine(COMPUTER, dev).state is State.READY  # Slicer's own build


def test_a_slicer_whose_own_packages_are_too_old_is_not_supported():
    report = examine(COMPUTER, without("monai", scipy="1.10"))
    assert report.state is State.UNSUPPORTED
    assert "Slicer" in report.title


def test_constraints_hold_slicers_packages_and_a_torch_that_fits():
    assert constraints(SLICER) == ["numpy==2.4.6", "packaging==26.2", "scipy==1.17.1", "simpleitk==2.5.5"]
    assert "torch==2.13.0+cu128" in constraints(COMPLETE)
    assert not any("torch" in line for line in constraints(without(torch="2.9.0")))


@pytest.mark.parametrize(
    ("computer", "word", "command"),
    [
        ({"system": "Darwin", "processor": "x86_64"}, "Intel", "pip install git+"),
        ({"avx": False}, "AVX", "pip install git+"),
        ({"packaging": False}, "5.12", "pip install git+"),
        ({"gpus": (Gpu("Tesla K80", "470.82.01", 11.0),)}, "525.60", "/whl/cpu"),
        ({"system": "Windows", "gpus": (Gpu("GTX 970", "516.94", 4.0),)}, "528.33", "/whl/cpu"),
    ],
)
def test_what_cannot_work_here_has_a_sentence_and_a_command(computer, word, command):
    report = examine(replace(COMPUTER, **computer), SLICER)
    assert report.state is State.UNSUPPORTED
    assert word in report.title + report.sentence
    assert command in report.command


def test_an_apple_processor_and_a_computer_without_a_card_are_supported():
    for computer in ({"system": "Darwin", "processor": "arm64", "gpus": ()}, {"gpus": ()}):
        report = examine(replace(COMPUTER, **computer), SLICER)
        assert report.state is State.NOTHING_INSTALLED
        assert not report.obstacle
        assert "takes longer" in dict(report.facts)["Graphics card"]


def test_an_old_driver_does_not_matter_where_torch_is_there():
    old = replace(COMPUTER, gpus=(replace(CARD, driver="470.1"),))
    assert examine(old, COMPLETE).state is State.READY
    assert examine(old, without("monai")).state is State.NOTHING_INSTALLED


@pytest.mark.parametrize(
    ("computer", "words", "folder"),
    [
        ({"free": 3.0}, "8 GB are needed", True),
        ({"writable": False}, "administrator", True),
        ({"gpus": None}, "graphics card", False),
    ],
)
def test_why_nothing_can_be_installed_now(computer, words, folder):
    report = examine(replace(COMPUTER, **computer), SLICER)
    assert words in report.obstacle
    assert bool(report.folderObstacle) == folder


def test_cards_are_read_from_what_the_driver_prints():
    text = "NVIDIA GeForce RTX 4070, 555.42.06, 12282\nNVIDIA T4, 555.42.06, 15360\n"
    assert [(gpu.name, gpu.driver, round(gpu.memory)) for gpu in Gpu.read(text)] == [
        ("NVIDIA GeForce RTX 4070", "555.42.06", 12),
        ("NVIDIA T4", "555.42.06", 15),
    ]
    assert Gpu.read("NVIDIA-SMI has failed because it couldn't communicate\n") == ()
    assert Gpu.read("NVIDIA T4, 555.42, [N/A]\n") == ()
    assert "--format=csv,noheader,nounits" in GPU_QUERY


def test_changes_name_what_came_and_the_way_back():
    changes = Changes.between({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "3"})
    assert (changes.added, changes.replaced, changes.removed) == ({"d": "3"}, {"b": ("1", "2")}, {"c": "1"})
    assert changes.undo("P") == ['"P" -m pip uninstall --yes d', '"P" -m pip install --no-deps "b==1" "c==1"']
    assert "replaced b 1 by 2" in changes.describe("P")
    assert Changes.between({"a": "1"}, {"a": "1"}).describe("P") == "no package has changed"


def test_what_was_loaded_before_it_changed_needs_a_restart():
    changes = Changes.between({"numpy": "1"}, {"numpy": "2", "no-such-package": "1"})
    assert changes.loaded({"numpy": object()}) == ["numpy"]
    assert changes.loaded({"no_such_package": object()}) == ["no-such-package"]
    assert changes.loaded({}) == []


def test_the_requirements_are_read():
    assert [one.name for one in requirements()][:2] == ["monai", "safetensors"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("ERROR: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: 'c10.dll'", "in use"),
        ("WARNING: Retrying: NewConnectionError\nERROR: No matching distribution found for monai", "internet"),
        ("ERROR: ResolutionImpossible: for help visit", "not compatible"),
        ("ERROR: No matching distribution found for monai>=1.6", "not available"),
        ("Collecting x\nERROR: something new\n", "something new"),
    ],
)
def test_an_error_of_pip_becomes_a_sentence(said, words):
    why, todo = explainPip(said.splitlines())
    assert words in why
    assert todo


def test_pip_itself_fails_with_what_is_recognised(tmp_path):
    """The words are those of the pip that is here, not remembered ones."""
    missing = ["install", "--no-index", "--find-links", str(tmp_path), "no-such-package-anywhere"]
    offline = ["install", "--index-url", "http://127.0.0.1:9/simple", "--retries", "1", "no-such-package-anywhere"]
    for arguments, words in ((missing, "not available"), (offline, "internet")):
        command = [sys.executable, "-m", "pip", "--isolated", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        assert done.returncode != 0
        assert words in explainPip((done.stdout + done.stderr).splitlines())[0]


@pytest.mark.parametrize(
    ("system", "drivers", "expected"),
    [
        ("Linux", (), ["cpu"]),
        ("Darwin", (), ["cpu"]),
        ("Linux", ("555.42.06",), ["cu128", "cu126"]),
        ("Windows", ("591.74",), ["cu130", "cu128", "cu126"]),
        ("Linux", ("591.74", "545.1"), ["cu128", "cu126"]),
    ],
)
def test_the_build_of_torch_is_one_that_the_driver_can_use(system, drivers, expected):
    machine = replace(COMPUTER, system=system, gpus=tuple(replace(CARD, driver=driver) for driver in drivers))
    assert builds(machine) == expected


def test_the_helper_of_the_extension_is_used_only_where_it_is_there(tmp_path):
    kept = tmp_path / "kept.txt"
    assert [module for module, _ in ways(COMPUTER, kept)] == ["pip", "pip"]
    (module, arguments), *others = ways(replace(COMPUTER, lightTheTorch=True, gpus=()), kept)
    assert (module, arguments) == ("light_the_torch", ["install", str(TORCH), "--constraint", str(kept)])
    assert [arguments[3] for _, arguments in others] == ["https://download.pytorch.org/whl/cpu"]
