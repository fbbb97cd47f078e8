"""``incrementalseg doctor``: the abilities of this computer, and the facts that a report of a fault needs."""

from __future__ import annotations

from IncrementalSegLib.cli.output import AsJson, print_json, print_table, say
from IncrementalSegLib.types import Json


def command(as_json: AsJson = False) -> None:
    """Show device, libraries and disk, and check that convolutions are computed correctly."""
    from IncrementalSegLib.engine.doctor import examine

    found = examine()
    if as_json:
        print_json(found)
        return
    print_table("This computer", ("", ""), _rows(found))
    for text in found["warnings"]:
        say(f"Note: {text}")


def _rows(found: Json) -> list[tuple[str, object]]:
    libraries = ("libraries", ", ".join(f"{name} {version}" for name, version in found["libraries"].items() if version))
    if "device" not in found:
        return [libraries]
    from IncrementalSegLib.engine.doctor import TOLERANCE

    off, memory, free = found["convolution_error"], found["memory_gb"], found["memory_free_gb"]
    verdict = "correct" if off <= TOLERANCE else "WRONG"
    return [
        ("system", found["system"]),
        ("device", found["device"]),
        ("memory", f"{memory or '?'} GB, {free or '?'} GB free"),
        ("arithmetic", {"bf16-mixed": "16 and 32 bits (bf16-mixed)"}.get(found["precision"], "32 bits")),
        ("convolutions", f"{verdict}: {off:.1%} off in 16 bits, up to {TOLERANCE:.0%} is normal"),
        ("threads", found["threads"]),
        ("priority", f"low (nice {found['nice']})" if found["nice"] else "normal"),
        ("disk", f"{found['disk_free_gb']} GB free"),
        ("methods", ", ".join(found["methods"])),
        libraries,
    ]
