"""The inner loops in C: what they may not be trusted with is refused, and they say what NumPy says."""

import numpy as np
import pytest

from narrows.codec import inner
from narrows.codec.entropy_models import Autoregressive
from narrows.codec.rans import lookup_of

pytestmark = pytest.mark.skipif(inner.compiled is None, reason="narrows was installed without a compiler")

LOOKUP = lookup_of(np.array([100, 156]), np.array([0, 1], np.int32))
NO_TABLES = np.empty(0, np.int64)


def pop(*, states=1, lookup=LOOKUP, tables=NO_TABLES, table=0, precision=8, words=9, n_read=0, n=5):
    x = np.full(states, 1 << 16, np.int64)
    return inner.compiled.pop(
        x, lookup, tables, table, precision, np.zeros(words, np.uint16), n_read, np.empty(n, "i4")
    )


@pytest.mark.parametrize(
    "lie",
    [
        {"states": 0},
        {"table": 1},
        {"table": -1},
        {"tables": np.array([0, 0, 0, 0, 1])},
        {"tables": np.array([0, 0, 0, 0, -1])},
        {"tables": np.array([0, 0, 0, 0])},
        {"precision": 9},
        {"precision": 40},
        {"lookup": LOOKUP[:255]},
        {"n_read": -1},
    ],
    ids=str,
)
def test_nothing_is_read_outside_what_there_is(lie):
    with pytest.raises(ValueError, match="cannot be"):
        pop(**lie)


def test_words_that_run_out_are_told():
    assert pop(words=1, n=1000) == -1


def test_nothing_is_written_outside_its_room():
    x, one = np.full(2, 1 << 16, np.uint32), np.ones((1, 1000), np.uint16)
    with pytest.raises(ValueError, match="cannot be"):
        inner.compiled.push(x, one, one, 1000, 15, np.empty(10, np.uint16))
    with pytest.raises(ValueError, match="cannot be"):
        inner.compiled.push(x, one, one[:, :9], 1000, 15, np.empty(1000, np.uint16))


def test_frequencies_of_zero_are_refused():
    x, starts = np.full(2, 1 << 16, np.uint32), np.zeros((1, 4), np.uint16)
    with pytest.raises(ValueError, match="cannot be"):
        inner.compiled.push(x, starts, starts, 4, 15, np.empty(4, np.uint16))


@pytest.mark.parametrize("n", [0, 1, 300])
def test_both_write_the_same_bytes(codec_model, digits, monkeypatch, n):
    """300 records of digits, of a trained model with tables chosen by its predictor."""
    codec = codec_model.frozen_
    entropy = codec.qualities[codec.usual].entropy
    assert isinstance(entropy, Autoregressive)
    symbols = codec_model.quantise(digits[0][:300])[:n]
    coded = entropy.encode(symbols)
    monkeypatch.setattr(inner, "compiled", None)
    again = entropy.encode(symbols)
    assert coded.message.states.tolist() == again.message.states.tolist()
    assert coded.message.words.tolist() == again.message.words.tolist()
    assert coded.escapes == again.escapes
