import hashlib
import pickle

import pytest
import torch
from safetensors.torch import load_file

from IncrementalSegLib.errors import MissingNeedError, ModelError, UnknownNameError
from IncrementalSegLib.networks import pretrained
from IncrementalSegLib.networks.pretrained import SOURCES, convert, pretrained_weights


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_without_permission_nothing_is_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "_download", lambda *_: pytest.fail("went to the network"))
    with pytest.raises(MissingNeedError, match=r"not on this computer.*allow the download"):
        pretrained_weights("vgg16", cache=tmp_path)
    with pytest.raises(UnknownNameError, match="vgg16"):
        pretrained_weights("vgg61", cache=tmp_path)
    with pytest.raises(MissingNeedError, match="no file"):
        pretrained_weights("vgg16", tmp_path / "nowhere.pth", cache=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_names_of_the_files_carry_the_hash():
    for source in SOURCES.values():
        assert source.url.startswith("https://")
        assert source.url.endswith(f"-{source.sha256[:8]}.pth")
        assert len(source.sha256) == 64


def test_a_checkpoint_with_the_right_hash_is_converted(tmp_path):
    checkpoint, target = tmp_path / "net.pth", tmp_path / "cache" / "net.safetensors"
    torch.save({"features.0.weight": torch.arange(4.0), "classifier.0.weight": torch.zeros(9)}, checkpoint)
    assert convert(checkpoint, sha256(checkpoint), target) == target
    weights = load_file(target)
    assert list(weights) == ["features.0.weight"]
    assert weights["features.0.weight"].tolist() == [0, 1, 2, 3]
    assert [item.name for item in target.parent.iterdir()] == ["net.safetensors"]


@pytest.mark.parametrize("known", [False, True])
def test_a_pickle_never_runs(tmp_path, known):
    checkpoint, trace = tmp_path / "evil.pth", tmp_path / "ran"
    checkpoint.write_bytes(pickle.dumps(Trap(str(trace)), protocol=2))
    with pytest.raises(Exception, match="SHA-256" if not known else "Weights only load failed"):
        convert(checkpoint, sha256(checkpoint) if known else "0" * 64, tmp_path / "out.safetensors")
    assert not trace.exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_a_file_of_the_user_is_taken_or_refused(tmp_path):
    own = tmp_path / "own.safetensors"
    own.write_bytes(b"")
    assert pretrained_weights("vgg16", own, cache=tmp_path) == own
    foreign = tmp_path / "own.pth"
    foreign.write_bytes(b"something else")
    with pytest.raises(ModelError, match="SHA-256"):
        pretrained_weights("vgg16", foreign, cache=tmp_path)


def test_the_cache_is_used_without_the_network(tmp_path):
    cached = tmp_path / "vgg16-397923af.safetensors"
    cached.write_bytes(b"")
    assert pretrained_weights("vgg16", cache=tmp_path) == cached
