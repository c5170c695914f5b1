"""Data on the device: nothing is copied on the CPU, and a batch is what its indices say."""

import numpy as np
import pytest
import torch

import narrows.data
from narrows.training import JoinedRecords, LabelledRecords, Records

CPU = torch.device("cpu")


def test_memory_mapped_data_are_not_copied(tmp_path, rng):
    np.save(tmp_path / "x.npy", rng.normal(size=(10, 3)))
    values = narrows.data.open(tmp_path / "x.npy").values
    assert isinstance(values, np.memmap)
    for rows in (None, np.array([1, 2])):
        assert Records(values, CPU, rows).tensor.data_ptr() == values.ctypes.data


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "uint16", "float16", "int64", "float64"])
def test_records_keep_their_dtype(dtype):
    values = np.arange(12).reshape(6, 2).astype(dtype)
    records = Records(values, CPU)
    taken = records.take(torch.tensor([4, 0]))
    assert taken.numpy().dtype == values.dtype
    np.testing.assert_array_equal(taken, values[[4, 0]])


def test_rows_choose_and_order():
    values = np.arange(10)[:, None] * 10
    records = Records(values, CPU, np.array([7, 2, 5]))
    assert len(records) == 3
    assert records.take(torch.tensor([2, 0])).flatten().tolist() == [50, 70]
    assert [batch.flatten().tolist() for batch in records.batches(2)] == [[70, 20], [50]]
    assert [batch.flatten().tolist() for batch in Records(values[:3], CPU).batches(2)] == [[0, 10], [20]]


def test_rows_labels_and_what_is_unlabelled_share_the_values():
    values, labels = np.arange(10)[:, None] * 10, np.arange(10) % 3
    every = Records(values, CPU)
    some = every.only(np.array([7, 2, 5]))
    labelled = LabelledRecords(some, labels)
    assert len(every) == 10
    assert len(every.only(None)) == 10
    assert {one.tensor.data_ptr() for one in (every, some, labelled, labelled.unlabelled)} == {values.ctypes.data}
    taken = labelled.take(torch.tensor([2, 0]))
    assert (taken.records.flatten().tolist(), taken.labels.tolist()) == ([50, 70], [2, 1])
    assert [batch.labels.tolist() for batch in labelled.batches(2)] == [[1, 2], [2]]


def test_any_strides_will_do():
    values = np.arange(12).reshape(3, 4)
    packed = np.zeros(3, dtype=[("label", "u1"), ("x", "f4", (4,))])["x"]  # steps of 17 bytes
    for view in (
        packed,
        values[::-1],
        values[:, ::-2],
        values.T,
        np.asfortranarray(values),
        np.broadcast_to(values[0], (3, 4)),
    ):
        np.testing.assert_array_equal(Records(view, CPU).take(torch.arange(len(view))), view)


def test_joined_records_are_as_one_and_nothing_is_copied():
    first, second = np.arange(12).reshape(6, 2), np.arange(100, 108).reshape(4, 2)
    joined = JoinedRecords([Records(first, CPU, np.array([5, 1])), Records(second, CPU)])
    assert len(joined) == 6
    assert joined.take(torch.tensor([5, 0, 2, 1, 0])).tolist() == [[106, 107], [10, 11], [100, 101], [2, 3], [10, 11]]
    assert torch.cat(list(joined.batches(3))).tolist() == [[10, 11], [2, 3], *second.tolist()]
    first[5] = -1
    assert joined.take(torch.tensor([0])).tolist() == [[-1, -1]]
