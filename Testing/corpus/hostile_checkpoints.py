"""Checkpoints that must not be adopted, each with a part of the reason that is given."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Saved = dict[str, Any]


@dataclass(frozen=True)
class HostileCheckpoint:
    """A checkpoint to refuse.

    Attributes:
        name: What is wrong with it.
        reason: Part of the message.
        write: Writes it to a path, from an honest checkpoint.
    """

    name: str
    reason: str
    write: Callable[[Saved, Path], None]


class Command:
    """A pickle of it runs a command when it is loaded by a careless program."""

    def __reduce__(self):
        return os.system, ("echo taken > taken.txt",)


class Evaluated:
    """A pickle of it evaluates a text."""

    def __reduce__(self):
        return eval, ("__import__('pathlib').Path('taken.txt').write_text('x')",)


class Written:
    """A pickle of it opens a file to write."""

    def __reduce__(self):
        return open, ("taken.txt", "w")


class Connected:
    """A pickle of it opens a connection."""

    def __reduce__(self):
        import socket

        return socket.create_connection, (("127.0.0.1", 9),)


def hostile_checkpoints() -> Iterator[HostileCheckpoint]:
    """Yield checkpoints, each wrong in one way."""
    for kind in (Command, Evaluated, Written, Connected):
        yield _changed(f"code: {kind.__name__}", "does not write", _at("logging", kind))
    yield _changed(
        "code among the weights", "does not write", lambda saved: saved["network_weights"].update(x=Command())
    )
    yield _changed("code in a tensor", "does not write", lambda saved: saved.update(extra=[Evaluated()]))
    yield HostileCheckpoint("a plain pickle", "not the zip archive", _plain_pickle)
    yield HostileCheckpoint("an older form of torch", "not the zip archive", _legacy)
    yield HostileCheckpoint("no bytes", "not the zip archive", lambda saved, path: path.write_bytes(b"") and None)
    yield HostileCheckpoint("a truncated file", "not the zip archive", _truncated)
    yield HostileCheckpoint("a compressed bomb", "compressed", _bomb)
    yield HostileCheckpoint("a member twice", "twice", _twice)
    yield HostileCheckpoint("a path out of its folder", "folder", _outside)
    yield HostileCheckpoint("an archive of code", "TorchScript", _script)
    yield _changed(
        "a tensor that repeats one number",
        "claims",
        _weights(lambda old: old[:1, :1].expand(10**6, 10**6, *old.shape[2:])),
    )
    yield _changed("NaN", "NaN or an infinity", _weights(lambda old: old.clone().fill_(float("nan"))))
    yield _changed("an infinity", "NaN or an infinity", _weights(lambda old: old.clone().fill_(float("inf"))))
    yield _changed("whole numbers", "type torch.int64", _weights(lambda old: old.long()))
    yield _changed("a sparse tensor", "", _weights(lambda old: old.to_sparse()))
    yield _changed("a tensor without numbers", "", _weights(lambda old: old.to("meta")))
    yield _changed("another shape", "instead of", _weights(lambda old: old[:, :, :, :1]))
    yield _changed("a scalar", "instead of", _weights(lambda old: torch.tensor(1.0)))
    yield _changed("a text for a tensor", "no plain tensor", _weights(lambda old: "weights"))
    yield _changed(
        "a missing weight", "missing", lambda saved: saved["network_weights"].pop("decoder.transpconvs.0.bias")
    )
    yield _changed(
        "a weight too many",
        "unknown",
        lambda saved: saved["network_weights"].update({"attention.weight": torch.zeros(1)}),
    )
    yield _changed(
        "a number for a name", "proper name", lambda saved: saved["network_weights"].update({7: torch.zeros(1)})
    )
    yield _changed("no weights", "network_weights", lambda saved: saved.pop("network_weights"))
    yield _changed("weights in a list", "network_weights", lambda saved: saved.update(network_weights=[torch.zeros(1)]))
    yield _changed("no arguments", "init_args", lambda saved: saved.pop("init_args"))
    yield _changed("no trainer", "trainer", lambda saved: saved.pop("trainer_name"))
    yield _changed("a trainer of its own", "MyTrainer", _at("trainer_name", lambda: "nnUNetTrainerMyTrainer"))
    yield _changed("another network by its trainer", "nnUNetTrainerBN", _at("trainer_name", lambda: "nnUNetTrainerBN"))
    yield _changed(
        "a configuration that is not there", "missing", lambda saved: saved["init_args"].update(configuration="4d")
    )
    yield _changed("mirrored along a fourth axis", "mirrored", _at("inference_allowed_mirroring_axes", lambda: (0, 3)))
    yield _changed("mirrored twice along an axis", "mirrored", _at("inference_allowed_mirroring_axes", lambda: (0, 0)))
    yield _changed("settings nested without end", "nested", lambda saved: saved["init_args"].update(plans=_nested(100)))
    yield HostileCheckpoint("a list for a checkpoint", "no dictionary", lambda saved, path: torch.save([1, 2], path))


def _changed(name: str, reason: str, change: Callable[[Saved], object]) -> HostileCheckpoint:
    def write(saved: Saved, path: Path) -> None:
        copied = saved | {"network_weights": dict(saved["network_weights"]), "init_args": dict(saved["init_args"])}
        change(copied)
        torch.save(copied, path)

    return HostileCheckpoint(name, reason, write)


def _at(key: str, make: Callable[[], object]) -> Callable[[Saved], None]:
    return lambda saved: saved.update({key: make()})


def _weights(change: Callable[[torch.Tensor], object]) -> Callable[[Saved], None]:
    name = "encoder.stages.0.0.convs.0.conv.weight"

    def apply(saved: Saved) -> None:
        saved["network_weights"][name] = change(saved["network_weights"][name])

    return apply


def _nested(depth: int) -> dict:
    return {"a": _nested(depth - 1)} if depth else {}


def _plain_pickle(saved: Saved, path: Path) -> None:
    path.write_bytes(pickle.dumps({"network_weights": {}, "x": Command()}))


def _legacy(saved: Saved, path: Path) -> None:
    torch.save(saved, path, _use_new_zipfile_serialization=False)


def _members(saved: Saved) -> dict[str, bytes]:
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _truncated(saved: Saved, path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(saved, buffer)
    path.write_bytes(buffer.getvalue()[:-2000])


def _archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_STORED, more: str = "") -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        if more:
            archive.writestr(more, b"x")


def _bomb(saved: Saved, path: Path) -> None:
    members = _members(saved)
    name = next(iter(members)).partition("/")[0]
    _archive(path, members | {f"{name}/data/999": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)


def _twice(saved: Saved, path: Path) -> None:
    members = _members(saved)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _archive(path, members, more=next(iter(members)))


def _outside(saved: Saved, path: Path) -> None:
    members = _members(saved)
    name = next(iter(members)).partition("/")[0]
    _archive(path, members, more=f"{name}/../../taken.txt")


def _script(saved: Saved, path: Path) -> None:
    members = _members(saved)
    name = next(iter(members)).partition("/")[0]
    _archive(path, members, more=f"{name}/code/__torch__.py")
