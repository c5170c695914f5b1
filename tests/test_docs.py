"""What README and docs show works as shown, and their numbers are the measured ones."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from narrows.recipes import RECIPES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def snippets(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_readme_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = snippets(README, "python")
    assert len(blocks) == 2
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)


def test_readme_commands_run(tmp_path: Path) -> None:
    (block,) = snippets(README, "sh")
    for line in block.splitlines():
        # As long as it takes to try the command, not to train well.
        short = " --epochs 2" if line.startswith("narrows train") and "--epochs" not in line else ""
        verb, *arguments = shlex.split(line + short)
        assert verb == "narrows"
        done = subprocess.run(
            [sys.executable, "-m", "narrows", *arguments],
            cwd=tmp_path,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_recipes_and_settings_in_the_docs_exist(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"--recipe ([\w-]+)", text)) <= set(RECIPES)
    for name, changes in re.findall(r'narrows\.recipe\("([\w-]+)"([^)]*)\)', text):
        settings = dict(re.findall(r"(\w+)=([^,\s]+)", changes))
        RECIPES[name]().set_params(**{key: json.loads(value) for key, value in settings.items()})


@pytest.mark.parametrize("page", ["README.md", "docs/documents.md"])
def test_numbers_are_the_measured_ones(page: str) -> None:
    documents = _load(ROOT / "bench" / "documents.py")
    text = (ROOT / page).read_text()
    assert text == documents.fill(text, documents.all_numbers())


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
