"""The verbs on text, and those that mean nothing for it."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from narrows.cli import main
from narrows.errors import DataWarning, InvalidParameterError
from narrows.evaluation.drawing import draw_map


def call(*arguments, code=0):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture(scope="session")
def saved(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "names.safetensors"
    model.save(path)
    return path


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch, names):
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("".join(f"{name}\n" for name in names))


def test_reconstruct_prints_texts_side_by_side_and_marks_what_differs(saved):
    Path("two.txt").write_text("emma\nemmi\n")
    lines = call("reconstruct", "two.txt", "-m", saved).stdout.splitlines()
    assert lines[0] == "emma  emma"
    restored = lines[1].split()[1]
    assert lines[1].startswith("emmi  ")
    assert restored != "emmi"
    marked = {at - 6 for at, letter in enumerate(lines[2]) if letter == "^"}
    longest = max(4, len(restored))
    assert marked == {i for i in range(longest) if "emmi".ljust(longest)[i] != restored.ljust(longest)[i]}
    printed = json.loads(call("reconstruct", "two.txt", "-m", saved, "--json").stdout)
    assert printed["records"][0] == {"text": "emma", "restored": "emma"}
    call("reconstruct", "names.txt", "-m", saved, "-o", "again.txt")
    assert Path("again.txt").read_bytes() == Path("names.txt").read_bytes()


def test_evaluate_counts_bytes_and_texts_that_are_right(saved):
    Path("some.jsonl").write_text("emma\nxyzxyz\n")
    call("reconstruct", "some.jsonl", "-m", saved, "-o", "again.txt")
    restored = Path("again.txt").read_text().splitlines()[1]
    found = json.loads(call("evaluate", "some.jsonl", "-m", saved, "--json").stdout)
    longest = max(6, len(restored))
    right = sum(a == b for a, b in zip(restored, "xyzxyz", strict=False))
    assert found["characters_right"] == pytest.approx((4 + right) / (4 + longest))
    assert (found["records"], found["records_right"], found["bytes"]) == (2, 0.5, 10)
    assert found["bits_per_byte"] > 0
    assert "bits of a byte" in call("evaluate", "some.jsonl", "-m", saved).stdout
    assert call("evaluate", "names.txt", "-m", saved, "--per-record", "each.csv").exit_code == 0
    assert Path("each.csv").read_text().splitlines()[0] == "index,bytes,wrong_bytes,log_likelihood"


def test_codes_are_encoded_and_decoded(saved, names):
    call("encode", "names.txt", "-m", saved, "-o", "codes.npy")
    assert np.load("codes.npy").shape == (len(names), 4)
    call("decode", "codes.npy", "-m", saved, "-o", "again.txt")
    assert Path("again.txt").read_text().splitlines() == names


def test_generate_writes_new_texts_and_those_between_two(saved):
    call("generate", "-m", saved, "-n", "20", "-o", "new.txt")
    assert len(Path("new.txt").read_text().split("\n")) == 21
    call("generate", "-m", saved, "--between", "emma", "olivia", "-n", "5", "-o", "between.txt")
    between = Path("between.txt").read_text().splitlines()
    assert (between[0], between[4], len(between)) == ("emma", "olivia", 5)
    said = call("generate", "-m", saved, "-n", "4", "-o", "new.png", code=2)
    assert "no meaning for text" in said.stderr


def test_archives_of_lines_are_compressed_listed_and_restored(saved, names):
    said = call("compress", "names.txt", "-m", saved, "-o", "names.narrows")
    assert "characters right" in said.stdout
    told = call("restore", "names.narrows", "-m", saved, "-o", "again.txt")
    assert told.stdout.strip().startswith("again.txt ")
    assert told.stdout.strip().endswith(" texts")
    assert Path("again.txt").read_bytes() == Path("names.txt").read_bytes()
    call("restore", "names.narrows", "-m", saved, "--only", "1,0", "-o", "two.txt")
    assert Path("two.txt").read_text() == "olivia\nemma\n"
    assert f"{len(names)} records without names" in call("list", "names.narrows").stdout
    assert f"{len(names)} lines" in call("info", "names.narrows").stdout
    assert "text, in records of up to 6 bytes" in call("info", saved).stdout
    call("compress", "names.txt", "-m", saved, "-o", "exact.narrows", "--lossless")
    assert call("verify", "exact.narrows", "-m", saved).exit_code == 0


@pytest.mark.parametrize(
    "command",
    [
        "picture names.txt -m {model} --kind reconstructions -o x.png",
        "picture names.txt -m {model} --kind report -o x.html",
        "denoise names.txt -m {model} -o x.txt",
        "outliers names.txt -m {model} -o x.csv",
        "compress names.txt -m {model} -o x.narrows --psnr 30",
        "compress names.txt --max-error 1 -o x.narrows",
        "compress names.txt --as records -o x.narrows",
        "train names.txt --recipe codec -o x.safetensors",
        "evaluate names.txt -m {model} --importance-samples 5",
    ],
)
def test_what_means_nothing_for_text_is_refused(saved, command):
    said = call(*command.format(model=saved).split(), code=2)
    assert "text" in said.stderr


def test_a_picture_of_text_is_a_map_with_the_words(saved, model, names):
    call("picture", "names.txt", "-m", saved, "-o", "map.svg")
    assert Path("map.svg").stat().st_size
    written = {text.get_text() for text in draw_map(model, names).axes[0].texts}
    assert written
    assert written <= set(names)


def test_a_map_leaves_out_texts_that_are_longer_than_a_record(model, names):
    longer = ["longer than a record " * 9, *names[:9]]
    with pytest.warns(DataWarning, match="at most 6 bytes.*1 of 9 is longer, and is left out"):
        assert {text.get_text() for text in draw_map(model, longer).axes[0].texts} <= set(names)
    with pytest.raises(InvalidParameterError, match="All are longer"):
        draw_map(model, longer[:1] * 2)


def test_map_leaves_out_longer_texts_and_numbers_the_others_as_in_the_data(saved, names):
    Path("longer.txt").write_text("".join(f"{text}\n" for text in ("a long text", *names[:4], "another long text")))
    said = call("map", "longer.txt", "-m", saved, "-o", "map.html")
    assert "2 of 6 are longer, and are left out." in said.stderr
    assert "map.html  4 records" in said.stdout
    page = Path("map.html").read_text()
    numbers = np.frombuffer(base64.b64decode(re.search(r'id="blob-index">([^<]*)<', page)[1]), np.uint32)
    assert sorted(numbers) == [1, 2, 3, 4]


def test_texts_are_said_to_be_written_as_texts(saved, names):
    assert call("generate", "-m", saved, "-n", 3, "-o", "new.txt").stdout == "new.txt  3 texts\n"
    assert call("generate", "-m", saved, "-n", 3, "-o", "new.npy").stdout == "new.npy  3 records of 6 uint16\n"
    Path("longer.txt").write_text("emma\na long text\n")
    assert call("reconstruct", "longer.txt", "-m", saved, "-o", "again.txt").stdout == "again.txt  2 texts\n"


def test_the_command_that_is_advised_for_an_archive_without_a_model_writes_one(saved):
    Path("unlike.txt").write_text("".join(f"{k:06d}\n" for k in range(0, 999_000, 4999)))
    said = call("compress", "unlike.txt", "-m", saved, "-o", "exact.narrows", "--lossless").stdout
    advised = re.search("`narrows (compress unlike.txt -o exact.narrows)` makes such a file without one", said)[1]
    call(*advised.split(), "--force")


def test_a_column_of_texts_needs_no_model_to_be_compressed():
    Path("people.csv").write_text('id,name\n1,emma\n2,"a, b"\n3,mia\n')
    call("compress", "people.csv", "--column", "name", "-o", "column.narrows")
    call("restore", "column.narrows", "-o", "column.csv")
    assert Path("column.csv").read_text() == 'name\nemma\n"a, b"\nmia\n'
    call("restore", "column.narrows", "--only", 1, "-o", "one.txt")
    assert Path("one.txt").read_text() == "a, b\n"
