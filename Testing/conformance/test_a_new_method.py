"""The examples of methods/README.md, saved as files: every question is asked of them, and nothing else changes."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from nested import environment

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("anchor", "steady")


@pytest.mark.timeout(600)
def test_one_file_is_a_method_that_every_question_is_asked(tmp_path):
    for folder in ("IncrementalSegLib", "Testing"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    methods = tmp_path / "IncrementalSegLib" / "methods"
    page = (methods / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    for name in NAMES:
        (block,) = (block for block in blocks if f'register("method", "{name}")' in block)
        (methods / f"{name}.py").write_text(block, encoding="utf-8")

    question = ("-m", "not slow", "Testing/conformance", "-k", " or ".join(NAMES))
    asked = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *question],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stdout
    (passed,) = re.findall(r"(\d+) passed", asked.stdout)
    assert int(passed) >= 50
