"""The verb evaluate: metrics of all records, and the errors of each."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def test_the_errors_of_each_record_are_written_beside_the_metrics(narrows, model):
    said = narrows("evaluate", "digits:test", "-m", model, "--per-record", "out.csv").stdout
    assert said.splitlines()[-1] == "out.csv: the errors of each record"
    with open("out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 360
    assert {row["label"] for row in rows} == set("0123456789")
    metrics = narrows.json("evaluate", "digits:test", "-m", model, "--per-record", "out.npy")
    assert metrics["per_record"] == {"path": "out.npy", "columns": list(rows[0])}
    errors = np.array([float(row["squared_error"]) for row in rows])
    assert errors.mean() == pytest.approx(metrics["sse_per_record"])
    np.testing.assert_array_equal(np.load("out.npy")["squared_error"], errors)
    assert "per_record" not in narrows.json("evaluate", "digits:test", "-m", model)


def test_records_of_image_files_are_named(narrows, model, rng):
    Path("photos").mkdir()
    for name in ("b.png", "a.png"):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(f"photos/{name}")
    narrows("evaluate", "photos", "-m", model, "--per-record", "out.csv", "-q")
    assert [line.split(",")[:2] for line in Path("out.csv").read_text().splitlines()] == [
        ["index", "name"], ["0", "a.png"], ["1", "b.png"],
    ]  # fmt: skip


def test_an_existing_table_is_replaced_only_with_force(narrows, model):
    Path("out.csv").write_text("mine")
    evaluate = ("evaluate", "digits:test", "-m", model, "--limit", "9")
    assert "already exists" in narrows(*evaluate, "--per-record", "out.csv", code=1).stderr
    assert Path("out.csv").read_text() == "mine"
    narrows(*evaluate, "--per-record", "out.csv", "--force")
    assert len(Path("out.csv").read_text().splitlines()) == 10
    assert "--force has no effect without --per-record" in narrows(*evaluate, "--force", code=2).stderr
    assert "must end in .csv or .npy. Got 'out.txt'" in narrows(*evaluate, "--per-record", "out.txt", code=2).stderr
    assert "must be a file" in narrows(*evaluate, "--per-record", "-", code=2).stderr
    assert "also an input" in narrows("evaluate", "out.npy", "-m", model, "--per-record", model, code=2).stderr


def test_a_few_records_that_decide_the_mean_are_pointed_out(narrows, rng):
    x = rng.normal(size=(100, 4))
    np.save("x.npy", x)
    narrows("train", "x.npy", "-o", "m", "--latent", "2", "--epochs", "2", "-q")
    assert "A few records" not in narrows("evaluate", "x.npy", "-m", "m").stdout
    x[7] = [900, -900, 900, -900]
    np.save("wild.npy", x)
    said = narrows("evaluate", "wild.npy", "-m", "m").stdout
    assert "A few records have most of the squared error" in said
    assert "--per-record lists the errors of all records." in said
