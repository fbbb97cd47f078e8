"""Computers to install on, and an installer that does nothing but remember."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

from IncrementalSegPanel.environment.Machine import Gpu, Machine
from IncrementalSegPanel.Folders import Folders
from IncrementalSegPanel.Session import Session

CARD = Gpu("NVIDIA RTX 4070", "555.42.06", 12.0)
COMPUTER = Machine(
    system="Linux",
    processor="x86_64",
    avx=True,
    free=120.0,
    writable=True,
    packaging=True,
    lightTheTorch=False,
    python="/Slicer/bin/PythonSlicer",
    gpus=(CARD,),
)
SLICER = {"numpy": "2.4.6", "scipy": "1.17.1", "simpleitk": "2.5.5", "packaging": "26.2", "pip": "26.1.1"}
COMPLETE = {
    **SLICER,
    "torch": "2.13.0+cu128",
    "monai": "1.6.1",
    "safetensors": "0.8.0",
    "pydantic": "2.12",
    "typer": "0.20",
    "rich": "14.2",
    "jinja2": "3.1.6",
    "platformdirs": "4.5",
    "filelock": "3.20",
    "scikit-image": "0.26",
}


class Recorder:
    """An installer that a test drives: ``done`` of the call under way is :attr:`done`."""

    def __init__(self, computer=COMPUTER):
        self.computer, self.calls, self.done = computer, [], None
        self.seek = None
        self.lacking, self.discarded = set(), []

    def machine(self):
        return replace(self.computer, gpus=None)

    def findGpus(self, done):
        self.seek = done

    def run(self, module, arguments, log, done):
        kept = arguments[arguments.index("--constraint") + 1]
        self.calls.append((module, arguments, Path(kept).read_text().split()))
        self.log, self.done = log, done

    def look(self, modules, done):
        there = {name: "1" for name in modules if name not in self.lacking}
        done(there, "".join(f"{name}: ImportError: broken" for name in self.lacking))

    def discard(self, names):
        self.discarded.append(names)
        return []

    def cancel(self):
        self.calls.append(("cancel",))

    def check(self, done):
        self.calls.append(("check",))
        self.done = done

    def restart(self):
        self.calls.append(("restart",))


class Remembered(dict):
    """Settings of one test."""

    def value(self, key, default=None):
        return self.get(key, default)

    def setValue(self, key, value):
        self[key] = value


def session(folder, installer):
    """Return a session whose installer is the given one; nothing else of it does anything."""
    made = Session(SimpleNamespace(lastLines=str), None, Remembered(), Folders(folder, folder), lambda act: act())
    made.installing.installer = installer
    return made
