"""Embeddings of categories, over every network that has them, and what goes with them."""

import dataclasses

import numpy as np
import pytest
import torch

from narrows import Autoencoder, Training
from narrows.bottlenecks import Rounded
from narrows.errors import InvalidParameterError
from narrows.likelihoods import Categorical
from narrows.networks import Network
from narrows.networks.embedding import Embedding
from narrows.networks.modules import Sizes
from narrows.numerics.randomness import Stream, generator

WITH = [
    name for name, kind in Network.registry.items() if "embedding" in {field.name for field in dataclasses.fields(kind)}
]


def draws(seed=0):
    return generator(seed, Stream.WEIGHTS)


def test_an_embedding_looks_vectors_up_by_the_nearest_number_inside_the_range():
    embedding = Embedding(3, 2)
    embedding.draw(draws())
    found = embedding(torch.tensor([[-4.0, 0.0, 0.9, 2.0, 7.0]]))
    assert found.shape == (1, 5, 2)
    assert torch.equal(found[0], embedding.weight[[0, 0, 1, 2, 2]])


def test_dense_temporal_and_recurrent_networks_embed():
    assert {"dense", "temporal", "recurrent"} <= set(WITH)


@pytest.mark.parametrize("name", WITH)
def test_the_code_depends_on_the_category_and_not_on_its_number(name):
    """Permuting the rows of the embedding with the categories changes nothing; a gradient reaches the vectors."""
    part = Network.registry[name](embedding=3)
    encoder, decoder = part.build(Sizes((8,), (4,), (4,), (8, 5)), draws())
    x = torch.randint(0, 5, (6, 8), generator=draws(1)).float()
    h = encoder(x)
    assert decoder(h).shape == (6, 8, 5)
    h.sum().backward()
    assert encoder.embedding.weight.grad.abs().sum() > 0
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        encoder.embedding.weight.copy_(encoder.embedding.weight[order])
    permuted = torch.argsort(order)[x.long()].float()
    assert torch.allclose(encoder(permuted), h, atol=1e-6)


@pytest.mark.parametrize("name", WITH)
def test_numbers_are_not_embedded(name):
    model = Autoencoder(2, network=Network.registry[name](embedding=3), likelihood="normal", record="series")
    with pytest.raises(InvalidParameterError, match="categorical"):
        model.fit(np.zeros((8, 12)) + np.arange(12))


@pytest.mark.parametrize("name", WITH)
def test_archives_restore_what_a_network_with_embeddings_does(name):
    x = np.random.default_rng(0).integers(0, 5, (64, 8)).astype(np.uint16)
    settings = {"network": Network.registry[name](embedding=3), "likelihood": "categorical", "preprocessing": ()}
    model = Autoencoder(4, record="text", training=Training(epochs=2), random_state=0, **settings).fit(x)
    codec = model.codec_
    finest = len(codec.qualities) - 1
    symbols = model.quantise(x, finest)
    codes = symbols * codec.qualities[finest].steps
    same = codec.decode(symbols, finest) == model.inverse_transform(codes, dtype=np.uint16)
    assert same.mean() > 0.95  # of two nearly equal scores another may be the largest in integers


def test_a_share_of_values_is_replaced_in_training_and_zeros_stay():
    module = Categorical(n_categories=4, substitution=0.25).build((50,))
    x = torch.randint(0, 4, (400, 50), generator=draws()).float()
    module.train()
    seen = module.sample_input(x, draws(1))
    assert torch.equal(seen == 0, x == 0)
    changed = (seen != x)[x > 0].float().mean()
    assert float(changed) == pytest.approx(0.25 * 2 / 3, abs=0.02)  # a third of the draws is the value itself
    assert set(seen.unique().tolist()) == {0.0, 1.0, 2.0, 3.0}
    module.eval()
    assert torch.equal(module.sample_input(x, draws(1)), x)


def test_the_weight_of_the_rate_multiplies_the_cost_of_a_code():
    h = torch.randn(5, 3, generator=draws())
    usual, light = (Rounded(weight=weight).build((3,)) for weight in (1.0, 0.25))
    assert torch.allclose(0.25 * usual(h).cost, light(h).cost)
    assert (usual.rate_weight, light.rate_weight) == (1.0, 0.25)
