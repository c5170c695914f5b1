"""Streams of random numbers: each use has its own, and those that decide a trained model are never changed."""

import re
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch

import narrows
from narrows import Autoencoder, Training
from narrows.numerics.randomness import Stream, generator, integer, rng

# Beside 0 and 1 those whose words could be taken for the words of a stream: 2^32 + s has the words s, 1.
SEEDS = (0, 1, 2**32, 2**32 + 1, 2 * 2**32, 5 * 2**32 + 1, 2**64, 2**64 + 2**32)


def places():
    """Return every stream with every small index under a few seeds."""
    for seed, stream in product(SEEDS, Stream):
        for index in product(range(4), repeat=stream.value.count(None)):
            yield seed, stream, index


def test_every_stream_and_every_index_has_numbers_of_its_own():
    drawn = {}
    for seed, stream, index in places():
        of_torch = generator(seed, stream, *index).initial_seed()
        of_numpy = tuple(rng(seed, stream, *index).integers(2**32, size=4))
        assert of_torch not in drawn, f"{(seed, stream, index)} is {drawn[of_torch]}"
        assert of_numpy not in drawn, f"{(seed, stream, index)} is {drawn[of_numpy]}"
        drawn[of_torch] = drawn[of_numpy] = (seed, stream, index)


def test_patterns_that_begin_alike_are_of_one_length():
    """NumPy takes seed sequences that differ in zeros at the end for the same."""
    assert np.random.SeedSequence([3]).generate_state(1) == np.random.SeedSequence([3, 0]).generate_state(1)
    for one, other in combinations((stream.value for stream in Stream), 2):
        assert one[0] != other[0] or len(one) == len(other), (one, other)


@pytest.mark.parametrize(
    ("stream", "index", "words"),
    [
        (Stream.WEIGHTS, (), (0,)),
        (Stream.ORDER, (5,), (1, 5)),
        (Stream.NOISE, (5,), (2, 5)),
        (Stream.LAYER_ORDER, (3, 5), (6, 3, 1, 5)),
        (Stream.LAYER_NOISE, (3, 5), (6, 3, 2, 5)),
        (Stream.LABELS_ORDER, (5,), (7, 1, 5)),
        (Stream.LABELS_NOISE, (5,), (7, 2, 5)),
    ],
)
def test_a_seed_trains_the_same_model_as_ever(stream, index, words):
    state = np.random.SeedSequence([12, *words]).generate_state(1, np.uint64)[0]
    assert generator(12, stream, *index).initial_seed() == int(state) // 2


def test_the_same_seed_and_stream_give_the_same_numbers():
    assert generator(3, Stream.NOISE, 1).initial_seed() == generator(3, Stream.NOISE, 1).initial_seed()
    assert rng(3, Stream.HELD_OUT).random() == rng(3, Stream.HELD_OUT).random()
    assert integer(3, Stream.PCA_SOLVER) == integer(3, Stream.PCA_SOLVER) < 2**32


def test_stages_of_one_run_have_streams_of_their_own(digits, monkeypatch):
    class ReachedError(Exception):
        pass

    def stop(_device, stages, *_, **__):
        raise ReachedError([(stage.name, stage.order, stage.noise, stage.index) for stage in stages])

    monkeypatch.setattr("narrows.estimators.fitting.train_on", stop)
    model = Autoencoder(2, pretraining="layer-wise", residual="causal", training=Training(epochs=1))
    with pytest.raises(ReachedError) as reached:
        model.fit(digits[0][:50])
    (stages,) = reached.value.args
    assert {name for name, *_ in stages} >= {"layer 1 of 2", "layer 2 of 2", "all layers", "residuals"}
    streams = [(stream, *index) for _, order, noise, index in stages for stream in (order, noise)]
    assert len(set(streams)) == 2 * len(stages)


def test_corruption_outside_training_is_not_drawn_like_the_weights(digits):
    from narrows.model.inference import noise_of

    model = Autoencoder(2, training=Training(epochs=1), random_state=0).fit(digits[0][:50])
    weights = torch.rand(8, generator=generator(7, Stream.WEIGHTS))
    assert not torch.equal(torch.rand(8, generator=noise_of(model.chain_, 7)), weights)


def test_nothing_in_the_package_seeds_a_generator_by_a_bare_number():
    bare = re.compile(r"default_rng\(|manual_seed\(|SeedSequence\(")
    package = Path(narrows.__file__).parent
    found = [
        f"{path.relative_to(package)}: {line.strip()}"
        for path in package.rglob("*.py")
        for line in path.read_text().splitlines()
        if bare.search(line) and ">>>" not in line and path.name != "randomness.py"
    ]
    assert found == []
