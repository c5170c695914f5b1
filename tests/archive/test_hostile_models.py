"""Models that are damaged or made to deceive: a codec that works or an error by name, soon."""

import time
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest

from narrows.codec import FrozenCodec
from narrows.errors import ModelFileError


@pytest.mark.parametrize("n", [40, pytest.param(300, marks=pytest.mark.slow)])  # the first 40 of the 300
def test_damaged_models(fuzz_models, n):
    started = time.perf_counter()
    counts = fuzz_models.run(n, 100)
    assert counts.total() == n
    assert {outcome for _, outcome in counts} >= {"same", "other", "ModelFileError"}
    assert {outcome for name, outcome in counts if name == "forge_the_network"} >= {"other", "ModelFileError"}
    assert time.perf_counter() - started < 120


@pytest.fixture
def with_network(fuzz_models):
    """Return header and tensors of a model with a network of residuals, for gray images of 8 by 8."""
    with fuzz_models.open_archive(fuzz_models.GOLDEN / "bounded-uint8-0-causal.narrows") as archive:
        return fuzz_models.parts(archive._codec.blob)


def test_a_network_that_does_not_say_what_it_said_is_not_used(fuzz_models, with_network):
    """And no archive is given it, with a proof of its own."""
    header, tensors = with_network
    header["causal"]["golden"] = "0" * 64
    codec = FrozenCodec.from_bytes(fuzz_models.joined(header, tensors))
    with pytest.raises(ModelFileError, match="does not compute the same outputs"):
        codec.causal  # noqa: B018
    with pytest.raises(ModelFileError, match="does not compute the same outputs"):
        codec.only(0, with_causal=True)
    assert codec.only(0).causal is None


@pytest.mark.parametrize("shape", [[64], [4, 16], [8, 8, 2], [1 << 13, 1 << 13]], ids=str)
def test_a_network_of_other_images_is_refused(fuzz_models, with_network, shape):
    """In little memory, whatever size they claim to have."""
    network, tensors = fuzz_models.FrozenCausal, with_network[1]
    tensors = {name.removeprefix("causal."): one for name, one in tensors.items() if name.startswith("causal.")}
    codec = object.__new__(FrozenCodec)
    codec.output = SimpleNamespace(shape=tuple(shape), dtype=np.dtype(np.uint8))
    tracemalloc.start()
    with pytest.raises(ModelFileError):
        codec._take_causal(network.from_tensors(with_network[0]["causal"], tensors))
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["int8", "uint32", "uint64", "float32"])
def test_a_network_of_other_values_is_refused(fuzz_models, with_network, dtype):
    header, tensors = with_network
    with pytest.raises(ModelFileError, match="does not fit the model's records"):
        FrozenCodec.from_bytes(fuzz_models.joined({**header, "dtype": dtype}, tensors))


def test_a_network_that_takes_too_long_is_refused(fuzz_models):
    h, height, width = 1024, 256, 256
    with pytest.raises(ModelFileError, match="multiplications per record"):
        fuzz_models.FrozenCausal(
            lowest=0,
            highest=255,
            reach=1,
            weights_1=np.zeros((1, 4, h), np.int16),
            rows=np.zeros((1, height, h), np.int64),
            columns=np.zeros((1, width, h), np.int64),
            weights_2=np.zeros((1, h, h), np.int16),
            biases_2=np.zeros((1, h), np.int64),
            weights_3=np.zeros((1, h, 3), np.int16),
            biases_3=np.zeros((1, 3), np.int64),
            shifts=np.zeros(5, np.int64),
        )
