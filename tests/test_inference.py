"""Restored values on their way back into the dtype of the records, and work done batch by batch."""

import numpy as np
import pytest
import torch

from narrows import Autoencoder, Training
from narrows.model.inference import decode, encode, noise_of, reconstruct, to_stored
from narrows.networks import Convolutional, Dense

pytestmark = pytest.mark.usefixtures("chain_only")


@pytest.mark.parametrize(
    ("dtype", "restored", "stored"),
    [
        ("uint8", [-3.0, -0.4, 0.6, 1.4, 254.6, 300.0], [0, 0, 1, 1, 255, 255]),
        ("int8", [-200.0, -1.6, -0.2, 127.4], [-128, -2, 0, 127]),
        ("uint16", [65535.7, 65534.4], [65535, 65534]),
        ("int32", [2.0**31, -(2.0**31) - 5, 7.5, 8.5], [2**31 - 1, -(2**31), 8, 8]),
        ("int64", [1e300, -1e300, 2.0**62], [2**63 - 1024, -(2**63), 2**62]),
        ("uint64", [1e300, -1.0], [2**64 - 2048, 0]),
        ("bool", [-0.1, 0.49, 0.5, 7.0], [False, False, True, True]),
        ("float16", [1e6, -1e6, 0.5], [65504, -65504, 0.5]),
        ("float32", [1e300, -0.25], [np.finfo(np.float32).max, -0.25]),
        ("float64", [1e300, -0.25], [1e300, -0.25]),
    ],
)
def test_values_are_rounded_and_kept_within_the_range_of_the_dtype(dtype, restored, stored):
    got = to_stored(np.array(restored), np.dtype(dtype))
    assert got.dtype == dtype
    assert got.tolist() == [np.dtype(dtype).type(value).item() for value in stored]


def test_many_records_are_worked_on_in_batches(rng, monkeypatch):
    x = rng.normal(size=(50, 4))
    model = Autoencoder(2, corruption="gaussian", training=Training(epochs=1), random_state=0).fit(x)
    codes, score, noisy = model.transform(x), model.score(x), model.corrupt(x, random_state=0)
    monkeypatch.setattr("narrows.model.inference._BATCH", 7)
    np.testing.assert_allclose(model.transform(x), codes, rtol=1e-10)
    assert model.score(x) == pytest.approx(score)
    assert model.corrupt(x, random_state=0).shape == noisy.shape
    assert (model.corrupt(x, random_state=0) != x).any(axis=1).all()


@pytest.mark.parametrize("n_threads", [2, 4])
def test_threads_that_share_the_batches_come_to_the_same_bits(n_threads, rng, monkeypatch):
    monkeypatch.setattr("narrows.model.inference._BATCH", 7)
    monkeypatch.setattr("narrows.training.workers.usable_cpus", lambda: 4)
    x = rng.normal(size=(50, 4)).astype(np.float32)
    model = Autoencoder(2, corruption="gaussian", training=Training(epochs=1), random_state=0).fit(x)

    def results():
        noisy = encode(model.chain_, x, noise=noise_of(model.chain_, 0))
        return model.transform(x), model.reconstruct(x), model.corrupt(x, random_state=0), noisy, model.score(x)

    alone = results()
    torch.set_num_threads(n_threads)
    try:
        together = results()
        assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(1)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.pairs
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize(
    "network",
    [Dense(), Convolutional(channels=(3,)), Convolutional(channels=(3,), code_channels=2, resampling="stride")],
    ids=repr,
)
def test_reconstructing_is_decoding_what_was_encoded_to_the_bit(network, dtype, precision, rng, monkeypatch):
    monkeypatch.setattr("narrows.model.inference._BATCH", 16)
    x = (rng.random((50, 7, 6)) * 200).astype(dtype)
    n_latent = None if getattr(network, "code_channels", None) else 3
    training = Training(epochs=1, precision=precision)
    settings = {"training": training, "artefacts": (), "random_state": 0}
    model = Autoencoder(n_latent, network=network, corruption="gaussian", **settings).fit(x)
    chain = model.chain_
    restored = reconstruct(chain, x)
    assert restored.dtype == np.float64
    np.testing.assert_array_equal(restored, decode(chain, encode(chain, x)))
    np.testing.assert_array_equal(model.reconstruct(x), model.inverse_transform(model.transform(x)))
    noisy = reconstruct(chain, x, noise=noise_of(chain, 0))
    np.testing.assert_array_equal(noisy, decode(chain, encode(chain, x, noise=noise_of(chain, 0))))
    assert (noisy != restored).any()


@pytest.mark.usefixtures("chain_only")
@pytest.mark.parametrize(
    ("shape", "sizes"), [((28, 28), [256, 256, 88]), ((64, 64, 3), [86, 86, 86, 83, 86, 86, 86, 1])]
)
def test_the_records_of_a_call_that_fits_one_batch_are_shared_by_workers(shape, sizes, rng, monkeypatch):
    x = rng.random((600, *shape), dtype=np.float32)
    chain = Autoencoder(2, training=Training(epochs=1), random_state=0).fit(x[:20]).chain_
    encode_ = chain.encode
    seen = []
    monkeypatch.setattr(chain, "encode", lambda x, condition: (seen.append(len(x)), encode_(x, condition))[1])
    encode(chain, x)
    assert sorted(seen) == sorted(sizes)
    seen.clear()
    encode(chain, x, noise=noise_of(chain, 0))
    assert seen == sizes, "the same parts with noise"


@pytest.mark.usefixtures("chain_only")
def test_into_how_many_parts_a_batch_is_cut_changes_no_noise(rng, monkeypatch):
    x = rng.random((50, 12))
    model = Autoencoder(2, corruption="masking", training=Training(epochs=1), random_state=0).fit(x)
    monkeypatch.setattr("narrows.model.inference._BATCH", 16)

    def results():
        noise = noise_of(model.chain_, 0)
        return (
            encode(model.chain_, x, noise=noise),
            reconstruct(model.chain_, x, noise=noise),
            model.corrupt(x, random_state=0),
        )

    found = results()
    monkeypatch.setattr("narrows.model.inference._PARTS", 1)
    for cut, whole in zip(found, results(), strict=True):
        np.testing.assert_allclose(cut, whole, rtol=1e-10)
