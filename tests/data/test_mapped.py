"""What the system is told about files larger than memory: which bytes are needed, and when reading is at random."""

import mmap

import numpy as np
import pytest

import narrows.data
from narrows.data import mapped
from narrows.data.mapped import larger_than_memory, read_at_random

pytestmark = pytest.mark.skipif(not hasattr(mmap, "MADV_WILLNEED"), reason="the system takes no advice")
PAGE, HEADER = mmap.PAGESIZE, 128


class Witness(mmap.mmap):
    """A mapping that writes down what it is told."""

    def madvise(self, option, *place):
        self.__dict__.setdefault("told", []).append((option, *place))
        super().madvise(option, *place)


@pytest.fixture
def records(tmp_path, monkeypatch):
    """Return 3,000 mapped records of 100 bytes, after a header."""
    monkeypatch.setattr(mapped, "usable_memory", lambda: 500_000)
    path = tmp_path / "x"
    path.write_bytes(bytes(HEADER + 300_000))
    with path.open("rb") as file:
        return np.ndarray((3000, 100), np.uint8, Witness(file.fileno(), 0, access=mmap.ACCESS_READ), HEADER)


def test_rows_near_each_other_are_asked_for_together_and_others_apart(records):
    file = larger_than_memory(records)
    file.will_need(np.array([2999, 1, 0, 41, 2990, 41]))
    first, last = file.mapped.told
    assert first == (mmap.MADV_WILLNEED, 0, HEADER + 42 * 100)
    begin = (HEADER + 2990 * 100) // PAGE * PAGE
    assert last == (mmap.MADV_WILLNEED, begin, HEADER + 300_000 - begin)
    file.will_need(np.array([], np.int64))
    assert len(file.mapped.told) == 2


def test_a_part_of_the_records_knows_its_place(records, monkeypatch):
    monkeypatch.setattr(mapped, "usable_memory", lambda: 1000)
    file = larger_than_memory(records[1000:][500:])
    file.will_need(np.array([0]))
    begin = (HEADER + 1500 * 100) // PAGE * PAGE
    assert file.mapped.told == [(mmap.MADV_WILLNEED, begin, HEADER + 1501 * 100 - begin)]


def test_reading_is_at_random_in_the_block_alone(records):
    file = larger_than_memory(records)

    def fail():
        with read_at_random([file]):
            assert file.mapped.told == [(mmap.MADV_RANDOM,)]
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert file.mapped.told[1:] == [(mmap.MADV_NORMAL,)]


def test_what_fits_into_memory_or_is_no_file_is_left_alone(records, monkeypatch, tmp_path):
    assert larger_than_memory(records[:2500]) is None  # half the memory
    assert larger_than_memory(np.zeros((3000, 100), np.uint8)) is None
    assert larger_than_memory(records[:, ::-1]) is None
    monkeypatch.setattr(mapped, "usable_memory", lambda: None)
    assert larger_than_memory(records) is None


def test_npy_and_idx_files_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(mapped, "usable_memory", lambda: 50)
    np.save(tmp_path / "x.npy", np.zeros((20, 5), np.float32))
    (tmp_path / "x-idx2-ubyte").write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 20, 0, 0, 0, 5]) + bytes(100))
    for name, size, start in (("x.npy", 20, 128), ("x-idx2-ubyte", 5, 12)):
        values = narrows.data.open(tmp_path / name).values
        file = larger_than_memory(values.reshape(10, -1))
        assert (file.start, file.record_bytes) == (start, 2 * size)
