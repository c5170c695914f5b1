"""What holds of every preprocessing step, and what some of them are known to do."""

import numpy as np
import pytest
import torch

from narrows.model.inference import to_stored
from narrows.preprocessing import Binarise, MeanRemoval, Preprocessing, Preprocessor, Standardise, UnitScale
from narrows.preprocessing.moments import Moments

AXIS = Preprocessing
SHAPE = (4, 3)
N = 50


def columns(dtype):
    """Return N records with columns of very different kinds, one of them constant."""
    rng = np.random.default_rng(1)
    if dtype == "bool":
        return rng.random((N, *SHAPE)) > 0.5
    if np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        x = rng.integers(limits.min, limits.max, (N, *SHAPE), dtype=dtype, endpoint=True)
    else:
        x = (rng.normal(size=(N, *SHAPE)) * 10.0 ** rng.integers(-2, 3, SHAPE)).astype(dtype)
        if dtype == "float64":
            x[:, 1] += 1.7e9  # seconds since 1970
    x[:, 0, 0] = 7
    return x


def floats(x):
    exact_in_32_bits = x.dtype.itemsize <= 2 or x.dtype == np.float32
    return torch.from_numpy(x.astype(np.float32 if exact_in_32_bits else np.float64))


def fitted(part, x):
    """Return the step after it has seen the records in batches of unequal size."""
    step = part.build(x.shape[1:], x.dtype)
    step.fit(lambda: iter(torch.split(floats(x), [1, 7, 20, len(x) - 28])))
    return step


def is_invertible(part):
    return not isinstance(part, Binarise)  # the one step that loses something, and says so


def check_preprocessing(part, x):
    step, given = fitted(part, x), floats(x)
    before = given.clone()
    y = step(given)
    assert torch.equal(given, before), "the input is left alone"
    assert (y.shape, y.dtype) == ((len(x), *step.out_shape(x.shape[1:])), given.dtype)
    assert step.out_shape(x.shape[1:]) == x.shape[1:], "no network takes records of another shape yet"
    assert bool(y.isfinite().all())
    back = step.inverse(y)
    assert (back.shape, back.dtype) == (given.shape, given.dtype)
    if is_invertible(part):
        precision = torch.finfo(given.dtype).eps
        scale = np.abs(x.astype(np.float64)).max(axis=0) + np.ptp(x.astype(np.float64))
        assert (np.abs(back.numpy() - given.numpy()) <= 4 * precision * scale).all()
        if x.dtype.kind in "biu":
            np.testing.assert_array_equal(to_stored(back.double().numpy(), x.dtype), x)

    assert torch.equal(step(given[3:5]), y[3:5]), "records do not depend on their batch"
    assert all(buffer.dtype == torch.float64 for buffer in step.buffers())
    again = part.build(x.shape[1:], x.dtype)
    again.load_state_dict(step.state_dict())
    assert torch.equal(again(given), y), "all that was learned is in the state"


@pytest.mark.parametrize("dtype", ["uint8", "bool", "int8", "int16", "uint16", "int32", "float32", "float64"])
def test_preprocessing(part, dtype):
    check_preprocessing(part, columns(dtype))


def test_every_option_changes_something(option):
    kind, _, variants = option

    def behaviour(part):
        return [fitted(part, given)(floats(given)).tolist() for given in (columns("float32"), columns("uint8"))]

    assert any(behaviour(variant) != behaviour(kind()) for variant in variants)


def test_a_later_step_is_fitted_on_what_the_earlier_ones_make(part):
    x = columns("float32").astype(np.float64)
    first, second = UnitScale().build(SHAPE, x.dtype), part.build(SHAPE, np.dtype(np.float64))
    chain = Preprocessor([first, second])
    chain.fit(lambda: iter(torch.split(floats(x), 16)))
    alone = fitted(part, fitted(UnitScale(), x)(floats(x)).numpy())
    expected = alone(first(floats(x)))
    torch.testing.assert_close(chain(floats(x)), expected, rtol=1e-9, atol=1e-9)
    if is_invertible(part):
        torch.testing.assert_close(chain.inverse(chain(floats(x))), floats(x), rtol=1e-9, atol=1e-9)


