"""Archives within a bound, or without loss: what comes back, whatever goes in."""

import numpy as np
import pytest

import narrows
from narrows.archive import recover, verify
from narrows.archive.bound import bound_of
from narrows.errors import (
    ArchiveError,
    CorruptArchiveError,
    InvalidParameterError,
    NonFiniteDataError,
    ShapeMismatchError,
)

pytestmark = pytest.mark.usefixtures("codec_only")


@pytest.fixture
def images(digits):
    return digits[1][:300]


@pytest.fixture(scope="module")
def floats():
    """300 series of 12 floats, and a model of them."""
    rng = np.random.default_rng(5)
    phase, pitch = rng.uniform(0, 6, (300, 1)), rng.uniform(0.2, 0.6, (300, 1))
    series = (np.sin(phase + pitch * np.arange(12)) * 40 + 300).astype(np.float32)
    model = narrows.Autoencoder(n_latent=3, random_state=0).set_params(training__epochs=3).fit(series)
    return series, model


def there_and_back(records, model, tmp_path, **how):
    path = tmp_path / "a.narrows"
    summary = narrows.compress(records, path, model=model, force=True, **how)
    assert verify(path, model=model).is_intact
    return summary, narrows.restore(path, model=model)


@pytest.mark.parametrize("bound", [1, 3, 5.9, "20%", 300])
def test_no_value_is_further_off_than_the_bound(codec_model, images, tmp_path, bound):
    summary, back = there_and_back(images, codec_model, tmp_path, max_error=bound)
    largest = np.abs(back.astype(int) - images).max()
    allowed = 0.2 * (images.max() - images.min()) if bound == "20%" else bound
    assert largest <= allowed
    assert summary.max_error == largest


def test_lossless_is_every_byte(codec_model, images, tmp_path):
    summary, back = there_and_back(images, codec_model, tmp_path, lossless=True)
    np.testing.assert_array_equal(back, images)
    assert (summary.max_error, summary.psnr_db) == (0, None)


def test_the_tighter_the_bound_the_larger_the_file(floats, tmp_path):
    series, model = floats
    sizes = [there_and_back(series, model, tmp_path, max_error=bound)[0].n_bytes for bound in (0, 0.001, 0.1, 5)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] > 4 * sizes[-1]


def test_the_signal_to_noise_ratio_is_of_what_comes_back(codec_model, images, tmp_path):
    summary, back = there_and_back(images, codec_model, tmp_path, max_error=20)
    mse = np.square(back.astype(float) - images).mean()
    assert summary.psnr_db == pytest.approx(20 * np.log10(codec_model.codec_.peak) - 10 * np.log10(mse))


@pytest.mark.filterwarnings("ignore:The bound of 0.1% is:narrows.errors.DataWarning")
@pytest.mark.parametrize("bound", [0, 0.01, "0.1%"])
def test_floats_with_nans_and_infinities(floats, tmp_path, bound):
    series, model = floats
    series = series.copy()
    series[3, 4:7] = np.nan, np.inf, -np.inf
    series[5, 0] = 3e38
    summary, back = there_and_back(series, model, tmp_path, max_error=bound)
    finite = np.isfinite(series)
    assert series[~finite].tobytes() == back[~finite].tobytes()
    assert np.abs(back[finite].astype(float) - series[finite]).max() == summary.max_error
    if bound == 0.01:
        assert summary.max_error <= 0.01
    if bound == 0:
        assert back.tobytes() == series.tobytes()


def test_noise_takes_no_more_than_itself_and_a_few_bytes(codec_model, tmp_path, rng):
    noise = rng.integers(0, 256, (2000, 8, 8)).astype(codec_model.codec_.dtype)
    summary, back = there_and_back(noise, codec_model, tmp_path, lossless=True)
    np.testing.assert_array_equal(back, noise)
    assert summary.n_bytes < noise.nbytes * 1.01


