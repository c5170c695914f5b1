"""Help comes in a blink, names everything, and imports nothing heavy."""

import resource
import subprocess
import sys

import click
import pytest

import narrows as package
from narrows.cli import VERBS, main
from narrows.codec import kernels

HEAVY = ("torch", "sklearn", "matplotlib", "rich", "numpy", "PIL")


def test_neither_help_nor_the_list_of_recipes_imports_anything_heavy():
    script = f"""
import sys
from narrows.cli import main, VERBS
for arguments in [["--help"], ["--version"], *[[verb, "--help"] for verb in VERBS], ["recipes"]]:
    main(arguments, standalone_mode=False)
sys.exit(", ".join(name for name in {HEAVY} if name in sys.modules) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_answers_within_three_tenths_of_a_second():
    def seconds():
        """Return how long a processor is at it, which other processes do not change much."""
        began = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "narrows", "--help"], check=True, capture_output=True)
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        return ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime

    assert min(seconds() for _ in range(4)) < 0.3


def test_help_names_every_verb_and_every_exit_code(narrows):
    text = narrows("--help").stdout
    for verb, (_, meaning) in VERBS.items():
        assert f"{verb} " in text
        assert meaning[:40] in text
    for code in ("0 ", "1 ", "2 ", "130", "143"):
        assert f"\n    {code}" in text


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_is_a_command_of_that_name_whose_options_are_explained(verb, narrows):
    command = main.get_command(click.Context(main), verb)
    assert command.name == verb
    assert narrows(verb, "-h").stdout == narrows(verb, "--help").stdout
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name


def test_version_says_which_kernels_the_codec_has(narrows, monkeypatch):
    monkeypatch.setattr(kernels, "compiled", kernels)
    assert narrows("--version").stdout == f"narrows {package.__version__}\nkernels: C\n"
    monkeypatch.setattr(kernels, "compiled", None)
    version, line = narrows("--version").stdout.splitlines()
    assert version == f"narrows {package.__version__}"
    assert line == "kernels: NumPy (install a C compiler and reinstall narrows: about ten times faster)"


def test_the_module_can_be_called_as_the_command():
    done = subprocess.run([sys.executable, "-m", "narrows", "--version"], check=False, capture_output=True, text=True)
    assert done.stdout.startswith("narrows ")


def test_a_misspelt_verb_or_option_is_corrected(narrows):
    assert "Unknown verb: 'trian'. Did you mean 'train'?" in narrows("trian", code=2).stderr
    assert "--epochs" in narrows("train", "digits", "-o", "x", "--epoch", "3", code=2).stderr
