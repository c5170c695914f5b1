"""`fit` shows and logs its progress if it is asked to, and neither the model nor its file depends on that."""

import logging
import sys

import numpy as np
import pytest
from sklearn.base import clone

import narrows
from narrows import Autoencoder, AutoencoderClassifier, Training
from narrows.errors import DataWarning, InvalidParameterError, recorded, warn
from narrows.io.bars import can_draw_bars
from narrows.io.model_file import read_model_file
from narrows.networks import Dense
from narrows.training.display import Bar, Lines, display

pytestmark = pytest.mark.usefixtures("chain_only")


def new(**changes):
    return Autoencoder(3, network=Dense(widths=(8,)), training=Training(epochs=3), random_state=0, **changes)


@pytest.fixture(scope="module")
def x(digits):
    return digits[0][:40]


def test_by_default_nothing_is_shown(x, capsys):
    new().fit(x)
    assert capsys.readouterr() == ("", "")


def test_verbose_2_shows_a_line_for_each_epoch_on_standard_error(x, capsys):
    new(verbose=2).set_params(training__epochs=40).fit(x)
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split("  loss")[0] for line in err.splitlines()][:2] == ["epoch  1/40", "epoch  2/40"]
    assert len(err.splitlines()) == 40


@pytest.mark.parametrize("verbose", [1, True, np.int64(1)])
def test_verbose_1_shows_few_lines_where_there_is_no_terminal(verbose, x, capsys):
    new(verbose=verbose).set_params(training__epochs=100).fit(x)
    assert 10 <= len(capsys.readouterr().err.splitlines()) <= 30


def test_verbose_1_draws_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(display(1, "Autoencoder"), Bar)
    assert isinstance(display(2, "Autoencoder"), Lines)


@pytest.mark.parametrize("has_widgets", [True, False])
def test_verbose_1_draws_a_bar_in_a_notebook_that_can_show_it(has_widgets, monkeypatch):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("narrows.io.bars.find_spec", lambda name: object() if has_widgets else None)
    assert can_draw_bars() == has_widgets


def test_classifiers_are_verbose_too_and_name_the_stages(x, capsys):
    y = np.arange(40) % 2
    AutoencoderClassifier(new(verbose=2), training=Training(epochs=2), random_state=0, verbose=2).fit(x, y)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "restoring", "epoch 1/3", "epoch 2/3", "epoch 3/3", "labels", "epoch 1/2", "epoch 2/2",
    ]  # fmt: skip


@pytest.mark.parametrize("verbose", [-1, 3, "yes", None, 1.5])
def test_other_values_are_refused(verbose, x):
    with pytest.raises(InvalidParameterError, match=r"The 'verbose' of Autoencoder must be 0 or False .* Got"):
        new(verbose=verbose).fit(x)


def test_verbose_is_a_parameter_and_no_part_of_a_model_file(x, tmp_path, capsys):
    model = new(verbose=2)
    assert clone(model).verbose == 2
    model.fit(x).save(tmp_path / "model")
    assert "verbose" not in read_model_file(tmp_path / "model")[0]["params"]
    assert narrows.load(tmp_path / "model").verbose == 0
    np.testing.assert_array_equal(new().fit(x).transform(x), model.transform(x))
    classifier = AutoencoderClassifier(new(verbose=1), training=Training(epochs=1), verbose=1)
    classifier.fit(x, np.arange(40) % 2).save(tmp_path / "classifier")
    assert narrows.load(tmp_path / "classifier").autoencoder.verbose == 0


def test_a_run_may_be_resumed_with_another_verbosity(x, tmp_path, capsys):
    new(verbose=0).fit(x, checkpoint=tmp_path / "run")
    new(verbose=2).fit(x, checkpoint=tmp_path / "run", resume=True)
    y = np.arange(40) % 2
    for verbose in (0, 1):
        AutoencoderClassifier(new(verbose=verbose), training=Training(epochs=1), random_state=0, verbose=verbose).fit(
            x, y, checkpoint=tmp_path / "classifier", resume=True
        )


@pytest.fixture
def records():
    """Return the records of the logger narrows, as pairs of level and message."""
    found = []

    class Keep(logging.Handler):
        def emit(self, record):
            found.append((record.levelname, record.getMessage()))

    logger, handler = logging.getLogger("narrows"), Keep()
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield found
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def test_a_run_is_logged(x, records):
    new().fit(x)
    assert records[0] == ("INFO", "training: 3 epochs of 40 records")
    assert [level for level, _ in records] == ["INFO", "DEBUG", "DEBUG", "DEBUG", "INFO"]
    assert records[2][1].startswith("epoch 2/3: loss ")
    assert records[-1][1].startswith("training: ended after epoch 3, loss ")
    *each, whole = (float(message.split(", ")[-1].removesuffix(" s")) for _, message in records[1:])
    assert whole == pytest.approx(sum(each), rel=0.02)


def test_warnings_are_logged_unless_they_are_held_back(records):
    with pytest.warns(DataWarning):
        warn(DataWarning("Half of it is lost."))
    assert records == [("WARNING", "Half of it is lost.")]
    with recorded(held=True):
        warn(DataWarning("Nobody sees this."))
    assert len(records) == 1


def test_nothing_is_printed_by_a_program_that_does_not_set_up_logging(capsys):
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("narrows").handlers)
    logging.getLogger("narrows.training").warning("not shown")
    assert capsys.readouterr().err == ""
