"""Open a model, begin a new one, import or export a package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from IncrementalSegLib.errors import IncrementalSegError, ModelError, OptionError
from IncrementalSegLib.store.reader import ModelReader
from IncrementalSegLib.store.state import MODEL
from IncrementalSegLib.store.unfinished import Unfinished
from IncrementalSegLib.types import Json
from IncrementalSegLib.wire.events import Failed
from IncrementalSegPanel.Failure import Remedy
from IncrementalSegPanel.flows.Context import Context
from IncrementalSegPanel.flows.OpenModel import OpenModel
from IncrementalSegPanel.Names import faultOf
from IncrementalSegPanel.Protocols import Defer, Work
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Translation import _

PACKAGE = ".iseg"
"""Ending of a package."""

SAMPLE = "Sample"
"""Name of the model that the sample teaches."""

_SAMPLE_STRUCTURE = "humerus"
_PLANS, _BUNDLE = "plans.json", Path("configs", "metadata.json")


class Opening:
    """Choose the model that is worked with.

    Args:
        context: Whose model it is.
        teach: Asks for examples of a structure by its name, which may be empty.
        resume: Continues the unfinished step of the model.
        compare: Shows a version by its number.
        adopt: Makes a model of a folder of another program.

    Attributes:
        message: What is being done with a package, or was done last; empty where nothing was.
    """

    def __init__(
        self,
        context: Context,
        teach: Callable[[str], None],
        resume: Callable[[], None],
        compare: Callable[[int], None],
        adopt: Callable[[Path], None],
    ) -> None:
        self._context, self._teach, self._resume, self._compare = context, teach, resume, compare
        self._adopt = adopt
        self._sample: Work | None = None
        self.message = ""

    @property
    def recent(self) -> list[Path]:
        """The models opened before that are still there, the last one first, then others where new ones are kept."""
        models = self._context.folders.models
        found = [path for path in self._context.recent.folders if works(path.is_dir)]
        kept = sorted(models.iterdir()) if works(models.is_dir) else []
        return found + [path for path in kept if path not in found and (_isModel(path) or Unfinished(path).exists)]

    @property
    def obstacle(self) -> str:
        """Why no other model can be opened now; empty where one can."""
        if self._context.state.busy:
            return _("Wait until this is done, or stop it first.")
        if self._context.state in (State.ADOPTING, State.CORRECTING, State.COLLECTING, State.SUMMARY):
            return _("Finish or leave this page first (Esc).")
        return ""

    def start(self) -> None:
        """Open the model of the scene, or else the one used last, or say that there is none."""
        parameters = self._context.parameters
        wanted = Path(parameters.modelFolder) if parameters is not None and parameters.modelFolder else None
        if wanted is not None and wanted != self._context.folder and works(wanted.is_dir):
            self.open(wanted)
        elif self._context.folder is not None:  # another scene; what the panel is doing goes on
            self._context.refresh()
        elif (last := self._context.recent.folders[:1]) and works(last[0].is_dir):
            self.open(last[0])
        else:
            self._arrive()

    def open(self, path: Path) -> None:
        """Open a model by its folder or any file of it; a package is imported first."""
        if self.obstacle:
            return
        if path.suffix == PACKAGE:
            self.importPackage(path)
            return
        folder = next((item for item in (path, *path.parents) if _isModel(item)), path)
        try:
            model = OpenModel.read(folder)
        except IncrementalSegError as error:
            self._offer(folder, error)
            return
        except OSError as error:
            self._context.fail(error)
            return
        self._context.model, self._context.folder, self.message = model, folder, ""
        self._context.remember(folder)
        self._context.dismiss()
        self._arrive()

    def obstacleToName(self, name: str) -> str:
        """Return why a new model cannot have a name; empty where it can."""
        if not name.strip():
            return _("Type a name for the model, for example: Shoulder MR.")
        fault = faultOf(name)
        if not fault and works(self.folderOf(name).exists):
            return _("There is a model called {} already.").format(name.strip())
        return fault

    def folderOf(self, name: str) -> Path:
        """Return where a new model of that name is kept."""
        return self._context.folders.models / name.strip()

    def free(self, name: str) -> Path:
        """Return a folder for a model that does not exist yet."""
        number, folder = 1, self.folderOf(name)
        while folder.exists():
            number += 1
            folder = self.folderOf(f"{name} {number}")
        return folder

    def begin(self, name: str, structure: str = "") -> None:
        """Begin a new model and ask for examples of its first structure; the first step makes its folder.

        Args:
            name: Of the model.
            structure: Name of the structure, where it is known already.
        """
        if not self._context.may(State.COLLECTING):
            return
        obstacle = self.obstacleToName(name)
        if obstacle:
            remedy = (
                Remedy(_("Open it"), lambda: self.open(self.folderOf(name))) if self.folderOf(name).is_dir() else None
            )
            self._context.fail(OptionError(obstacle), remedy)
            return
        self._context.model, self._context.folder, self.message = None, self.folderOf(name), ""
        self._context.dismiss()
        self._teach(structure)

    def trySample(self, load: Callable[[Defer], Work]) -> None:
        """Put the sample into the scene, and begin a model that it teaches or open the one it taught before.

        Args:
            load: Begins to load it, piece by piece.
        """
        if self._sample is not None:
            return
        before = self._context.state
        self._say(_("Loading the sample…"))
        self._sample = work = load(self._context.defer)

        def heard() -> None:
            if not work.done:
                return
            self._sample = None
            self._say("")
            if work.error is not None:
                self._context.fail(work.error)
            elif work.result is None or self._context.state is not before:
                return  # the scene was closed, or a person went on to something else meanwhile
            elif _isModel(self.folderOf(SAMPLE)):
                self.open(self.folderOf(SAMPLE))
            else:
                self.begin(SAMPLE, _SAMPLE_STRUCTURE)

        work.listen(heard)

    def endScene(self) -> None:
        """Let go of a scene that is being closed: the sample is not loaded any further."""
        if self._sample is not None:
            self._sample.cancel()

    def importPackage(self, package: Path) -> None:
        """Make a model of a package and open it."""
        folder, before = self.free(package.stem), self._context.state

        def imported(_summary: Json) -> None:
            if self._context.state is before:
                self.open(folder)
            else:  # a person went on to something else meanwhile
                self._say(_("{} was imported; open {} when you are done here.").format(package.name, folder.name))

        self._say(_("Importing {}…").format(package.name))
        self._ask("import", {"package": str(package), "model": str(folder)}, imported)

    def exportPackage(self, package: Path) -> None:
        """Write the version in use as a package, without images."""
        if self._context.folder is None:
            return
        self._say(_("Exporting {}…").format(package.name))
        arguments = {"model": str(self._context.folder), "package": str(package)}
        self._ask("export", arguments, lambda summary: self._say(_exported(summary)))

    def _arrive(self) -> None:
        """Show the model; the page that installs what is missing stays."""
        if self._context.state.page == "EnvironmentPage":
            self._context.changed()
        else:
            self._context.home()

    def _offer(self, folder: Path, error: IncrementalSegError) -> None:
        """Say why a model cannot be opened; one that has no version in use yet can be gone on with."""
        what, versions = _("{} has no version in use yet.").format(folder.name), ModelReader(folder).numbers()
        if Unfinished(folder).exists:
            error = ModelError(what, _("Its first step is not finished."))
            remedy = Remedy(_("Resume"), lambda: self._goOn(folder, self._resume))
        elif _isModel(folder) and versions and not ModelReader(folder).current:
            error = ModelError(what, _("Its first version waits for your decision."))
            remedy = Remedy(_("Look at it"), lambda: self._goOn(folder, lambda: self._compare(versions[-1])))
        elif works(lambda: _isTrained(folder)):
            error = ModelError(_("{} comes from another program.").format(folder.name))
            remedy = Remedy(_("Adopt it"), lambda: self._adopt(folder))
        else:
            remedy = None
        self._context.fail(error, remedy)

    def _goOn(self, folder: Path, act: Callable[[], None]) -> None:
        self._context.model, self._context.folder, self.message = None, folder, ""
        self._context.home()  # from where every way leads on
        act()

    def _ask(self, verb: str, arguments: Json, done: Callable[[Json], None]) -> None:
        def failed(error: Failed) -> None:
            self.message = ""
            self._context.fail(error)

        self._context.ask(verb, arguments, done, failed=failed)

    def _say(self, text: str) -> None:
        self.message = text
        self._context.changed()


def _isModel(folder: Path) -> bool:
    return works((folder / MODEL).is_file)


def _isTrained(folder: Path) -> bool:
    """Return whether a folder is a MONAI bundle, or nnU-Net's plans lie in it or not far below."""
    return (folder / _BUNDLE).is_file() or any(
        next(folder.glob(below + _PLANS), None) is not None for below in ("", "*/", "*/*/")
    )


def works(test: Callable[[], bool]) -> bool:
    """Look at the disk; what cannot be looked at, or has no possible name, is not there."""
    try:
        return test()
    except OSError:
        return False


def _exported(summary: Json) -> str:
    """Say what was written, and that no image is in it."""
    text = _("Exported to {path} ({size:.1f} MB). It holds no images.")
    return text.format(path=summary["path"], size=summary["bytes"] / 1e6)
