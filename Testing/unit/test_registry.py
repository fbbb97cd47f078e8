from __future__ import annotations

import sys

import pytest

from IncrementalSegLib import registry
from IncrementalSegLib.errors import OptionError, UnknownNameError
from IncrementalSegLib.registry import discover, find, names, register

PLUGIN = "from IncrementalSegLib.registry import register\n\n@register('toy', {name!r})\nclass {cls}:\n    pass\n"


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    """Give each test a registry of its own."""
    for table in ("_entries", "_broken", "_homes"):
        monkeypatch.setattr(registry, table, {})


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Make an empty package in which the files of kind ``toy`` live."""
    folder = tmp_path / "toy_home"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._homes["toy"] = "toy_home"
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "toy_home"]:
        del sys.modules[name]


def test_what_is_registered_is_found():
    @register("toy", "ball")
    class Ball:
        pass

    assert find("toy", "ball") is Ball
    assert names("toy") == ["ball"]


def test_kinds_do_not_see_each_other():
    register("toy", "ball")(object())
    assert names("tool") == []


def test_taken_name_is_refused():
    register("toy", "ball")(print)
    with pytest.raises(OptionError, match="'ball' is taken"):
        register("toy", "ball")(len)
    assert find("toy", "ball") is print


def test_same_object_may_register_again():
    register("toy", "ball")(print)
    assert register("toy", "ball")(print) is print


def test_unknown_name_comes_with_the_nearest():
    register("toy", "ball")(print)
    with pytest.raises(UnknownNameError, match=r"no toy called 'bal'.*Did you mean 'ball'\? Known: ball\."):
        find("toy", "bal")


def test_files_are_found_by_being_there(home):
    (home / "kite.py").write_text(PLUGIN.format(name="kite", cls="Kite"))
    (home / "top.py").write_text(PLUGIN.format(name="spinning-top", cls="Top"))
    assert names("toy") == ["kite", "spinning-top"]
    assert find("toy", "spinning-top").__name__ == "Top"


@pytest.mark.parametrize("fault", ["import no_such_package", "raise RuntimeError('rotten')", "def ("])
def test_broken_file_does_not_take_the_others_down(home, fault):
    (home / "bad_kite.py").write_text(fault)
    (home / "kite.py").write_text(PLUGIN.format(name="kite", cls="Kite"))
    assert find("toy", "kite").__name__ == "Kite"
    assert list(discover("toy")) == ["bad_kite"]
    with pytest.raises(UnknownNameError, match=r"could not be imported: bad_kite: \w+Error.*Known: kite\."):
        find("toy", "bad-kite")


def test_reasons_cannot_be_changed_from_outside(home):
    (home / "bad.py").write_text("raise RuntimeError('rotten')")
    discover("toy")["good"] = "changed"
    assert discover("toy") == {"bad": "RuntimeError: rotten"}
