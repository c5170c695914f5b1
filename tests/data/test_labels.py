"""Labels of any container: their type is kept, and missing ones are refused."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.data.label_files import read_label_file
from narrows.errors import DataError

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
NUMBERS = np.arange(60) % 3
WORDS = np.array(["a", "bb", "ccc"])[NUMBERS]
TRUTHS = NUMBERS > 0

KEPT = {
    "int8": (NUMBERS.astype(np.int8), np.dtype(np.int8)),
    "other bytes": (NUMBERS.astype(">i4"), np.dtype(np.int32)),
    "nullable int": (pd.Series(NUMBERS, dtype="Int64"), np.dtype(np.int64)),
    "nullable bool": (pd.Series(TRUTHS, dtype="boolean"), np.dtype(bool)),
    "objects, bool": (TRUTHS.astype(object), np.dtype(bool)),
    "objects, int": (pd.Series(NUMBERS.tolist(), dtype=object), np.dtype(np.int64)),
    "objects, float": (NUMBERS.astype(float).astype(object), np.dtype(np.float64)),
    "objects, text": (WORDS.astype(object), np.dtype(object)),
    "text": (pd.Series(WORDS, dtype="string"), np.dtype(object)),
    "text of variable length": (WORDS.astype(np.dtypes.StringDType()), np.dtype(object)),
    "categories": (pd.Series(WORDS, dtype="category"), np.dtype(object)),
    "categories of numbers": (pd.Series(NUMBERS * 10, dtype="category"), np.dtype(np.int64)),
    "polars int": (pl.Series(NUMBERS), np.dtype(np.int64)),
    "polars bool": (pl.Series(TRUTHS.tolist()), np.dtype(bool)),
    "nothing masked": (np.ma.masked_array(NUMBERS), np.dtype(np.int64)),
}
MISSING = {
    "None": [None, *WORDS[1:]],
    "NaN": pd.Series([np.nan, *WORDS[1:]], dtype=object),
    "nullable text": pd.Series([None, *WORDS[1:]], dtype="string"),
    "category": pd.Series([None, *WORDS[1:]], dtype="category"),
    "polars text": pl.Series([None, *WORDS[1:].tolist()]),
    "masked": np.ma.masked_array(NUMBERS, mask=np.arange(60) == 0),
    "date": np.array(["NaT", *["2020-01-01"] * 59], dtype="datetime64[s]"),
}


def classifier():
    return AutoencoderClassifier(training=Training(epochs=1), pretrain=False, random_state=0)


@pytest.mark.parametrize(("labels", "dtype"), KEPT.values(), ids=KEPT)
def test_predicted_labels_have_the_type_of_those_given(labels, dtype, tmp_path):
    model = classifier().fit(X, labels)
    predicted = model.predict(X)
    assert predicted.dtype == dtype
    assert set(predicted) <= set(np.asarray(labels).tolist())
    assert model.score(X, labels) == model.score(X, np.asarray(labels).tolist())
    model.save(tmp_path / "m.safetensors")
    assert narrows.load(tmp_path / "m.safetensors").predict(X).tolist() == predicted.tolist()


@pytest.mark.parametrize("labels", MISSING.values(), ids=MISSING)
def test_missing_labels_are_refused_with_the_record(labels):
    with pytest.raises(DataError, match=r"needs one label\. Got .* for record 0 \(counted from 0\)"):
        classifier().partial_fit(X, labels, classes=["a", "bb", "ccc"])


@pytest.mark.parametrize("labels", MISSING.values(), ids=MISSING)
def test_a_classifier_takes_records_whose_labels_are_missing_as_unlabelled(labels):
    known = np.asarray(labels)[1:]
    found, other = (classifier().set_params(pretrain=True, autoencoder__training__epochs=1) for _ in range(2))
    found.fit(X, labels)
    other.fit(X[1:], known.tolist() if known.dtype == object else known, unlabelled=X[:1])
    assert found.classes_.tolist() == other.classes_.tolist()
    np.testing.assert_array_equal(found.predict_proba(X), other.predict_proba(X))


def test_a_file_of_labels_may_be_an_array_of_text(tmp_path):
    np.save(tmp_path / "words.npy", WORDS)
    assert read_label_file(tmp_path / "words.npy").tolist() == WORDS.tolist()
    np.save(tmp_path / "bytes.npy", WORDS.astype("S"))
    with pytest.raises(DataError, match=r"must be numbers or text\. Got bytes"):
        read_label_file(tmp_path / "bytes.npy")


@pytest.mark.parametrize(
    ("given", "expected"),
    [([1.0, 0.0], [1, 0]), ([1.0, np.nan], [1, None]), ([0.5, 1.0], [0.5, 1.0]), ([np.inf, 0.0], [np.inf, 0.0])],
    ids=["whole", "missing", "half", "large"],
)
def test_floats_in_a_file_are_whole_numbers_if_all_are(given, expected, tmp_path):
    np.save(tmp_path / "y.npy", given)
    assert repr(read_label_file(tmp_path / "y.npy", may_miss=True).tolist()) == repr(expected)
    assert len(read_label_file(tmp_path / "y.npy")) == len(given)


def test_missing_numbers_are_refused():
    with pytest.raises(DataError, match="y contains NaN"):
        classifier().partial_fit(X, pd.Series([None, *NUMBERS[1:]], dtype="Int64"), classes=np.unique(NUMBERS))
    with pytest.raises(DataError, match="all of the 60 given are missing"):
        classifier().fit(X, [None] * 60)


def test_labels_of_conditional_models_are_treated_alike():
    model = Autoencoder(2, conditional=True, training=Training(epochs=1), random_state=0)
    assert model.fit(X, pd.Series(TRUTHS, dtype="boolean")).classes_.dtype == bool
    with pytest.raises(DataError, match="Leave out records"):
        model.fit(X, MISSING["nullable text"])
