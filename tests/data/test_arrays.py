import numpy as np
import pandas
import pytest
import torch
from scipy import sparse

import narrows.data
from narrows.errors import DataError, InvalidParameterError


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "float64"])
def test_every_real_dtype_is_kept_and_not_copied(dtype):
    x = np.ones((3, 2, 2), dtype)
    source = narrows.data.open(x)
    assert source.values is x
    assert (source.name, source.kind) == (f"array (3, 2, 2) {dtype}", "array")


@pytest.mark.parametrize(
    ("x", "named"),
    [
        (np.array([["a"]]), "<U1"),
        (np.array([[object()]]), "object"),
        (np.ones((2, 2), complex), "complex128"),
        (np.zeros((2, 2), "datetime64[s]"), "datetime64"),
        (np.ones(3), r"x\[:, None\]"),
        (np.float64(3), r"shape \(\)"),
        (np.ones((0, 3)), "at least one record"),
        (np.ones((3, 0)), "at least one value"),
        ([[1, 2], [3]], "list"),
        (None, "NoneType"),
        ({"x": 1}, "dict"),
    ],
)
def test_what_cannot_be_records_is_rejected_by_name(x, named):
    with pytest.raises(DataError, match=named):
        narrows.data.open(x)


def test_bytes_are_swapped_into_native_order():
    source = narrows.data.open(np.arange(6, dtype=">i4").reshape(3, 2))
    assert source.dtype.isnative
    assert source.values.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_array_likes_are_taken():
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    for data in ([[1, 2], [3, 4]], frame, torch.ones(2, 3)):
        assert len(narrows.data.open(data)) == 2
    with pytest.raises(DataError, match="Tensor"):
        narrows.data.open(torch.ones(2, 3, requires_grad=True))


def test_sparse_matrices_are_told_what_to_do():
    with pytest.raises(DataError, match="toarray"):
        narrows.data.open(sparse.eye_array(3))


@pytest.mark.parametrize("view", [lambda x: x, lambda x: x[1:], np.asarray], ids=["map", "slice", "array"])
def test_a_read_only_memory_map_is_not_copied(view, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((3, 2)))
    x = view(np.load(tmp_path / "x.npy", mmap_mode="r"))
    assert np.shares_memory(narrows.data.open(x).values, x)


def test_limit_and_take_keep_labels_and_files_in_step():
    x = np.arange(8).reshape(4, 2)
    source = narrows.data.Source(x, np.arange(4), ("a", "b", "c", "d"), files=("0", "1", "2", "3"))
    assert source.limit(3).labels.tolist() == [0, 1, 2]
    assert len(source.limit(100)) == 4
    taken = source.take([3, 0])
    assert (taken.values.tolist(), taken.labels.tolist(), taken.files) == ([[6, 7], [0, 1]], [3, 0], ("3", "0"))


@pytest.mark.parametrize("indices", [[4], [-1], [], [[0]], [0.5]])
def test_take_says_which_indices_there_are(indices):
    with pytest.raises(InvalidParameterError, match="indices"):
        narrows.data.Source(np.ones((4, 2))).take(indices)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "3", True])
def test_limit_must_be_a_whole_number_of_at_least_one(limit):
    with pytest.raises(InvalidParameterError, match=r"'limit'.*≥ 1"):
        narrows.data.open(np.ones((4, 2)), limit=limit)


def test_labels_of_another_length_are_rejected():
    with pytest.raises(DataError, match=r"must have 4 entries, one for each record\. Got 3"):
        narrows.data.Source(np.ones((4, 2)), np.ones(3))


def test_a_source_passes_through():
    source = narrows.data.open(np.ones((4, 2)))
    assert narrows.data.open(source) is source
    assert len(narrows.data.open(source, limit=2)) == 2


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 2)])
@pytest.mark.parametrize("listed", [False, True], ids=["tensor", "list"])
def test_tensors_with_a_gradient_are_refused_with_what_to_do(shape, listed):
    tensor = torch.zeros(shape, requires_grad=True)
    data = list(tensor.unbind()) if listed else tensor
    for take in (narrows.data.open, narrows.Autoencoder().fit):
        with pytest.raises(DataError, match=r"require a gradient .* Pass x\.detach\(\), or use model\.encoder_"):
            take(data)
    assert narrows.data.open(tensor.detach()).shape == shape[1:]


def test_tensors_on_another_device_are_refused_with_what_to_do():
    with pytest.raises(DataError, match=r"on the CPU\. Got one on 'meta'\. Pass x\.cpu\(\)"):
        narrows.data.open(torch.zeros(5, 3, device="meta"))


def test_codes_and_weights_with_a_gradient_are_refused(rng):
    x = rng.normal(size=(20, 4))
    model = narrows.Autoencoder(2, training=narrows.Training(epochs=1), artefacts=(), random_state=0).fit(x)
    with pytest.raises(DataError, match="require a gradient"):
        model.inverse_transform(torch.zeros(5, 2, requires_grad=True))
    with pytest.raises(DataError, match="'sample_weight' must be numbers"):
        model.fit(x, sample_weight=torch.ones(20, requires_grad=True))
