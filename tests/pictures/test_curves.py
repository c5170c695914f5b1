"""Curves: the losses as they were, the best epoch marked, a logarithmic axis only where it shows more."""

import numpy as np
import pytest

from narrows.errors import DataError
from narrows.pictures import curves


def epochs(losses, **columns):
    return [
        {"epoch": i, "loss": loss, **{key: values[i] for key, values in columns.items()}}
        for i, loss in enumerate(losses)
    ]


def lines(axes):
    return {line.get_label(): line for line in axes.lines}


def test_training_and_validation_are_drawn_and_the_best_epoch_marked():
    figure = curves(epochs([5, 4, 3], validation_loss=[6, 4.5, 5], learning_rate=[0.1] * 3, seconds=[30, 30, 31]))
    loss, rate = figure.axes
    drawn = lines(loss)
    np.testing.assert_array_equal(drawn["training"].get_ydata(), [5, 4, 3])
    np.testing.assert_array_equal(drawn["validation"].get_ydata(), [6, 4.5, 5])
    assert drawn["best: 4.5 at epoch 1"].get_data() == ([1.0], [4.5])
    np.testing.assert_array_equal(rate.lines[0].get_ydata(), [0.1] * 3)
    assert loss.get_title(loc="right") == "3 epochs in 1 min 31 s"


def test_without_validation_the_best_epoch_is_that_of_training():
    figure = curves(epochs([5, 3, 4], validation_loss=[None] * 3))
    assert len(figure.axes) == 1
    assert set(lines(figure.axes[0])) == {"training", "best: 3 at epoch 1"}


def test_losses_that_are_not_finite_are_left_out():
    figure = curves(epochs([5, 3, float("nan")], validation_loss=[4, None, float("inf")]))
    np.testing.assert_array_equal(lines(figure.axes[0])["validation"].get_ydata(), [4, np.nan, np.nan])
    assert "best: 4 at epoch 0" in lines(figure.axes[0])


def test_a_run_that_diverged_at_once_is_still_drawn():
    assert "training" in lines(curves(epochs([float("nan")])).axes[0])


@pytest.mark.parametrize(
    ("losses", "scale"), [([9, 5, 1], "linear"), ([100, 20, 1], "log"), ([100, 1, -1], "linear"), ([100, 0], "linear")]
)
def test_the_axis_is_logarithmic_only_where_it_helps(losses, scale):
    assert curves(epochs(losses)).axes[0].get_yscale() == scale


def test_ticks_are_plain_numbers():
    figure = curves(epochs([1000, 100, 0.1], learning_rate=[1e-2, 1e-5, 1e-7]))
    for axes in figure.axes:
        for text in axes.get_yticklabels():
            assert "$" not in text.get_text()
            assert float(text.get_text().replace("−", "-")) > 0


def test_one_epoch_makes_a_picture_with_whole_epochs():
    figure = curves(epochs([63.3]))
    low, high = figure.axes[0].get_xlim()
    assert all(tick == int(tick) for tick in figure.axes[0].get_xticks() if low <= tick <= high)


def test_several_runs_share_the_axes():
    figure = curves({"plain": epochs([5, 4]), "noisy": epochs([7, 6], validation_loss=[8, 7])})
    assert len(figure.axes) == 1
    labels = [text.get_text() for text in figure.axes[0].get_legend().texts]
    assert labels == [
        "plain, training (best: 4 at epoch 1)",
        "noisy, training",
        "noisy, validation (best: 7 at epoch 1)",
    ]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        ([], "The history must have at least one epoch"),
        ({}, "must have at least one run"),
        ({"a": []}, "The history of 'a' must have at least one epoch"),
        ([{"epoch": 0}], "an epoch without 'loss'"),
        ([{"loss": 0}], "an epoch without 'epoch'"),
        ([{"epoch": 0, "loss": "low"}], "a 'loss' that is not a number"),
    ],
)
def test_bad_histories_are_refused(history, message):
    with pytest.raises(DataError, match=message):
        curves(history)


def test_the_ticks_of_the_learning_rate_do_not_overlap():
    rates = [0.002, 0.00177, 0.00117, 0.0005, 0.00006]
    axes = curves(epochs([5, 4, 3, 2, 1], learning_rate=rates)).axes[1]
    low, high = axes.get_ylim()
    labels = [tick.label1.get_window_extent() for tick in axes.yaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    assert len(labels) == 2
    assert not labels[0].overlaps(labels[1])
