"""The versions of a model as the panel lists them, and what distinguishes two of them."""

from __future__ import annotations

from dataclasses import dataclass

from IncrementalSegLib.types import Json
from IncrementalSegPanel.Translation import _
from IncrementalSegPanel.Wording import signed

_STATUS = {
    "current": lambda: _("in use"),
    "accepted": lambda: _("was in use"),
    "candidate": lambda: _("waits for you"),
    "rejected": lambda: _("discarded"),
}
_EDITS = {
    "pin": lambda step: _("pinned an exemplar"),
    "ban": lambda step: _("banned an exemplar"),
    "unpin": lambda step: _("unpinned an exemplar"),
    "unban": lambda step: _("lifted the ban on an exemplar"),
    "budget": lambda step: _("at most {total} exemplars").format(total=step["total"]),
    "remember": lambda step: _("chose exemplars again"),
    "rename": lambda step: _("renamed {old}").format(old=step["old"]),
    "remove": lambda step: _("removed {old}").format(old=step["old"]),
}


@dataclass(frozen=True)
class Version:
    """One version.

    Attributes:
        number: From 1.
        status: ``current``, ``accepted`` (was in use), ``candidate`` or ``rejected``.
        done: What made it, as a phrase.
        date: When, ``YYYY-MM-DD``.
        held: Names of the structures for which the gate held it back.
        taught: It was made by teaching; else by an edit that shares all weights with the version before.
        learned: Dice of the structures that it was taught, in sentences.
    """

    number: int
    status: str
    done: str
    date: str
    held: tuple[str, ...] = ()
    taught: bool = True
    learned: str = ""

    @classmethod
    def of(cls, record: Json) -> Version:
        """Read a record as the verb ``versions`` gives it."""
        return cls(
            record["number"],
            record["status"],
            _done(record),
            record["created"][:10],
            tuple(record["held_back_by"]),
            record["kind"] == "step",
            _learned(record) if record["kind"] == "step" else "",
        )

    @property
    def standing(self) -> str:
        """The status in words."""
        return _STATUS[self.status]()

    @property
    def reason(self) -> str:
        """Its origin, its status, and the reasons why the gate held it back."""
        said = _("Version {number} {done}: {standing}.").format(
            number=self.number, done=self.done, standing=self.standing
        )
        if not self.held:
            return said
        return said + " " + _("It was held back because of {names}.").format(names=", ".join(self.held))


def differences(diff: Json) -> list[str]:
    """Say what the verb ``diff`` found between the version in use and another one, in sentences.

    Args:
        diff: ``first`` is the version in use.
    """
    first, second, names = diff["first"], diff["second"], diff["structures"]
    said = [
        _("Version {number} knows {names} too.").format(number=side["number"], names=", ".join(names[key]))
        for side, key in ((second, "added"), (first, "removed"))
        if names[key]
    ]
    said += [_("{old} is called {new}.").format(old=old, new=new) for old, new in names["renamed"]]
    for name in names["kept"]:
        old, new = first["structures"][name], second["structures"][name]
        if old is not None and new is not None and round(old, 2) != round(new, 2):
            said.append(
                _("{name}: Dice {old:.2f} → {new:.2f} ({points} points).").format(
                    name=name, old=old, new=new, points=signed((new - old) * 100)
                )
            )
    if first["exemplars"] != second["exemplars"]:
        said.append(_("Exemplars: {old} → {new}.").format(old=first["exemplars"], new=second["exemplars"]))
    title = _("Against version {number}, which is in use:").format(number=first["number"])
    return [title, *(said or [_("Both outline the same structures equally well.")])]


def _names(record: Json) -> dict[str, str]:
    return {item["id"]: item["name"] for item in record["structures"]}


def _learned(record: Json) -> str:
    """Say how well a step's structures are outlined in its held-out scans."""
    said, names = [], _names(record)
    for item, score in record["scores"].items():
        if score["validation_dice"] is None:
            text = _("Learned: {name}. No held-out scan shows it, so that its Dice is not known.")
        elif score["cases"] == 1:
            text = _("Learned: {name}, Dice {dice:.2f} (1 held-out scan).")
        else:
            text = _("Learned: {name}, Dice {dice:.2f} ({count} held-out scans).")
        if item in names:
            said.append(text.format(name=names[item], dice=score["validation_dice"], count=score["cases"]))
    return " ".join(said)


def _done(record: Json) -> str:
    step, names = record["step"], _names(record)
    if (action := step.get("action")) is not None:
        return _EDITS[action](step) if action in _EDITS else action
    if corrected := step.get("corrected"):
        text = _("learned from corrections of {count} scans")
        return (_("learned from corrections of 1 scan") if len(corrected) == 1 else text).format(count=len(corrected))
    improved = set(step.get("improved", ()))
    listed = ", ".join(names[item] for item in step.get("taught", ()) if item in names)
    text = _("improved {names}") if improved and improved == set(step["taught"]) else _("taught {names}")
    return text.format(names=listed or _("a structure removed since"))