def test_what_is_appended_keeps_the_bound_of_the_archive(codec_model, images, tmp_path):
    path = tmp_path / "a.narrows"
    narrows.compress(images[:100], path, model=codec_model, max_error=2.0633898)
    for tighter in ({"max_error": 2.06}, {"lossless": True}):
        with pytest.raises(ArchiveError, match=r"the error bound 2\.0633898. .* Omit 'max_error'"):
            narrows.compress(images[100:], path, model=codec_model, append=True, **tighter)
    no_tighter = ({}, {"max_error": 2.063389}, {"max_error": 3}, {"max_error": "9%"})
    for start, wider in zip(range(100, 300, 50), no_tighter, strict=True):
        narrows.compress(images[start : start + 50], path, model=codec_model, append=True, **wider)
    back = narrows.restore(path, model=codec_model)
    assert np.abs(back.astype(int) - images).max() <= 2


def test_what_is_appended_to_a_lossless_archive_is_lossless_and_to_one_without_a_bound_has_none(
    codec_model, images, tmp_path
):
    path = tmp_path / "a.narrows"
    narrows.compress(images[:200], path, model=codec_model, lossless=True)
    narrows.compress(images[200:250], path, model=codec_model, append=True)
    narrows.compress(images[250:], path, model=codec_model, append=True, max_error=4)
    np.testing.assert_array_equal(narrows.restore(path, model=codec_model), images)
    narrows.compress(images[:200], path, model=codec_model, force=True)
    with pytest.raises(ArchiveError, match="has no error bound"):
        narrows.compress(images[200:], path, model=codec_model, append=True, max_error=4)


@pytest.mark.parametrize("bound", [{"lossless": True}, {"append": True}], ids=str)
@pytest.mark.parametrize("useless", [{"psnr": 20}, {"bytes_per_record": 9}, {"overlap": 2}], ids=str)
def test_what_has_no_use_within_a_bound_is_refused_before_the_model_is_loaded(
    codec_model, images, tmp_path, bound, useless
):
    path = tmp_path / "a.narrows"
    if "append" in bound:
        narrows.compress(images[:50], path, model=codec_model, lossless=True)
    with pytest.raises(InvalidParameterError, match=next(iter(useless))):
        narrows.compress("no-such-data.npy", path, model="no-such-model", **bound, **useless)
    for other in ({"overlap": 2}, {"quality": 1}):
        with pytest.raises(InvalidParameterError, match=next(iter(other))):
            narrows.compress("no-such-data.npy", path, model="no-such-model", max_error=3, force=True, **other)


def test_nothing_is_expected_or_advised_within_a_bound(codec_model, tmp_path, rng):
    noise = (255 * rng.integers(0, 2, (300, 8, 8))).astype(codec_model.codec_.dtype)
    summary, _ = there_and_back(noise, codec_model, tmp_path, max_error=2)
    assert (summary.expected_psnr_db, summary.expected_bytes_per_record, summary.warnings) == (None, None, ())
    assert there_and_back(noise, codec_model, tmp_path)[0].warnings


def test_how_chunks_are_kept_is_said(codec_model, floats, tmp_path, rng):
    noise = rng.integers(0, 256, (5000, 8, 8)).astype(codec_model.codec_.dtype)
    assert there_and_back(noise, codec_model, tmp_path, lossless=True)[0].chunks_kept == {"plain": 2}
    assert there_and_back(noise * 0, codec_model, tmp_path, lossless=True)[0].chunks_kept.keys() == {"zstd"}
    assert there_and_back(noise, codec_model, tmp_path)[0].chunks_kept == {}
    series, model = floats
    said = there_and_back(series, model, tmp_path, max_error=2)[0]
    assert said.to_json()["chunks_kept"] == said.chunks_kept
    assert sum(said.chunks_kept.values()) == 1
    assert said.chunks_kept.keys() <= {"code and rest", "neighbours"}


