"""The command line, from missing chains to the tables."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from organs import small_networks, write_organs

from Testing.benchmarks.__main__ import main
from Testing.benchmarks.archive import FILE
from Testing.benchmarks.command import run_command


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """Run the command in this process and return its exit status."""
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        run_command(main)
    return int(end.value.code or 0)


def test_chains_are_run_and_tables_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small_networks(monkeypatch)
    write_organs(tmp_path / "abdomen-ct-btcv", cases=8)
    out = tmp_path / "out"
    wanted = ["pcdd2026", "btcv-7-1", "--data", tmp_path, "--steps", 1, "--device", "cpu", "--out", out]
    assert command(monkeypatch, *wanted, "--methods", "offline,mib", "--seeds", 1) == 0
    assert "2 chains done, 0 left" in capsys.readouterr().out
    first = (out / "summary.md").read_text("utf-8")
    assert "| offline |" in first
    assert (out / "btcv-7-1-curves.png").is_file()
    assert sorted(item.name for item in out.iterdir() if not item.name.startswith(".")) == [
        "btcv-7-1-curves.png", FILE, "summary.md",
    ]  # fmt: skip
    (out / "summary.md").unlink()
    assert command(monkeypatch, "pcdd2026", "--out", out, "--seeds", 0) == 0  # from the results alone
    assert (out / "summary.md").read_text("utf-8") == first


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ozdemir",), "ozdemir2018"),
        (("ozdemir2018", "spin"), "spine-case1"),
        (("pcdd2026", "btcv-4-3"), "cannot be taught as 4-3"),
        (("pcdd2026", "spine-1-1"), "runs on real scans"),
        (("pcdd2026", "--data", "nowhere"), "is not there"),
    ],
)
def test_wrong_wishes_are_refused_in_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    assert command(monkeypatch, *arguments, "--out", tmp_path / "out") == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out" / FILE).exists()
