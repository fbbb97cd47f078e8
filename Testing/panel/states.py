"""The panel in each of its states, with names as long as people and scanners make them."""

from dataclasses import replace
from types import SimpleNamespace

import qt
import slicer
from IncrementalSegPanel.Failure import Failure, Remedy
from IncrementalSegPanel.flows import Installing as installing_module
from IncrementalSegPanel.Panel import Panel
from IncrementalSegPanel.Parameters import IncrementalSegParameterNode
from IncrementalSegPanel.scene.SceneBridge import SceneBridge
from IncrementalSegPanel.State import State
from panel import adopting_tasks
from panel.correcting_tasks import Hand, status
from panel.environments import COMPUTER, SLICER, Recorder
from panel.shoulders import summary
from panel.teaching_tasks import ADVICE, ESTIMATE, METHODS, verdicts
from phantom_scene import add_shoulder
from recordings import read
from retention_reports import AGREES, HARMED, IMPROVED, KEPT, LINEAGE, PROXY, UNKNOWN, UNSURE, report
from scripted_worker import open_model, session_in

from IncrementalSegLib.wire import events

LONG = "ThoraxAbdomen_portalvenous_1.5mm_B30f_thickslab_reconstruction"
STRUCTURE = "Musculus_supraspinatus_tendon_insertion_left_anterior_part"
KNOWN = "Ligamentum_coracohumerale_superior_and_inferior_bundle_left"
SENTENCE = f"The file /studies/of/a/hospital/{LONG}/{LONG}.nii.gz has no voxels of what is called “{STRUCTURE}”."
DEVICE = "NVIDIA GeForce RTX 4070 Laptop GPU, 8 GB, is ready; the last check of it took a few seconds."


def picture(folder, name="slice.png", side=192):
    """Return the path of a grey picture."""
    made = qt.QPixmap(side, side)
    made.fill(qt.QColor(110, 110, 110))
    made.save(str(folder / name))
    return str(folder / name)


class Stage:
    """A panel with a scripted worker, brought into a state by its methods.

    Args:
        folder: For files.
        monkeypatch: For what is installed.
    """

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        self.session = session_in(folder, SceneBridge())
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
        self.session.parameters = IncrementalSegParameterNode(node)
        self.session.refresh = lambda: True
        self.panel = Panel(self.session, settle=0.0)

    @property
    def page(self):
        return self.panel.page

    def model(self, **changes):
        """Open a model with long names."""
        named = summary(name=f"Shoulder {LONG}", output="heads", **changes)
        named["structures"][0]["name"] = KNOWN
        self.session.model, self.session.folder = open_model(named), self.folder / LONG
        self.session.opening.message = f"{LONG}.iseg was written: 12.4 MB."
        self.session.home()

    def environment(self, **changes):
        self.monkeypatch.setattr(installing_module, "installedPackages", lambda: dict(SLICER))
        flow = self.session.installing
        flow.installer = Recorder(self._computer(changes))
        flow.look()
        if flow.installer.seek is not None and "gpus" not in changes:
            flow.installer.seek(flow.installer.computer.gpus)
        return flow

    def _computer(self, changes):
        return replace(COMPUTER, **changes)

    def scans(self):
        for number, name in enumerate((LONG, "Bert", "Carl", "Dora", "Emil", "Fritz"), 1):
            outlines = {STRUCTURE: "scapula"} | ({"Upper arm": "humerus"} if number != 2 else {})
            add_shoulder(name, number, outlines, (8, 64, 64))

    def collect(self):
        self.model()
        self.scans()
        self.session.teaching.begin(STRUCTURE)
        self.session.defer.run()

    def summary(self, **changes):
        self.model(**changes)
        self.scans()
        self.session.teaching.begin(STRUCTURE)
        self.session.teaching.toSummary()
        self.session.defer.run()
        worker = self.session.worker
        worker.last("check").finish(**verdicts())
        worker.last("methods").finish(**METHODS)

    def priced(self):
        worker = self.session.worker
        worker.last("advise").finish(**(ADVICE | {"reasons": [SENTENCE, "It keeps more."]}))
        worker.last("estimate").finish(**(ESTIMATE | {"device": DEVICE}))

    def teach(self):
        self.summary()
        self.priced()
        self.session.teaching.teach()
        asked = self.session.worker.last("learn")
        asked.say(events.Progressed("", "training", 0.6, 420.0, {"loss": 0.4}))
        for share, dice, change in ((0.2, 0.31, -0.2), (0.4, 0.66, -1.4), (0.6, 0.78, -0.9)):
            asked.say(events.Metric("", "dice", dice, "training", share, STRUCTURE))
            asked.say(events.Metric("", "worst_change", change, "training", share, STRUCTURE))
        asked.say(events.Preview("", "learning", picture(self.folder), f"{STRUCTURE} in {LONG}, slice 6"))

    def compare(self, *rows, pictures=True):
        self.model()
        self.session.bridge.volumeOf = lambda case: None
        self.session.comparing.show(3, {"version": 3, "retention": report(*rows)})
        self.session.worker.last("versions").finish(**LINEAGE)
        self.structure = rows[0].structure
        if pictures:
            self.drawn()

    def drawn(self):
        own = {"structure": self.structure, "dice": [0.85, 0.7], "position": None, "images": []}
        own |= {"before": picture(self.folder, "b.png"), "after": picture(self.folder, "a.png"), "case": LONG}
        self.session.worker.last("compare_pictures").finish(pictures=[own])

    def review(self, complete=True):
        self.model()
        self.session.reviewing.show()
        self._recorded("exemplars")
        if complete:
            self.reviewed()

    def _recorded(self, verb):
        self.session.worker.last(verb).play(next(item for item in read("exemplars") if item.verb == verb))

    def reviewed(self):
        self._recorded("privacy")
        names = {item.id: picture(self.folder, "x.png") for item in self.session.reviewing.exemplars}
        self.session.worker.last("thumbnails").finish(thumbnails=names)
        self.session.reviewing.choose(self.session.reviewing.shown[0].id)


