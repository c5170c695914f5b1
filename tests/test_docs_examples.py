"""The examples in the docstrings run and show what they say."""

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import narrows

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
