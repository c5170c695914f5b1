"""The causal network in whole numbers: what it says is its definition, and the same however it is computed."""

import dataclasses

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from narrows.codec import kernels
from narrows.codec.residual import causal_run
from narrows.codec.residual.causal import FrozenCausal, as_image, window
from narrows.codec.residual.causal_window import seen_at
from narrows.codec.residual.contract import Lattice, decode, encode
from narrows.codec.residual.mixture import TOTAL
from narrows.errors import CorruptArchiveError, ModelFileError

compiled = pytest.mark.skipif(kernels.compiled is None, reason="narrows was installed without a compiler")


def network(rng, grid=(5, 6, 1), reach=2, n_hidden=7, n_components=3, most=9000, **change):
    """A network of no training, with weights of at most so much."""
    height, width, c = grid
    n, outputs = len(window(reach, c)[0]), 3 * n_components

    def weights(*shape):
        return rng.integers(-most, most, shape).astype(np.int16)

    fields = {
        "lowest": 0,
        "highest": 255,
        "reach": reach,
        "weights_1": weights(c, n, n_hidden),
        "rows": rng.integers(-(1 << 20), 1 << 20, (c, height, n_hidden)),
        "columns": rng.integers(-(1 << 20), 1 << 20, (c, width, n_hidden)),
        "weights_2": weights(c, n_hidden, n_hidden),
        "biases_2": rng.integers(-(1 << 24), 1 << 24, (c, n_hidden)),
        "weights_3": weights(c, n_hidden, outputs),
        "biases_3": rng.integers(-(1 << 24), 1 << 24, (c, outputs)),
        "shifts": np.array([8, 14, 22, 16, 22]),
    }
    return FrozenCausal(**fields | change)


def lattice_of(records, step=1, highest=255):
    return Lattice(np.zeros_like(records), step, 0, highest, has_code=False)


def images(rng, model, n=9):
    height, width, c = model.grid
    return rng.integers(0, 256, (height * width * c, n))


