"""Entropy models: symbols to bytes and back, what that costs, and what neither files nor models may say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from narrows.codec.entropy_models import (
    Autoregressive,
    Coded,
    Context,
    EntropyModel,
    Independent,
    Predictor,
    entropy_model,
)
from narrows.codec.entropy_models.escapes import Escapes, pack, packed_bytes, unpack
from narrows.codec.rans import Message
from narrows.codec.tables import FrequencyTables
from narrows.errors import CorruptArchiveError, InvalidParameterError, ModelFileError

pytestmark = pytest.mark.usefixtures("loops")

EXTREMES = [32767, -32767, 0, 1, -1, 16383, 16384, -16384, 63, 64, -64, -65]


def predictor_of(rng, n_channels=6, grid=(1, 1), n_hidden=9, largest=3000, **change):
    """A predictor of no training that nevertheless hangs on everything before."""
    n_places = grid[0] * grid[1]

    def weights(*shape):
        return rng.integers(-largest, largest, shape).astype(np.int16)

    fields = {
        "weights_in": weights(n_channels, n_hidden),
        "weights_near": weights(4 * n_channels if n_places > 1 else 0, n_hidden),
        "biases": rng.integers(-(2**12), 2**12, (n_places, n_hidden)),
        "weights_out": weights(n_channels, 2, n_hidden),
        "biases_out": rng.integers(-(2**22), 2**22, (n_places, n_channels, 2)) + np.array([0, 12 << 21]),
        "grid": grid,
        "shifts": (19, 21),
        "n_scales": 24,
        "n_phases": 8,
    }
    return Predictor(**(fields | change))


def symbols_of(rng, n, d):
    return np.rint(rng.laplace(0, np.linspace(0.2, 9, d), (n, d))).astype(np.int32)


def indices_of(rng, n, shape, n_values=9):
    """Indices of maps that mostly are one more than the one to the left, or twice the one above; (n, C · h · w)."""
    maps = rng.integers(0, n_values, (n, *shape))
    channels, height, width = shape
    for row in range(height):
        for column in range(width):
            if column:
                likely = maps[:, :, row, column - 1] + 1
            elif row:
                likely = 2 * maps[:, :, row - 1, column]
            else:
                continue
            is_likely = rng.random((n, channels)) < 0.8
            maps[:, :, row, column] = np.where(is_likely, likely % n_values, maps[:, :, row, column])
    return maps.reshape(n, -1).astype(np.int32)


def models(rng):
    """Every kind, counted on symbols of 6 or 24 positions."""
    flat, grid = predictor_of(rng), predictor_of(rng, 4, (2, 3))
    return {
        "independent": Independent.fit(symbols_of(rng, 500, 6)),
        "one by one": Autoregressive.with_tables_counted(flat, symbols_of(rng, 500, 6), unit_scale=10),
        "map": Autoregressive.with_tables_counted(grid, symbols_of(rng, 300, 24), unit_scale=10),
        "indices": Context.fit(indices_of(rng, 300, (2, 3, 4)), (2, 3, 4), 9),
    }


MODELS = models(np.random.default_rng(1))


def test_every_kind_is_tested():
    assert {model.name for model in MODELS.values()} == EntropyModel.registry.keys()


every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())


@pytest.mark.pairs
@every_model
@pytest.mark.parametrize("n_lanes", [None, 1, 7, 200])
@pytest.mark.parametrize("n", [0, 1, 6, 200, 431])
def test_what_goes_in_comes_out(rng, model, n, n_lanes):
    symbols = symbols_of(rng, n, model.n_symbols)
    symbols[: n // 8, 0] = rng.integers(-32767, 32768, n // 8)
    restored = model.decode(model.encode(symbols, n_lanes), n)
    assert restored.dtype == np.int32
    assert np.array_equal(restored, symbols)


@every_model
@settings(max_examples=12)
@given(data=st.data())
def test_any_symbols_come_back(model, data):
    row = st.lists(st.sampled_from(EXTREMES), min_size=model.n_symbols, max_size=model.n_symbols)
    rows = data.draw(st.lists(row, max_size=9))
    symbols = np.array(rows, np.int32).reshape(len(rows), model.n_symbols)
    assert np.array_equal(model.decode(model.encode(symbols), len(rows)), symbols)


@every_model
def test_a_message_takes_the_bits_that_the_model_says(rng, model):
    symbols = symbols_of(rng, 3000, model.n_symbols)
    coded = model.encode(symbols)
    ideal = model.bits(symbols).sum() / 8
    n_lanes = len(coded.message.states)
    assert 3 * n_lanes <= max(3, 0.005 * ideal)
    assert ideal <= coded.n_bytes <= ideal * 1.0005 + 3 * n_lanes + 8 * np.sqrt(n_lanes)
    assert np.allclose(model.bits(symbols[:1]), model.bits(symbols)[0])


@every_model
def test_a_model_comes_back_from_its_tensors(rng, model):
    settings, tensors = model.to_tensors()
    again = entropy_model(settings, tensors)
    symbols = symbols_of(rng, 50, model.n_symbols)
    assert type(again) is type(model)
    assert np.array_equal(again.decode(model.encode(symbols), 50), symbols)


@every_model
def test_symbols_that_cannot_be_are_refused(model):
    d = model.n_symbols
    for wrong in (np.zeros((3, d + 1), int), np.zeros(d, int), np.zeros((3, d))):
        with pytest.raises(InvalidParameterError, match="Symbols must be integers of shape"):
            model.encode(wrong)
    for beyond in (32768, -32768):
        with pytest.raises(InvalidParameterError, match="within ±32767"):
            model.bits(np.full((1, d), beyond))


@every_model
def test_a_damaged_message_is_an_error_or_other_symbols_in_range(rng, model):
    symbols = symbols_of(rng, 60, model.n_symbols)
    symbols[0, :] = 32767
    coded = model.encode(symbols, 3)
    whole = coded.message.states.tobytes() + coded.message.words.tobytes() + coded.escapes
    for _ in range(40):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        n_words = len(coded.message.words)
        message = Message(np.frombuffer(damaged, np.uint32, 3), np.frombuffer(damaged, np.uint16, n_words, 12))
        try:
            restored = model.decode(Coded(message, bytes(damaged[12 + 2 * n_words :])), 60)
        except CorruptArchiveError:
            continue
        assert np.abs(restored).max() <= 32767


@every_model
def test_a_message_of_another_number_of_records_is_an_error(rng, model):
    symbols = symbols_of(rng, 60, model.n_symbols)
    coded = model.encode(symbols, 3)
    for n in (0, 59, 61, 5000):
        with pytest.raises(CorruptArchiveError):
            model.decode(coded, n)


@every_model
def test_escaped_symbols_that_are_missing_or_too_many_are_an_error(rng, model):
    symbols = symbols_of(rng, 20, model.n_symbols)
    symbols[3, 2] = 30_000
    coded = model.encode(symbols)
    assert len(coded.escapes) >= 3
    for escapes in (b"", coded.escapes + b"\x02", coded.escapes[:-1]):
        with pytest.raises(CorruptArchiveError):
            model.decode(Coded(coded.message, escapes), 20)


def test_a_constant_table_codes_its_constant_at_no_cost_and_refuses_all_else():
    one, size = np.array([5], np.int32), np.array([1], np.int32)
    model = Independent(FrequencyTables(12, one, size, np.array([4096, 0], np.uint16)))
    symbols = np.full((1000, 1), 5, np.int32)
    coded = model.encode(symbols)
    assert coded.n_bytes == 4
    assert np.array_equal(model.decode(coded, 1000), symbols)
    symbols[7] = 4
    assert np.isinf(model.bits(symbols)[7])
    with pytest.raises(InvalidParameterError, match="Symbol 0 of record 7 cannot be coded: it is 4"):
        model.encode(symbols)


def test_a_record_of_no_symbols_takes_one_state():
    model = Independent.fit(np.empty((10, 0), np.int32))
    coded = model.encode(np.empty((10, 0), np.int32))
    assert coded.n_bytes == 4
    assert model.decode(coded, 10).shape == (10, 0)


def test_what_training_never_changed_costs_next_to_nothing_and_may_still_change():
    model = Independent.fit(np.zeros((1000, 1), np.int32))
    assert model.bits(np.zeros((1000, 1), np.int32)).sum() < 1
    assert model.decode(model.encode(np.full((3, 1), -9, np.int32)), 3).tolist() == [[-9]] * 3


def test_values_between_those_seen_have_entries_and_wild_ones_are_escaped(rng):
    model = Independent.fit(np.array([[0], [9]] * 40 + [[32767]], np.int32), precision=8)
    assert (model.tables.lows[0], model.tables.sizes[0]) == (0, 10)
    assert pack(np.array([32767], np.int32)) == model.encode(np.array([[32767]], np.int32)).escapes
    assert not model.encode(np.array([[5]], np.int32)).escapes


def test_counted_tables_cost_little_more_than_the_entropy(rng):
    symbols = np.rint(rng.normal(0, 4, (40_000, 1))).astype(np.int32)
    shares = np.bincount(symbols[:, 0] + 40) / len(symbols)
    entropy = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()
    assert Independent.fit(symbols).bits(symbols).mean() < entropy + 0.005


# Autoregressive


def test_the_predictor_finds_the_same_in_floats_and_in_whole_numbers(rng):
    for grid in ((1, 1), (3, 4)):
        predictor = predictor_of(rng, 5, grid, largest=32767, shifts=(31, 33))
        symbols = rng.integers(-300, 300, (predictor.n_symbols, 40), np.int32)
        fast, referee = predictor.start(40), predictor.start(40, dtype=np.int64)
        for known in symbols:
            one, other = fast.predict(), referee.predict()
            assert np.array_equal(one.offsets, other.offsets)
            assert np.array_equal(one.contexts, other.contexts)
            fast.update(known)
            referee.update(known)


def test_the_predictor_does_what_its_definition_says(rng):
    """One record at a time, in Python's whole numbers."""
    predictor = predictor_of(rng, 3, (2, 3))
    symbols = rng.integers(-200, 200, (3, 2, 3))
    run = predictor.start(1)
    for d, index in enumerate(predictor.order):
        channel, row, column = (int(i) for i in np.unravel_index(index, (3, 2, 3)))
        place = row * 3 + column
        assert d == place * 3 + channel
        e = [int(b) for b in predictor.biases[place]]
        for k, (y, x) in enumerate(
            [(row - 1, column - 1), (row - 1, column), (row - 1, column + 1), (row, column - 1)]
        ):
            for c in range(3) if y >= 0 and 0 <= x < 3 else ():
                s = max(-127, min(127, int(symbols[c, y, x])))
                e = [value + s * int(w) for value, w in zip(e, predictor.weights_near[3 * k + c], strict=True)]
        for c in range(channel):
            s = max(-127, min(127, int(symbols[c, row, column])))
            e = [value + s * int(w) for value, w in zip(e, predictor.weights_in[c], strict=True)]
        o = [
            sum(max(value, 0) * int(w) for value, w in zip(e, predictor.weights_out[channel, kind], strict=True))
            + int(predictor.biases_out[place, channel, kind])
            for kind in range(2)
        ]
        m, scale = (o[0] + (1 << 18)) >> 19, max(0, min(23, (o[1] + (1 << 20)) >> 21))
        expected = run.predict()
        assert expected.offsets[0] == max(-32767, min(32767, m // 8))
        assert expected.contexts[0] == scale * 8 + m % 8
        run.update(np.array([symbols[channel, row, column]], np.int32))


def test_a_batch_of_records_says_the_same_as_each_alone(rng):
    model = MODELS["map"]
    symbols = symbols_of(rng, 9000, model.n_symbols)
    assert np.array_equal(model.bits(symbols)[8990:], model.bits(symbols[8990:]))


def test_a_prediction_that_knows_the_symbol_makes_it_cheap(rng):
    first = rng.integers(-90, 90, 2000)
    symbols = np.stack([first, first + rng.integers(-1, 2, 2000)], 1).astype(np.int32)
    one = np.array([[1, -1], [0, 0]], np.int16)  # max(s, 0) and max(-s, 0), whose difference is s
    weights_out = np.zeros((2, 2, 2), np.int16)
    weights_out[1, 0] = [8, -8]
    predictor = Predictor(
        weights_in=one,
        weights_near=np.zeros((0, 2), np.int16),
        biases=np.zeros((1, 2), np.int64),
        weights_out=weights_out,
        biases_out=np.array([[[0, 39], [0, 12]]]),
        grid=(1, 1),
        shifts=(0, 0),
        n_scales=40,
        n_phases=8,
    )
    together = Autoregressive.with_tables_counted(predictor, symbols, unit_scale=16)
    assert together.bits(symbols).mean() < np.log2(180) + np.log2(3) + 0.3
    assert Independent.fit(symbols).bits(symbols).mean() > 2 * np.log2(180) - 0.3


def test_contexts_that_were_never_met_follow_the_logistic_of_their_scale(rng):
    predictor = predictor_of(rng, 2)
    model = Autoregressive.with_tables_counted(predictor, np.zeros((0, 2), np.int32), unit_scale=10)
    for scale, phase in ((6, 0), (6, 4), (10, 2), (20, 0)):
        table = model.table_numbers[scale * 8 + phase]
        s = 2 ** ((scale - 10) / 4)
        values = np.arange(model.tables.lows[table], model.tables.lows[table] + model.tables.sizes[table])
        entries, _ = model.tables.entries(np.int64(table), values)
        shares = model.tables.frequencies[entries] / 4096
        mean = (shares * values).sum() / shares.sum()
        assert abs(mean - phase / 8) < max(0.07, s / 7)
        spread = np.sqrt((shares * (values - mean) ** 2).sum() / shares.sum())
        assert abs(spread / np.hypot(s * np.pi / np.sqrt(3), 0.29) - 1) < 0.1


def test_wide_scales_share_their_tables_among_phases(rng):
    model = MODELS["one by one"]
    per_scale = [len(set(row)) for row in model.table_numbers.reshape(24, 8).tolist()]
    assert per_scale[0] == 8
    assert per_scale[-1] == 1
    assert per_scale == sorted(per_scale, reverse=True)


# What model files may not say


@pytest.mark.parametrize("name", [None, "", "huffman", 3, ["independent"]])
def test_an_entropy_model_of_no_known_name_is_refused(name):
    with pytest.raises(ModelFileError, match="entropy model must be one of"):
        entropy_model({"name": name}, {})


def test_weights_whose_sums_could_leave_exact_floats_are_refused(rng):
    with pytest.raises(ModelFileError, match="could reach 2\\^53"):
        predictor_of(rng, biases=np.full((1, 9), 2**41))
    for biases in (np.full((1, 9), 2**53), np.full((1, 9), -(2**63)), np.full((1, 9), 2**63 - 1)):
        with pytest.raises(ModelFileError, match="could reach 2\\^53"):
            predictor_of(rng, biases=biases)


def test_the_bound_of_the_sums_is_never_passed(rng):
    predictor = predictor_of(rng, 3, (2, 2), n_hidden=4)
    bound = predictor.largest_sum()
    assert bound < 2**53
    by_hand = 0
    for place in range(4):
        hidden = [
            abs(int(predictor.biases[place, j]))
            + 127 * sum(abs(int(w)) for w in [*predictor.weights_in[:, j], *predictor.weights_near[:, j]])
            for j in range(4)
        ]
        for channel in range(3):
            for kind in range(2):
                o = sum(h * abs(int(w)) for h, w in zip(hidden, predictor.weights_out[channel, kind], strict=True))
                by_hand = max(by_hand, o + abs(int(predictor.biases_out[place, channel, kind])))
    assert bound >= by_hand


@pytest.mark.parametrize(
    ("settings", "tensors"),
    [
        ({"n_phases": 6}, {}),
        ({"n_phases": 0}, {}),
        ({"n_scales": 4096}, {}),
        ({"n_scales": "24"}, {}),
        ({"shifts": [53, 0]}, {}),
        ({"shifts": [-1, 0]}, {}),
        ({"shifts": [1]}, {}),
        ({"shifts": 19}, {}),
        ({"grid": [0, 1]}, {}),
        ({"grid": [2, 1]}, {}),
        ({"grid": [2**15, 2**15]}, {}),
        ({"grid": None}, {}),
        ({"precision": 13}, {}),
        ({}, {"weights_in": None}),
        ({}, {"weights_in": np.zeros((6, 9))}),
        ({}, {"weights_near": np.zeros((24, 9), np.int16)}),
        ({}, {"weights_out": np.zeros((6, 9), np.int16)}),
        ({}, {"biases": np.zeros(9, np.int64)}),
        ({}, {"biases_out": np.zeros((1, 5, 2), np.int64)}),
        ({}, {"table_numbers": np.zeros(191, np.uint16)}),
        ({}, {"table_numbers": np.full(192, 65535, np.uint16)}),
    ],
)
def test_an_autoregressive_model_that_lies_is_refused(settings, tensors):
    good_settings, good_tensors = MODELS["one by one"].to_tensors()
    merged = {name: tensor for name, tensor in (good_tensors | tensors).items() if tensor is not None}
    with pytest.raises(ModelFileError):
        entropy_model(good_settings | settings, merged)


# Contexts


def plain_tables(model, symbols):
    """Return which table codes each symbol of a record, by the definition."""
    channels, height, width = model.shape
    last, tables = len(model.left) - 2, []
    maps = symbols.reshape(channels, height, width)
    for c, row, column in np.ndindex(channels, height, width):
        left = model.left[min(max(maps[c, row, column - 1], 0), last)] if column else model.left[-1]
        above = model.above[min(max(maps[c, row - 1, column], 0), last)] if row else model.above[-1]
        tables.append(model.table_numbers[left, above])
    return tables


def test_the_neighbours_choose_the_table(rng):
    model = MODELS["indices"]
    symbols = indices_of(rng, 40, model.shape)
    symbols[::3, ::5] = rng.choice([-32767, -1, 9, 32767], symbols[::3, ::5].shape)  # no indices
    bits = model.tables.bits
    for record in symbols:
        entries, escaped = model.tables.entries(np.array(plain_tables(model, record)), record)
        expected = bits[entries].sum() + 8 * packed_bytes(record[escaped]).sum()
        np.testing.assert_allclose(model.bits(record[None])[0], expected)


def test_indices_that_hang_on_their_neighbours_cost_little_more_than_they_must(rng):
    shape, n_values = (1, 6, 7), 40
    train, test = (indices_of(rng, n, shape, n_values) for n in (2000, 300))
    share = 0.8 + 0.2 / n_values
    a_symbol = -share * np.log2(share) - (1 - share) * np.log2(0.2 / n_values)
    ideal = np.log2(n_values) + 41 * a_symbol
    by_context, alone = Context.fit(train, shape, n_values).bits(test).mean(), Independent.fit(train).bits(test).mean()
    assert ideal < by_context < 0.8 * alone


def test_indices_that_say_the_same_are_of_one_class(rng):
    """Of 64 indices those of each sixteen are followed by any of the next sixteen."""
    blocks = (rng.integers(0, 4, (1500, 1)) + np.arange(12)) % 4
    symbols = (16 * blocks + rng.integers(0, 16, (1500, 12))).astype(np.int32)
    model = Context.fit(symbols[:1000], (1, 1, 12), 64)
    of_blocks = [set(classes) for classes in model.left[:64].reshape(4, 16).tolist()]
    assert sum(map(len, of_blocks)) == len(set.union(*of_blocks)), "no class knows of two blocks"
    assert 4 * 12 < model.bits(symbols[1000:]).mean() < 1.03 * (6 + 4 * 11)


def test_tables_of_contexts_stay_small():
    for n_values in (2, 9, 128, 512, 1024):
        symbols = np.random.default_rng(0).integers(0, n_values, (50, 12)).astype(np.int32)
        model = Context.fit(symbols, (1, 3, 4), n_values)
        assert model.tables.frequencies.nbytes <= 33_000
        assert len(model.tables) <= min(n_values + 1, 16) ** 2


@pytest.mark.parametrize(
    ("settings", "tensors"),
    [
        ({"channels": 0}, {}),
        ({"height": None}, {}),
        ({"width": 2**15 + 1}, {}),
        ({"channels": 2**15, "height": 2**15}, {}),
        ({"precision": 13}, {}),
        ({}, {"left": None}),
        ({}, {"left": np.zeros(10, np.int32)}),
        ({}, {"left": np.zeros(9, np.uint16)}),
        ({}, {"left": np.zeros(1, np.uint16), "above": np.zeros(1, np.uint16)}),
        ({}, {"left": np.full(10, 10, np.uint16)}),
        ({}, {"above": np.full(10, 65535, np.uint16)}),
        ({}, {"table_numbers": np.zeros((0, 0), np.uint16)}),
        ({}, {"table_numbers": np.zeros((9, 10), np.uint16)}),
        ({}, {"table_numbers": np.zeros(100, np.uint16)}),
        ({}, {"table_numbers": np.full((10, 10), 100, np.uint16)}),
    ],
)
def test_a_model_of_contexts_that_lies_is_refused(settings, tensors):
    good_settings, good_tensors = MODELS["indices"].to_tensors()
    assert entropy_model(good_settings, good_tensors).n_symbols == 24
    merged = {name: tensor for name, tensor in (good_tensors | tensors).items() if tensor is not None}
    with pytest.raises(ModelFileError):
        entropy_model(good_settings | settings, merged)


# Escapes


@given(st.lists(st.integers(-32767, 32767)))
def test_escaped_symbols_come_back(symbols):
    symbols = np.array(symbols, np.int32)
    packed = pack(symbols)
    assert unpack(packed).tolist() == symbols.tolist()
    assert packed_bytes(symbols).sum() == len(packed)


def test_the_bytes_of_escaped_symbols_never_change():
    assert pack(np.array([0, -1, 1, 63, -64, 64, 32767, -32767], np.int32)).hex() == "0001027e7f8001feff03fdff03"


@pytest.mark.parametrize(
    "damaged",
    [
        b"\x80",
        b"\x01\x80",
        b"\x80\x80\x80\x01",
        b"\x80\x00",
        b"\x81\x80\x00",
        b"\xff\xff\x03",
        b"\xff\xff\x7f",
        b"\xff" * 50,
    ],
    ids=bytes.hex,
)
def test_bytes_that_are_no_escaped_symbols_are_refused(damaged):
    with pytest.raises(CorruptArchiveError):
        unpack(damaged)


def test_escapes_are_taken_in_order_and_all_of_them():
    escapes = Escapes(pack(np.array([5, -7, 9], np.int32)))
    assert escapes.take(2).tolist() == [5, -7]
    with pytest.raises(CorruptArchiveError, match="1 escaped symbols too many"):
        escapes.finish()
    with pytest.raises(CorruptArchiveError, match="more escapes than escaped symbols"):
        escapes.take(2)
    escapes.take(1)
    escapes.finish()