def missing(stage):
    stage.environment()


def missing_with_little(stage):
    stage.environment(free=0.2)


def installing(stage):
    flow = stage.environment()
    flow.install()
    flow.installer.log(f"Collecting {LONG} from https://files.example.org/{LONG * 3}.whl")


def restart_needed(stage):
    flow = stage.environment()
    flow.stale = ["numpy", "typing-extensions", STRUCTURE]
    stage.session.go(State.RESTART_NEEDED)


def unsupported(stage):
    stage.environment(system="Darwin", processor="x86_64")


def no_model(stage):
    stage.session.model = None
    stage.session.home()


def another_model(stage):
    stage.model()
    for name in ("one", "two", LONG):
        (stage.folder / name).mkdir()
    opening = type(stage.session.opening)
    stage.monkeypatch.setattr(opening, "recent", [stage.folder / name for name in ("one", "two", LONG)])
    stage.session.go(State.NO_MODEL)


def adopting(stage):
    stage.session.adopting.begin(stage.folder / LONG)
    asked = stage.session.worker.last("adoptable")
    asked.say(events.Progressed("", "reading", 0.4, 90.0, {}))


def adopting_asks(stage):
    adopting(stage)
    parts = [(f"TotalSegmentator {LONG}", "/a"), ("TotalSegmentator ribs", "/b")]
    stage.session.worker.last("adoptable").finish(**adopting_tasks.found(*parts))


def adopting_found(stage):
    adopting_asks(stage)
    stage.session.adopting.choose("TotalSegmentator ribs")
    network = adopting_tasks.network(*(f"{STRUCTURE}_{number}" for number in range(20)), overlapping=True)
    network["origin"] = adopting_tasks.origin(folds=list("01234"), license=SENTENCE, channels=[LONG, "CT"])
    stage.session.worker.last("adoptable").finish(
        **adopting_tasks.found(("TotalSegmentator ribs", "/b"), network=network)
    )


def ready(stage):
    stage.model(candidates=[4])
    scan, _outlines = add_shoulder(LONG, 1, {"humerus": "humerus"}, (4, 16, 16))
    stage.panel.render()
    stage.session.segmenting.chooseVolume(scan)
    stage.session.worker.last("doctor").finish(device=DEVICE)
    stage.session.device = DEVICE


def segmenting(stage):
    ready(stage)
    stage.panel.render()
    stage.session.segmenting.start()
    stage.session.defer.run()
    stage.session.worker.last("segment").say(events.Progressed("", "segmenting", 0.4, 90.0, {}, LONG))


