"""Numbers and phases as people say them."""

from __future__ import annotations

from IncrementalSegLib.errors import CommandRef, OptionRef
from IncrementalSegLib.progress import Phase, rounded
from IncrementalSegPanel.Translation import _

_PHASES: dict[str, str] = {
    Phase.STARTING: _("Starting"),
    Phase.LOADING: _("Loading the model"),
    Phase.READING: _("Reading"),
    Phase.CHECKING: _("Checking"),
    Phase.SURVEYING: _("Looking at the scans"),
    Phase.MEASURING: _("Trying a few steps"),
    Phase.PREPARING: _("Preparing"),
    Phase.TRAINING: _("Learning"),
    Phase.REMEMBERING: _("Preparing later steps"),
    Phase.CHECKING_OLD: _("Checking older structures"),
    Phase.SAVING: _("Saving"),
    Phase.SEGMENTING: _("Segmenting"),
    Phase.DRAWING: _("Drawing"),
}
"""The words of :func:`~IncrementalSegLib.progress.phrase`, as texts that Slicer can translate; a test compares them."""

_CONTROLS = {
    "cases": _("the check mark in front of it"),
    "improve": _("“Improve it”"),
    "restart": _("“Discard it and start again”"),
}
_TITLES = {
    "device": _("Device"),
    "method": _("Method"),
    "network": _("Network"),
    "preset": _("Size and schedule"),
    "seed": _("Seed"),
}
_BUTTONS = {
    "check": _("“Continue”"),
    "discard_corrections": _("“Discard…”"),
    "doctor": _("“Copy report”"),
    "keep_corrections": _("“Keep what was learned”"),
    "learn": _("“Teach”"),
    "methods": _("“Method”"),
    "resume": _("“Resume”"),
    "rollback": _("“Versions…”"),
}


def controlWords(step: OptionRef | CommandRef) -> str:
    """Return what an option or a command that a message names is called in this panel; what it lacks, as in Python.

    Example:
        >>> controlWords(OptionRef("device", "cpu")), controlWords(CommandRef("resume"))
        ('“Device: cpu”', '“Resume”')
    """
    if isinstance(step, CommandRef):
        return _BUTTONS.get(step.verb, str(step))
    if step.name in _TITLES:
        title = _TITLES[step.name]
        return f"“{title}”" if step.value is None else f"“{title}: {step.value}”"
    return _CONTROLS.get(step.name, str(step))


def phaseWords(key: str) -> str:
    """Return a phase of the worker in words; one that this panel does not know as it is.

    Example:
        >>> phaseWords("checking_old"), phaseWords("of a newer worker")
        ('Checking older structures', 'of a newer worker')
    """
    return _PHASES.get(key, key)


def duration(seconds: float) -> str:
    """Return a duration in words, rounded to what a person can use.

    Example:
        >>> duration(43), duration(380), duration(7300)
        ('about 45 s', 'about 6 min', 'about 2 h')
    """
    number, unit = rounded(seconds)
    if not number:
        return _("a few seconds")
    words = {"s": _("about {:g} s"), "min": _("about {:g} min"), "h": _("about {:g} h"), "days": _("about {:g} days")}
    return words[unit].format(number)


def millilitres(value: float) -> str:
    """Return a volume as people read it; small ones keep two figures.

    Example:
        >>> millilitres(1523.4), millilitres(4.271), millilitres(0.042)
        ('1523 ml', '4.3 ml', '0.042 ml')
    """
    if value >= 100:
        return _("{} ml").format(round(value))
    return _("{} ml").format(f"{value:.1f}" if value >= 1 else f"{value:.2g}")


def signed(points: float) -> str:
    """Return points of Dice with their sign, using the typographic minus.

    Example:
        >>> signed(-3.14), signed(0.04), signed(2)
        ('−3.1', '0.0', '+2.0')
    """
    text = f"{points:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "−")


def size(count: int) -> str:
    """Return a number of bytes as people read it.

    Example:
        >>> size(93_000), size(2_340_000)
        ('93 kB', '2.3 MB')
    """
    return _("{} MB").format(f"{count / 1e6:.1f}") if count >= 1e5 else _("{} kB").format(round(count / 1e3))
