"""Pictures of series: a panel for each channel, gaps at missing values, and the times below."""

import numpy as np
import pytest

import narrows
from narrows import pictures
from narrows.data.for_model import check_fits
from narrows.errors import DataError, InvalidParameterError, ShapeMismatchError
from narrows.evaluation.drawing import draw_denoising, draw_grid, draw_reconstructions


def curves_of(figure):
    return [{line.get_label(): line.get_ydata() for line in axes.lines} for axes in figure.axes]


def test_each_channel_has_a_panel_with_its_name_and_error():
    x = np.column_stack([np.sin(np.arange(60)), 1e6 * np.arange(60)])
    x[7, 0] = np.nan
    times = [f"t{i}" for i in range(60)]
    figure = pictures.series({"original": x, "restored": x + 0.25}, channels=["a", "b"], steps=times)
    first, second = curves_of(figure)
    np.testing.assert_array_equal(first["original"], x[:, 0])
    np.testing.assert_array_equal(second["restored"], x[:, 1] + 0.25)
    texts = [text.get_text() for text in figure.texts]
    assert {"a", "b"} < set(texts)
    assert texts.count("typical error 0.25") == 2
    labels = [label.get_text() for label in figure.axes[-1].get_xticklabels()]
    assert [labels[0], labels[-1]] == ["t0", "t59"]


@pytest.mark.parametrize("values", [np.zeros((3, 2, 2)), np.zeros(0), np.array(["a"])])
def test_what_is_no_series_is_refused(values):
    with pytest.raises(DataError, match="steps"):
        pictures.series({"x": values})


def test_states_must_have_one_shape_and_there_must_be_one():
    with pytest.raises(ShapeMismatchError):
        pictures.series({"x": np.zeros(3), "y": np.zeros(4)})
    with pytest.raises(InvalidParameterError, match="at least one"):
        pictures.series({})
    with pytest.raises(InvalidParameterError, match=r"'channels' .* each of its 2 channels\. Got 1"):
        pictures.series({"x": np.zeros((3, 2))}, channels=["a"])
    with pytest.raises(InvalidParameterError, match=r"'steps' .* each of its 3 steps\. Got 1"):
        pictures.series({"x": np.zeros((3, 2))}, steps=["noon"])


@pytest.fixture(scope="module")
def windows_of_two_channels():
    x = np.sin(np.arange(90) / 5)[:, None] * [1, 100]
    x[40:43, 1] = np.nan
    training = narrows.Training(epochs=1)
    model = narrows.Autoencoder(2, fill_value=np.nan, corruption="masking", training=training, random_state=0)
    return model.fit(narrows.data.open(x, window=16, stride=4)), x


def test_a_whole_series_is_drawn_at_its_steps_with_gaps(windows_of_two_channels):
    model, x = windows_of_two_channels
    for panel, channel in zip(curves_of(draw_reconstructions(model, x, n=3)), x.T, strict=True):
        np.testing.assert_array_equal(panel["original"], channel[:48])
        assert np.isfinite(panel["restored"]).all()
    assert [set(panel) & {"noisy"} for panel in curves_of(draw_denoising(model, x, n=3))] == [{"noisy"}, {"noisy"}]


def test_windows_that_are_records_are_drawn_one_after_the_other(windows_of_two_channels):
    model, x = windows_of_two_channels
    records = np.stack([x[:16], x[16:32]])
    panel = curves_of(draw_reconstructions(model, records))[0]
    np.testing.assert_array_equal(panel["original"], [*x[:16, 0], np.nan, *x[16:32, 0]])


def test_generated_windows_of_several_channels_have_a_panel_for_each(windows_of_two_channels):
    model, x = windows_of_two_channels
    first, second = curves_of(draw_grid(model, np.stack([x[:16], x[16:32]])))
    assert [len(first["generated"]), len(second["generated"])] == [33, 33]


@pytest.mark.parametrize(
    ("records", "advice"),
    [
        ((64, 2), "one series, cut it into windows of 16 steps"),
        ("64 of 1 channel", "has 2 values, and each step of .* has 1\\."),
    ],
)
def test_a_series_that_does_not_fit_the_model_gets_advice(records, advice, windows_of_two_channels, tmp_path):
    model, _ = windows_of_two_channels
    if isinstance(records, str):
        source = narrows.data.open(np.zeros(64), window=16)
    else:
        np.save(tmp_path / "x.npy", np.zeros(records))
        source = narrows.data.open(tmp_path / "x.npy")
    with pytest.raises(ShapeMismatchError, match=advice):
        check_fits(source, model.shape_)
