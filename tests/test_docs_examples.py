"""The examples in the docstrings run and show what they say."""

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import narrows

ROOT = Path(__file__).resolve().parents[1]

MODULES = ["narrows", *(module.name for module in pkgutil.walk_packages(narrows.__path__, "narrows."))]


def has_examples(name):
    path = Path(narrows.__file__).parents[1].joinpath(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return not name.endswith("__main__") and (not file.is_file() or ">>> " in file.read_text(encoding="utf-8"))


@pytest.mark.usefixtures("few_settings")
@pytest.mark.parametrize("name", list(filter(has_examples, MODULES)))
def test_the_examples_of_a_module(name, monkeypatch):
    # The debugger that doctest keeps at hand would look at each file in the cache again, before each docstring.
    monkeypatch.setattr("linecache.checkcache", lambda filename=None: None)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    examples = [test for name in MODULES if "cli" not in name and "__main__" not in name
                for test in finder.find(importlib.import_module(name)) if test.examples]  # fmt: skip
    assert len(examples) >= 25


def test_every_public_name_can_be_imported_and_is_listed():
    for name in narrows.__all__:
        assert getattr(narrows, name) is not None
        assert name in dir(narrows)
    with pytest.raises(AttributeError, match="module 'narrows' has no attribute 'autoencode'"):
        narrows.autoencode  # noqa: B018


def test_import_narrows_suffices_for_every_name_in_the_docs(new_processes, tmp_path):
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "narrows").rglob("*.py")]
    written = {name for page in pages for name in re.findall(r"\bnarrows(?:\.\w+)+(?=\()", page.read_text())}
    assert "narrows.data.open" in written
    code = f"import narrows\nfor name in {sorted(written)}:\n    eval(name)"
    done = new_processes.run(code, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]


def test_import_narrows_loads_no_folder_that_needs_numpy_or_pytorch():
    code = "import sys, narrows\nprint(sorted({'numpy', 'torch', 'narrows.data', 'narrows.model'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_modules_of_folders_are_imported_at_first_use():
    assert callable(narrows.evaluation.scorers.neg_mean_squared_error)
    assert narrows.uses.generate.__name__ == "narrows.uses.generate"
    with pytest.raises(AttributeError, match=r"module 'narrows\.evaluation' has no attribute 'scorer'"):
        narrows.evaluation.scorer  # noqa: B018
