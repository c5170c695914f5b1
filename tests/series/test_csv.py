"""CSV files of series: which columns are what, and what is refused."""

import re

import numpy as np
import pytest

import narrows
import narrows.data
from narrows.data.csv_reader import read_csv
from narrows.data.series.csv_files import is_same_text, series_in_csv
from narrows.errors import CorruptFileError, DataError, InvalidParameterError, UnknownNameError

pytest.importorskip("pyarrow")


@pytest.fixture
def written(tmp_path):
    def write(text, name="s.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def series(path, **options):
    return series_in_csv(path, path.name, **options)


def rows(n=40):
    return "".join(f"2024-01-01 {i // 60:02d}:{i % 60:02d},{i % 7}.5,{i}\n" for i in range(n))


def test_the_first_column_of_dates_is_the_time_and_all_others_are_values(written):
    found = series(written("when,temp,load\n" + rows()))
    assert found.channels == ("temp", "load")
    assert found.values.shape == (40, 2)
    assert found.values[3].tolist() == [3.5, 3.0]
    assert found.times.name == "when"
    assert found.times.values()[:2].tolist() == np.array(["2024-01-01T00:00", "2024-01-01T00:01"], "M8[m]").tolist()


def test_columns_can_be_chosen_and_a_single_one_has_no_axis_of_channels(written):
    found = series(written("t,temp,load\n" + rows()), values="load")
    assert found.values.shape == (40,)
    assert found.channels == ("load",)
    assert series(written("t,temp,load\n" + rows()), values="load, temp").channels == ("load", "temp")


def test_times_may_be_numbers_and_irregular(written):
    found = series(written("t,v\n0,1\n0.25,2\n7,3\n7,4\n"), time="t")
    assert found.times.ticks.tolist() == [0, 25, 700, 700]
    assert found.times.values().tolist() == [0, 0.25, 7, 7]


def test_several_series_in_one_file_are_told_by_a_column(written):
    found = series(written("id,t,v\nb,1,10\na,1,20\nb,2,11\na,2,21\nb,3,12\n"), time="t", group="id")
    assert found.names == ("b", "a")
    assert found.lengths == (3, 2)
    assert found.values.tolist() == [10, 11, 12, 20, 21]
    assert found.times.ticks.tolist() == [1, 2, 3, 1, 2]


@pytest.mark.parametrize("text", ["", "NA", "NaN", "null"])
def test_missing_values_are_nan(text, written):
    found = series(written(f"t,v,w\n1,1.5,1\n2,{text},2\n3,2.5,3\n"), time="t")
    assert np.isnan(found.values[1, 0])
    assert np.isfinite(found.values[:, 1]).all()
    assert found.decimals.missing.sum() == 1


def test_a_file_of_numbers_without_names_is_read(written):
    found = series(written("1,2.5\n2,3.5\n"))
    assert found.channels == ("0", "1")
    assert found.values.tolist() == [[1, 2.5], [2, 3.5]]


CANONICAL = {
    "shortest floats": "t,v\n1,20.0\n2,0.1\n3,51.846000000000004\n",
    "floats without a point": "t,v\n1,20\n2,0.5\n3,-3\n",
    "fixed digits": "t,v\n1,20.00\n2,0.50\n3,-3.25\n",
    "missing values": "t,v\n1,NA\n2,0.5\n3,NA\n",
    "semicolons": "t;v\n1;2.5\n2;3.5\n3;4.5\n",
    "Windows lines": "t,v\r\n1,2.5\r\n2,3.5\r\n3,4.5\r\n",
    "no last line end": "t,v\n1,2.5\n2,3.5\n3,4.5",
    "dates with T and Z": "t,v\n2024-01-01T00:00:00.5Z,1.5\n2024-01-01T00:00:01.0Z,2.5\n",
    "groups": "id,t,v\na,1,1.5\na,2,2.5\nb,1,3.5\nb,2,4.5\n",
    "a quoted name": '"a,b",v\n1,2.5\n2,3.5\n',
    "exponents": "t,v\n1,1e-300\n2,1e+16\n",
}


@pytest.mark.parametrize("text", CANONICAL.values(), ids=CANONICAL.keys())
def test_the_same_bytes_are_written_again(text, written):
    path = written(text)
    time = "a,b" if '"' in text else "t"
    assert is_same_text(series(path, time=time, group="id" if "id" in text else None), path)


@pytest.mark.parametrize(
    "text", ["t,v\n1,2.50\n2,3.5\n", "t,v\n1,\n2,NA\n3,1\n", "t,v\n 1,2\n2,3\n", "t,v\n1,2\n\n2,3\n"]
)
def test_other_texts_of_the_same_values_are_recognised(text, written):
    path = written(text)
    assert not is_same_text(series(path, time="t"), path)


def test_a_text_in_a_column_of_values_is_refused_by_its_row(written):
    with pytest.raises(DataError, match=r"Row 4, column 'v' of s\.csv is 'broken', which is no number.*--values"):
        series(written("t,v\n1,1\n2,2\n3,broken\n"), time="t")


def test_times_that_decrease_are_refused_by_their_row(written):
    path = written("t,v\n2024-01-02,1\n2024-01-03,2\n2024-01-01,3\n")
    with pytest.raises(
        DataError, match=r"Row 4 has 2024-01-01, after 2024-01-03\. Sort the rows.*--time none.*--group"
    ):
        series(path)
    without = series(path, time="none")
    assert without.times is None
    assert without.channels == ("v",)


def test_times_of_another_form_are_refused_by_their_row(written):
    with pytest.raises(DataError, match=r"row 3, column 't' of s\.csv is '2024-13-01'.*The first time is '2024-01-01'"):
        series(written("t,v\n2024-01-01,1\n2024-13-01,2\n"))
    with pytest.raises(DataError, match=r"row 2, column 't' of s\.csv is 'Monday'"):
        series(written("t,v\nMonday,1\nTuesday,2\n"), time="t")


def test_rows_of_different_lengths_are_refused(written):
    with pytest.raises(CorruptFileError, match=r"Row 3 of s\.csv has 3 fields, and the first line has 2"):
        series(written("t,v\n1,2\n2,3,4\n"))


def test_unknown_and_repeated_columns_are_refused(written):
    with pytest.raises(UnknownNameError, match=r"'lode'.*'load'"):
        series(written("t,temp,load\n" + rows()), values="lode")
    with pytest.raises(DataError, match="more than one column named 'v'"):
        series(written("t,v,v\n1,2,3\n"))
    with pytest.raises(DataError, match="at least one column of values"):
        series(written("t\n2024-01-01\n"))


@pytest.mark.parametrize("text", ["t,v\n", "t,v"])
def test_a_file_without_rows_is_refused(text, written):
    with pytest.raises(DataError, match="has no rows"):
        series(written(text))


def test_a_file_in_another_encoding_is_refused(written):
    with pytest.raises(CorruptFileError, match=r"is no text in UTF-8 \(byte 3\)"):
        series(written(b"t,v\xe9\n1,2\n"))


def test_a_file_with_dates_is_opened_as_windows_and_a_table_is_not(written):
    source = narrows.data.open(written("t,temp,load\n" + rows()), window=10, stride=5)
    assert (source.kind, source.record, source.values.shape) == ("csv", "series", (7, 10, 2))
    np.testing.assert_array_equal(narrows.data.open(written("a,b\n1,2\n3,4\n")).values, [[1, 2], [3, 4]])
    assert narrows.data.open(written("a,b\n" + "1,2\n" * 20), window=5).shape == (5, 2)


def test_options_of_series_are_refused_for_other_data(tmp_path, written):
    np.save(tmp_path / "x.npy", np.zeros((20, 2)))
    with pytest.raises(InvalidParameterError, match=r"option 'time' can be set only for \.csv files"):
        narrows.data.open(tmp_path / "x.npy", time="t")
    with pytest.raises(InvalidParameterError, match=r"'window' must be a whole number ≥ 1 or 'auto'"):
        narrows.data.open(written("t,v\n" + "1,2\n" * 20), window="long")


def test_a_constant_channel_and_names_with_spaces_are_read(written):
    found = series(written("t, my value ,other\n1,5,1\n2,5,2\n"), time="t")
    assert found.channels == ("my value", "other")


def test_the_reader_knows_the_form_of_a_file(written):
    table = read_csv(written("a;b\r\n1;2\r\n"), "x.csv")
    assert (table.names, table.delimiter, table.newline, table.has_names) == (("a", "b"), ";", "\r\n", True)
    assert table.texts("b") == ["2"]
    assert re.fullmatch(r"\d+", table.texts("a")[0])


def test_plus_signs_and_spaces_are_read(written):
    assert series(written("t,v\n1,+1.5\n2, 2 \n"), time="t").values.tolist() == [1.5, 2.0]


def test_empty_lines_of_a_single_column_are_missing_values(written, tmp_path):
    text = "load\n1.5\n\n2.5\n\n\n3.5\n"
    found = series(written(text))
    np.testing.assert_array_equal(found.values, [1.5, np.nan, 2.5, np.nan, np.nan, 3.5])
    assert len(series(written("a,b\n1,2\n\n3,4\n")).values) == 2  # of several columns, they are nothing
    narrows.compress(written(text), tmp_path / "s.narrows")
    narrows.restore(tmp_path / "s.narrows", out=tmp_path / "back.csv")
    assert (tmp_path / "back.csv").read_text() == text