def test_standardise_agrees_with_numpy_though_it_sees_batches():
    x = columns("float64")
    step = fitted(Standardise(), x)
    np.testing.assert_allclose(step.mean, x.mean(axis=0), rtol=1e-14)
    deviation = x.std(axis=0)
    constant = np.ptp(x, axis=0) == 0
    np.testing.assert_allclose(step.deviation, np.where(constant, 0, deviation), rtol=1e-6)
    pooled = fitted(Standardise(per_value=False), x)
    np.testing.assert_allclose([pooled.mean, pooled.deviation], [x.mean(), x.std()], rtol=1e-12)


def test_columns_come_out_with_mean_0_and_variance_1_even_far_from_zero():
    y = fitted(Standardise(), columns("float64"))(floats(columns("float64"))).numpy()
    varies = np.ptp(columns("float64"), axis=0) > 0
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(y.std(axis=0)[varies], 1, rtol=1e-6)
    assert (y[:, ~varies] == 0).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 1.7e9, -1e-20])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_constant_column_comes_back_exactly_and_has_no_scale(value, dtype):
    x = np.full((N, 2), value, dtype)
    for part in (Standardise(), Standardise(per_value=False), UnitScale(), UnitScale(per_value=True), MeanRemoval()):
        step = fitted(part, x)
        assert not step(floats(x)).any()
        for y in (step(floats(x)), step(floats(x)) + 0.1):  # whatever a decoder makes of it
            np.testing.assert_array_equal(step.inverse(y), x)
        if not isinstance(part, MeanRemoval):  # which changes no unit
            assert not step(floats(x) + 1).any()
        assert not step.unit.any()


def test_bytes_are_divided_by_255_whatever_their_range():
    x = np.array([[10, 20], [30, 50]], np.uint8)
    for part in (UnitScale(), UnitScale(per_value=True)):
        np.testing.assert_array_equal(fitted_small(part, x)(floats(x)), x.astype(np.float32) / np.float32(255))


def test_bytes_may_be_divided_by_256_as_in_the_theano_tutorials():
    x = np.array([[0, 128], [64, 255]], np.uint8)
    part = UnitScale(byte_divisor=256)
    assert fitted_small(part, x)(floats(x)).tolist() == [[0, 0.5], [0.25, 255 / 256]]
    np.testing.assert_allclose(fitted_small(part, x.astype(np.float32))(floats(x)), x / 255)


def fitted_small(part, x):
    step = part.build(x.shape[1:], x.dtype)
    step.fit(lambda: iter([floats(x)]))
    return step


def test_other_values_are_scaled_by_the_range_of_the_training_data():
    x = np.array([[10.0, -20.0], [30.0, 60.0]])
    np.testing.assert_allclose(fitted_small(UnitScale(), x)(floats(x)), (x + 20) / 80)
    np.testing.assert_allclose(fitted_small(UnitScale(per_value=True), x)(floats(x)), [[0, 0], [1, 1]])
    outside = torch.tensor([[50.0, -60.0]], dtype=torch.float64)
    np.testing.assert_allclose(fitted_small(UnitScale(per_value=True), x)(outside), [[2, -0.5]])


def test_the_mean_record_is_the_mean_of_all_records():
    x = columns("uint16")
    np.testing.assert_allclose(fitted(MeanRemoval(), x).mean, x.mean(axis=0), rtol=1e-14)


def test_binarise_keeps_what_reaches_the_threshold():
    x = np.array([[0.2, 0.5, 0.7]])
    assert fitted_small(Binarise(), x)(floats(x)).tolist() == [[0, 1, 1]]
    assert fitted_small(Binarise(threshold=0.6), x)(floats(x)).tolist() == [[0, 0, 1]]


@pytest.mark.usefixtures("cuda")
def test_statistics_stay_on_the_device_of_the_data():
    x = torch.ones(3, 2, device="cuda")
    moments = Moments.of(lambda: [x, x], per_value=True)
    assert {moments.mean.device.type, moments.variance.device.type, moments.low.device.type} == {"cuda"}
