"""Values that cannot be trained on are refused before training, with their place; all others are not."""

import numpy as np
import pytest

import narrows
from narrows.data import Source
from narrows.data.finite import check_squares
from narrows.errors import DataError
from narrows.estimators.classifier import AutoencoderClassifier

pytestmark = pytest.mark.filterwarnings("ignore:.* far from all others:narrows.errors.DataWarning")


def table(row, column, value, n=60, d=5):
    x = np.random.default_rng(0).normal(size=(n, d))
    x[row, column] = value
    return x


def model(**settings):
    return narrows.recipe("auto", n_latent=1, training__epochs=1, random_state=0, **settings)


@pytest.mark.parametrize("value", [-1.7e308, 1.4e154])
def test_a_value_whose_square_overflows_is_refused(value):
    with pytest.raises(
        DataError, match=rf"1 of 300 values is too large .* {value:g}, in row 17, column 3".replace("+", r"\+")
    ):
        model().fit(table(17, 3, value))


def test_the_place_in_an_image_is_that_of_the_record():
    images = np.zeros((9, 8, 8))
    images[4, 1, 2] = images[5] = 1e200
    with pytest.raises(DataError, match=r"65 of 576 values are too large .* 1e\+200, in record 4 at \[1, 2\]"):
        model().fit(images)


@pytest.mark.parametrize("settings", [{"preprocessing": ()}, {"preprocessing": "mean-removal"}])
def test_a_value_beyond_float32_after_preprocessing_is_refused(settings):
    with pytest.raises(DataError, match=r"exceeds the largest float32\. It is 1e\+39, in row 17, column 3\. Leave out"):
        model(**settings).fit(table(17, 3, 1e39))


def test_so_is_one_among_the_records_held_out_wherever_it_is(tmp_path):
    refused = {}
    for row in range(0, 60, 4):
        try:
            model().fit(table(row, 3, 1e39), checkpoint=tmp_path / f"run{row}")
        except DataError as error:
            refused[row] = str(error)
    assert 0 < len(refused) < 15, "learned from its own record, the scale of its column suits it"
    for row, message in refused.items():
        assert f"1e+39, in row {row}, column 3" in message
        assert not (tmp_path / f"run{row}").exists(), "no epoch has run"


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")
@pytest.mark.parametrize("value", [1e39, 1e200, -1.7e308])
def test_records_that_are_only_validated_on_have_a_loss_that_is_not_finite(value):
    fitted = model().fit(table(0, 0, 0.0), validation=table(17, 3, value))
    assert not np.isfinite(fitted.history_[-1]["validation_loss"])


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")
@pytest.mark.parametrize("value", [1e39, 1e200])
def test_unlabelled_records_are_learned_from_and_checked(value):
    x, labels = table(0, 0, 0.0), np.arange(60) % 2
    part = AutoencoderClassifier(model(preprocessing="mean-removal"))
    with pytest.raises(DataError, match=rf"{value:g}, in row 17, column 3".replace("+", r"\+")):
        part.fit(x, labels, unlabelled=table(17, 3, value))
    with pytest.raises(DataError, match=rf"{value:g}, in row 17, column 3".replace("+", r"\+")):
        part.fit(table(17, 3, value), labels)


def test_all_values_whose_squares_fit_are_allowed():
    check_squares(Source(np.array([[1.3e154, -1.3e154]])), -1.3e154, 1.3e154)
    x = np.random.default_rng(0).normal(size=(60, 5)) * 1e153
    assert np.isfinite(model().fit(x).reconstruct(x)).all()


def test_with_float64_the_same_values_can_be_trained_on():
    x = table(17, 3, 1e39)
    restored = model(preprocessing=(), training__precision="float64").fit(x).reconstruct(x)
    assert restored[17, 3] == pytest.approx(1e39)
