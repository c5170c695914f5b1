"""Which entropy model the indices of a vector-quantised code get."""

import numpy as np
import pytest

from narrows.bottlenecks import VectorQuantised
from narrows.codec.entropy_models import Context, Independent

N_CODES = 64
SHARES = np.random.default_rng(1).dirichlet(np.full(N_CODES, 0.5))


def frozen(bottleneck, symbols):
    """Return the entropy model that a bottleneck proposes for indices."""
    (only,) = bottleneck.quantisations(symbols.astype(np.float64), distortion=None)
    return only.entropy


def independent(rng, n, shape):
    """Return indices (n, symbols) that say nothing of each other."""
    return rng.choice(N_CODES, (n, int(np.prod(shape))), p=SHARES).astype(np.int32)


def like_neighbours(rng, n, shape):
    """Return indices (n, symbols), most of them equal to the one on the left."""
    maps = independent(rng, n, shape).reshape(n, *shape)
    for column in range(1, shape[-1]):
        maps[..., column] = np.where(rng.random((n, *shape[:-1])) < 0.7, maps[..., column - 1], maps[..., column])
    return maps.reshape(n, -1)


@pytest.mark.parametrize(("code", "symbols"), [((4, 7, 7), (7, 7)), ((8, 3, 5), (2, 3, 5))], ids=["map", "groups"])
@pytest.mark.parametrize(("draw", "best"), [(independent, Independent), (like_neighbours, Context)])
def test_indices_get_the_tables_that_say_unseen_records_in_fewer_bits(code, symbols, draw, best, rng):
    bottleneck = VectorQuantised(n_codes=N_CODES, dim=4).build(code)
    train, test = draw(rng, 1000, symbols), draw(rng, 1000, symbols)
    shape = (1, *symbols)[-3:]
    chosen = frozen(bottleneck, train)
    counted = {"alone": Independent.fit(train), "by context": Context.fit(train, shape, N_CODES)}
    assert type(chosen) is best
    bits = {name: model.bits(test).mean() for name, model in counted.items()}
    assert chosen.bits(test).mean() == min(bits.values()), "and its tables are counted on all records"


@pytest.mark.parametrize("n", [1, 4, 5])
def test_a_handful_of_records_will_do(n, rng):
    bottleneck = VectorQuantised(n_codes=N_CODES).build((4, 7, 7))
    symbols = independent(rng, n, (7, 7))
    entropy = frozen(bottleneck, symbols)
    np.testing.assert_array_equal(entropy.decode(entropy.encode(symbols), n), symbols)
