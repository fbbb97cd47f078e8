"""The child process that reads a checkpoint of nnU-Net or MONAI: a pickle, of which only what is expected leaves it.

``python -m IncrementalSegLib.engine.adoption.child OUTPUT CHECKPOINT KIND`` writes ``OUTPUT/weights.safetensors`` and
``OUTPUT/settings.json``, or ``OUTPUT/refused.json``.  The process has no network, may write nowhere
else and has a limit on memory and time.  torch reads the pickle with ``weights_only=True``, so that no code in it runs;
the few other types that nnU-Net writes are replaced by an object that holds nothing.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import re
import sys
import zipfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from IncrementalSegLib.types import Json

WEIGHTS, SETTINGS = "weights.safetensors", "settings.json"
"""Files that hold what was expected."""

REFUSED = "refused.json"
"""File that holds the reason of a refusal."""

NNUNET, BUNDLE = "nnU-Net", "MONAI"
"""Kinds of checkpoints, by the program that writes them."""

SAFETENSORS = ".safetensors"
"""Ending of a file of weights that is no pickle."""

MOST_BYTES = 20_000_000_000
"""Size of the largest checkpoint."""

_MOST_PICKLE, _MOST_MEMBERS, _MOST_TENSORS, _MOST_DOCUMENT = 50_000_000, 100_000, 20_000, 5_000_000
_DEEPEST = 16
_ROOM = 2_000_000_000  # bytes of memory in addition to those of the checkpoint
_SECONDS = 600
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_DUPLICATE = ".all_modules."  # nnU-Net's state names many tensors twice
_DUPLICATE_ENCODER = "decoder.encoder."
_INERT = (
    "numpy._core.multiarray.scalar", "numpy.core.multiarray.scalar", "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray._reconstruct", "numpy.dtype", "numpy.ndarray", "numpy.dtypes.Float64DType",
    "numpy.dtypes.Float32DType", "numpy.dtypes.Int64DType", "numpy.dtypes.Int32DType", "numpy.float64",
    "numpy.float32", "numpy.int64", "_codecs.encode", "pathlib.PosixPath", "pathlib.WindowsPath",
    "pathlib.PurePosixPath", "pathlib.PureWindowsPath", "pathlib._local.PosixPath", "pathlib._local.WindowsPath",
)  # fmt: skip
"""Numbers and paths that nnU-Net writes along with the weights; none is used."""

_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "ctypes.",
              "shutil.", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.chown",
              "urllib.", "http.", "ftplib.", "smtplib.", "webbrowser.", "pty.", "winreg.")  # fmt: skip
"""Beginnings of the events of Python that end the process."""


_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
_UNPICKLER = re.compile(r".*WeightsUnpickler error: | Check the documentation.*")


class Inert:
    """Stands for an object that is not needed; takes whatever the pickle gives it and keeps nothing."""

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, _: object) -> None: ...


class RefusedError(Exception):
    """A checkpoint is not what its program writes; its text is the reason."""


def main(output: Path, checkpoint: Path, kind: str) -> None:
    """Give up network and rights, then read a checkpoint."""
    _leave_network()
    import_module("torch"), import_module("safetensors.torch")  # before the limits, which are on top of what they take
    _limit(checkpoint.stat().st_size)
    _forbid(output)
    read(output, checkpoint, kind)


def read(output: Path, checkpoint: Path, kind: str) -> None:
    """Write what was expected of a checkpoint into a folder, or the reason of a refusal."""
    import torch

    try:
        expected = _of_nnunet if kind == NNUNET else _of_bundle
        if checkpoint.suffix == SAFETENSORS and kind == BUNDLE:
            loaded = _load_plain(checkpoint)
        else:
            _check_archive(checkpoint)
            loaded = _load(torch, checkpoint, kind)
        _write(torch, output, *expected(loaded))
    except RefusedError as refusal:
        _write_json(output / REFUSED, {"reason": str(refusal)[:500]})


def _leave_network() -> None:
    """Take the network away from the process where Linux lets it; elsewhere :func:`_forbid` alone does."""
    if sys.platform != "linux":
        return
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        if libc.unshare(_NEW_NETWORK) != 0:
            libc.unshare(_NEW_USER | _NEW_NETWORK)


def _limit(size: int) -> None:
    """Limit memory, time and the size of files, where the system has such limits."""
    if sys.platform == "win32":
        return
    import resource

    taken = 0
    with suppress(OSError, ValueError, IndexError):
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = {
        resource.RLIMIT_CPU: _SECONDS,
        resource.RLIMIT_FSIZE: 2 * size + _MOST_DOCUMENT,
        resource.RLIMIT_CORE: 0,
    } | ({resource.RLIMIT_AS: taken + 4 * size + _ROOM} if taken else {})
    for kind, value in limits.items():
        with suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, value))


def _forbid(output: Path) -> None:
    """End the process where it reaches for the network, another program, or a file elsewhere to write."""
    allowed = os.path.realpath(output) + os.sep

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and _is_writing(arguments) and isinstance(arguments[0], (str, bytes))
        if event.startswith(_FORBIDDEN) or (
            writes and not os.path.realpath(os.fsdecode(arguments[0])).startswith(allowed)
        ):
            os._exit(3)

    sys.addaudithook(watch)


def _is_writing(arguments: tuple[Any, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return bool(set(mode) & set("wax+"))
    return bool((flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _check_archive(path: Path) -> None:
    """Refuse what torch does not write: compressed, doubled or overlapping members, or a huge pickle.

    Raises:
        RefusedError: It is no such archive.
    """
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise RefusedError("it is not the zip archive that torch writes") from error
    names = [info.filename for info in infos]
    reasons = {
        f"it is larger than {MOST_BYTES} bytes": size > MOST_BYTES,
        f"it has {len(infos)} members": len(infos) > _MOST_MEMBERS,
        "a member of it is there twice": len(set(names)) < len(names),
        "a member of it is compressed": any(info.compress_type != zipfile.ZIP_STORED for info in infos),
        "its members are larger than the file": sum(info.file_size for info in infos) > size,
        "its members lie in several folders": len({name.partition("/")[0] for name in names}) != 1,
        "a member of it leads out of its folder": any(".." in name or "\\" in name for name in names),
        "it holds no data.pkl": sum(name.endswith("/data.pkl") for name in names) != 1,
        "its data.pkl is too large": any(
            info.file_size > _MOST_PICKLE for info in infos if info.filename.endswith("/data.pkl")
        ),
        "it holds code of TorchScript": any("/code/" in name or name.endswith("/constants.pkl") for name in names),
    }
    for reason, applies in reasons.items():
        if applies:
            raise RefusedError(reason)


def _load_plain(path: Path) -> Any:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:  # whatever a header can be wrong in
        raise RefusedError(f"it is no file of safetensors: {str(error)[:200]}") from None


def _load(torch: Any, path: Path, kind: str) -> Any:
    torch.serialization.add_safe_globals([(Inert, name) for name in _INERT])
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise RefusedError("it takes more memory than its size allows") from None
    except Exception as error:  # whatever a pickle or an archive can be wrong in
        said = " ".join(str(error).split())
        unknown = _GLOBAL.search(said)
        reason = f"it holds {unknown[1]}, which {kind} does not write" if unknown else _UNPICKLER.sub("", said)[:300]
        raise RefusedError(reason or type(error).__name__) from None


def _of_bundle(loaded: Any) -> tuple[dict[str, Any], Json]:
    """Return the weights of a checkpoint of MONAI, without the integers that count batches.

    Raises:
        RefusedError: There are none.
    """
    weights = loaded.get("model", loaded) if isinstance(loaded, dict) else None
    if not isinstance(weights, dict) or not weights:
        raise RefusedError(f"it holds a {type(loaded).__name__} and no weights by name")
    if len(weights) > _MOST_TENSORS:
        raise RefusedError(f"it has {len(weights)} tensors")
    counts = ("torch.int64", "torch.int32")
    return {name: item for name, item in weights.items() if str(getattr(item, "dtype", "")) not in counts}, {}


def _of_nnunet(loaded: Any) -> tuple[dict[str, Any], Json]:
    """Return weights and what is said about them; nothing else of the checkpoint.

    Raises:
        RefusedError: Something is missing or of another type.
    """
    if not isinstance(loaded, dict):
        raise RefusedError(f"it holds a {type(loaded).__name__} and no dictionary")
    weights, arguments = loaded.get("network_weights"), loaded.get("init_args")
    if not isinstance(weights, dict) or not weights:
        raise RefusedError("it has no network_weights")
    if len(weights) > _MOST_TENSORS:
        raise RefusedError(f"it has {len(weights)} tensors")
    if not isinstance(arguments, dict):
        raise RefusedError("it has no init_args")
    document = {
        "trainer": loaded.get("trainer_name"),
        "configuration": arguments.get("configuration"),
        "mirror": loaded.get("inference_allowed_mirroring_axes"),
        "epoch": loaded.get("current_epoch"),
        "plans": arguments.get("plans"),
        "dataset": arguments.get("dataset_json"),
    }
    kept = {
        name: tensor
        for name, tensor in weights.items()
        if not (isinstance(name, str) and (_DUPLICATE in name or name.startswith(_DUPLICATE_ENCODER)))
    }
    return kept, {name: _plain(item, _DEEPEST) for name, item in document.items()}


def _plain(item: Any, deeper: int) -> Any:
    """Return plain values as they are, containers of such, and ``None`` for anything else."""
    if item is None or type(item) in (str, bool) or (type(item) is float and math.isfinite(item)):
        return item
    if type(item) is int and abs(item) < 2**53:
        return item
    if not deeper:
        raise RefusedError("its settings are nested too deep")
    if isinstance(item, (list, tuple)):
        return [_plain(part, deeper - 1) for part in item]
    if isinstance(item, dict):
        return {str(key): _plain(part, deeper - 1) for key, part in item.items() if type(key) in (str, int)}
    return None


def _write(torch: Any, output: Path, tensors: dict[str, Any], document: Json) -> None:
    """Write what was expected as safetensors and JSON.

    Raises:
        RefusedError: A tensor is not a plain one of finite numbers, or claims more of them than it holds.
    """
    from safetensors.torch import save_file

    plain = {}
    for name, tensor in tensors.items():
        if not isinstance(name, str) or len(name) > 300:
            raise RefusedError("a tensor has no proper name")
        if type(tensor) is not torch.Tensor or tensor.layout != torch.strided or tensor.device.type != "cpu":
            raise RefusedError(f"{name} is a {type(tensor).__name__} and no plain tensor")
        if not tensor.is_floating_point():
            raise RefusedError(f"{name} has the type {tensor.dtype}")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise RefusedError(f"{name} claims {tensor.numel()} numbers and does not hold them")
        plain[name] = tensor.detach().float().clone(memory_format=torch.contiguous_format)
        if not bool(torch.isfinite(plain[name]).all()):
            raise RefusedError(f"{name} holds NaN or an infinity in single precision")
    save_file(plain, output / WEIGHTS)
    _write_json(output / SETTINGS, document)


def _write_json(path: Path, document: Json) -> None:
    text = json.dumps(document, allow_nan=False)
    if len(text) > _MOST_DOCUMENT:
        raise RefusedError(f"its settings have {len(text)} characters")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
