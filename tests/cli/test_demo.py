"""``narrows demo``: the first thing a newcomer sees."""

import shlex
from pathlib import Path

import pytest

import narrows as package
from narrows.cli.demo import FILES


@pytest.fixture(autouse=True)
def _short_training(monkeypatch):
    recipe = package.recipe
    monkeypatch.setattr(package, "recipe", lambda name, **changes: recipe(name, training__epochs=3, **changes))


def test_the_demo_writes_model_pictures_and_report_and_what_it_prints_works(narrows, monkeypatch):
    result = narrows("demo")
    assert {path.name for path in Path("demo").iterdir()} == {*FILES, "README.txt"}
    assert all(f"demo/{name}" in result.stdout for name in FILES)
    assert "PCA with 16 components" in result.stdout
    assert "epoch 3/3" in result.stderr
    commands = [line.strip() for line in result.stdout.splitlines() if line.startswith("  narrows ")]
    assert len(commands) >= 5
    for command in commands:
        if "YOUR_DATA" not in command:
            narrows(*shlex.split(command)[1:])


def test_files_are_replaced_that_a_demo_made_and_others_only_by_force(narrows, monkeypatch):
    Path("map.png").write_bytes(b"mine")
    refused = narrows("demo", "-o", ".", code=1)
    assert "holds map.png already, not from a demo" in refused.stderr
    assert [path.name for path in Path().iterdir()] == ["map.png"]
    assert narrows("demo", "-o", ".", "--force", "--quiet").stderr == ""
    assert Path("map.png").read_bytes() != b"mine"
    monkeypatch.setattr("narrows.cli.demo._write", lambda *arguments: None)
    narrows("demo", "-o", ".")  # now they are a demo's


def test_a_file_is_no_folder(narrows):
    Path("demo").write_bytes(b"")
    assert "is no folder" in narrows("demo", code=1).stderr
