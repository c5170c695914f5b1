"""The inner loops in C: what they may not be trusted with is refused, and they say what NumPy says."""

import numpy as np
import pytest

from narrows.codec import kernels
from narrows.codec.entropy_models import Autoregressive
from narrows.codec.rans import lookup_of
from narrows.codec.residual.mixture import TABLES, TOTAL

pytestmark = pytest.mark.skipif(kernels.compiled is None, reason="narrows was installed without a compiler")

LOOKUP = lookup_of(np.array([100, 156]), np.array([0, 1], np.int32))
NO_TABLES = np.empty(0, np.int64)


def pop(*, states=1, lookup=LOOKUP, tables=NO_TABLES, table=0, precision=8, words=9, n_read=0, n=5):
    x = np.full(states, 1 << 16, np.int64)
    return kernels.compiled.pop(
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
    with pytest.raises(ValueError, match="invalid sizes"):
        pop(**lie)


def test_words_that_run_out_are_told():
    assert pop(words=1, n=1000) == -1


def test_nothing_is_written_outside_its_room():
    x, one = np.full(2, 1 << 16, np.uint32), np.ones((1, 1000), np.uint16)
    with pytest.raises(ValueError, match="invalid sizes"):
        kernels.compiled.push(x, one, one, 1000, 15, np.empty(10, np.uint16))
    with pytest.raises(ValueError, match="invalid sizes"):
        kernels.compiled.push(x, one, one[:, :9], 1000, 15, np.empty(1000, np.uint16))


def test_frequencies_of_zero_are_refused():
    x, starts = np.full(2, 1 << 16, np.uint32), np.zeros((1, 4), np.uint16)
    with pytest.raises(ValueError, match="invalid sizes"):
        kernels.compiled.push(x, starts, starts, 4, 15, np.empty(4, np.uint16))


@pytest.mark.parametrize("n", [0, 1, 300])
def test_both_write_the_same_bytes(codec_model, digits, monkeypatch, n):
    """300 records of digits, of a trained model with tables chosen by its predictor."""
    codec = codec_model.codec_
    entropy = codec.qualities[codec.default].entropy
    assert isinstance(entropy, Autoregressive)
    symbols = codec_model.quantise(digits[0][:300])[:n]
    coded = entropy.encode(symbols)
    monkeypatch.setattr(kernels, "compiled", None)
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


def intervals():
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


def linear_errors():
    return linear_run() | {"off": np.empty((3, 2), np.int64), "bins": np.empty((3, 2), np.uint8)}


def shapes():
    return {
        "shape_weights": np.full((2, 96), TOTAL // 2, np.int32),
        "shape_scales": np.zeros((2, 96), np.int32),
        "sigmoid": TABLES[0],
        "slopes": TABLES[1],
        "window": 16,
    }


def linear_intervals():
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


def causal_run():
    """Three records of two rows, one column and two channels; the network sees the value above, and the one before."""
    return {
        "values": np.zeros((5, 3), np.int16),
        "window": np.array([[-1, 0, 0], [0, 0, 0]], np.int32),
        "weights_1": np.zeros((2, 1, 16, 2), np.int16),
        "rows": np.zeros((2, 2, 16), np.int32),
        "columns": np.zeros((2, 1, 16), np.int32),
        "weights_2": np.zeros((2, 8, 16, 2), np.int16),
        "biases_2": np.zeros((2, 16), np.int32),
        "weights_3": np.zeros((2, 8, 16, 2), np.int16),
        "biases_3": np.zeros((2, 16), np.int32),
        "shifts": (0, 0, 0, 0, 31),
        "exp": np.arange(512, 0, -1),
        "anchors": np.zeros((4, 3), np.int64),
        "grid": (2, 1, 2, 1),  # height, width, channels, components
        "lattice": (0, 1, 1, 0, 255),  # origin, step, raw_bits, lowest, highest
        "mixture": (0, 16, True),  # wider, window, is_whole
        "positions": (0, 4),
        "sigmoid": TABLES[0],
        "slopes": TABLES[1],
    }


def causal_intervals():
    room = {"starts": np.empty(12, np.uint16), "frequencies": np.empty(12, np.uint16), "escaped": np.empty(12, bool)}
    return causal_run() | {"steps": np.zeros((4, 3), np.int64)} | room


def causal_pop():
    escapes = {"escapes": np.zeros(12, np.int64), "n_taken": 0}
    return causal_run() | message() | escapes | {"low": np.zeros((4, 3), np.int64), "decoded": np.empty((4, 3), "i8")}


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
    intervals: [
        *(one_less(name) for name in intervals() if name != "window"),
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
    linear_errors: [
        *(one_less(name) for name in linear_errors() if name != "settings"),
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
    linear_intervals: [
        *(one_less(name) for name in linear_intervals() if name not in {*linear_run(), "window"}),
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
    causal_intervals: [
        *(one_less(name) for name, array in causal_intervals().items() if isinstance(array, np.ndarray)),
        {"window": lambda _: np.empty((0, 3), np.int32)},
        put("window", (0, 0), 1),  # a pixel below
        put("window", (0, 0), -17),  # further than 16 pixels
        put("window", (0, 1), 17),
        put("window", (0, 1), -17),
        put("window", (0, 2), 2),  # of two channels
        put("window", (0, 2), -1),  # no input, before another one
        put("window", (1, 2), -2),
        {"grid": lambda _: (0, 1, 2, 1)},
        {"grid": lambda _: (2, -1, 2, 1)},
        {"grid": lambda _: (2, 1, 0, 1)},
        {"grid": lambda _: (1, 2, 2, 1)},  # with rows and columns of the other shape
        {"grid": lambda _: (FAR, 1, 2, 1)},
        {"grid": lambda _: (1 << 30, 1 << 30, 2, 1)},
        {"grid": lambda _: (2, 1, 2, 0)},
        {"grid": lambda _: (2, 1, 2, 6)},  # 18 outputs, of 16
        {"shifts": lambda _: (0, 0, 0, 0, 32)},
        {"shifts": lambda _: (-1, 0, 0, 0, 0)},
        {"exp": np.zeros_like},
        {"lattice": lambda _: (0, 0, 1, 0, 255)},
        {"lattice": lambda _: (0, 1, -1, 0, 255)},
        {"lattice": lambda _: (0, 1, 57, 0, 255)},
        {"lattice": lambda _: (0, 1 << 40, 50, 0, 255)},
        {"lattice": lambda _: (0, 1, 1, 256, 255)},
        {"mixture": lambda _: (0, 1, True)},
        {"mixture": lambda _: (0, 8193, True)},
        {"mixture": lambda _: (-1, 16, True)},
        {"positions": lambda _: (-1, 4)},
        {"positions": lambda _: (0, 5)},
        {"positions": lambda _: (3, 2)},
    ],
    causal_pop: [
        one_less("values"),
        one_less("anchors"),
        one_less("low"),
        one_less("decoded"),
        {"states": lambda _: np.empty(0, np.int64)},
        {"n_read": lambda _: -1},
        {"n_taken": lambda _: -1},
        {"n_taken": lambda _: 13},
        {"lattice": lambda _: (0, 1, 0, 0, 255)},  # with low bits
    ],
}


@pytest.mark.parametrize("function", LIES, ids=lambda function: function.__name__)
def test_what_fits_together_is_taken(function):
    getattr(kernels.compiled, function.__name__)(*function().values())


@pytest.mark.parametrize(
    ("function", "lie"),
    [(function, lie) for function, lies in LIES.items() for lie in lies],
    ids=lambda value: value.__name__ if callable(value) else "-".join(value),
)
def test_what_does_not_fit_together_is_refused(function, lie):
    told = function()
    told |= {name: change(told[name]) for name, change in lie.items()}
    with pytest.raises(ValueError, match=f"{function.__name__}: (invalid|inconsistent) sizes"):
        getattr(kernels.compiled, function.__name__)(*told.values())


def test_no_values_take_no_words():
    nothing = {
        name: array[..., :0].copy() for name, array in intervals().items() if name in {"weights", "means", "scales"}
    }
    nothing |= {"lows": np.empty(0, np.int64), "places": np.empty(0, np.int64)}
    assert kernels.compiled.pop_mixture(*(pop_mixture() | nothing).values()) == 0
    told = causal()
    none = {name: told[name][..., :0].copy() for name in ("values", "middles", "weights", "means", "scales")}
    kernels.compiled.causal(*(told | none).values())
    told = linear_pop()
    none = {name: told[name][:, :0].copy() for name in ("anchors", "values", "errors", "low")}
    assert kernels.compiled.linear_pop(*(told | none).values()) == (0, 0)
    told = causal_pop()
    none = {name: told[name][:, :0].copy() for name in ("values", "anchors", "low", "decoded")}
    assert kernels.compiled.causal_pop(*(told | none).values()) == (0, 0, 0)


@pytest.mark.parametrize("function", [linear_pop, causal_pop], ids=lambda function: function.__name__)
def test_words_and_escapes_that_run_out_are_told(function):
    told, pop = function(), getattr(kernels.compiled, function.__name__)
    assert pop(*(told | {"words": np.empty(0, np.uint16)}).values())[0] == -1
    last = {"states": np.full(1, (1 << 32) - 1), "escapes": np.empty(0, np.int64)}  # a slot at the window's last place
    assert pop(*(told | last).values())[1] == -1


def push():
    """Two records of three symbols each, of which all are equally probable."""
    return {
        "states": np.full(2, 1 << 16, np.uint32),
        "starts": np.zeros((3, 2), np.uint16),
        "frequencies": np.full((3, 2), 1 << 7, np.uint16),
        "n": 2,
        "precision": 8,
        "words": np.empty(6, np.uint16),
    }


def pop_with_tables():
    """Five records, each with its table of two."""
    told = {"states": np.full(2, 1 << 16), "lookup": np.tile(LOOKUP, 2), "tables": np.array([0, 1, 0, 1, 1])}
    room = {"values": np.empty(5, np.int32)}
    return told | {"first_table": 0, "precision": 8, "words": np.zeros(9, np.uint16), "n_read": 0} | room


def predict():
    """Three records, four hidden units."""
    return {
        "hidden": np.zeros((3, 4), np.int32),
        "seen": np.zeros(3, np.int8),
        "weights_in": np.zeros(4, np.int32),
        "weights_out": np.zeros((2, 4)),
        "biases": np.zeros(2, np.int64),
        "shifts": (1, 62),
        "n_scales": 64,
        "phase_bits": 2,
        "offsets": np.empty(3, np.int32),
        "contexts": np.empty(3, np.int64),
    }


FUNCTIONS = {"push": push, "pop": pop_with_tables, "predict": predict} | {one.__name__: one for one in LIES}
ARRAYS = [(f, name) for f, told in FUNCTIONS.items() for name in told() if isinstance(told()[name], np.ndarray)]
WRITTEN = {
    *("states", "words", "hidden", "offsets", "contexts", "starts", "frequencies", "escaped", "places", "errors"),
    *("off", "bins", "means", "scales", "decoded"),
}
READ = {
    ("push", "starts"),
    ("push", "frequencies"),
    ("pop_mixture", "words"),
    ("linear_pop", "words"),
    ("causal_pop", "words"),
    ("pop", "words"),
}
READ |= {(function, name) for function in ("intervals", "pop_mixture") for name in ("means", "scales")}
DTYPES = [
    "?",
    "i1",
    "u1",
    "i2",
    "u2",
    "i4",
    "u4",
    "i8",
    "u8",
    "f2",
    "f4",
    "f8",
    "c8",
    ">i2",
    ">u2",
    ">i4",
    ">i8",
    ">f8",
]


def call(function, **other):
    return getattr(kernels.compiled, function)(*(FUNCTIONS[function]() | other).values())


@pytest.mark.parametrize(("function", "name"), ARRAYS)
def test_an_array_of_another_dtype_is_refused(function, name):
    """Of other numbers of the same size, too, and of those in the other byte order."""
    array = FUNCTIONS[function]()[name]
    for dtype in map(np.dtype, DTYPES):
        if dtype != array.dtype:
            with pytest.raises(TypeError, match=rf"^{function}: '{name}' must be an array of {array.dtype}\. Got"):
                call(function, **{name: np.zeros(array.shape, dtype)})
    for other in (array.tolist(), None):
        with pytest.raises(TypeError, match=rf"^{function}: '{name}' must be an array of {array.dtype}$"):
            call(function, **{name: other})


@pytest.mark.parametrize(("function", "name"), ARRAYS)
def test_an_array_with_gaps_is_refused(function, name):
    array = FUNCTIONS[function]()[name]
    if array.size > 1:
        for other in (np.repeat(array, 2, axis=-1)[..., ::2], array[..., ::-1]):
            with pytest.raises(ValueError, match=f"^{function}: '{name}' must be contiguous, in C order$"):
                call(function, **{name: other})


@pytest.mark.parametrize(("function", "name"), ARRAYS)
def test_what_is_only_read_may_be_read_only(function, name):
    array = FUNCTIONS[function]()[name]
    array.setflags(write=False)
    is_written = name in WRITTEN and (function, name) not in READ
    decoders = {"pop", "linear_errors", "linear_intervals", "linear_pop", "causal_pop"}
    is_written |= name == "values" and function in decoders
    is_written |= name == "weights" and function == "causal"
    if not is_written:
        call(function, **{name: array})
        return
    with pytest.raises(ValueError, match=f"^{function}: '{name}' must be writable$"):
        call(function, **{name: array})


@pytest.mark.parametrize("function", FUNCTIONS)
def test_arguments_that_are_missing_or_too_many_are_refused(function):
    told = FUNCTIONS[function]()
    names = list(told)
    with pytest.raises(TypeError, match=f"^{function}: '{names[-1]}' is missing$"):
        getattr(kernels.compiled, function)(*list(told.values())[:-1])
    with pytest.raises(TypeError, match=rf"^{function}: takes {len(names)} arguments\. Got {len(names) + 1}$"):
        getattr(kernels.compiled, function)(*told.values(), 0)
    for name, value in told.items():
        if isinstance(value, int):
            with pytest.raises(TypeError):
                call(function, **{name: 1.5})
            with pytest.raises(OverflowError):
                call(function, **{name: 1 << 64})
        if isinstance(value, tuple):
            for other in (value[:-1], (*value, 0), list(value), 3):
                with pytest.raises(TypeError, match=f"^{function}: '{name}' must be a tuple of {len(value)} integers$"):
                    call(function, **{name: other})


@pytest.mark.parametrize(
    "lie",
    [
        *(one_less(name) for name, value in predict().items() if isinstance(value, np.ndarray)),
        *({"shifts": lambda _, shifts=shifts: shifts} for shifts in ((-1, 0), (0, 63), (1 << 32, 0))),
        {"n_scales": lambda _: 0},
        {"phase_bits": lambda _: -1},
        {"phase_bits": lambda _: 32},
    ],
    ids=lambda lie: next(iter(lie)),
)
def test_a_predictor_that_does_not_fit_together_is_refused(lie):
    told = predict()
    with pytest.raises(ValueError, match=r"^predict: inconsistent sizes"):
        call("predict", **{name: change(told[name]) for name, change in lie.items()})


def test_arrays_are_let_go_of_when_others_are_refused():
    """An array that is still held by a buffer cannot be resized."""
    told = push()
    with pytest.raises(TypeError, match="'words'"):
        call("push", states=told["states"], words=None)
    with pytest.raises(ValueError, match="sizes"):
        call("push", states=told["states"], n=5)
    call("push", states=told["states"])
    told["states"].resize(3, refcheck=True)
