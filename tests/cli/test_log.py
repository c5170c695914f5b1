"""`--log FILE` appends what a verb says to a file, with the time, whatever is printed."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import narrows as package
from narrows.cli import main


def verbs(group, before=""):
    """Return the verbs of a group by their names, those of groups in it too."""
    found = {}
    for name in group.list_commands(None):
        verb = group.get_command(None, name)
        found |= verbs(verb, f"{before}{name} ") if hasattr(verb, "list_commands") else {f"{before}{name}": verb}
    return found


VERBS = verbs(main)
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d  (start|note|warning|epoch|result|error|end) +\S.*")


def entries(path="log.txt"):
    """Return the kinds and texts of a log, after checking the form of its lines."""
    lines = Path(path).read_text().splitlines()
    assert all(LINE.fullmatch(line) for line in lines), lines
    return [line.split("  ", 1)[1].split(maxsplit=1) for line in lines]


def texts(kind):
    return [text for one, text in entries() if one == kind]


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_a_log_and_can_be_quiet_and_print_json(name):
    assert {"--log", "--json", "--quiet"} <= {flag for kind in VERBS[name].params for flag in kind.opts}


def test_a_log_has_the_command_the_epochs_the_result_and_the_exit_code_even_of_a_quiet_verb(narrows):
    command = "train digits --epochs 40 --latent 2 --limit 50 -o x.safetensors -q --log log.txt"
    printed = narrows(*command.split())
    assert printed.stderr == printed.stdout == ""
    results = texts("result")
    assert [kind for kind, _ in entries()] == ["start", *["epoch"] * 40, *["result"] * len(results), "end"]
    assert texts("start") == [f"narrows {package.__version__}: narrows {command}"]
    assert texts("epoch")[2].startswith("epoch  3/40  loss ")
    assert results[0].startswith("model       x.safetensors, ")
    assert re.fullmatch(r"exit code 0, \d+\.\d s", texts("end")[0])


def test_a_log_is_appended_to_and_has_notes_warnings_and_errors(narrows, model, archive):
    narrows("recipes", "-q", "--log", "log.txt")
    narrows("info", "nothing", "--log", "log.txt", code=1)
    Path("photos").mkdir()
    Image.fromarray(np.full((8, 8, 2), 128, np.uint8)).save("photos/transparent.png")
    narrows("compress", "photos", "-m", model, "-o", "x.narrows", "-q", "--log", "log.txt")
    Path("bad.narrows").write_bytes(Path(archive).read_bytes()[:-10])
    narrows("verify", "bad.narrows", "--log", "log.txt", code=1)
    narrows("evaluate", "digits", "-m", model, "--limit", "0", "--log", "log.txt", code=2)
    assert [text.split(",")[0] for text in texts("end")] == [f"exit code {code}" for code in (0, 1, 0, 1, 2)]
    assert any(text.startswith("Documents 0 to 4") for text in texts("note"))
    assert texts("error")[0] == "The model file nothing does not exist."
    assert texts("warning")[0].startswith("alpha: photos/ has transparent pixels. ")


def test_a_result_as_json_is_one_line_of_the_log(narrows, archive):
    printed = narrows.json("info", archive, "--log", "log.txt")
    assert json.loads(texts("result")[0]) == printed
    narrows("info", "nothing", "--json", "--log", "log.txt", code=1)
    assert len(texts("result")) == len(texts("error")) == 1


def test_control_characters_do_not_reach_the_log(narrows):
    narrows("info", "\x1b[2Jx", "--log", "log.txt", code=1)
    assert "\x1b" not in Path("log.txt").read_text()


def test_a_log_destroys_neither_an_input_nor_an_output(narrows, model, archive):
    before = Path(archive).read_bytes()
    assert "is also an input" in narrows("info", archive, "--log", archive, code=2).stderr
    said = narrows("restore", archive, "-m", model, "-o", "x.npy", "--log", "./x.npy", code=2).stderr
    assert "The log './x.npy' is also the output. Give another name." in said
    assert "--log must be a file" in narrows("info", archive, "--log", "-", code=2).stderr
    assert Path(archive).read_bytes() == before
    assert not Path("x.npy").exists()


def test_a_log_that_cannot_be_opened_is_an_error_before_any_work(narrows, archive, model):
    said = narrows("restore", archive, "-m", model, "-o", "x.npy", "--log", "none/log.txt", code=1)
    assert said.stderr.startswith("Error: ")
    assert "none/log.txt" in said.stderr
    assert not Path("x.npy").exists()


@pytest.mark.parametrize("name", ["another.narrows", "x.npy", "x.npz", "photo", "model", "table.csv"])
def test_a_log_is_not_appended_to_a_file_of_data(narrows, model, archive, name):
    content = {
        "another.narrows": Path(archive).read_bytes(),
        "photo": b"\x89PNG\r\n\x1a\n",
        "model": Path(model).read_bytes(),
        "table.csv": b"a,b\n1,2\n",
    }
    if name.startswith("x."):
        (np.save if name == "x.npy" else np.savez)(name, np.zeros(3))
    else:
        Path(name).write_bytes(content[name])
    before = Path(name).read_bytes()
    said = narrows("list", archive, "--log", name, code=2).stderr
    assert "--log appends text to a file" in said
    assert name in said
    assert Path(name).read_bytes() == before


def test_a_file_with_the_ending_of_data_is_not_begun_as_a_log(narrows, archive):
    narrows("list", archive, "--log", "new.narrows", code=2)
    assert not Path("new.narrows").exists()


@pytest.mark.parametrize("content", [b"", b"a note of my own\n", "10 × 10, \x1b[31mred\x1b[0m\n".encode() * 400])
def test_a_log_is_appended_to_any_text(narrows, archive, content):
    Path("notes.txt").write_bytes(content)
    narrows("list", archive, "--log", "notes.txt")
    assert Path("notes.txt").read_bytes().startswith(content)
    assert "exit code 0" in Path("notes.txt").read_text()
