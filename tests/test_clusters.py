"""Clusters: found and counted, with their shares and sizes, and drawn from again."""

import numpy as np

from narrows.numerics.clusters import Clusters


def drawn(shares, sizes, n=600):
    rng = np.random.default_rng(0)
    of = rng.choice(len(shares), n, p=shares)
    centres = 8 * np.stack([np.arange(len(shares)), np.arange(len(shares)) % 2], axis=1)
    return centres[of] + np.array(sizes)[of, None] * rng.normal(size=(n, 2)), of


def test_clusters_are_counted_with_their_shares_and_sizes():
    x, of = drawn([0.5, 0.3, 0.2], [0.5, 1.0, 2.0])
    found = Clusters.fit(x, np.random.default_rng(1))
    assert len(found.shares) == 3
    order = np.argsort(found.centres[:, 0])
    np.testing.assert_allclose(found.shares[order], np.bincount(of) / 600, atol=0.02)
    sizes = np.sqrt(found.sizes[order] / found.sizes[order[0]])
    np.testing.assert_allclose(sizes, [1, 2, 4], rtol=0.2)
    assert found.separation(x) > 0.6


def test_records_without_clusters_are_one():
    x = np.random.default_rng(0).normal(size=(500, 4))
    found = Clusters.fit(x, np.random.default_rng(1))
    assert len(found.shares) == 1
    assert found.separation(x) == 0
    assert len(Clusters.fit(np.ones((30, 2)), np.random.default_rng(1)).centres) >= 1


def test_draws_have_the_distribution_of_the_records():
    x, _ = drawn([0.7, 0.3], [1.0, 0.5], 2000)
    again = Clusters.fit(x, np.random.default_rng(1)).draw(4000, np.random.default_rng(2))
    np.testing.assert_allclose(again.mean(axis=0), x.mean(axis=0), atol=0.3)
    np.testing.assert_allclose(np.cov(again.T), np.cov(x.T), rtol=0.15, atol=0.15)