def test_data_that_are_one_record_get_a_hint(codec_model, images, tmp_path):
    for one in (images[0], np.block([[images[0], images[1]], [images[2], images[3]]])):
        with pytest.raises(ShapeMismatchError, match=r"along the first axis: .* data\[None\]"):
            narrows.compress(one, tmp_path / "a.narrows", model=codec_model, lossless=True)
        narrows.compress(one[None], tmp_path / "b.narrows", model=codec_model, lossless=True, force=True)
    with pytest.raises(ShapeMismatchError, match=r"Got \(3,\)\.$"):
        narrows.compress(images[0][:3, :3], tmp_path / "a.narrows", model=codec_model, lossless=True)


def test_values_that_are_not_finite_come_with_advice(floats, tmp_path):
    series, model = floats
    series = series.copy()
    series[3, 4] = np.nan
    with pytest.raises(NonFiniteDataError, match=r"keep them as they are by max_error or lossless .*--lossless"):
        narrows.compress(series, tmp_path / "a.narrows", model=model)
    with pytest.raises(NonFiniteDataError, match=r"needs finite values\. If NaN .*fill_value=nan .*Otherwise remove"):
        narrows.Autoencoder(n_latent=3).fit(series)
    with pytest.raises(NonFiniteDataError, match=r"needs finite values\. If NaN .*fill_value=nan .*Otherwise remove"):
        narrows.Autoencoder(n_latent=3).fit(series[:3], validation=series)


def test_one_record_and_a_range(codec_model, images, tmp_path):
    path = tmp_path / "a.narrows"
    narrows.compress(images, path, model=codec_model, lossless=True)
    with narrows.open_archive(path, model=codec_model) as archive:
        np.testing.assert_array_equal(archive[299], images[299])
        np.testing.assert_array_equal(archive[10:20], images[10:20])


def test_images_larger_than_records_come_back_whole(codec_model, tmp_path, rng):
    image = rng.integers(0, 256, (2, 21, 30)).astype(codec_model.codec_.dtype)
    _, back = there_and_back(image, codec_model, tmp_path, lossless=True)
    np.testing.assert_array_equal(back, image)
    with pytest.raises(InvalidParameterError, match="overlap"):
        narrows.compress(image, tmp_path / "b.narrows", model=codec_model, lossless=True, overlap=2)


def test_an_archive_carries_its_model_and_is_recovered(codec_model, images, tmp_path):
    path, saved = tmp_path / "a.narrows", tmp_path / "b.narrows"
    narrows.compress(images, path, model=codec_model, max_error=1, embed_model=True)
    data = path.read_bytes()
    path.write_bytes(data[:-40])
    recover(path, saved)
    assert np.abs(narrows.restore(saved).astype(int) - images).max() <= 1


def test_damage_is_told(codec_model, images, tmp_path):
    path = tmp_path / "a.narrows"
    narrows.compress(images, path, model=codec_model, max_error=1)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    assert not verify(path, model=codec_model).is_intact
    with pytest.raises(CorruptArchiveError):
        narrows.restore(path, model=codec_model)


@pytest.mark.parametrize("bound", [-1, "-1%", "x", "nan", np.inf, "1 %%"])
def test_bounds_that_are_none_are_refused(codec_model, images, tmp_path, bound):
    with pytest.raises(InvalidParameterError, match="max_error"):
        narrows.compress(images, tmp_path / "a.narrows", model=codec_model, max_error=bound)


def test_lossless_has_no_bound(codec_model, images, tmp_path):
    with pytest.raises(InvalidParameterError, match="not both"):
        narrows.compress(images, tmp_path / "a.narrows", model=codec_model, max_error=1, lossless=True)


@pytest.mark.filterwarnings("ignore:The bound of 1:narrows.errors.DataWarning")
def test_a_share_of_a_range_that_no_float_can_hold():
    records = np.array([[-1.7e308, 0.0], [1.7e308, 1.0]])
    source = narrows.data.open(records)
    assert bound_of("1%", lossless=False, source=source) == pytest.approx(3.4e306)
    assert bound_of("100%", lossless=False, source=source) == np.finfo(np.float64).max
