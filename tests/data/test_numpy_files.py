import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra import numpy as hnp

import narrows.data
from narrows.data.numpy_files import VALUE_KEYS
from narrows.errors import CorruptFileError, DataError, InvalidParameterError, UnknownNameError

REAL = hnp.boolean_dtypes() | hnp.integer_dtypes(endianness="?") | hnp.floating_dtypes(endianness="?")
X = np.arange(12, dtype=np.float32).reshape(6, 2)


@given(x=hnp.arrays(REAL, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_saved_is_read_in_native_order(x, tmp_path):
    for name, save in (("x.npy", np.save), ("x.npz", lambda path, x: np.savez(path, x=x))):
        save(tmp_path / name, x)
        source = narrows.data.open(tmp_path / name)
        np.testing.assert_array_equal(source.values, x)
        assert source.dtype == x.dtype.newbyteorder("=")
        assert source.kind == name[2:]


def test_npy_is_mapped_writeable_and_the_file_is_never_changed(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(X))
    source = narrows.data.open(tmp_path / "x.npy")
    assert isinstance(source.values, np.memmap)
    source.values[:] = 0
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), X)


def npy_bytes(x):
    file = io.BytesIO()
    np.save(file, x)
    return file.getvalue()


def npy_header(shape):
    return npy_bytes(X).replace(b"(6, 2), }        ", f"({shape}), }}".encode().ljust(17))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"neither", "not a .npy file"),
        (npy_bytes(X)[:50], "header is damaged or cut off"),
        (npy_bytes(X)[:-1], "must have 176 bytes.*Got 175"),
        (npy_bytes(X) + b"\0", "must have 176 bytes.*Got 177"),
        (npy_header("9999999, 99"), "Got 176"),
        (npy_header("-6, -2"), "declares the shape"),
    ],
)
def test_an_npy_that_lies_is_named(tmp_path, content, message):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    with pytest.raises(CorruptFileError, match=message) as error:
        narrows.data.open(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([[{}]]), "object"),
        (np.ones(3), "shape"),
        (np.ones((0, 3)), "at least one record"),
        (np.ones((2, 2), "c8"), "complex64"),
    ],
)
def test_arrays_that_are_no_records_are_rejected_and_never_unpickled(tmp_path, x, message):
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", x=x)
    paths = [tmp_path / "x.npy", tmp_path / "x.npz"]
    for path in paths[x.ndim == 1 :]:  # a .npy file with one axis is a series
        with pytest.raises(DataError, match=message):
            narrows.data.open(path)


@pytest.mark.parametrize("values", VALUE_KEYS)
def test_npz_takes_the_array_with_the_usual_name(tmp_path, values):
    np.savez(tmp_path / "x.npz", **{values: X, "other": X[:2]})
    np.testing.assert_array_equal(narrows.data.open(tmp_path / "x.npz").values, X)


def test_npz_takes_the_only_table_or_asks(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, a=X, b=np.ones(6))
    np.testing.assert_array_equal(narrows.data.open(path).values, X)
    np.savez_compressed(path, a=X, b=X + 1)
    with pytest.raises(InvalidParameterError, match=r"key.*a \(6, 2\) float32, b \(6, 2\) float32"):
        narrows.data.open(path)
    np.testing.assert_array_equal(narrows.data.open(path, key="b").values, X + 1)
    with pytest.raises(UnknownNameError, match="'c'"):
        narrows.data.open(path, key="c")
    np.savez(path, b=np.ones(6))
    with pytest.raises(DataError, match=r"no array of records.*b \(6,\)"):
        narrows.data.open(path)


def test_npz_hands_out_the_labels_that_fit(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, X=X, y=np.arange(6)[:, None])
    assert narrows.data.open(path).labels.tolist() == [0, 1, 2, 3, 4, 5]
    np.savez(path, X=X, y=np.array(["b", "a", "b", "b", "b", "b"]))
    source = narrows.data.open(path)
    assert (source.labels.tolist(), source.label_names) == ([1, 0, 1, 1, 1, 1], ("a", "b"))
    np.savez(path, x_train=X, y_train=np.zeros(6), x_test=X[:2], y_test=np.ones(2))
    assert narrows.data.open(path).labels.tolist() == [0] * 6
    assert narrows.data.open(path, key="x_test").labels.tolist() == [1, 1]


def test_an_npz_that_lies_is_named(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, x=X)
    whole = path.read_bytes()
    flipped = whole.replace(X.tobytes(), X[::-1].tobytes())
    for content in (b"neither", whole[:-30], whole[: len(whole) // 2], flipped):
        path.write_bytes(content)
        with pytest.raises(CorruptFileError, match=r"x\.npz"):
            narrows.data.open(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", npy_header("9999999, 99"))
    with pytest.raises(CorruptFileError, match="Got 176"):
        narrows.data.open(path)


@pytest.mark.parametrize("label_key", ["y", "labels"])
def test_labels_of_another_length_are_refused_unless_the_key_is_given(tmp_path, label_key):
    path = tmp_path / "x.npz"
    np.savez(path, **{"x": np.zeros((6, 2)), label_key: np.arange(4)})
    with pytest.raises(DataError, match=r"'x' in .* has 6 records, but the array '(y|labels)' has 4 labels.*--key x"):
        narrows.data.open(path)
    assert narrows.data.open(path, key="x").labels is None
