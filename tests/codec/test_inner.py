"""The inner loops in C: what they may not be trusted with is refused, and they say what NumPy says."""

import numpy as np
import pytest

from narrows.codec import inner
from narrows.codec.entropy_models import Autoregressive
from narrows.codec.rans import lookup_of
from narrows.codec.residual.mixture import TABLES, TOTAL

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


def mixtures():
    """Two components for each of three values."""
    return {
        "weights": np.full((2, 3), TOTAL // 2, np.int32),
        "means": np.zeros((2, 3), np.int64),
        "scales": np.zeros((2, 3), np.int32),
        "lows": np.zeros(3, np.int64),
        "window": 16,
        "sigmoid": TABLES[0],
        "slopes": TABLES[1],
    }


def place():
    room = {"starts": np.empty(3, np.uint16), "frequencies": np.empty(3, np.uint16), "escaped": np.empty(3, bool)}
    return mixtures() | {"values": np.zeros(3, np.int64)} | room


def message():
    return {"states": np.full(1, 1 << 16, np.int64), "words": np.zeros(9, np.uint16), "n_read": 0}


def pop_mixture():
    return mixtures() | message() | {"places": np.empty(3, np.int64)}


def linear_run():
    """Two records of three values in a row, with a code; each value has a pattern of its own."""
    return {
        "anchors": np.zeros((3, 2), np.int64),
        "pattern_of": np.arange(3),
        "patterns": np.array([[0, 0, 1, 0], [1, 1, 1, 3], [3, 1, 0, 8]]),  # first delta, before, after, first weight
        "deltas": np.array([1, -1, 1, -1]),
        "weights": np.zeros(12, np.int64),
        "values": np.zeros((3, 2), np.int64),
        "errors": np.zeros((3, 2), np.int64),
        "settings": (1, 2, 0, 255, True),  # step, coarse, lowest, highest, has_code
    }


def linear_look():
    return linear_run() | {"off": np.empty((3, 2), np.int64), "bins": np.empty((3, 2), np.uint8)}


def shapes():
    return {
        "shape_weights": np.full((2, 96), TOTAL // 2, np.int32),
        "shape_scales": np.zeros((2, 96), np.int32),
        "sigmoid": TABLES[0],
        "slopes": TABLES[1],
        "window": 16,
    }


def linear_place():
    room = {"starts": np.empty(6, np.uint16), "frequencies": np.empty(6, np.uint16), "escaped": np.empty(6, bool)}
    return linear_run() | shapes() | {"steps": np.zeros((3, 2), np.int64)} | room


def linear_pop():
    low = {"low": np.zeros((3, 2), np.int64), "raw_bits": 1}
    return linear_run() | shapes() | message() | {"escapes": np.zeros(6, np.int64)} | low


def causal():
    """Three records of four values, of which the network sees two; 16 units in each layer, one component."""
    return {
        "values": np.zeros((4, 3), np.int16),
        "seen": np.array([0, 3], np.int32),
        "weights_1": np.zeros((1, 16, 2), np.int16),
        "biases_1": np.zeros(16, np.int32),
        "weights_2": np.zeros((8, 16, 2), np.int16),
        "biases_2": np.zeros(16, np.int32),
        "weights_3": np.zeros((8, 16, 2), np.int16),
        "biases_3": np.zeros(16, np.int32),
        "shifts": (0, 0, 0, 0, 31),
        "exp": np.arange(512, 0, -1),
        "middles": np.zeros(3, np.int64),
        "coarse": 1,
        "wider": 0,
        "weights": np.empty((1, 3), np.int32),
        "means": np.empty((1, 3), np.int64),
        "scales": np.empty((1, 3), np.int32),
    }


FAR = 1 << 62


def one_less(name):
    """The array of that name, one number shorter."""
    return {name: lambda array: array.ravel()[:-1].copy()}


def put(name, at, value):
    """The array of that name, with another value somewhere."""

    def changed(array):
        array = array.copy()
        array[at] = value
        return array

    return {name: changed}


def settings(**other):
    names = ("step", "coarse", "lowest", "highest", "has_code")
    return {"settings": lambda told: tuple((dict(zip(names, told, strict=True)) | other).values())}


LIES = {
    place: [
        *(one_less(name) for name in place() if name != "window"),
        {"weights": lambda _: np.empty(0, np.int32)},
        {"window": lambda _: 1},
        {"window": lambda _: 8193},
        put("scales", (1, 2), 64),
        put("scales", (1, 2), -1),
    ],
    pop_mixture: [
        one_less("weights"),
        {"states": lambda _: np.empty(0, np.int64)},
        {"n_read": lambda _: -1},
    ],
    linear_look: [
        *(one_less(name) for name in linear_look() if name != "settings"),
        {"pattern_of": lambda _: np.empty(0, np.int64)},
        put("pattern_of", 0, -1),
        put("pattern_of", 0, 3),
        *(put("patterns", (1, column), value) for column in range(4) for value in (-1, 13, FAR, -FAR)),
        {"patterns": lambda told: np.where([0, 1, 1, 0], FAR, told)},
        put("deltas", 0, 3),  # behind the last value
        put("deltas", 0, FAR),
        put("deltas", 1, -2),  # before the first
        put("deltas", 1, -FAR),
        put("deltas", 1, 0),  # itself, which is not known yet
        put("deltas", 1, 1),  # later, and said to be before
        settings(step=0),
        settings(coarse=0),
        settings(lowest=256),
        settings(has_code=False),  # with anchors
    ],
    linear_place: [
        *(one_less(name) for name in linear_place() if name not in {*linear_run(), "window"}),
        one_less("values"),
        {"window": lambda _: 1},
        {"window": lambda _: 8193},
        put("shape_scales", (1, 95), 64),
        put("shape_scales", (1, 95), -1),
    ],
    linear_pop: [
        one_less("values"),
        one_less("shape_weights"),
        {"states": lambda _: np.empty(0, np.int64)},
        {"n_read": lambda _: -1},
        one_less("low"),
        {"raw_bits": lambda _: 0},  # with low bits
        {"raw_bits": lambda _: -1},
        {"raw_bits": lambda _: 63},
    ],
    causal: [
        *(one_less(name) for name in causal() if isinstance(causal()[name], np.ndarray) and name != "values"),
        {"values": lambda values: values[:3].copy()},  # of which the network sees the fourth
        put("seen", 0, 4),
        put("seen", 0, -1),
        {"weights": lambda _: np.empty(0, np.int32)},
        {  # 18 outputs, of 16
            "weights": lambda _: np.empty((6, 3), np.int32),
            "means": lambda _: np.empty((6, 3), np.int64),
            "scales": lambda _: np.empty((6, 3), np.int32),
        },
        *({"shifts": lambda told, at=at, by=by: (*told[:at], by, *told[at + 1 :])} for at in (0, 4) for by in (-1, 32)),
        {"exp": np.zeros_like},
        put("exp", 511, -1),
        {"coarse": lambda _: 0},
    ],
}


@pytest.mark.parametrize("function", LIES, ids=lambda function: function.__name__)
def test_what_fits_together_is_taken(function):
    getattr(inner.compiled, function.__name__)(*function().values())


@pytest.mark.parametrize(
    ("function", "lie"),
    [(function, lie) for function, lies in LIES.items() for lie in lies],
    ids=lambda value: value.__name__ if callable(value) else "-".join(value),
)
def test_what_does_not_fit_together_is_refused(function, lie):
    told = function()
    told |= {name: change(told[name]) for name, change in lie.items()}
    with pytest.raises(ValueError, match=f"{function.__name__}: sizes"):
        getattr(inner.compiled, function.__name__)(*told.values())


def test_no_values_take_no_words():
    nothing = {name: array[..., :0].copy() for name, array in place().items() if name in {"weights", "means", "scales"}}
    nothing |= {"lows": np.empty(0, np.int64), "places": np.empty(0, np.int64)}
    assert inner.compiled.pop_mixture(*(pop_mixture() | nothing).values()) == 0
    told = causal()
    none = {name: told[name][..., :0].copy() for name in ("values", "middles", "weights", "means", "scales")}
    inner.compiled.causal(*(told | none).values())
    told = linear_pop()
    none = {name: told[name][:, :0].copy() for name in ("anchors", "values", "errors", "low")}
    assert inner.compiled.linear_pop(*(told | none).values()) == (0, 0)


def test_words_and_escapes_that_run_out_are_told():
    told = linear_pop()
    assert inner.compiled.linear_pop(*(told | {"words": np.empty(0, np.uint16)}).values())[0] == -1
    last = {"states": np.full(1, (1 << 32) - 1), "escapes": np.empty(0, np.int64)}  # a slot at the window's last place
    assert inner.compiled.linear_pop(*(told | last).values())[1] == -1
