"""`narrows outliers`: one row a step of a series or a record, in the words of the file that was read."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

STEPS = np.arange(800)


def series():
    values = np.sin(STEPS / 6) + np.random.default_rng(0).normal(0, 0.05, len(STEPS))
    values[500:540] = 0.2
    return values


def write_csv(path, columns, order=STEPS):
    """Write a file with a time column, a step every five minutes."""
    times = np.datetime64("2026-01-01T00:00") + 5 * order.astype("timedelta64[m]")
    lines = [",".join(["when", *columns])]
    for i, time in enumerate(times):
        lines.append(",".join([str(time).replace("T", " "), *(str(column[i]) for column in columns.values())]))
    Path(path).write_text("\n".join(lines) + "\n")
    return [line.split(",")[0] for line in lines[1:]]


def read(path):
    with Path(path).open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_file_gets_a_table_with_its_times(narrows):
    pytest.importorskip("pyarrow")
    times = write_csv("x.csv", {"load": series()})
    said = narrows("outliers", "x.csv", "-o", "scores.csv", "--window", "64")
    rows = read("scores.csv")
    assert list(rows[0]) == ["when", "score", "is_outlier"]
    assert [row["when"] for row in rows] == times
    worst = max(range(len(rows)), key=lambda i: float(rows[i]["score"]))
    assert 490 < worst < 550
    assert rows[worst]["is_outlier"] == "1"
    assert "800 steps" in said.stdout
    assert rows[worst]["when"] in said.stdout


def test_several_channels_have_a_top_channel_by_name(narrows):
    pytest.importorskip("pyarrow")
    write_csv("x.csv", {"load": series(), "heat": np.cos(STEPS / 9)})
    rows = read(narrows.json("outliers", "x.csv", "-o", "scores.csv", "--window", "64")["path"])
    assert max(rows, key=lambda row: float(row["score"]))["top_channel"] == "load"


def test_several_series_are_named_and_each_has_its_own_index(narrows):
    pytest.importorskip("pyarrow")
    lines = ["id,value", *(f"{name},{value}" for value in series() for name in ("a", "b"))]
    Path("x.csv").write_text("\n".join(lines))
    narrows("outliers", "x.csv", "-o", "scores.csv", "--group", "id", "--window", "64")
    rows = read("scores.csv")
    assert list(rows[0]) == ["id", "index", "score", "is_outlier"]
    assert [(row["id"], row["index"]) for row in rows[799:801]] == [("a", "799"), ("b", "0")]


def test_missing_values_have_an_empty_score(narrows):
    values = series()
    values[100:110] = np.nan
    np.save("x.npy", values)
    found = narrows.json("outliers", "x.npy", "-o", "scores.csv", "--window", "64")
    assert found["scored"] == 790
    assert [row["index"] for row in read("scores.csv") if not row["score"]] == [str(i) for i in range(100, 110)]


def test_a_training_series_and_standard_output(narrows):
    np.save("x.npy", series() + 5)
    np.save("usual.npy", np.sin(STEPS / 6))
    said = narrows("outliers", "x.npy", "--train", "usual.npy", "--window", "64", "-o", "-")
    assert said.stdout.splitlines()[0] == "index,score,is_outlier"
    assert all(line.endswith(",1") for line in said.stdout.splitlines()[1:801])


def test_the_table_is_the_same_in_every_run_and_is_not_replaced_without_force(narrows):
    np.save("x.npy", series())
    narrows("outliers", "x.npy", "-o", "scores.csv", "-q", "--picture", "x.png")
    assert Path("x.png").read_bytes().startswith(b"\x89PNG")
    before = Path("scores.csv").read_bytes()
    assert "--force" in narrows.fails("outliers", "x.npy", "-o", "scores.csv").stderr
    narrows("outliers", "x.npy", "-o", "scores.csv", "--force")
    assert Path("scores.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("x.npy -o scores.npy", "ends in .csv, .json or .parquet"),
        ("x.npy -o scores.csv --window 801", "only 800"),
        ("constant.npy -o scores.csv", "constant"),
        ("digits -o scores.csv --window 8", "window"),
        ("x.npy -o scores.csv --explain", "series"),
        ("digits -o scores.csv --contamination 0.7", "at most 0.5"),
        ("ones.npy -o scores.csv", "equal"),
        ("one.npy -o scores.csv", "at least 2"),
        ("unsorted.csv -o scores.csv", "must not decrease"),
        ("text.csv -o scores.csv --time when", "Row 4"),
    ],
)
def test_a_series_that_cannot_be_scored_leaves_no_output(narrows, arguments, words):
    if ".csv -o" in arguments:
        pytest.importorskip("pyarrow")
    np.save("x.npy", series())
    np.save("constant.npy", np.zeros(100))
    np.save("ones.npy", np.ones((20, 3)))
    np.save("one.npy", np.ones((1, 3)))
    write_csv("unsorted.csv", {"load": series()}, order=STEPS[::-1])
    Path("text.csv").write_text("when,load\n" + "".join(f"2026-01-0{i},{i}\n" for i in (1, 2)) + "2026-01-03,high\n")
    assert words in narrows.fails("outliers", *arguments.split()).stderr
    assert not list(Path().glob("scores*"))


def records(n=120):
    """Rows of three columns, two of which follow each other; row 7 does not."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 3))
    x[:, 1] = x[:, 0] + 0.1 * x[:, 1]
    x[7, 1] -= 4
    return x


