"""Results do not depend on the unit of the data, also where columns are constant or nearly so."""

import warnings

import numpy as np
import pytest
import torch

import narrows
from narrows.model.file import _fill
from narrows.preprocessing import MeanRemoval, Preprocessor, Standardise, UnitScale
from narrows.preprocessing.moments import Moments
from narrows.preprocessing.scaling import divided

UNITS = [1e-20, 1e-9, 1e-3, 1e9, 1e20]


def table(kind, n=300):
    """Return records of six columns, of which some carry nothing."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(n, 6))
    if kind == "units of their own":
        x *= 10.0 ** np.arange(6)
    x[:, 2], x[:, 4] = 0.0, 0.1
    if kind == "nearly dead":
        x[:, 2] = 0.3 + 1e-14 * rng.normal(size=n)
        x[:, 5] = 100 * (1 + 1e-13 * rng.normal(size=n))
    return x


def trained(x, **settings):
    options = {"n_latent": 2, "training__epochs": 3, "artefacts": (), "random_state": 0, **settings}
    return narrows.recipe("auto", **options).fit(x)


def psnr_db(model, x):
    restored = model.reconstruct(x).astype(np.float64)
    unit = float(np.ptp(x.astype(np.float64)))
    return -10 * np.log10(np.square((restored - x) / unit).mean())


KINDS = ["dead", "nearly dead", "units of their own"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("other_half", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_data_in_other_units_are_restored_as_well(kind, dtype, other_half):
    """Quickly, every unit with every kind and every dtype; all three together are slow."""
    x = table(kind)
    expected = psnr_db(trained(x.astype(dtype)), x.astype(dtype))
    assert expected > 30
    first = (KINDS.index(kind) + (dtype == "float32") + other_half) % 2
    for unit in UNITS[first::2]:
        scaled = (x * unit).astype(dtype)
        assert psnr_db(trained(scaled), scaled) == pytest.approx(expected, abs=0.3), unit


@pytest.mark.parametrize("preprocessing", ["auto", "standardise", "unit-scale"])
@pytest.mark.parametrize(
    "unit", [1.0, *[pytest.param(unit, marks=pytest.mark.slow) for unit in UNITS[1:-1]], *UNITS[:: len(UNITS) - 1]]
)
def test_dead_columns_come_back_exactly_from_model_and_archive(preprocessing, unit, tmp_path):
    if preprocessing == "unit-scale":
        preprocessing = (UnitScale(per_value=True),)
    x = table("dead") * unit
    model = trained(x, preprocessing=preprocessing, artefacts="codec")
    np.testing.assert_array_equal(model.reconstruct(x)[:, [2, 4]], x[:, [2, 4]])
    made = narrows.compress(x, tmp_path / "x.narrows", model=model)
    restored = narrows.restore(tmp_path / "x.narrows", model=model)
    np.testing.assert_array_equal(restored[:, [2, 4]], x[:, [2, 4]])
    assert made.psnr_db == pytest.approx(psnr_db(model, x), abs=1)


def test_a_model_trained_on_dead_columns_is_the_same_from_its_file(tmp_path):
    x = table("dead")
    model = trained(x)
    model.save(tmp_path / "m")
    again = narrows.load(tmp_path / "m")
    np.testing.assert_array_equal(again.reconstruct(x), model.reconstruct(x))
    np.testing.assert_array_equal(again.reconstruct(x)[:, 4], x[:, 4])


def test_a_file_of_earlier_versions_has_no_constant_columns():
    x = table("dead")
    model = trained(x, preprocessing="mean-removal").model_
    tensors = model.chain.state_dict()
    assert tensors.pop("preprocessor.steps.0.varies").tolist() == [1, 1, 0, 1, 0, 1]
    chain = _fill(model.chain.parts, model.schema, tensors)
    assert chain.preprocessor.steps[0].varies.is_contiguous()
    assert chain.preprocessor.unit.tolist() == [1] * 6
    assert chain.preprocessor(torch.tensor(x)).equal(model.chain.preprocessor(torch.tensor(x)))


def test_a_scale_of_1_that_a_model_has_for_a_constant_column_stays():
    step = Standardise().build((2,), np.dtype(np.float64))
    step.load_state_dict({"mean": torch.tensor([3.0, 0.0]).double(), "deviation": torch.tensor([1.0, 2.0]).double()})
    x = torch.tensor([[5.0, 4.0]], dtype=torch.float64)
    assert step(x).tolist() == [[2, 2]]
    assert step.inverse(step(x)).equal(x)


def test_without_preprocessing_the_unit_of_the_data_does_not_matter_to_archives(tmp_path):
    expected = None
    for unit in (1.0, 1e-20, 1e-9, 1e9, 1e15):
        x = table("dead") * unit
        model = trained(x, preprocessing=(), artefacts="codec")
        made = narrows.compress(x, tmp_path / f"{unit}", model=model)
        expected = expected or made.psnr_db
        assert made.psnr_db == pytest.approx(expected, abs=0.3), unit


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("preprocessing", ["auto", "standardise"])
def test_columns_far_from_zero_keep_their_variation(preprocessing, dtype):
    rng = np.random.default_rng(0)
    x = (1e6 + 0.1 * rng.normal(size=(400, 3)) @ rng.normal(size=(3, 6))).astype(dtype)
    model = trained(x, n_latent=6, preprocessing=preprocessing)
    error = np.abs(model.reconstruct(x).astype(np.float64) - x).max()
    assert error < (0.0626 if dtype == "float32" else 1e-4)  # float32 has steps of 0.0625 there
    bias = (model.reconstruct(x, dtype=np.float64) - x.astype(np.float64)).mean(axis=0)
    assert np.abs(bias).max() < 1e-3


@pytest.mark.parametrize("step", [MeanRemoval(), Standardise(), UnitScale(per_value=True)])
def test_forward_and_inverse_cancel_far_from_zero_in_float32(step):
    x = torch.tensor([[1e6 + 0.0625 * k] for k in range(3)], dtype=torch.float32)
    built = step.build((1,), np.dtype(np.float32))
    built.fit(lambda: iter([x]))
    back = built.inverse(built(x).double())
    torch.testing.assert_close(back, x.double(), rtol=0, atol=1e-7)


@pytest.mark.parametrize("unit", [1e-290, 1e-200, 1e-20, 1.0, 1e150, 1e300])
def test_moments_neither_overflow_nor_vanish(unit):
    x = torch.tensor(table("units of their own")) * 1e-5
    one = Moments.of(lambda: iter(x.split(70)), per_value=True)
    other = Moments.of(lambda: iter((x * unit).split(70)), per_value=True)
    torch.testing.assert_close(other.deviation / unit, one.deviation)
    torch.testing.assert_close(other.mean / unit, one.mean)
    assert other.is_constant.tolist() == [False, False, True, False, True, False]


def test_moments_of_batches_of_very_different_magnitude():
    batches = [torch.tensor([[1e-250], [3e-250]]).double(), torch.tensor([[1e200], [-1e200]], dtype=torch.float64)]
    for order in (batches, batches[::-1]):
        moments = Moments.of(lambda order=order: iter(order), per_value=False)
        assert float(moments.deviation) == pytest.approx(1e200 / np.sqrt(2))


def test_moments_of_ordinary_data_have_the_same_bits_as_without_scaling():
    x = torch.from_numpy(np.random.default_rng(0).normal(3, 7, size=(50, 4)))
    moments = Moments.of(lambda: iter([x]), per_value=True)
    assert torch.equal(moments.mean, x.mean(0))
    assert torch.equal(moments.deviation, x.var(0, correction=0).sqrt())
    assert torch.equal(moments.centre, moments.mean)


def test_scales_that_float32_hardly_represents_still_divide():
    tiny = torch.tensor([3e-41, -6e-41], dtype=torch.float32)
    quotient = divided(tiny, torch.tensor(2e-41, dtype=torch.float64))
    np.testing.assert_allclose(quotient, [1.5, -3], rtol=1e-3)
    assert divided(tiny, torch.tensor(1e-50, dtype=torch.float64)).isfinite().all()


def test_the_step_of_values_far_from_zero_keeps_its_digits():
    x = 1e8 + 1e-3 * torch.from_numpy(np.random.default_rng(0).normal(size=(90, 2)))
    preprocessor = Preprocessor([Standardise().build((2,), np.dtype(np.float64))])
    preprocessor.fit(lambda: iter([x]))
    _, scale = preprocessor.offset_and_scale((2,), torch.device("cpu"))
    assert torch.equal(scale, preprocessor.unit)


def test_equal_records_of_any_size_are_restored_exactly():
    for value in (0.1, 1e-200, -3e100):
        x = np.full((30, 4), value)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(trained(x).reconstruct(x), x)


def test_a_change_of_a_dead_column_is_measured_in_the_units_of_the_data():
    x = table("dead")
    model = trained(x)
    other = x.copy()
    other[:, 2] = 5.0
    assert narrows.evaluate(model, other)["sse_per_record"] > 24
    assert np.isfinite(narrows.evaluate(model, other)["preprocessed_sse_per_record"])
