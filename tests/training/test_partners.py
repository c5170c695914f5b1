"""Batches in which records have a neighbour."""

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors

import narrows
from narrows.penalties import Neighbours
from narrows.training.loop import Run
from narrows.training.partners import in_pairs, nearest_records


def test_the_nearest_records_are_those_of_scikit_learn(rng):
    x = rng.normal(size=(90, 3, 2)) + 1e3
    found = nearest_records(lambda: torch.from_numpy(x).split(20), 90, 4)
    expected = NearestNeighbors(n_neighbors=4).fit(x.reshape(90, -1)).kneighbors(return_distance=False)
    np.testing.assert_array_equal(found, expected)
    assert nearest_records(lambda: [torch.from_numpy(x[:3])], 3, 15).shape == (3, 2)


def test_wide_records_are_compared_by_their_components(rng):
    x = torch.from_numpy(rng.normal(size=(70, 2)) @ rng.normal(size=(2, 300)))
    found = nearest_records(lambda: x.split(20), 70, 5)
    expected = NearestNeighbors(n_neighbors=5).fit(x).kneighbors(return_distance=False)
    assert (found.numpy() == expected).mean() > 0.99


def test_in_many_records_neighbours_are_looked_for_among_some(rng, monkeypatch):
    monkeypatch.setattr("narrows.training.partners._MOST_CANDIDATES", 10)
    found = nearest_records(lambda: [torch.from_numpy(rng.normal(size=(50, 2)))], 50, 3)
    assert len(found.unique()) <= 10
    assert not (found == torch.arange(50)[:, None]).any()


def test_an_order_in_pairs_has_a_neighbour_behind_each_record():
    neighbours = torch.tensor([[1, 2], [0, 2], [1, 0], [4, 4], [3, 3]])
    order = in_pairs(torch.tensor([2, 0, 4, 1, 3]), neighbours, torch.Generator().manual_seed(0))
    assert order[[0, 2, 4]].tolist() == [2, 0, 4]
    assert order[1] in neighbours[2]
    assert order[3] in neighbours[0]
    assert len(order) == 5


def test_training_with_the_penalty_has_batches_in_pairs_and_can_be_repeated(rng, monkeypatch):
    x, orders, order_of = rng.normal(size=(60, 3)).astype(np.float32), [], Run._order

    def order(run):
        orders.append(order_of(run))
        return orders[-1]

    monkeypatch.setattr(Run, "_order", order)
    nearest = NearestNeighbors(n_neighbors=3).fit(x).kneighbors(return_distance=False)
    parameters = {"n_latent": 2, "network": "dense", "artefacts": (), "random_state": 0}
    parameters |= {"training__epochs": 2, "training__batch_size": 10, "preprocessing": ()}
    models = [
        narrows.Autoencoder(penalties=Neighbours(n_neighbours=3)).set_params(**parameters).fit(x) for _ in range(2)
    ]
    np.testing.assert_array_equal(models[0].transform(x), models[1].transform(x))
    for found in orders:
        pairs = found.indices.numpy().reshape(-1, 2)
        assert all(j in nearest[i] for i, j in pairs)
    assert len({tuple(found.indices.tolist()) for found in orders}) == 2, "another order in each epoch"