@pytest.mark.parametrize("grid", [(5, 6, 1), (1, 1, 1), (4, 3, 3)])
@pytest.mark.parametrize("step", [1, 7])
def test_values_come_back(rng, grid, step):
    model = network(rng, grid)
    values = images(rng, model)
    lattice = lattice_of(values, step)
    q = (values + step // 2) // step
    back = decode(model.start(lattice), encode(model.start(lattice), q))
    assert np.array_equal(back, np.clip(q * step, 0, 255))


def test_a_mixture_is_what_the_definition_says(rng):
    """One value of one record, in whole numbers of any size."""
    model = network(rng, (4, 5, 2), reach=1)
    values = images(rng, model, n=2)
    run = model.start(lattice_of(values))
    position = (2 * 5 + 3) * 2 + 1  # row 2, column 3, channel 1
    for before in values[:position]:
        run.predict()
        run.update(before)
    mixture = run.predict()

    def x(row, column, channel):
        inside = 0 <= row < 4 and 0 <= column < 5
        return int(values[(row * 5 + column) * 2 + channel, 1]) if inside else 0

    seen = [
        x(2 + down, 3 + right, channel) for down, right in [(-1, -1), (-1, 0), (-1, 1), (0, -1)] for channel in (0, 1)
    ]
    seen.append(x(2, 3, 0))
    layer = [
        int(model.rows[1, 2, unit] + model.columns[1, 3, unit])
        + sum(a * int(w) for a, w in zip(seen, into, strict=True))
        for unit, into in enumerate(model.weights_1[1].T)
    ]
    layer = [min(max(e >> 8, 0), 32767) for e in layer]
    layer = [
        int(bias) + sum(a * int(w) for a, w in zip(layer, into, strict=True))
        for bias, into in zip(model.biases_2[1], model.weights_2[1].T, strict=True)
    ]
    layer = [min(max(f >> 14, 0), 32767) for f in layer]
    outputs = [
        int(bias) + sum(a * int(w) for a, w in zip(layer, into, strict=True))
        for bias, into in zip(model.biases_3[1], model.weights_3[1].T, strict=True)
    ]
    logits = [o >> 22 for o in outputs[:3]]
    parts = [round(32768 * np.exp(-min(max(logits) - one, 511) / 32)) for one in logits]
    weights = [part * TOTAL // sum(parts) for part in parts]
    weights[logits.index(max(logits))] += TOTAL - sum(weights)
    assert mixture.weights[:, 1].tolist() == weights
    assert mixture.means[:, 1].tolist() == [o >> 16 for o in outputs[3:6]]
    assert mixture.scales[:, 1].tolist() == [min(max(o >> 22, 0), 63) for o in outputs[6:]]


def test_the_same_in_floats_and_in_whole_numbers_in_any_batch(rng):
    model = network(rng)
    values = images(rng, model, n=700)
    lattice = lattice_of(values)

    def told(records, dtype):
        some = lattice_of(values[:, records])
        return encode(model.start(some, dtype=dtype), values[:, records]).coded.message.words.tolist()

    assert told(slice(0, 40), np.float64) == told(slice(0, 40), np.int64)
    run, alone = model.start(lattice), model.start(lattice_of(values[:, 3:4]))
    for seen in values:
        all_of_it, one = run.predict(), alone.predict()
        for name in ("weights", "means", "scales"):
            assert np.array_equal(getattr(all_of_it, name)[:, 3:4], getattr(one, name))
        run.update(seen)
        alone.update(seen[3:4])


def said_of(model, lattice, values, dtype=np.float64):
    """All that a network says of values (V, n), those before known: weights, means, scales and windows' low ends."""
    run, said = model.start(lattice, dtype=dtype), []
    for seen in values:
        mixture = run.predict()
        said.append(np.concatenate([mixture.weights, mixture.means, mixture.scales, mixture.lows[None]]))
        run.update(seen)
    return np.stack(said)


def lattices(rng, values):
    """Lattices of values (V, n): bit for bit, within 3, on top of a code, and with low bits kept."""
    nothing, code = np.zeros_like(values), np.clip(values + rng.integers(-9, 9, values.shape), 0, 255)
    return [
        Lattice(nothing, 1, 0, 255, has_code=False),
        Lattice(nothing, 7, 0, 255, has_code=False),
        Lattice(code, 7, 0, 255, has_code=True),
        Lattice(code, 1, 0, 255, has_code=True, raw_bits=2),
    ]


@compiled
@pytest.mark.parametrize(
    ("grid", "n_hidden", "n_components", "n"),
    [
        ((3, 4, 1), 7, 3, 9),
        ((3, 4, 1), 16, 16, 8),
        ((3, 4, 1), 17, 5, 1),
        ((2, 3, 3), 33, 6, 7),
        ((2, 2, 4), 5, 1, 9),
        ((2, 3, 1), 7, 3, 300),
    ],
    ids=str,
)
def test_the_inner_loop_says_what_floats_and_whole_numbers_say(rng, monkeypatch, grid, n_hidden, n_components, n):
    """Whether or not numbers of inputs, units, components and records are those that it works on together."""
    model = network(rng, grid, 1, n_hidden, n_components, most=60_000 // max(n_hidden, 7))
    values = images(rng, model, n)
    for lattice in lattices(rng, values):
        assert model.start(lattice)._narrow is not None
        said = said_of(model, lattice, values)
        assert np.array_equal(said, said_of(model, lattice, values, np.int64))
        with monkeypatch.context() as patch:
            patch.setattr(kernels, "compiled", None)
            assert np.array_equal(said, said_of(model, lattice, values))


@compiled
@pytest.mark.parametrize("work", [1, 1 << 14, 1 << 30])
@pytest.mark.parametrize("grid", [(3, 4, 1), (2, 3, 3)])
def test_the_loop_over_positions_computes_what_numpy_computes(rng, monkeypatch, grid, work):
    """Bytes, values and escapes, in any number of calls of the kernel."""
    monkeypatch.setattr(causal_run, "_WORK_OF_CALL", work)
    model = network(rng, grid, 1, 17, 5, most=3000)
    values = images(rng, model, n=21)
    for lattice in (*lattices(rng, values), Lattice(np.zeros_like(values), 1, 0, 5000, has_code=False)):
        q = (values - lattice.anchors + lattice.step // 2) // lattice.step
        coded = encode(model.start(lattice), q)
        with monkeypatch.context() as patch:
            patch.setattr(kernels, "compiled", None)
            expected = encode(model.start(lattice), q)
            assert np.array_equal(decode(model.start(lattice), coded), decode(model.start(lattice), expected))
        assert coded.coded.message.words.tolist() == expected.coded.message.words.tolist()
        assert coded.coded.escapes == expected.coded.escapes
        units = np.clip(lattice.anchors + lattice.step * q, lattice.lowest, lattice.highest)
        assert np.array_equal(decode(model.start(lattice), coded), units)


def sparse_images(rng, model, n, share):
    """Images of which a share of the values is not 0."""
    return images(rng, model, n) * (rng.random((np.prod(model.grid), n)) < share)


@compiled
@pytest.mark.parametrize(
    ("grid", "reach"),
    [((6, 7, 1), 2), ((1, 9, 2), 2), ((6, 1, 3), 1), ((3, 2, 1), 5), ((3, 4, 4), 2), ((2, 20, 1), 16)],
    ids=str,
)
@pytest.mark.parametrize("share", [0.03, 0.3])
def test_images_with_zeros_take_the_same_bytes_in_both_implementations(rng, monkeypatch, grid, reach, share):
    """Windows inside, across and beyond the edges of images; calls of the kernel that begin anywhere in a row."""
    model = network(rng, grid, reach, 17, 5, most=60_000 // len(window(reach, grid[2])[0]))
    values = sparse_images(rng, model, 13, share)
    for lattice in lattices(rng, values)[1:3]:
        assert model.start(lattice)._narrow is not None
        q = (values - lattice.anchors + lattice.step // 2) // lattice.step
        units = np.clip(lattice.anchors + lattice.step * q, lattice.lowest, lattice.highest)
        with monkeypatch.context() as patch:
            patch.setattr(kernels, "compiled", None)
            expected = encode(model.start(lattice), q)
        for work in (1, 1 << 17, 1 << 30):
            monkeypatch.setattr(causal_run, "_WORK_OF_CALL", work)
            coded = encode(model.start(lattice), q)
            assert coded.coded.message.states.tolist() == expected.coded.message.states.tolist()
            assert coded.coded.message.words.tolist() == expected.coded.message.words.tolist()
            assert np.array_equal(decode(model.start(lattice), coded), units)


def n_distinct(model, values):
    """The number of inputs of the network that differ, if all records whose inputs are 0 count as one."""
    padded, n = np.vstack([values, np.zeros_like(values[:1])]), 0
    for seen in seen_at(model.grid, model.reach, 0):
        not_zero = padded[seen].any(0)
        n += int(not_zero.sum()) + (not not_zero.all())
    return n


@compiled
@pytest.mark.parametrize("share", [0, 0.01, 0.2, 1])
def test_records_whose_inputs_are_zero_take_one_evaluation_of_the_network(rng, monkeypatch, share):
    model = network(rng, (9, 11, 1), 3)
    values = sparse_images(rng, model, 20, share)
    for lattice in (lattice_of(values), Lattice(values // 2, 1, 0, 255, has_code=True)):
        q = values - lattice.anchors
        for work in (1 << 15, 1 << 30):
            monkeypatch.setattr(causal_run, "_WORK_OF_CALL", work)
            encoder, decoder = model.start(lattice), model.start(lattice)
            assert np.array_equal(decode(decoder, encode(encoder, q)), values)
            assert encoder.n_evaluated == decoder.n_evaluated == n_distinct(model, values)


@compiled
def test_pixels_after_three_channels_of_zeros_take_at_most_one_evaluation_for_each_channel(rng):
    model = network(rng, (6, 5, 3), 2)
    values = np.zeros((6 * 5 * 3, 30), np.int64)
    run = model.start(lattice_of(values))
    encode(run, values)
    assert run.n_evaluated == len(values)


@compiled
def test_values_outside_the_window_are_escapes(rng, monkeypatch):
    """A window of 16 places around the mean, in both implementations."""
    monkeypatch.setattr(causal_run, "_MOST_WINDOW", 16)
    model = network(rng, (3, 4, 1), 1)
    values = images(rng, model, n=21)
    residual = encode(model.start(lattice_of(values)), values)
    assert len(residual.coded.escapes) > 0
    assert np.array_equal(decode(model.start(lattice_of(values)), residual), values)
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "compiled", None)
        assert encode(model.start(lattice_of(values)), values).coded.escapes == residual.coded.escapes
    none = dataclasses.replace(residual, coded=dataclasses.replace(residual.coded, escapes=b""))
    with pytest.raises(CorruptArchiveError, match="too few escaped"):
        decode(model.start(lattice_of(values)), none)


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_of_the_inner_loop_may_take_all_of_32_bits(rng, loops, sign):
    rest = (1 << 31) - 1 - 2 * 32767**2
    ends = {
        "rows": np.full((1, 5, 2), 1 << 30),  # all activations are as large as can be
        "weights_2": np.full((1, 2, 2), 32767, np.int16),
        "biases_2": np.full((1, 2), rest),
        "weights_3": np.full((1, 2, 9), sign * 32767, np.int16),
        "biases_3": np.full((1, 9), sign * rest),
    }
    model = network(rng, n_hidden=2, **ends)
    assert model.is_narrow(255)
    values = images(rng, model)
    said = said_of(model, lattice_of(values), values)
    assert np.array_equal(said, said_of(model, lattice_of(values), values, np.int64))
    assert not network(rng, n_hidden=2, **ends | {"biases_3": ends["biases_3"] + sign}).is_narrow(255)


def test_values_of_more_than_15_bits_and_shifts_of_more_than_31_are_not_narrow(rng):
    model = network(rng, most=1000)
    assert model.is_narrow((1 << 15) - 1)
    assert not model.is_narrow(1 << 15)
    assert not model.is_narrow(-1)
    assert not dataclasses.replace(model, shifts=np.array([8, 14, 22, 16, 32])).is_narrow(255)


def test_networks_that_need_more_than_32_bits_are_decoded_too(rng, loops):
    model = network(rng, most=32767, n_hidden=16, shifts=np.array([8, 20, 26, 20, 26]))
    assert not model.is_narrow(255)
    values = images(rng, model)
    for lattice in lattices(rng, values):
        assert model.start(lattice)._narrow is None
        assert np.array_equal(said_of(model, lattice, values), said_of(model, lattice, values, np.int64))
    lattice = lattice_of(values)
    assert np.array_equal(decode(model.start(lattice), encode(model.start(lattice), values)), values)


@pytest.mark.pairs
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("batch", [1, 7, 512])
def test_the_same_bytes_in_any_batch_with_any_number_of_threads(rng, loops, batch, n_threads):
    model = network(rng, (2, 3, 1))
    values = images(rng, model, n=512)
    expected = model.start(lattice_of(values), dtype=np.int64).intervals(values)
    with threadpool_limits(n_threads):
        for first in range(0, 512, max(batch, 5)):
            records = slice(first, first + batch)
            placed = model.start(lattice_of(values[:, records])).intervals(values[:, records])
            assert np.array_equal(placed.starts, expected.starts[:, records])
            assert np.array_equal(placed.frequencies, expected.frequencies[:, records])


@pytest.mark.parametrize(("n_words", "complaint"), [(-1, "too few words"), (1, r"has \d+ words, but")])
def test_words_must_be_as_many_as_are_used(rng, loops, n_words, complaint):
    model = network(rng)
    values = images(rng, model)
    residual = encode(model.start(lattice_of(values)), values)
    words = residual.coded.message.words
    words = words[:n_words] if n_words < 0 else np.append(words, words[:n_words])
    message = dataclasses.replace(residual.coded.message, words=words)
    residual = dataclasses.replace(residual, coded=dataclasses.replace(residual.coded, message=message))
    with pytest.raises(CorruptArchiveError, match=complaint):
        decode(model.start(lattice_of(values)), residual)


def test_images_of_every_layout_come_pixel_by_pixel():
    assert as_image((2, 3))[0] == (2, 3, 1)
    grid, order = as_image((3, 4, 5))
    assert grid == (4, 5, 3)
    assert order[:4].tolist() == [0, 20, 40, 1]
    assert as_image((4, 5, 3))[1].tolist() == list(range(60))
    with pytest.raises(ModelFileError, match="images"):
        as_image((7,))


def test_a_network_comes_back_from_its_tensors(rng):
    model = network(rng, (4, 3, 3))
    again = FrozenCausal.from_tensors(*model.to_tensors())
    assert again.digest() == model.digest()
    for field in dataclasses.fields(FrozenCausal):
        assert np.array_equal(getattr(again, field.name), getattr(model, field.name))


@pytest.mark.parametrize(
    "lie",
    [
        {"highest": 0},
        {"highest": 1 << 17},
        {"weights_1": np.zeros((1, 13, 7), np.int16)},
        {"shifts": np.array([8, 14, 22, 16, 53])},
        {"shifts": np.array([8, 14, 22, 16])},
        {"weights_3": np.zeros((1, 7, 10), np.int16)},
        {"weights_2": np.zeros((1, 7, 8), np.int16)},
        {"biases_2": np.full((1, 7), 1 << 54)},
        {"biases_2": np.full((1, 7), -(1 << 63))},
        {"rows": np.zeros((1, 1 << 21, 7), np.int64)},
    ],
    ids=lambda lie: next(iter(lie)),
)
def test_networks_that_lie_are_refused(rng, lie):
    with pytest.raises(ModelFileError):
        network(rng, **lie)