def test_records_get_a_table_with_the_columns_that_make_them_odd(narrows, monkeypatch):
    monkeypatch.setattr("narrows.estimators.outliers.defaults._STEPS", 20)
    np.save("x.npy", records())
    said = narrows("outliers", "x.npy", "-o", "scores.csv", "--contamination", "0.05", "--save", "d.safetensors")
    rows = read("scores.csv")
    assert list(rows[0]) == ["index", "score", "is_outlier", "top_columns"]
    assert sum(row["is_outlier"] == "1" for row in rows) == 6
    assert max(rows, key=lambda row: float(row["score"]))["index"] == "7"
    assert "120 records, 6 outliers" in said.stdout
    assert "for a share of 0.05" in said.stdout
    assert "expected" in said.stdout
    found = narrows.json("outliers", "x.npy", "-m", "d.safetensors", "-o", "scores.json", "--explain")
    table = json.loads(Path("scores.json").read_text())
    assert found["columns"] == list(table[0])
    assert table[7]["score"] == pytest.approx(sum(table[7][f"part of x{i}"] for i in range(3)))
    assert found["worst"][0]["index"] == 7
    assert (
        "already" in narrows.fails("outliers", "x.npy", "-m", "d.safetensors", "-o", "y.csv", "--train", "x.npy").stderr
    )


def test_a_table_without_dates_is_records_by_the_names_of_its_columns(narrows, monkeypatch):
    pytest.importorskip("pyarrow")
    from pyarrow import parquet

    monkeypatch.setattr("narrows.estimators.outliers.defaults._STEPS", 20)
    np.savetxt("cars.csv", records(), delimiter=",", header="weight,power,doors", comments="")
    narrows("outliers", "cars.csv", "-o", "scores.parquet")
    table = parquet.read_table("scores.parquet").to_pylist()
    assert len(table) == 120
    assert "power" in table[7]["top_columns"]
    assert isinstance(table[7]["is_outlier"], bool)


def test_missing_values_of_records_cost_nothing(narrows, monkeypatch):
    monkeypatch.setattr("narrows.estimators.outliers.defaults._STEPS", 5)
    x = records()
    x[7, 1] = np.nan
    np.save("x.npy", x)
    assert "--fill-value" in narrows.fails("outliers", "x.npy", "-o", "scores.csv").stderr
    arguments = "x.npy -o scores.csv --explain --contamination 0.05"
    narrows("outliers", *arguments.split(), "--fill-value", "nan", "--save", "d.safetensors")
    assert float(read("scores.csv")[7]["part of x1"]) < 1e-9
    arguments = "x.npy -o y.csv -m d.safetensors --fill-value nan"
    assert "no meaning" in narrows.fails("outliers", *arguments.split()).stderr
    np.save("steps.npy", series())
    assert "series" in narrows.fails("outliers", "steps.npy", "-o", "y.csv", "--fill-value", "0").stderr


def test_reasons_are_in_the_words_of_the_table():
    from narrows.cli.outliers_of_records import _why

    def why(value, expected):
        return _why({"column": "x", "value": value, "expected": expected})

    assert why(4.0, 2.5) == "x = 4 (expected 2.500)"
    assert why("red", "blue") == "x = red (expected blue)"
    assert why("red", "red") == "x = red (rare beside the others)"
    assert why(None, 1.0) == "x = missing (expected 1)"


def test_windows_are_series_if_they_are_said_to_be_and_are_drawn_as_curves(narrows, monkeypatch):
    monkeypatch.setattr("narrows.estimators.outliers.defaults._STEPS", 5)
    x = np.sin(np.arange(20) / 3 + np.arange(40)[:, None])[..., None] * [1.0, 2.0]
    np.save("windows.npy", x)
    arguments = "windows.npy -o scores.csv --contamination 0.05 --as series --picture oddest.svg --save d.safetensors"
    narrows("outliers", *arguments.split())
    assert "channel 1" in Path("oddest.svg").read_text()
    again = "windows.npy -o again.csv -m d.safetensors --as series"
    assert "no meaning" in narrows.fails("outliers", *again.split()).stderr
    narrows("outliers", *again.split()[:-2])
    assert Path("again.csv").read_bytes() == Path("scores.csv").read_bytes()


def test_a_trained_autoencoder_scores_and_the_oddest_images_are_drawn(narrows, model):
    arguments = ["outliers", "digits:test", "-m", model, "--picture", "worst.png", "--save", "d.safetensors"]
    found = narrows.json(*arguments, "-o", "scores.csv", "--contamination", "0.1")
    assert Path("worst.png").read_bytes().startswith(b"\x89PNG")
    assert found["outliers"] == 36
    again = narrows.json("outliers", "digits:test", "-m", "d.safetensors", "-o", "again.csv")
    assert again["worst"] == found["worst"]
    assert Path("again.csv").read_bytes() == Path("scores.csv").read_bytes()


def test_columns_of_a_table_are_left_out_or_have_another_kind(narrows, monkeypatch):
    monkeypatch.setattr("narrows.estimators.outliers.defaults._STEPS", 2)
    rows = [f"{i},{i % 5},{i % 7 + 0.5}" for i in range(60)]
    Path("t.csv").write_text("\n".join(["id,shop,price", *rows]))
    narrows(
        "outliers", "t.csv", "-o", "s.csv", "--explain", "--columns", "id:skip,shop:category", "--save", "d.safetensors"
    )
    header = list(read("s.csv")[0])
    assert [name for name in header if name.startswith("part")] == ["part of shop", "part of price"]
    narrows("outliers", "t.csv", "-o", "again.csv", "--explain", "--columns", "id:skip", "-m", "d.safetensors")
    assert Path("again.csv").read_bytes() == Path("s.csv").read_bytes()
    assert (
        "is for series"
        in narrows.fails("outliers", "t.csv", "-o", "x.csv", "--columns", "id:skip", "--time", "id").stderr
    )
    np.save("x.npy", np.arange(40.0).reshape(20, 2))
    assert "'columns'" in narrows.fails("outliers", "x.npy", "-o", "x.csv", "--columns", "a:skip").stderr