def done(stage):
    from panel.shoulders import result

    ready(stage)
    stage.session.model = open_model(summary(candidates=[4]))  # with the names of the file that the worker writes
    stage.panel.render()
    stage.session.segmenting.start()
    stage.session.defer.run()
    scan = stage.session.segmenting.volume
    known = {head.name: 20.0 for head in stage.session.model.heads[:2]}
    result(SimpleNamespace(session=stage.session, scan=scan), known)


def done_comparing(stage):
    done(stage)
    names = summary(candidates=[4], output="embedding")
    names["structures"][0]["name"] = KNOWN
    stage.session.model = open_model(names)
    stage.session.segmenting.showSimilarity(stage.session.model.heads[0])


def correcting(stage):
    done(stage)
    stage.session.correcting.begin(stage.session.segmenting.volume, shown=True)
    hand = Hand(stage.session, summary())
    hand.introduce()
    hand.outlined(centres=[(number, number, 1) for number in range(16)], warnings=[SENTENCE])
    stage.session.correcting.spots.choose(3)
    stage.session.correcting.session.take(status(12, (LONG, 7, 0.81), ("Bert", 5, None)))


def correcting_round(stage):
    correcting(stage)
    hand = Hand(stage.session, summary())
    hand.paint()
    stage.session.correcting.refine()
    hand.settle()
    hand.last("correct").say(events.Progressed("", "training", 0.4, 12.0))


def correcting_asks(stage):
    correcting(stage)
    stage.session.correcting.session.confirm()


def correcting_without_scan(stage):
    stage.model()
    stage.session.correcting.begin(None)


def choosing_scan(stage):
    stage.model()
    for number, name in enumerate((LONG, "Bert", "Carl", "Dora", "Emil"), 1):
        add_shoulder(name, number, {"humerus": "humerus"}, (4, 16, 16))
    stage.session.correcting.begin(None)
    queue, reason = stage.session.correcting.queue, "mean uncertainty of the structures and their boundary: 0.62"
    queue.rank()
    for priority in (0.3, 0.6, -0.2):
        stage.session.defer.run()
        stage.session.worker.last("suggest").finish(scans=[{"priority": priority, "reason": f"{reason}; {priority}"}])
    queue.finish(queue.rows[2].volume)


def collecting(stage):
    stage.collect()


def collecting_known(stage):
    stage.collect()
    stage.session.teaching.collecting.setName(KNOWN)


def summary_measured(stage):
    stage.summary()
    stage.priced()


def summary_advanced(stage):
    stage.summary(unfinished={"structures": [STRUCTURE], "fraction": 0.4})
    stage.priced()
    stage.session.teaching.summary.setMethod("aeiseg")
    stage.panel.render()
    stage.page.ui.advancedSection.collapsed = stage.page.ui.reasonsSection.collapsed = False


def teaching(stage):
    stage.teach()


def teaching_asks(stage):
    stage.teach()
    stage.session.teaching.learning.askStop()


def teaching_confirms(stage):
    stage.teach()
    stage.session.teaching.learning.askStop()
    stage.session.teaching.learning.askDiscard()


def comparing(stage):
    stage.compare(KEPT, UNSURE, IMPROVED, PROXY, AGREES, UNKNOWN)


def held_back(stage):
    long = replace(HARMED, structure=STRUCTURE)
    stage.compare(long, KEPT)
    stage.session.comparing.choose(0)
    stage.session.comparing.ask(True)
    stage.panel.render()
    stage.page.ui.versionsSection.collapsed = False


def reviewing(stage):
    stage.review()


def failed(stage):
    ready(stage)
    stage.session.failure = Failure(
        SENTENCE, SENTENCE, SENTENCE, "report", Remedy("Try again with the preset quick", id)
    )
    for number in range(6):
        stage.session.warn(f"{number}: {SENTENCE}")


STATES = {
    made.__name__: made
    for made in (
        missing, missing_with_little, installing, restart_needed, unsupported, no_model, another_model, adopting,
        adopting_asks, adopting_found, ready, segmenting, done, done_comparing, correcting, correcting_round,
        correcting_asks, correcting_without_scan, choosing_scan, collecting, collecting_known, summary_measured,
        summary_advanced, teaching, teaching_asks, teaching_confirms, comparing, held_back, reviewing, failed,
    )
}  # fmt: skip
