"""What columns have can be said, for files of text and for Arrow tables, and columns can be left out."""

import json

import pytest

import narrows
from narrows.archive import open_archive
from narrows.data.tables.inference import KINDS
from narrows.data.tables.opening import open_csv
from narrows.errors import DataWarning, InvalidParameterError, UnknownNameError

CELLS = {
    "integer": "{i}",
    "decimal": "{i}.25",
    "float": "{i}e-7",
    "boolean": "yes",
    "date": "2024-01-0{d}",
    "time": "05:3{d}",
    "datetime": "2024-01-0{d}T05:30:0{d}",
    "category": "Peru",
    "text": "a text {i}",
    "mixed": '"{i}"',
}
NUMBERS = {"integer": {"integer", "mixed", "float"}, "decimal": {"integer", "decimal", "float", "mixed"}}
MAY_BE = {"date": {"date"}, "time": {"time"}, "datetime": {"datetime"}, "float": NUMBERS["decimal"], **NUMBERS}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("kinds") / "x.csv"
    rows = [",".join(CELLS)] + [
        ",".join(CELLS.values()).format(i=i, d=i % 8 + 1).replace("yes", "no" if i % 3 else "yes") for i in range(9)
    ]
    path.write_text("\n".join([*rows, "NA" + "," * 9, "x" + ",y" * 9]) + "\n")
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_column_may_have_every_kind_or_it_is_refused_by_name(table, kind):
    names = list(CELLS)
    for name in names:
        if name not in MAY_BE.get(kind, names):
            with pytest.raises(InvalidParameterError, match=f"The column '{name}' cannot be {kind}"):
                open_csv(table, kinds={name: kind})
            continue
        source = open_csv(table, kinds={name: kind})
        place = names.index(name)
        assert source.form.rules[place].kind == kind
        text = b"".join(source.form.text(group).tobytes() for group in source.groups(4))
        assert source.form.dialect.head + text == table.read_bytes()


def test_cells_unlike_what_a_column_is_said_to_have_are_counted_and_refused_if_they_are_nearly_all(
    tmp_path, narrows_call
):
    rows = [f"{'ab'[i % 2]},{i if i < 7 else 'much'},{('yes', 'no', 'maybe')[i % 3]}" for i in range(100)]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["c,few,is", *rows]) + "\n")
    compress = ("compress", path, "-o", tmp_path / "x.narrows", "--columns")
    for verb in (compress, ("train", path, "-o", tmp_path / "m.safetensors", "--epochs", 1, "--columns")):
        said = narrows_call(*verb, "c:decimal", code=2)
        assert "The column 'c' cannot be decimal (--columns): it has texts such as 'a', and none of 100 cells" in said
    (warning,) = json.loads(narrows_call(*compress, "few:decimal,is:boolean", "--json"))["warnings"]
    assert (warning["kind"], warning["count"], warning["first"]) == ("cells", 93 + 33, "few")
    with pytest.warns(DataWarning, match="126 cells .* count as missing: 93 in 'few', 33 in 'is'"):
        narrows.data.open(path, columns="few:decimal,is:boolean")
    path.write_text("\n".join(["c,few,is", rows[0], *rows[7:]]) + "\n")
    assert "1 of 94 cells is integer" in narrows_call(*compress, "few:integer", "--force", code=2)


def test_booleans_are_two_words_and_all_else_is_an_exception(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("n,w\n" + "".join(f"{i},{'off' if i % 2 else 'ON'}\n" for i in (0, 1, 1, 2, 0)) + ",\n")
    source = open_csv(path, kinds={"n": "boolean", "w": "boolean"})
    (group,) = source.groups(9)
    assert source.form.text(group).tobytes() == path.read_bytes()[4:]
    assert source.form.values(group, 0) == [False, True, True, "2", False, None]
    assert source.form.values(group, 1) == [True, False, False, True, True, None]
    assert source.warnings[0].count == 1


def test_columns_that_are_left_out_do_not_come_back(table, narrows_call, tmp_path):
    call = ("compress", table, "-o", tmp_path / "x.narrows", "--columns", "integer:skip,mixed:skip,time:text")
    made = json.loads(narrows_call(*call, "--json"))
    assert (made["columns"], made["kinds"]["time"]) == (8, "text")
    assert made["warnings"][0]["kind"] == "skipped-columns"
    assert "'integer', 'mixed'" in made["warnings"][0]["message"]
    back = narrows_call("restore", tmp_path / "x.narrows", "-o", "-", "--quiet")
    expected = "".join(",".join(line.split(",")[1:-1]) + "\n" for line in table.read_text().splitlines())
    assert back == expected
    assert made["raw_bytes"] == len(expected)
    assert "left out     integer, mixed" in narrows_call("info", tmp_path / "x.narrows")


def test_at_least_one_column_remains(table):
    with pytest.raises(InvalidParameterError, match="Keep one"):
        open_csv(table, kinds=dict.fromkeys(CELLS, "skip"))
    with pytest.raises(UnknownNameError, match="Did you mean 'time'"):
        open_csv(table, kinds={"tim": "skip"})


def test_a_file_without_names_loses_a_column(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b'\xef\xbb\xbf1;2;"a;b"\r\n3;4;5\r\n6;7;8')
    source = open_csv(path, kinds={"1": "skip"}, header=False)
    assert source.form.text(next(source.groups(3))).tobytes() == b'1;"a;b"\r\n3;5\r\n6;8\r\n'
    assert source.form.dialect.head == b"\xef\xbb\xbf"
    assert source.n_bytes == 3 + len(b'1;"a;b"\r\n3;5\r\n6;8')


def test_columns_of_frames_are_left_out_and_texts_may_be_categories(tmp_path, narrows_call):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "x"], "c": [0.5, 1.5, 2.5]}, index=[5, 6, 7])
    frame.to_parquet(tmp_path / "x.parquet")
    call = ("compress", tmp_path / "x.parquet", "-o", tmp_path / "x.narrows", "--json", "--force", "--columns")
    assert json.loads(narrows_call(*call, "b:identifier,c:float"))["kinds"]["c"] == "float"
    assert json.loads(narrows_call(*call, "a:skip,b:category"))["columns"] == 3  # with the index
    with open_archive(tmp_path / "x.narrows") as archive:
        pandas.testing.assert_frame_equal(archive.to_pandas(), frame[["b", "c"]])
    assert "has the type int64, and so the kind integer" in narrows_call(*call, "a:date", code=2)
    assert "Did you mean" in narrows_call(*call, "bb:skip", code=2)
