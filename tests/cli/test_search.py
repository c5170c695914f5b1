"""`narrows index` and `narrows search`: queries of every kind, outputs, and what is refused."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="module")
def indexed(narrows, model, once):
    return str(once("digits.index", lambda path: narrows("index", "digits:train", "-m", model, "-o", path, "-q")))


def test_an_index_says_what_it_has(narrows, model):
    said = narrows("index", "digits:test", "-m", model, "-o", "a.index", "--limit", "50").stdout
    assert re.match(r"a\.index  50 records of 4 numbers, [\d,]+ bytes, with \d+ labels", said)
    assert "exists" in narrows.fails("index", "digits:test", "-m", model, "-o", "a.index").output
    assert "must not end in .npy" in narrows.fails("index", "digits:test", "-m", model, "-o", "a.npy").output


def test_a_table_of_the_nearest_is_printed(narrows, model, indexed):
    lines = narrows(
        "search", "digits:test#3", "digits:test#4", "-i", indexed, "-m", model, "-k", "3"
    ).stdout.splitlines()
    assert lines[0].split() == ["query", "record", "distance", "label"]
    assert [line.split()[0] for line in lines[1:7]] == ["digits:test#3", "2", "3", "digits:test#4", "2", "3"]
    assert re.search(r"% of the neighbours have the label of their query", lines[-1])


@pytest.mark.parametrize("ending", ["csv", "json", "png"])
def test_the_name_of_the_output_decides_what_it_is(ending, narrows, model, indexed, coarse_pictures):
    narrows("search", "digits:test", "-i", indexed, "-m", model, "-k", "2", "--limit", "3", "-o", f"out.{ending}")
    path = Path(f"out.{ending}")
    if ending == "csv":
        rows = list(csv.DictReader(path.read_text().splitlines()))
        assert [row["query"] for row in rows[::2]] == ["digits:test#0", "digits:test#1", "digits:test#2"]
        assert float(rows[0]["distance"]) <= float(rows[1]["distance"])
    elif ending == "json":
        found = json.loads(path.read_text())
        assert [len(one["neighbours"]) for one in found] == [2, 2, 2]
    else:
        assert path.read_bytes().startswith(b"\x89PNG")


def test_records_of_an_archive_are_queries_and_labels_filter(narrows, model, coarse_pictures):
    narrows("compress", "digits:test", "-m", model, "-o", "a.narrows", "--labels", "auto", "-q", "--limit", "99")
    found = narrows.json("search", "#17", "-i", "a.narrows", "-m", model, "-k", "4", "--label", "3", "-o", "a.png")
    neighbours = found["queries"][0]["neighbours"]
    assert [one["label"] for one in neighbours] == [3] * 4
    assert Path("a.png").stat().st_size


def test_of_few_records_all_are_found_unless_more_are_asked_for(narrows, model):
    narrows("index", "digits:test", "-m", model, "-o", "few.index", "--limit", "4", "-q")
    search = ("search", "digits:test#1", "-i", "few.index", "-m", model)
    assert len(narrows.json(*search)["queries"][0]["neighbours"]) == 4
    assert "from 1 to 4" in narrows.fails(*search, "-k", "5").output


def test_noise_and_hidden_values_change_what_is_found(narrows, model, indexed):
    search = ("search", "digits:test#3", "-i", indexed, "-m", model, "-k", "5")
    plain = narrows.json(*search)["queries"]
    for how in (["--noise", "0.5"], ["--mask", "0.7"], ["--denoise"]):
        changed = narrows.json(*search, *how)["queries"]
        assert changed != plain
        assert changed == narrows.json(*search, *how)["queries"]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("digits:test#9999", "must be from 0 to"),
        ("digits:test#1 -k 9999", "from 1 to 1,437"),
        ("digits:test#1 --label 11", "no record with the label '11'"),
        ("#99999", "numbers from 0"),
        ("#1 digits:test#1", "cannot be given together"),
        ("#1 --noise 0.3", "Give the record itself"),
        ("digits:test#1 --seed 3", "only with --noise or --mask"),
        ("digits:test#1 -o out.txt", "must be a picture"),
        ("wide.npy", "shape"),
    ],
)
def test_what_cannot_be_searched_is_an_error_that_says_why(arguments, reason, narrows, model, indexed):
    np.save("wide.npy", np.zeros((2, 9, 9), np.uint8))
    assert reason in re.sub(r"\s+", " ", narrows.fails("search", *arguments.split(), "-i", indexed, "-m", model).output)


def test_another_model_is_refused(narrows, denoising_model, indexed):
    said = narrows.fails("search", "digits:test#1", "-i", indexed, "-m", denoising_model).output
    assert "was made with the model" in re.sub(r"\s+", " ", said)
