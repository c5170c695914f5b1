"""The causal network in whole numbers: what it says is its definition, and the same however it is computed."""

import dataclasses

import numpy as np
import pytest

from narrows.codec.residual.causal import Causal, as_image, window
from narrows.codec.residual.contract import Lattice, decode, encode
from narrows.codec.residual.mixture import TOTAL
from narrows.errors import ModelFileError


def network(rng, grid=(5, 6, 1), reach=2, n_hidden=7, n_components=3, **change):
    """A network of no training."""
    height, width, c = grid
    n, outputs = len(window(reach, c)[0]), 3 * n_components

    def weights(*shape):
        return rng.integers(-9000, 9000, shape).astype(np.int16)

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
    return Causal(**fields | change)


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
        run.see(before)
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

    def told(records, carrier):
        some = lattice_of(values[:, records])
        return encode(model.start(some, carrier=carrier), values[:, records]).coded.message.words.tolist()

    assert told(slice(0, 40), np.float64) == told(slice(0, 40), np.int64)
    run, alone = model.start(lattice), model.start(lattice_of(values[:, 3:4]))
    for seen in values:
        all_of_it, one = run.predict(), alone.predict()
        for name in ("weights", "means", "scales"):
            assert np.array_equal(getattr(all_of_it, name)[:, 3:4], getattr(one, name))
        run.see(seen)
        alone.see(seen[3:4])


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
    again = Causal.from_tensors(*model.to_tensors())
    assert again.digest() == model.digest()
    for field in dataclasses.fields(Causal):
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
