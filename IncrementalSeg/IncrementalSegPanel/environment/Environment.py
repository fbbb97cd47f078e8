"""The worker's requirements on this computer: present, missing, and the cost of installing them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from IncrementalSegPanel.environment.Machine import Machine, found
from IncrementalSegPanel.State import State
from IncrementalSegPanel.Translation import _

TORCH = Requirement("torch>=2.8,!=2.9.*")
"""2.9 computes 3-D convolutions wrongly."""

BUILDS = "https://download.pytorch.org/whl"
"""Where PyTorch keeps its builds by graphics card; PyPI has one for each system only."""

REQUIREMENTS = Path(__file__).resolve().parents[2] / "Resources" / "requirements.txt"
"""Requirements beside PyTorch."""

SLICERS_OWN = frozenset({"numpy", "packaging", "pillow", "pydicom", "requests", "scipy", "simpleitk", "vtk"})
"""Packages that Slicer itself is built on: never installed, never replaced."""

LOWEST_DRIVER = {"Linux": (525, 60), "Windows": (528, 33)}
"""NVIDIA driver that CUDA 12, which every PyTorch from 2.8 on is built for, needs at least."""

ELSEWHERE = "python -m pip install git+https://github.com/IncrementalSeg/SlicerIncrementalSeg"
DRIVERS = "https://www.nvidia.com/drivers"


@dataclass(frozen=True)
class EnvironmentReport:
    """Findings on this computer.

    Attributes:
        state: ``READY``, ``NOTHING_INSTALLED`` or ``UNSUPPORTED``.
        title: In a few words.
        sentence: What it means.
        facts: What to know before installing: name and sentence.
        torch: Whether PyTorch is missing or of the wrong version.
        packages: Other requirements that are missing.
        obstacle: Why nothing can be downloaded and installed now; empty where it can.
        folderObstacle: Why nothing can be installed from a folder now; empty where it can.
        command: What works instead, for a command line.
        link: Page that helps; may be empty.
    """

    state: State
    title: str = ""
    sentence: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    torch: bool = False
    packages: tuple[Requirement, ...] = ()
    obstacle: str = ""
    folderObstacle: str = ""
    command: str = ""
    link: str = ""


def requirements() -> list[Requirement]:
    """Return the requirements of the library beside PyTorch."""
    lines = (line.strip() for line in REQUIREMENTS.read_text(encoding="utf-8").splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def examine(machine: Machine, installed: Mapping[str, str]) -> EnvironmentReport:
    """Say what this computer lacks and what installing it would mean.

    Args:
        machine: The computer.
        installed: Version of every package, by its canonical name.

    Returns:
        The report; without a graphics card looked for, installing has to wait.
    """
    torch = not fits(TORCH, installed)
    lacking = [one for one in requirements() if not fits(one, installed)]
    packages = tuple(one for one in lacking if canonicalize_name(one.name) not in SLICERS_OWN)
    tooOld = [one for one in lacking if one not in packages]
    if not torch and not lacking:
        return EnvironmentReport(State.READY)
    unsupported = _unsupported(machine, tooOld, torch)
    if unsupported is not None:
        return unsupported
    return EnvironmentReport(
        State.NOTHING_INSTALLED,
        title=_("Some libraries are missing"),
        sentence=_("IncrementalSeg computes with libraries that Slicer does not bring. They are installed once, now."),
        facts=tuple(_facts(machine, installed, torch, packages)),
        torch=torch,
        packages=packages,
        obstacle=_noRoom(machine, torch) or _notYet(machine, torch),
        folderObstacle=_noRoom(machine, torch),
    )


def fits(requirement: Requirement, installed: Mapping[str, str]) -> bool:
    """Return whether a package is there in a version that will do; Slicer's own may be pre-releases, or unnamed."""
    name = canonicalize_name(requirement.name)
    version = installed.get(name)
    if version is None and name in SLICERS_OWN:
        return found(requirement.name)
    return version is not None and requirement.specifier.contains(version, prereleases=True)


def constraints(installed: Mapping[str, str]) -> list[str]:
    """Return the lines of a constraints file that keep Slicer's own packages, and a PyTorch that fits, as they are."""
    kept = [*SLICERS_OWN, *(("torch", "torchvision") if fits(TORCH, installed) else ())]
    return sorted(f"{name}=={installed[name]}" for name in kept if name in installed)


