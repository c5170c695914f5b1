"""The names of records: stored as they came, read alone, and different from one another in a folder."""

from __future__ import annotations

import numpy as np
import pytest

from narrows.archive import open_archive
from narrows.archive.byte_file import ByteFile
from narrows.archive.names import file_names, list_names, numbered
from narrows.errors import DataWarning


@pytest.fixture
def named(make, records):
    return make(records, names=[f"{i % 900}.png" for i in range(1000)])


def test_names_are_read_without_the_rest_of_a_chunk(named, codec, monkeypatch):
    read, n_read = ByteFile.read, []
    monkeypatch.setattr(ByteFile, "read", lambda self, at, n: (n_read.append(n), read(self, at, n))[1])
    with open_archive(named, model=codec) as archive:
        monkeypatch.setattr(codec, "decode", lambda *_: pytest.fail("it was decoded"))
        assert archive.names([999, 3]) == ["99.png", "3.png"]
    assert sum(n_read) < named.stat().st_size / 2


def test_items_are_chosen_by_a_list(named, codec, records):
    with open_archive(named, model=codec) as archive:
        for items in ([5, 999, 3, 3, 300], [-1], [], np.array([700, 2])):
            np.testing.assert_array_equal(archive.read(items), records[np.asarray(items, int)])
            assert archive.names(items) == [f"{i % 1000 % 900}.png" for i in items]
        for wrong, error in (([1000], IndexError), ([-1001], IndexError), ([1.5], TypeError), ([True], TypeError)):
            with pytest.raises(error):
                archive.read(wrong)


def test_names_of_a_damaged_chunk_are_empty_in_a_list(named, codec, fuzz):
    data = bytearray(named.read_bytes())
    start, _ = fuzz.blocks_of(bytes(data))[1]
    data[start + 8] ^= 1
    named.write_bytes(data)
    names = list_names(named)
    assert names[:300] == [f"{i}.png" for i in range(300)]
    assert names[300:600] == [""] * 300
    assert names[600:] == [f"{i % 900}.png" for i in range(600, 1000)]


def test_repeated_names_get_numbers_that_no_other_has():
    names = ["a.png", "a.png", "b/c", "a-2.png", "a.png", "b/c"]
    with pytest.warns(DataWarning, match=r"3 of 6 images.*with a number: a.png, record 1, as a-3.png"):
        assert numbered(names) == ["a.png", "a-3.png", "b/c", "a-2.png", "a-4.png", "b/c-2"]


def test_the_name_of_a_file_does_not_depend_on_the_chosen_items(named, codec):
    with open_archive(named, model=codec) as archive:
        with pytest.warns(DataWarning, match="written with a number"):
            whole = archive.file_names()
        with pytest.warns(DataWarning, match="written with a number"):
            some = archive.file_names([950, 0])
    assert len(set(whole)) == 1000
    assert some == [whole[950], whole[0]] == ["50-2.png", "0.png"]


def test_items_without_names_have_their_numbers():
    assert file_names([""] * 9, [2, 8]) == ["000002.png", "000008.png"]
    assert file_names(["", "x.bmp"], [1, 0]) == ["x.png", "000000.png"]
