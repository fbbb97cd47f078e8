"""No circle of imports in the panel, and each file in its place; ``make lint`` checks the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("importlinter", reason="import-linter is not installed: pip install import-linter")

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / ".ci" / "panel-imports.toml"
COMMAND = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(folder):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    command = [sys.executable, "-c", COMMAND, "--config", str(CONTRACTS), "--no-cache"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False, timeout=100
    )


def test_imports_of_the_panel_go_down_only():
    ended = lint(ROOT / "IncrementalSeg")
    assert ended.returncode == 0, ended.stdout


def test_a_circle_would_be_seen(tmp_path):
    for path in (ROOT / "IncrementalSeg" / "IncrementalSegPanel").rglob("*.py"):
        copy = tmp_path / path.relative_to(ROOT / "IncrementalSeg")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    flow = tmp_path / "IncrementalSegPanel" / "flows" / "Jumping.py"
    flow.write_text(flow.read_text("utf-8") + "\nfrom IncrementalSegPanel.Session import Session\n", "utf-8")
    ended = lint(tmp_path)
    assert ended.returncode != 0
    assert "No circle in the panel BROKEN" in ended.stdout