def _unsupported(machine: Machine, tooOld: list[Requirement], torch: bool) -> EnvironmentReport | None:
    """Return the report where this Slicer on this computer can never work, or ``None``."""
    command, link = ELSEWHERE, ""
    if machine.system == "Darwin" and machine.processor == "x86_64":
        title = _("PyTorch no longer exists for Macs with an Intel processor")
        sentence = _("Models can be looked at here. To segment and to teach, use another computer:")
    elif not machine.avx:
        title = _("The processor of this computer is too old for PyTorch")
        sentence = _(
            "It lacks AVX instructions. Models can be looked at here. To segment and to teach, use another computer:"
        )
    elif not machine.packaging or tooOld:
        title = _("This Slicer is too old")
        sentence = _(
            "Slicer 5.12 or newer is needed; models can be looked at here. Without Slicer, the command line works:"
        )
        link = "https://download.slicer.org"
    elif torch and (driver := _oldDriver(machine)):
        floor = ".".join(map(str, LOWEST_DRIVER[machine.system]))
        title = _("The NVIDIA driver is too old")
        sentence = _(
            "Driver {driver} is installed, PyTorch needs {floor} or newer. Update the driver and start Slicer again. "
            "To work without the graphics card instead, run this and open the panel again:"
        ).format(driver=driver, floor=floor)
        command = f'"{machine.python}" -m pip install "{TORCH}" --index-url {BUILDS}/cpu'
        link = DRIVERS
    else:
        return None
    return EnvironmentReport(State.UNSUPPORTED, title=title, sentence=sentence, command=command, link=link)


def _facts(
    machine: Machine, installed: Mapping[str, str], torch: bool, packages: tuple[Requirement, ...]
) -> Iterable[tuple[str, str]]:
    names = [*(["PyTorch"] if torch else []), *(one.name for one in packages)]
    download, disk = _sizes(machine, torch)
    yield _("To install"), ", ".join(names)
    yield (
        _("Size"),
        _("About {download} GB to download, {disk} GB on the disk (estimates); {free:.0f} GB are free.").format(
            download=download, disk=disk, free=machine.free
        ),
    )
    yield _("Graphics card"), _graphics(machine)
    replaced = [f"{one.name} {installed[name]}" for one in (TORCH, *packages) if (name := _has(one, installed))]
    yield _("What changes"), _changes(replaced)
    yield _("Privacy"), _("Nothing leaves this computer: libraries are downloaded, nothing is sent.")
    yield (
        _("Licences"),
        _("Free software (BSD, MIT, Apache); NVIDIA's libraries, where needed, under NVIDIA's licence."),
    )


def _has(requirement: Requirement, installed: Mapping[str, str]) -> str:
    """Return the name of a package that is there in a version that will not do; else an empty text."""
    name = canonicalize_name(requirement.name)
    return name if name in installed and not fits(requirement, installed) else ""


def _changes(replaced: list[str]) -> str:
    kept = _(
        "Libraries are added to Slicer's own Python; small ones may get another version. "
        "NumPy, SciPy, SimpleITK, VTK and pip stay as they are."
    )
    if not replaced:
        return kept
    return _("{kept} Replaced, for other extensions too: {names}.").format(kept=kept, names=", ".join(replaced))


def _graphics(machine: Machine) -> str:
    if machine.system == "Darwin":
        return _("On a Mac everything is computed by the processor, which takes longer.")
    if machine.gpus is None:
        return _("Looking for it …") + "\n"  # what is said then takes two lines, and moves nothing below
    if not machine.gpus:
        return _("No NVIDIA card: the processor computes, which takes longer.")
    return "; ".join(
        _("{name}, {memory:.0f} GB, driver {driver}").format(name=gpu.name, memory=gpu.memory, driver=gpu.driver)
        for gpu in machine.gpus
    )


def _sizes(machine: Machine, torch: bool) -> tuple[float, float]:
    """Return GB to download and GB on the disk: estimates on the high side."""
    if not torch:
        return 0.1, 0.2
    return (3.5, 8) if machine.gpus else (0.4, 1.5)


def _noRoom(machine: Machine, torch: bool) -> str:
    disk = _sizes(machine, torch)[1]
    if machine.free < disk:
        return _("{disk} GB are needed on the disk, {free:.1f} GB are free.").format(disk=disk, free=machine.free)
    if not machine.writable:
        return _(
            "You may not write into Slicer's folder. Start Slicer as administrator, or install it in your own folder."
        )
    return ""


def _notYet(machine: Machine, torch: bool) -> str:
    if torch and machine.gpus is None:
        return _("One moment: the graphics card is being looked for.")
    return ""


def _oldDriver(machine: Machine) -> str:
    floor = LOWEST_DRIVER.get(machine.system)
    for gpu in machine.gpus or ():
        parts = tuple(int(part) for part in gpu.driver.split(".") if part.isdigit())
        if floor is not None and parts < floor:
            return gpu.driver
    return ""
