"""A session with the model of two bones, and answers of its worker, for tests of segmenting."""

from pathlib import Path

from panel.noting_bridge import NotingBridge
from scripted_worker import open_model, session_in

HUMERUS, SCAPULA = "a" * 32, "b" * 32


def structure(uuid, name):
    return {"id": uuid, "name": name, "step": 1, "color": [10, 20, 30], "terminology": None}


SUMMARY = {
    "name": "Shoulder",
    "version": 2,
    "structures": [structure(HUMERUS, "humerus"), structure(SCAPULA, "scapula")],
}


def ready_session(folder):
    """Return a session in ``folder`` that is ready to segment."""
    found = session_in(folder, NotingBridge())
    found.model, found.folder = open_model(SUMMARY), folder / "models" / "Shoulder"
    found.home()
    found.segmenting.prepare()
    return found


def start(session):
    """Begin, and let the scan be written; returns the request."""
    session.segmenting.start()
    session.defer.run()
    return session.worker.last("segment")


def answer(session, asked, **changes):
    """End a request as the library does, one file and one map in the output folder."""
    output = Path(asked.arguments["output"])
    output.mkdir()
    names = asked.arguments.get("structures", "humerus, scapula").split(", ")
    files = [output / "scan.seg.nrrd", output / "scan-uncertainty.nrrd"][: 1 + asked.arguments["uncertainty"]]
    for file in files:
        file.write_text("voxels")
    result = {
        "outputs": [str(file) for file in files],
        "scans": ["scan"],
        "structures": {name: {"ml": 41.7 if name == "humerus" else 0.0} for name in names},
        "warnings": [f"scan: {name} was not found." for name in names if name != "humerus"],
        "failed": [],
    }
    asked.finish(**(result | changes))
    session.defer.run()


def leftovers(session):
    session.defer.run()  # files are removed one by one
    return [item for item in session.folders.temporary.rglob("*") if item.is_file()]
