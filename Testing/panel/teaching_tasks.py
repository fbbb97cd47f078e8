"""A session that teaches a scapula: a scene of a few outlines, and what a worker answers."""

from __future__ import annotations

from types import SimpleNamespace

from IncrementalSegPanel.scene.Exports import Export
from IncrementalSegPanel.State import State
from scripted_worker import open_model, session_in

from IncrementalSegLib.engine.settings import settings_schema

HUMERUS = {"id": "a" * 32, "name": "Humerus", "step": 1, "color": [10, 20, 30], "terminology": None}
SUMMARY = {
    "name": "Shoulder",
    "current": 1,
    "version": 1,
    "output": "heads",
    "structures": [HUMERUS],
    "unfinished": None,
}
UNFINISHED = {"structures": ["Scapula"], "fraction": 0.4}
METHODS = {
    "methods": [
        {
            "name": "aeiseg",
            "output": "heads",
            "summary": "S.",
            "source": "P",
            "needs": [],
            "retains": True,
            "guarantees": False,
            "schema": {"properties": {"alpha": {"type": "number", "default": 0.5, "description": "How much is kept."}}},
        },
        {
            "name": "mib",
            "output": "classes",
            "summary": "S.",
            "source": "P",
            "needs": [],
            "retains": True,
            "guarantees": False,
            "schema": {"properties": {}},
        },
    ],
    "broken": {},
    "settings": settings_schema(),
}
ADVICE = {"method": "aeiseg", "reasons": ["Because."], "cautions": ["But."], "scans": 2, "structures": {}}
ESTIMATE = {
    "minutes": 24.6,
    "seconds": {"reading": 5, "learning": 900, "scoring": 90, "remembering": 60, "judging": 30, "saving": 2},
    "steps": 300,
    "memory_mb": 2100,
    "disk_mb": 12.0,
    "device": "CPU",
    "method": "aeiseg",
}
RESULT = {"version": 2, "retention": {}, "curve": {"planned": 300}}


def example(scan, name, **changes):
    found = {"volumeId": scan, "volumeName": scan, "segmentationId": f"{scan}-S", "segmentId": name, "name": name}
    return SimpleNamespace(**(found | {"ml": 12.0, "hints": (), "obstacle": "", "uncorrected": False} | changes))


class Bridge:
    """A scene of a few examples; those that are written are written in two pieces."""

    def __init__(self):
        self.examples = [example("one", "scapula"), example("two", "Scapula"), example("two", "clavicle")]
        self.drawn, self.written, self.refusal = [], [], None

    def candidates(self, name=None):
        return self.examples

    def thumbnail(self, found, path, size=96):
        self.drawn.append((found.volumeId, found.name))
        path.write_bytes(b"picture")

    def exportExamples(self, examples, name, folder, defer):
        self.written.append((name, [(item.volumeId, item.name) for item in examples]))
        return Export(self._pieces(folder), defer)

    def _pieces(self, folder):
        folder.mkdir(parents=True)
        yield 0.5
        if self.refusal is not None:
            raise self.refusal
        (folder / "manifest.csv").write_text("case")
        return folder


def teaching_session(folder):
    """Return a session with a model of one structure, at the beginning."""
    found = session_in(folder, Bridge())
    found.folder = folder / "models" / "Shoulder"
    found.model = open_model(SUMMARY)
    found.refresh = lambda: True
    found.shown = []
    found.comparing.show = lambda number, result=None: (found.shown.append(number), found.go(State.COMPARING))
    found.home()
    return found


def collected(session):
    session.teaching.begin("Scapula")
    return session.teaching.collecting


def verdicts(*refused, cases=("one", "two")):
    return {
        "cases": [
            {
                "case": case,
                "verdict": "refused" if case in refused else "ok",
                "message": "It is empty." if case in refused else "",
                "structures": ["Scapula"],
            }
            for case in cases
        ]
    }


def prepared(session, until="estimate"):
    """Summarise a step as far as a verb that stays unanswered."""
    collected(session)
    session.teaching.toSummary()
    session.defer.run()
    answers = {"check": verdicts(), "methods": METHODS, "advise": ADVICE}
    for verb, answer in answers.items():
        if verb == until:
            break
        session.worker.last(verb).finish(**answer)
    return session.teaching.summary


def taught(session):
    summary = prepared(session)
    session.worker.last("estimate").finish(**ESTIMATE)
    session.teaching.teach()
    assert summary.task is not None
    return session.worker.last("learn")
