"""rANS: what goes in comes out, at the cost its tables promise, in words that never change."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrows.codec import rans
from narrows.codec.rans import Decoder, Message, lookup_of
from narrows.errors import CorruptArchiveError

pytestmark = pytest.mark.usefixtures("loops")

LOWEST = 1 << 16

# A format that gives other words for the message below is another format.
GOLDEN_STATES = [222353414, 169828, 12727294, 596734]
GOLDEN_WORDS = [7441, 13310, 5166, 48229, 49764, 2815, 30564, 45823, 45823, 32766]


def encode_by_hand(starts, frequencies, *, n_lanes, precision):
    """The definition, one symbol at a time, in whole numbers of any size."""
    x, words = [LOWEST] * n_lanes, []
    for c, f in zip(reversed(starts.tolist()), reversed(frequencies.tolist()), strict=True):
        for record in reversed(range(len(c))):
            lane = record % n_lanes
            if x[lane] >= f[record] << (32 - precision):
                words.append(x[lane] & 0xFFFF)
                x[lane] >>= 16
            x[lane] = (x[lane] // f[record] << precision) + x[lane] % f[record] + c[record]
    return x, words[::-1]


def push(values, frequencies, *, n_lanes, precision):
    f = np.asarray(frequencies)
    return rans.encode((np.cumsum(f) - f)[values], f[values], n_lanes=n_lanes, precision=precision)


def pop(message, shape, frequencies, *, precision):
    decoder = Decoder(message, precision=precision)
    lookup = lookup_of(np.asarray(frequencies), np.arange(len(frequencies), dtype=np.int32))  # values 0, 1, 2, …
    values = np.array([decoder.pop(shape[1], lookup) for _ in range(shape[0])]).reshape(shape)
    decoder.finish()
    return values


@st.composite
def tables(draw, precision):
    """Frequencies that sum to 2^P, from one sure value to hundreds."""
    cuts = draw(st.sets(st.integers(1, (1 << precision) - 1), max_size=40))
    return np.diff([0, *sorted(cuts), 1 << precision])


@given(
    data=st.data(),
    precision=st.integers(8, 15),
    n_lanes=st.sampled_from([1, 2, 7, 200]),
    n=st.sampled_from([0, 1, 6, 7, 8, 50, 431]),
    d=st.integers(0, 4),
)
def test_what_goes_in_comes_out_and_the_words_are_those_of_the_definition(data, precision, n_lanes, n, d):
    frequencies = data.draw(tables(precision))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    values = rng.choice(len(frequencies), (d, n), p=frequencies / frequencies.sum())
    message = push(values, frequencies, n_lanes=n_lanes, precision=precision)

    starts = np.cumsum(frequencies) - frequencies
    states, words = encode_by_hand(starts[values], frequencies[values], n_lanes=n_lanes, precision=precision)
    assert message.states.dtype == np.uint32
    assert message.words.dtype == np.uint16
    assert message.states.tolist() == states
    assert message.words.tolist() == words
    assert np.array_equal(pop(message, (d, n), frequencies, precision=precision), values)


def test_the_words_of_a_message_never_change():
    values = np.arange(3 * 11).reshape(3, 11) ** 2 % 5
    message = push(values, [100, 3, 1, 150, 2], n_lanes=4, precision=8)
    assert message.states.tolist() == GOLDEN_STATES
    assert message.words.tolist() == GOLDEN_WORDS
    assert np.array_equal(pop(message, (3, 11), [100, 3, 1, 150, 2], precision=8), values)


def test_a_symbol_that_is_sure_costs_nothing():
    message = push(np.zeros((5, 1000), int), [1 << 12], n_lanes=3, precision=12)
    assert message.states.tolist() == [LOWEST] * 3
    assert not message.words.size


@pytest.mark.parametrize("n_lanes", [1, 7, 200])
def test_a_message_takes_its_ideal_bits_and_three_bytes_a_lane(rng, n_lanes):
    frequencies = np.array([1, 15, 240, 2048, 1000, 700, 92])
    values = rng.choice(7, (20, 5000), p=frequencies / 4096)
    ideal = (12 - np.log2(frequencies[values])).sum() / 8
    taken = push(values, frequencies, n_lanes=n_lanes, precision=12).n_bytes
    # The states' remainders cost up to 1e-4 of a bit a symbol on top.
    assert ideal <= taken <= ideal * 1.0002 + 3 * n_lanes + 8 * np.sqrt(n_lanes)


def test_lanes_are_as_many_as_cost_a_quarter_of_a_percent():
    assert rans.lanes_for(0, 0) == rans.lanes_for(0, 100) == rans.lanes_for(1e9, 1) == 1
    assert rans.lanes_for(1e9, 10**6) <= rans.MAX_LANES
    for ideal_bytes in (1e3, 1e4, 1e5, 1e6):
        assert 3 * rans.lanes_for(ideal_bytes, 10_000) <= max(3, 0.0025 * ideal_bytes)
    assert rans.lanes_for(163_000, 10_000) > 125
    assert rans.lanes_for(1e9, 5000) == 2500, "two even rows, rather than 4096 and 904"


@pytest.fixture
def message(rng):
    return push(rng.choice(3, (4, 300), p=[0.5, 0.25, 0.25]), [128, 64, 64], n_lanes=5, precision=8)


def test_a_message_that_is_cut_off_says_so(message):
    for n_words in (0, 1, len(message.words) - 1):
        with pytest.raises(CorruptArchiveError, match="too few words"):
            pop(Message(message.states, message.words[:n_words]), (4, 300), [128, 64, 64], precision=8)


def test_a_message_with_more_words_than_its_symbols_take_says_so(message):
    longer = Message(message.states, np.append(message.words, np.uint16(0)))
    with pytest.raises(CorruptArchiveError, match="words, but its symbols take"):
        pop(longer, (4, 300), [128, 64, 64], precision=8)


def test_a_message_read_as_fewer_records_says_so(message):
    with pytest.raises(CorruptArchiveError):
        pop(message, (4, 299), [128, 64, 64], precision=8)


@pytest.mark.parametrize(
    ("states", "words"),
    [
        (np.array([], np.uint32), np.array([], np.uint16)),
        (np.array([LOWEST - 1], np.uint32), np.array([], np.uint16)),
        (np.full(rans.MAX_LANES + 1, LOWEST, np.uint32), np.array([], np.uint16)),
        (np.array([[LOWEST]], np.uint32), np.array([], np.uint16)),
        (np.array([LOWEST], np.int64), np.array([], np.uint16)),
        (np.array([LOWEST], np.uint32), np.array([1], np.int64)),
        (np.array([LOWEST], np.uint32), np.array([[1]], np.uint16)),
    ],
)
def test_states_and_words_that_cannot_be_are_refused(states, words):
    with pytest.raises(CorruptArchiveError):
        Decoder(Message(states, words), precision=8)


@given(seed=st.integers(0, 10**6), n_lanes=st.integers(1, 9), n_words=st.integers(0, 200), n=st.integers(0, 90))
def test_a_forged_message_is_an_error_or_a_message(seed, n_lanes, n_words, n):
    rng = np.random.default_rng(seed)
    forged = Message(
        rng.integers(LOWEST, 1 << 32, n_lanes, dtype=np.uint32), rng.integers(0, 1 << 16, n_words, dtype=np.uint16)
    )
    try:
        values = pop(forged, (4, n), [128, 64, 1, 63], precision=8)
    except CorruptArchiveError:
        return
    assert push(values, [128, 64, 1, 63], n_lanes=n_lanes, precision=8).words.tolist() == forged.words.tolist()
